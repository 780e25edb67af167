//! What the API answers, asked over a real connection.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what does not hold fails the test"
)]

#[path = "support/client.rs"]
mod client;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/hub.rs"]
mod hub;

#[path = "api_answers/access.rs"]
mod access;
#[path = "api_answers/events.rs"]
mod events;
#[path = "api_answers/fleet_view.rs"]
mod fleet_view;
#[path = "api_answers/health.rs"]
mod health;
#[path = "api_answers/history.rs"]
mod history;
#[path = "api_answers/metrics.rs"]
mod metrics;
#[path = "api_answers/nodes.rs"]
mod nodes;
#[path = "api_answers/openapi.rs"]
mod openapi;
#[path = "api_answers/openmetrics.rs"]
mod openmetrics;
#[path = "api_answers/page.rs"]
mod page;
#[path = "api_answers/resources.rs"]
mod resources;
#[path = "api_answers/stream.rs"]
mod stream;
