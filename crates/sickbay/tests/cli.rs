//! The program as a user meets it: real processes, real files, real ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by them")]

#[path = "cli/support.rs"]
mod support;

#[path = "cli/words.rs"]
mod words;

#[path = "cli/live.rs"]
mod live;

#[path = "cli/hub.rs"]
mod hub;

#[path = "cli/fleet.rs"]
mod fleet;

#[path = "../../ssh/tests/support/sshd.rs"]
mod sshd;

#[path = "cli/over_ssh.rs"]
mod over_ssh;

#[path = "cli/background.rs"]
mod background;
