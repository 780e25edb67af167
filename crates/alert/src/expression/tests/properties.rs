use proptest::prelude::*;
use sickbay_model::MetricId;

use super::*;

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
