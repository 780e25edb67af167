//! A fleet over SSH as a user meets it: the real program, real servers, real networks, and as many
//! simulated hosts as it takes.
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

#[path = "../../ssh/tests/support/sshd.rs"]
mod sshd;

#[path = "fleet/site.rs"]
mod site;
#[path = "fleet/watch.rs"]
mod watch;

#[path = "fleet/network.rs"]
mod network;
#[path = "fleet/nodes.rs"]
mod nodes;
#[path = "fleet/outage.rs"]
mod outage;
#[path = "fleet/simulated.rs"]
mod simulated;
#[path = "fleet/storm.rs"]
mod storm;
#[path = "fleet/trust.rs"]
mod trust;
