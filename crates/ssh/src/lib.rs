//! Nodes over SSH, in this process: nothing is installed on them.
//!
//! **For**: [`Ssh`] holds what all nodes share (settings, `~/.ssh/config`, known hosts, the agent);
//! [`SshNode`] is one machine as a [`NodeSource`](sickbay_collect::NodeSource).
//!
//! **Must hold**: one session a node, kept; an unknown and a changed host key are two different
//! errors and never a silent yes; passwords are never used nor asked for; what a node sends is
//! bounded and never executed; every wait has a deadline.
//!
//! **Does not**: time collections, judge, or know when to stop asking (breakers are the hub's).

mod node;
pub use node::SshNode;

mod settings;
pub use settings::SshSettings;

mod shared;
pub use shared::Ssh;

mod once;

mod discover;
pub use discover::{DiscoveredHost, discover};

mod config;
mod route;

mod known_hosts;

mod keys;

mod files;

mod dial;
mod transport;

mod client;
mod inbox;

mod auth;
mod session;

mod lane;

mod trouble;

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
