use expect_test::expect;

use super::*;

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
fn the_examples_that_users_read_compile() {
    let page = include_str!("../../../../../docs/rules-language.md");
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
