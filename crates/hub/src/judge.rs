//! The owner of the live state: hands observations to the engine, publishes what it says, and writes
//! it down. Synchronous throughout; called by the monitor loop alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{
    Assessment, CheckCounts, NodeMemory, NodeShare, PaceMemory, Policy, SystemInput, assess,
    next_interval, system_score,
};
use sickbay_model::{
    Event, EventId, EventKind, Frame, Layout, Level, Observation, Resource, ResourceId, SeriesSlot,
    Status, Timestamp, catalogue,
};
use sickbay_runtime::Clock;
use sickbay_store::{CheckChange, Store, WriteBatch};
use sickbay_wire::v1::{HubStatus, ResourceDetail, StreamMessage};

use crate::fleet::FleetPublisher;
use crate::stored_state::StoredState;
use crate::view;

/// A node's state is written when its verdict changes, and at least this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The second collection follows the first this soon: rates exist only from then on.
const SECOND_COLLECTION: Duration = Duration::from_secs(1);

/// Width and number of the buckets over which the system's error rate is taken: five minutes.
const ERROR_BUCKET: Duration = Duration::from_secs(30);
const ERROR_BUCKETS: usize = 10;

/// The live state and its way out.
pub(crate) struct Judge {
    policy: Policy,
    clock: Clock,
    publisher: FleetPublisher,
    store: Store,
    nodes: BTreeMap<ResourceId, Node>,
    last_event: EventId,
    errors: ErrorWindow,
    /// The store's status at the last look: a change is an event.
    store_status: Status,
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
}

impl Judge {
    pub(crate) fn new(policy: Policy, clock: Clock, publisher: FleetPublisher, store: Store) -> Self {
        let (last_event, store_status) = (store.last_event_id(), store.health().status);
        Self {
            policy,
            clock,
            publisher,
            store,
            nodes: BTreeMap::new(),
            last_event,
            errors: ErrorWindow::default(),
            store_status,
        }
    }

