//! Collectors for systems other than Linux: what the `sysinfo` crate knows.
//!
//! Less than on Linux, and said so by absence: no pressure stalls, no inodes, no device counters, no
//! links, no process scan. Compiled on Linux too with the feature `portable`, so that it is tested.

use std::time::Duration;

use sickbay_model::catalogue::{
    CPU_BUSIEST_CORE, CPU_CORES, CPU_SATURATED_CORES, CPU_USED, FILESYSTEM_FREE,
    FILESYSTEM_READ_ONLY, FILESYSTEM_SIZE, FILESYSTEM_USED, LOAD_1M, LOAD_5M, LOAD_15M,
    MEMORY_AVAILABLE, MEMORY_TOTAL, MEMORY_USED, NETWORK_RECEIVE, NETWORK_RECEIVE_ERRORS,
    NETWORK_TRANSMIT, NETWORK_TRANSMIT_ERRORS, SWAP_TOTAL, SWAP_USED, TEMPERATURE,
    TEMPERATURE_CRITICAL, UPTIME,
};
use sickbay_model::{
    Filesystem, MetricId, NetworkInterface, ProbeError, ProbeErrorKind, ProbeId, probe,
};
use sysinfo::{Components, Disks, Networks, System};

use super::LocalCollector;
use super::registry::{Entry, Pace, Place};
use crate::parse::printable;
use crate::{Roots, Sample};

/// A core at least this busy counts as saturated.
const SATURATED_PERCENT: f64 = 90.0;

/// The most filesystems, interfaces or sensors that are reported, each.
const MAX_DEVICES: usize = 512;

/// The longest name that is kept, in characters.
const MAX_NAME_CHARACTERS: usize = 128;

/// All portable collectors, freshly made.
#[must_use]
pub fn all() -> Vec<Entry> {
    fn entry(collector: impl LocalCollector + 'static, place: Place, pace: Pace) -> Entry {
        Entry { collector: Box::new(collector), place, pace }
    }
    vec![
        entry(Cpu::default(), Place::InProcess, Pace::EveryCollection),
        entry(Memory::default(), Place::InProcess, Pace::EveryCollection),
        entry(Network::default(), Place::InProcess, Pace::EveryCollection),
        entry(Host, Place::InProcess, Pace::EveryCollection),
        entry(Filesystems, Place::HostChild, Pace::Filesystems),
        entry(Sensors, Place::HostChild, Pace::Sensors),
    ]
}

fn absent(what: &str) -> ProbeError {
    ProbeError {
        kind: ProbeErrorKind::Absent,
        message: format!("this system does not say {what}"),
        advice: None,
    }
}

fn name(text: &str) -> String {
    printable(text.as_bytes(), MAX_NAME_CHARACTERS)
}

/// CPU and load.
#[derive(Debug, Default)]
struct Cpu {
    system: System,
    asked_before: bool,
}

impl LocalCollector for Cpu {
    fn probe(&self) -> ProbeId {
        probe::CPU
    }

    fn collect(&mut self, _: &Roots, _: Duration, out: &mut Sample) -> Result<(), ProbeError> {
        self.system.refresh_cpu_usage();
        let cpus = self.system.cpus();
        let count = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
        let Some(first) = cpus.first() else { return Err(absent("which CPUs it has")) };
        out.facts.host.cpu_model = name(first.brand());
        out.facts.host.cpu_count = count;
        out.put(CPU_CORES, "", f64::from(count));
        // The shares are differences to the time before.
        if std::mem::replace(&mut self.asked_before, true) {
            let used = || cpus.iter().map(|cpu| f64::from(cpu.cpu_usage()));
            let saturated = used().filter(|share| *share >= SATURATED_PERCENT).count();
            out.put(CPU_USED, "", f64::from(self.system.global_cpu_usage()).min(100.0));
            out.put(CPU_BUSIEST_CORE, "", used().fold(0.0, f64::max).min(100.0));
            out.put(CPU_SATURATED_CORES, "", saturated as f64);
        }
        // Windows has no load average.
        if !cfg!(windows) {
            let load = System::load_average();
            out.put(LOAD_1M, "", load.one);
            out.put(LOAD_5M, "", load.five);
            out.put(LOAD_15M, "", load.fifteen);
        }
        Ok(())
    }
}

/// Memory and swap.
#[derive(Debug, Default)]
struct Memory {
    system: System,
}

impl LocalCollector for Memory {
    fn probe(&self) -> ProbeId {
        probe::MEMORY
    }

    fn collect(&mut self, _: &Roots, _: Duration, out: &mut Sample) -> Result<(), ProbeError> {
        self.system.refresh_memory();
        let total = self.system.total_memory();
        if total == 0 {
            return Err(absent("how much memory it has"));
        }
        let available = self.system.available_memory().min(total);
        out.facts.host.memory_bytes = total;
        out.put(MEMORY_TOTAL, "", total as f64);
        out.put(MEMORY_AVAILABLE, "", available as f64);
        out.put(MEMORY_USED, "", 100.0 * (1.0 - available as f64 / total as f64));
        let swap = self.system.total_swap();
        out.put(SWAP_TOTAL, "", swap as f64);
        if swap > 0 {
            out.put(SWAP_USED, "", 100.0 * self.system.used_swap() as f64 / swap as f64);
        }
        Ok(())
    }
}

