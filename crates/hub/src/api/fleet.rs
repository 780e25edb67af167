//! The whole fleet at a glance: one line a node, filtered and in order, with the score of the whole.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::FleetView;

use super::cache::{self, Answer, Stamp};
use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, accept};

mod choose;
mod rows;

pub(super) use choose::{Order, Wanted, page};
pub(super) use rows::{LabelCounts, Row, Rows, RowsKeeper};

pub(super) const KNOWN: &[&str] =
    &["label", "level", "ready", "breaker", "search", "sort", "limit", "cursor"];
/// Nodes of a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 1_000;
/// The most nodes of a page.
const MAX_LIMIT: usize = 10_000;
/// The longest query whose answer is kept.
const MAX_KEPT_QUERY: usize = 256;
/// How many rows ahead of the one that is copied are fetched from memory.
const ROWS_AHEAD: usize = 4;
/// Where the nodes are put in an answer that has none yet. A text in it cannot hold these quotes.
const NO_NODES: &str = "\"nodes\":[]";

/// Every node in one line, worst first, with the score of the whole.
#[utoipa::path(get, path = "/api/v1/fleet", operation_id = "fleet", tag = "fleet",
    params(
        ("label" = Option<Vec<String>>, Query, description = "Only with these labels: `key=value`, or `key` for any value; repeat for several: one of the values of each key must fit"),
        ("level" = Option<Vec<String>>, Query, description = "Only these levels (`healthy`, `degraded`, `unhealthy`, `critical`, `unknown`)", explode = false),
        ("ready" = Option<bool>, Query, description = "Only nodes that are, or are not, ready for work"),
        ("breaker" = Option<Vec<String>>, Query, description = "Only nodes whose breaker is `closed`, `open` or `half_open`", explode = false),
        ("search" = Option<String>, Query, description = "Only nodes with each of these words in name, headline or labels, in whatever case"),
        ("sort" = Option<String>, Query, description = "`level` (worst first, the default), `score` (lowest first), `name`, `since` or `last_check` (oldest first); `-` before it reverses"),
        ("limit" = Option<u32>, Query, description = "Nodes of the page: 1 to 10000, by default 1000"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, in the same order")),
    responses((status = 200, description = "The fleet", body = FleetView),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn fleet(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ProblemResponse> {
    accept::json(&headers)?;
    let raw = raw.unwrap_or_default();
    let query = Query::parse(Some(&raw), KNOWN)?;
    let wanted = Wanted::parse(&query)?;
    let order = Order::parse(&query)?;
    let limit = query.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let rows = context.shared.rows.at(&context.shared.fleet.snapshot());
    let etag = etag(&context, rows.revision, &raw);
    if cache::matches_etag(&headers, &etag) {
        return Ok(Answer::tagged(Vec::new(), etag).json(&headers));
    }
    let cursor = query.one("cursor")?;
    let make = || answer(&rows, &wanted, order, cursor, limit);
    if raw.len() > MAX_KEPT_QUERY {
        return Ok(Answer::tagged(make()?, etag).json(&headers));
    }
    let key = format!("/api/v1/fleet?{raw}");
    let stamp = Stamp { revision: rows.revision, tick: 0 };
    let cache = &context.shared.cache;
    Ok(cache.get_or_make_tagged(&key, stamp, etag, make)?.json(&headers))
}

/// What an answer is known by: the hub's start (revisions begin anew with it), the revision, the
/// question.
fn etag(context: &ApiContext, revision: u64, raw: &str) -> HeaderValue {
    let started = context.shared.started_ms;
    let question = cache::hash(raw.as_bytes());
    HeaderValue::from_str(&format!("\"{started:x}-{revision:x}-{question:x}\""))
        .unwrap_or(HeaderValue::from_static("\"\""))
}

/// The answer as JSON, made of lines that are JSON already.
fn answer(
    rows: &Rows,
    wanted: &Wanted,
    order: Order,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Vec<u8>, ProblemResponse> {
    let (chosen, next_cursor) = page(&rows.all, wanted, order, cursor, limit)?;
    let head = cache::to_json(&FleetView { next_cursor, ..rows.head() })?;
    let head = String::from_utf8(head).unwrap_or_default();
    let (before, after) = head
        .split_once(NO_NODES)
        .ok_or_else(|| ProblemResponse::internal("the fleet's totals cannot be written"))?;
    let size: usize = chosen.iter().map(|row| row.json.len() + 1).sum();
    let mut text = String::with_capacity(head.len() + size);
    text.push_str(before);
    text.push_str("\"nodes\":[");
    let mut ahead = chosen.iter().skip(ROWS_AHEAD);
    for (at, row) in chosen.iter().enumerate() {
        // Rows lie in memory in no order that they are asked for in: waiting for each in turn was half
        // of the time of a large answer.
        if let Some(next) = ahead.next() {
            std::hint::black_box(next.touch());
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(&row.json);
    }
    text.push(']');
    text.push_str(after);
    Ok(text.into_bytes())
}
