//! Causes, not lists: findings that one cause explains become one incident.
//!
//! The causal rules are data (`causes.json` beside this crate's manifest). What must hold: a finding
//! belongs to one incident at most; an incident changes no score, no level and no check: it says how
//! findings hang together. A rule whose root is there alone makes none: there is nothing to explain.

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
    /// When it began: the first of its findings.
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
    /// Of one GPU, or of no GPU at all.
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
    #[serde(default)]
    status: Option<Status>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the data is part of the program; a test reads it")]
    serde_json::from_str(include_str!("../causes.json")).expect("the embedded rules are valid")
});

/// Brings the findings together. `findings` are the first of the assessment's checks, in their order.
pub(crate) fn incidents(facts: &NodeFacts, findings: &[Found]) -> Vec<Incident> {
    if findings.len() < 2 {
        return Vec::new();
    }
    let gpus: Vec<_> = findings.iter().map(|found| gpu(facts, found)).collect();
    let mut used = vec![false; findings.len()];
    let mut incidents = Vec::new();
    for rule in RULES.iter() {
        for root in 0..findings.len() {
            if let Some(incident) = rule.explain(root, findings, &gpus, &mut used) {
                incidents.push(incident);
            }
        }
    }
    incidents.sort_by_key(|incident| incident.root);
    incidents
}

impl Rule {
    fn explain(
        &'static self,
        root: usize,
        findings: &[Found],
        gpus: &[Option<u32>],
        used: &mut [bool],
    ) -> Option<Incident> {
        let cause = &findings.get(root)?.result;
        let is_free = |used: &[bool], place: usize| used.get(place) == Some(&false);
        if !is_free(used, root) || !self.root.iter().any(|pattern| pattern.fits(cause)) {
            return None;
        }
        let of = gpus.get(root).copied().flatten();
        let within = Duration::from_secs(self.within_seconds);
        let mut evidence: Vec<usize> = Vec::new();
        for (place, found) in findings.iter().enumerate() {
            let apart =
                found.result.since.since(cause.since).max(cause.since.since(found.result.since));
            let gpu = gpus.get(place).copied().flatten();
            let same = self.same == Same::Node || gpu.is_none() || of.is_none() || gpu == of;
            let meant = self.explains.iter().any(|pattern| pattern.fits(&found.result));
            if place != root && is_free(used, place) && apart <= within && same && meant {
                evidence.push(place);
            }
        }
        if evidence.is_empty() {
            return None;
        }
        let since = |place: &usize| findings.get(*place).map(|found| found.result.since);
        evidence.sort_by_key(|place| since(place));
        for place in evidence.iter().chain(&[root]) {
            if let Some(used) = used.get_mut(*place) {
                *used = true;
            }
        }
        let subject = of.map_or_else(|| "a GPU".to_owned(), |index| format!("GPU {index}"));
        let first = evidence.iter().filter_map(since).min().unwrap_or(cause.since);
        Some(Incident {
            rule: &self.name,
            title: self.title.replace("{gpu}", &subject),
            since: first.min(cause.since),
            advice: &self.advice,
            root,
            evidence,
        })
    }
}

impl Pattern {
    fn fits(&self, result: &CheckResult) -> bool {
        if result.check.as_str() != self.check || self.status.is_some_and(|it| it != result.status)
        {
            return false;
        }
        let code = result.instance.rsplit(' ').next().unwrap_or_default();
        (self.codes.is_empty() || self.codes.iter().any(|it| it == code))
            && code.starts_with(&self.family)
    }
}

/// The GPU that a finding is about.
fn gpu(facts: &NodeFacts, found: &Found) -> Option<u32> {
    if found.gpu != NO_GPU {
        return Some(u32::from(found.gpu));
    }
    let instance = &*found.result.instance;
    let missing = facts.gpus.iter().find(|card| card.key == instance).map(|card| card.index);
    missing.or_else(|| {
        let (index, _) = instance.split_once(' ')?;
        crate::input::parse_index(index)
    })
}

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
