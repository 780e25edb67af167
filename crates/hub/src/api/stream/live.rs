//! One client's stream: what it was told, what waits, what is new.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::response::sse::Event as Frame;
use sickbay_model::{EventId, ResourceId};
use sickbay_store::{EventQuery, Store};
use sickbay_wire::v1::EventView;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Scope;
use super::rows::{LOOK_INTERVAL, ROWS_PER_LOOK, SentRows};
use crate::api::fleet::Row;
use crate::api::shown::Shown;
use crate::api::{ApiContext, events, stored};
use crate::fleet::{Change, ViewerGuard};
use crate::known::KnownResource;
use crate::server::HttpCounters;

/// How often the hub's own status is sent.
const HUB_INTERVAL: Duration = Duration::from_secs(10);
/// How long a client should wait before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// How many missed events are read from the store at once.
const REPLAY_BATCH: usize = 200;

/// A message that waits. What is large is shared until it is written.
enum Waiting {
    Frame(Frame),
    Resource(Arc<KnownResource>),
    Row(Arc<Row>),
}

/// One client's stream.
pub(super) struct Live {
    context: ApiContext,
    scope: Scope,
    changes: Receiver<Change>,
    hub_due: Interval,
    /// None unless the fleet's lines are wanted.
    rows: Option<SentRows>,
    rows_due: Interval,
    /// Written before anything new is looked for; at most one snapshot or one batch of events.
    waiting: VecDeque<Waiting>,
    /// What the client was told, so that it can be told what is gone and what differs.
    known: BTreeMap<ResourceId, Weak<KnownResource>>,
    /// The last event that was sent or skipped; later ones are sent, in order.
    last_event: Option<EventId>,
    /// The last event before the stream began: where a client that named none starts from.
    begins_after: EventId,
    /// Events up to here are in the store and not sent yet.
    replay_to: Option<EventId>,
    /// A live event that waits until what was missed before it is replayed.
    held: Option<EventView>,
    stopping: CancellationToken,
    open: OpenCount,
    _viewer: ViewerGuard,
    _place: OwnedSemaphorePermit,
}

/// Counts a stream as open for as long as it lives.
struct OpenCount(HttpCounters);

impl OpenCount {
    fn new(counters: HttpCounters) -> Self {
        counters.counts().streams.fetch_add(1, Ordering::Relaxed);
        Self(counters)
    }
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.counts().streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    pub(super) fn new(
        context: ApiContext,
        scope: Scope,
        last_event: Option<EventId>,
        place: OwnedSemaphorePermit,
        stopping: CancellationToken,
    ) -> Self {
        let shared = &context.shared;
        let every = |period| {
            let mut due = interval(period);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            due
        };
        let begin = Frame::default().retry(RETRY).comment("sickbay");
        let mut live = Self {
            // Subscribed before the snapshot is read: what changes between is sent twice, not lost.
            changes: shared.fleet.subscribe(),
            hub_due: every(HUB_INTERVAL),
            rows: scope.fleet.then(SentRows::default),
            rows_due: every(LOOK_INTERVAL),
            waiting: VecDeque::from([Waiting::Frame(begin)]),
            known: BTreeMap::new(),
            replay_to: last_event.map(|_| shared.store.last_event_id()),
            begins_after: shared.store.last_event_id(),
            last_event,
            held: None,
            stopping,
            open: OpenCount::new(shared.counters.clone()),
            _viewer: match scope.node() {
                Some(node) => shared.fleet.watch_node(&node),
                None => shared.fleet.watch_viewer(),
            },
            _place: place,
            scope,
            context,
        };
        live.catch_up();
        live.look_at_rows(usize::MAX);
        live
    }

