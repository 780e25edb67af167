//! The world of a fake NVML, as written in a scenario file.
//!
//! A scenario file is JSON. It may name a `base` file beside it and is then a merge patch
//! (RFC 7396) upon it, so that a fault is a few lines: `null` removes, objects merge, the rest
//! replaces. `gpus` is keyed by a GPU's number *in the file*; NVML's index is its rank among those
//! that are there, so removing one renumbers those above it, as a driver does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// The largest scenario file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How many files may stand upon each other by `base`.
const MAX_BASES: usize = 4;

/// Everything that a fake NVML knows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// What this scenario shows, for people.
    pub description: String,
    /// Where its values come from, for people.
    pub source: String,
    /// `nvmlSystemGetDriverVersion`.
    pub driver_version: Option<String>,
    /// `nvmlSystemGetNVMLVersion`.
    pub nvml_version: Option<String>,
    /// `nvmlSystemGetCudaDriverVersion_v2`: 12040 is 12.4.
    pub cuda_driver_version: Option<i32>,
    /// Another number than at `nvmlInit` means that the driver was reloaded meanwhile: every call
    /// answers `UNINITIALIZED` until the library is initialised again.
    pub driver_epoch: u64,
    /// The GPUs, by number in the file.
    pub gpus: BTreeMap<u32, Gpu>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// One GPU. What is absent answers `NOT_SUPPORTED`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gpu {
    /// Product name.
    pub name: Option<String>,
    /// Product name as raw bytes, for names that are not UTF-8; wins over `name`.
    pub name_bytes: Option<Vec<u8>>,
    /// `GPU-…`.
    pub uuid: Option<String>,
    /// Board serial number.
    pub serial: Option<String>,
    /// VBIOS version.
    pub vbios_version: Option<String>,
    /// PCI address as NVML writes it, `00000000:17:00.0`.
    pub pci_bus_id: Option<String>,
    /// Framebuffer.
    pub memory: Option<MemoryBytes>,
    /// Utilisation over the last sample period.
    pub utilization: Option<UtilizationPercent>,
    /// Core temperature, in degrees Celsius.
    pub temperature_celsius: Option<u32>,
    /// T.Limit margin, in degrees Celsius (`nvmlDeviceGetMarginTemperature`).
    pub margin_celsius: Option<i32>,
    /// The card's own limits.
    pub thresholds_celsius: Option<Thresholds>,
    /// Power drawn, in milliwatts.
    pub power_milliwatts: Option<u32>,
    /// Enforced power limit, in milliwatts.
    pub power_limit_milliwatts: Option<u32>,
    /// Speed of each fan, as a share of its maximum. Empty on passively cooled cards.
    pub fans_percent: Vec<u32>,
    /// Clocks now.
    pub clocks: Option<ClocksMhz>,
    /// Highest clocks.
    pub max_clocks: Option<ClocksMhz>,
    /// Clock-event (throttle) reasons.
    pub throttle_reasons: Option<u64>,
    /// Performance state, 0 to 15; 32 is unknown.
    pub performance_state: Option<u32>,
    /// PCIe link.
    pub pcie: Option<Pcie>,
    /// ECC totals; they answer `nvmlDeviceGetTotalEccErrors` and fields 3 to 6.
    pub ecc: Option<EccCounts>,
    /// Whether the threshold of SRAM errors is exceeded (`nvmlDeviceGetSramEccErrorStatus`); absent
    /// where the card or the driver does not tell.
    pub sram_threshold_exceeded: Option<bool>,
    /// Field values by number (`NVML_FI_…`).
    pub fields: BTreeMap<u32, FieldNumber>,
    /// NVLinks, by number; they answer fields 91, 161–163 and 165 and the NvLink functions.
    pub nvlinks: Vec<NvLink>,
    /// Whether MIG is on; absent where the card cannot do MIG.
    pub mig_enabled: Option<bool>,
    /// MIG devices.
    pub mig_devices: Vec<MigDevice>,
    /// Processes with a compute context.
    pub compute_processes: Vec<SimProcess>,
    /// Processes with a graphics context.
    pub graphics_processes: Vec<SimProcess>,
}

/// Framebuffer memory, in bytes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryBytes {
    /// All of it.
    pub total: u64,
    /// Held by the driver and firmware.
    #[serde(default)]
    pub reserved: u64,
    /// Allocated.
    pub used: u64,
}

