//! What is watched: the list with its filters, and one resource with the whole explanation.

use std::ops::Bound;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sickbay_model::{Kind, Level, ResourceId};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{Page, ResourceDetail, ResourceSummary};

use super::cache::{self, Stamp};
use super::problem::ProblemResponse;
use super::query::{Query, wrong};
use super::shown::Shown;
use super::{ApiContext, accept};
use crate::fleet::FleetSnapshot;

const KNOWN: &[&str] = &["kind", "level", "label", "parent", "limit", "cursor"];
/// Rows of a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 100;
/// The most rows of a page.
const MAX_LIMIT: usize = 1_000;
/// The longest query whose answer is kept.
const MAX_KEPT_QUERY: usize = 256;

/// Every resource, a page at a time, ordered by id.
#[utoipa::path(get, path = "/api/v1/resources", operation_id = "resource_list", tag = "resources",
    params(
        ("kind" = Option<Vec<String>>, Query, description = "Only these kinds (`node`, `gpu`, …); repeat or separate by commas", explode = false),
        ("level" = Option<Vec<String>>, Query, description = "Only these levels (`healthy`, `degraded`, `unhealthy`, `critical`, `unknown`)", explode = false),
        ("label" = Option<Vec<String>>, Query, description = "Only with these labels: `key=value`, or `key` for any value; repeat for several, all must fit"),
        ("parent" = Option<String>, Query, description = "Only parts of this resource"),
        ("limit" = Option<u32>, Query, description = "Rows of the page: 1 to 1000, by default 100"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = Page<ResourceSummary>),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ProblemResponse> {
    accept::json(&headers)?;
    let snapshot = context.shared.fleet.snapshot();
    let raw = raw.unwrap_or_default();
    let make = || {
        let query = Query::parse(Some(&raw), KNOWN)?;
        let filter = Filter::parse(&query)?;
        let limit = query.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
        cache::to_json(&page(&snapshot, &filter, query.one("cursor")?, limit)?)
    };
    if raw.len() > MAX_KEPT_QUERY {
        let bytes = make()?;
        return Ok(cache::Answer::new(bytes).json(&headers));
    }
    let key = format!("/api/v1/resources?{raw}");
    let stamp = Stamp { revision: snapshot.revision, tick: 0 };
    Ok(context.shared.cache.get_or_make(&key, stamp, make)?.json(&headers))
}

/// One resource with the whole explanation of its verdict.
#[utoipa::path(get, path = "/api/v1/resources/{kind}/{*name}", operation_id = "resource_detail", tag = "resources",
    params(
        ("kind" = String, Path, description = "Its kind", example = "node"),
        ("name" = String, Path, description = "Its name; a GPU's is `NODE/INDEX`, the slash as it is", example = "gpu-07")),
    responses((status = 200, description = "The resource", body = ResourceDetail),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = 404, description = "No such resource", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn detail(
    State(context): State<ApiContext>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    let Path((kind, name)) = path.map_err(|error| {
        ProblemResponse::bad_request(format!("the path cannot be read: {}", error.body_text()))
    })?;
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let text = format!("{kind}/{name}");
    let id: ResourceId = text.parse().map_err(|_| ProblemResponse::no_such_resource(&text))?;
    let snapshot = context.shared.fleet.snapshot();
    let known =
        snapshot.resources.get(&id).ok_or_else(|| ProblemResponse::no_such_resource(&text))?;
    let stamp = Stamp { revision: snapshot.revision, tick: 0 };
    let answer = context.shared.cache.get_or_make(id.as_str(), stamp, || {
        cache::to_json(&Shown::new(&id, &known.detail(), &snapshot))
    })?;
    Ok(answer.json(&headers))
}

/// Which resources are wanted.
#[derive(Default)]
pub(super) struct Filter {
    kinds: Vec<Kind>,
    levels: Vec<Level>,
    labels: Vec<(String, Option<String>)>,
    parent: Option<String>,
}

impl Filter {
    pub(super) fn parse(query: &Query) -> Result<Self, ProblemResponse> {
        let kinds = query.list("kind").map(parse_kind).collect::<Result<_, _>>()?;
        let levels = query
            .list("level")
            .map(|word| {
                word.parse().map_err(|_| {
                    wrong(
                        "level",
                        word,
                        "healthy, degraded, unhealthy, critical or unknown",
                        "critical",
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        let labels = query
            .all("label")
            .map(|text| match text.split_once('=') {
                _ if text.is_empty() || text.starts_with('=') => {
                    Err(wrong("label", text, "a label", "rack=r12"))
                }
                Some((key, value)) => Ok((key.to_owned(), Some(value.to_owned()))),
                None => Ok((text.to_owned(), None)),
            })
            .collect::<Result<_, _>>()?;
        let parent = query.one("parent")?.map(|text| parse_id("parent", text)).transpose()?;
        Ok(Self { kinds, levels, labels, parent: parent.map(|id| id.to_string()) })
    }

    fn fits(&self, id: &ResourceId, summary: &ResourceSummary) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&id.kind()))
            && (self.levels.is_empty() || self.levels.contains(&summary.level))
            && (self.parent.is_none() || self.parent == summary.parent)
            && self.labels.iter().all(|(key, wanted)| {
                summary
                    .labels
                    .get(key)
                    .is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
            })
    }
}

fn parse_kind(word: &str) -> Result<Kind, ProblemResponse> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
        let words: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        wrong("kind", word, &format!("one of {}", words.join(", ")), "node")
    })
}

/// A parameter that names a resource.
///
/// # Errors
/// 400 when it is no resource id.
pub(super) fn parse_id(name: &str, text: &str) -> Result<ResourceId, ProblemResponse> {
    text.parse().map_err(|_| wrong(name, text, "a resource id", "node/gpu-07"))
}

/// A page of the resources that fit, after the cursor (the last id of the page before).
fn page(
    snapshot: &FleetSnapshot,
    filter: &Filter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<ResourceSummary>, ProblemResponse> {
    let after = cursor.map(|text| parse_id("cursor", text)).transpose()?;
    let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut fitting = snapshot
        .resources
        .range::<ResourceId, _>((start, Bound::Unbounded))
        .filter(|(id, detail)| filter.fits(id, &detail.summary));
    let items: Vec<ResourceSummary> =
        fitting.by_ref().take(limit).map(|(_, detail)| detail.summary.clone()).collect();
    let next_cursor = fitting.next().and_then(|_| items.last().map(|summary| summary.id.clone()));
    Ok(Page { items, next_cursor })
}
