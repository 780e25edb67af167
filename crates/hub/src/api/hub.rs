//! The whole at one glance: `/status`, the hub's own status, and `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sickbay_model::Level;
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{HubStatus, StatusReport};

use super::cache::{self, Stamp};
use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, accept};
use crate::exposition::{Format, OPEN_METRICS, PLAIN_TEXT};
use crate::fleet::FleetSnapshot;

/// How long an answer that shows the hub's own status is kept: it has no revision.
const HUB_TICK: Duration = Duration::from_secs(1);

/// Everything at one glance: the system's score, every resource, the hub itself.
#[utoipa::path(get, path = "/status", tag = "status",
    responses((status = 200, description = "The report", body = StatusReport),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn status(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let snapshot = context.shared.fleet.snapshot();
    let stamp = stamp(&context, &snapshot);
    let answer = context
        .shared
        .cache
        .get_or_make("/status", stamp, || cache::to_json(&report(&context, &snapshot)))?;
    Ok(answer.json(&headers))
}

/// The hub itself: version, uptime, tasks, store, schedule, and what it costs.
#[utoipa::path(get, path = "/api/v1/hub", tag = "status",
    responses((status = 200, description = "The hub's status", body = HubStatus),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn hub(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let snapshot = context.shared.fleet.snapshot();
    let answer =
        context.shared.cache.get_or_make("/api/v1/hub", stamp(&context, &snapshot), || {
            cache::to_json(&context.shared.hub.status())
        })?;
    Ok(answer.json(&headers))
}

/// Everything as OpenMetrics 1.0, or as Prometheus text 0.0.4 for older clients.
#[utoipa::path(get, path = "/metrics", tag = "status",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (String = "text/plain; version=0.0.4; charset=utf-8"))),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn metrics(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    let offered =
        ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0", "text/plain"];
    let (key, format, content_type) = match accept::negotiate(&headers, &offered)? {
        1 => ("/metrics openmetrics", Format::OpenMetrics, OPEN_METRICS),
        _ => ("/metrics text", Format::Text, PLAIN_TEXT),
    };
    let snapshot = context.shared.fleet.snapshot();
    let answer = context.shared.cache.get_or_make(key, stamp(&context, &snapshot), || {
        let hub = context.shared.hub.status();
        let shared = &context.shared;
        Ok(shared.exposition.encode(format, &snapshot, &hub, &shared.counters, &shared.clock))
    })?;
    Ok(answer.respond(&headers, content_type))
}

fn stamp(context: &ApiContext, snapshot: &Arc<FleetSnapshot>) -> Stamp {
    let tick = context.shared.clock.monotonic().as_secs() / HUB_TICK.as_secs().max(1);
    Stamp { revision: snapshot.revision, tick }
}

fn report(context: &ApiContext, snapshot: &FleetSnapshot) -> StatusReport {
    let mut level_counts: BTreeMap<String, u32> =
        Level::ALL.into_iter().map(|level| (level.as_str().to_owned(), 0)).collect();
    for detail in snapshot.resources.values() {
        *level_counts.entry(detail.summary.level.as_str().to_owned()).or_default() += 1;
    }
    StatusReport {
        system: snapshot.system.clone(),
        resources: snapshot.resources.values().map(|detail| detail.summary.clone()).collect(),
        level_counts,
        fleet: Some(context.shared.rows.at(snapshot).totals.clone()),
        hub: context.shared.hub.status(),
    }
}
