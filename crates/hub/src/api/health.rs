//! Does the process work, and may it be asked?
//!
//! Liveness tests no dependency: a full disk is no reason to be restarted.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sickbay_wire::v1::{HealthDocument, HealthDocumentCheck};

use super::accept::{self, JSON};
use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, cache};

/// The shape of the health+json draft.
const HEALTH_JSON: &str = "application/health+json";
const TEXT: &str = "text/plain; charset=utf-8";
const KNOWN: &[&str] = &["verbose"];

/// What was asked: a name, why the answer is no, if it is, and what is to be known beside.
struct Answered {
    name: &'static str,
    failures: Vec<String>,
    caveats: Vec<String>,
}

/// Whether the process works. Tests no dependency.
#[utoipa::path(get, path = "/livez", tag = "health",
    params(("verbose" = Option<String>, Query, description = "List the single answers as text")),
    responses((status = 200, description = "It works", body = HealthDocument,
        content_type = "application/health+json")))]
pub(super) async fn livez(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    live(&context, &headers, query.as_deref())
}

/// The same as `/livez`, under the name that other tools look for.
#[utoipa::path(get, path = "/health", tag = "health",
    params(("verbose" = Option<String>, Query, description = "List the single answers as text")),
    responses((status = 200, description = "It works", body = HealthDocument,
        content_type = "application/health+json")))]
pub(super) async fn health(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    live(&context, &headers, query.as_deref())
}

/// Whether the hub can be asked: the store is open and everything was collected once.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("verbose" = Option<String>, Query, description = "List the single answers as text")),
    responses(
        (status = 200, description = "It can", body = HealthDocument,
            content_type = "application/health+json"),
        (status = 503, description = "Not yet, and why", body = HealthDocument,
            content_type = "application/health+json")))]
pub(super) async fn readyz(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    readiness(&context, &headers, query.as_deref())
}

/// The same as `/readyz`, under the name that other tools look for.
#[utoipa::path(get, path = "/ready", tag = "health",
    params(("verbose" = Option<String>, Query, description = "List the single answers as text")),
    responses(
        (status = 200, description = "It can", body = HealthDocument,
            content_type = "application/health+json"),
        (status = 503, description = "Not yet, and why", body = HealthDocument,
            content_type = "application/health+json")))]
pub(super) async fn ready(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    readiness(&context, &headers, query.as_deref())
}

fn live(
    context: &ApiContext,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, ProblemResponse> {
    let answered = Answered { name: "process", failures: Vec::new(), caveats: Vec::new() };
    respond(context, headers, query, "the hub works", &answered)
}

fn readiness(
    context: &ApiContext,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Response, ProblemResponse> {
    let failures = context.shared.hub.readiness().err().unwrap_or_default();
    let answered = Answered { name: "readiness", failures, caveats: context.shared.hub.caveats() };
    respond(context, headers, query, "the hub is ready", &answered)
}

fn respond(
    context: &ApiContext,
    headers: &HeaderMap,
    query: Option<&str>,
    well: &str,
    answered: &Answered,
) -> Result<Response, ProblemResponse> {
    let query = Query::parse(query, KNOWN)?;
    let verbose = query.has("verbose");
    let well_now = answered.failures.is_empty();
    let status = if well_now { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    for kind in [HEALTH_JSON, JSON] {
        if accept::names(headers, kind) {
            let body = cache::to_json(&document(context, well, answered))?;
            return Ok((status, [(header::CONTENT_TYPE, kind)], body).into_response());
        }
    }
    let body = text(verbose, well, answered);
    Ok((status, [(header::CONTENT_TYPE, TEXT)], body).into_response())
}

/// Text as Kubernetes writes it: `[+]name ok`, `[-]name failed: reason`; and `[!]` for what is to be
/// known though the answer is yes.
fn text(verbose: bool, well: &str, answered: &Answered) -> String {
    let name = answered.name;
    let mut text = String::new();
    if verbose && answered.failures.is_empty() {
        let _ = writeln!(text, "[+]{name} ok");
    }
    for failure in &answered.failures {
        let _ = writeln!(text, "[-]{name} failed: {failure}");
    }
    for caveat in answered.caveats.iter().filter(|_| verbose) {
        let _ = writeln!(text, "[!]{}", caveat.replace('\n', " "));
    }
    let _ = match (answered.failures.is_empty(), verbose) {
        (true, false) => writeln!(text, "ok"),
        (true, true) => writeln!(text, "{well}"),
        (false, _) => writeln!(text, "not ready"),
    };
    text
}

fn document(context: &ApiContext, well: &str, answered: &Answered) -> HealthDocument {
    let time = context.now();
    let check = |status: &str, output: Option<&String>| HealthDocumentCheck {
        status: status.to_owned(),
        output: output.cloned(),
        time,
    };
    let failures = answered.failures.iter().map(|reason| check("fail", Some(reason)));
    let caveats = answered.caveats.iter().map(|caveat| check("warn", Some(caveat)));
    let mut checks: Vec<HealthDocumentCheck> = failures.chain(caveats).collect();
    if checks.is_empty() {
        checks.push(check("pass", None));
    }
    let failed = !answered.failures.is_empty();
    let word = match (failed, answered.caveats.is_empty()) {
        (true, _) => "fail",
        (false, false) => "warn",
        (false, true) => "pass",
    };
    HealthDocument {
        status: word.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        output: if failed { answered.failures.join("; ") } else { well.to_owned() },
        checks: BTreeMap::from([(answered.name.to_owned(), checks)]),
    }
}
