//! The monitor loop: await one of a closed list of causes, then apply it synchronously.
//!
//! Owns the agenda, the sources and (through the judge) the live state. Collections run beside the
//! loop, each under its own deadline, and hand their source back with what they brought. All that have
//! ended are taken in together: the hub's doubt of itself is decided over all of them before any is
//! judged, and one snapshot is published for all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sickbay_collect::{CollectContext, NodeSource as _};
use sickbay_model::{
    Event, EventId, EventKind, NodeDefinition, Observation, ProbeError, ProbeErrorKind,
    ProbeOutcome, ProbeReport, Resource, ResourceId, SshTarget, Timestamp, probe,
};
use sickbay_runtime::Clock;
use sickbay_store::{Store, StoredNode};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::command::Command;
use crate::fleet::Fleet;
use crate::hub_status::HubStatusSource;
use crate::judge::Judge;
use crate::run::SettingsUpdate;
use crate::settings::HubSettings;
use crate::source::{Source, Sources};
use crate::targets::{Agenda, DueTarget, Places, Plan, TargetIndex};
use crate::view;
use crate::watch::{self, Added};

mod attention;
mod commands;
mod watching;

use attention::{FirstSweep, LagAlarm, Wakefulness};
use commands::Kept;

/// How often the loop looks after the hub itself, and for nodes that fell silent.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

/// A difference between wall clock and monotonic clock beyond which the wall clock was set (or the
/// machine slept).
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// After a collection that was lost to a panic.
const RETRY_AFTER_PANIC: Duration = Duration::from_secs(5);

/// Collections that are taken in during one turn; the loop must come round to other causes.
const TAKEN_IN_PER_TURN: usize = 64;

/// What ending all sources may take when the hub stops; what is left then is dropped, which ends its
/// processes and sessions too.
const WIND_DOWN: Duration = Duration::from_millis(800);

/// All that can happen to the loop.
enum Cause {
    /// Something is due: a collection, a publication, or looking after the hub itself.
    Time,
    /// A collection ended, or its task panicked.
    Collected(Ended),
    /// Someone started to look.
    ViewerArrived,
    /// The configuration changed, or was refused.
    Settings(SettingsUpdate),
    /// Someone wants something done.
    Command(Command),
    /// What someone wanted is written down, or cannot be.
    Kept(Result<Kept, JoinError>),
    /// It was found out over which hosts targets are reached.
    JumpsFound(Result<Vec<(SshTarget, Vec<String>)>, JoinError>),
    /// A source that is not needed any more was let go of.
    LetGo,
    /// The hub is to stop.
    Stop,
}

type Ended = Result<(Id, Collected), JoinError>;

