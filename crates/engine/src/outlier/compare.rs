//! Compares the members of a group, one metric at a time.
//!
//! A group of ten thousand nodes is a lot of numbers, so a search goes in steps: a step is one metric
//! of one group, and between two of them the caller may do other things. What changed meanwhile is
//! seen or not; it is never mistaken for something else, because rows know their minutes.

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

use super::OutlierPolicy;
use super::cause::Cause;
use super::group::{PeerGroup, PeerId};
use super::metric::{Line, PeerMetric};
use super::minutes::{MINUTES_KEPT, Minute, PeerRow, PeerWindow};

/// What makes a median absolute deviation comparable with a standard deviation.
const MAD_TO_SIGMA: f32 = 1.4826;

/// How a member departs from its peers by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Departure {
    /// By what.
    pub metric: PeerMetric,
    /// The member's mean over the minutes in which it departed.
    pub value: f64,
    /// The median of its peers' means.
    pub median: f64,
    /// Nine of ten peers lie between this
    pub low: f64,
    /// and this; of twenty or fewer, all do.
    pub high: f64,
    /// How many peers: those that were measured and do not depart themselves.
    pub peers: u32,
    /// The first minute of the window in which it departed.
    pub since: Timestamp,
    /// In how many minutes of the window it did.
    pub minutes: u32,
    /// How many robust standard deviations it is away, mean over those minutes.
    pub score: f64,
}

/// A member that departs from its peers.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// Which.
    pub member: PeerId,
    /// What all its departures together look like.
    pub cause: Cause,
    /// By what it departs, and how far.
    pub departures: Vec<Departure>,
    /// Share of the looks in the window at which it slowed itself down, 0 to 100.
    pub throttled_percent: f64,
}

/// How comparing a group ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Its members were compared.
    Compared,
    /// Fewer members than it takes, or fewer that tell anything.
    TooFew,
    /// Not for long enough yet.
    TooNew,
    /// Too many depart to be exceptions: they do not do the same work, or share a cause.
    Mixed {
        /// By this metric, at the last.
        metric: PeerMetric,
        /// So many
        departing: u32,
        /// of so many.
        members: u32,
    },
}

/// What comparing a group found.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupVerdict {
    /// How it ended.
    pub outcome: GroupOutcome,
    /// The members that were measured for long enough to be compared, ascending.
    pub compared: Vec<PeerId>,
    /// Metrics by which the members differ too much to be compared.
    pub uneven: Vec<PeerMetric>,
    /// Who departs, in the order of members.
    pub outliers: Vec<Outlier>,
}

/// What a search works with; kept between searches, so that it is not made anew each time.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A minute after the other, a value a member.
    values: Vec<f32>,
    sorted: Vec<f32>,
    tallies: Vec<MemberTally>,
}

#[derive(Clone, Copy, Debug, Default)]
struct MemberTally {
    /// Minutes in which it was measured and judged.
    judged: u8,
    /// Bits of the minutes in which it departed, the oldest first.
    departed: u16,
    score: f32,
}

/// The search through one group.
#[derive(Debug)]
pub struct GroupSearch {
    group: PeerGroup,
    /// The last minute of the window.
    last: Minute,
    next: usize,
    compared: Vec<bool>,
    uneven: Vec<PeerMetric>,
    mixed: Option<GroupOutcome>,
    /// Whether enough members were measured in any minute.
    any: bool,
    found: Vec<(usize, Departure)>,
}

impl GroupSearch {
    /// Begins to search a group over the window that ends with the minute before `now`.
    #[must_use]
    pub fn new(group: PeerGroup, now: Timestamp) -> Self {
        Self {
            last: Minute(Minute::of(now).0 - 1),
            next: 0,
            compared: vec![false; group.members.len()],
            uneven: Vec::new(),
            mixed: None,
            any: false,
            found: Vec::new(),
            group,
        }
    }

    /// The group that is searched.
    #[must_use]
    pub fn group(&self) -> &PeerGroup {
        &self.group
    }

