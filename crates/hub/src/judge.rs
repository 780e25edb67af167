//! The owner of the live state: hands observations to the engine, publishes what it says, and writes
//! it down. Synchronous throughout; called by the monitor loop alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{
    Breaker, BreakerCounts, Doubt, NodeMemory, NodeShare, PaceMemory, Policy, Silence, Silenced,
    SystemInput, assess, next_interval, silence, system_score,
};
use sickbay_model::{
    Event, EventId, EventKind, NodeDefinition, Observation, Resource, ResourceId, SharedLayouts,
    Timestamp,
};
use sickbay_runtime::{Clock, TaskStatus};
use sickbay_store::{MetricJudgement, Store, WriteBatch};

use crate::fleet::{FleetPublisher, NodeEntry};
use crate::known::{Judged, KnownResource};
use crate::view;

mod asking;
mod changes;
mod columns;
mod errors;
mod forgetting;
mod parts;
mod pending;
mod saving;
mod stragglers;

use asking::Reach;
use changes::{check_changes, judgement_changes};
use columns::VerdictColumns;
use errors::ErrorWindow;
use parts::Parts;
use pending::Pending;
use saving::SaveBudget;
use stragglers::Stragglers;

/// The second collection follows the first this soon: rates exist only from then on.
const SECOND_COLLECTION: Duration = Duration::from_secs(1);

/// The live state and its way out.
pub(crate) struct Judge {
    policy: Policy,
    clock: Clock,
    publisher: FleetPublisher,
    store: Store,
    nodes: BTreeMap<ResourceId, Node>,
    last_event: EventId,
    errors: ErrorWindow,
    /// How the hub's own parts were at the last look: a change is an event.
    parts: Parts,
    doubt: Doubt,
    /// What was judged and is not published yet.
    pending: Pending,
    published_at: Option<Duration>,
    /// How many resources the newest snapshot has.
    resources_shown: u32,
    /// The number of the next node that is watched; zero is nobody's.
    next_number: u64,
    /// Breakers by state, as they were last published.
    breakers: BreakerCounts,
    layouts: SharedLayouts,
    /// When the next state may be written of which nothing changed.
    next_periodic_save: Duration,
    save_budget: SaveBudget,
    /// What compares nodes that do the same work.
    stragglers: Stragglers,
}

/// What is known of one node.
#[derive(Default)]
struct Node {
    /// What stands for it where numbers do; zero before it is watched.
    number: u64,
    /// None for the hub's own machine, which is behind no breaker.
    definition: Option<Arc<NodeDefinition>>,
    breaker: Option<Breaker>,
    /// What was published of these two.
    entered: Option<NodeEntry>,
    /// The watched nodes behind which it is.
    parents: Vec<ResourceId>,
    /// Whether its newest collection reached it; none before the first.
    reached: Option<bool>,
    /// When its breaker was last seen not closed.
    outage: Option<Duration>,
    memory: NodeMemory,
    pace: PaceMemory,
    /// What was last shown: the node, then its parts.
    known: Vec<(ResourceId, Arc<KnownResource>)>,
    verdicts: VerdictColumns,
    collections: u64,
    last_saved: Option<Duration>,
    /// Whether its verdict changed and that is not written yet.
    unsaved: bool,
    share: NodeShare,
    /// How its readings were last said to be judged.
    judgements: Vec<MetricJudgement>,
    /// When its last collection ended; before the first, since when it is watched.
    heard: Duration,
    /// Time planned from then to the next collection.
    interval: Duration,
}

impl Node {
    /// A node of which nothing was heard yet.
    fn watched(since: Duration, interval: Duration) -> Self {
        Self { heard: since, interval, ..Self::default() }
    }
}

