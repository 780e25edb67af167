//! The live stream: changes as server-sent events.
//!
//! First comes every resource as it is, then what changes. `event` messages alone carry an `id`;
//! a client that comes back with it as `Last-Event-ID` gets the events that it missed from the
//! store, in order and without gaps. A client that falls behind by more than the backlog gets
//! every resource anew instead of a queue that grows. Slow readers are let go by the server's
//! write deadline; all streams end when the server stops.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use sickbay_model::EventId;
use sickbay_store::{EventQuery, Store};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{EventView, StreamMessage};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, accept, events, stored};
use crate::fleet::{Change, ViewerGuard};
use crate::server::{Connection, HttpCounters};

const EVENT_STREAM: &str = "text/event-stream";
const KNOWN: &[&str] = &["last_event_id"];
/// How often the hub's own status is sent.
const HUB_INTERVAL: Duration = Duration::from_secs(10);
/// How often a comment is sent when nothing else is, so that proxies keep the line.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client should wait before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// How many missed events are read from the store at once.
const REPLAY_BATCH: usize = 200;

/// Everything that changes, as server-sent events: `resource`, `removed`, `event`, `hub`.
#[utoipa::path(get, path = "/api/v1/stream", tag = "events",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has: missed ones are sent"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for clients that cannot set headers")),
    responses(
        (status = 200, description = "Messages without end; each one's `data` is the value of one variant, its `event` the variant's name",
            body = StreamMessage, content_type = "text/event-stream"),
        (status = 503, description = "Too many streams", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn stream(
    State(context): State<ApiContext>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(query.as_deref(), KNOWN)?;
    accept::negotiate(&headers, &[EVENT_STREAM])?;
    let last = last_event_id(&headers, &query)?;
    let place = Arc::clone(&context.shared.streams).try_acquire_owned().map_err(|_| {
        let most = context.shared.limits.streams;
        ProblemResponse::busy(format!("{most} streams are open, which is the limit"), KEEP_ALIVE)
    })?;
    let stopping = connection.map(|Extension(connection)| connection.stopping).unwrap_or_default();
    let live = Live::new(context, last, place, stopping);
    let frames = futures_util::stream::unfold(live, |mut live| async move {
        live.next().await.map(|frame| (Ok::<_, Infallible>(frame), live))
    });
    let sse = Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies that gather answers would hold a stream back.
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], sse).into_response())
}

pub(super) fn last_event_id(
    headers: &HeaderMap,
    query: &Query,
) -> Result<Option<EventId>, ProblemResponse> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(query.event_id("last_event_id")?.map(EventId));
    };
    let text = value.to_str().unwrap_or("?");
    if text.is_empty() {
        return Ok(None);
    }
    let id = text.parse().map_err(|_| {
        ProblemResponse::bad_request(
            "the Last-Event-ID header is not an event's id; send the last `id` that was received",
        )
    })?;
    Ok(Some(EventId(id)))
}

/// One client's stream.
struct Live {
    context: ApiContext,
    changes: Receiver<Change>,
    hub_due: Interval,
    /// Written before anything new is looked for; at most one snapshot or one batch of events.
    waiting: VecDeque<Frame>,
    /// What the client knows of, so that it can be told what is gone.
    known: BTreeSet<String>,
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
    fn new(
        context: ApiContext,
        last_event: Option<EventId>,
        place: OwnedSemaphorePermit,
        stopping: CancellationToken,
    ) -> Self {
        let shared = &context.shared;
        let mut hub_due = interval(HUB_INTERVAL);
        hub_due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut live = Self {
            // Subscribed before the snapshot is read: what changes between is sent twice, not lost.
            changes: shared.fleet.subscribe(),
            hub_due,
            waiting: VecDeque::from([Frame::default().retry(RETRY).comment("sickbay")]),
            known: BTreeSet::new(),
            replay_to: last_event.map(|_| shared.store.last_event_id()),
            begins_after: shared.store.last_event_id(),
            last_event,
            held: None,
            stopping,
            open: OpenCount::new(shared.counters.clone()),
            _viewer: shared.fleet.watch_viewer(),
            _place: place,
            context,
        };
        live.start_afresh();
        live
    }

    /// The next frame; none when the stream ends.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if self.stopping.is_cancelled() {
                return None;
            }
            if let Some(frame) = self.waiting.pop_front() {
                return Some(frame);
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
            Change::Resource(detail) => {
                self.known.insert(detail.summary.id.clone());
                self.push("resource", &**detail);
            }
            Change::Removed(id) => {
                self.known.remove(id.as_str());
                self.push("removed", id);
            }
            Change::Event(event) => self.take_event(event),
        }
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
        if let Some(frame) = frame("event", event) {
            self.waiting.push_back(frame.id(event.id.to_string()));
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
            self.waiting.push_back(Frame::default().comment("missed events cannot be read"));
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

    /// The client is too slow: everything as it is now, and the missed events from the store.
    fn lagged(&mut self, missed: u64) {
        self.open.0.counts().streams_lagged.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(missed, "a stream fell behind; sending a fresh snapshot");
        self.changes = self.changes.resubscribe();
        self.last_event.get_or_insert(self.begins_after);
        self.replay_to = Some(self.context.shared.store.last_event_id());
        self.start_afresh();
    }

    /// Every resource as it is, and what is gone since the last time.
    fn start_afresh(&mut self) {
        let snapshot = self.context.shared.fleet.snapshot();
        let now: BTreeSet<String> = snapshot.resources.keys().map(ToString::to_string).collect();
        let gone: Vec<String> = self.known.difference(&now).cloned().collect();
        for id in &gone {
            self.push("removed", id);
        }
        for detail in snapshot.resources.values() {
            self.push("resource", &**detail);
        }
        self.known = now;
    }

    fn push(&mut self, name: &'static str, value: &impl serde::Serialize) {
        self.waiting.extend(frame(name, value));
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