    /// Compares by the next metric. `window` gives what is known of a node. Whether more is to do.
    pub fn step<'w>(
        &mut self,
        policy: &OutlierPolicy,
        window: impl Fn(u64) -> Option<&'w PeerWindow>,
        scratch: &mut Scratch,
    ) -> bool {
        let metrics: &[PeerMetric] = match self.group.model {
            Some(_) => &PeerMetric::OF_GPU,
            None => &PeerMetric::OF_NODE,
        };
        let enough = self.group.members.len() > policy.least_peers as usize;
        let Some(&metric) = metrics.get(self.next).filter(|_| enough && self.mixed.is_none())
        else {
            return false;
        };
        self.next += 1;
        let line = policy.line(metric);
        if line != Line::NotCompared {
            let minutes = policy.window_minutes();
            let rows = self.group.members.iter().map(|it| window(it.node)?.row(it.gpu));
            scratch.fill(metric, self.last, minutes, self.group.members.len(), rows);
            self.judge(policy, metric, line, scratch);
        }
        self.next < metrics.len()
    }

    /// What was found.
    #[must_use]
    pub fn finish<'w>(
        self,
        policy: &OutlierPolicy,
        window: impl Fn(u64) -> Option<&'w PeerWindow>,
    ) -> GroupVerdict {
        let members = &self.group.members;
        let compared: Vec<PeerId> =
            members.iter().zip(&self.compared).filter(|it| *it.1).map(|it| *it.0).collect();
        let few = members.len() <= policy.least_peers as usize;
        let outcome = match self.mixed {
            Some(mixed) => mixed,
            None if compared.len() > policy.least_peers as usize => GroupOutcome::Compared,
            None if few || !self.any => GroupOutcome::TooFew,
            None => GroupOutcome::TooNew,
        };
        let mut outliers = Vec::new();
        if outcome == GroupOutcome::Compared {
            let mut found = self.found;
            found.sort_by_key(|(place, departure)| (*place, departure.metric));
            for same in found.chunk_by(|a, b| a.0 == b.0) {
                let Some(&member) = same.first().and_then(|it| members.get(it.0)) else { continue };
                let row = window(member.node).and_then(|it| it.row(member.gpu));
                let throttled_percent = row.filter(|_| member.gpu.is_some()).map_or(0.0, |row| {
                    mean_of(row, PeerMetric::Throttled, self.last, policy.window_minutes())
                });
                let departures: Vec<_> = same.iter().map(|it| it.1.clone()).collect();
                let cause = Cause::of(&departures);
                outliers.push(Outlier { member, cause, departures, throttled_percent });
            }
        }
        GroupVerdict { outcome, compared, uneven: self.uneven, outliers }
    }

    /// Goes through the whole group at once.
    #[must_use]
    pub fn run<'w>(
        mut self,
        policy: &OutlierPolicy,
        window: impl Fn(u64) -> Option<&'w PeerWindow> + Copy,
        scratch: &mut Scratch,
    ) -> GroupVerdict {
        while self.step(policy, window, scratch) {}
        self.finish(policy, window)
    }

    fn judge(
        &mut self,
        policy: &OutlierPolicy,
        metric: PeerMetric,
        line: Line,
        scratch: &mut Scratch,
    ) {
        let (window, held) = (policy.window_minutes(), policy.held_minutes());
        let (mut judged, mut split) = (0, None);
        let mut splits = 0;
        for minute in 0..window {
            match scratch.judge_minute(policy, line, minute) {
                MinuteJudged::Not => {}
                MinuteJudged::Even => judged += 1,
                MinuteJudged::Split { departing, members } => {
                    judged += 1;
                    splits += 1;
                    split = Some(GroupOutcome::Mixed { metric, departing, members });
                }
            }
        }
        self.any |= judged > 0;
        if judged < held {
            return;
        }
        if splits * 2 > judged {
            if metric.tells_work() {
                self.mixed = split;
            } else {
                self.uneven.push(metric);
            }
            return;
        }
        for (compared, tally) in self.compared.iter_mut().zip(&scratch.tallies) {
            *compared |= usize::from(tally.judged) >= held;
        }
        let departs = |tally: &MemberTally| tally.departed.count_ones() as usize >= held;
        if scratch.tallies.iter().any(departs) {
            let first = Minute(self.last.0 + 1 - i64::try_from(window).unwrap_or(0));
            self.found.extend(scratch.departures(metric, first, departs));
        }
    }
}

/// How a minute of a group was judged.
enum MinuteJudged {
    /// Too few members were measured, or there is nothing to compare.
    Not,
    /// They are alike, but for exceptions.
    Even,
    /// Too many are beyond the practical line.
    Split { departing: u32, members: u32 },
}

impl Scratch {
    /// Takes the members' means of a window, minute by minute.
    fn fill<'w>(
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
    fn judge_minute(&mut self, policy: &OutlierPolicy, line: Line, minute: usize) -> MinuteJudged {
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
    fn departures(
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
fn mean_of(row: PeerRow<'_>, metric: PeerMetric, last: Minute, minutes: usize) -> f64 {
    let minutes = i64::try_from(minutes).unwrap_or(0);
    let values = (0..minutes).map(|age| f64::from(row.at(metric, Minute(last.0 - age))));
    mean(values.filter(|value| value.is_finite())).unwrap_or(0.0)
}