impl Judge {
    pub(crate) fn new(
        policy: Policy,
        clock: Clock,
        publisher: FleetPublisher,
        store: Store,
    ) -> Self {
        let last_event = store.last_event_id();
        let parts = Parts::new(store.health().status);
        Self {
            policy,
            clock,
            publisher,
            store,
            nodes: BTreeMap::new(),
            last_event,
            errors: ErrorWindow::default(),
            parts,
            doubt: Doubt::default(),
            pending: Pending::default(),
            published_at: None,
            resources_shown: 0,
            next_number: 1,
            breakers: BreakerCounts::default(),
            layouts: SharedLayouts::default(),
            next_periodic_save: Duration::ZERO,
            save_budget: SaveBudget::default(),
            stragglers: Stragglers::default(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.clock.now_ms())
    }

    /// Judges by other numbers from now on.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Judges what a collection brought, or says why it is not judged; when the node is due again. What
    /// ended together with it was noted before ([`Judge::note`]).
    pub(crate) fn apply(
        &mut self,
        resource: &Resource,
        observation: &Observation,
        watched: bool,
    ) -> Duration {
        let reach = Reach::of(observation);
        if let Reach::Failed(why) = &reach
            && let Some(excuse) = self.excuse_of(&resource.id, why)
        {
            return self.apply_excuse(&resource.id, &excuse);
        }
        let paced = self.assess(resource, observation, watched);
        let wait = self.feed_breaker(&resource.id, &reach);
        if let (Some(wait), Some(node)) = (wait, self.nodes.get_mut(&resource.id)) {
            node.interval = wait;
        }
        wait.unwrap_or(paced)
    }

    /// Says that a node's collectors were made anew: their first answers lack what they remember.
    pub(crate) fn source_made_anew(&mut self, id: &ResourceId) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.memory.collectors_begin_anew();
        }
    }

    /// Takes in a collection that was lost inside the hub: the node is unknown, and not to blame.
    pub(crate) fn apply_lost(&mut self, resource: &Resource, observation: &Observation) {
        self.assess(resource, observation, false);
    }

    fn assess(
        &mut self,
        resource: &Resource,
        observation: &Observation,
        watched: bool,
    ) -> Duration {
        let node = self.nodes.entry(resource.id.clone()).or_default();
        let mut assessment = assess(&self.policy, &mut node.memory, observation);
        let seed = jitter_seed(&resource.id, node.collections);
        let paced =
            next_interval(&self.policy.schedule, &mut node.pace, assessment.busy(watched), seed);
        node.collections += 1;
        let interval = if node.collections == 1 { SECOND_COLLECTION.min(paced) } else { paced };
        (node.heard, node.interval) = (self.clock.monotonic(), interval);

        self.stragglers.observe(&self.policy, node.number, resource, observation, &assessment);
        self.errors.add(self.clock.monotonic(), &assessment);
        node.share = NodeShare { ready: assessment.readiness.ready, score: assessment.score.score };
        let before = node.known.first().map(|(_, known)| &**known);
        let checks = check_changes(&resource.id, before, &assessment);
        let judgements = judgement_changes(&mut node.judgements, &self.policy, &assessment);
        let (at, events) = (assessment.at, std::mem::take(&mut assessment.events));
        let frame = Arc::new(node.verdicts.extend(&self.layouts, &observation.frame, &assessment));
        let judged = Judged::new(resource, assessment, observation, Arc::clone(&frame), interval);
        let known = judged.resources();
        let gone = ids_missing(&node.known, &known);
        self.pending.show(&known);
        node.known = known;
        self.pending.hide(gone);
        self.pending.frame(&resource.id, frame);
        let changed = !events.is_empty() || !checks.is_empty();
        self.save_if_due(&resource.id, at, changed);
        self.pending.batch.checks.extend(checks);
        self.pending.batch.judgements.extend(judgements);
        self.tell(events);
        interval
    }

    fn system(&self) -> sickbay_wire::v1::SystemScore {
        let input = SystemInput {
            nodes: self.nodes.values().map(|node| node.share).collect(),
            breakers: self.breaker_counts(),
            checks: self.errors.counts(),
            recoveries: self.recovery_counts(),
        };
        view::system_score(&system_score(&self.policy, &input))
    }

    /// Puts events into the log and sends them to those who look.
    pub(crate) fn record(&mut self, events: impl IntoIterator<Item = Event>) {
        self.tell(events.into_iter().collect());
        self.publish();
    }

    /// Notices whether the hub's own parts still work: its store and its tasks.
    pub(crate) fn look_at_parts(&mut self, tasks: &[TaskStatus]) {
        let health = self.store.health();
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let events = self.parts.look(health.status, &health.message, tasks, at);
        if !events.is_empty() {
            self.record(events);
        }
    }

    /// Makes those nodes unknown of which nothing was heard for too long. `awake` is for how long
    /// the hub itself has been at work without a gap, `deadline` what a collection may take.
    pub(crate) fn notice_silence(&mut self, awake: Duration, deadline: Duration) {
        let now = self.clock.monotonic();
        let silent: Vec<_> = self
            .nodes
            .iter()
            .map(|(id, node)| (id, now.saturating_sub(node.heard), node.interval))
            .filter(|&(_, unheard, interval)| {
                Silence { unheard, awake, interval, deadline }.is_too_long()
            })
            .map(|(id, unheard, _)| (id.clone(), unheard))
            .collect();
        for (id, unheard) in silent {
            self.silence(&id, unheard);
        }
    }

    fn silence(&mut self, id: &ResourceId, unheard: Duration) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let silenced = silence(&mut node.memory, id, at, unheard);
        self.show_silenced(id, at, silenced);
    }

    /// Shows a node of which nothing is known now.
    fn show_silenced(&mut self, id: &ResourceId, at: Timestamp, mut silenced: Silenced) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.share = NodeShare::default();
        let never;
        let last = if node.known.is_empty() {
            let mut detail = view::never_collected(&self.policy, id, at, &silenced.reason);
            if let Some(definition) = &node.definition {
                detail.summary.labels = Arc::new(definition.labels.clone());
            }
            never = [(id.clone(), Arc::new(KnownResource::from(detail)))];
            &never[..]
        } else {
            &node.known[..]
        };
        let events = std::mem::take(&mut silenced.events);
        let silenced = Arc::new(silenced);
        let shown: Vec<_> = last
            .iter()
            .map(|(id, last)| (id.clone(), Arc::new(KnownResource::silenced(last, &silenced))))
            .collect();
        self.pending.show(&shown);
        self.save_if_due(id, at, !events.is_empty());
        self.tell(events);
    }

    fn write(&self, batch: WriteBatch) {
        if batch.is_empty() {
            return;
        }
        if let Err(dropped) = self.store.submit(batch) {
            tracing::warn!("{dropped}");
        }
    }
}

