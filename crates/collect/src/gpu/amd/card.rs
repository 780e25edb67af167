//! One AMD GPU: who it is, and its readings.

use std::path::{Path, PathBuf};

use sickbay_model::{GpuCondition, GpuDevice, GpuVendor, MetricId, catalogue};

use super::files::{DeviceFiles, hwmon};
use super::parse;
use crate::gpu::{MAX_TEXT_CHARACTERS, unidentified};
use crate::parse::printable;
use crate::{Files, Sample};

/// The most temperature sensors of a card.
const MAX_SENSORS: u32 = 16;

/// The most blocks of a chip that count errors.
const MAX_ERROR_FILES: usize = 64;

/// Divisors from the kernel's units.
const MILLI: f64 = 1000.0;
const MICRO: f64 = 1_000_000.0;

/// A card's directory and address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Card {
    /// PCI address; the order of the numbering.
    pub(super) address: String,
    /// `/sys/class/drm/cardN/device`.
    pub(super) directory: PathBuf,
}

/// Reads a card: puts its readings, and returns what is known about it.
pub(super) fn read(
    files: &Files,
    card: &Card,
    index: u32,
    driver_version: &str,
    out: &mut Sample,
) -> GpuDevice {
    let mut device = unidentified(index, GpuVendor::Amd, driver_version);
    device.pci_address.clone_from(&card.address);
    let files = DeviceFiles::of(files, &card.directory);
    let hwmon = hwmon(&files);
    let mut reader = Reader { files, instance: index.to_string(), hwmon, out };
    reader.identity(&mut device);
    // A card that sleeps would be woken by any question to its sensors.
    let asleep = reader.text("power/runtime_status") == "suspended";
    if !asleep {
        reader.utilization_and_memory(&mut device);
        reader.temperatures();
        reader.power_and_fan();
        reader.clocks_and_link();
        reader.errors();
    }
    let (remarks, answered) = reader.files.end();
    if !answered {
        device.condition = GpuCondition::Lost;
    }
    device.unreadable = remarks;
    device
}