/// Utilisation, in percent.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UtilizationPercent {
    /// A kernel ran.
    pub gpu: u32,
    /// Memory was read or written.
    pub memory: u32,
}

/// Temperature limits, in degrees Celsius.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Shutdown.
    pub shutdown: Option<u32>,
    /// Slowdown.
    pub slowdown: Option<u32>,
}

/// Clocks, in MHz.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClocksMhz {
    /// Graphics.
    pub graphics: u32,
    /// Streaming multiprocessors.
    pub sm: u32,
    /// Memory.
    pub memory: u32,
}

/// A PCIe link.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    /// Generation now.
    pub generation: u32,
    /// Lanes now.
    pub width: u32,
    /// Highest generation of card and slot.
    pub max_generation: u32,
    /// Most lanes of card and slot.
    pub max_width: u32,
}

/// ECC totals.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EccCounts {
    /// Corrected since the driver was loaded.
    pub corrected_volatile: u64,
    /// Uncorrected since the driver was loaded.
    pub uncorrected_volatile: u64,
    /// Corrected over the card's life.
    pub corrected_aggregate: u64,
    /// Uncorrected over the card's life.
    pub uncorrected_aggregate: u64,
}

/// One NVLink.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NvLink {
    /// Whether it is up.
    pub active: bool,
    /// Replay errors.
    pub replay_errors: u64,
    /// Recovery errors.
    pub recovery_errors: u64,
    /// CRC errors.
    pub crc_errors: u64,
}

/// One MIG device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MigDevice {
    /// Its processes.
    pub compute_processes: Vec<SimProcess>,
}

/// A process with a context on a GPU.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimProcess {
    /// Process id.
    pub pid: u32,
    /// Memory it holds, in bytes; absent is NVML's "not available".
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// GPU instance under MIG.
    #[serde(default)]
    pub gpu_instance: Option<u32>,
}

/// A field value: a whole number, or a floating-point one written as text (`"nan"`, `"inf"`, `"1.5"`).
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum FieldNumber {
    /// Not below zero.
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    /// As a double.
    Double(String),
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The function's full name, or a beginning of it followed by `*`.
    pub function: String,
    /// Only on this GPU (number in the file); absent means everywhere, functions without a GPU included.
    #[serde(default)]
    pub gpu: Option<u32>,
    /// Only for this field of `nvmlDeviceGetFieldValues`; the call itself succeeds.
    #[serde(default)]
    pub field: Option<u32>,
    /// Waits so long before it answers, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// What it answers after the wait; absent is the ordinary answer.
    #[serde(default)]
    pub answer: Option<Failure>,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Never answers.
    Hang,
    /// `NVML_ERROR_UNINITIALIZED`.
    Uninitialized,
    /// `NVML_ERROR_INVALID_ARGUMENT`.
    InvalidArgument,
    /// `NVML_ERROR_NOT_SUPPORTED`.
    NotSupported,
    /// `NVML_ERROR_NO_PERMISSION`.
    NoPermission,
    /// `NVML_ERROR_NOT_FOUND`.
    NotFound,
    /// `NVML_ERROR_INSUFFICIENT_POWER`.
    InsufficientPower,
    /// `NVML_ERROR_DRIVER_NOT_LOADED`.
    DriverNotLoaded,
    /// `NVML_ERROR_TIMEOUT`.
    Timeout,
    /// `NVML_ERROR_IRQ_ISSUE`.
    IrqIssue,
    /// `NVML_ERROR_LIBRARY_NOT_FOUND`.
    LibraryNotFound,
    /// `NVML_ERROR_FUNCTION_NOT_FOUND`.
    FunctionNotFound,
    /// `NVML_ERROR_CORRUPTED_INFOROM`.
    CorruptedInforom,
    /// `NVML_ERROR_GPU_IS_LOST`.
    GpuIsLost,
    /// `NVML_ERROR_RESET_REQUIRED`.
    ResetRequired,
    /// `NVML_ERROR_OPERATING_SYSTEM`.
    OperatingSystem,
    /// `NVML_ERROR_LIB_RM_VERSION_MISMATCH`.
    LibRmVersionMismatch,
    /// `NVML_ERROR_NO_DATA`.
    NoData,
    /// `NVML_ERROR_UNKNOWN`.
    Unknown,
    /// A code that no header has (4242).
    NoSuchCode,
}

