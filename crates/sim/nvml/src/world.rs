//! The fake library's memory: which scenario is in force, what was initialised, what was called.
//!
//! The scenario is looked at again at every call that begins something (`nvmlInit*`, the device
//! count, a handle), so a test changes the world by writing the file. What must hold: no lock is
//! held while a call hangs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nvml_wrapper_sys::bindings as nvml;

use crate::scenario::{Failure, Scenario};

/// Environment variable with the path of the scenario file. Without it, `scenario.json` beside the
/// library is read.
const SCENARIO_VARIABLE: &str = "SICKBAY_SIM_NVML_SCENARIO";

/// Environment variable with the path of a file to which the number of calls of each function is
/// written, as JSON, at every device count and shutdown. Without it, nothing is written.
const CALLS_VARIABLE: &str = "SICKBAY_SIM_NVML_CALLS";

/// How long a call that never answers sleeps at a time.
const HANG_STEP: Duration = Duration::from_secs(3600);

/// An NVML return code that is not success.
pub(crate) type Code = nvml::nvmlReturn_t;

static WORLD: Mutex<World> = Mutex::new(World::new());

struct World {
    scenario: Option<Arc<Scenario>>,
    file: Option<FileIdentity>,
    initialised: u32,
    epoch: u64,
    calls: BTreeMap<&'static str, u64>,
}

/// Tells one version of a file from the next without reading it.
#[derive(PartialEq, Eq)]
struct FileIdentity(u64, u64, i64, i64);

impl World {
    const fn new() -> Self {
        Self { scenario: None, file: None, initialised: 0, epoch: 0, calls: BTreeMap::new() }
    }

    /// Reads the scenario if its file is another one than before. A file that cannot be read
    /// leaves no world at all: every call answers `UNKNOWN`, and the reason is on stderr.
    fn refresh(&mut self) {
        let Some(path) = scenario_path() else {
            self.scenario = None;
            return;
        };
        let identity = std::fs::metadata(&path)
            .ok()
            .map(|meta| FileIdentity(meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        if identity.is_some() && identity == self.file {
            return;
        }
        self.file = identity;
        self.scenario = match Scenario::load(&path) {
            Ok(scenario) => Some(Arc::new(scenario)),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "sickbay-sim-nvml: {error}");
                None
            }
        };
    }
}

fn world() -> MutexGuard<'static, World> {
    WORLD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scenario_path() -> Option<PathBuf> {
    match std::env::var_os(SCENARIO_VARIABLE) {
        Some(path) => Some(path.into()),
        None => crate::abi::own_path().map(|library| library.with_file_name("scenario.json")),
    }
}

/// What a call is made on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The library as a whole.
    Library,
    /// A GPU, by number in the scenario.
    Gpu(u32),
}

/// Begins a call: counts it, waits and fails as the scenario says, and returns the scenario.
pub(crate) fn enter(function: &'static str, target: Target) -> Result<Arc<Scenario>, Code> {
    let scenario = {
        let mut world = world();
        *world.calls.entry(function).or_default() += 1;
        if matches!(target, Target::Library) {
            world.refresh();
        }
        let scenario = world.scenario.clone().ok_or(nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN)?;
        let initialises = function.starts_with("nvmlInit");
        if !initialises && (world.initialised == 0 || world.epoch != scenario.driver_epoch) {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED);
        }
        scenario
    };
    suffer(&scenario, function, target)?;
    Ok(scenario)
}

/// Waits and fails as the scenario says for this function on this target.
pub(crate) fn suffer(scenario: &Scenario, function: &str, target: Target) -> Result<(), Code> {
    for fault in &scenario.faults {
        let here = fault.field.is_none()
            && matches(&fault.function, function)
            && fault.gpu.is_none_or(|gpu| target == Target::Gpu(gpu));
        if here {
            std::thread::sleep(Duration::from_millis(fault.delay_ms));
            if let Some(failure) = fault.answer {
                return Err(fail(failure));
            }
        }
    }
    Ok(())
}

/// The code that a field of a GPU fails with, if the scenario says so.
pub(crate) fn field_failure(scenario: &Scenario, gpu: u32, field: u32) -> Option<Code> {
    let fault = scenario.faults.iter().find(|fault| {
        fault.field == Some(field)
            && fault.gpu.is_none_or(|only| only == gpu)
            && matches(&fault.function, "nvmlDeviceGetFieldValues")
    })?;
    fault.answer.map(fail)
}

fn matches(pattern: &str, function: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => function.starts_with(beginning),
        None => pattern == function,
    }
}

/// The library was initialised.
pub(crate) fn initialised(scenario: &Scenario) {
    let mut world = world();
    world.initialised = world.initialised.saturating_add(1);
    world.epoch = scenario.driver_epoch;
}

/// The library was shut down, as often as it was initialised or not.
pub(crate) fn shut_down() {
    let mut world = world();
    world.initialised = world.initialised.saturating_sub(1);
    drop(world);
    write_calls();
}

/// Writes the number of calls where the environment asks for it.
pub(crate) fn write_calls() {
    let Some(path) = std::env::var_os(CALLS_VARIABLE) else { return };
    let calls = world().calls.clone();
    if let Ok(text) = serde_json::to_vec(&calls) {
        let _ = std::fs::write(Path::new(&path), text);
    }
}

/// Turns a failure into its code; a hang never returns.
fn fail(failure: Failure) -> Code {
    match failure {
        Failure::Hang => loop {
            std::thread::sleep(HANG_STEP);
        },
        Failure::Uninitialized => nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED,
        Failure::InvalidArgument => nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT,
        Failure::NotSupported => nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED,
        Failure::NoPermission => nvml::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION,
        Failure::NotFound => nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND,
        Failure::InsufficientPower => nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_POWER,
        Failure::DriverNotLoaded => nvml::nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED,
        Failure::Timeout => nvml::nvmlReturn_enum_NVML_ERROR_TIMEOUT,
        Failure::IrqIssue => nvml::nvmlReturn_enum_NVML_ERROR_IRQ_ISSUE,
        Failure::LibraryNotFound => nvml::nvmlReturn_enum_NVML_ERROR_LIBRARY_NOT_FOUND,
        Failure::FunctionNotFound => nvml::nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND,
        Failure::CorruptedInforom => nvml::nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM,
        Failure::GpuIsLost => nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST,
        Failure::ResetRequired => nvml::nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED,
        Failure::OperatingSystem => nvml::nvmlReturn_enum_NVML_ERROR_OPERATING_SYSTEM,
        Failure::LibRmVersionMismatch => nvml::nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        Failure::NoData => nvml::nvmlReturn_enum_NVML_ERROR_NO_DATA,
        Failure::Unknown => nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN,
        Failure::NoSuchCode => 4242,
    }
}
