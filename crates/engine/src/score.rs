//! From checks to a score, with sums that add up.
//!
//! A part's points are the plain mean of its checks' points: simple to retrace, and monotone. It is
//! the caps that see to it that one dead thing among many is not averaged away. Only confirmed
//! findings cap (proof is confirmed at once): a first sighting shows in the points, but does not
//! throw the node into another level.
//!
//! Weights and contributions are kept in tenths of a point, as integers, so that what is shown with
//! one decimal adds up to what is shown as the sum, without a rounding remainder.

use std::borrow::Cow;

use sickbay_model::{Component, Level};

use crate::assessment::{Cap, Contribution, ScoreCard};
use crate::judge::Tally;
use crate::policy::Weights;

/// The whole, in tenths of a point.
const WHOLE_TENTHS: i64 = 1000;

/// Spreads the whole over the parts that apply, in proportion to their weights, in tenths of a
/// point, so that they sum to exactly 100.0 (largest remainder; first come first served among
/// equals). All zero where nothing applies.
#[expect(clippy::cast_possible_truncation, reason = "the share of 1000 is at most 1000")]
pub(crate) fn spread_weights<const N: usize>(weights: [Option<f64>; N]) -> [i64; N] {
    let mut spread = [0; N];
    let valid = weights.map(|weight| weight.filter(|w| w.is_finite() && *w > 0.0).unwrap_or(0.0));
    let total: f64 = valid.iter().sum();
    if total <= 0.0 || !total.is_finite() {
        return spread;
    }
    let exact = valid.map(|weight| weight / total * 1000.0);
    for (tenths, share) in spread.iter_mut().zip(exact) {
        // The nudge keeps 30/60 × 1000 = 499.999… at 500.
        *tenths = (share + 1e-9).floor() as i64;
    }
    let mut order: [usize; N] = std::array::from_fn(|place| place);
    let remainder =
        |place: usize| exact.get(place).map_or(0.0, |share| share + 1e-9 - (share + 1e-9).floor());
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
    let mut missing = WHOLE_TENTHS - spread.iter().sum::<i64>();
    for place in order {
        let applies = valid.get(place).is_some_and(|&weight| weight > 0.0);
        if missing > 0
            && applies
            && let Some(tenths) = spread.get_mut(place)
        {
            *tenths += 1;
            missing -= 1;
        }
    }
    spread
}

/// What a part of this weight (in tenths) with these points adds, in tenths.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "0 to 1000")]
pub(crate) fn contribution_tenths(weight_tenths: i64, points: f64) -> i64 {
    (weight_tenths as f64 * points.clamp(0.0, 100.0) / 100.0).round() as i64
}

/// Tenths as points.
#[expect(clippy::cast_precision_loss, reason = "0 to 1000")]
pub(crate) fn tenths(tenths: i64) -> f64 {
    tenths as f64 / 10.0
}

/// The notional weight of a GPU's own score: all of it comes from one part.
const ALL_OF_IT: i64 = WHOLE_TENTHS;

/// A node's score from the tallies of its checks and the caps of its findings.
pub(crate) fn node_card(
    weights: &Weights,
    tallies: &[Tally; Component::ALL.len()],
    caps: Vec<Cap>,
    unknown_reason: Option<String>,
) -> ScoreCard {
    let nominal = [weights.gpu, weights.system, weights.network, weights.process];
    let mut applying = [None; Component::ALL.len()];
    for ((slot, weight), tally) in applying.iter_mut().zip(nominal).zip(tallies) {
        *slot = (tally.checks > 0).then_some(weight);
    }
    let spread = spread_weights(applying);
    let mut contributions = Vec::with_capacity(Component::ALL.len());
    let mut sum = 0;
    for (((component, weight), nominal_weight), tally) in
        Component::ALL.into_iter().zip(spread).zip(nominal).zip(tallies)
    {
        let (part, add) = contribution(component, nominal_weight, weight, tally);
        sum += add;
        contributions.push(part);
    }
    card(sum, contributions, caps, unknown_reason)
}

/// A GPU's own score: the mean of its checks, and its own caps.
pub(crate) fn gpu_card(tally: &Tally, caps: Vec<Cap>, unknown_reason: Option<String>) -> ScoreCard {
    let (part, sum) = contribution(Component::Gpu, 100.0, ALL_OF_IT, tally);
    card(sum, vec![part], caps, unknown_reason)
}

fn contribution(
    component: Component,
    nominal_weight: f64,
    weight_tenths: i64,
    tally: &Tally,
) -> (Contribution, i64) {
    let points = (tally.checks > 0).then(|| 100.0 - tally.lost / f64::from(tally.checks));
    let add = contribution_tenths(weight_tenths, points.unwrap_or(0.0));
    let Tally { checks, findings, unknown, .. } = *tally;
    let note = if checks == 0 {
        Cow::Borrowed("does not apply here; its weight goes to the others")
    } else if unknown == checks {
        Cow::Borrowed("no data: nothing of it could be judged, so it scores 0")
    } else if findings == 0 {
        Cow::Borrowed("every check is well")
    } else if unknown == 0 {
        Cow::Owned(format!("{findings} of {checks} checks not well"))
    } else {
        Cow::Owned(format!("{findings} of {checks} checks not well, {unknown} of them unknown"))
    };
    let (weight, contribution) = (tenths(weight_tenths), tenths(add));
    (Contribution { component, nominal_weight, weight, points, contribution, note }, add)
}

fn card(
    sum: i64,
    contributions: Vec<Contribution>,
    mut caps: Vec<Cap>,
    unknown_reason: Option<String>,
) -> ScoreCard {
    // Stable: among equal limits the order of the checks stays.
    caps.sort_by(|a, b| a.limit.total_cmp(&b.limit));
    let uncapped = tenths(sum);
    let score = match (&unknown_reason, caps.first()) {
        (Some(_), _) => None,
        (None, Some(cap)) => Some(uncapped.min(cap.limit)),
        (None, None) => Some(uncapped),
    };
    let level = score.map_or(Level::Unknown, Level::of_score);
    ScoreCard { score, level, uncapped, contributions, caps, unknown_reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_spread_to_exactly_a_hundred() {
        for (weights, spread) in [
            ([Some(40.0), Some(30.0), Some(20.0), Some(10.0)], [400, 300, 200, 100]),
            ([None, Some(30.0), Some(20.0), Some(10.0)], [0, 500, 333, 167]),
            ([Some(40.0), None, None, Some(10.0)], [800, 0, 0, 200]),
            ([Some(1.0), Some(1.0), Some(1.0), None], [334, 333, 333, 0]),
            ([None, None, None, Some(10.0)], [0, 0, 0, 1000]),
            ([None; 4], [0; 4]),
            ([Some(f64::NAN), Some(-1.0), Some(f64::INFINITY), Some(2.0)], [0, 0, 0, 1000]),
        ] {
            assert_eq!(spread_weights(weights), spread, "{weights:?}");
        }
    }

    #[test]
    fn a_gpu_that_no_one_could_judge_scores_nothing_and_says_so() {
        let mut tallies = [Tally { lost: 0.0, checks: 3, ..Tally::default() }; 4];
        tallies[0] = Tally { lost: 200.0, checks: 2, findings: 2, unknown: 2 };
        let card = node_card(&Weights::default(), &tallies, Vec::new(), None);
        assert_eq!((card.score, card.level), (Some(60.0), Level::Degraded));
        assert_eq!(card.contributions[0].points, Some(0.0));
        assert!(card.contributions[0].note.starts_with("no data"));
    }
}
