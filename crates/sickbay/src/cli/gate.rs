//! `sickbay check --gate`: may work be started on this machine, in one line and an exit code.
//!
//! A scheduler asks in front of a job or every few minutes and waits for the answer, so a hub's
//! fresh verdict is taken where there is one, and the machine is looked at only where there is none.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use sickbay_collect::NodeSource as _;
use sickbay_model::{Level, ResourceId, Status, Timestamp};
use sickbay_wire::v1::{ReadinessOutcome, ResourceDetail};

use super::check::CheckOptions;
use super::client::{AskError, Client};
use super::health::detail_path;
use super::sweep::{self, Sweep};
use super::sweep_progress::Progress;
use super::{Context, Failure, Outcome, block_on, check_fleet, format, live, render, safe};
use crate::config::Settings;

/// How long a hub may take to tell what it knows.
const HUB_PATIENCE: Duration = Duration::from_secs(2);

/// How long the whole answer may take, looking included: Slurm ends a health check after 60 s.
const LIMIT: Duration = Duration::from_secs(55);

/// How old a hub's verdict may be: an idle node is looked at every 60 s, and may be late once.
const MAX_AGE: Duration = Duration::from_secs(150);

/// What a gate decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Work may be started.
    Pass,
    /// It must not.
    Refuse,
    /// Nobody knows; what that means is for the scheduler's script to say.
    Unknown,
}

