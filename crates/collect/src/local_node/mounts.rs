//! One lane per remote mount.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use sickbay_model::{
    Filesystem, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport, Timestamp, probe,
};

use super::lane::{Lane, Round};
use super::worker::{Origin, OriginKind};
use crate::asked::Kept;
use crate::probe_child::ChildKind;
use crate::remote_filesystem::{MAX_REMOTE_MOUNTS, RemoteMount, remote_mounts};

/// How many silent mounts are named in the probe's message.
const NAMED_IN_MESSAGE: usize = 5;

/// The remote mounts of this machine.
pub(super) struct Mounts {
    origin: Origin,
    interval: Duration,
    due: Duration,
    mounts: BTreeMap<PathBuf, (RemoteMount, Lane)>,
    /// Mounts beyond the limit.
    unasked: Vec<Filesystem>,
    /// The list of mounts itself could not be read.
    error: Option<ProbeError>,
    listed_at: Timestamp,
}

impl Mounts {
    pub(super) fn new(origin: Origin, interval: Duration) -> Self {
        Self {
            origin,
            interval,
            due: Duration::ZERO,
            mounts: BTreeMap::new(),
            unasked: Vec::new(),
            error: None,
            listed_at: Timestamp::EPOCH,
        }
    }

    pub(super) async fn run(&mut self, round: &Round) -> Duration {
        let now = round.clock.monotonic();
        if self.due <= now {
            self.due = now + self.interval.mul_f64(0.9);
            self.listed_at = Timestamp::from_unix_ms(round.clock.now_ms());
            match remote_mounts(&self.origin.settings.roots) {
                Ok(found) => {
                    self.error = None;
                    self.update(found);
                }
                Err(error) => self.error = Some(error),
            }
        }
        join_all(self.mounts.values_mut().map(|(_, lane)| lane.run(round))).await.iter().sum()
    }

    fn update(&mut self, mut found: BTreeMap<PathBuf, RemoteMount>) {
        // A mount that went takes its lane with it, and that its child.
        self.mounts.retain(|path, (mount, _)| found.remove(path).is_some_and(|new| new == *mount));
        self.unasked.clear();
        for (path, mount) in found {
            if self.mounts.len() >= MAX_REMOTE_MOUNTS {
                self.unasked.push(unasked(mount.facts));
                continue;
            }
            let kind = OriginKind::Child(ChildKind::Mount(path.clone()));
            let origin = Origin { kind, ..self.origin.clone() };
            let lane = Lane::new(origin, |_, _| self.interval);
            self.mounts.insert(path, (mount, lane));
        }
    }

    fn kept(&self) -> impl Iterator<Item = (&Filesystem, Option<&Kept>)> + Clone {
        self.mounts.values().map(|(mount, lane)| {
            (&mount.facts, lane.slots.first().and_then(|slot| slot.asked.last.as_ref()))
        })
    }

    /// All mounts, those that do not answer marked.
    pub(super) fn filesystems(&self) -> impl Iterator<Item = Filesystem> {
        self.kept().map(marked).chain(self.unasked.iter().cloned())
    }

    /// What those that answered brought.
    pub(super) fn samples(&self) -> impl Iterator<Item = &crate::Sample> {
        self.kept().filter_map(|(_, kept)| kept.map(|kept| &kept.sample))
    }

    /// One report for all mounts; the silent ones are named.
    pub(super) fn report(&self) -> ProbeReport {
        report_of(self.kept(), self.error.clone(), self.listed_at)
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.mounts.values().flat_map(|(_, lane)| lane.pids())
    }

    pub(super) async fn stop(&mut self) {
        join_all(self.mounts.values_mut().map(|(_, lane)| lane.stop())).await;
    }
}

/// A mount, marked if it does not answer.
pub(crate) fn marked((facts, kept): (&Filesystem, Option<&Kept>)) -> Filesystem {
    let unanswered = kept.and_then(|kept| match &kept.report.outcome {
        ProbeOutcome::Failed(error) if error.kind == ProbeErrorKind::Failed => {
            Some(error.message.clone())
        }
        ProbeOutcome::Failed(error) => Some(error.kind.as_str().to_owned()),
        _ => None,
    });
    Filesystem { unanswered, ..facts.clone() }
}

/// A mount beyond the limit.
pub(crate) fn unasked(facts: Filesystem) -> Filesystem {
    let limit = format!("not asked: more than {MAX_REMOTE_MOUNTS} remote filesystems");
    Filesystem { unanswered: Some(limit), ..facts }
}

/// One report for all mounts: it answered in part where some are silent, and names them. `error` says
/// why they are not even known; the probe failed then.
pub(crate) fn report_of<'a>(
    mounts: impl Iterator<Item = (&'a Filesystem, Option<&'a Kept>)> + Clone,
    error: Option<ProbeError>,
    listed_at: Timestamp,
) -> ProbeReport {
    let none = mounts.clone().next().is_none();
    let reports = mounts.filter_map(|(facts, kept)| Some((facts, &kept?.report)));
    let silent = reports.clone().filter_map(|(facts, report)| match &report.outcome {
        ProbeOutcome::Failed(error) => Some((&facts.mount_point, error)),
        _ => None,
    });
    let mut missed: Option<ProbeError> = None;
    for (count, (mount_point, cause)) in silent.enumerate() {
        let error =
            missed.get_or_insert_with(|| ProbeError { message: String::new(), ..cause.clone() });
        match count {
            0 => error.message = format!("{mount_point}: {}", cause.message),
            _ if count < NAMED_IN_MESSAGE => {
                error.message.push_str(&format!("; {mount_point}: {}", cause.message));
            }
            NAMED_IN_MESSAGE => error.message.push_str("; and more"),
            _ => {}
        }
    }
    let outcome = match (error, missed) {
        (Some(error), _) => ProbeOutcome::Failed(error),
        (None, Some(missed)) => ProbeOutcome::Partial(missed),
        (None, None) if none => {
            ProbeOutcome::NotApplicable("no filesystem is mounted over a network".into())
        }
        (None, None) => ProbeOutcome::Answered,
    };
    ProbeReport {
        probe: probe::REMOTE_FILESYSTEM,
        outcome,
        at: reports.clone().map(|(_, report)| report.at).max().unwrap_or(listed_at),
        took: reports.map(|(_, report)| report.took).max().unwrap_or_default(),
    }
}
