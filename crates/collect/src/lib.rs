//! How Sickbay senses: collectors that bring back what was measured, and never what it means.
//!
//! What must hold: nothing here judges; every probe has a deadline; whatever can hang runs in a
//! killable child process; a probe that fails is reported as failed and disturbs no other. There
//! are no tickers here: whoever calls [`NodeSource::collect`] owns the timing.
//!
//! Reading order: [`LocalSettings`] → [`NodeSource`] → [`LocalNode`] → the collectors in `local`
//! and `gpu`, whose parsers are pure functions in `parse`.

mod settings;
pub use settings::{
    LatencyTarget, LocalSettings, ParseLatencyTargetError, ProcessPattern, Roots, TorchMode,
    TorchSettings,
};

mod files;
pub use files::{Fetched, Files, Space};

mod fault_matcher;
pub use fault_matcher::{FaultMatcher, PatternError, pci_address};

mod source;
pub use source::{CollectContext, NodeSource};

mod sample;
pub use sample::{Facts, GpuProcess, Sample};

mod asked;

mod local_node;
pub use local_node::LocalNode;

pub mod gpu;
pub mod local;

mod latency;
mod torch;

mod remote_filesystem;

mod probe_child;
pub use probe_child::probe_main;

pub mod parse;

pub mod remote;

mod replay;
pub use replay::ReplayNode;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
