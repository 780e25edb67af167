//! Conditions of alert rules: what compiles is printed so that it compiles to the same, and evaluating
//! it ends the same way.

use sickbay_alert::{Checks, Expression, Labels, Now, Outcome, Scope};
use sickbay_model::{Frame, FrameBuilder, InstanceKind, Level, Timestamp, catalogue};

/// The first byte says which kind of instance the rule is for, and how much was measured.
pub fn rule(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let each = match first % 4 {
        0 | 1 => None,
        2 => Some(InstanceKind::Gpu),
        _ => Some(InstanceKind::Filesystem),
    };
    let expression = match Expression::compile(text, each) {
        Ok(expression) => expression,
        Err(mistakes) => {
            assert!((1..=Expression::MAX_MISTAKES).contains(&mistakes.len()));
            for mistake in &mistakes {
                assert!(text.get(mistake.at.clone()).is_some(), "{mistake:?}");
                assert!(!mistake.message.is_empty() && mistake.message.len() <= 2048);
            }
            return;
        }
    };
    let printed = expression.to_string();
    let again = Expression::compile(&printed, each).expect("what is printed compiles");
    assert_eq!(again.to_string(), printed);
    let frame = frame(u16::from(first / 4));
    let (labels, checks) = ([("rack", "r7")].into_iter().collect::<Labels>(), Checks::default());
    let scope = Scope {
        frame: &frame,
        labels: &labels,
        checks: &checks,
        level: Level::Degraded,
        score: Some(70.0),
        job_active: None,
        ready: Some(true),
        now: Now { hour: 3, minute: 0, weekday: 7 },
    };
    let ends = |instance| {
        let outcome = expression.evaluate(&scope, instance);
        assert_eq!(outcome, again.evaluate(&scope, instance));
        if let Outcome::NoData(missing) = outcome {
            assert!(!missing.to_string().is_empty());
        }
        for (name, value) in expression.evidence(&scope, instance) {
            assert!(!name.is_empty() && !value.is_empty());
        }
    };
    ends(None);
    expression.for_each_instance(&frame, |name, place| ends(Some((name, place))));
}

/// Every metric but those that a step leaves out, of some instances.
fn frame(left_out: u16) -> Frame {
    let mut builder = FrameBuilder::new();
    for def in catalogue::ALL.iter().filter(|def| def.id.0 % 7 != left_out % 8) {
        let instances: &[&str] = match def.instance {
            InstanceKind::Node => &[""],
            InstanceKind::Filesystem => &["/", "/data"],
            _ => &["0", "1", "2"],
        };
        for instance in instances {
            builder.put(def.id, instance, def.min.max(f64::from(def.id.0 % 90)).min(def.max));
        }
    }
    builder.finish(Timestamp::EPOCH).0
}
