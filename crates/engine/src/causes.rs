//! Causes, not lists: findings that one cause explains become one incident.
//!
//! The causal rules are data (`causes.json` beside this crate's manifest). What must hold: a finding
//! belongs to one incident at most; only confirmed problems do, never what is unknown or suspected; an
//! incident changes no score, no level and no check: it says how findings hang together. It stays the
//! same one while the statuses of its findings change. A rule whose root is there alone makes none: there is nothing to explain.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use sickbay_model::{CheckResult, Status, Timestamp};

use crate::judge::{Found, NO_GPU};
use crate::memory::NodeFacts;

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
    /// Of one GPU: by its index or its address on the bus. What is about the whole node belongs to
    /// one only where the pattern says so.
    Gpu,
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
    /// Whether one GPU explains it although it is about the whole node.
    #[serde(default)]
    node_wide: bool,
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
        let candidates =
            problems.iter().enumerate().filter(|(place, it)| *place != root && !it.used);
        let explained = candidates.filter(|(_, it)| self.explains(cause, it));
        let explained: Vec<usize> = explained.map(|(place, _)| place).collect();
        if explained.is_empty() {
            return None;
        }
        let of = cause.subject.gpu;
        let subject = of.map_or_else(|| "a GPU".to_owned(), |index| format!("GPU {index}"));
        let mut incident = Incident {
            rule: &self.name,
            title: self.title.replace("{gpu}", &subject),
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

    fn explains(&self, cause: &Problem<'_>, problem: &Problem<'_>) -> bool {
        let of_same = self.same == Same::Node || cause.subject.is_same(&problem.subject);
        let mut patterns = self.explains.iter();
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
        let Subject { gpu, slot } = problem.subject;
        self.node_wide && gpu.is_none() && slot.is_none()
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
            Some(card) => Self { gpu: Some(card.index), slot: slot(&card.pci_address) },
            None if found.gpu != NO_GPU => Self { gpu: Some(u32::from(found.gpu)), slot: None },
            None => Self { gpu: None, slot: slot(first) },
        }
    }

    /// Whether both are known to be about one thing.
    fn is_same(&self, other: &Self) -> bool {
        match (self.slot, other.slot) {
            (Some(own), Some(other)) => own.eq_ignore_ascii_case(other),
            _ => self.gpu.is_some() && self.gpu == other.gpu,
        }
    }
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
            for pattern in rule.root.iter().chain(&rule.explains) {
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
