//! Collectors for the machine this process runs on, and for Linux machines whose files were fetched.
//!
//! Each is a thin reader over [`Roots`]: it reads files, has a parser of [`crate::parse`] understand
//! them, and writes readings and facts into a [`Sample`]. What must hold: a collector keeps nothing
//! but its own previous counters and its buffers; what it cannot read is an error with a kind, never
//! a zero. They judge nothing and own no timing. [`registry`] lists them.

use std::time::Duration;

use sickbay_model::{ProbeError, ProbeId};

use crate::{Roots, Sample};

pub mod registry;

// They read Linux's files, of this machine or fetched from another: on any system.
mod cpu;
mod disk;
pub(crate) mod filesystem;
mod host;
pub(crate) mod infiniband;
mod kernel_log;
mod links;
mod memory;
pub(crate) mod network;
pub(crate) mod pcie;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
pub mod portable;
mod pressure;
mod processes;
mod rate;
mod read;
#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod recorded;
mod sensors;
pub(crate) mod virtualization;

/// One blocking collector. Keeps its own previous counters, so that it can give rates.
pub trait LocalCollector: Send {
    /// Which probe it answers.
    fn probe(&self) -> ProbeId;

    /// Asks once. `monotonic` is the time since some start that never goes back: rates are counted
    /// against it. Where there is nothing to ask, it says so by [`Sample::set_not_applicable`].
    ///
    /// # Errors
    /// When the probe has no answer; what was put until then is thrown away. Where only a part has
    /// none, that is noted by [`Sample::part`], and the rest counts.
    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError>;
}