impl Decision {
    fn exit_code(self) -> u8 {
        match self {
            Self::Pass => Level::Healthy.exit_code(),
            Self::Refuse => Level::Critical.exit_code(),
            Self::Unknown => Level::Unknown.exit_code(),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Refuse => "REFUSE",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// Answers and says why in one line. Whatever keeps it from an answer is told as unknown: a scheduler
/// must not take a mistake in our configuration for a broken machine.
pub(crate) fn run(context: &Context, settings: &Settings, options: &CheckOptions) -> Outcome {
    decide(context, settings, options).or_else(|failure| {
        let what = options.nodes.first().map_or("this machine", String::as_str);
        answer(context, Decision::Unknown, &safe(what), &failure.message)
    })
}

fn decide(context: &Context, settings: &Settings, options: &CheckOptions) -> Outcome {
    let limit = options.timeout.unwrap_or(LIMIT);
    let max_age = options.max_age.unwrap_or(MAX_AGE);
    let id = match options.nodes.first() {
        Some(word) => name(word),
        None => Some(live::this_machine(settings)?.resource().id.clone()),
    };
    let began = context.clock.monotonic();
    let known = match &id {
        Some(id) => block_on(cached(context, settings, id, limit.min(HUB_PATIENCE), max_age))?,
        None => None,
    };
    let (detail, source) = match known {
        Some(found) => found,
        None => {
            let left = limit.saturating_sub(context.clock.monotonic().saturating_sub(began));
            match looked_at(context, settings, options, left)? {
                Some(detail) => (detail, "looked at now".to_owned()),
                None => {
                    let what = options.nodes.first().map_or("this machine", String::as_str);
                    let limit = format::duration(limit);
                    let reason = format!("could not be looked at within {limit}");
                    return answer(context, Decision::Unknown, &safe(what), &reason);
                }
            }
        }
    };
    let (decision, reason) = judge(&detail);
    answer(context, decision, &safe(&detail.summary.id), &format!("{reason}; {source}"))
}

fn answer(context: &Context, decision: Decision, what: &str, reason: &str) -> Outcome {
    // One line, whatever a finding's text holds.
    let reason = safe(reason).replace('\n', " ");
    context.terminal.print(&format!("{decision} {what}: {reason}\n"))?;
    Ok(ExitCode::from(decision.exit_code()))
}

/// What the hub would call it; none for what only `ssh` understands.
fn name(word: &str) -> Option<ResourceId> {
    ResourceId::node(word.strip_prefix("node/").unwrap_or(word)).ok()
}

/// What a hub knows, if that is fresh, and how old it is. A hub that does not help is worth a remark
/// and no more: the machine can still be looked at.
async fn cached(
    context: &Context,
    settings: &Settings,
    id: &ResourceId,
    patience: Duration,
    max_age: Duration,
) -> Result<Option<(ResourceDetail, String)>, Failure> {
    let client = Client::new(context, settings)?;
    let path = detail_path(id);
    let asked = tokio::time::timeout(patience, client.get::<ResourceDetail>(&path, &[])).await;
    let why = match asked {
        Ok(Ok(detail)) => match freshness(&detail, context.now(), max_age) {
            Ok(seen) => return Ok(Some((detail, seen))),
            Err(why) => why,
        },
        Ok(Err(AskError::NoHub { .. })) if !client.is_named() => return Ok(None),
        Ok(Err(error)) => Failure::from(error).message,
        Err(_) => format!("the hub at {} did not answer in time", client.address()),
    };
    context.terminal.remark(&format!("{}: looking now", safe(&why)));
    Ok(None)
}

/// How old a verdict is, or why it does not count.
fn freshness(detail: &ResourceDetail, now: Timestamp, max_age: Duration) -> Result<String, String> {
    let id = &detail.summary.id;
    if let Some(stale) = &detail.summary.stale {
        return Err(format!("what the hub knows of {id} is not fresh: {stale}"));
    }
    let Some(at) = detail.summary.last_check else {
        return Err(format!("the hub has not seen {id} yet"));
    };
    let age = u64::try_from(now.as_unix_ms().saturating_sub(at.as_unix_ms())).unwrap_or(0);
    // Times are told in whole milliseconds: it may be nearly one older.
    if u128::from(age) + 1 >= max_age.as_millis() {
        return Err(format!("the hub saw {id} {}, which is too long ago", format::age(at, now)));
    }
    Ok(format!("the hub saw it {}", format::age(at, now)))
}

/// The machine as it is now, or nothing if that takes too long.
fn looked_at(
    context: &Context,
    settings: &Settings,
    options: &CheckOptions,
    limit: Duration,
) -> Result<Option<ResourceDetail>, Failure> {
    // Whether torch answers belongs to the answer.
    let patience = live::PATIENCE.max(settings.hub.local.torch.timeout).min(limit);
    if options.nodes.is_empty() {
        return block_on(async {
            match tokio::time::timeout(limit, live::look(context, settings, patience)).await {
                Ok(details) => Ok(details?.into_iter().next()),
                Err(_) => Ok(None),
            }
        });
    }
    sweep::block_on_all(async {
        let looking = async {
            let targets =
                check_fleet::targets(context, settings, &options.nodes, options.all).await?;
            let sweep = Sweep::new(context, settings, patience).limit(Some(limit));
            let mut progress = Progress::new(context, targets.len());
            let stop = tokio_util::sync::CancellationToken::new();
            let swept = sweep.run(targets, &mut progress, &stop).await;
            Ok(swept.answers.into_iter().next().and_then(|it| it.details.into_iter().next()))
        };
        match tokio::time::timeout(limit, looking).await {
            Ok(found) => found,
            Err(_) => Ok(None),
        }
    })
}

/// The decision and its reason: a node must be ready for work and neither unhealthy nor critical. A
/// degraded one passes, and the line says what is wrong.
fn judge(node: &ResourceDetail) -> (Decision, String) {
    let summary = &node.summary;
    let decision = match (summary.level, summary.ready) {
        (Level::Unknown, _) | (_, None) => Decision::Unknown,
        (Level::Unhealthy | Level::Critical, _) | (_, Some(false)) => Decision::Refuse,
        (Level::Healthy | Level::Degraded, Some(true)) => Decision::Pass,
    };
    let mut reason = summary.level.to_string();
    if let Some(score) = summary.score {
        reason.push_str(&format!(", score {score:.1}"));
    }
    if summary.ready == Some(false) && matches!(summary.level, Level::Healthy | Level::Degraded) {
        reason.push_str(&format!(", not ready: {}", unready(node)));
        return (decision, reason);
    }
    // Checks come worst first.
    let mut findings = node.checks.iter().filter(|check| check.status != Status::Healthy);
    if let Some(worst) = findings.next() {
        reason.push_str(&format!(", {}: {}", render::check_name(worst), worst.message));
        match findings.count() {
            0 => {}
            more => reason.push_str(&format!(" (and {more} more)")),
        }
    }
    (decision, reason)
}

/// Why it is not ready.
fn unready(node: &ResourceDetail) -> String {
    let Some(readiness) = &node.readiness else { return "nobody judged why".to_owned() };
    let failed: Vec<_> = readiness
        .checks
        .iter()
        .filter(|check| check.outcome == ReadinessOutcome::Failed)
        .map(|check| format!("{}: {}", check.check, check.message))
        .collect();
    failed.join(", ")
}

#[cfg(test)]
mod tests;
