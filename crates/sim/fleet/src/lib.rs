//! A fleet of GPU machines that exists in one process: SSH hosts by the thousand, for tests of scale.
//!
//! **For**: what no handful of real servers can show: how the hub does with a thousand sessions,
//! and with a thousand that fail at once. Real OpenSSH servers prove that the client is right.
//!
//! **Must hold**: each host speaks real SSH on an address of its own (127.77.0.0/16, one port) and
//! answers as the node's program would on one recorded machine with eight H100; its counters move
//! with time. Only this machine can connect.
//!
//! **Does not**: run anything. A host understands the program's questions and nothing else.

mod behaviour;
pub use behaviour::Behaviour;

mod delay;
mod host;
mod server;
mod shell;

mod fleet;
pub use fleet::{FleetOptions, SimFleet};
