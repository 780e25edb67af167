//! Causes, not lists: findings that one cause explains become one incident.
//!
//! The causal rules are data (`causes.json` beside this crate's manifest). What must hold: a finding
//! belongs to one incident at most; only confirmed problems do, never what is unknown or suspected; an
//! incident changes no score, no level and no check: it says how findings hang together. It stays the
//! same one while the statuses of its findings change. A rule whose root is there alone makes none:
//! there is nothing to explain. Of rules that ask for the same finding the first one has it.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use sickbay_model::{CheckResult, Status, Timestamp};

use crate::checks::{self, CheckKind};
use crate::judge::{Found, NO_GPU};
use crate::memory::{GpuMemory, NodeFacts, adapter_of};

/// The check of parts that were there.
const HARDWARE: &str = CheckKind::HardwareChanged.name();

/// Findings with one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// The rule that found it.
    pub rule: &'static str,
    /// What happened, as a fragment: "GPU 3 fell off the bus".
    pub title: String,
    /// When it began: when the first of its findings became a problem.
    pub since: Timestamp,
    /// What to do about the cause.
    pub advice: &'static str,
    /// The finding that is the cause, as a place in [`crate::Assessment::checks`].
    pub root: usize,
    /// What it explains, in the order in which it was found.
    pub evidence: Vec<usize>,
}

/// Which findings must be of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Same {
    /// Of one device: by the GPU's index, the address on the bus, or the adapter's port. What is about
    /// the whole node belongs to one only where the pattern says so.
    Device,
    /// Of one device as far as is known of which: a port tells no address. Never of one that is known
    /// to be another, or of a GPU where the cause is of none.
    NoOtherDevice,
    /// Of the node.
    Node,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    title: String,
    same: Same,
    within_seconds: u64,
    advice: String,
    root: Vec<Pattern>,
    explains: Vec<Pattern>,
    /// What it explains, too, once it explains any of these.
    #[serde(default)]
    also: Vec<Pattern>,
}

/// Which findings are meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    check: String,
    /// Codes of the fault catalogue; empty: any.
    #[serde(default)]
    codes: Vec<String>,
    /// What the code begins with; empty: anything.
    #[serde(default)]
    family: String,
    /// The confirmed one; none: any.
    #[serde(default)]
    status: Option<Status>,
    /// Whether one device explains it although it is about the whole node.
    #[serde(default)]
    node_wide: bool,
    /// Whether it must be about an adapter or its port, and not about the rest of the node.
    #[serde(default)]
    adapter: bool,
    /// The whole instance; none: any.
    #[serde(default)]
    instances: Vec<String>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the data is part of the program; a test reads it")]
    serde_json::from_str(include_str!("../causes.json")).expect("the embedded rules are valid")
});

/// A confirmed problem: what may be a cause, or explained by one.
struct Problem<'a> {
    /// As a place among the findings.
    place: usize,
    result: &'a CheckResult,
    confirmed: Status,
    since: Timestamp,
    subject: Subject<'a>,
    /// Whether an incident has it.
    used: bool,
}

/// The thing that a finding is about.
#[derive(Clone, Copy, Default)]
struct Subject<'a> {
    /// The driver's index.
    gpu: Option<u32>,
    /// Where it is on the bus, without the function.
    slot: Option<&'a str>,
    /// An adapter's port (`mlx5_0/1`), or all of the adapter (`mlx5_0`).
    port: Option<&'a str>,
}

/// Brings the findings together. `findings` are the first of the assessment's checks, in their order;
/// which incidents there are depends on it in nothing but the places.
pub(crate) fn incidents(facts: &NodeFacts, findings: &[Found]) -> Vec<Incident> {
    if findings.len() < 2 {
        return Vec::new();
    }
    let found = findings.iter().enumerate();
    let mut problems: Vec<_> = found.filter_map(|it| Problem::of(facts, it)).collect();
    // A status may change while the problem lasts: what came first says more of the cause.
    problems.sort_by(|a, b| {
        let worse = b.confirmed.severity().cmp(&a.confirmed.severity());
        let name = |it: &Problem<'_>| (it.result.check.clone(), it.result.instance.clone());
        a.since.cmp(&b.since).then(worse).then_with(|| name(a).cmp(&name(b)))
    });
    let mut incidents = Vec::new();
    for rule in RULES.iter() {
        for root in rule.roots(&problems) {
            incidents.extend(rule.explain(root, &mut problems));
        }
    }
    incidents.sort_by_key(|incident| incident.root);
    incidents
}