/// What the loop is told from outside.
pub(crate) struct Inbox {
    /// New settings, or why they were refused.
    pub(crate) updates: mpsc::Receiver<SettingsUpdate>,
    /// What is to be done.
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// What the store knew at the start.
#[derive(Default)]
pub(crate) struct Restored {
    pub(crate) states: Vec<(ResourceId, Timestamp, Vec<u8>)>,
    pub(crate) nodes: Vec<StoredNode>,
}

struct Collected {
    target: TargetIndex,
    source: Source,
    observation: Observation,
}

/// One watched machine, as the loop holds it.
struct Target {
    resource: Resource,
    /// None for the hub's own machine.
    definition: Option<Arc<NodeDefinition>>,
    /// The watched nodes behind which it is.
    parents: Vec<ResourceId>,
    /// Taken out while it is asked.
    source: Option<Source>,
    /// What takes the source's place before it is asked again.
    replacement: Option<Source>,
    /// Ends the collection that is under way.
    cancel: CancellationToken,
    /// When its last collection ended.
    ended: Option<Duration>,
    /// Not watched any more; it goes once its collection has ended.
    leaving: bool,
}

/// The loop's state.
pub(crate) struct Monitor {
    clock: Clock,
    settings: HubSettings,
    store: Store,
    agenda: Agenda,
    sources: Sources,
    targets: BTreeMap<TargetIndex, Target>,
    by_id: BTreeMap<ResourceId, TargetIndex>,
    local: TargetIndex,
    /// What was added at run time, watched or not.
    added: BTreeMap<String, Added>,
    running: JoinSet<Collected>,
    /// The jump hosts of each target, as the SSH client's config has them.
    jumps: BTreeMap<SshTarget, Vec<String>>,
    /// Targets whose jump hosts are being found out.
    looking: JoinSet<Vec<(SshTarget, Vec<String>)>>,
    /// Whose collection a task is.
    tasks: HashMap<Id, TargetIndex>,
    /// Sources that end.
    closing: JoinSet<()>,
    /// Commands that are being written down, and the nodes that they are about.
    keeping: JoinSet<Kept>,
    kept_names: BTreeSet<String>,
    judge: Judge,
    fleet: Fleet,
    status: HubStatusSource,
    inbox: Inbox,
    /// Wall clock (ms) and monotonic clock at the last turn.
    last_turn: (i64, Duration),
    next_upkeep: Duration,
    lag: Duration,
    lag_alarm: LagAlarm,
    awake: Wakefulness,
    first_sweep: FirstSweep,
}

impl Monitor {
    #[expect(clippy::too_many_arguments, reason = "the hub's parts come together here, once")]
    pub(crate) fn new(
        clock: Clock,
        settings: HubSettings,
        sources: Sources,
        store: Store,
        restored: Restored,
        judge: Judge,
        fleet: Fleet,
        status: HubStatusSource,
        inbox: Inbox,
    ) -> Self {
        let now = clock.monotonic();
        let mut monitor = Self {
            last_turn: (clock.now_ms(), now),
            next_upkeep: now + UPKEEP_INTERVAL,
            agenda: Agenda::new(places(&settings)),
            added: watch::restored(&restored.nodes),
            targets: BTreeMap::new(),
            by_id: BTreeMap::new(),
            local: TargetIndex(0),
            running: JoinSet::new(),
            jumps: BTreeMap::new(),
            looking: JoinSet::new(),
            tasks: HashMap::new(),
            closing: JoinSet::new(),
            keeping: JoinSet::new(),
            kept_names: BTreeSet::new(),
            lag: Duration::ZERO,
            lag_alarm: LagAlarm::default(),
            awake: Wakefulness::starting(now),
            first_sweep: FirstSweep::ending(now + settings.ssh.connect_timeout),
            clock,
            settings,
            store,
            sources,
            judge,
            fleet,
            status,
            inbox,
        };
        monitor.watch_all(restored.states);
        monitor
    }

