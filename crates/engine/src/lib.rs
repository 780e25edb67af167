//! Verdicts: what a set of readings means for a node's health.

mod assessment;
pub use assessment::{
    Assessment, Cap, Contribution, GpuAssessment, Readiness, ReadinessCheck, ReadinessOutcome,
    ScoreCard, unknown_assessment,
};

pub mod policy;
pub use policy::{Override, Policy, ReadinessPolicy, SchedulePolicy, StatePolicy, Thresholds};

mod memory;
pub use memory::NodeMemory;

mod hysteresis;
pub use hysteresis::ThresholdState;

mod state;
pub use state::{RESULTS_REMEMBERED, StateMemory};

mod window;
pub use window::{MeanWindow, WindowMean};

mod input;

mod checks;
pub use checks::{CATALOGUE as CHECKS, CheckDef};

mod judge;
mod text;

mod score;

mod readiness;

mod transitions;

mod assess;
pub use assess::assess;

mod pace;
pub use pace::{Busy, PaceMemory, next_interval};

mod system;
pub use system::{
    BreakerCounts, CheckCounts, NodeShare, RecoveryCounts, SystemInput, SystemPart, SystemScore,
    system_score,
};
