//! How tasks live: supervision, shutdown, clocks, killable children, telemetry.
//!
//! Knows nothing of health. Only this crate spawns tasks and children and reads clocks; the
//! workspace's lints refuse it elsewhere.

mod clock;
pub use clock::{Clock, ManualClock};

mod shutdown;
pub use shutdown::Shutdown;

mod supervisor;
pub use supervisor::{OnEnd, Supervisor, TaskError, TaskSpec, TaskState, TaskStatus};

mod child;
pub use child::{
    CallError, ChildCommand, ChildLimits, OneShot, ProgramOutput, STDERR_TAIL_BYTES, WorkerChild,
    serve_worker,
};

pub mod telemetry;

pub mod cost;
