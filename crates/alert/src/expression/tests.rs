use expect_test::{Expect, expect};
use proptest::prelude::*;
use sickbay_model::{
    Frame, FrameBuilder, InstanceKind, Level, MetricId, Status, Timestamp, catalogue,
};

use super::names::kind_words;
use super::*;
use crate::Labels;

/// Readings of a node with four GPUs, of which one says less, and two filesystems.
fn readings() -> Vec<(&'static str, &'static str, f64)> {
    vec![
        ("cpu_used_percent", "", 12.5),
        ("cpu_cores", "", 64.0),
        ("memory_available_bytes", "", 2.5e11),
        ("load_1m", "", 0.0),
        ("gpu_temperature_celsius", "0", 60.0),
        ("gpu_temperature_celsius", "1", 91.0),
        ("gpu_temperature_celsius", "2", 61.0),
        ("gpu_utilization_percent", "0", 100.0),
        ("gpu_utilization_percent", "1", 2.0),
        ("gpu_utilization_percent", "2", 98.0),
        ("gpu_utilization_percent", "3", 0.0),
        ("gpu_power_watts", "3", 80.0),
        ("gpu_row_remap_pending", "0", 0.0),
        ("gpu_row_remap_pending", "1", 1.0),
        ("filesystem_used_percent", "/", 40.0),
        ("filesystem_used_percent", "/data", 93.0),
        ("filesystem_read_only", "/", 0.0),
        ("filesystem_read_only", "/data", 0.0),
    ]
}

fn frame(readings: &[(&str, &str, f64)]) -> Frame {
    let mut builder = FrameBuilder::new();
    for (name, instance, value) in readings {
        let def = catalogue::by_name(name).expect(name);
        assert!(builder.put(def.id, instance, *value), "{name}");
    }
    builder.finish(Timestamp::EPOCH).0
}

fn checks() -> Checks<'static> {
    let state = |check, instance, status| CheckState { check, instance, status };
    [
        state("gpu_ecc", "0", Status::Healthy),
        state("gpu_ecc", "1", Status::Critical),
        state("gpu_ecc", "2", Status::Unknown),
        state("memory", "", Status::Degraded),
        state("cpu", "", Status::Unknown),
    ]
    .into_iter()
    .collect()
}

fn labels() -> Labels {
    [("rack", "r7"), ("site", "Zürich")].into_iter().collect()
}

/// Evaluates against a frame.
fn on(frame: &Frame, expression: &Expression, instance: Option<(&str, usize)>) -> String {
    let (labels, checks) = (labels(), checks());
    match expression.evaluate(&scope(frame, &labels, &checks), instance) {
        Outcome::True => "true".to_owned(),
        Outcome::False => "false".to_owned(),
        Outcome::NoData(missing) => missing.to_string(),
    }
}

fn scope<'a>(frame: &'a Frame, labels: &'a Labels, checks: &'a Checks<'a>) -> Scope<'a> {
    let now = Now { hour: 23, minute: 5, weekday: 6 };
    let (score, job_active, ready) = (Some(59.0), Some(true), None);
    Scope { frame, labels, checks, level: Level::Unhealthy, score, job_active, ready, now }
}

fn compiled(text: &str, each: Option<InstanceKind>) -> Expression {
    Expression::compile(text, each)
        .unwrap_or_else(|mistakes| panic!("{text}: {}", told(text, &mistakes)))
}

/// The outcome of each text, one a line.
fn table(each: Option<(InstanceKind, &str)>, texts: &[&str], expected: &Expect) {
    let frame = frame(&readings());
    let lines = texts.iter().map(|text| {
        let expression = compiled(text, each.map(|it| it.0));
        let outcome = on(&frame, &expression, each.map(|it| (it.1, 0)));
        format!("{text}  =>  {outcome}\n")
    });
    expected.assert_eq(&lines.collect::<String>());
}

/// Mistakes as they are shown to a person.
fn told(text: &str, mistakes: &[Mistake]) -> String {
    let one = |mistake: &Mistake| {
        let at = text.get(mistake.at.clone()).expect("a part of the text");
        format!("  {}: {at:?}: {}\n", mistake.at.start, mistake.message)
    };
    mistakes.iter().map(one).collect()
}

