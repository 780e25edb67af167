//! The nodes that are watched, as they are defined: listed, added, removed, and asked again.
//!
//! What changes something goes to the monitor loop as a command, and is answered once it is done and
//! written down.

use std::ops::Bound;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sickbay_engine::NodeMemory;
use sickbay_model::{NodeDefinition, NodeOrigin, ResourceId};
use sickbay_wire::problem::{Mistake, Problem};
use sickbay_wire::v1::{CheckRef, ForgottenView, NodeSpec, NodeView, Page};

use super::cache::{self, Stamp};
use super::problem::ProblemResponse;
use super::query::{self, Query};
use super::resources::parse_id;
use super::{ApiContext, accept, change};
use crate::command::{Command, CommandError, WhatToForget};
use crate::fleet::{FleetSnapshot, NodeEntry};
use crate::view;

const KNOWN: &[&str] = &["limit", "cursor"];
/// Rows of a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 100;
/// The most rows of a page.
const MAX_LIMIT: usize = 1_000;
/// The largest definition of a node.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// After which time a busy loop may be asked again.
const BUSY_WAIT: Duration = Duration::from_secs(1);
/// What is repeated of a reader's complaint about a body.
const MAX_COMPLAINT_CHARS: usize = 400;

type PathName = Result<Path<String>, PathRejection>;

