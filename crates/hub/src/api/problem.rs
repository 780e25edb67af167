//! Errors as answers: problem details (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sickbay_wire::problem::{CONTENT_TYPE, Mistake, Problem};

/// A problem on its way to the client.
#[derive(Clone, Debug)]
pub struct ProblemResponse {
    status: StatusCode,
    problem: Box<Problem>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl ProblemResponse {
    /// A problem of a kind (`urn:sickbay:problem:KIND`).
    pub(crate) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Into<String>,
    ) -> Self {
        let problem = Problem {
            kind: format!("urn:sickbay:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            mistakes: Vec::new(),
        };
        Self { status, problem: Box::new(problem), header: None }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0);
        match HeaderValue::from_str(&seconds.to_string()) {
            Ok(value) => self.with(header::RETRY_AFTER, value),
            Err(_) => self,
        }
    }

    /// 400: a parameter makes no sense.
    pub(crate) fn bad_parameter(name: &str, wrong: &str, example: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            "A parameter makes no sense",
            format!("parameter `{name}`: {wrong}; for example `{example}`"),
        )
    }

    /// 400: the request makes no sense in another way.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request makes no sense", detail)
    }

    /// 401: no token, or a wrong one.
    pub(crate) fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "The token is missing or wrong",
            "send the hub's token as `Authorization: Bearer TOKEN`, or sign in on the page",
        )
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sickbay\""))
    }

    /// 404: nothing has this path.
    pub(crate) fn no_such_path(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is nothing here",
            format!("nothing is served at {path:?}; /api/openapi.json lists what is"),
        )
    }

    /// 404: no resource has this id.
    pub(crate) fn no_such_resource(id: &str) -> Self {
        let id: String = id.chars().take(200).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-resource",
            "No such resource",
            format!("{id:?} is not watched; /api/v1/resources lists what is"),
        )
    }

    /// 406: no common media type.
    pub(crate) fn not_acceptable(offered: &[&str]) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not-acceptable",
            "No acceptable media type",
            format!("this can be had as {}", offered.join(" or ")),
        )
    }

    /// 413: the body is too large.
    pub(crate) fn too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            format!("a request's body may have at most {limit_bytes} bytes"),
        )
        .with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// 409: it cannot be done to this, as it is.
    pub(crate) fn conflict(kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, detail)
    }

    /// 422: what was sent is readable but cannot be right; each mistake is named.
    pub(crate) fn mistaken(detail: impl Into<String>, mistakes: Vec<Mistake>) -> Self {
        let title = "What was sent cannot be right";
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "mistakes", title, detail);
        refusal.problem.mistakes = mistakes;
        refusal
    }

    /// 503: it could not be written down, and so was not done.
    pub(crate) fn not_kept(detail: impl Into<String>) -> Self {
        let title = "It cannot be kept";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-kept", title, detail)
    }

    /// 415: the body is of another type.
    pub(crate) fn unsupported_media_type(wanted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's type is not understood",
            format!("send the body as `Content-Type: {wanted}`"),
        )
    }

    /// 429: asked too often.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Asked too often",
            "this address asks more often than the hub allows; the Retry-After header says when \
             to ask again, and /api/v1/stream tells of changes without asking",
        )
        .retry_after(wait)
    }

    /// 500: our fault.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The hub failed", detail)
    }

    /// 503: a limit is met; try again.
    pub(crate) fn busy(detail: impl Into<String>, wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too much at once", detail)
            .retry_after(wait)
    }

    /// 503: the answer took too long.
    pub(crate) fn too_slow(limit: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-slow",
            "The answer took too long",
            format!("the hub gave up after {} s; ask for less, or later", limit.as_secs_f64()),
        )
        .retry_after(limit)
    }

    /// 503: the store does not answer.
    pub(crate) fn store_failed(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store",
            "The store does not answer",
            format!("{error}{cause}; /api/v1/hub says how the store is"),
        )
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&*self.problem).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}