/// Network traffic. Rates come from what the library counted since it was asked before.
#[derive(Debug, Default)]
struct Network {
    networks: Networks,
    previous_at: Option<Duration>,
}

impl LocalCollector for Network {
    fn probe(&self) -> ProbeId {
        probe::NETWORK
    }

    fn collect(
        &mut self,
        _: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        self.networks.refresh(true);
        let passed = self.previous_at.and_then(|at| monotonic.checked_sub(at));
        let seconds = passed.map(|passed| passed.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        self.previous_at = Some(monotonic);
        let mut interfaces = Vec::new();
        let mut listed: Vec<_> = self
            .networks
            .list()
            .iter()
            .filter(|(interface, _)| !matches!(interface.as_str(), "lo" | "lo0"))
            .collect();
        listed.sort_by_key(|(interface, _)| interface.as_str());
        for (interface, data) in listed.into_iter().take(MAX_DEVICES) {
            let shown = name(interface);
            for (metric, count) in [
                (NETWORK_RECEIVE, data.received()),
                (NETWORK_TRANSMIT, data.transmitted()),
                (NETWORK_RECEIVE_ERRORS, data.errors_on_received()),
                (NETWORK_TRANSMIT_ERRORS, data.errors_on_transmitted()),
            ] {
                out.put_some(metric, &shown, seconds.map(|seconds| count as f64 / seconds));
            }
            interfaces.push(NetworkInterface {
                name: shown,
                operational_state: String::new(),
                physical: false,
                administratively_up: false,
                default_route: false,
            });
        }
        out.facts.interfaces = Some(interfaces);
        Ok(())
    }
}

/// Uptime and names.
#[derive(Debug)]
struct Host;

impl LocalCollector for Host {
    fn probe(&self) -> ProbeId {
        probe::HOST
    }

    fn collect(&mut self, _: &Roots, _: Duration, out: &mut Sample) -> Result<(), ProbeError> {
        out.put(UPTIME, "", System::uptime() as f64);
        let host = &mut out.facts.host;
        host.hostname = name(&System::host_name().unwrap_or_default());
        host.os = name(&System::long_os_version().unwrap_or_default());
        host.kernel = name(&System::kernel_version().unwrap_or_default());
        host.architecture = name(&System::cpu_arch());
        // Where the kernel has no boot id, the second of the boot tells one from the next.
        host.boot_id = format!("boot-{}", System::boot_time());
        Ok(())
    }
}

/// Space of filesystems. Asking can hang.
#[derive(Debug)]
struct Filesystems;

impl LocalCollector for Filesystems {
    fn probe(&self) -> ProbeId {
        probe::FILESYSTEM
    }

    fn collect(&mut self, _: &Roots, _: Duration, out: &mut Sample) -> Result<(), ProbeError> {
        let mut filesystems = Vec::new();
        for disk in Disks::new_with_refreshed_list().list().iter().take(MAX_DEVICES) {
            let mount_point = name(&disk.mount_point().to_string_lossy());
            let (size, free) = (disk.total_space(), disk.available_space());
            let put = |metric: MetricId, value: f64, out: &mut Sample| {
                out.put(metric, &mount_point, value);
            };
            put(FILESYSTEM_READ_ONLY, f64::from(u8::from(disk.is_read_only())), out);
            if let Some(used) = size.checked_sub(free).filter(|_| size > 0) {
                put(FILESYSTEM_SIZE, size as f64, out);
                put(FILESYSTEM_FREE, free as f64, out);
                put(FILESYSTEM_USED, 100.0 * used as f64 / size as f64, out);
            }
            filesystems.push(Filesystem {
                kind: name(&disk.file_system().to_string_lossy()),
                source: name(&disk.name().to_string_lossy()),
                remote: false,
                read_only: disk.is_read_only(),
                read_only_by_design: disk.is_read_only(),
                unanswered: None,
                mount_point,
            });
        }
        out.facts.filesystems = Some(filesystems);
        Ok(())
    }
}

/// Temperatures. Asking can take long.
#[derive(Debug)]
struct Sensors;

impl LocalCollector for Sensors {
    fn probe(&self) -> ProbeId {
        probe::SENSORS
    }

    fn collect(&mut self, _: &Roots, _: Duration, out: &mut Sample) -> Result<(), ProbeError> {
        let components = Components::new_with_refreshed_list();
        for component in components.list().iter().take(MAX_DEVICES) {
            let instance = name(component.label());
            out.put_some(TEMPERATURE, &instance, component.temperature().map(f64::from));
            let critical = component.critical().map(f64::from);
            out.put_some(TEMPERATURE_CRITICAL, &instance, critical);
        }
        if out.readings.is_empty() {
            out.set_not_applicable("this machine shows no temperature sensors");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_portable_reading_can_be_true() {
        let roots = Roots::default();
        for mut entry in all() {
            let mut sample = Sample::default();
            for second in [1, 2] {
                sample.clear();
                let collected =
                    entry.collector.collect(&roots, Duration::from_secs(second), &mut sample);
                assert_eq!(collected, Ok(()), "{entry:?}");
            }
            for reading in &sample.readings {
                let def = sickbay_model::catalogue::find(reading.metric).unwrap();
                assert!(def.accepts(reading.value), "{reading:?}");
            }
            assert!(
                !sample.readings.is_empty() || sample.not_applicable.is_some(),
                "{entry:?} says nothing"
            );
        }
    }
}
