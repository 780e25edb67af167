//! Whatever is wrong with the world: the hub says what, loses nothing, and goes on.
//!
//! The real program with real files, sockets, signals and kernel limits. What needs a spoiled
//! world (full disks, absurd `/proc`, odd host names) gets namespaces of its own.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by them, says by them what it cannot test, and measures real time"
)]

#[allow(dead_code, reason = "each program uses a part")]
#[path = "cli/support.rs"]
mod support;
#[allow(dead_code, reason = "each program uses a part")]
#[path = "support/world.rs"]
mod world;

#[path = "bad_input/clients.rs"]
mod clients;
#[path = "bad_input/config.rs"]
mod config;
#[path = "bad_input/database.rs"]
mod database;
#[path = "bad_input/disk.rs"]
mod disk;
#[path = "bad_input/machine.rs"]
mod machine;
#[path = "bad_input/places.rs"]
mod places;
#[path = "bad_input/process.rs"]
mod process;
