//! PCIe links of network adapters and NVMe disks, and the errors of their links and of those of GPUs.
//!
//! How fast a GPU's link is its driver tells, and whether it may rest. Some of these files make the
//! kernel read the device's registers: this runs in the killable child.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::read::{SMALL_LIMIT, is_absent, malformed, read_error};
use crate::parse::{ParseError, pci, printable, sysfs};
use crate::{Files, Roots, Sample};

/// The most devices that are reported.
pub(crate) const MAX_DEVICES: usize = 256;

/// The longest address that is kept, in characters.
const MAX_ADDRESS_CHARACTERS: usize = 64;

/// The most lanes that a link has (PCI Express specification); more is what a dead device answers.
const MAX_LANES: u64 = 32;

/// Classes of devices whose links are judged: Ethernet, InfiniBand, NVMe (PCI code and ID assignment).
pub(crate) const LINK_CLASSES: [u64; 3] = [0x0200, 0x0207, 0x0108];

/// Classes of which only errors are told: display and 3D controllers, accelerators.
pub(crate) const ERROR_CLASSES: [u64; 3] = [0x0300, 0x0302, 0x1200];

/// Counters of errors, by their file.
const ERRORS: [(MetricId, &str); 3] = [
    (metric::PCIE_ERRORS_CORRECTED, "aer_dev_correctable"),
    (metric::PCIE_ERRORS_NONFATAL, "aer_dev_nonfatal"),
    (metric::PCIE_ERRORS_FATAL, "aer_dev_fatal"),
];

/// Files of every device, below its folder.
pub(crate) const DEVICE_FILES: [&str; 4] = ["class", ERRORS[0].1, ERRORS[1].1, ERRORS[2].1];

/// Files about a link: of the device, and of the port above it that it is plugged into.
pub(crate) const LINK_FILES: [&str; 6] = [
    "current_link_width",
    "max_link_width",
    "../max_link_width",
    "current_link_speed",
    "max_link_speed",
    "../max_link_speed",
];

/// Collects the devices.
#[derive(Debug, Default)]
pub(super) struct Pcie {
    buffer: Vec<u8>,
}

impl LocalCollector for Pcie {
    fn probe(&self) -> ProbeId {
        probe::PCIE
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let directory = roots.sys.join("bus/pci/devices");
        let mut addresses = match roots.files.list(&directory) {
            Ok(addresses) => addresses,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(error) => return Err(read_error(&directory, &error)),
        };
        addresses.sort();
        let mut devices = 0;
        for address in addresses {
            let at = directory.join(&address);
            // A virtual function has the link of the real one.
            if devices >= MAX_DEVICES || roots.files.exists(&at.join("physfn")) {
                continue;
            }
            let class = self.told(&roots.files, &at.join("class"), |bytes| {
                sysfs::parse_hexadecimal("PCI class", bytes)
            });
            // The last byte is the programming interface.
            let class = class.map(|class| class.map(|class| class >> 8));
            let has_link = matches!(class, Ok(Some(class)) if LINK_CLASSES.contains(&class));
            let is_other = matches!(class, Ok(Some(class)) if ERROR_CLASSES.contains(&class));
            out.part(class.map(|_| ()));
            if !has_link && !is_other {
                continue;
            }
            devices += 1;
            let name = printable(address.as_bytes(), MAX_ADDRESS_CHARACTERS);
            if has_link {
                self.link(&roots.files, &at, &name, out);
            }
            for (metric, file) in ERRORS {
                let total = self.told(&roots.files, &at.join(file), pci::parse_error_total);
                put(metric, &name, total, out);
            }
        }
        // Of what a virtual machine is given no link may be known.
        if out.readings.is_empty() && out.missed.is_empty() {
            out.set_not_applicable("no link of an adapter, NVMe disk or GPU is visible here");
        }
        Ok(())
    }
}

impl Pcie {
    /// Lanes and generation, now and at most: what both the device and the port above it can do.
    fn link(&mut self, files: &Files, at: &Path, name: &str, out: &mut Sample) {
        let [width, width_max, above_width, speed, speed_max, above_speed] =
            LINK_FILES.map(|file| at.join(file));
        let lanes = |bytes: &[u8]| {
            let lanes = sysfs::parse_unsigned("PCIe link width", bytes)?;
            Ok(Some(lanes).filter(|lanes| (1..=MAX_LANES).contains(lanes)))
        };
        let generation = |bytes: &[u8]| Ok(pci::parse_generation(bytes)?.map(u64::from));
        let now = self.told(files, &width, lanes);
        put(metric::PCIE_WIDTH, name, now.map(Option::flatten), out);
        let most =
            least(self.told(files, &width_max, lanes), self.told(files, &above_width, lanes));
        put(metric::PCIE_WIDTH_MAX, name, most, out);
        let now = self.told(files, &speed, generation);
        put(metric::PCIE_GENERATION, name, now.map(Option::flatten), out);
        let most = least(
            self.told(files, &speed_max, generation),
            self.told(files, &above_speed, generation),
        );
        put(metric::PCIE_GENERATION_MAX, name, most, out);
    }