    /// Runs until `stop`, then ends what is under way and saves what is known.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let cause = self.next_cause(&stop).await;
            self.notice_clock_jump();
            self.awake.turn(self.clock.monotonic());
            match cause {
                Cause::Time => {}
                Cause::Collected(ended) => self.take_in(ended),
                Cause::ViewerArrived => self.hurry_for_viewers(),
                Cause::Settings(update) => self.apply_settings(update),
                Cause::Command(command) => self.obey(command),
                Cause::Kept(kept) => self.finish_command(kept),
                Cause::JumpsFound(found) => self.note_jumps(found),
                Cause::LetGo => {}
                Cause::Stop => break,
            }
            if self.next_upkeep <= self.clock.monotonic() {
                self.upkeep();
            }
            self.start_due(&stop);
            self.judge.compare_peers();
            self.judge.publish_if_due();
            self.status.schedule().progress.fetch_add(1, Ordering::AcqRel);
        }
        self.wind_down().await;
    }

    async fn next_cause(&mut self, stop: &CancellationToken) -> Cause {
        let due = [
            self.agenda.next_due(),
            self.judge.publish_due(),
            self.judge.comparing_due(),
            self.first_sweep.until(),
        ];
        let next = due.into_iter().flatten().fold(self.next_upkeep, Duration::min);
        let wait = next.saturating_sub(self.clock.monotonic());
        tokio::select! {
            biased;
            () = stop.cancelled() => Cause::Stop,
            Some(update) = self.inbox.updates.recv() => Cause::Settings(update),
            Some(command) = self.inbox.commands.recv() => Cause::Command(command),
            Some(kept) = self.keeping.join_next() => Cause::Kept(kept),
            Some(ended) = self.running.join_next_with_id() => Cause::Collected(ended),
            Some(found) = self.looking.join_next() => Cause::JumpsFound(found),
            Some(_) = self.closing.join_next() => Cause::LetGo,
            () = self.fleet.viewer_arrived() => Cause::ViewerArrived,
            () = tokio::time::sleep(wait) => Cause::Time,
        }
    }

    fn start_due(&mut self, stop: &CancellationToken) {
        let now = self.clock.monotonic();
        while let Some(due) = self.agenda.take_due(now) {
            self.start(due, now, stop);
        }
        let schedule = self.status.schedule();
        schedule.skipped.fetch_add(self.agenda.take_skipped(), Ordering::Relaxed);
        schedule.running.store(self.agenda.running() as u64, Ordering::Relaxed);
        schedule.waiting.store(self.agenda.waiting() as u64, Ordering::Relaxed);
        if self.first_sweep.is_done(now) {
            schedule.first_sweep_done.store(true, Ordering::Release);
        }
    }

    fn start(&mut self, due: DueTarget, now: Duration, stop: &CancellationToken) {
        let DueTarget { target: index, due, noticed } = due;
        // Waiting for a place is not the hub's lateness: it is its limit, and shown as such.
        self.notice_lag(noticed.saturating_sub(due));
        let deadline = self.settings.collect_deadline();
        let stretch = self.judge.stretch();
        let connect = self.settings.ssh.connect_timeout;
        let Some(target) = self.targets.get_mut(&index) else { return };
        if let Err(after) = self.judge.ask(&target.resource.id) {
            self.first_sweep.tried(index);
            self.agenda.finished(index, now, Some(Plan { after, opens: true }));
            return;
        }
        let Some(mut source) = target.source.take() else { return };
        let replacement = target.replacement.take();
        if replacement.is_some() {
            self.judge.source_made_anew(&target.resource.id);
        }
        let opening = if source.opens() { connect } else { Duration::ZERO };
        let deadline = match &target.definition {
            None => deadline,
            Some(_) => (deadline + opening).mul_f64(stretch),
        };
        target.cancel = stop.child_token();
        let context =
            CollectContext { clock: self.clock.clone(), deadline, cancel: target.cancel.clone() };
        self.status.schedule().started.fetch_add(1, Ordering::Relaxed);
        let task = self.running.spawn(async move {
            if let Some(replacement) = replacement {
                source.shutdown().await;
                source = replacement;
            }
            let observation = source.collect(&context).await;
            Collected { target: index, source, observation }
        });
        self.tasks.insert(task.id(), index);
    }

    /// Takes in all collections that have ended by now.
    fn take_in(&mut self, first: Ended) {
        let mut all = vec![first];
        while all.len() < TAKEN_IN_PER_TURN
            && let Some(more) = self.running.try_join_next_with_id()
        {
            all.push(more);
        }
        let mut collected = Vec::with_capacity(all.len());
        for ended in all {
            match ended {
                Ok((task, ended)) => {
                    self.tasks.remove(&task);
                    collected.extend(self.put_back(ended));
                }
                Err(error) => self.recover_source(&error),
            }
        }
        let mut concerned = Vec::new();
        for (_, observation) in &collected {
            concerned.extend(self.judge.note(observation));
        }
        self.look_for_doubt();
        for (index, observation) in collected {
            self.judge_collected(index, &observation);
        }
        self.hurry(&concerned);
    }

    /// Puts a source back into its place; what it brought, if it is still wanted.
    fn put_back(&mut self, collected: Collected) -> Option<(TargetIndex, Observation)> {
        let Collected { target: index, source, observation } = collected;
        if let Some(pids) = source.pids() {
            self.status.set_children(pids);
        }
        self.first_sweep.tried(index);
        let target = self.targets.get_mut(&index)?;
        target.source = Some(source);
        target.ended = Some(self.clock.monotonic());
        if target.leaving {
            self.agenda.finished(index, self.clock.monotonic(), None);
            self.let_go(index);
            return None;
        }
        Some((index, observation))
    }

    fn judge_collected(&mut self, index: TargetIndex, observation: &Observation) {
        let Some(target) = self.targets.get(&index) else { return };
        let opens = target.source.as_ref().is_some_and(Source::opens);
        let is_watched = self.is_looked_at(target);
        let after = self.judge.apply(&target.resource, observation, is_watched);
        self.agenda.finished(index, self.clock.monotonic(), Some(Plan { after, opens }));
    }

    fn hurry(&mut self, ids: &[ResourceId]) {
        let now = self.clock.monotonic();
        for id in ids {
            if let Some(target) = self.by_id.get(id) {
                self.agenda.hurry(*target, now);
            }
        }
    }

    fn look_for_doubt(&mut self) {
        let witnesses = self.judge.look(self.lag);
        self.hurry(&witnesses);
    }

    /// A collection panicked and took its source along: that node alone is unknown until the next.
    fn recover_source(&mut self, error: &JoinError) {
        let Some(index) = self.tasks.remove(&error.id()) else { return };
        let now = self.clock.monotonic();
        self.first_sweep.tried(index);
        let Some(target) = self.targets.get_mut(&index) else { return };
        let node = &target.resource.id;
        tracing::error!(%node, %error, "collecting panicked; its collectors are started anew");
        if target.leaving {
            self.agenda.finished(index, now, None);
            self.targets.remove(&index);
            return;
        }
        let fresh = match &target.definition {
            None => self.sources.local(),
            Some(definition) => self.sources.node(target.resource.clone(), definition),
        };
        target.source = Some(target.replacement.take().unwrap_or(fresh));
        target.ended = Some(now);
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let observation = lost_observation(&target.resource.id, at, error);
        self.judge.apply_lost(&target.resource, &observation);
        self.judge.source_made_anew(&target.resource.id);
        let opens = target.definition.is_some();
        self.agenda.finished(index, now, Some(Plan { after: RETRY_AFTER_PANIC, opens }));
    }

    fn upkeep(&mut self) {
        let now = self.clock.monotonic();
        self.next_upkeep = now + UPKEEP_INTERVAL;
        self.judge.look_at_parts(&self.status.task_statuses());
        let stretched = self.settings.collect_deadline().mul_f64(self.judge.stretch());
        self.judge.notice_silence(self.awake.duration(now), stretched);
        self.look_for_doubt();
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
            self.record(EventKind::ClockJumped, None, message);
            self.agenda.hurry_all(now.1);
        }
    }

    fn notice_lag(&mut self, lag: Duration) {
        self.lag = lag;
        let us = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.status.schedule().lag_us.store(us, Ordering::Relaxed);
        if self.lag_alarm.notice(self.clock.monotonic(), lag) {
            self.record(
                EventKind::HubLagging,
                None,
                format!(
                    "The hub runs {} s behind its schedule: the machine is overloaded or was stopped.",
                    lag.as_secs()
                ),
            );
        }
    }

    fn record(&mut self, kind: EventKind, resource: Option<ResourceId>, message: String) {
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        self.judge.record([Event {
            id: EventId::default(),
            at,
            kind,
            resource,
            message,
            details: BTreeMap::new(),
        }]);
    }

    /// What is known is saved first: ending collections may take longer than the stop may.
    async fn wind_down(mut self) {
        self.judge.save_all();
        // Again: the database may have been replaced by a fresh one since they were added.
        self.keep_added();
        let sources = self.targets.into_values().filter_map(|target| target.source);
        for mut source in sources.filter(|source| source.pids().is_some() || !source.opens()) {
            self.closing.spawn(async move { source.shutdown().await });
        }
        let (mut running, mut closing) = (self.running, self.closing);
        let ended = tokio::time::timeout(WIND_DOWN, async move {
            while let Some(ended) = running.join_next().await {
                if let Ok(mut collected) = ended {
                    closing.spawn(async move { collected.source.shutdown().await });
                }
            }
            while closing.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            tracing::warn!("not every node was let go of in time; what is left is cut off");
        }
    }
}

/// How much may happen at once.
fn places(settings: &HubSettings) -> Places {
    Places { collections: settings.concurrent_collections, openings: settings.ssh.opening_at_once }
}

/// What stands in for the observation of a collection that panicked.
fn lost_observation(node: &ResourceId, now: Timestamp, error: &JoinError) -> Observation {
    let failure = ProbeError {
        kind: ProbeErrorKind::Failed,
        message: format!("collecting it failed inside Sickbay: {error}"),
        advice: None,
    };
    Observation {
        probes: vec![ProbeReport {
            probe: probe::REACHABLE,
            outcome: ProbeOutcome::Failed(failure),
            at: now,
            took: Duration::ZERO,
        }],
        ..view::empty_observation(node, now)
    }
}

#[cfg(test)]
mod tests;
