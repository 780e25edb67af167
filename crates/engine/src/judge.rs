//! From a check's answer to a check result: confirmed, held, damped, counted.
//!
//! Checks open a slot (their memory), and close it with an answer. The judge adds what needs a past:
//! soft or hard, since when, flapping, the cap on the score, the event of a change. What no check
//! answered although it was answered before becomes unknown, unless it is known to be gone
//! ([`Judge::sweep`]). The hot path, a check that was and is well, compares one key and writes one
//! result.

use std::borrow::Cow;
use std::time::Duration;

use sickbay_model::{
    Advice, CheckResult, Component, Event, EventId, Level, ResourceId, Status, Timestamp,
    same_instance,
};

use crate::Policy;
use crate::assessment::Cap;
use crate::checks::CheckKind;
use crate::input::{ProbeSlot, Probes};
use crate::memory::{CheckMemory, MAX_CHECKS};
use crate::policy::{Hysteresis, Threshold};
use crate::text;

mod answer;
pub(crate) use answer::{Answer, Standing, most_points};

mod show;
mod sweep;

/// A result that belongs to no GPU; else results carry the driver's index.
pub(crate) const NO_GPU: u16 = u16::MAX;

/// A check's open memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    place: usize,
    kind: CheckKind,
    gpu: u16,
}

/// A finding, with what sorting and grouping need.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) result: CheckResult,
    pub(crate) gpu: u16,
    /// What is confirmed of it, whatever is shown.
    pub(crate) confirmed: Status,
    /// Since when it is a problem, whatever its status was meanwhile.
    pub(crate) problem_since: Timestamp,
}

/// Sums over the checks of one component.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// What is missing to 100 points each.
    pub(crate) lost: f64,
    pub(crate) checks: u32,
    pub(crate) findings: u32,
    pub(crate) unknown: u32,
}

/// Whether the node could be asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    /// Not this time: nothing is known of it but that.
    pub(crate) lost: bool,
    /// It is confirmed that it cannot be reached, or not yet that it can be again.
    pub(crate) hard: bool,
    /// That changes too often to be told each time.
    pub(crate) flapping: bool,
    /// For how long nothing was heard of it; none if nothing ever was.
    pub(crate) unheard: Option<Duration>,
}