    /// What a file says; `None` where there is none: a bridge above may be the root itself, and
    /// counters of errors are an option of the kernel's.
    fn told<T>(
        &mut self,
        files: &Files,
        path: &Path,
        parse: impl FnOnce(&[u8]) -> Result<T, ParseError>,
    ) -> Result<Option<T>, ProbeError> {
        match files.read_start(path, &mut self.buffer, SMALL_LIMIT) {
            Ok(bytes) => parse(bytes).map(Some).map_err(|error| malformed(path, &error)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(read_error(path, &error)),
        }
    }
}

type Told = Result<Option<Option<u64>>, ProbeError>;

/// The less of two that are known. What the device itself can do must be.
fn least(device: Told, above: Told) -> Result<Option<u64>, ProbeError> {
    let (device, above) = (device?.flatten(), above?.flatten());
    Ok(device.map(|device| above.map_or(device, |above| above.min(device))))
}

#[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
fn put(metric: MetricId, name: &str, value: Result<Option<u64>, ProbeError>, out: &mut Sample) {
    if let Ok(value) = &value {
        out.put_some(metric, name, value.map(|value| value as f64));
    }
    out.part(value.map(|_| ()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fetched;

    fn collect(files: &[(&str, &str)]) -> Sample {
        let mut fetched = Fetched::new();
        for (path, content) in files {
            let path = format!("/sys/bus/pci/devices/{path}");
            fetched.put(path.as_bytes(), format!("{content}\n").as_bytes());
        }
        let mut sample = Sample::default();
        let roots = Roots::fetched(fetched);
        Pcie::default().collect(&roots, Duration::ZERO, &mut sample).unwrap();
        sample
    }

    fn told(sample: &Sample) -> Vec<String> {
        let name = |id| sickbay_model::catalogue::find(id).map_or("", |def| def.name);
        let line = |it: &sickbay_model::Reading| {
            format!("{} {} {}", it.instance, name(it.metric), it.value)
        };
        sample.readings.iter().map(line).collect()
    }

    #[test]
    fn a_link_is_held_against_what_device_and_slot_can_do() {
        let sample = collect(&[
            ("0000:18:00.0/class", "0x020700"),
            ("0000:18:00.0/current_link_width", "8"),
            ("0000:18:00.0/max_link_width", "16"),
            ("0000:18:00.0/../max_link_width", "8"),
            ("0000:18:00.0/current_link_speed", "16.0 GT/s PCIe"),
            ("0000:18:00.0/max_link_speed", "32.0 GT/s PCIe"),
            ("0000:18:00.0/aer_dev_correctable", "RxErr 7\nTOTAL_ERR_COR 7"),
        ]);
        assert_eq!(
            told(&sample),
            [
                "0000:18:00.0 pcie_width_lanes 8",
                "0000:18:00.0 pcie_width_max_lanes 8",
                "0000:18:00.0 pcie_generation 4",
                "0000:18:00.0 pcie_generation_max 5",
                "0000:18:00.0 pcie_errors_corrected_total 7",
            ]
        );
        assert!(sample.missed.is_empty());
    }

    #[test]
    fn of_a_gpu_only_errors_and_of_a_dead_device_nothing_is_told() {
        let sample = collect(&[
            ("0000:3b:00.0/class", "0x030200"),
            ("0000:3b:00.0/current_link_width", "4"),
            ("0000:3b:00.0/max_link_width", "16"),
            ("0000:3b:00.0/aer_dev_fatal", "TOTAL_ERR_FATAL 0"),
            ("0000:01:00.0/class", "0x010802"),
            ("0000:01:00.0/current_link_width", "63"),
            ("0000:01:00.0/current_link_speed", "Unknown"),
            ("0000:00:00.0/class", "0x060000"),
            ("0000:00:00.0/current_link_width", "1"),
        ]);
        assert_eq!(told(&sample), ["0000:3b:00.0 pcie_errors_fatal_total 0"]);
    }

    #[test]
    fn nothing_there_is_nothing_to_ask_and_a_broken_file_is_a_part() {
        assert!(collect(&[]).not_applicable.is_some());
        assert!(collect(&[("0000:00:02.0/class", "0x020000")]).not_applicable.is_some());
        let sample = collect(&[
            ("0000:01:00.0/class", "0x010802"),
            ("0000:01:00.0/current_link_width", "wide"),
        ]);
        assert_eq!(sample.missed.len(), 1);
        let sample = collect(&[("0000:01:00.0/class", "")]);
        assert_eq!(sample.missed.len(), 1, "what it is, is not known");
        assert!(sample.not_applicable.is_none());
    }
}
