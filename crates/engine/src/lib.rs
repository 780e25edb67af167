//! Verdicts: what a set of readings means for a node's health.
//!
//! **For**: [`assess`] takes one [`Observation`](sickbay_model::Observation) and what is remembered
//! of the node, and gives an [`Assessment`]: score, level, readiness, findings, events, and the whole
//! explanation. The numbers it judges by are a [`Policy`]; its `Default` is the health model.
//!
//! **Must hold**: pure and synchronous. No I/O, no clock, no randomness: time is in the input, so
//! that any verdict can be replayed. Missing data never makes anything better. With the same past, a
//! worse reading never gives a higher score. Contributions add up, and caps explain the score.
//! Nothing panics, whatever is observed and however the clock jumps.
//!
//! **Does not**: collect, store, notify, or know what a process or a socket is. Rules over longer
//! stretches (throttling for minutes, growing error counts) and kernel messages are not
//! judged here yet.
//!
//! How a verdict comes about: the checks ([`CHECKS`]) say what the readings show now, with
//! hysteresis ([`ThresholdState`]) and means ([`MeanWindow`]); a judge confirms, holds and damps
//! ([`StateMemory`]); the score sums up; transitions become events.
//!
//! # Decisions
//! - **Only confirmed findings cap the score** (a cap is what throws a node into another level).
//!   A finding is confirmed when three results in a row were at least as bad; proof (an uncorrected
//!   ECC error, a GPU that is gone, a read-only root) is confirmed at once. An unconfirmed finding of a check
//!   that was well costs at most a fifth of its points. Unknown costs all of them at once.
//! - **Held until recovery is confirmed**: the next better status counts after two results.
//! - **Unknown keeps the cap of what was last known**, so that silence never improves a node.
//! - **A part's points are the plain mean of its checks' points.**
//! - **A result counts once**: what a probe on a slow clock repeats is shown, not counted.
//! - **A lost collection is not a lost node.** Whether a node can be reached is confirmed like any
//!   finding, and later where collections were lost lately
//!   ([`StateMemory::push_doubted`]). Until then the last verdict stands, while it is not too old; from
//!   then on the node and its GPUs are unknown, and one event says so. Where something else explains
//!   the silence ([`Excuse`]), [`excuse`] takes the place of [`assess`].
//!
//! # In your own daemon
//! The parts work on their own. This is a health check for a queue, with a threshold that does not
//! chatter and a state that can be relied on:
//! ```
//! use std::time::Duration;
//! use sickbay_engine::policy::{Hysteresis, Threshold};
//! use sickbay_engine::{StateMemory, StatePolicy, ThresholdState};
//! use sickbay_model::{Status, Timestamp};
//!
//! #[derive(Default)]
//! struct QueueHealth {
//!     threshold: ThresholdState,
//!     state: StateMemory,
//! }
//!
//! impl QueueHealth {
//!     /// Degraded from 1000 waiting jobs on, critical from 5000 on.
//!     fn check(&mut self, waiting: f64, now: Timestamp) -> Status {
//!         let line = Threshold::above(1_000.0, 5_000.0);
//!         let result = self.threshold.judge(&line, &Hysteresis::default(), waiting, now);
//!         self.state.push(&StatePolicy::default(), result, false);
//!         self.state.hard()
//!     }
//! }
//!
//! let mut queue = QueueHealth::default();
//! let mut now = Timestamp::from_unix_ms(1_800_000_000_000);
//! let mut statuses = Vec::new();
//! for waiting in [10.0, 7_000.0, 7_000.0, 7_000.0, 900.0] {
//!     now = now.plus(Duration::from_secs(5));
//!     statuses.push(queue.check(waiting, now));
//! }
//! use Status::{Critical, Healthy};
//! // Confirmed by the third result, and not cleared by a single good one.
//! assert_eq!(statuses, [Healthy, Healthy, Healthy, Critical, Critical]);
//!
//! // How well is it, from 0 to 100?
//! assert_eq!(Threshold::above(1_000.0, 5_000.0).points(3_000.0, 10_000.0), 59.0);
//! ```

mod assessment;
pub use assessment::{
    Assessment, Cap, Contribution, GpuAssessment, Readiness, ReadinessCheck, ReadinessOutcome,
    ScoreCard, unknown_assessment,
};

pub mod policy;
pub use policy::{
    HardwarePolicy, Override, Policy, ReadinessPolicy, SchedulePolicy, StatePolicy, Thresholds,
};

mod memory;
pub use memory::{NodeMemory, PeerComparison};

mod growth;
mod hysteresis;
pub use hysteresis::ThresholdState;

mod state;
pub use state::{MOST_DOUBTED, RESULTS_REMEMBERED, StateMemory};

mod window;
pub use window::{MeanWindow, WindowMean};

mod input;

mod checks;
pub use checks::{CATALOGUE as CHECKS, CheckDef};

mod judge;
mod text;
pub use text::sentence;

mod causes;
pub use causes::Incident;
mod score;

mod readiness;

mod transitions;

mod assess;
pub use assess::assess;

mod pace;
pub use pace::{Busy, PaceMemory, next_interval};

mod breaker;
pub use breaker::{Breaker, BreakerMove, BreakerPolicy, BreakerState};

mod doubt;
pub use doubt::{Doubt, DoubtMove, DoubtPolicy, Excuse};

mod faults;
mod forget;
pub use forget::Forgotten;
mod freshness;
pub use freshness::{MISSED_INTERVALS, Silence, Silenced, excuse, silence};

mod judged;
pub use judged::{JudgedReading, judged_readings};

pub mod outlier;
pub use outlier::OutlierPolicy;

mod system;
pub use system::{
    BreakerCounts, CheckCounts, NodeShare, RecoveryCounts, SystemInput, SystemPart, SystemScore,
    system_score,
};
