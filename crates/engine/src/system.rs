//! The score of the whole system (seed 3): node availability, circuit health, error rate, recovery.
//!
//! Like a node's score it is a sum of rounded contributions, so that what is shown adds up; parts
//! that do not apply hand their weight to the others in proportion. It knows no caps: one dead node
//! of a thousand is that node's news, and shows in its own score.

use std::borrow::Cow;

use sickbay_model::Level;

use crate::Policy;
use crate::policy::Threshold;
use crate::score::{contribution_tenths, spread_weights, tenths};

/// What the whole system's score is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemInput {
    /// Every node that is expected to be there, known or not.
    pub nodes: Vec<NodeShare>,
    /// Breakers; none where nothing is behind a breaker.
    pub breakers: Option<BreakerCounts>,
    /// Checks in the window; none before the first.
    pub checks: Option<CheckCounts>,
    /// Recoveries; none where nothing recovers by itself.
    pub recoveries: Option<RecoveryCounts>,
}

/// What one node adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeShare {
    /// Whether work may be started on it.
    pub ready: bool,
    /// Its score; none while unknown.
    pub score: Option<f64>,
}

/// Breakers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerCounts {
    /// Closed: asking.
    pub closed: u32,
    /// Half-open: trying; counts half.
    pub half_open: u32,
    /// Open: not asking.
    pub open: u32,
}

/// Checks answered in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// Not healthy.
    pub failed: u32,
    /// All.
    pub total: u32,
}

/// Recoveries in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryCounts {
    /// Tried.
    pub attempted: u32,
    /// Tried with success.
    pub succeeded: u32,
}

/// Score of the whole system.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemScore {
    /// 0 to 100; none while no node could be judged.
    pub score: Option<f64>,
    /// What the score means.
    pub level: Level,
    /// The four parts, heaviest first.
    pub parts: Vec<SystemPart>,
}

/// One part of the system's score.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemPart {
    /// `node_availability`, `circuit_health`, `error_rate` or `recovery`.
    pub name: &'static str,
    /// Weight by the policy.
    pub nominal_weight: f64,
    /// Weight in force, one decimal; 0 if the part does not apply.
    pub weight: f64,
    /// 0 to 100; none if the part does not apply.
    pub points: Option<f64>,
    /// What it adds, one decimal.
    pub contribution: f64,
    /// Why.
    pub note: Cow<'static, str>,
}

