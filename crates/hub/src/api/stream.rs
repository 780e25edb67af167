//! The live stream: changes as server-sent events.
//!
//! First comes every resource as it is, then what changes. `event` messages alone carry an `id`;
//! a client that comes back with it as `Last-Event-ID` gets the events that it missed from the
//! store, in order and without gaps. A client that falls behind by more than the backlog gets
//! what differs by then instead of a queue that grows. Slow readers are let go by the server's
//! write deadline; all streams end when the server stops.
//!
//! Details are for one machine or a few: who shows a fleet asks for its lines (`fleet`), which come at
//! a bounded rate, and for the details of the one resource that is open (`resource`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use sickbay_model::{EventId, Kind, ResourceId};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::StreamMessage;

use super::problem::ProblemResponse;
use super::query::{Query, wrong};
use super::resources::parse_id;
use super::{ApiContext, accept};
use crate::server::Connection;

mod live;
mod rows;

use live::Live;

const EVENT_STREAM: &str = "text/event-stream";
const KNOWN: &[&str] = &["last_event_id", "fleet", "resource"];
/// How often a comment is sent when nothing else is, so that proxies keep the line.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Everything that changes, as server-sent events: `resource` or `fleet_node` and `fleet`, `removed`, `event`, `hub`.
#[utoipa::path(get, path = "/api/v1/stream", tag = "events",
    params(
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that the client has: missed ones are sent"),
        ("last_event_id" = Option<u64>, Query, description = "The same, for clients that cannot set headers"),
        ("fleet" = Option<bool>, Query, description = "The fleet's lines instead of every detail: `fleet` (the totals, without nodes) and `fleet_node` (one node, at first each of them); what changes faster than about 1000 lines a second is sent as it is newest"),
        ("resource" = Option<String>, Query, description = "Details of this resource and its GPUs alone (without `fleet` their events alone, too); its node is collected more often meanwhile")),
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
    let scope = Scope::parse(&query)?;
    let place = Arc::clone(&context.shared.streams).try_acquire_owned().map_err(|_| {
        let most = context.shared.limits.streams;
        ProblemResponse::busy(format!("{most} streams are open, which is the limit"), KEEP_ALIVE)
    })?;
    let stopping = connection.map(|Extension(connection)| connection.stopping).unwrap_or_default();
    let live = Live::new(context, scope, last, place, stopping);
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

/// What one client wants to be told of.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The fleet's lines.
    fleet: bool,
    /// The details of this resource and its parts alone.
    resource: Option<ResourceId>,
}

impl Scope {
    /// What a query asks for: every detail if it does not say.
    ///
    /// # Errors
    /// 400 when the resource is no id.
    pub(super) fn parse(query: &Query) -> Result<Self, ProblemResponse> {
        let fleet = match query.one("fleet")? {
            None => query.has("fleet"),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => return Err(wrong("fleet", other, "true or false", "true")),
        };
        let resource = query.one("resource")?.map(|text| parse_id("resource", text)).transpose()?;
        Ok(Self { fleet, resource })
    }

    fn has_details(&self) -> bool {
        !self.fleet || self.resource.is_some()
    }

    /// Whether the details of a resource are wanted.
    fn details(&self, id: &ResourceId) -> bool {
        self.resource.as_ref().map_or(!self.fleet, |wanted| is_part(id.as_str(), wanted))
    }

    /// Whether what happened to a resource is wanted.
    fn events(&self, id: Option<&str>) -> bool {
        match &self.resource {
            Some(wanted) if !self.fleet => id.is_some_and(|id| is_part(id, wanted)),
            _ => true,
        }
    }

    /// The node whose details are wanted.
    fn node(&self) -> Option<ResourceId> {
        let wanted = self.resource.as_ref()?;
        match wanted.kind() {
            Kind::Node => Some(wanted.clone()),
            Kind::Gpu => ResourceId::node(wanted.name().rsplit_once('/')?.0).ok(),
            _ => None,
        }
    }
}

/// Whether an id is that of a resource or of one of its GPUs.
fn is_part(id: &str, whole: &ResourceId) -> bool {
    id == whole.as_str()
        || (whole.kind() == Kind::Node
            && id
                .strip_prefix("gpu/")
                .and_then(|rest| rest.strip_prefix(whole.name()))
                .is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_is_told_of() {
        let all = ["node/a", "gpu/a/0", "node/ab", "gpu/ab/0"];
        for (query, details, events, node) in [
            ("", &all[..], &all[..], None),
            ("fleet", &[], &all, None),
            ("fleet=false", &all, &all, None),
            ("resource=node/a", &["node/a", "gpu/a/0"], &["node/a", "gpu/a/0"], Some("node/a")),
            ("resource=gpu/ab/0", &["gpu/ab/0"], &["gpu/ab/0"], Some("node/ab")),
            ("fleet&resource=node/ab", &["node/ab", "gpu/ab/0"], &all, Some("node/ab")),
        ] {
            let parsed = Query::parse(Some(query), KNOWN).expect("a query");
            let scope = Scope::parse(&parsed).expect("a scope");
            let shown = |id: &&str| scope.details(&id.parse().expect("an id"));
            assert_eq!(all.into_iter().filter(shown).collect::<Vec<_>>(), details, "{query}");
            let told = |id: &&str| scope.events(Some(id));
            assert_eq!(all.into_iter().filter(told).collect::<Vec<_>>(), events, "{query}");
            let watched = scope.node();
            assert_eq!(watched.as_ref().map(ResourceId::as_str), node, "{query}");
        }
        for query in ["fleet=maybe", "resource=a%20b", "resource=planet/mars/%20", "fleet&fleet"] {
            let parsed = Query::parse(Some(query), KNOWN).expect("a query");
            assert!(Scope::parse(&parsed).is_err(), "{query}");
        }
    }
}
