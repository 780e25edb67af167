//! The HTTP API: what can be asked of the hub.
//!
//! Handlers read immutable [`FleetSnapshot`](crate::FleetSnapshot)s and the store; they change
//! nothing but sessions; what is to change goes to the monitor loop as a command. Every error is a problem detail, every parameter is documented, unknown
//! parameters are refused. Answers that many ask for are serialised once per revision.
//!
//! What it does not do: decide anything about health, listen on a socket (the
//! [`server`](crate::server) does), or read clocks but through its context.

pub mod problem;

mod accept;
mod cache;
mod change;
mod events;
mod fleet;
mod health;
mod history;
mod hub;
mod nodes;
mod openapi;
mod query;
mod resources;
mod session;
mod shown;
mod stored;
mod stragglers;
mod stream;
mod time;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use sickbay_model::Timestamp;
use sickbay_runtime::Clock;
use sickbay_store::Store;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::Commands;
use crate::exposition::Exposition;
use crate::fleet::Fleet;
use crate::hub_status::HubStatusSource;
use crate::server::{Guard, HttpCounters, Sessions, protect};
use crate::settings::{Limits, ListenSettings};
use cache::AnswerCache;
pub(crate) use cache::matches_etag;
use fleet::RowsKeeper;
use problem::ProblemResponse;

/// What is answered without the token, besides the page's files: whether the process works, and
/// the way to sign in. No data of the fleet.
pub(crate) const OPEN_PATHS: &[&str] =
    &["/health", "/livez", "/ready", "/readyz", "/api/v1/session"];

/// What the API answers from. Cheap to clone.
#[derive(Clone)]
pub struct ApiContext {
    shared: Arc<Shared>,
}

struct Shared {
    fleet: Fleet,
    store: Store,
    hub: HubStatusSource,
    clock: Clock,
    limits: Limits,
    counters: HttpCounters,
    commands: Commands,
    sessions: Arc<Sessions>,
    guard: Arc<Guard>,
    cache: AnswerCache,
    rows: RowsKeeper,
    /// When the hub started: revisions begin anew with it.
    started_ms: i64,
    exposition: Exposition,
    store_reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl ApiContext {
    /// A context over the hub's parts. `counters` is what the server counts in, too; `commands` goes
    /// to the monitor loop.
    #[must_use]
    pub fn new(
        fleet: Fleet,
        store: Store,
        hub: HubStatusSource,
        clock: Clock,
        listen: &ListenSettings,
        counters: HttpCounters,
        commands: Commands,
    ) -> Self {
        let limits = listen.limits.clone();
        let sessions = Arc::new(Sessions::new(listen.token.clone()));
        let guard = Arc::new(Guard::new(
            &limits,
            Arc::clone(&sessions),
            listen.host_names.clone(),
            clock.clone(),
            counters.clone(),
        ));
        Self {
            shared: Arc::new(Shared {
                sessions,
                guard,
                exposition: Exposition::new(limits.exposition_series),
                store_reads: Arc::new(Semaphore::new(limits.store_reads.max(1))),
                streams: Arc::new(Semaphore::new(limits.streams)),
                cache: AnswerCache::default(),
                rows: RowsKeeper::default(),
                started_ms: clock.now_ms(),
                fleet,
                store,
                hub,
                clock,
                limits,
                counters,
                commands,
            }),
        }
    }

    /// The way to the monitor loop, for what changes something.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.shared.commands
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.shared.clock.now_ms())
    }
}

/// All routes of the hub, behind the guard: the API, health, metrics, and the page.
pub fn router(context: ApiContext) -> Router {
    let (routes, _) = routes().split_for_parts();
    let router = routes
        .fallback(crate::dashboard::serve)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(context.clone());
    guarded(&context, router)
}

/// Puts the guard (rate, host, size, token, time, panics, security headers) around routes.
pub fn guarded(context: &ApiContext, router: Router) -> Router {
    protect(router, Arc::clone(&context.shared.guard))
}

/// The OpenAPI document, as JSON; what the served one is made of.
#[must_use]
pub fn openapi_json() -> String {
    openapi::text(&openapi::finish(routes().split_for_parts().1))
}

/// The list of routes. Adding one is a line here and a handler; the documentation follows.
fn routes() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(health::livez))
        .routes(routes!(health::health))
        .routes(routes!(health::readyz))
        .routes(routes!(health::ready))
        .routes(routes!(hub::metrics))
        .routes(routes!(hub::status))
        .routes(routes!(hub::hub))
        .routes(routes!(fleet::fleet))
        .routes(routes!(stragglers::stragglers))
        .routes(routes!(nodes::list, nodes::add))
        .routes(routes!(nodes::show, nodes::remove))
        .routes(routes!(nodes::reset_breaker))
        .routes(routes!(nodes::forget))
        .routes(routes!(resources::list))
        .routes(routes!(resources::detail))
        .routes(routes!(history::history))
        .routes(routes!(history::series))
        .routes(routes!(history::metrics))
        .routes(routes!(events::events))
        .routes(routes!(stream::stream))
        .routes(routes!(session::show, session::open, session::close))
        .routes(routes!(openapi::show))
}

async fn method_not_allowed(method: Method, uri: Uri) -> ProblemResponse {
    ProblemResponse::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        format!("{} does not answer {method}; the Allow header says what it does", uri.path()),
    )
}
