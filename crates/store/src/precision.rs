//! How finely history is kept: the storage precision of every unit.
//!
//! Collectors compute percentages and rates as quotients, whose last ten digits are noise. Keeping
//! that noise would cost four to seven bytes a sample, so values are rounded when an hour is
//! sealed. Until then, and in the live state, they are exact. Sizes and counters stay exact for ever.
//!
//! | unit | kept to |
//! |---|---|
//! | percent | 0.01 |
//! | milliseconds | 0.001 |
//! | seconds, degrees Celsius, watts, joules | 0.1 |
//! | megahertz | 1 |
//! | gauges that count (load, score) | 0.001; whole numbers stay exact |
//! | bytes, and every counter | exact (the mean in a rollup: 1) |
//! | rates (bytes per second, per second) | 11 significant bits: within 0.05 % |
//! | 0 or 1 | exact (the mean in a rollup: 0.001) |

use sickbay_model::{MetricId, MetricKind, Unit, catalogue};

/// To what a value is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Kept bit for bit.
    Exact,
    /// This many decimal places.
    Decimals(u8),
    /// This many bits after the leading one.
    MantissaBits(u8),
}

/// Above this, neighbouring floats are further apart than one: nothing to round.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;
const MANTISSA_BITS: u8 = 52;
/// Decimal places for which a power of ten is at hand.
pub(crate) const POWERS_OF_TEN: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The precision of a metric's readings. A metric that this version does not know is kept exactly.
#[must_use]
pub fn of(metric: MetricId) -> Precision {
    let Some(def) = catalogue::find(metric) else { return Precision::Exact };
    match (def.kind, def.unit) {
        (MetricKind::Counter, _) | (_, Unit::Bytes | Unit::Boolean) => Precision::Exact,
        (_, Unit::Percent) => Precision::Decimals(2),
        (_, Unit::Milliseconds | Unit::Count) => Precision::Decimals(3),
        (_, Unit::Seconds | Unit::Celsius | Unit::Watts | Unit::Joules) => Precision::Decimals(1),
        (_, Unit::Megahertz) => Precision::Decimals(0),
        (_, Unit::BytesPerSecond | Unit::PerSecond) => Precision::MantissaBits(10),
    }
}

/// The precision of a metric's means in rollups.
#[must_use]
pub fn of_mean(metric: MetricId) -> Precision {
    match of(metric) {
        Precision::Exact => match catalogue::find(metric).map(|def| def.unit) {
            Some(Unit::Boolean | Unit::Count) => Precision::Decimals(3),
            Some(_) => Precision::Decimals(0),
            None => Precision::Exact,
        },
        coarser => coarser,
    }
}

impl Precision {
    /// The nearest value that is kept. What is not finite stays what it is.
    #[must_use]
    pub fn round(self, value: f64) -> f64 {
        let rounded = match self {
            Self::Exact => value,
            Self::Decimals(places) => {
                let Some(power) = POWERS_OF_TEN.get(usize::from(places)) else { return value };
                let scaled = value * power;
                if scaled.abs() >= EXACT_INTEGERS { value } else { scaled.round() / power + 0.0 }
            }
            Self::MantissaBits(bits) => {
                let dropped = MANTISSA_BITS.saturating_sub(bits);
                if dropped == 0 {
                    return value;
                }
                let half = 1_u64 << (dropped - 1);
                let mask = !((1_u64 << dropped) - 1);
                f64::from_bits(value.to_bits().wrapping_add(half) & mask)
            }
        };
        if rounded.is_finite() { rounded } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::catalogue::{CPU_USED, DISK_READ, FILESYSTEM_FREE, LOAD_1M, OOM_KILLS};

    #[test]
    fn values_are_kept_as_the_table_says() {
        for (metric, value, kept) in [
            (CPU_USED, 12.345_678_9, 12.35),
            (CPU_USED, 0.0, 0.0),
            (LOAD_1M, 0.42, 0.42),
            (LOAD_1M, 1e300, 1e300),
            (FILESYSTEM_FREE, 123_456_789_012_345.0, 123_456_789_012_345.0),
            (OOM_KILLS, 7.0, 7.0),
            (MetricId(65_000), 0.123_456_789, 0.123_456_789),
        ] {
            assert_eq!(of(metric).round(value).to_bits(), f64::to_bits(kept), "{metric:?} {value}");
        }
    }

    #[test]
    fn rates_stay_within_a_twentieth_of_a_percent() {
        for value in [0.013, 1.0, 3.7, 123_456_789.1, 9.99e14] {
            let kept = of(DISK_READ).round(value);
            assert!((kept - value).abs() <= value * 0.0005, "{value} became {kept}");
        }
        for odd in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::NAN] {
            let kept = of(DISK_READ).round(odd);
            assert_eq!((kept.is_nan(), kept.is_nan() || kept == odd), (odd.is_nan(), true));
        }
    }

    #[test]
    fn rounding_twice_changes_nothing() {
        for precision in [Precision::Exact, Precision::Decimals(2), Precision::MantissaBits(10)] {
            for value in [0.1, 33.333_333, 1e9 / 7.0, -5.55] {
                let once = precision.round(value);
                assert_eq!(
                    precision.round(once).to_bits(),
                    once.to_bits(),
                    "{precision:?} {value}"
                );
            }
        }
    }
}