/// Every watched node as it is defined, a page at a time, ordered by name.
#[utoipa::path(get, path = "/api/v1/nodes", operation_id = "node_list", tag = "fleet",
    params(
        ("limit" = Option<u32>, Query, description = "Rows of the page: 1 to 1000, by default 100"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page", body = Page<NodeView>),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn list(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(raw.as_deref(), KNOWN)?;
    accept::json(&headers)?;
    let limit = query.count("limit", DEFAULT_LIMIT, MAX_LIMIT)?;
    let after = query.one("cursor")?.map(|text| parse_id("cursor", text)).transpose()?;
    let snapshot = context.shared.fleet.snapshot();
    let page = page(&snapshot, after.as_ref(), limit);
    Ok(cache::Answer::new(cache::to_json(&page)?).json(&headers))
}

/// Watches a node from now on.
#[utoipa::path(post, path = "/api/v1/nodes", operation_id = "node_add", tag = "fleet",
    request_body = NodeSpec,
    responses((status = 201, description = "It is watched, and will be after a restart", body = NodeView,
            headers(("Location" = String, description = "Where it is"))),
        (status = 409, description = "A node of this name is watched already", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "It cannot be watched as described: every mistake", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The hub is busy, or cannot write it down; nothing was done", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn add(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let body = change::body(&headers, body, MAX_BODY_BYTES).await?;
    let spec: NodeSpec = serde_json::from_slice(&body).map_err(|error| {
        let said: String = error.to_string().chars().take(MAX_COMPLAINT_CHARS).collect();
        ProblemResponse::bad_request(format!(
            "the body is no node such as {{\"name\": \"gpu-07\"}}: {said}"
        ))
    })?;
    let definition = spec.into_definition(NodeOrigin::Added);
    let id = check(&definition)?;
    let entry = NodeEntry { definition: Some(definition.clone().into()), breaker: None };
    context.commands().ask(|answer| Command::AddNode(Box::new(definition), answer)).await.map_err(
        |error| match error {
            CommandError::Refused(reason) => ProblemResponse::mistaken(reason, Vec::new()),
            other => refused(other),
        },
    )?;
    let snapshot = context.shared.fleet.snapshot();
    let entry = snapshot.nodes.get(&id).map_or(&entry, |entry| &**entry);
    let mut response = cache::fresh_json(&view::watched_node(&id, entry))?;
    *response.status_mut() = StatusCode::CREATED;
    // A node's name has nothing in it that an address would have to encode.
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/nodes/{}", id.name())) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// One watched node as it is defined.
#[utoipa::path(get, path = "/api/v1/nodes/{name}", operation_id = "node_show", tag = "fleet",
    params(("name" = String, Path, description = "Its name", example = "gpu-07")),
    responses((status = 200, description = "The node", body = NodeView),
        (status = 304, description = "Unchanged since the ETag in `If-None-Match`"),
        (status = 404, description = "No such node", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn show(
    State(context): State<ApiContext>,
    path: PathName,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let id = named(path)?;
    let snapshot = context.shared.fleet.snapshot();
    let entry = snapshot.nodes.get(&id).ok_or_else(|| no_such_node(id.name()))?;
    let stamp = Stamp { revision: snapshot.revision, tick: 0 };
    let key = format!("/api/v1/nodes/{}", id.name());
    let make = || cache::to_json(&view::watched_node(&id, entry));
    Ok(context.shared.cache.get_or_make(&key, stamp, make)?.json(&headers))
}

/// Stops watching a node that was added at run time. Its history stays.
#[utoipa::path(delete, path = "/api/v1/nodes/{name}", operation_id = "node_remove", tag = "fleet",
    params(("name" = String, Path, description = "Its name", example = "gpu-07")),
    responses((status = 204, description = "It is not watched any more"),
        (status = 404, description = "No such node", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It is in the config, or the hub's own machine", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The hub is busy, or cannot write it down; nothing was done", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn remove(
    State(context): State<ApiContext>,
    path: PathName,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    let id = named(path)?;
    change::no_body(&headers, body).await?;
    context.commands().ask(|answer| Command::RemoveNode(id, answer)).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Closes a node's breaker and asks the node at once.
#[utoipa::path(post, path = "/api/v1/nodes/{name}/breaker/reset", operation_id = "breaker_reset", tag = "fleet",
    params(("name" = String, Path, description = "The node's name", example = "gpu-07")),
    responses((status = 200, description = "The node with its breaker closed", body = NodeView),
        (status = 404, description = "No such node", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It is behind no breaker: the hub's own machine", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The hub is busy; nothing was done", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn reset_breaker(
    State(context): State<ApiContext>,
    path: PathName,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    accept::json(&headers)?;
    let id = named(path)?;
    change::no_body(&headers, body).await?;
    let target = id.clone();
    context
        .commands()
        .ask(|answer| Command::ResetBreaker(target, answer))
        .await
        .map_err(refused)?;
    let snapshot = context.shared.fleet.snapshot();
    let entry = snapshot.nodes.get(&id).ok_or_else(|| no_such_node(id.name()))?;
    cache::fresh_json(&view::watched_node(&id, entry))
}

/// Forgets what a node had, for hardware that was taken out on purpose, and asks the node at once.
/// Without `check`, all that it had and misses now: GPUs, adapters, ports, links, memory, disks.
#[utoipa::path(post, path = "/api/v1/nodes/{name}/forget", operation_id = "node_forget", tag = "fleet",
    params(("name" = String, Path, description = "The node's name", example = "gpu-07"),
        ("check" = Option<String>, Query, description = "All that is known of this check instead, whether the node misses it or not: a fault that was repaired without a boot", example = "gpu_fault"),
        ("instance" = Option<String>, Query, description = "Only this instance of the check", example = "3 xid-48")),
    responses((status = 200, description = "What was forgotten; nothing where nothing was missed", body = ForgottenView),
        (status = 404, description = "No such node", body = Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "The hub is busy; nothing was done", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn forget(
    State(context): State<ApiContext>,
    path: PathName,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ProblemResponse> {
    let what = what_to_forget(&Query::parse(query.as_deref(), &["check", "instance"])?)?;
    accept::json(&headers)?;
    let id = named(path)?;
    change::no_body(&headers, body).await?;
    let target = id.clone();
    let asked = context.commands().ask(|answer| Command::Forget(target, what, answer));
    let forgotten = asked.await.map_err(refused)?.into_iter();
    let forgotten = forgotten
        .map(|it| CheckRef { check: it.check.to_string(), instance: it.instance.into() })
        .collect();
    cache::fresh_json(&ForgottenView { id: id.to_string(), forgotten })
}

fn what_to_forget(query: &Query) -> Result<WhatToForget, ProblemResponse> {
    let check = query.one("check")?.map(str::to_owned);
    let instance = query.one("instance")?.map(str::to_owned);
    if let Some(name) = check.as_deref().filter(|name| !NodeMemory::is_check(name)) {
        return Err(query::wrong("check", name, "the name of a check", "hardware_changed"));
    }
    if check.is_none() && instance.is_some() {
        let why = "an instance is of a check: name it, too";
        return Err(ProblemResponse::bad_parameter("instance", why, "check=gpu_fault&instance=3"));
    }
    Ok(WhatToForget { check, instance })
}

fn page(snapshot: &FleetSnapshot, after: Option<&ResourceId>, limit: usize) -> Page<NodeView> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut nodes = snapshot.nodes.range::<ResourceId, _>((start, Bound::Unbounded));
    let items: Vec<NodeView> =
        nodes.by_ref().take(limit).map(|(id, entry)| view::watched_node(id, entry)).collect();
    let next_cursor = nodes.next().and_then(|_| items.last().map(|node| node.id.clone()));
    Page { items, next_cursor }
}

/// The node that a path names.
fn named(path: PathName) -> Result<ResourceId, ProblemResponse> {
    let Path(name) = path.map_err(|error| {
        ProblemResponse::bad_request(format!("the path cannot be read: {}", error.body_text()))
    })?;
    ResourceId::node(&name).map_err(|_| no_such_node(&name))
}

/// Whether a node can be watched as it is defined.
fn check(definition: &NodeDefinition) -> Result<ResourceId, ProblemResponse> {
    let mistakes = definition.mistakes();
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    let refuse = |mistakes| {
        ProblemResponse::mistaken(
            format!("this node cannot be watched: {}", said.join("; ")),
            mistakes,
        )
    };
    if !mistakes.is_empty() {
        let mistakes = mistakes.into_iter();
        return Err(refuse(
            mistakes
                .map(|it| Mistake { field: it.field, problem: it.problem, allowed: it.allowed })
                .collect(),
        ));
    }
    ResourceId::node(&definition.name).map_err(|_| refuse(Vec::new()))
}

fn no_such_node(name: &str) -> ProblemResponse {
    let name: String = name.chars().take(200).collect();
    ProblemResponse::new(
        StatusCode::NOT_FOUND,
        "unknown-node",
        "No such node",
        format!("no node {name:?} is watched; /api/v1/nodes lists those that are"),
    )
}

/// A refused command as an answer.
fn refused(error: CommandError) -> ProblemResponse {
    match error {
        CommandError::Exists(id) => ProblemResponse::conflict(
            "exists",
            "It is watched already",
            format!(
                "{id} is watched already; to change it, remove it first, or edit the config if it \
                 is defined there"
            ),
        ),
        CommandError::Unknown(id) => no_such_node(id.name()),
        CommandError::Refused(reason) => {
            ProblemResponse::conflict("refused", "It cannot be done to this node", reason)
        }
        CommandError::NotKept(reason) => ProblemResponse::not_kept(format!(
            "{reason}; /api/v1/hub says how the store is; try again once it is well"
        )),
        CommandError::Busy => ProblemResponse::busy(
            "too much is asked of the hub at once, or it is stopping; try again",
            BUSY_WAIT,
        ),
    }
}
