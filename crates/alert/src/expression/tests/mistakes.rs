use expect_test::{Expect, expect};

use super::*;

fn mistakes(each: Option<InstanceKind>, texts: &[&str], expected: &Expect) {
    let lines = texts.iter().map(|text| {
        let mistakes = Expression::compile(text, each).expect_err(text);
        format!("{text}\n{}", told(text, &mistakes))
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn texts_that_cannot_be_read_say_where_and_what_instead() {
    mistakes(
        None,
        &[
            "",
            "1 +",
            "(1 > 2",
            "1 > 2)",
            "load_1m = 5",
            "load_1m =~ 'x'",
            "true & false",
            "true and false",
            "true false",
            "gpu_temperature_celsius{gpu=\"0\"} > 85",
            "sum by (rack) (load_1m)",
            "1 < 2 < 3",
            "true ? false",
            "load_1m > 85C",
            "load_1m > 1e999",
            "load_1m > 0x1F",
            "labels.rack == 'r7",
            "labels.rack == '\\d'",
            "labels.in == 'x'",
            "load_1m > 5 #",
            "load_1m > 5 €",
            "[1, 2",
        ],
        &expect![[r##"

              0: "": expected a value, found the end
            1 +
              3: "": expected a value, found the end
            (1 > 2
              6: "": expected `)`, found the end
            1 > 2)
              5: ")": expected an operator or the end, found `)`
            load_1m = 5
              8: "=": `=` is no operator: to compare, write ==
            load_1m =~ 'x'
              8: "=~": `=~` is no operator: write x.matches("pattern")
            true & false
              5: "&": `&` is no operator: write &&
            true and false
              5: "and": `and` is no operator: write &&
            true false
              5: "false": expected an operator or the end, found `false`
            gpu_temperature_celsius{gpu="0"} > 85
              23: "{": `{` has no meaning here: a label is written labels.rack == "r1"
            sum by (rack) (load_1m)
              4: "by": `by` is no operator: this is no PromQL
            1 < 2 < 3
              6: "<": comparisons cannot be chained: join them with &&
            true ? false
              12: "": expected `:` and what holds otherwise, found the end
            load_1m > 85C
              10: "85C": `85C` is no number: write it without a unit, in the metric's own
            load_1m > 1e999
              10: "1e999": `1e999` is too large a number
            load_1m > 0x1F
              10: "0x1F": `0x1F` is no number: write it without a unit, in the metric's own
            labels.rack == 'r7
              15: "'": this string does not end: its closing quote is missing
            labels.rack == '\d'
              16: "\\d": this escape does not exist: there are \\ \" \' \n \r \t and \u0041; in r"…" a backslash is itself
            labels.in == 'x'
              7: "in": expected a name after the dot, found `in`
            load_1m > 5 #
              12: "#": `#` has no meaning here
            load_1m > 5 €
              12: "€": `€` has no meaning here
            [1, 2
              5: "": expected `]`, found the end
        "##]],
    );
}

#[test]
fn what_is_no_name_or_of_a_wrong_type_is_told_all_at_once() {
    mistakes(
        None,
        &[
            "gpu_temperature > 85 && labls.rack == 'x' && cpu_used_percnt > 1 && xyz > 1",
            "load_1m",
            "'a'",
            "load_1m && labels.rack",
            "load_1m > '85'",
            "load_1m == '85'",
            "load_1m == 'high'",
            "labels.rack > 'r1'",
            "labels.rack + 'x' == 'y'",
            "!load_1m || -labels.rack < 1",
            "any(gpu_row_remap_pending == 1)",
            "any(gpu_row_remap_pending == 0)",
            "any(gpu_row_remap_pending > 0)",
            "level == 'criticl'",
            "'ok' != check.gpu_ecc || level in ['good']",
            "level == critical",
            "labels == 'x' || check == 'x' || now == 5 || max > 1",
            "now.weekdy == 1 || load_1m.x == 1 || 'a'.b == 'c'",
            "labels[1] == 'x'",
            "labels.rack in 'r1'",
            "labels.rack in []",
            "labels.rack in ['r1', 2]",
            "true in [true]",
            "load_1m == [1]",
            "(true ? 1 : 'a') == 1",
            "labels.rack.startWith('r') || labels.rack.startsWith() || labels.rack.startsWith(1)",
            "load_1m.contains('x')",
            "labels.rack.matches(labels.site)",
            "labels.rack.matches('(')",
            "rate(load_1m) > 1 || averag(gpu_power_watts) > 1",
            "abs(1, 2) == 1 || round() == 1 || size(1) == 1",
            "has(load_1m > 1)",
        ],
        &expect![[r#"
            gpu_temperature > 85 && labls.rack == 'x' && cpu_used_percnt > 1 && xyz > 1
              0: "gpu_temperature": there is no metric or name `gpu_temperature`; did you mean `gpu_temperature_celsius`?
              24: "labls": there is no `labls` with fields; did you mean `labels`?
              45: "cpu_used_percnt": there is no metric or name `cpu_used_percnt`; did you mean `cpu_used_percent`?
              68: "xyz": there is no metric or name `xyz`
            load_1m
              0: "load_1m": a rule needs a condition, and `load_1m` is a number: compare it, as in load_1m > 0
            'a'
              0: "'a'": a rule needs a condition, and `"a"` is a string: compare it, as in ("a") == "…"
            load_1m && labels.rack
              0: "load_1m": `&&` needs a condition, and `load_1m` is a number: compare it, as in load_1m > 0
              11: "labels.rack": `&&` needs a condition, and `labels.rack` is a string: compare it, as in labels.rack == "…"
            load_1m > '85'
              10: "'85'": `>` needs a number, and `"85"` is a string: write 85 without quotes
            load_1m == '85'
              0: "load_1m == '85'": `==` compares two of the same type, and `load_1m` is a number, `"85"` a string: write 85 without quotes
            load_1m == 'high'
              0: "load_1m == 'high'": `==` compares two of the same type, and `load_1m` is a number, `"high"` a string
            labels.rack > 'r1'
              0: "labels.rack": `>` needs a number, and `labels.rack` is a string
              14: "'r1'": `>` needs a number, and `"r1"` is a string
            labels.rack + 'x' == 'y'
              0: "labels.rack": `+` needs a number, and `labels.rack` is a string
              14: "'x'": `+` needs a number, and `"x"` is a string
            !load_1m || -labels.rack < 1
              1: "load_1m": `!` needs a condition, and `load_1m` is a number: compare it, as in load_1m > 0
              13: "labels.rack": `-` needs a number, and `labels.rack` is a string
            any(gpu_row_remap_pending == 1)
              4: "gpu_row_remap_pending == 1": `==` compares two of the same type, and `gpu_row_remap_pending` is true or false, `1` a number: write gpu_row_remap_pending
            any(gpu_row_remap_pending == 0)
              4: "gpu_row_remap_pending == 0": `==` compares two of the same type, and `gpu_row_remap_pending` is true or false, `0` a number: write !gpu_row_remap_pending
            any(gpu_row_remap_pending > 0)
              4: "gpu_row_remap_pending": `>` needs a number, and `gpu_row_remap_pending` is true or false
            level == 'criticl'
              9: "'criticl'": `"criticl"` is no status; there are healthy, degraded, unhealthy, critical, unknown; did you mean `critical`?
            'ok' != check.gpu_ecc || level in ['good']
              0: "'ok'": `"ok"` is no status; there are healthy, degraded, unhealthy, critical, unknown
              35: "'good'": `"good"` is no status; there are healthy, degraded, unhealthy, critical, unknown
            level == critical
              9: "critical": `critical` is no name: to compare with it, write "critical" in quotes
            labels == 'x' || check == 'x' || now == 5 || max > 1
              0: "labels": `labels` needs the name of one: write labels.rack
              17: "check": `check` needs the name of one: write check.gpu_ecc
              33: "now": `now` needs a part: write now.hour, now.minute or now.weekday
              45: "max": `max` is a function: write max(…)
            now.weekdy == 1 || load_1m.x == 1 || 'a'.b == 'c'
              0: "now.weekdy": `now` has hour, minute and weekday, no `weekdy`; did you mean `weekday`?
              19: "load_1m.x": `load_1m` has no fields
              37: "'a'": `"a"` has no fields
            labels[1] == 'x'
              7: "1": a key is a string in quotes: write labels["a name"]
            labels.rack in 'r1'
              15: "'r1'": `in` looks into a list: write labels.rack in ["r1", "r2"]
            labels.rack in []
              15: "[]": this list is empty: nothing is in it
            labels.rack in ['r1', 2]
              22: "2": a string `in` a list needs a string, and `2` is a number
            true in [true]
              0: "true": `in` needs a number or a string, and `true` is true or false
            load_1m == [1]
              0: "load_1m == [1]": `==` compares two of the same type, and `load_1m` is a number, `[1]` a list: to look into a list, write `in`
            (true ? 1 : 'a') == 1
              8: "1 : 'a'": both sides of `:` must be of the same type, and not lists: `1` is a number, `"a"` a string
            labels.rack.startWith('r') || labels.rack.startsWith() || labels.rack.startsWith(1)
              12: "startWith": strings have no method `startWith`; did you mean `startsWith`?
              42: "startsWith": `startsWith` takes one value, and here are 0
              81: "1": `startsWith` needs a string, and `1` is a number
            load_1m.contains('x')
              0: "load_1m": `contains` needs a string, and `load_1m` is a number
            labels.rack.matches(labels.site)
              20: "labels.site": the pattern of `matches` is a string in quotes
            labels.rack.matches('(')
              20: "'('": this pattern is none: found open group without closing ')'
            rate(load_1m) > 1 || averag(gpu_power_watts) > 1
              0: "rate(load_1m)": there is no function `rate`
              21: "averag(gpu_power_watts)": there is no function `averag`
            abs(1, 2) == 1 || round() == 1 || size(1) == 1
              0: "abs(1, 2)": `abs` takes one value, and here are 2
              18: "round()": `round` takes one value, and here are 0
              39: "1": `size` needs a string or a list, and `1` is a number
            has(load_1m > 1)
              4: "load_1m > 1": `has` asks whether a name has a value: write has(labels.rack) or has(score)
        "#]],
    );
}

#[test]
fn instances_are_never_mixed_up_silently() {
    mistakes(
        None,
        &[
            "gpu_temperature_celsius > 85",
            "gpu_row_remap_pending",
            "nvlink_active",
            "instance == '0'",
            "max(load_1m) > 1",
            "count(true) == 1",
            "any(check.gpu_ecc == 'critical')",
            "max(max(gpu_power_watts)) > 1",
            "any(gpu_power_watts > filesystem_used_percent)",
            "max(gpu_row_remap_pending) > 0",
            "any(gpu_power_watts)",
            "sum(labels.rack) == 1",
            "max(gpu_power_watts, 1) > 1",
        ],
        &expect![[r#"
            gpu_temperature_celsius > 85
              0: "gpu_temperature_celsius": `gpu_temperature_celsius` has a value per GPU: write max(gpu_temperature_celsius), or give the rule `each: gpu`
            gpu_row_remap_pending
              0: "gpu_row_remap_pending": `gpu_row_remap_pending` has a value per GPU: write any(gpu_row_remap_pending), or give the rule `each: gpu`
            nvlink_active
              0: "nvlink_active": `nvlink_active` has a value per NVLink: write any(nvlink_active), or give the rule `each: nv_link`
            instance == '0'
              0: "instance": `instance` is the name of the current instance, and there is none: give the rule `each`, or use it inside any(…) or count(…)
            max(load_1m) > 1
              0: "max(load_1m)": `max` is over instances, and `load_1m` names no metric that has some, or give it more values
            count(true) == 1
              0: "count(true)": `count` is over instances, and `true` names no metric that has some
            any(check.gpu_ecc == 'critical')
              0: "any(check.gpu_ecc == 'critical')": `any` is over instances, and `check.gpu_ecc == "critical"` names no metric that has some
            max(max(gpu_power_watts)) > 1
              4: "max(gpu_power_watts)": `max` cannot be inside of another aggregate
            any(gpu_power_watts > filesystem_used_percent)
              22: "filesystem_used_percent": `filesystem_used_percent` has a value per filesystem and `gpu_power_watts` one per GPU: an aggregate is over one kind only
            max(gpu_row_remap_pending) > 0
              4: "gpu_row_remap_pending": `max` needs a number, and `gpu_row_remap_pending` is true or false: write any(gpu_row_remap_pending), all(gpu_row_remap_pending) or count(gpu_row_remap_pending)
            any(gpu_power_watts)
              4: "gpu_power_watts": `any` needs a condition, and `gpu_power_watts` is a number: compare it, as in gpu_power_watts > 0
            sum(labels.rack) == 1
              4: "labels.rack": `sum` needs a number, and `labels.rack` is a string
            max(gpu_power_watts, 1) > 1
              4: "gpu_power_watts": `gpu_power_watts` has a value per GPU: write max(gpu_power_watts), or give the rule `each: gpu`
        "#]],
    );
    mistakes(
        Some(InstanceKind::Gpu),
        &["filesystem_used_percent > 85", "gpu_power_watts > 1 && nvlink_active"],
        &expect![[r#"
            filesystem_used_percent > 85
              0: "filesystem_used_percent": `filesystem_used_percent` has a value per filesystem, and this rule is for each GPU: write max(filesystem_used_percent)
            gpu_power_watts > 1 && nvlink_active
              23: "nvlink_active": `nvlink_active` has a value per NVLink, and this rule is for each GPU: write any(nvlink_active)
        "#]],
    );
}

#[test]
fn texts_are_bounded() {
    let refused = |text: &str| {
        let mistakes = Expression::compile(text, None).expect_err("too much");
        mistakes[0].message.clone()
    };
    let too_long = "a rule may have 4096 bytes at most";
    let too_deep = "this is nested more than 64 levels deep";
    assert_eq!(refused(&" ".repeat(4097)), too_long);
    // It is printed with blanks.
    assert_eq!(refused(&vec!["1<2"; 800].join("||")), too_long);
    assert!(Expression::compile(&vec!["1<2"; 400].join("||"), None).is_ok());
    assert_eq!(refused(&format!("{}true{}", "(".repeat(64), ")".repeat(64))), too_deep);
    assert!(
        Expression::compile(&format!("{}true{}", "(".repeat(63), ")".repeat(63)), None).is_ok()
    );
    for text in ["!", "-", "[", "1+", "true?true:", "size(", "!("] {
        assert_eq!(refused(&text.repeat(4000 / text.len())), too_deep, "{text}");
    }
    assert_eq!(refused(&format!("labels{}", ".a".repeat(1000))), too_deep);
    assert_eq!(refused(&format!("1{}", "+1".repeat(1000))), too_deep);
    let pattern = "labels.rack.matches('a')";
    assert!(Expression::compile(&[pattern; 4].join("||"), None).is_ok());
    assert_eq!(refused(&[pattern; 5].join("||")), "more than 4 patterns in one rule");
    let large = refused("labels.rack.matches('(x{1,900}){1,900}')");
    assert!(large.starts_with("this pattern is none: "), "{large}");
    let many = vec!["x"; 800].join("||");
    assert_eq!(Expression::compile(&many, None).expect_err("no names").len(), 16);
}