/// Why a scenario could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large.
    #[error("the scenario {path} has more than {MAX_FILE_BYTES} bytes")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Too many files stand upon each other.
    #[error("{path} has more than {MAX_BASES} bases; do they name each other?")]
    TooManyBases {
        /// The last one that was looked at.
        path: PathBuf,
    },
    /// The content makes no sense.
    #[error("the scenario {path} is malformed: {source}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl Scenario {
    /// Reads a scenario file and what it is based on.
    ///
    /// # Errors
    /// When a file cannot be read, is malformed, or has too many bases.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let mut merged = load_value(path, MAX_BASES)?;
        let defaults = merged.as_object_mut().and_then(|object| object.remove("gpu_defaults"));
        if let (Some(defaults), Some(Value::Object(gpus))) = (defaults, merged.get_mut("gpus")) {
            for gpu in gpus.values_mut() {
                let own = std::mem::replace(gpu, defaults.clone());
                merge(gpu, own);
            }
        }
        serde_json::from_value(merged)
            .map_err(|source| ScenarioError::Malformed { path: path.to_owned(), source })
    }

    /// The GPU at an index of NVML's, with its number in the file.
    #[must_use]
    pub fn by_index(&self, index: u32) -> Option<(u32, &Gpu)> {
        let at = usize::try_from(index).ok()?;
        self.gpus.iter().nth(at).map(|(number, gpu)| (*number, gpu))
    }
}

fn load_value(path: &Path, bases_left: usize) -> Result<Value, ScenarioError> {
    let read = |source| ScenarioError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_FILE_BYTES {
        return Err(ScenarioError::TooLarge { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let mut value: Value = serde_json::from_slice(&bytes)
        .map_err(|source| ScenarioError::Malformed { path: path.to_owned(), source })?;
    let base = value.as_object_mut().and_then(|object| object.remove("base"));
    let Some(Value::String(base)) = base else { return Ok(value) };
    let base = path.parent().unwrap_or(Path::new(".")).join(base);
    if bases_left == 0 {
        return Err(ScenarioError::TooManyBases { path: base });
    }
    let mut merged = load_value(&base, bases_left - 1)?;
    merge(&mut merged, value);
    Ok(merged)
}

/// Merge patch, RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_stands_upon_its_base_as_a_merge_patch() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect(name);
        };
        write(
            "base.json",
            r#"{"driver_version": "550.54.15",
                "gpu_defaults": {"temperature_celsius": 34, "fields": {"82": 40}},
                "gpus": {"0": {"uuid": "GPU-0"}, "1": {"uuid": "GPU-1"}, "2": {"uuid": "GPU-2"}}}"#,
        );
        write(
            "fault.json",
            r#"{"base": "base.json", "gpus": {"1": null, "2": {"temperature_celsius": 91}}}"#,
        );
        let scenario = Scenario::load(&directory.path().join("fault.json")).expect("loads");
        let seen: Vec<_> = scenario
            .gpus
            .iter()
            .map(|(number, gpu)| (*number, gpu.uuid.as_deref(), gpu.temperature_celsius))
            .collect();
        assert_eq!(seen, [(0, Some("GPU-0"), Some(34)), (2, Some("GPU-2"), Some(91))]);
        assert_eq!(scenario.by_index(1).map(|(number, _)| number), Some(2));
        assert_eq!(scenario.by_index(2).map(|(number, _)| number), None);
    }

    #[test]
    fn every_scenario_of_the_repository_loads() {
        let one = crate::fixture("h100x8");
        let directory = one.parent().expect("a directory");
        let mut count = 0;
        for entry in std::fs::read_dir(directory).expect("listed").flatten() {
            let path = entry.path();
            let scenario = Scenario::load(&path).map_err(|error| error.to_string());
            let described = scenario.map(|scenario| !scenario.description.is_empty());
            assert_eq!(described, Ok(true), "{}", path.display());
            count += 1;
        }
        assert!(count >= 20, "{count}");
    }

    #[test]
    fn mistakes_are_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("scenario.json");
        for (text, message) in [
            (r#"{"gpu": {}}"#, "unknown field `gpu`"),
            (r#"{"gpus": {"0": {"temprature": 1}}}"#, "unknown field `temprature`"),
            ("{", "EOF"),
            (r#"{"base": "scenario.json"}"#, "bases"),
            (r#"{"base": "nowhere.json"}"#, "cannot read"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = Scenario::load(&path).map(|_| ()).expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