    /// Takes up what was known when the hub last ran; shown as old until it is collected again.
    pub(crate) fn restore(&mut self, states: Vec<(ResourceId, Timestamp, Vec<u8>)>) {
        for (id, at, bytes) in states {
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
            let node = Node { memory: state.memory, pace: state.pace, details, ..Node::default() };
            self.nodes.insert(id, node);
        }
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

        self.errors.add(self.clock.monotonic(), &assessment);
        node.share = NodeShare { ready: assessment.readiness.ready, score: assessment.score.score };
        let checks = check_changes(&resource.id, &node.details, &assessment);
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

        let messages: Vec<_> = details
            .iter()
            .map(|detail| StreamMessage::Resource(Box::new(ResourceDetail::clone(detail))))
            .chain(gone.iter().map(|id| StreamMessage::Removed(id.to_string())))
            .chain(events.iter().map(|event| StreamMessage::Event(view::event(event))))
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
            messages,
        );
        self.write(WriteBatch {
            frames: vec![(resource.id.clone(), Frame::clone(&frame))],
            states,
            checks,
            events,
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
        for event in &events {
            tracing::info!(kind = %event.kind, id = event.id.0, "{}", event.message);
        }
        self.publisher.send(events.iter().map(|event| StreamMessage::Event(view::event(event))));
        self.write(WriteBatch { events, ..WriteBatch::default() });
    }

    /// Sends the hub's own status to those who look.
    pub(crate) fn send_hub_status(&self, status: HubStatus) {
        self.publisher.send([StreamMessage::Hub(Box::new(status))]);
    }

    /// What is to be done now and then: notices whether the store still works.
    pub(crate) fn upkeep(&mut self) {
        let health = self.store.health();
        let before = std::mem::replace(&mut self.store_status, health.status);
        if before == health.status {
            return;
        }
        let (kind, message) = if health.status == Status::Healthy {
            (EventKind::CoordinatorHealthy, format!("The store works again: {}", health.message))
        } else {
            (EventKind::CoordinatorUnhealthy, format!("The store: {}", health.message))
        };
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let details = BTreeMap::from([("part".to_owned(), "store".to_owned())]);
        self.record([Event { id: EventId::default(), at, kind, resource: None, message, details }]);
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

/// The checks whose status or confirmation differs from what was last shown, and those that are no
/// longer asked while they were not healthy: what was opened is closed.
fn check_changes(
    resource: &ResourceId,
    before: &[Arc<ResourceDetail>],
    now: &Assessment,
) -> Vec<CheckChange> {
    let old = before.first().map_or(&[][..], |node| &node.checks);
    let mut changes: Vec<_> = now
        .checks
        .iter()
        .filter(|new| {
            let known = old
                .iter()
                .find(|old| old.check == new.check.as_str() && old.instance == new.instance);
            known.map_or(!new.is_healthy(), |old| old.status != new.status || old.hard != new.hard)
        })
        .map(|new| CheckChange {
            resource: resource.clone(),
            check: new.check.clone(),
            instance: new.instance.to_string(),
            status: new.status,
            hard: new.hard,
            message: new.message.to_string(),
            at: new.at,
            details: details_json(new),
        })
        .collect();
    let asked = |check: &str, instance: &str| {
        now.checks.iter().any(|new| new.check.as_str() == check && new.instance == instance)
    };
    let ended = old.iter().filter(|old| old.status != Status::Healthy);
    changes.extend(ended.filter(|old| !asked(&old.check, &old.instance)).map(|old| CheckChange {
        resource: resource.clone(),
        check: sickbay_model::CheckId(old.check.clone().into()),
        instance: old.instance.clone(),
        status: Status::Healthy,
        hard: true,
        message: "no longer applies".to_owned(),
        at: now.at,
        details: None,
    }));
    changes
}

fn details_json(result: &sickbay_model::CheckResult) -> Option<String> {
    if result.evidence.is_empty() && result.advice.is_none() {
        return None;
    }
    serde_json::to_string(&serde_json::json!({
        "evidence": result.evidence,
        "advice": result.advice,
    }))
    .ok()
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

/// Adds the verdict's own columns to a node's frames, so that scores have history like any reading.
#[derive(Default)]
struct VerdictColumns {
    base: Arc<Layout>,
    extended: Arc<Layout>,
    slots: Option<(SeriesSlot, SeriesSlot)>,
}

impl VerdictColumns {
    fn extend(&mut self, frame: &Frame, assessment: &Assessment) -> Frame {
        if self.slots.is_none() || !Arc::ptr_eq(&self.base, &frame.layout) {
            let mut layout = Layout::clone(&frame.layout);
            let score = layout.slot_or_insert(catalogue::SCORE, "");
            let readiness = layout.slot_or_insert(catalogue::READINESS, "");
            self.slots = score.zip(readiness);
            self.base = Arc::clone(&frame.layout);
            self.extended = Arc::new(layout);
        }
        let mut values = frame.values.to_vec();
        values.resize(self.extended.series().len(), f64::NAN);
        if let Some((score, readiness)) = self.slots {
            let known = assessment.level != Level::Unknown;
            put(&mut values, score, assessment.score.score);
            put(&mut values, readiness, known.then_some(assessment.readiness.pass_rate_percent));
        }
        Frame { at: frame.at, layout: Arc::clone(&self.extended), values: values.into() }
    }
}

fn put(values: &mut [f64], slot: SeriesSlot, value: Option<f64>) {
    if let Some(cell) = values.get_mut(slot.0 as usize) {
        *cell = value.unwrap_or(f64::NAN);
    }
}

/// Failed checks over all checks of the last minutes, in buckets.
#[derive(Default)]
struct ErrorWindow {
    buckets: VecDeque<(u64, CheckCounts)>,
}

impl ErrorWindow {
    fn add(&mut self, now: Duration, assessment: &Assessment) {
        let bucket = now.as_secs() / ERROR_BUCKET.as_secs();
        if self.buckets.back().is_none_or(|(newest, _)| *newest != bucket) {
            self.buckets.push_back((bucket, CheckCounts::default()));
        }
        while self.buckets.len() > ERROR_BUCKETS
            || self.buckets.front().is_some_and(|(oldest, _)| oldest + ERROR_BUCKETS as u64 <= bucket)
        {
            self.buckets.pop_front();
        }
        if let Some((_, counts)) = self.buckets.back_mut() {
            let failed = assessment.findings().count();
            counts.failed += u32::try_from(failed).unwrap_or(u32::MAX);
            counts.total += u32::try_from(assessment.checks.len()).unwrap_or(u32::MAX);
        }
    }

    fn counts(&self) -> Option<CheckCounts> {
        let sum = self.buckets.iter().fold(CheckCounts::default(), |sum, (_, counts)| CheckCounts {
            failed: sum.failed.saturating_add(counts.failed),
            total: sum.total.saturating_add(counts.total),
        });
        (sum.total > 0).then_some(sum)
    }
}