impl<'a> Problem<'a> {
    /// None of what is unknown, or only suspected.
    fn of(facts: &'a NodeFacts, (place, found): (usize, &'a Found)) -> Option<Self> {
        let Found { result, confirmed, problem_since, .. } = found;
        let is_bad = |status| !matches!(status, Status::Healthy | Status::Unknown);
        (is_bad(result.status) && is_bad(*confirmed)).then(|| Self {
            place,
            result,
            confirmed: *confirmed,
            since: *problem_since,
            subject: Subject::of(facts, found),
            used: false,
        })
    }

    /// How far apart two of them began.
    fn apart(&self, other: &Self) -> Duration {
        self.since.since(other.since).max(other.since.since(self.since))
    }
}

impl Rule {
    /// The problems that may be its cause, the first ones first; of those that began together, in the
    /// order in which the rule lists them.
    fn roots(&self, problems: &[Problem<'_>]) -> Vec<usize> {
        let rank = |problem: &Problem<'_>| {
            let patterns = self.root.iter().enumerate();
            let mut ranks = patterns.filter(|(_, pattern)| pattern.fits(problem));
            ranks.next().map(|(place, pattern)| (place, pattern.place_of(problem)))
        };
        let roots = problems.iter().enumerate();
        let mut roots: Vec<_> = roots
            .filter_map(|(place, it)| {
                (!it.used).then(|| rank(it)).flatten().map(|rank| (it.since, rank, place))
            })
            .collect();
        roots.sort_unstable();
        roots.into_iter().map(|(_, _, place)| place).collect()
    }

    /// What one problem explains by this rule, if anything.
    fn explain(&'static self, root: usize, problems: &mut [Problem<'_>]) -> Option<Incident> {
        let cause = problems.get(root).filter(|cause| !cause.used)?;
        let free: Vec<_> = (0..problems.len())
            .filter(|place| *place != root && problems.get(*place).is_some_and(|it| !it.used))
            .collect();
        let matches = |patterns: &[Pattern], place: usize| {
            problems.get(place).is_some_and(|it| self.explains(patterns, cause, it))
        };
        if !free.iter().any(|place| matches(&self.explains, *place)) {
            return None;
        }
        let explained = free.into_iter();
        let explained: Vec<usize> = explained
            .filter(|place| matches(&self.explains, *place) || matches(&self.also, *place))
            .collect();
        let mut incident = Incident {
            rule: &self.name,
            title: self.title_of(&cause.subject),
            since: cause.since,
            advice: &self.advice,
            root: cause.place,
            evidence: Vec::with_capacity(explained.len()),
        };
        for &place in explained.iter().chain(&[root]) {
            let Some(problem) = problems.get_mut(place) else { continue };
            problem.used = true;
            incident.since = incident.since.min(problem.since);
            if place != root {
                incident.evidence.push(problem.place);
            }
        }
        Some(incident)
    }

    fn title_of(&self, subject: &Subject<'_>) -> String {
        let name = subject.name();
        let known = |or: &str| name.clone().unwrap_or_else(|| or.to_owned());
        self.title.replace("{gpu}", &known("a GPU")).replace("{device}", &known("a device"))
    }

    fn explains(&self, patterns: &[Pattern], cause: &Problem<'_>, problem: &Problem<'_>) -> bool {
        let of_same = match self.same {
            Same::Node => true,
            Same::Device => cause.subject.is_same(&problem.subject),
            Same::NoOtherDevice => cause.subject.may_be(&problem.subject),
        };
        let mut patterns = patterns.iter();
        cause.apart(problem) <= Duration::from_secs(self.within_seconds)
            && patterns
                .any(|pattern| (of_same || pattern.is_node_wide(problem)) && pattern.fits(problem))
    }
}

impl Pattern {
    fn fits(&self, problem: &Problem<'_>) -> bool {
        let result = problem.result;
        if result.check.as_str() != self.check
            || self.status.is_some_and(|it| it != problem.confirmed)
        {
            return false;
        }
        let is_named = |it: &String| **it == *result.instance;
        if !self.instances.is_empty() && !self.instances.iter().any(is_named)
            || self.adapter && problem.subject.port.is_none()
        {
            return false;
        }
        let code = result.instance.rsplit(' ').next().unwrap_or_default();
        (self.codes.is_empty() || self.codes.iter().any(|it| it == code))
            && code.starts_with(&self.family)
    }

    /// Where the pattern lists the problem's code.
    fn place_of(&self, problem: &Problem<'_>) -> Option<usize> {
        let code = problem.result.instance.rsplit(' ').next()?;
        self.codes.iter().position(|it| it == code)
    }