/// Everything that the judge brings together.
pub(crate) struct Judge<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) probes: &'a Probes<'a>,
    pub(crate) resource: &'a ResourceId,
    pub(crate) at: Timestamp,
    /// The number of this assessment.
    number: u64,
    entries: &'a mut Vec<CheckMemory>,
    /// Where the next check's memory is expected.
    cursor: usize,
    /// The order in which memories were used, kept once it differs from the expected.
    order: Option<Vec<usize>>,
    beyond_limit: u32,
    pub(crate) findings: Vec<Found>,
    pub(crate) healthy: Vec<CheckResult>,
    pub(crate) healthy_gpus: Vec<u16>,
    pub(crate) tallies: [Tally; Component::ALL.len()],
    pub(crate) caps: Vec<(Cap, u16)>,
    pub(crate) events: Vec<Event>,
    pub(crate) reach: Reach,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        probes: &'a Probes<'a>,
        resource: &'a ResourceId,
        at: Timestamp,
        number: u64,
        entries: &'a mut Vec<CheckMemory>,
    ) -> Self {
        let expected = entries.len();
        Self {
            policy,
            probes,
            resource,
            at,
            number,
            entries,
            cursor: 0,
            order: None,
            beyond_limit: 0,
            findings: Vec::new(),
            healthy: Vec::with_capacity(expected),
            healthy_gpus: Vec::with_capacity(expected),
            tallies: [Tally::default(); Component::ALL.len()],
            caps: Vec::new(),
            events: Vec::new(),
            reach: Reach::default(),
        }
    }

    /// How many checks there were beyond what can be remembered.
    pub(crate) fn beyond_limit(&self) -> u32 {
        self.beyond_limit
    }

    /// Opens the memory of a check with one answer per node.
    pub(crate) fn open(&mut self, kind: CheckKind) -> Option<Slot> {
        self.open_instance(kind, "", kind.probe(), NO_GPU)
    }

    /// Opens the memory of one instance of a check that readings answer. None if their probe did not
    /// answer: what may lie around from earlier is not used as if it were fresh, and the sweep says
    /// unknown.
    pub(crate) fn open_instance(
        &mut self,
        kind: CheckKind,
        instance: &str,
        probe: ProbeSlot,
        gpu: u16,
    ) -> Option<Slot> {
        if !self.probes.at(probe).answered() {
            return None;
        }
        self.open_always(kind, instance, probe, gpu)
    }

    /// Opens the memory of one instance of a check, also of one that is about the probe itself. None
    /// if it was answered already, or if there are more checks than can be remembered (which is
    /// counted and shown).
    pub(crate) fn open_always(
        &mut self,
        kind: CheckKind,
        instance: &str,
        probe: ProbeSlot,
        gpu: u16,
    ) -> Option<Slot> {
        let place = match self.entries.get(self.cursor) {
            Some(entry) if entry.kind == kind && same_instance(&entry.instance, instance) => {
                self.cursor
            }
            _ => self.find_or_add(kind, instance, probe)?,
        };
        self.cursor = place + 1;
        let entry = self.entries.get_mut(place)?;
        if entry.judged == self.number {
            return None;
        }
        entry.judged = self.number;
        entry.probe = probe;
        if let Some(order) = &mut self.order {
            order.push(place);
        }
        Some(Slot { place, kind, gpu })
    }

    #[cold]
    fn find_or_add(&mut self, kind: CheckKind, instance: &str, probe: ProbeSlot) -> Option<usize> {
        if self.order.is_none() {
            // Up to here the order was the expected one.
            self.order = Some((0..self.cursor.min(self.entries.len())).collect());
        }
        let found = self
            .entries
            .iter()
            .position(|entry| entry.kind == kind && *entry.instance == *instance);
        if found.is_some() {
            return found;
        }
        if self.entries.len() >= MAX_CHECKS {
            self.beyond_limit = self.beyond_limit.saturating_add(1);
            return None;
        }
        self.entries.push(CheckMemory {
            kind,
            instance: instance.into(),
            probe,
            state: crate::state::StateMemory::default(),
            threshold: crate::hysteresis::ThresholdState::default(),
            shown: Status::Healthy,
            since: self.at,
            problem_since: None,
            announced: Status::Healthy,
            judged: 0,
            delivered: 0,
            noted: false,
            standing: None,
        });
        Some(self.entries.len() - 1)
    }

    /// Whether a check was ever answered here.
    pub(crate) fn remembers(&self, kind: CheckKind, instance: &str) -> bool {
        let matches = |entry: &CheckMemory| entry.kind == kind && *entry.instance == *instance;
        self.entries.get(self.cursor).is_some_and(matches) || self.entries.iter().any(matches)
    }

    /// Whether a check was ever answered here for anything.
    pub(crate) fn remembers_any(&self, kind: CheckKind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind)
    }

    /// Whether a check with one answer per node was answered in this assessment.
    pub(crate) fn is_answered(&self, kind: CheckKind) -> bool {
        self.entries.iter().any(|entry| {
            entry.kind == kind && entry.instance.is_empty() && entry.judged == self.number
        })
    }

    /// A fact that a check keeps about its instance: set once true.
    pub(crate) fn note(&mut self, slot: Slot, fact: bool) -> bool {
        let Some(entry) = self.entries.get_mut(slot.place) else { return fact };
        entry.noted |= fact;
        entry.noted
    }

    /// Closes a slot whose question does not arise any more (an interface was taken down on
    /// purpose): no result, and nothing is held on to.
    pub(crate) fn retire(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get_mut(slot.place) {
            entry.kind = CheckKind::Retired;
        }
    }

    /// Judges a value by the check's threshold, with hysteresis, and closes the slot.
    pub(crate) fn close_threshold(
        &mut self,
        slot: Slot,
        value: f64,
        quantity: &text::Quantity<'_>,
    ) {
        match self.threshold_finding(slot, value, quantity) {
            None => self.close_well(slot, quantity.well),
            Some(finding) => self.close(slot, finding),
        }
    }

    /// Judges a value by the check's threshold, with hysteresis; none if it is well.
    pub(crate) fn threshold_finding(
        &mut self,
        slot: Slot,
        value: f64,
        quantity: &text::Quantity<'_>,
    ) -> Option<Answer> {
        let entry = self.entries.get_mut(slot.place)?;
        let threshold = threshold_of(self.policy, slot.kind, &entry.instance)?;
        // What is not confirmed is not held: else one spike would confirm itself by its hold.
        let (raised, hard) = (entry.threshold.raised(), entry.state.hard());
        let is_soft = hard != Status::Unknown && raised.severity() > hard.severity();
        let hold = if is_soft { Duration::ZERO } else { self.policy.hysteresis.hold };
        let hysteresis = Hysteresis { hold, ..self.policy.hysteresis };
        let status = entry.threshold.judge(&threshold, &hysteresis, value, self.at);
        (status != Status::Healthy).then(|| quantity.finding(&threshold, value, status))
    }

    /// Whether a slot's threshold is raised now.
    pub(crate) fn is_raised(&self, slot: Slot) -> bool {
        self.entries.get(slot.place).is_some_and(|entry| entry.threshold.is_raised())
    }

    /// Closes a slot with an answer that readings gave.
    pub(crate) fn close(&mut self, slot: Slot, answer: Answer) {
        if answer.status == Status::Healthy && self.is_settled(slot) {
            self.stay_well(slot, answer.message);
            return;
        }
        let number = self.number;
        let Some(entry) = self.entries.get_mut(slot.place) else { return };
        entry.delivered = number;
        self.settle(slot, answer, true);
    }

    /// Closes a slot that is well, as nearly all are nearly always.
    pub(crate) fn close_well(&mut self, slot: Slot, message: &'static str) {
        if self.is_settled(slot) {
            self.stay_well(slot, Cow::Borrowed(message));
        } else {
            self.close(slot, Answer::healthy(message));
        }
    }

    /// Whether a check was well all along, so that another good answer changes nothing.
    fn is_settled(&self, slot: Slot) -> bool {
        self.entries.get(slot.place).is_some_and(|entry| {
            entry.shown == Status::Healthy
                && entry.announced == Status::Healthy
                && entry.state.is_spotless()
        })
    }

    /// The result of a check that was well all along and is.
    fn stay_well(&mut self, slot: Slot, message: Cow<'static, str>) {
        let Some(entry) = self.entries.get_mut(slot.place) else { return };
        entry.delivered = self.number;
        if entry.since > self.at {
            entry.since = self.at;
        }
        if entry.standing.is_some() {
            entry.standing = None;
        }
        let (at, kind, since) = (self.at, slot.kind, entry.since);
        let took = self.probes.at(entry.probe).took;
        let instance = text::instance(kind.scope(), &entry.instance);
        self.tallies[kind.component() as usize].checks += 1;
        let result = CheckResult {
            check: kind.id(),
            instance,
            component: kind.component(),
            status: Status::Healthy,
            points: 100.0,
            message,
            evidence: Vec::new(),
            advice: None,
            since,
            at,
            took,
            hard: false,
        };
        // Where there is room, as there nearly always is, it is made where it comes to lie.
        if self.healthy.len() < self.healthy.capacity() {
            self.healthy.push(result);
        } else {
            self.push_with_room(result);
        }
        self.healthy_gpus.push(slot.gpu);
    }

    #[cold]
    fn push_with_room(&mut self, result: CheckResult) {
        self.healthy.reserve(64);
        self.healthy.push(result);
    }

    /// Closes a slot whose question is asked on a clock of its own and not with its probe: with what
    /// was found, which counts, or, where it was not asked since, with the last answer, which does not
    /// count again.
    pub(crate) fn close_own(&mut self, slot: Slot, found: Option<Answer>) {
        let Some(entry) = self.entries.get_mut(slot.place) else { return };
        entry.delivered = self.number;
        let anew = found.is_some();
        let answer = found.unwrap_or_else(|| match entry.standing.as_deref() {
            None => Answer::healthy("as it was when last asked"),
            Some(last) => last.again(),
        });
        if answer.status == Status::Healthy && self.is_settled(slot) {
            self.stay_well(slot, answer.message);
        } else {
            self.settle_as(slot, answer, anew, Some(anew));
        }
    }

    /// Closes a slot for which no reading came, and says why.
    pub(crate) fn close_unknown(&mut self, slot: Slot, reason: String, advice: Option<Advice>) {
        let mut answer = Answer::unknown(reason);
        answer.advice = advice;
        self.settle(slot, answer, false);
    }

    /// Everything that needs a past: confirms, holds, damps, tells.
    fn settle(&mut self, slot: Slot, answer: Answer, remember: bool) {
        self.settle_as(slot, answer, remember, None);
    }

    /// `anew`: whether the answer counts; none: if its probe was asked anew.
    fn settle_as(&mut self, slot: Slot, mut answer: Answer, remember: bool, anew: Option<bool>) {
        let looks = u64::from(self.policy.state.confirm);
        let Some(entry) = self.entries.get_mut(slot.place) else { return };
        let is_reach = slot.kind == CheckKind::Reachable;
        let asked = is_reach || !self.reach.lost;
        if answer.status == Status::Unknown && asked {
            // At the first looks nothing is known that could be believed until unknown is confirmed.
            answer.proof |= self.number <= looks;
        }
        let (follows, advisory) = (answer.follows, answer.advisory);
        let probe = self.probes.at(entry.probe);
        let fresh = anew.unwrap_or(probe.fresh) && asked;
        let was_flapping = entry.state.is_flapping();
        if fresh && is_reach && answer.status != Status::Unknown {
            entry.state.push_doubted(&self.policy.state, answer.status);
        } else if fresh {
            entry.state.push(&self.policy.state, answer.status, answer.proof);
        } else if answer.proof {
            entry.state.push_proof(answer.status);
        }
        let confirmed = entry.state.confirmed();
        if remember {
            entry.standing = Standing::of(&answer);
        }
        let last_known = entry.state.last_known();
        let shown = show::show(
            &self.policy.state,
            answer,
            confirmed,
            was_flapping,
            last_known,
            &entry.state,
        );
        if shown.status != entry.shown || entry.since > self.at {
            entry.since = self.at;
            entry.shown = shown.status;
        }
        let problem_since = entry.problem_since(self.at);
        if fresh && is_reach {
            entry.state.update_flapping_doubted(&self.policy.state);
        } else if fresh {
            entry.state.update_flapping(&self.policy.state);
        }
        if is_reach {
            self.reach.hard = entry.state.hard() == Status::Critical;
            self.reach.flapping = entry.state.is_flapping();
        }
        let told = entry.state.confirmed();
        let instance = text::instance(slot.kind.scope(), &entry.instance);
        let quiet = follows
            || (advisory && told != Status::Healthy)
            || (was_flapping && entry.state.is_flapping());
        if !quiet {
            let event =
                show::transition(slot.kind, &entry.instance, entry.announced, told, &shown.message);
            entry.announced = told;
            if let Some((kind, message)) = event {
                let mut details = std::collections::BTreeMap::new();
                details.insert("check".to_owned(), slot.kind.name().to_owned());
                if !entry.instance.is_empty() {
                    details.insert("instance".to_owned(), entry.instance.to_string());
                }
                details.insert("status".to_owned(), told.as_str().to_owned());
                self.events.push(Event {
                    id: EventId(0),
                    at: self.at,
                    kind,
                    resource: Some(self.resource.clone()),
                    message,
                    details,
                });
            }
        }
        let result = CheckResult {
            check: slot.kind.id(),
            instance: instance.clone(),
            component: slot.kind.component(),
            status: shown.status,
            points: shown.points,
            message: shown.message,
            evidence: shown.evidence,
            advice: shown.advice,
            since: entry.since,
            at: self.at,
            took: probe.took,
            hard: shown.hard,
        };
        if let Some(limit) = Level::cap(confirmed).filter(|_| !advisory) {
            let cap = Cap { limit, check: slot.kind.id(), instance, status: confirmed };
            self.caps.push((cap, slot.gpu));
        }
        self.push(Found { result, gpu: slot.gpu, confirmed, problem_since });
    }

    fn push(&mut self, found: Found) {
        let Found { result, gpu, .. } = &found;
        let tally = &mut self.tallies[result.component as usize];
        tally.lost += 100.0 - result.points;
        tally.checks += 1;
        tally.unknown += u32::from(result.status == Status::Unknown);
        tally.findings += u32::from(!result.is_healthy());
        if result.is_healthy() {
            self.healthy_gpus.push(*gpu);
            self.healthy.push(found.result);
        } else {
            self.findings.push(found);
        }
    }
}

/// A check's threshold in a policy, overrides considered.
pub(crate) fn threshold_of(policy: &Policy, kind: CheckKind, instance: &str) -> Option<Threshold> {
    let threshold = kind.threshold(policy)?;
    if policy.overrides.is_empty() {
        return Some(threshold);
    }
    let other = policy.overrides.iter().find(|entry| {
        entry.check == kind.name() && entry.instance.as_deref().is_none_or(|it| it == instance)
    });
    Some(match other {
        None => threshold,
        Some(other) => Threshold { warning: other.warning, critical: other.critical, ..threshold },
    })
}
