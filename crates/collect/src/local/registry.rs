//! The one list of local collectors: what there is, where it runs, and how often.
//!
//! Adding a collector: write its file beside this one, add a line here, and where it answers a new
//! question, a probe in `sickbay-model`.

use std::sync::Arc;

use super::LocalCollector;
use crate::{FaultMatcher, ProcessPattern};

/// Where a collector runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the monitor itself: it reads only files that the kernel writes from memory, without
    /// waiting for a device, a lock of a driver, or another process.
    InProcess,
    /// In the killable child: what it asks can hang (a disk that does not answer, a driver that
    /// holds the network's lock, a process whose memory is locked).
    HostChild,
}

/// How often a collector runs. The intervals themselves are in [`crate::LocalSettings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At every collection.
    EveryCollection,
    /// On the clock of filesystems.
    Filesystems,
    /// On the clock of sensors.
    Sensors,
    /// On the clock of the process scan.
    Processes,
}

/// One registered collector.
pub struct Entry {
    /// It.
    pub collector: Box<dyn LocalCollector>,
    /// Where it runs.
    pub place: Place,
    /// How often.
    pub pace: Pace,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("probe", &self.collector.probe())
            .field("place", &self.place)
            .field("pace", &self.pace)
            .finish()
    }
}

/// All collectors of this platform, freshly made. `patterns` name the processes of interest.
#[cfg(target_os = "linux")]
#[must_use]
pub fn all(patterns: &[ProcessPattern]) -> Vec<Entry> {
    linux(patterns, &FaultMatcher::embedded())
}

/// All collectors of Linux's files, freshly made: of this machine where it runs Linux, and of files
/// that were fetched from one that does, wherever this runs.
#[must_use]
pub fn linux(patterns: &[ProcessPattern], faults: &Arc<FaultMatcher>) -> Vec<Entry> {
    use super::{
        cpu, disk, filesystem, host, infiniband, kernel_log, links, memory, network, pcie,
        pressure, processes, sensors,
    };
    use Pace::{EveryCollection, Filesystems, Processes, Sensors};
    use Place::{HostChild, InProcess};

    fn entry(collector: impl LocalCollector + 'static, place: Place, pace: Pace) -> Entry {
        Entry { collector: Box::new(collector), place, pace }
    }
    vec![
        entry(cpu::Cpu::default(), InProcess, EveryCollection),
        entry(pressure::Pressures::default(), InProcess, EveryCollection),
        entry(memory::Memory::default(), InProcess, EveryCollection),
        entry(disk::Disks::default(), InProcess, EveryCollection),
        entry(network::Network::default(), InProcess, EveryCollection),
        entry(host::Host::default(), InProcess, EveryCollection),
        entry(kernel_log::KernelLogReader::new(faults), InProcess, EveryCollection),
        entry(filesystem::Filesystems::default(), HostChild, Filesystems),
        entry(links::Links::default(), HostChild, Filesystems),
        entry(infiniband::Infiniband::default(), HostChild, Filesystems),
        entry(pcie::Pcie::default(), HostChild, Filesystems),
        entry(sensors::Sensors::default(), HostChild, Sensors),
        entry(processes::Processes::new(patterns), HostChild, Processes),
    ]
}

/// All collectors of this platform, freshly made: what the portable library knows.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn all(_patterns: &[ProcessPattern]) -> Vec<Entry> {
    super::portable::all()
}

/// Those that run in the monitor itself.
#[must_use]
pub fn in_process(faults: &Arc<FaultMatcher>) -> Vec<Entry> {
    #[cfg(target_os = "linux")]
    let all = |patterns| linux(patterns, faults);
    #[cfg(not(target_os = "linux"))]
    let _ = faults;
    all(&[]).into_iter().filter(|entry| entry.place == Place::InProcess).collect()
}

/// Those that run in the killable child.
#[must_use]
pub fn host_child(patterns: &[ProcessPattern]) -> Vec<Entry> {
    all(patterns).into_iter().filter(|entry| entry.place == Place::HostChild).collect()
}
