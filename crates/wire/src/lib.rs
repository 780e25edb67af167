//! What crosses a process: the JSON of the HTTP API, as versioned types.
//!
//! These types are what a client may rely on. Domain types (`sickbay-model`, `sickbay-engine`) are
//! free to change; the hub converts. Every time is RFC 3339 in UTC, every name snake case, every
//! unit part of the name or of a `unit` field.

pub mod problem;
pub mod v1;

/// The version of the HTTP API, as in `/api/v1`.
pub const API_VERSION: &str = "v1";

/// The default address of the hub. The port is seed 3's.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8790";
