//! What is shown and told of an answer, given what is confirmed.

use std::borrow::Cow;
use std::fmt::Write as _;

use sickbay_model::{Advice, EventKind, Evidence, Status};

use super::{Answer, most_points};
use crate::checks::CheckKind;
use crate::policy::StatePolicy;
use crate::state::StateMemory;
use crate::text::sentence;

/// The points that a check keeps while its first finding is not confirmed: a first sighting costs
/// at most a fifth, so that it cannot carry the score over the line of a level by itself. A check
/// that is in trouble already keeps nothing: a worse value must never have more points than the
/// confirmed one had.
const SOFT_KEEPS: f64 = 80.0;

/// What is shown of an answer.
pub(super) struct Shown {
    pub(super) status: Status,
    pub(super) points: f64,
    pub(super) message: Cow<'static, str>,
    pub(super) evidence: Vec<Evidence>,
    pub(super) advice: Option<Advice>,
    pub(super) hard: bool,
}

/// Brings an answer and the confirmed status together.
///
/// Unknown is shown as such, with no points, and says what it was before. A finding worse than what
/// is confirmed is soft: it is shown, but costs a check that was well at most a fifth of its points. One that is better is
/// held at what is confirmed until the recovery is confirmed too.
pub(super) fn show(
    policy: &StatePolicy,
    answer: Answer,
    confirmed: Status,
    flapping: bool,
    last_known: Status,
    state: &StateMemory,
) -> Shown {
    let Answer { status, points, message, evidence, advice, advisory, .. } = answer;
    let points = points.clamp(0.0, 100.0);
    let (raw, hard) = (status.severity(), confirmed.severity());
    let mut shown = Shown { status, points, message, evidence, advice, hard: false };
    if status == Status::Unknown {
        shown.points = 0.0;
        shown.hard = hard >= raw;
        if hard > raw && last_known != Status::Healthy {
            let _ = write!(shown.message.to_mut(), "; {last_known} when last measured");
        }
    } else if raw > hard {
        let keeps = if confirmed == Status::Healthy { SOFT_KEEPS } else { 0.0 };
        shown.points = points.max(keeps);
    } else {
        shown.points = if advisory { points } else { points.min(most_points(confirmed)) };
        shown.hard = hard > 0;
        if raw < hard {
            shown.status = confirmed;
            if confirmed == Status::Unknown {
                shown.points = 0.0;
            }
            if flapping && state.hard() == Status::Healthy {
                let percent = state.changed_percent(policy);
                let _ = write!(
                    shown.message.to_mut(),
                    "; flapping: it changed in {percent:.0} % of the last results"
                );
            } else {
                let _ = write!(
                    shown.message.to_mut(),
                    "; held at {confirmed} until the recovery is confirmed"
                );
            }
        }
    }
    shown
}

/// The event of a change of the confirmed status, if it is worth one.
pub(super) fn transition(
    kind: CheckKind,
    instance: &str,
    before: Status,
    now: Status,
    message: &str,
) -> Option<(EventKind, String)> {
    let name = kind.name();
    let of = if instance.is_empty() { "" } else { " of " };
    if now.severity() > before.severity() {
        Some((
            EventKind::HealthCheckFailed,
            sentence(&format!("Check {name}{of}{instance} is {now}: {message}")),
        ))
    } else if now == Status::Healthy && before != Status::Healthy {
        let text = format!("Check {name}{of}{instance} is healthy again, was {before}.");
        Some((EventKind::HealthCheckPassed, text))
    } else {
        None
    }
}
