//! What differs from the last time, and so is worth writing down.

use sickbay_engine::{Assessment, Policy, judged_readings};
use sickbay_model::{CheckId, CheckResult, ResourceId, Status};
use sickbay_store::{CheckChange, MetricJudgement};

use crate::known::{CheckLine, KnownResource};

/// Finds an entry of an older list; things mostly keep their order, so the search starts behind the
/// last find.
fn find_from<'a, T>(list: &'a [T], next: &mut usize, is_it: impl Fn(&T) -> bool) -> Option<&'a T> {
    let expected = list.get(*next).is_some_and(&is_it).then_some(*next);
    let place = expected.or_else(|| list.iter().position(&is_it))?;
    *next = place + 1;
    list.get(place)
}

/// The checks whose status or confirmation differs from what was last shown, and those that are no
/// longer asked while they were not healthy: what was opened is closed.
pub(super) fn check_changes(
    resource: &ResourceId,
    before: Option<&KnownResource>,
    now: &Assessment,
) -> Vec<CheckChange> {
    let old: Vec<CheckLine<'_>> = before.map(|node| node.checks().collect()).unwrap_or_default();
    let mut next = 0;
    let mut changes = Vec::new();
    for new in &now.checks {
        let is_it =
            |old: &CheckLine<'_>| old.check == new.check.as_str() && old.instance == new.instance;
        let changed = find_from(&old, &mut next, is_it)
            .map_or(!new.is_healthy(), |old| old.status != new.status || old.hard != new.hard);
        if changed {
            changes.push(CheckChange {
                resource: resource.clone(),
                check: new.check.clone(),
                instance: new.instance.to_string(),
                status: new.status,
                hard: new.hard,
                message: new.message.to_string(),
                at: new.at,
                details: details_json(new),
            });
        }
    }
    let asked = |check: &str, instance: &str| {
        now.checks.iter().any(|new| new.check.as_str() == check && new.instance == instance)
    };
    let ended = old.iter().filter(|old| old.status != Status::Healthy);
    changes.extend(ended.filter(|old| !asked(old.check, old.instance)).map(|old| CheckChange {
        resource: resource.clone(),
        check: CheckId(old.check.to_owned().into()),
        instance: old.instance.to_owned(),
        status: Status::Healthy,
        hard: true,
        message: "no longer applies".to_owned(),
        at: now.at,
        details: None,
    }));
    changes
}

fn details_json(result: &CheckResult) -> Option<String> {
    if result.evidence.is_empty() && result.advice.is_none() {
        return None;
    }
    serde_json::to_string(&serde_json::json!({
        "evidence": result.evidence,
        "advice": result.advice,
    }))
    .ok()
}

/// The readings whose lines or status differ from what was last sent; what is no longer judged is
/// sent without any. `sent` becomes what is sent now.
pub(super) fn judgement_changes(
    sent: &mut Vec<MetricJudgement>,
    policy: &Policy,
    now: &Assessment,
) -> Vec<MetricJudgement> {
    let mut next = 0;
    let mut count = 0;
    let mut changed = false;
    for it in judged_readings(policy, now) {
        count += 1;
        let same = find_from(sent, &mut next, |old| {
            old.metric == it.metric && old.instance == it.instance
        })
        .is_some_and(|old| {
            (old.warning, old.critical, old.status) == (it.warning, it.critical, Some(it.status))
        });
        changed |= !same;
    }
    if !changed && count == sent.len() {
        return Vec::new();
    }
    let all: Vec<_> = judged_readings(policy, now)
        .map(|it| MetricJudgement {
            resource: now.resource.clone(),
            metric: it.metric,
            instance: it.instance.to_owned(),
            warning: it.warning,
            critical: it.critical,
            status: Some(it.status),
        })
        .collect();
    let before = std::mem::replace(sent, all);
    let is_there = |old: &MetricJudgement| {
        sent.iter().any(|new| new.metric == old.metric && new.instance == old.instance)
    };
    let mut changes: Vec<_> = sent.iter().filter(|new| !before.contains(new)).cloned().collect();
    changes.extend(before.iter().filter(|old| !is_there(old)).map(|old| MetricJudgement {
        warning: None,
        critical: None,
        status: None,
        ..old.clone()
    }));
    changes
}
