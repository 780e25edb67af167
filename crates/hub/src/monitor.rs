//! The monitor loop: await one of a closed list of causes, then apply it synchronously.
//!
//! Owns the agenda, the sources and (through the judge) the live state. Collections run beside the
//! loop, each under its own deadline, and hand their source back with what they brought.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sickbay_collect::{CollectContext, LocalNode, NodeSource as _};
use sickbay_model::{
    Event, EventId, EventKind, Observation, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport,
    Timestamp, probe,
};
use sickbay_runtime::Clock;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::command::{Command, CommandError};
use crate::fleet::Fleet;
use crate::hub_status::{ConfigState, HubStatusSource};
use crate::judge::Judge;
use crate::run::SettingsUpdate;
use crate::settings::HubSettings;
use crate::targets::{Agenda, DueTarget, TargetIndex};
use crate::view;

mod attention;
use attention::{LagAlarm, Wakefulness};

/// How often the loop looks after the hub itself, and for nodes that fell silent.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What a collection gets on top of a probe's own timeout before it is given up as a whole: a slow
/// probe must end as that probe's outcome, not as the node's.
const COLLECT_GRACE: Duration = Duration::from_secs(2);

/// A difference between wall clock and monotonic clock beyond which the wall clock was set (or the
/// machine slept).
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// How soon a node is collected when someone starts to look, unless it was just collected: who comes
/// and goes must not drive the schedule.
const VIEWER_HURRY: Duration = Duration::from_millis(100);
const VIEWER_HURRY_INTERVAL: Duration = Duration::from_secs(5);

/// After a collection that was lost to a panic.
const RETRY_AFTER_PANIC: Duration = Duration::from_secs(5);

/// All that can happen to the loop.
enum Cause {
    /// A target is due.
    Due,
    /// A collection ended, or its task panicked.
    Collected(Result<Collected, JoinError>),
    /// Someone started to look.
    ViewerArrived,
    /// The configuration changed, or was refused.
    Settings(SettingsUpdate),
    /// Someone wants something done.
    Command(Command),
    /// Time to look after the hub itself.
    UpkeepDue,
    /// The hub is to stop.
    Stop,
}

/// What the loop is told from outside.
pub(crate) struct Inbox {
    /// New settings, or why they were refused.
    pub(crate) updates: mpsc::Receiver<SettingsUpdate>,
    /// What is to be done.
    pub(crate) commands: mpsc::Receiver<Command>,
}

struct Collected {
    target: TargetIndex,
    source: Box<LocalNode>,
    observation: Observation,
}

/// The loop's state.
pub(crate) struct Monitor {
    clock: Clock,
    settings: HubSettings,
    agenda: Agenda,
    /// A source is taken out while it is asked.
    sources: Vec<Option<Box<LocalNode>>>,
    running: JoinSet<Collected>,
    judge: Judge,
    fleet: Fleet,
    status: HubStatusSource,
    inbox: Inbox,
    /// Wall clock (ms) and monotonic clock at the last turn.
    last_turn: (i64, Duration),
    next_upkeep: Duration,
    lag_alarm: LagAlarm,
    awake: Wakefulness,
    last_viewer_hurry: Option<Duration>,
    /// Settings of the local collectors changed: the source is replaced before it is asked again.
    replace_sources: bool,
}

impl Monitor {
    pub(crate) fn new(
        clock: Clock,
        settings: HubSettings,
        source: Box<LocalNode>,
        mut judge: Judge,
        fleet: Fleet,
        status: HubStatusSource,
        inbox: Inbox,
    ) -> Self {
        let mut agenda = Agenda::default();
        let now = clock.monotonic();
        agenda.add(now);
        judge.expect(&source.resource().id);
        let sources = vec![Some(source)];
        status.schedule().targets.store(agenda.len() as u64, Ordering::Relaxed);
        Self {
            last_turn: (clock.now_ms(), now),
            next_upkeep: now + UPKEEP_INTERVAL,
            clock,
            settings,
            agenda,
            sources,
            running: JoinSet::new(),
            judge,
            fleet,
            status,
            inbox,
            lag_alarm: LagAlarm::default(),
            awake: Wakefulness::starting(now),
            last_viewer_hurry: None,
            replace_sources: false,
        }
    }

