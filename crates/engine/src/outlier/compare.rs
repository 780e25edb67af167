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
use super::minutes::{Minute, PeerWindow};
use super::scratch::{MemberTally, MinuteJudged, Scratch, mean_of};

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
