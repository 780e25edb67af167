//! What holds of comparing peers, whatever is measured.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sickbay_engine::outlier::{GroupOutcome, PeerMetric, PeerWindow};

use crate::peers::{Job, Moment, search, usual};

/// What a member does: how its clock, power and temperature differ from the usual, for how many
/// minutes, and whether it is measured.
fn member() -> impl Strategy<Value = [f64; 5]> {
    let share = || prop_oneof![3 => Just(1.0), 1 => 0.2..2.0_f64];
    (share(), share(), share(), 0.0..17.0_f64, prop_oneof![9 => Just(1.0), 1 => Just(f64::NAN)])
        .prop_map(|(clock, power, temperature, minutes, measured)| {
            [clock, power, temperature, minutes, measured]
        })
}

fn value(does: &[f64; 5], at: Moment, metric: PeerMetric) -> f64 {
    let [clock, power, temperature, minutes, measured] = *does;
    let departs = f64::from(at.minute) < minutes;
    let share = match metric {
        PeerMetric::Clock if departs => clock,
        PeerMetric::Power if departs => power,
        PeerMetric::Temperature if departs => temperature,
        _ => 1.0,
    };
    usual(metric) * share * measured
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whoever is named was compared, departs far enough the bad way and for long enough, and is one
    /// of few.
    #[test]
    fn who_is_named_deserves_it(all in proptest::collection::vec(member(), 3..20)) {
        let job = Job::new(all.len() as u64, 1);
        let script = |at: Moment, metric| match all.get(usize::try_from(at.node).unwrap_or(0)) {
            Some(does) => value(does, at, metric),
            None => f64::NAN,
        };
        let (windows, now) = job.windows(script);
        for (group, verdict) in search(&job.policy, &windows, now) {
            let named = verdict.outliers.len();
            prop_assert!(named == 0 || verdict.outcome == GroupOutcome::Compared);
            prop_assert!(verdict.compared.iter().all(|it| group.members.contains(it)));
            for outlier in &verdict.outliers {
                prop_assert!(verdict.compared.contains(&outlier.member));
                for it in &outlier.departures {
                    prop_assert!((10..=15).contains(&it.minutes), "{it:?}");
                    prop_assert!(it.score >= job.policy.score - 1e-3, "{it:?}");
                    prop_assert!(it.peers >= 3 && it.low <= it.median && it.median <= it.high);
                    let bad = match it.metric {
                        PeerMetric::Temperature | PeerMetric::StepTime => it.value > it.median,
                        _ => it.value < it.median,
                    };
                    prop_assert!(bad, "{it:?}");
                }
            }
            for metric in PeerMetric::OF_GPU {
                let by = |it: &&sickbay_engine::outlier::Outlier| {
                    it.departures.iter().any(|it| it.metric == metric)
                };
                // In each minute less than a third depart; over a window of which two thirds must
                // be held, that is half at the most.
                prop_assert!(2 * verdict.outliers.iter().filter(by).count() <= group.members.len());
            }
        }
    }

    /// Members in another order, under other numbers: the same are named for the same.
    #[test]
    fn order_and_numbers_change_nothing(
        all in proptest::collection::vec(member(), 6..16),
        seed in any::<u64>(),
    ) {
        let job = Job::new(all.len() as u64, 1);
        let script = |at: Moment, metric| match all.get(usize::try_from(at.node).unwrap_or(0)) {
            Some(does) => value(does, at, metric),
            None => f64::NAN,
        };
        let (windows, now) = job.windows(script);
        // Odd, so that no two numbers fall together.
        let moved = |node: u64| (node + 1).wrapping_mul(seed | 1);
        let others: BTreeMap<u64, PeerWindow> =
            windows.iter().map(|(node, window)| (moved(*node), window.clone())).collect();
        let named = |windows: &BTreeMap<u64, PeerWindow>, number: &dyn Fn(u64) -> u64| {
            let all = search(&job.policy, windows, now).into_iter();
            let mut named: Vec<_> = all
                .flat_map(|(group, verdict)| {
                    let outcome = format!("{:?}", verdict.outcome);
                    verdict.outliers.into_iter().map(move |it| (group.model.clone(), outcome.clone(), it))
                })
                .map(|(model, outcome, it)| {
                    (number(it.member.node), format!("{model:?} {outcome} {:?}", it.departures))
                })
                .collect();
            named.sort();
            named
        };
        prop_assert_eq!(named(&windows, &moved), named(&others, &|node| node));
    }
}