    /// The next frame; none when the stream ends.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.stopping.is_cancelled() {
                return None;
            }
            if let Some(waiting) = self.waiting.pop_front() {
                if let Some(frame) = self.write(waiting) {
                    return Some(frame);
                }
                continue;
            }
            if self.replay_to.is_some() {
                self.replay().await;
                continue;
            }
            let stopping = self.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return None,
                _ = self.hub_due.tick() => {
                    let status = self.context.shared.hub.status();
                    self.push("hub", &status);
                }
                _ = self.rows_due.tick(), if self.rows.is_some() => self.look_at_rows(ROWS_PER_LOOK),
                change = self.changes.recv() => match change {
                    Ok(change) => self.take(&change),
                    Err(RecvError::Lagged(missed)) => self.lagged(missed),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::Resource(known) => {
                let id = known.summary.id.parse().ok();
                if let Some(id) = id.filter(|id| self.scope.details(id)) {
                    self.tell_of(&id, known);
                }
            }
            Change::Removed(id) => {
                if self.known.remove(id).is_some() {
                    self.push("removed", id);
                }
            }
            Change::Event(event) => self.take_event(event),
        }
    }

    fn tell_of(&mut self, id: &ResourceId, known: &Arc<KnownResource>) {
        self.known.insert(id.clone(), Arc::downgrade(known));
        self.waiting.push_back(Waiting::Resource(Arc::clone(known)));
    }

    /// Sends a live event, once, after those that were missed before it.
    fn take_event(&mut self, event: &EventView) {
        let id = EventId(event.id);
        match self.last_event {
            Some(last) if id <= last => {}
            Some(last) if id.0 > last.0.saturating_add(1) => {
                self.replay_to = Some(EventId(event.id - 1));
                self.held = Some(event.clone());
            }
            _ => self.send_event(event),
        }
    }

    fn send_event(&mut self, event: &EventView) {
        self.last_event = Some(EventId(event.id));
        if !self.scope.events(event.resource.as_deref()) {
            return;
        }
        if let Some(frame) = frame("event", event) {
            self.waiting.push_back(Waiting::Frame(frame.id(event.id.to_string())));
        }
    }

    /// Reads the next batch of missed events from the store.
    async fn replay(&mut self) {
        let (Some(after), Some(to)) = (self.last_event, self.replay_to) else {
            self.replay_to = None;
            return;
        };
        let question = EventQuery {
            after: Some(after),
            before: Some(EventId(to.0.saturating_add(1))),
            limit: REPLAY_BATCH,
            ..EventQuery::default()
        };
        let read = move |store: &Store| {
            let missed = store.events(&question)?;
            let reached = missed.last().map_or(after, |event| event.id);
            if missed.len() >= REPLAY_BATCH || reached >= to {
                return Ok(missed);
            }
            // The newest may still wait to be written.
            if store.flush() { store.events(&question) } else { Ok(missed) }
        };
        let missed =
            if after < to { stored::read(&self.context, read).await } else { Ok(Vec::new()) };
        let missed = missed.unwrap_or_else(|_| {
            // Logged by the read; the client sees the jump in the ids.
            let comment = Frame::default().comment("missed events cannot be read");
            self.waiting.push_back(Waiting::Frame(comment));
            Vec::new()
        });
        let done = missed.len() < REPLAY_BATCH;
        for event in missed {
            self.send_event(&events::view(event));
        }
        if done {
            self.replay_to = None;
            self.last_event = Some(after.max(to).max(self.last_event.unwrap_or_default()));
            if let Some(held) = self.held.take() {
                self.send_event(&held);
            }
        }
    }

    /// The client is too slow: what differs as it is now, and the missed events from the store.
    fn lagged(&mut self, missed: u64) {
        if self.scope.has_details() {
            self.open.0.counts().streams_lagged.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(missed, "a stream fell behind; sending what differs by now");
        }
        self.changes = self.changes.resubscribe();
        self.last_event.get_or_insert(self.begins_after);
        self.replay_to = Some(self.context.shared.store.last_event_id());
        self.catch_up();
    }

    /// Every resource that is not as it was last told, and what is gone since then.
    fn catch_up(&mut self) {
        if !self.scope.has_details() {
            return;
        }
        let snapshot = self.context.shared.fleet.snapshot();
        let gone: Vec<ResourceId> =
            self.known.keys().filter(|id| !snapshot.resources.contains_key(*id)).cloned().collect();
        for id in &gone {
            self.known.remove(id);
            self.push("removed", id);
        }
        for (id, known) in &snapshot.resources {
            // A weak pointer keeps its address from being used again.
            let told = self.known.get(id).is_some_and(|it| it.as_ptr() == Arc::as_ptr(known));
            if !told && self.scope.details(id) {
                self.tell_of(id, known);
            }
        }
    }

    /// The lines that are not as they were last sent, and the totals.
    fn look_at_rows(&mut self, room: usize) {
        let Some(sent) = &mut self.rows else { return };
        let shared = &self.context.shared;
        let rows = shared.rows.at(&shared.fleet.snapshot());
        let news = sent.look(&rows, room);
        if news.head {
            self.push("fleet", &rows.head());
        }
        for id in &news.removed {
            self.push("removed", id);
        }
        self.waiting.extend(news.rows.into_iter().map(Waiting::Row));
    }

    fn push(&mut self, name: &'static str, value: &impl serde::Serialize) {
        self.waiting.extend(frame(name, value).map(Waiting::Frame));
    }

    fn write(&self, waiting: Waiting) -> Option<Frame> {
        match waiting {
            Waiting::Frame(frame) => Some(frame),
            Waiting::Row(row) => Some(Frame::default().event("fleet_node").data(&*row.json)),
            Waiting::Resource(known) => {
                let id = known.summary.id.parse().ok()?;
                let snapshot = self.context.shared.fleet.snapshot();
                frame("resource", &Shown::new(&id, &known.detail(), &snapshot))
            }
        }
    }
}

fn frame(name: &'static str, value: &impl serde::Serialize) -> Option<Frame> {
    match Frame::default().event(name).json_data(value) {
        Ok(frame) => Some(frame),
        Err(error) => {
            tracing::error!(%error, name, "a message of the stream cannot be written");
            None
        }
    }
}