struct Reader<'a> {
    files: DeviceFiles<'a>,
    instance: String,
    hwmon: Option<PathBuf>,
    out: &'a mut Sample,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> String {
        let bytes = self.files.read(Path::new(name)).unwrap_or_default();
        printable(bytes.trim_ascii(), MAX_TEXT_CHARACTERS)
    }

    #[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
    fn number(&mut self, name: &str) -> Option<f64> {
        self.files.read(Path::new(name)).and_then(parse::number).map(|value| value as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
    fn sensor(&mut self, name: &str) -> Option<f64> {
        let path = self.hwmon.as_ref()?.join(name);
        self.files.read(&path).and_then(parse::number).map(|value| value as f64)
    }

    fn put(&mut self, metric: MetricId, value: Option<f64>) {
        self.out.put_some(metric, &self.instance, value);
    }

    fn identity(&mut self, device: &mut GpuDevice) {
        let unique = self.text("unique_id");
        if !unique.is_empty() && unique.bytes().any(|digit| digit != b'0') {
            device.uuid = format!("GPU-{unique}");
        }
        device.model = self.text("product_name");
        if device.model.is_empty() {
            // Consumer cards keep no name in the chip; the PCI number is what there is.
            let number = self.text("device");
            if !number.is_empty() {
                device.model = format!("AMD GPU {number}");
            }
        }
        device.serial = self.text("serial_number");
        device.vbios_version = self.text("vbios_version");
    }

    fn utilization_and_memory(&mut self, device: &mut GpuDevice) {
        let busy = self.number("gpu_busy_percent");
        self.put(catalogue::GPU_UTILIZATION, busy);
        let memory_busy = self.number("mem_busy_percent");
        self.put(catalogue::GPU_MEMORY_UTILIZATION, memory_busy);
        let total = self.files.read(Path::new("mem_info_vram_total")).and_then(parse::number);
        device.memory_bytes = total.and_then(|total| u64::try_from(total).ok()).unwrap_or(0);
        let total = self.number("mem_info_vram_total");
        let used = self.number("mem_info_vram_used");
        self.put(catalogue::GPU_MEMORY_TOTAL, total);
        self.put(catalogue::GPU_MEMORY_USED_BYTES, used);
        let share =
            used.zip(total.filter(|&total| total > 0.0)).map(|(used, of)| used / of * 100.0);
        self.put(catalogue::GPU_MEMORY_USED, share);
    }

    /// The junction (hottest point) is what the chip slows down for; where there is none, as in
    /// APUs, the edge.
    fn temperatures(&mut self) {
        let (mut edge, mut junction, mut memory) = (None, None, None);
        for number in 1..=MAX_SENSORS {
            let Some(hwmon) = &self.hwmon else { return };
            let label = hwmon.join(format!("temp{number}_label"));
            match self.files.read(&label).map(<[u8]>::trim_ascii) {
                Some(b"edge") => edge = Some(number),
                Some(b"junction") => junction = Some(number),
                Some(b"mem") => memory = Some(number),
                Some(_) => {}
                None => break,
            }
        }
        if let Some(number) = junction.or(edge) {
            for (metric, what) in [
                (catalogue::GPU_TEMPERATURE, "input"),
                (catalogue::GPU_TEMPERATURE_SLOWDOWN, "crit"),
                (catalogue::GPU_TEMPERATURE_SHUTDOWN, "emergency"),
            ] {
                let value = self.sensor(&format!("temp{number}_{what}"));
                self.put(metric, value.map(|value| value / MILLI));
            }
        }
        if let Some(number) = memory {
            let value = self.sensor(&format!("temp{number}_input"));
            self.put(catalogue::GPU_MEMORY_TEMPERATURE, value.map(|value| value / MILLI));
        }
    }

    fn power_and_fan(&mut self) {
        // Newer chips have the power of now only, older ones the average only.
        let power = match self.sensor("power1_average") {
            None => self.sensor("power1_input"),
            average => average,
        };
        self.put(catalogue::GPU_POWER, power.map(|value| value / MICRO));
        let limit = self.sensor("power1_cap");
        self.put(catalogue::GPU_POWER_LIMIT, limit.map(|value| value / MICRO));
        let energy = self.sensor("energy1_input");
        self.put(catalogue::GPU_ENERGY, energy.map(|value| value / MICRO));
        let speed = self.sensor("fan1_input").zip(self.sensor("fan1_max"));
        let share = speed.filter(|&(_, most)| most > 0.0).map(|(now, most)| now / most * 100.0);
        self.put(catalogue::GPU_FAN, share);
    }

    #[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
    fn clocks_and_link(&mut self) {
        let core = self.files.read(Path::new("pp_dpm_sclk")).map(parse::clock_levels);
        let core = core.unwrap_or_default();
        self.put(catalogue::GPU_CLOCK, core.current_mhz.map(|mhz| mhz as f64));
        self.put(catalogue::GPU_CLOCK_MAX, core.highest_mhz.map(|mhz| mhz as f64));
        let memory = self.files.read(Path::new("pp_dpm_mclk")).map(parse::clock_levels);
        let memory = memory.unwrap_or_default();
        self.put(catalogue::GPU_MEMORY_CLOCK, memory.current_mhz.map(|mhz| mhz as f64));
        for (metric, name) in [
            (catalogue::GPU_PCIE_GENERATION, "current_link_speed"),
            (catalogue::GPU_PCIE_GENERATION_MAX, "max_link_speed"),
        ] {
            let generation = self.files.read(Path::new(name)).and_then(parse::pcie_generation);
            self.put(metric, generation.map(f64::from));
        }
        for (metric, name) in [
            (catalogue::GPU_PCIE_WIDTH, "current_link_width"),
            (catalogue::GPU_PCIE_WIDTH_MAX, "max_link_width"),
            (catalogue::GPU_PCIE_REPLAYS, "pcie_replay_count"),
        ] {
            let value = self.number(name);
            self.put(metric, value);
        }
    }

    /// Errors of all blocks of the chip, since the driver was loaded.
    #[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
    fn errors(&mut self) {
        let mut names = self.files.list("ras");
        names.retain(|name| name.to_string_lossy().ends_with("_err_count"));
        names.sort();
        let (mut uncorrected, mut corrected) = (None, None);
        for name in names.into_iter().take(MAX_ERROR_FILES) {
            let counts = self.files.read(&Path::new("ras").join(name)).map(parse::error_counts);
            let counts = counts.unwrap_or_default();
            for (sum, count) in
                [(&mut uncorrected, counts.uncorrected), (&mut corrected, counts.corrected)]
            {
                if let Some(count) = count {
                    *sum = Some(sum.unwrap_or(0_u64).saturating_add(count));
                }
            }
        }
        let number = |sum: Option<u64>| sum.map(|sum| sum as f64);
        self.put(catalogue::GPU_ECC_UNCORRECTED_VOLATILE, number(uncorrected));
        self.put(catalogue::GPU_ECC_CORRECTED_VOLATILE, number(corrected));
    }
}