type Points = (Option<f64>, Cow<'static, str>);

/// Scores the whole system. No node judged yet: no score, level unknown.
#[must_use]
pub fn system_score(policy: &Policy, input: &SystemInput) -> SystemScore {
    let weights = &policy.system_weights;
    let rows: [(&'static str, f64, Points); 4] = [
        ("node_availability", weights.node_availability, availability(&input.nodes)),
        ("circuit_health", weights.circuit_health, circuits(input.breakers)),
        ("error_rate", weights.error_rate, errors(&policy.thresholds.error_rate, input.checks)),
        ("recovery", weights.recovery, recovery(input.recoveries)),
    ];
    let applies = rows.each_ref().map(|(_, nominal, (points, _))| points.map(|_| *nominal));
    let spread = spread_weights(applies);
    let mut sum = 0;
    let mut parts = Vec::with_capacity(rows.len());
    for ((name, nominal_weight, (points, note)), weight) in rows.into_iter().zip(spread) {
        let contribution = contribution_tenths(weight, points.unwrap_or(0.0));
        sum += contribution;
        let (weight, contribution) = (tenths(weight), tenths(contribution));
        parts.push(SystemPart { name, nominal_weight, weight, points, contribution, note });
    }
    let judged = input.nodes.iter().any(|node| node.score.is_some());
    let score = judged.then(|| tenths(sum));
    SystemScore { score, level: score.map_or(Level::Unknown, Level::of_score), parts }
}

fn availability(nodes: &[NodeShare]) -> Points {
    if nodes.is_empty() {
        return (None, Cow::Borrowed("no nodes are expected"));
    }
    let ready = nodes.iter().filter(|node| node.ready).count();
    let sum: f64 =
        nodes.iter().filter(|node| node.ready).map(|node| node.score.unwrap_or(0.0)).sum();
    let points = (sum / as_f64(nodes.len())).clamp(0.0, 100.0);
    (Some(points), Cow::Owned(format!("{ready} of {} nodes are ready", nodes.len())))
}

fn circuits(breakers: Option<BreakerCounts>) -> Points {
    let counts = breakers.unwrap_or_default();
    let total = f64::from(counts.closed) + f64::from(counts.half_open) + f64::from(counts.open);
    if total == 0.0 {
        return (None, Cow::Borrowed("nothing is behind a breaker"));
    }
    let points = 100.0 * (f64::from(counts.closed) + 0.5 * f64::from(counts.half_open)) / total;
    let note = format!("{} of {total:.0} breakers are closed", counts.closed);
    (Some(points), Cow::Owned(note))
}

/// Full marks at no errors, falling to the lines of the levels at the thresholds.
fn errors(threshold: &Threshold, checks: Option<CheckCounts>) -> Points {
    let counts = checks.unwrap_or_default();
    if counts.total == 0 {
        return (None, Cow::Borrowed("no check was answered yet"));
    }
    let rate = (f64::from(counts.failed) / f64::from(counts.total)).clamp(0.0, 1.0);
    let note = format!("{} of {} checks failed", counts.failed, counts.total);
    (Some(threshold.points_falling_from_zero(rate, 1.0)), Cow::Owned(note))
}

fn recovery(recoveries: Option<RecoveryCounts>) -> Points {
    let Some(counts) = recoveries else {
        return (None, Cow::Borrowed("nothing recovers by itself here"));
    };
    if counts.attempted == 0 {
        return (Some(100.0), Cow::Borrowed("there was nothing to recover"));
    }
    let succeeded = counts.succeeded.min(counts.attempted);
    let points = 100.0 * f64::from(succeeded) / f64::from(counts.attempted);
    let note = format!("{succeeded} of {} recoveries succeeded", counts.attempted);
    (Some(points), Cow::Owned(note))
}

#[expect(clippy::cast_precision_loss, reason = "no fleet has 2^53 nodes")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: bool, score: f64) -> NodeShare {
        NodeShare { ready, score: Some(score) }
    }

    #[test]
    fn parts_add_up_to_the_score() {
        let full = SystemInput {
            nodes: vec![
                node(true, 100.0),
                node(true, 80.0),
                node(false, 30.0),
                NodeShare::default(),
            ],
            breakers: Some(BreakerCounts { closed: 8, half_open: 1, open: 1 }),
            checks: Some(CheckCounts { failed: 3, total: 10 }),
            recoveries: Some(RecoveryCounts { attempted: 4, succeeded: 3 }),
        };
        let nothing_failed = SystemInput {
            nodes: vec![node(true, 100.0)],
            checks: Some(CheckCounts { failed: 0, total: 10 }),
            ..SystemInput::default()
        };
        for (what, input, points, score) in [
            ("all four parts", full, [Some(45.0), Some(85.0), Some(79.0), Some(75.0)], Some(66.4)),
            ("two of them", nothing_failed, [Some(100.0), None, Some(100.0), None], Some(100.0)),
            ("nothing at all", SystemInput::default(), [None; 4], None),
            (
                "a node that was never judged",
                SystemInput { nodes: vec![NodeShare::default()], ..SystemInput::default() },
                [Some(0.0), None, None, None],
                None,
            ),
        ] {
            let result = system_score(&Policy::default(), &input);
            assert_eq!(result.score, score, "{what}");
            assert_eq!(result.level, score.map_or(Level::Unknown, Level::of_score), "{what}");
            let got: Vec<_> = result.parts.iter().map(|part| part.points).collect();
            assert_eq!(got, points, "{what}");
            let sum: f64 = result.parts.iter().map(|part| part.contribution).sum();
            assert!(score.is_none_or(|score| (sum - score).abs() < 1e-9), "{what}: {sum}");
        }
    }
}
