//! NVIDIA GPUs through NVML.
//!
//! NVML stays initialised between polls and is initialised again when the driver was reloaded,
//! when an answer says so, and now and then while a GPU is lost (only a fresh initialisation sees
//! one that came back). Everything here blocks and may hang for ever: it is called in a killable
//! child process.
//!
//! What it costs, for a GPU that supports everything: 14 calls a poll, one of them for eight field
//! values, plus three every 30 s (`device::SLOW_INTERVAL`); one call for the machine.
//!
//! Not read: PCIe throughput by NVML's sampling call (it blocks for 20 ms a direction; byte
//! counters are read instead, where there are any), graphics processes (they are desktops, not
//! training), and XIDs (the kernel's log has them).
//!
//! Reading order: `session` → `device` → `ask` and `fields` → `raw`; `fault` beside.

pub(super) mod ask;
mod device;
pub(super) mod fault;
mod fields;
mod raw;
mod session;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nvml_wrapper::error::NvmlError;
use sickbay_model::{GpuCondition, ProbeError, ProbeId, probe};

use self::session::Session;
use crate::gpu::NvidiaPresence;
use crate::gpu::known::KnownGpus;
use crate::local::LocalCollector;
use crate::{Roots, Sample};

/// How often NVML is initialised afresh while a GPU is lost.
const REOPEN_INTERVAL: Duration = Duration::from_secs(60);

/// How long "there is no NVIDIA GPU" is believed before the PCI bus is looked at again.
const ABSENCE_INTERVAL: Duration = Duration::from_secs(60);

/// Reads NVIDIA GPUs. The probe fails when NVML as a whole does not answer though there is hardware; a
/// single GPU that does not answer is marked in the inventory.
pub struct NvidiaCollector {
    library: Option<PathBuf>,
    session: Option<Session>,
    known: KnownGpus,
    /// Since when the session is open.
    opened: Duration,
    /// Whether the last round met a GPU that does not answer.
    lost: bool,
    /// Until when nothing is looked for, after there was nothing, and why.
    absent: Option<(Duration, Cow<'static, str>)>,
}

impl NvidiaCollector {
    /// A collector that loads NVML from this path, or lets the loader search.
    #[must_use]
    pub fn new(library: Option<PathBuf>) -> Self {
        Self {
            library,
            session: None,
            known: KnownGpus::default(),
            opened: Duration::ZERO,
            lost: false,
            absent: None,
        }
    }

    /// Says that there is nothing to ask, and believes it for a while.
    fn rest(&mut self, monotonic: Duration, why: Cow<'static, str>, out: &mut Sample) {
        out.set_not_applicable(why.clone());
        self.absent = Some((monotonic.saturating_add(ABSENCE_INTERVAL), why));
    }

    /// One round over all GPUs, initialising NVML if need be. Returns how many GPUs are known.
    fn round(&mut self, monotonic: Duration, out: &mut Sample) -> Result<usize, NvmlError> {
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                self.opened = monotonic;
                none.insert(Session::open(self.library.as_deref())?)
            }
        };
        let mut devices = session.poll(monotonic, out)?;
        self.known.complete(&mut devices, 0);
        self.lost = devices.iter().any(|device| device.condition != GpuCondition::Answering);
        let count = devices.len();
        out.facts.gpus = Some(devices);
        Ok(count)
    }
}

/// Why there is nothing to ask.
pub(super) const NO_HARDWARE: &str = "this machine has no NVIDIA GPU";

/// What NVML's library is called where none is named.
fn library_name(library: Option<&Path>) -> String {
    library.map_or_else(|| "libnvidia-ml.so.1".to_owned(), |path| path.display().to_string())
}

impl LocalCollector for NvidiaCollector {
    fn probe(&self) -> ProbeId {
        probe::NVIDIA
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let mut presence = NvidiaPresence::default();
        if self.session.is_none() {
            if let Some((until, why)) = &self.absent
                && monotonic < *until
            {
                out.set_not_applicable(why.clone());
                return Ok(());
            }
            presence = NvidiaPresence::of(roots);
            let expected = presence.any() || self.library.is_some() || !self.known.is_empty();
            if !expected {
                self.rest(monotonic, NO_HARDWARE.into(), out);
                return Ok(());
            }
        } else if self.lost && monotonic.saturating_sub(self.opened) >= REOPEN_INTERVAL {
            self.session = None;
        }
        let readings = out.readings.len();
        let ended = self
            .round(monotonic, out)
            .or_else(|error| {
                // The driver was reloaded or is gone: one fresh initialisation shows which.
                self.session = None;
                if !fault::is_worth_another_try(&error) {
                    return Err(error);
                }
                out.readings.truncate(readings);
                self.round(monotonic, out)
            })
            .and_then(|found| {
                let nothing = found == 0 && presence.pci_gpus > presence.passed_through;
                if nothing { Err(NvmlError::NotFound) } else { Ok(()) }
            });
        let Err(error) = ended else { return Ok(()) };
        self.session = None;
        let presence = NvidiaPresence::of(roots);
        let expected = self.library.is_some() || !self.known.is_empty();
        if let (NvmlError::LibloadingError(_), false, Some(why)) =
            (&error, expected, presence.withheld())
        {
            self.rest(monotonic, why.into(), out);
            return Ok(());
        }
        Err(fault::of_library(&error, self.library.as_deref(), presence))
    }
}