    /// Runs until `stop`, then ends what is under way and saves what is known.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let cause = self.next_cause(&stop).await;
            self.notice_clock_jump();
            self.awake.turn(self.clock.monotonic());
            match cause {
                Cause::Due => self.start_due(&stop),
                Cause::Collected(Ok(collected)) => self.take_in(collected),
                Cause::Collected(Err(error)) => self.recover_source(&error),
                Cause::ViewerArrived => self.hurry_for_viewer(),
                Cause::Settings(update) => self.apply_settings(update),
                Cause::Command(command) => refuse(command),
                Cause::UpkeepDue => self.upkeep(),
                Cause::Stop => break,
            }
            self.status.schedule().progress.fetch_add(1, Ordering::AcqRel);
        }
        self.wind_down().await;
    }

    async fn next_cause(&mut self, stop: &CancellationToken) -> Cause {
        let now = self.clock.monotonic();
        let until_due =
            self.agenda.next_due().map_or(UPKEEP_INTERVAL, |due| due.saturating_sub(now));
        let until_upkeep = self.next_upkeep.saturating_sub(now);
        tokio::select! {
            biased;
            () = stop.cancelled() => Cause::Stop,
            Some(ended) = self.running.join_next() => Cause::Collected(ended),
            Some(update) = self.inbox.updates.recv() => Cause::Settings(update),
            Some(command) = self.inbox.commands.recv() => Cause::Command(command),
            () = tokio::time::sleep(until_due) => Cause::Due,
            () = self.fleet.viewer_arrived() => Cause::ViewerArrived,
            () = tokio::time::sleep(until_upkeep) => Cause::UpkeepDue,
        }
    }

    fn start_due(&mut self, stop: &CancellationToken) {
        let now = self.clock.monotonic();
        while let Some(due) = self.agenda.take_due(now) {
            match due {
                Ok(due) => self.start(due, now, stop),
                Err(_) => {
                    self.status.schedule().skipped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn start(
        &mut self,
        DueTarget { target, due }: DueTarget,
        now: Duration,
        stop: &CancellationToken,
    ) {
        self.notice_lag(now.saturating_sub(due));
        let Some(mut source) = self.sources.get_mut(target.0).and_then(Option::take) else {
            return;
        };
        let replacement = std::mem::take(&mut self.replace_sources)
            .then(|| Box::new(LocalNode::new(self.settings.local.clone())));
        let context = CollectContext {
            clock: self.clock.clone(),
            deadline: self.collect_deadline(),
            cancel: stop.child_token(),
        };
        self.status.schedule().started.fetch_add(1, Ordering::Relaxed);
        self.running.spawn(async move {
            if let Some(replacement) = replacement {
                source.shutdown().await;
                source = replacement;
            }
            let observation = source.collect(&context).await;
            Collected { target, source, observation }
        });
    }

    fn take_in(&mut self, collected: Collected) {
        let Collected { target, source, observation } = collected;
        self.status.set_children(source.pids());
        let watched = self.fleet.viewers() > 0;
        let interval = self.judge.apply(source.resource(), &observation, watched);
        self.agenda.finished(target, self.clock.monotonic() + interval);
        if let Some(place) = self.sources.get_mut(target.0) {
            *place = Some(source);
        }
        self.status.schedule().first_sweep_done.store(true, Ordering::Release);
    }

    /// A collection panicked and took its source along: the node is unknown until the next one.
    fn recover_source(&mut self, error: &JoinError) {
        tracing::error!(%error, "collecting this machine panicked; starting its collectors anew");
        let source = Box::new(LocalNode::new(self.settings.local.clone()));
        let now = Timestamp::from_unix_ms(self.clock.now_ms());
        let observation = lost_observation(&source, now, error);
        self.judge.apply(source.resource(), &observation, false);
        let retry_at = self.clock.monotonic() + RETRY_AFTER_PANIC;
        for (index, place) in self.sources.iter_mut().enumerate() {
            if place.is_none() {
                *place = Some(source);
                self.agenda.finished(TargetIndex(index), retry_at);
                break;
            }
        }
    }

    fn apply_settings(&mut self, update: SettingsUpdate) {
        match update {
            SettingsUpdate::Reloaded { settings, changed, needs_restart } => {
                self.status
                    .set_config(ConfigState { file: settings.config_file.clone(), error: None });
                self.judge.set_policy(settings.policy.clone());
                self.settings = *settings;
                self.replace_sources = true;
                let mut message = match changed.as_slice() {
                    [] => "The configuration was read again; nothing changed.".to_owned(),
                    names => {
                        format!("The configuration was reloaded: {} changed.", names.join(", "))
                    }
                };
                if !needs_restart.is_empty() {
                    message += &format!(" A restart is needed for {}.", needs_restart.join(", "));
                }
                self.record(EventKind::ConfigReloaded, message);
                self.agenda.hurry(self.clock.monotonic());
            }
            SettingsUpdate::Rejected { error } => {
                let file = self.status.config().file.clone();
                self.status.set_config(ConfigState { file, error: Some(error.clone()) });
                self.record(
                    EventKind::ConfigRejected,
                    format!(
                        "The changed configuration was refused; the old one stays in force. {error}"
                    ),
                );
            }
        }
        self.upkeep();
    }

    fn hurry_for_viewer(&mut self) {
        let now = self.clock.monotonic();
        let recently =
            self.last_viewer_hurry.is_some_and(|last| now < last + VIEWER_HURRY_INTERVAL);
        if !recently {
            self.last_viewer_hurry = Some(now);
            self.agenda.hurry(now + VIEWER_HURRY);
        }
    }

    fn upkeep(&mut self) {
        let now = self.clock.monotonic();
        self.next_upkeep = now + UPKEEP_INTERVAL;
        self.judge.look_at_parts(&self.status.task_statuses());
        self.judge.notice_silence(self.awake.duration(now), self.collect_deadline());
    }

    /// What a collection may take as a whole.
    fn collect_deadline(&self) -> Duration {
        self.settings.local.probe_timeout + COLLECT_GRACE
    }

    fn notice_clock_jump(&mut self) {
        let now = (self.clock.now_ms(), self.clock.monotonic());
        let (last_wall, last_monotonic) = std::mem::replace(&mut self.last_turn, now);
        let passed = i64::try_from(now.1.saturating_sub(last_monotonic).as_millis()).unwrap_or(0);
        let jump_ms = (now.0 - last_wall) - passed;
        if jump_ms.unsigned_abs() > CLOCK_JUMP.as_millis() as u64 {
            let seconds = jump_ms.unsigned_abs() / 1000;
            let message = if jump_ms > 0 {
                format!("The clock went forward by {seconds} s: it was set, or the machine slept.")
            } else {
                format!("The clock was set back by {seconds} s.")
            };
            self.record(EventKind::ClockJumped, message);
            self.agenda.hurry(now.1);
        }
    }

    fn notice_lag(&mut self, lag: Duration) {
        let us = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.status.schedule().lag_us.store(us, Ordering::Relaxed);
        if self.lag_alarm.notice(self.clock.monotonic(), lag) {
            self.record(
                EventKind::HubLagging,
                format!(
                    "The hub runs {} s behind its schedule: the machine is overloaded or was stopped.",
                    lag.as_secs()
                ),
            );
        }
    }

    fn record(&mut self, kind: EventKind, message: String) {
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        self.judge.record([Event {
            id: EventId::default(),
            at,
            kind,
            resource: None,
            message,
            details: std::collections::BTreeMap::new(),
        }]);
    }

    /// What is known is saved first: ending collections may take longer than the stop may.
    async fn wind_down(mut self) {
        self.judge.save_all();
        while let Some(ended) = self.running.join_next().await {
            if let Ok(mut collected) = ended {
                collected.source.shutdown().await;
            }
        }
        for source in self.sources.iter_mut().flatten() {
            source.shutdown().await;
        }
    }
}

fn refuse(command: Command) {
    let (Command::AddNode(_, answer)
    | Command::RemoveNode(_, answer)
    | Command::ResetBreaker(_, answer)) = command;
    // Who asked may have gone.
    let _ = answer.send(Err(CommandError::Refused("this is in the making".to_owned())));
}

/// What stands in for the observation of a collection that panicked.
fn lost_observation(source: &LocalNode, now: Timestamp, error: &JoinError) -> Observation {
    let failure = ProbeError {
        kind: ProbeErrorKind::Failed,
        message: format!("collecting this machine failed inside Sickbay: {error}"),
        advice: None,
    };
    Observation {
        probes: vec![ProbeReport {
            probe: probe::REACHABLE,
            outcome: ProbeOutcome::Failed(failure),
            at: now,
            took: Duration::ZERO,
        }],
        ..view::empty_observation(&source.resource().id, now)
    }
}
