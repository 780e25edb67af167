//! From single results to a state that can be relied on: soft and hard, recovery, flapping.
//!
//! Per check this remembers the last 20 results. The hard status is bounded from both sides: it is
//! at least as bad as the best of the last `confirm` results, and at most as bad as the worst of
//! the last `recover` results; evidence is hard at once. Written so, two things hold by
//! construction: a worse result never gives a better state, and every state ends when its results
//! end. No time is involved, so that no clock can disturb it.
//!
//! `unknown` counts as bad as the last known result, but at least as `unknown`: data that stops
//! coming never improves a state.

use serde::{Deserialize, Serialize};
use sickbay_model::Status;

use crate::policy::StatePolicy;

/// How many results a check remembers: the window of flap detection (health model).
pub const RESULTS_REMEMBERED: u32 = 20;

/// How many more results than `confirm` are asked for at most where results get lost: 3 (ours: half a
/// minute more at the pace of retries).
pub const MOST_DOUBTED: u32 = 3;

/// Fewer bad results in a row than this count as lost ones (ours: they are never confirmed).
const LOST_RUN: u32 = 3;
/// Share of lost results from which on they make a flapping state, and below which they no longer do
/// (ours: far from what a lossy network does, and between always and every other one).
const LOST_ON_PERCENT: f64 = 40.0;
const LOST_OFF_PERCENT: f64 = 30.0;

/// Bits per remembered result; a severity (0 to 4) fits three.
const RESULT_BITS: u32 = 3;
const RESULT_MASK: u64 = 0b111;
const HISTORY_MASK: u64 = (1 << (RESULTS_REMEMBERED * RESULT_BITS)) - 1;

/// Severity of `unknown`, see [`Status::severity`].
const UNKNOWN: u8 = Status::Unknown.severity();

/// What a check remembers of its results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StateMemory {
    /// The last 20 severities, the newest in the lowest bits; zero (healthy) before the first.
    history: u64,
    /// The confirmed severity.
    hard: u8,
    /// The last severity that was known.
    last_known: u8,
    /// Whether it changes too often to be believed.
    flapping: bool,
}

impl StateMemory {
    /// The confirmed status.
    #[must_use]
    pub fn hard(&self) -> Status {
        status_of(self.hard)
    }

    /// The last status that was known.
    #[must_use]
    pub fn last_known(&self) -> Status {
        status_of(self.last_known)
    }

    /// Whether the results change too often to be believed one by one.
    #[must_use]
    pub fn is_flapping(&self) -> bool {
        self.flapping
    }

    /// The confirmed status with flapping counted as degraded at least.
    #[must_use]
    pub fn confirmed(&self) -> Status {
        if self.flapping && self.hard == 0 { Status::Degraded } else { self.hard() }
    }

    /// Takes one result in. `evidence` makes it hard at once. Whether it flaps is found from the
    /// results up to this one, and counts from the next one on.
    pub fn push(&mut self, policy: &StatePolicy, result: Status, evidence: bool) {
        if result == Status::Healthy && self.history == 0 && self.hard == 0 {
            self.last_known = 0;
            self.flapping = false;
            return;
        }
        let severity = if result == Status::Unknown {
            UNKNOWN.max(self.last_known)
        } else {
            self.last_known = result.severity();
            result.severity()
        };
        if result != Status::Unknown && self.hard == UNKNOWN {
            // What was unknown is known again: nothing to hold on to but that it was not well.
            self.hard = severity.min(Status::Degraded.severity());
        }
        self.history = ((self.history << RESULT_BITS) | u64::from(severity)) & HISTORY_MASK;
        let at_least = self.last(policy.confirm).min().unwrap_or(0);
        let at_most = self.last(policy.recover).max().unwrap_or(0);
        self.hard = self.hard.min(at_most).max(at_least);
        if evidence {
            self.hard = self.hard.max(severity);
        }
    }

    /// Like [`Self::push`], for results that may be lost by the way they come: how many bad ones in
    /// a row are believed grows with how often the last 20 results were bad for a moment only. A
    /// way that loses one result in ten loses three in a row every few hours, and five hardly ever.
    /// Whoever has a clean past is believed after `confirm`, anyone after
    /// `confirm` + [`MOST_DOUBTED`].
    pub fn push_doubted(&mut self, policy: &StatePolicy, result: Status) {
        let confirm = policy.confirm.clamp(1, RESULTS_REMEMBERED);
        // A single look has no past, and one result is asked for on purpose.
        let more = if confirm > 1 { self.bad_moments().min(MOST_DOUBTED) } else { 0 };
        let confirm = (confirm + more).min(RESULTS_REMEMBERED);
        self.push(&StatePolicy { confirm, ..policy.clone() }, result, false);
    }

