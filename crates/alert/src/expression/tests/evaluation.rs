use expect_test::{Expect, expect};

use super::*;
use crate::expression::names::kind_words;

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
fn a_clock_shows_the_time_of_its_zone() {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-2));
    // A Thursday at midnight, in Greenwich.
    let now = Now::at(Timestamp::from_unix_ms(5 * 60_000), &zone);
    assert_eq!(now, Now { hour: 22, minute: 5, weekday: 3 });
}
