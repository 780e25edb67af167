//! How tasks live: supervision, shutdown, clocks, killable children, telemetry.
//!
//! Knows nothing of health. Only this crate spawns tasks and children and reads clocks; the
//! workspace's lints refuse it elsewhere.

mod clock;
pub use clock::{Clock, ManualClock};

mod shutdown;
pub use shutdown::Shutdown;

mod child;
pub use child::ChildCommand;