    /// How often the remembered results went from bad to healthy.
    fn bad_moments(&self) -> u32 {
        let ended = (0..RESULTS_REMEMBERED - 1)
            .filter(|&place| !self.is_bad(place) && self.is_bad(place + 1));
        u32::try_from(ended.count()).unwrap_or(0)
    }

    /// Takes back the newest bad results that are not confirmed: it turned out that they say nothing
    /// about what was asked.
    pub fn forgive(&mut self) {
        if self.hard != 0 {
            return;
        }
        let mut places = 0;
        while places < RESULTS_REMEMBERED && self.is_bad(places) {
            places += 1;
        }
        self.history &= !((1_u64 << (places * RESULT_BITS)) - 1);
    }

    /// Takes in proof that came without a new measurement.
    pub fn push_proof(&mut self, result: Status) {
        self.hard = self.hard.max(result.severity());
    }

    /// Finds out whether it flaps; to be asked after the result was used.
    pub fn update_flapping(&mut self, policy: &StatePolicy) {
        if self.history == 0 && !self.flapping {
            return;
        }
        let changed = self.changed_percent(policy);
        self.flapping = if self.flapping {
            changed >= policy.flap_off_percent
        } else {
            changed > policy.flap_on_percent
        };
    }

    /// Like [`Self::update_flapping`], for results that may be lost by the way they come: a single
    /// lost one is no change. It also flaps while many are lost, however briefly each time.
    pub fn update_flapping_doubted(&mut self, policy: &StatePolicy) {
        if self.history == 0 && !self.flapping {
            return;
        }
        let (mut without_single, mut lost) = (self.history, 0);
        let mut run = 0;
        for place in 0..RESULTS_REMEMBERED {
            if self.is_bad(place) {
                run += 1;
                continue;
            }
            let ended = place > run;
            if run == 1 {
                without_single &= !(RESULT_MASK << ((place - 1) * RESULT_BITS));
            }
            lost += if ended && run < LOST_RUN { run } else { 0 };
            run = 0;
        }
        let changed = Self { history: without_single, ..*self }.changed_percent(policy);
        let lost = 100.0 * f64::from(lost) / f64::from(RESULTS_REMEMBERED);
        self.flapping = if self.flapping {
            changed >= policy.flap_off_percent || lost >= LOST_OFF_PERCENT
        } else {
            changed > policy.flap_on_percent || lost >= LOST_ON_PERCENT
        };
    }

    fn is_bad(&self, place: u32) -> bool {
        (self.history >> (place * RESULT_BITS)) & RESULT_MASK != 0
    }

    /// Weighted share of changes among the last results, in percent; newer ones weigh more.
    #[must_use]
    pub fn changed_percent(&self, policy: &StatePolicy) -> f64 {
        let transitions = RESULTS_REMEMBERED - 1;
        let step = (policy.flap_weight_newest - policy.flap_weight_oldest)
            / f64::from(transitions.saturating_sub(1).max(1));
        let changes = self.history ^ (self.history >> RESULT_BITS);
        let weighted: f64 = (0..transitions)
            .filter(|place| (changes >> (place * RESULT_BITS)) & RESULT_MASK != 0)
            .map(|place| policy.flap_weight_newest - step * f64::from(place))
            .sum();
        100.0 * weighted / f64::from(transitions)
    }

    /// Whether there is nothing to remember: healthy as far back as it goes.
    #[must_use]
    pub fn is_spotless(&self) -> bool {
        self.history == 0 && self.hard == 0 && !self.flapping
    }

    fn last(&self, count: u32) -> impl Iterator<Item = u8> + use<> {
        let history = self.history;
        (0..count.clamp(1, RESULTS_REMEMBERED))
            .map(move |place| ((history >> (place * RESULT_BITS)) & RESULT_MASK) as u8)
    }
}

/// The status of a severity; anything out of range (a damaged memory) is unknown.
fn status_of(severity: u8) -> Status {
    const BY_SEVERITY: [Status; 5] =
        [Status::Healthy, Status::Degraded, Status::Unknown, Status::Unhealthy, Status::Critical];
    BY_SEVERITY.get(usize::from(severity)).copied().unwrap_or(Status::Unknown)
}

#[cfg(test)]
mod tests;
