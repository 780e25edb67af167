//! What every request passes before a handler sees it, and every answer on its way out.
//!
//! In this order: rate, host and origin, size, token, time, panics; and on the way back the
//! security headers and the count. All refusals are problem details.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http_body_util::Limited;
use sickbay_runtime::Clock;
use tower_http::catch_panic::CatchPanicLayer;

use super::origin::{self, Refusal};
use super::rate::RateLimiter;
use super::{Connection, HttpCounters, Sessions};
use crate::api::problem::ProblemResponse;
use crate::settings::Limits;

/// What a wrong token costs of a client's rate, so that guessing is slow.
const WRONG_TOKEN_COST: u32 = 20;

/// Headers that every answer carries unless its handler set them.
const SECURITY_HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// What the guard checks against.
pub(crate) struct Guard {
    rate: RateLimiter,
    sessions: Arc<Sessions>,
    host_names: Vec<String>,
    body_bytes: usize,
    request_time: Duration,
    clock: Clock,
    counters: HttpCounters,
}

impl Guard {
    pub(crate) fn new(
        limits: &Limits,
        sessions: Arc<Sessions>,
        host_names: Vec<String>,
        clock: Clock,
        counters: HttpCounters,
    ) -> Self {
        Self {
            rate: RateLimiter::new(limits),
            sessions,
            host_names,
            body_bytes: limits.body_bytes,
            request_time: limits.request_time,
            clock,
            counters,
        }
    }

    /// Refuses what must not be answered.
    fn admit(&self, request: &Request) -> Result<(), ProblemResponse> {
        let connection = request.extensions().get::<Connection>();
        let peer = connection.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |c| c.peer.ip());
        let on_loopback = connection.is_none_or(|c| c.local.ip().to_canonical().is_loopback());
        self.check_rate(peer, 1)?;
        origin::check(request.headers(), request.uri(), on_loopback, &self.host_names)
            .map_err(foreign)?;
        if declared_length(request.headers()).is_some_and(|bytes| bytes > self.body_bytes as u64) {
            return Err(ProblemResponse::too_large(self.body_bytes));
        }
        let now = self.clock.monotonic();
        if needs_token(request.uri().path()) && !self.sessions.allows(request.headers(), now) {
            if request.headers().contains_key(header::AUTHORIZATION) {
                return Err(self.wrong_token(Some(peer)));
            }
            self.counters.counts().unauthorised.fetch_add(1, Ordering::Relaxed);
            return Err(ProblemResponse::unauthorised());
        }
        Ok(())
    }

    /// The answer to a wrong token: it costs its sender much of the rate.
    pub(crate) fn wrong_token(&self, peer: Option<IpAddr>) -> ProblemResponse {
        self.counters.counts().unauthorised.fetch_add(1, Ordering::Relaxed);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        match self.check_rate(peer, WRONG_TOKEN_COST) {
            Ok(()) => ProblemResponse::unauthorised(),
            Err(problem) => problem,
        }
    }

    fn check_rate(&self, peer: IpAddr, cost: u32) -> Result<(), ProblemResponse> {
        self.rate.take(peer, cost, self.clock.monotonic()).map_err(|wait| {
            self.counters.counts().rate_limited.fetch_add(1, Ordering::Relaxed);
            ProblemResponse::too_many_requests(wait)
        })
    }
}

/// Puts the guard around a router.
pub(crate) fn protect(router: Router, guard: Arc<Guard>) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(guard, pass))
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(()) => {
            let limit = guard.body_bytes;
            let request = request.map(|body| Body::new(Limited::new(body, limit)));
            match tokio::time::timeout(guard.request_time, next.run(request)).await {
                Ok(response) => response,
                Err(_) => ProblemResponse::too_slow(guard.request_time).into_response(),
            }
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    guard.counters.answered(response.status());
    response
}

/// Deny by default: only what must be open without the token is.
fn needs_token(path: &str) -> bool {
    !(crate::api::OPEN_PATHS.contains(&path) || crate::dashboard::has(path))
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn foreign(refusal: Refusal) -> ProblemResponse {
    match refusal {
        Refusal::Host(host) => ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "unknown-host",
            "Not this hub's name",
            format!(
                "this hub listens on loopback and is not known as {host:?}; use localhost or \
                 127.0.0.1, or add the name to listen.host_names in the config"
            ),
        ),
        Refusal::Origin(from) => ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Asked by another site",
            format!("the request was made by a page of {from:?}, which is not this hub"),
        ),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is tower-http's")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "a request handler panicked");
    ProblemResponse::internal("the handler failed unexpectedly; the hub's log says where")
        .into_response()
}
