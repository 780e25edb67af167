//! The fault corpus and its measurement: labelled stories of machines, replayed through the real
//! parsers, collectors and engine.
//!
//! For: knowing how well Sickbay finds what is wrong, and how often it says what is not so. What must
//! hold: a scenario's truth is named by the problem and comes from public documents, never from the
//! code; no clock is read and nothing sleeps (a probe that hangs is waited for in real time, shortly).
//! Not here: anything that judges.
//!
//! Reading order: [`Scenario`] → [`machine`] → [`local`] and [`remote`] (the two forms) → [`Replayer`]
//! → [`Tallies`] → [`report`].

mod scenario;
pub use scenario::{Form, Scenario, Truth};

mod template;
pub use template::Templates;

mod gpus;
mod kernel_log;
pub mod machine;
mod tree;

pub mod local;
pub mod remote;

mod problem;
pub use problem::Problem;

mod replay;
pub use replay::{FalseAlarm, Outcome, Replayer, Verdict};

mod tally;
pub use tally::{Tallies, Tally};

pub mod report;
