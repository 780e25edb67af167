//! What happened, in order.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sickbay_model::{Event, EventId, EventKind};
use sickbay_store::EventQuery;
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{EventView, Page};

use super::problem::ProblemResponse;
use super::query::{Query, wrong};
use super::resources::parse_id;
use super::{ApiContext, accept, cache, stored, time};

const KNOWN: &[&str] =
    &["after", "before", "cursor", "from", "to", "kind", "resource", "order", "limit"];
/// Rows of a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 100;
/// The most rows of a page.
const MAX_LIMIT: usize = 1_000;

/// Events, a page at a time.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "Only events with a larger id"),
        ("before" = Option<u64>, Query, description = "Only events with a smaller id"),
        ("cursor" = Option<u64>, Query, description = "`next_cursor` of the page before, in the same order"),
        ("from" = Option<String>, Query, description = "Only at or after this time: RFC 3339 or before now (`-24h`)"),
        ("to" = Option<String>, Query, description = "Only before this time"),
        ("kind" = Option<Vec<String>>, Query, description = "Only these kinds (`LEVEL_CHANGED`, …); repeat or separate by commas", explode = false),
        ("resource" = Option<String>, Query, description = "Only of this resource"),
        ("order" = Option<String>, Query, description = "`desc` (newest first, the default) or `asc` (oldest first, the default with `after`)"),
        ("limit" = Option<u32>, Query, description = "Rows of the page: 1 to 1000, by default 100")),
    responses((status = 200, description = "A page", body = Page<EventView>),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn events(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(query.as_deref(), KNOWN)?;
    accept::json(&headers)?;
    let limit = query.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    // One more than asked says whether there is a next page.
    let wanted = EventQuery { limit: limit + 1, ..question(&context, &query)? };
    let mut events = stored::read(&context, move |store| store.events(&wanted)).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next_cursor = events.last().filter(|_| more).map(|event| event.id.0.to_string());
    let items = events.into_iter().map(view).collect();
    cache::fresh_json(&Page::<EventView> { items, next_cursor })
}

fn question(context: &ApiContext, query: &Query) -> Result<EventQuery, ProblemResponse> {
    let mut after = query.event_id("after")?.map(EventId);
    let mut before = query.event_id("before")?.map(EventId);
    let cursor = query.event_id("cursor")?.map(EventId);
    let newest_first = match query.one("order")? {
        Some("desc") => true,
        Some("asc") => false,
        Some(other) => return Err(wrong("order", other, "asc or desc", "asc")),
        None => after.is_none(),
    };
    match cursor {
        Some(cursor) if newest_first => before = Some(before.map_or(cursor, |b| b.min(cursor))),
        Some(cursor) => after = Some(after.map_or(cursor, |a| a.max(cursor))),
        None => {}
    }
    let kinds = query.list("kind").map(parse_kind).collect::<Result<_, _>>()?;
    let resource = query.one("resource")?.map(|text| parse_id("resource", text)).transpose()?;
    let now = context.now();
    Ok(EventQuery {
        after,
        before,
        from: time::instant(query, "from", now)?,
        to: time::instant(query, "to", now)?,
        kinds,
        resource,
        limit: 0,
        newest_first,
    })
}

pub(super) fn parse_kind(word: &str) -> Result<EventKind, ProblemResponse> {
    word.parse().map_err(|_| {
        let words: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        wrong("kind", word, &format!("one of {}", words.join(", ")), "LEVEL_CHANGED")
    })
}

/// An event as the API shows it.
pub(super) fn view(event: Event) -> EventView {
    EventView {
        id: event.id.0,
        at: event.at,
        kind: event.kind,
        resource: event.resource.map(|id| id.to_string()),
        message: event.message,
        details: event.details,
    }
}
