//! The owner of the live state: hands observations to the engine, publishes what it says, and writes
//! it down. Synchronous throughout; called by the monitor loop alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{
    NodeMemory, NodeShare, PaceMemory, Policy, Silence, SystemInput, assess, next_interval,
    silence, system_score,
};
use sickbay_model::{
    Event, EventId, EventKind, Frame, Observation, Resource, ResourceId, Timestamp,
};
use sickbay_runtime::{Clock, TaskStatus};
use sickbay_store::{MetricJudgement, Store, WriteBatch};
use sickbay_wire::v1::ResourceDetail;

use crate::fleet::{Change, FleetPublisher};
use crate::stored_state::StoredState;
use crate::view;

mod changes;
mod columns;
mod errors;
mod parts;

use changes::{check_changes, judgement_changes};
use columns::VerdictColumns;
use errors::ErrorWindow;
use parts::Parts;

/// A node's state is written when its verdict changes, and at least this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

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
}

/// What is known of one node.
#[derive(Default)]
struct Node {
    memory: NodeMemory,
    pace: PaceMemory,
    /// What was last shown: the node, then its parts.
    details: Vec<Arc<ResourceDetail>>,
    verdicts: VerdictColumns,
    collections: u64,
    last_saved: Option<Duration>,
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
        }
    }

    /// Takes up what was known of `watched` when the hub last ran; shown as old until it is collected
    /// again. What is not watched any more (a machine that was renamed) is forgotten, so that it
    /// does not count as missing for ever; its history stays.
    pub(crate) fn restore(
        &mut self,
        states: Vec<(ResourceId, Timestamp, Vec<u8>)>,
        watched: &BTreeSet<ResourceId>,
    ) {
        let mut removed = Vec::new();
        for (id, at, bytes) in states {
            if !watched.contains(&id) {
                tracing::info!(resource = %id, "no longer watched; its state is forgotten");
                removed.push(id);
                continue;
            }
            let state = match StoredState::decode(&bytes) {
                Ok(state) => state,
                Err(reason) => {
                    tracing::warn!(resource = %id, reason, "its stored state cannot be used; it starts afresh");
                    continue;
                }
            };
            let details: Vec<_> = state
                .details
                .into_iter()
                .map(|mut detail| {
                    detail.summary.stale =
                        Some(format!("from before the hub was started, as of {at}"));
                    Arc::new(detail)
                })
                .collect();
            self.publisher.publish(|next| insert_all(&mut next.resources, &details), []);
            let node = Node {
                memory: state.memory,
                pace: state.pace,
                details,
                ..Node::watched(self.clock.monotonic(), self.policy.schedule.active_interval)
            };
            self.nodes.insert(id, node);
        }
        self.write(WriteBatch { removed, ..WriteBatch::default() });
    }

    /// Expects collections of a node from now on: if none comes, it is unknown and not absent.
    pub(crate) fn expect(&mut self, id: &ResourceId) {
        let (now, interval) = (self.clock.monotonic(), self.policy.schedule.active_interval);
        self.nodes.entry(id.clone()).or_insert_with(|| Node::watched(now, interval));
    }

    /// Judges by other numbers from now on.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Judges what a collection brought; returns when the node is due again.
    pub(crate) fn apply(
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

        self.errors.add(self.clock.monotonic(), &assessment);
        node.share = NodeShare { ready: assessment.readiness.ready, score: assessment.score.score };
        let checks = check_changes(&resource.id, &node.details, &assessment);
        let judgements = judgement_changes(&mut node.judgements, &self.policy, &assessment);
        let details: Vec<_> = view::node_details(resource, &assessment, observation, interval)
            .into_iter()
            .map(Arc::new)
            .collect();
        let gone = ids_missing(&node.details, &details);
        node.details.clone_from(&details);
        let frame = Arc::new(node.verdicts.extend(&observation.frame, &assessment));

        let mut events = std::mem::take(&mut assessment.events);
        number(&mut self.last_event, &mut events);
        let changed = !events.is_empty() || !checks.is_empty();
        let states = self.state_if_due(&resource.id, assessment.at, changed);
        let system = self.system();

        log(&events);
        let changes: Vec<_> = details
            .iter()
            .map(|detail| Change::Resource(Arc::clone(detail)))
            .chain(gone.iter().cloned().map(Change::Removed))
            .chain(events.iter().map(Change::event))
            .collect();
        self.publisher.publish(
            |next| {
                for id in &gone {
                    next.resources.remove(id);
                }
                insert_all(&mut next.resources, &details);
                next.frames.insert(resource.id.clone(), Arc::clone(&frame));
                next.system = system;
            },
            changes,
        );
        self.write(WriteBatch {
            frames: vec![(resource.id.clone(), Frame::clone(&frame))],
            states,
            checks,
            events,
            judgements,
            ..WriteBatch::default()
        });
        interval
    }

    fn system(&self) -> sickbay_wire::v1::SystemScore {
        let input = SystemInput {
            nodes: self.nodes.values().map(|node| node.share).collect(),
            breakers: None,
            checks: self.errors.counts(),
            recoveries: None,
        };
        view::system_score(&system_score(&self.policy, &input))
    }

    /// Puts events into the log and sends them to those who look.
    pub(crate) fn record(&mut self, events: impl IntoIterator<Item = Event>) {
        let mut events: Vec<_> = events.into_iter().collect();
        number(&mut self.last_event, &mut events);
        log(&events);
        self.publisher.send(events.iter().map(Change::event));
        self.write(WriteBatch { events, ..WriteBatch::default() });
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
        node.share = NodeShare::default();
        let never;
        let last = if node.details.is_empty() {
            never = [Arc::new(view::never_collected(&self.policy, id, at, &silenced.reason))];
            &never[..]
        } else {
            &node.details[..]
        };
        let details: Vec<_> =
            last.iter().map(|detail| Arc::new(view::silenced(detail, &silenced))).collect();
        let mut events = silenced.events;
        number(&mut self.last_event, &mut events);
        log(&events);
        let states = self.state_if_due(id, at, !events.is_empty());
        let system = self.system();
        let changes: Vec<_> = details
            .iter()
            .map(|detail| Change::Resource(Arc::clone(detail)))
            .chain(events.iter().map(Change::event))
            .collect();
        self.publisher.publish(
            |next| {
                insert_all(&mut next.resources, &details);
                next.system = system;
            },
            changes,
        );
        self.write(WriteBatch { states, events, ..WriteBatch::default() });
    }

    /// Writes down everything that is known.
    pub(crate) fn save_all(&mut self) {
        let ids: Vec<_> = self.nodes.keys().cloned().collect();
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let states = ids.iter().flat_map(|id| self.state_if_due(id, at, true)).collect();
        self.write(WriteBatch { states, ..WriteBatch::default() });
    }

    fn state_if_due(
        &mut self,
        id: &ResourceId,
        at: Timestamp,
        changed: bool,
    ) -> Vec<(ResourceId, Timestamp, Vec<u8>)> {
        let now = self.clock.monotonic();
        let Some(node) = self.nodes.get_mut(id) else { return Vec::new() };
        let due = node.last_saved.is_none_or(|saved| now.saturating_sub(saved) >= SAVE_INTERVAL);
        if !changed && !due {
            return Vec::new();
        }
        node.last_saved = Some(now);
        let details = node.details.iter().map(|detail| ResourceDetail::clone(detail)).collect();
        match StoredState::new(node.memory.clone(), node.pace, details).encode() {
            Ok(bytes) => vec![(id.clone(), at, bytes)],
            Err(error) => {
                tracing::error!(resource = %id, %error, "its state cannot be written down");
                Vec::new()
            }
        }
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

fn insert_all(
    resources: &mut BTreeMap<ResourceId, Arc<ResourceDetail>>,
    details: &[Arc<ResourceDetail>],
) {
    for detail in details {
        // Ids of details were made from resource ids; anything else would be a mistake of ours.
        if let Ok(id) = detail.summary.id.parse() {
            resources.insert(id, Arc::clone(detail));
        }
    }
}

fn ids_missing(before: &[Arc<ResourceDetail>], now: &[Arc<ResourceDetail>]) -> Vec<ResourceId> {
    before
        .iter()
        .filter(|old| now.iter().all(|new| new.summary.id != old.summary.id))
        .filter_map(|old| old.summary.id.parse().ok())
        .collect()
}

/// Whoever reads only the log must not miss what happened; what is wrong with the hub is a warning.
fn log(events: &[Event]) {
    use EventKind::{ConfigRejected, CoordinatorUnhealthy, HubCrashed, HubLagging};
    for event in events {
        let resource = event.resource.as_ref().map(tracing::field::display);
        let (kind, id, message) = (event.kind, event.id.0, &event.message);
        if matches!(kind, ConfigRejected | CoordinatorUnhealthy | HubCrashed | HubLagging) {
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
