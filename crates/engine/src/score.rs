//! Sums that add up.
//!
//! Weights and contributions are kept in tenths of a point, as integers, so that what is shown with
//! one decimal adds up to what is shown as the sum, without a rounding remainder.

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
        if missing > 0 && valid.get(place).is_some_and(|&weight| weight > 0.0) {
            if let Some(tenths) = spread.get_mut(place) {
                *tenths += 1;
                missing -= 1;
            }
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