    fn is_node_wide(&self, problem: &Problem<'_>) -> bool {
        let Subject { gpu, slot, port } = problem.subject;
        self.node_wide && gpu.is_none() && slot.is_none() && port.is_none()
    }
}

impl<'a> Subject<'a> {
    fn of(facts: &'a NodeFacts, found: &'a Found) -> Self {
        let instance = &*found.result.instance;
        let first = instance.split(' ').next().unwrap_or_default();
        let card = if found.gpu == NO_GPU {
            // A card that does not answer any more: the others may have its index by now.
            let gone = facts.gpus.iter().filter(|card| card.missing_since.is_some());
            let index = instance.contains(' ').then(|| crate::input::parse_index(first)).flatten();
            gone.clone().find(|card| card.key == instance || Some(card.index) == index)
        } else {
            let index = u32::from(found.gpu);
            let mut there = facts.gpus.iter().filter(|card| card.missing_since.is_none());
            there.find(|card| card.index == index)
        };
        match card {
            Some(card) => Self { gpu: Some(card.index), slot: slot(&card.pci_address), port: None },
            None if found.gpu != NO_GPU => Self { gpu: Some(found.gpu.into()), ..Self::default() },
            None => Self::of_instance(facts, found.result.check.as_str(), first),
        }
    }

    /// What an instance says that is of no GPU's check.
    fn of_instance(facts: &'a NodeFacts, check: &str, first: &'a str) -> Self {
        let is_part = |name: &str| name == checks::MEMORY || name == checks::DISKS;
        let is_port = check.starts_with("infiniband_") || check == HARDWARE && !is_part(first);
        if is_port && !first.is_empty() {
            return Self { port: Some(first), ..Self::default() };
        }
        let slot = slot(first);
        let is_there = |card: &&GpuMemory| {
            let of = self::slot(&card.pci_address);
            slot.zip(of).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        let gpu = facts.gpus.iter().find(is_there).map(|card| card.index);
        Self { gpu, slot, port: None }
    }

    /// In words; none where nothing is known of it.
    fn name(&self) -> Option<String> {
        let gpu = self.gpu.map(|index| format!("GPU {index}"));
        gpu.or_else(|| self.port.or(self.slot).map(str::to_owned))
    }

    /// Whether both are known to be about one thing.
    fn is_same(&self, other: &Self) -> bool {
        match (self.slot, other.slot, self.port, other.port) {
            (Some(own), Some(other), ..) => own.eq_ignore_ascii_case(other),
            (_, _, Some(own), Some(other)) => is_same_port(own, other),
            _ => self.gpu.is_some() && self.gpu == other.gpu,
        }
    }

    /// Whether nothing says that both are about different things.
    fn may_be(&self, other: &Self) -> bool {
        let is_other_slot = self.slot.is_some() && other.slot.is_some();
        let is_other_port = self.port.is_some() && other.port.is_some();
        let is_gpu = self.gpu.is_some() || other.gpu.is_some();
        self.is_same(other) || !(is_other_slot || is_other_port || is_gpu)
    }
}

/// Whether both are one port, or one is the adapter of the other.
fn is_same_port(a: &str, b: &str) -> bool {
    a == b || adapter_of(a) == b || adapter_of(b) == a
}

/// `0000:3b:00` of `0000:3b:00.1`; none if it is no address on the bus.
fn slot(address: &str) -> Option<&str> {
    let (slot, _) = address.split_once('.')?;
    let is_hex = |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_hexdigit());
    (slot.split(':').count() == 3 && slot.split(':').all(is_hex)).then_some(slot)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::{FaultCatalogue, FaultCode};

    /// Checks that rules may name before they exist would be listed here.
    const TO_COME: [&str; 0] = [];

    #[test]
    fn rules_name_what_there_is() {
        let checks: Vec<_> = crate::CHECKS.iter().map(|def| def.id.as_str()).collect();
        let catalogue = FaultCatalogue::embedded();
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name.as_str()).collect();
        for rule in RULES.iter() {
            assert!(!rule.root.is_empty() && !rule.explains.is_empty(), "{}", rule.name);
            assert!(!rule.advice.is_empty() && rule.within_seconds > 0, "{}", rule.name);
            for pattern in rule.root.iter().chain(&rule.explains).chain(&rule.also) {
                let check = pattern.check.as_str();
                assert!(
                    checks.contains(&check) || TO_COME.contains(&check),
                    "{}: {check}",
                    rule.name
                );
                for code in &pattern.codes {
                    let code = FaultCode(code.clone().into());
                    assert!(catalogue.find(&code).is_some(), "{}: {code}", rule.name);
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
