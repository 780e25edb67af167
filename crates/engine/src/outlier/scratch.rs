//! The numbers of one metric of a group, minute by minute: median, spread, and who is beyond both.

use super::OutlierPolicy;
use super::compare::Departure;
use super::metric::{Line, PeerMetric};
use super::minutes::{MINUTES_KEPT, Minute, PeerRow};

/// What makes a median absolute deviation comparable with a standard deviation.
const MAD_TO_SIGMA: f32 = 1.4826;

/// What a search works with; kept between searches, so that it is not made anew each time.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A minute after the other, a value a member.
    values: Vec<f32>,
    sorted: Vec<f32>,
    pub(super) tallies: Vec<MemberTally>,
}

/// What is known of a member by one metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MemberTally {
    /// Minutes in which it was measured and judged.
    pub(super) judged: u8,
    /// Bits of the minutes in which it departed, the oldest first.
    pub(super) departed: u16,
    score: f32,
}

/// How a minute of a group was judged.
pub(super) enum MinuteJudged {
    /// Too few members were measured, or there is nothing to compare.
    Not,
    /// They are alike, but for exceptions.
    Even,
    /// Too many are beyond the practical line.
    Split { departing: u32, members: u32 },
}

impl Scratch {
    /// Takes the members' means of a window, minute by minute.
    pub(super) fn fill<'w>(
        &mut self,
        metric: PeerMetric,
        last: Minute,
        minutes: usize,
        members: usize,
        rows: impl Iterator<Item = Option<PeerRow<'w>>>,
    ) {
        let minutes = minutes.min(MINUTES_KEPT);
        self.values.clear();
        self.values.resize(minutes * members, f32::NAN);
        self.tallies.clear();
        self.tallies.resize(members, MemberTally::default());
        for (member, row) in rows.enumerate() {
            let Some(row) = row else { continue };
            for (age, minute) in (0..minutes).rev().enumerate() {
                let at = Minute(last.0 - i64::try_from(age).unwrap_or(0));
                if let Some(cell) = self.values.get_mut(minute * members + member) {
                    *cell = row.at(metric, at);
                }
            }
        }
    }

    /// Judges one minute of the window by the median and the spread of its members.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough to compare")]
    pub(super) fn judge_minute(
        &mut self,
        policy: &OutlierPolicy,
        line: Line,
        minute: usize,
    ) -> MinuteJudged {
        let members = self.tallies.len();
        let range = minute * members..(minute + 1) * members;
        let Some(values) = self.values.get(range) else { return MinuteJudged::Not };
        self.sorted.clear();
        self.sorted.extend(values.iter().filter(|value| value.is_finite()));
        let count = self.sorted.len();
        if count <= policy.least_peers as usize {
            return MinuteJudged::Not;
        }
        let middle = median(&mut self.sorted);
        let Some(distance) = line.distance(f64::from(middle)) else { return MinuteJudged::Not };
        let (distance, sign) = (distance as f32, line.sign() as f32);
        for value in &mut self.sorted {
            *value = (*value - middle).abs();
        }
        let departing = self.sorted.iter().filter(|away| **away >= distance).count();
        #[expect(clippy::cast_precision_loss, reason = "counts of members")]
        let is_split = departing as f64 * 100.0 >= policy.split_percent * count as f64;
        if is_split {
            let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
            return MinuteJudged::Split {
                departing: count(departing),
                members: count(self.tallies.len()),
            };
        }
        // Where nobody is beyond the line the spread is of no interest.
        let reach = if departing == 0 {
            f32::INFINITY
        } else {
            let spread = MAD_TO_SIGMA * median(&mut self.sorted);
            distance.max(policy.score as f32 * spread)
        };
        let unit = reach / policy.score as f32;
        for (value, tally) in values.iter().zip(&mut self.tallies) {
            if !value.is_finite() {
                continue;
            }
            tally.judged += 1;
            let away = (value - middle) * sign;
            if away >= reach {
                tally.departed |= 1 << minute;
                tally.score += away / unit;
            }
        }
        MinuteJudged::Even
    }

    /// The departures of those who depart, held against the means of all others.
    pub(super) fn departures(
        &mut self,
        metric: PeerMetric,
        first: Minute,
        departs: impl Fn(&MemberTally) -> bool,
    ) -> Vec<(usize, Departure)> {
        let members = self.tallies.len();
        let mean = |member: usize, minutes: u16| {
            let values = self.values.iter().skip(member).step_by(members.max(1)).enumerate();
            let values = values
                .filter(|(minute, value)| minutes >> minute & 1 == 1 && value.is_finite())
                .map(|(_, value)| f64::from(*value));
            mean(values)
        };
        let mut peers = Vec::with_capacity(members);
        for (member, tally) in self.tallies.iter().enumerate() {
            if !departs(tally) && tally.judged > 0 {
                peers.extend(mean(member, u16::MAX));
            }
        }
        peers.sort_unstable_by(f64::total_cmp);
        let (Some(low), Some(median), Some(high)) =
            (rank(&peers, 5), rank(&peers, 50), rank(&peers, 95))
        else {
            return Vec::new();
        };
        let departing = self.tallies.iter().enumerate().filter(|(_, tally)| departs(tally));
        departing
            .filter_map(|(member, tally)| {
                let minutes = tally.departed.count_ones();
                let begun = i64::from(tally.departed.trailing_zeros());
                let departure = Departure {
                    metric,
                    value: mean(member, tally.departed)?,
                    median,
                    low,
                    high,
                    peers: u32::try_from(peers.len()).unwrap_or(u32::MAX),
                    since: Minute(first.0 + begun).start(),
                    minutes,
                    score: f64::from(tally.score) / f64::from(minutes.max(1)),
                };
                Some((member, departure))
            })
            .collect()
    }
}

/// The median; the values are left in another order. Zero of nothing.
fn median(values: &mut [f32]) -> f32 {
    let half = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    let middle = *middle;
    if even {
        let below = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f32::midpoint(below, middle)
    } else {
        middle
    }
}

/// The value at a share of an ascending list, in percent: so that of twenty values 5 % is the first
/// and 95 % the last.
fn rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    if percent == 50 && last % 2 == 1 {
        let (below, above) = (sorted.get(last / 2)?, sorted.get(last / 2 + 1)?);
        return Some(f64::midpoint(*below, *above));
    }
    let place = match percent {
        50 => last / 2,
        below if below < 50 => (last + 1) * below / 100 - usize::from((last + 1) * below >= 100),
        above => last - ((last + 1) * (100 - above) / 100).saturating_sub(1).min(last),
    };
    sorted.get(place).copied()
}

#[expect(clippy::cast_precision_loss, reason = "a few minutes")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// A member's mean over a window; zero where nothing was measured.
pub(super) fn mean_of(row: PeerRow<'_>, metric: PeerMetric, last: Minute, minutes: usize) -> f64 {
    let minutes = i64::try_from(minutes).unwrap_or(0);
    let values = (0..minutes).map(|age| f64::from(row.at(metric, Minute(last.0 - age))));
    mean(values.filter(|value| value.is_finite())).unwrap_or(0.0)
}
