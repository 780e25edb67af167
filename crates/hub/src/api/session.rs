//! Signing in from the page: the token, once, for a cookie.

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::{SessionRequest, SessionView};

use super::problem::ProblemResponse;
use super::query::Query;
use super::{ApiContext, cache, change};
use crate::server::Connection;

/// The longest body: a token and its braces.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// Whether a token is needed, and whether this client has shown it.
#[utoipa::path(get, path = "/api/v1/session", operation_id = "session_show", tag = "session",
    responses((status = 200, description = "The answer", body = SessionView)))]
pub(super) async fn show(
    State(context): State<ApiContext>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    let sessions = &context.shared.sessions;
    cache::fresh_json(&SessionView {
        token_required: sessions.token_required(),
        signed_in: sessions.allows(&headers, context.shared.clock.monotonic()),
    })
}

/// Trades the token for a session cookie (`HttpOnly`, `SameSite=Strict`).
#[utoipa::path(post, path = "/api/v1/session", operation_id = "session_open", tag = "session",
    request_body = SessionRequest,
    responses((status = 204, description = "Signed in; the cookie is set"),
        (status = 401, description = "That is not the token", body = Problem,
            content_type = "application/problem+json"),
        (status = "4XX", description = "A mistake in the request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn open(
    State(context): State<ApiContext>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    let body = change::body(&headers, body, MAX_BODY_BYTES).await?;
    let shown: SessionRequest = serde_json::from_slice(&body).map_err(|error| {
        ProblemResponse::bad_request(format!(
            "the body is not {{\"token\": \"…\"}}: line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let sessions = &context.shared.sessions;
    if !sessions.token_required() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if !sessions.is_token(&shown.token) {
        let peer = connection.map(|Extension(connection)| connection.peer.ip());
        return Err(context.shared.guard.wrong_token(peer));
    }
    let encrypted = connection.is_some_and(|Extension(connection)| connection.encrypted);
    let cookie = sessions.open(context.shared.clock.monotonic(), encrypted);
    with_cookie(cookie)
}

/// Closes this client's session.
#[utoipa::path(delete, path = "/api/v1/session", operation_id = "session_close", tag = "session",
    responses((status = 204, description = "Signed out")))]
pub(super) async fn close(
    State(context): State<ApiContext>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ProblemResponse> {
    Query::parse(query.as_deref(), &[])?;
    let encrypted = connection.is_some_and(|Extension(connection)| connection.encrypted);
    with_cookie(context.shared.sessions.close(&headers, encrypted))
}

fn with_cookie(cookie: Result<HeaderValue, String>) -> Result<Response, ProblemResponse> {
    let cookie = cookie.map_err(ProblemResponse::internal)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
