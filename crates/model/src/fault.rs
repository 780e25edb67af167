//! What the kernel said that means a fault: sightings, by the code of the fault catalogue.
//!
//! A sighting is a fact of the past ("the driver reported Xid 79 of this GPU at this time"), never a
//! state: what it means now, and when it is over, is the engine's to say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The code of a fault, as the catalogue lists it: `xid-79`, `sxid-12020`, `aer-fatal`, `oom-kill`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultCode(pub Cow<'static, str>);

impl FaultCode {
    /// A code known at compile time.
    #[must_use]
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FaultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a line in a kernel's log: it grows within one boot, and says nothing across boots.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogPosition(pub u64);

/// One line of a kernel's log that is in the fault catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultSighting {
    /// Which fault.
    pub code: FaultCode,
    /// What it is about, as the kernel names it: a PCI address (`0000:3b:00.0`, in this form whatever
    /// the line had), `nvme0n1`, `mlx5_0`, `sda`, a mount point. Empty where nothing is named.
    #[serde(default)]
    pub device: String,
    /// When the kernel said it, in milliseconds since the machine was booted.
    pub since_boot_ms: u64,
    /// The same by the hub's wall clock, from when and at which uptime the log was read
    /// ([`KernelLog::date`]); the epoch before that.
    #[serde(default)]
    pub at: Timestamp,
    /// Where in the log.
    pub position: LogPosition,
    /// The line without its prefix, printable, at most [`FaultSighting::MAX_LINE`] characters.
    pub line: String,
    /// What the line says beside it, by the names of the catalogue's pattern: `pid`, `process`,
    /// `link`, `sub_code`.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

impl FaultSighting {
    /// The most characters that are kept of a line.
    pub const MAX_LINE: usize = 300;
}

/// What reading a kernel's log brought back, in the log's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelLog {
    /// The boot that the log is of; positions are of this boot.
    pub boot_id: String,
    /// The machine's uptime when the log was read, in milliseconds.
    pub uptime_ms: u64,
    /// Lines that are in the catalogue: all that the reader knows of this boot, at most the newest
    /// [`KernelLog::MAX_SIGHTINGS`], each time. So no collection that is lost loses one; what was
    /// judged before is told by position, by the one who remembers.
    pub sightings: Vec<FaultSighting>,
    /// Up to where the log was read.
    pub read_to: LogPosition,
    /// Lines that the kernel overwrote before they were read, or that were more than is read at once.
    pub dropped: u64,
}

impl KernelLog {
    /// The most sightings of one reading; more are counted as dropped.
    pub const MAX_SIGHTINGS: usize = 512;

    /// Says when each sighting was, given when the log was read by the wall clock. A line that seems
    /// to be of the future (clocks of processors differ a little) is of now.
    pub fn date(&mut self, read_at: Timestamp) {
        for sighting in &mut self.sightings {
            let age_ms = self.uptime_ms.saturating_sub(sighting.since_boot_ms);
            sighting.at = read_at.minus(std::time::Duration::from_millis(age_ms));
        }
    }
}