fn ids_missing<T>(before: &[(ResourceId, T)], now: &[(ResourceId, T)]) -> Vec<ResourceId> {
    let is_there = |id: &ResourceId| now.iter().any(|(new, _)| new == id);
    before.iter().map(|(id, _)| id).filter(|id| !is_there(id)).cloned().collect()
}

/// Whoever reads only the log must not miss what happened; what is wrong with the hub is a warning.
fn log(events: &[Event]) {
    use EventKind::{ConfigRejected, CoordinatorUnhealthy, HubCrashed, HubLagging, ObserverDoubt};
    for event in events {
        let resource = event.resource.as_ref().map(tracing::field::display);
        let (kind, id, message) = (event.kind, event.id.0, &event.message);
        if matches!(
            kind,
            ConfigRejected | CoordinatorUnhealthy | HubCrashed | HubLagging | ObserverDoubt
        ) {
            tracing::warn!(%kind, id, resource, "{message}");
        } else {
            tracing::info!(%kind, id, resource, "{message}");
        }
    }
}

/// Gives events their places in the log.
fn number(last: &mut EventId, events: &mut [Event]) {
    for event in events {
        last.0 += 1;
        event.id = *last;
    }
}

/// Differs from node to node and from collection to collection.
fn jitter_seed(id: &ResourceId, collections: u64) -> u64 {
    // FNV-1a: any spread will do, the engine mixes it again.
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.wrapping_add(collections)
}

#[cfg(test)]
mod tests;