fn mistakes(each: Option<InstanceKind>, texts: &[&str], expected: &Expect) {
    let lines = texts.iter().map(|text| {
        let mistakes = Expression::compile(text, each).expect_err(text);
        format!("{text}\n{}", told(text, &mistakes))
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn what_is_printed_has_only_the_parentheses_it_needs() {
    let lines = [
        "1+2*3==7&&!(true||false)",
        "(1+2)*3 == 9",
        "1-(2-3)-4 == 0.0",
        "((1 - 2) - 3) / (4 / 5) % 6 < -(-7)",
        "true || false && true",
        "(true || false) && (true && false) && true",
        "true ? false : true ? false : true",
        "(true ? false : true) ? false : (1 < 2 ? true : false)",
        "(1 < 2) == (3 >= 4)",
        "! ! (1 != 2)",
        "-load_1m * -2 > 1e3 || 1.50 == 0.000001 || 123456789012345678 > .5",
        "labels['rack'] in [\"r1\", r'r\\d', 'it\\'s\\n\\u0007\"',]",
        "labels[\"a b\"].startsWith(labels['in']) // why\n && has(labels[\"x\"])",
        "max( gpu_temperature_celsius,\n) > max(1, 2 + 3)",
        "(labels.rack).size() + size(\"a\") + size([1, 2]) == 3",
        "now.hour >= 22 || now.weekday in [6, 7]",
    ];
    let printed = |text: &str| {
        let expression = compiled(text, None);
        assert_eq!(compiled(&expression.to_string(), None), expression);
        format!("{expression}\n")
    };
    expect![[r#"
        1 + 2 * 3 == 7 && !(true || false)
        (1 + 2) * 3 == 9
        1 - (2 - 3) - 4 == 0
        (1 - 2 - 3) / (4 / 5) % 6 < --7
        true || false && true
        (true || false) && true && false && true
        true ? false : true ? false : true
        (true ? false : true) ? false : 1 < 2 ? true : false
        (1 < 2) == (3 >= 4)
        !!(1 != 2)
        -load_1m * -2 > 1000 || 1.5 == 1e-6 || 1.2345678901234568e17 > 0.5
        labels.rack in ["r1", "r\\d", "it's\n\u0007\""]
        labels["a b"].startsWith(labels["in"]) && has(labels.x)
        max(gpu_temperature_celsius) > max(1, 2 + 3)
        labels.rack.size() + size("a") + size([1, 2]) == 3
        now.hour >= 22 || now.weekday in [6, 7]
    "#]]
    .assert_eq(&lines.into_iter().map(printed).collect::<String>());
}

#[test]
fn operators_do_what_they_do_in_cel() {
    table(
        None,
        &[
            "1 + 2 * 3 == 7",
            "7 / 2 == 3.5",
            "-7 % 4 == -3",
            "2 - 3 - 4 == -5",
            "1 <= 1 && 1 >= 1 && !(1 < 1) && !(1 > 1) && 1 != 2",
            "true ? false : true",
            "(1 < 2) == true",
            "2 in [1, 2] && !(3 in [1, 2])",
            "'a' != \"a\"",
            "abs(-2) == 2 && round(2.5) == 3 && round(-2.5) == -3",
            "min(3, 1, 2) == 1 && max(3, 1, 2) == 3",
            "labels.rack == 'r7' && labels.none == ''",
            "labels.site.startsWith('Z') && labels.site.endsWith('ich') && labels.site.contains('ü')",
            "labels.site.size() == 6 && size(labels.site) == 6",
            r"labels.rack.matches('^r[0-9]+$') && labels.rack.matches('7') && !labels.rack.matches(r'\s')",
            "has(labels.rack) && !has(labels.none)",
            "level == 'unhealthy' && score < 60 && job_active",
            "now.hour == 23 && now.minute == 5 && now.weekday == 6",
            "check.gpu_ecc == 'critical'",
            "check['memory'] in ['degraded', 'unhealthy']",
            "check.cpu == 'unknown'",
            "(job_active ? labels.rack : labels.site) == 'r7'",
            "(job_active ? 1 : 2) == 1",
        ],
        &expect![[r#"
            1 + 2 * 3 == 7  =>  true
            7 / 2 == 3.5  =>  true
            -7 % 4 == -3  =>  true
            2 - 3 - 4 == -5  =>  true
            1 <= 1 && 1 >= 1 && !(1 < 1) && !(1 > 1) && 1 != 2  =>  true
            true ? false : true  =>  false
            (1 < 2) == true  =>  true
            2 in [1, 2] && !(3 in [1, 2])  =>  true
            'a' != "a"  =>  false
            abs(-2) == 2 && round(2.5) == 3 && round(-2.5) == -3  =>  true
            min(3, 1, 2) == 1 && max(3, 1, 2) == 3  =>  true
            labels.rack == 'r7' && labels.none == ''  =>  true
            labels.site.startsWith('Z') && labels.site.endsWith('ich') && labels.site.contains('ü')  =>  true
            labels.site.size() == 6 && size(labels.site) == 6  =>  true
            labels.rack.matches('^r[0-9]+$') && labels.rack.matches('7') && !labels.rack.matches(r'\s')  =>  true
            has(labels.rack) && !has(labels.none)  =>  true
            level == 'unhealthy' && score < 60 && job_active  =>  true
            now.hour == 23 && now.minute == 5 && now.weekday == 6  =>  true
            check.gpu_ecc == 'critical'  =>  true
            check['memory'] in ['degraded', 'unhealthy']  =>  true
            check.cpu == 'unknown'  =>  true
            (job_active ? labels.rack : labels.site) == 'r7'  =>  true
            (job_active ? 1 : 2) == 1  =>  true
        "#]],
    );
}

#[test]
fn without_each_metrics_of_instances_are_put_together() {
    table(
        None,
        &[
            "max(gpu_temperature_celsius) == 91 && min(gpu_temperature_celsius) == 60",
            "avg(gpu_utilization_percent) == 50 && sum(gpu_utilization_percent) == 200",
            "count(gpu_temperature_celsius) == 3",
            "count(gpu_utilization_percent < 5) == 2",
            "any(gpu_temperature_celsius > 90) && all(gpu_temperature_celsius >= 60)",
            "any(gpu_temperature_celsius > 91)",
            "any(gpu_temperature_celsius > 90 && gpu_utilization_percent < 5)",
            "any(gpu_row_remap_pending) && !all(gpu_row_remap_pending)",
            "max(gpu_temperature_celsius - cpu_used_percent) == 78.5",
            "any(instance == '/data' && filesystem_used_percent > 90)",
            "any(check.gpu_ecc == 'critical' && gpu_temperature_celsius > 90)",
            "any(check.gpu_ecc == 'critical' && gpu_temperature_celsius < 90)",
            // Only for those that have a value, unless it asks.
            "all(gpu_temperature_celsius > 0)",
            "all(has(gpu_temperature_celsius))",
            "count(!has(gpu_temperature_celsius)) == 1",
            "count(gpu_temperature_celsius > 0 || gpu_power_watts > 0) == 4",
            // None at all.
            "max(temperature_celsius) > 1",
            "count(temperature_celsius) == 0",
            "any(has(temperature_celsius))",
            "any(gpu_temperature_celsius > uptime_seconds)",
        ],
        &expect![[r#"
            max(gpu_temperature_celsius) == 91 && min(gpu_temperature_celsius) == 60  =>  true
            avg(gpu_utilization_percent) == 50 && sum(gpu_utilization_percent) == 200  =>  true
            count(gpu_temperature_celsius) == 3  =>  true
            count(gpu_utilization_percent < 5) == 2  =>  true
            any(gpu_temperature_celsius > 90) && all(gpu_temperature_celsius >= 60)  =>  true
            any(gpu_temperature_celsius > 91)  =>  false
            any(gpu_temperature_celsius > 90 && gpu_utilization_percent < 5)  =>  true
            any(gpu_row_remap_pending) && !all(gpu_row_remap_pending)  =>  true
            max(gpu_temperature_celsius - cpu_used_percent) == 78.5  =>  true
            any(instance == '/data' && filesystem_used_percent > 90)  =>  true
            any(check.gpu_ecc == 'critical' && gpu_temperature_celsius > 90)  =>  true
            any(check.gpu_ecc == 'critical' && gpu_temperature_celsius < 90)  =>  false
            all(gpu_temperature_celsius > 0)  =>  true
            all(has(gpu_temperature_celsius))  =>  false
            count(!has(gpu_temperature_celsius)) == 1  =>  true
            count(gpu_temperature_celsius > 0 || gpu_power_watts > 0) == 4  =>  true
            max(temperature_celsius) > 1  =>  no value of temperature_celsius
            count(temperature_celsius) == 0  =>  no value of temperature_celsius
            any(has(temperature_celsius))  =>  no value of temperature_celsius
            any(gpu_temperature_celsius > uptime_seconds)  =>  no value of uptime_seconds
        "#]],
    );
}

#[test]
fn with_each_they_are_the_instance_s() {
    let texts = [
        "gpu_temperature_celsius > 90",
        "gpu_temperature_celsius > avg(gpu_temperature_celsius) + 10",
        "gpu_row_remap_pending",
        "instance == '1'",
        "check.gpu_ecc == 'critical'",
        "check.memory == 'degraded'",
        "has(gpu_power_watts)",
        "cpu_used_percent < 50",
        "max(filesystem_used_percent) > 90",
    ];
    table(
        Some((InstanceKind::Gpu, "1")),
        &texts,
        &expect![[r#"
        gpu_temperature_celsius > 90  =>  true
        gpu_temperature_celsius > avg(gpu_temperature_celsius) + 10  =>  true
        gpu_row_remap_pending  =>  true
        instance == '1'  =>  true
        check.gpu_ecc == 'critical'  =>  true
        check.memory == 'degraded'  =>  true
        has(gpu_power_watts)  =>  false
        cpu_used_percent < 50  =>  true
        max(filesystem_used_percent) > 90  =>  true
    "#]],
    );
    table(
        Some((InstanceKind::Gpu, "3")),
        &texts,
        &expect![[r#"
        gpu_temperature_celsius > 90  =>  no value of gpu_temperature_celsius
        gpu_temperature_celsius > avg(gpu_temperature_celsius) + 10  =>  no value of gpu_temperature_celsius
        gpu_row_remap_pending  =>  no value of gpu_row_remap_pending
        instance == '1'  =>  false
        check.gpu_ecc == 'critical'  =>  no answer of check gpu_ecc
        check.memory == 'degraded'  =>  true
        has(gpu_power_watts)  =>  true
        cpu_used_percent < 50  =>  true
        max(filesystem_used_percent) > 90  =>  true
    "#]],
    );
}

#[test]
fn what_is_missing_is_never_false() {
    table(
        None,
        &[
            "uptime_seconds > 1",
            "!(uptime_seconds > 1)",
            "uptime_seconds > 1 || swap_used_percent > 1",
            "uptime_seconds > 1 && false",
            "false && uptime_seconds > 1",
            "uptime_seconds > 1 && true",
            "uptime_seconds > 1 || true",
            "uptime_seconds > 1 || false",
            "uptime_seconds in [1, 2]",
            "1 in [uptime_seconds, 1]",
            "2 in [uptime_seconds, 1]",
            "uptime_seconds > 1 ? true : true",
            "has(uptime_seconds) && uptime_seconds > 1",
            "!has(uptime_seconds)",
            "max(uptime_seconds, 1) > 0",
            "check.none == 'healthy'",
            "check.none != 'healthy'",
            "!has(check.none)",
            "ready",
            "ready || true",
            "cpu_used_percent / load_1m > 1",
            "1e300 * 1e300 > 1",
        ],
        &expect![[r#"
            uptime_seconds > 1  =>  no value of uptime_seconds
            !(uptime_seconds > 1)  =>  no value of uptime_seconds
            uptime_seconds > 1 || swap_used_percent > 1  =>  no value of uptime_seconds
            uptime_seconds > 1 && false  =>  false
            false && uptime_seconds > 1  =>  false
            uptime_seconds > 1 && true  =>  no value of uptime_seconds
            uptime_seconds > 1 || true  =>  true
            uptime_seconds > 1 || false  =>  no value of uptime_seconds
            uptime_seconds in [1, 2]  =>  no value of uptime_seconds
            1 in [uptime_seconds, 1]  =>  true
            2 in [uptime_seconds, 1]  =>  no value of uptime_seconds
            uptime_seconds > 1 ? true : true  =>  no value of uptime_seconds
            has(uptime_seconds) && uptime_seconds > 1  =>  false
            !has(uptime_seconds)  =>  true
            max(uptime_seconds, 1) > 0  =>  no value of uptime_seconds
            check.none == 'healthy'  =>  no answer of check none
            check.none != 'healthy'  =>  no answer of check none
            !has(check.none)  =>  true
            ready  =>  not known whether the node is ready
            ready || true  =>  true
            cpu_used_percent / load_1m > 1  =>  a calculation without a result
            1e300 * 1e300 > 1  =>  a calculation without a result
        "#]],
    );
}

#[test]
fn a_rule_for_each_without_an_instance_knows_nothing() {
    let expression = compiled("gpu_temperature_celsius > 90", Some(InstanceKind::Gpu));
    assert_eq!(on(&frame(&readings()), &expression, None), "no instance was given");
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

#[test]
fn an_alert_is_explained_by_what_its_rule_read() {
    let text = "gpu_temperature_celsius > 85 && max(gpu_temperature_celsius) > 85 \
                && any(gpu_utilization_percent < 5) && count(gpu_utilization_percent < 50) > 1 \
                && all(gpu_temperature_celsius > 60) && memory_available_bytes > 1 \
                && avg(gpu_utilization_percent) > 2 && labels.rack == labels.none \
                && check.gpu_ecc != level && (ready || job_active) && now.hour > 3 && score < 60 \
                && uptime_seconds > 3 && instance == '1' && gpu_temperature_celsius < 100";
    let expression = compiled(text, Some(InstanceKind::Gpu));
    let (frame, labels, checks) = (frame(&readings()), labels(), checks());
    let evidence = expression.evidence(&scope(&frame, &labels, &checks), Some(("1", 1)));
    let lines: String = evidence.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    expect![[r#"
        gpu_temperature_celsius: 91 °C
        max(gpu_temperature_celsius): 91 °C (1)
        any(gpu_utilization_percent < 5): true (1, 3)
        count(gpu_utilization_percent < 50): 2 (1, 3)
        all(gpu_temperature_celsius > 60): false (0)
        memory_available_bytes: 250 GB
        avg(gpu_utilization_percent): 50 %
        labels.rack: r7
        labels.none: not set
        check.gpu_ecc: critical
        level: unhealthy
        ready: no data (not known whether the node is ready)
        job_active: true
        now.hour: 23
        score: 59
        uptime_seconds: no data (no value of uptime_seconds)
        instance: 1
    "#]]
    .assert_eq(&lines);
    assert_eq!(
        expression.metrics(),
        [
            catalogue::MEMORY_AVAILABLE,
            catalogue::UPTIME,
            catalogue::GPU_UTILIZATION,
            catalogue::GPU_TEMPERATURE,
            catalogue::SCORE,
        ]
    );
    assert_eq!(expression.checks()[0].name, "gpu_ecc".into());
}

#[test]
fn the_instances_of_a_rule_are_those_with_a_value() {
    let frame = frame(&readings());
    let instances = |text: &str, each| {
        let mut all = Vec::new();
        compiled(text, each).for_each_instance(&frame, |name, place| all.push((name, place)));
        all
    };
    let gpu = Some(InstanceKind::Gpu);
    let temperatures = [("0", 0), ("1", 1), ("2", 2)];
    assert_eq!(instances("gpu_temperature_celsius > 1", gpu), temperatures);
    let either = "gpu_power_watts > 1 || gpu_temperature_celsius > 1";
    assert_eq!(instances(either, gpu), [("3", 0), ("0", 0), ("1", 1), ("2", 2)]);
    assert_eq!(instances("check.gpu_ecc == 'critical'", gpu).len(), 4);
    assert_eq!(instances("!has(gpu_temperature_celsius)", gpu).len(), 4);
    assert_eq!(instances("load_1m > 1", None), []);
    assert_eq!(instances("max(gpu_power_watts) > 1", None), []);
    assert_eq!(instances("load_1m > 1", Some(InstanceKind::Node)), []);
}

#[test]
fn kinds_are_written_as_in_the_catalogue() {
    for def in catalogue::ALL {
        let written = serde_json::to_value(def.instance).expect("a word");
        assert_eq!(written, kind_words(def.instance).0);
    }
}

#[test]
fn the_examples_that_users_read_compile() {
    let page = include_str!("../../../../docs/rules-language.md");
    let mut blocks = page.split("```text\n").skip(1);
    let examples = blocks.next().and_then(|block| block.split("```").next()).expect("examples");
    assert!(examples.lines().count() > 3);
    for example in examples.lines() {
        compiled(example, None);
    }
    let gpu = Some(InstanceKind::Gpu);
    for (example, each) in [
        ("gpu_temperature_celsius > avg(gpu_temperature_celsius) + 10", gpu),
        ("any(instance == \"/data\" && filesystem_used_percent > 90)", None),
        ("all(gpu_utilization_percent < 5)", None),
        ("all(has(gpu_utilization_percent) && gpu_utilization_percent < 5)", None),
        ("labels.rack in [\"r1\", \"r2\"]", None),
    ] {
        assert!(page.contains(&format!("`{example}`")), "{example}");
        compiled(example, each);
    }
}

#[test]
fn a_clock_shows_the_time_of_its_zone() {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-2));
    // A Thursday at midnight, in Greenwich.
    let now = Now::at(Timestamp::from_unix_ms(5 * 60_000), &zone);
    assert_eq!(now, Now { hour: 22, minute: 5, weekday: 3 });
}

/// A condition that compiles, without `has`, and what it needs to be known.
fn condition() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("cpu_used_percent".to_owned()),
        Just("uptime_seconds".to_owned()),
        Just("max(gpu_temperature_celsius)".to_owned()),
        Just("sum(gpu_power_watts + load_1m)".to_owned()),
        Just("count(gpu_utilization_percent < 5)".to_owned()),
        Just("score".to_owned()),
        (0..200_u8).prop_map(|number| number.to_string()),
        "[0-9]{1,3}\\.[0-9]{1,3}",
    ];
    let number = number.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), "[-+*/%]", inner.clone())
                .prop_map(|(a, op, b)| format!("({a}{op}{b})")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.clone().prop_map(|a| format!("abs({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("min({a}, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(job_active ? {a} : {b})")),
        ]
    });
    let comparison = (number.clone(), "<|<=|>|>=|==|!=", number.clone())
        .prop_map(|(a, op, b)| format!("{a} {op} {b}"));
    let truth = prop_oneof![
        comparison,
        (number.clone(), number).prop_map(|(a, b)| format!("{a} in [{b}, 1]")),
        Just("ready".to_owned()),
        Just("true".to_owned()),
        Just("any(gpu_row_remap_pending)".to_owned()),
        "labels\\.x[a-z]{0,4} == [\"][^\"\\\\\\r\\n]{0,4}[\"]",
        Just("check.gpu_ecc != 'healthy'".to_owned()),
        Just("level.contains('h')".to_owned()),
    ];
    truth.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), "&&|\\|\\|", inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) == ({b})")),
        ]
    })
}

fn without(metric: MetricId) -> Vec<(&'static str, &'static str, f64)> {
    let name = catalogue::find(metric).expect("known").name;
    readings().into_iter().filter(|it| it.0 != name).collect()
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in any::<String>()) {
        if let Err(mistakes) = Expression::compile(&text, None) {
            told(&text, &mistakes);
        }
    }

    #[test]
    fn no_row_of_words_breaks_it(
        words in proptest::collection::vec(prop::sample::select(vec![
            "(", ")", "[", "]", ",", ".", "!", "-", "&&", "||", "==", "<", "in", "+", "?", ":", "1", "'a'", "true",
            "load_1m", "gpu_power_watts", "labels", "rack", "check", "instance", "max", "any", "has", "size", "matches",
        ]), 0..20),
        each in prop::option::of(Just(InstanceKind::Gpu)),
    ) {
        let text = words.join(" ");
        match Expression::compile(&text, each) {
            Ok(expression) => prop_assert_eq!(&compiled(&expression.to_string(), each), &expression),
            Err(mistakes) => prop_assert!(!mistakes.is_empty() && !told(&text, &mistakes).is_empty()),
        }
    }

    #[test]
    fn what_is_printed_means_the_same(text in condition()) {
        let expression = compiled(&text, None);
        let again = compiled(&expression.to_string(), None);
        prop_assert_eq!(&again, &expression);
        let frame = frame(&readings());
        prop_assert_eq!(on(&frame, &again, None), on(&frame, &expression, None));
    }

    /// Losing readings makes a condition unknown, or leaves it as it was; it never turns it around.
    #[test]
    fn missing_data_never_changes_an_answer(text in condition()) {
        let expression = compiled(&text, None);
        let before = on(&frame(&readings()), &expression, None);
        for &metric in expression.metrics().iter().filter(|it| **it != catalogue::SCORE) {
            let after = on(&frame(&without(metric)), &expression, None);
            let is_known = after == "true" || after == "false";
            prop_assert!(!is_known || after == before, "{text}: {before}, then {after}");
        }
    }

    #[test]
    fn logic_is_kleene_s(one in condition(), other in condition()) {
        let frame = frame(&readings());
        let truth = |text: String| match on(&frame, &compiled(&text, None), None).as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        let (a, b) = (truth(one.clone()), truth(other.clone()));
        let both = truth(format!("({one}) && ({other})"));
        let either = truth(format!("({one}) || ({other})"));
        prop_assert_eq!(both, match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        });
        prop_assert_eq!(either, truth(format!("!(!({one}) && !({other}))")));
        prop_assert_eq!(both, truth(format!("({other}) && ({one})")));
        prop_assert_eq!(truth(format!("!({one})")), a.map(|a| !a));
    }
}
