//! What is asked of one GPU, one value at a time.

use std::ffi::{c_char, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::nvmlDevice_t;

use super::{INVALID_ARGUMENT, NOT_SUPPORTED, code, put, put_text};
use crate::scenario::{ClocksMhz, Gpu, Pcie, Scenario};
use crate::world::{self, Code, Target};

/// Bits of a handle that hold the GPU's number plus one; the MIG device's number plus one is above.
const NUMBER_BITS: u32 = 16;

/// A handle: numbers dressed as a pointer, never null and never followed.
pub(super) fn handle(gpu: u32, mig_device: Option<u32>) -> nvmlDevice_t {
    let mig = mig_device.map_or(0, |number| number as usize + 1);
    std::ptr::without_provenance_mut((mig << NUMBER_BITS) | (gpu as usize + 1))
}

/// The GPU's number, and the MIG device's if it is one.
pub(super) fn numbers(device: nvmlDevice_t) -> Option<(u32, Option<u32>)> {
    let bits = device.addr();
    let gpu = (bits & ((1 << NUMBER_BITS) - 1)).checked_sub(1)?;
    let mig = (bits >> NUMBER_BITS).checked_sub(1).and_then(|number| u32::try_from(number).ok());
    Some((u32::try_from(gpu).ok()?, mig))
}

/// Begins a call on a GPU. A handle of a GPU that is there no more is that of a lost one.
pub(super) fn with_gpu(
    function: &'static str,
    device: nvmlDevice_t,
    answer: impl FnOnce(&Scenario, u32, &Gpu) -> Result<(), Code>,
) -> Code {
    code(numbers(device).ok_or(INVALID_ARGUMENT).and_then(|(number, _)| {
        let scenario = world::enter(function, Target::Gpu(number))?;
        let gpu = scenario.gpus.get(&number).ok_or(nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST)?;
        answer(&scenario, number, gpu)
    }))
}

/// Functions that write one number.
macro_rules! number {
    ($($function:ident($($argument:ident: $type:ty),*) -> $out:ty, |$gpu:ident| $value:expr;)*) => {$(
        #[unsafe(no_mangle)]
        pub(super) unsafe extern "C" fn $function(
            device: nvmlDevice_t,
            $($argument: $type,)*
            out: *mut $out,
        ) -> Code {
            with_gpu(stringify!($function), device, |_, _, $gpu| {
                let value: Option<$out> = $value;
                // SAFETY: C callers pass a place for the number, or null.
                unsafe { put(out, value.ok_or(NOT_SUPPORTED)?) }
            })
        }
    )*};
}

/// Functions that write a text.
macro_rules! text {
    ($($function:ident, |$gpu:ident| $value:expr;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $function(
            device: nvmlDevice_t,
            buffer: *mut c_char,
            length: c_uint,
        ) -> Code {
            with_gpu(stringify!($function), device, |_, _, $gpu| {
                let value: Option<&[u8]> = $value;
                // SAFETY: C callers pass a buffer of `length` bytes, or null.
                unsafe { put_text(buffer, length, value.ok_or(NOT_SUPPORTED)?) }
            })
        }
    )*};
}

text! {
    nvmlDeviceGetName, |gpu| gpu.name_bytes.as_deref().or(gpu.name.as_deref().map(str::as_bytes));
    nvmlDeviceGetUUID, |gpu| gpu.uuid.as_deref().map(str::as_bytes);
    nvmlDeviceGetSerial, |gpu| gpu.serial.as_deref().map(str::as_bytes);
    nvmlDeviceGetVbiosVersion, |gpu| gpu.vbios_version.as_deref().map(str::as_bytes);
}

number! {
    nvmlDeviceGetPowerUsage() -> c_uint, |gpu| gpu.power_milliwatts;
    nvmlDeviceGetEnforcedPowerLimit() -> c_uint, |gpu| gpu.power_limit_milliwatts;
    nvmlDeviceGetPowerManagementLimit() -> c_uint, |gpu| gpu.power_limit_milliwatts;
    nvmlDeviceGetTemperature(sensor: nvml::nvmlTemperatureSensors_t) -> c_uint, |gpu| {
        if sensor == nvml::nvmlTemperatureSensors_enum_NVML_TEMPERATURE_GPU {
            gpu.temperature_celsius
        } else {
            None
        }
    };
    nvmlDeviceGetTemperatureThreshold(kind: nvml::nvmlTemperatureThresholds_t) -> c_uint, |gpu| {
        gpu.thresholds_celsius.and_then(|limits| match kind {
            nvml::nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SHUTDOWN => {
                limits.shutdown
            }
            nvml::nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN => {
                limits.slowdown
            }
            _ => None,
        })
    };
    nvmlDeviceGetNumFans() -> c_uint, |gpu| {
        c_uint::try_from(gpu.fans_percent.len()).ok().filter(|&fans| fans > 0)
    };
    nvmlDeviceGetFanSpeed_v2(fan: c_uint) -> c_uint, |gpu| {
        gpu.fans_percent.get(fan as usize).copied()
    };
    nvmlDeviceGetClockInfo(kind: nvml::nvmlClockType_t) -> c_uint, |gpu| clock(gpu.clocks, kind);
    nvmlDeviceGetMaxClockInfo(kind: nvml::nvmlClockType_t) -> c_uint, |gpu| {
        clock(gpu.max_clocks, kind)
    };
    nvmlDeviceGetCurrentClocksThrottleReasons() -> c_ulonglong, |gpu| gpu.throttle_reasons;
    nvmlDeviceGetCurrentClocksEventReasons() -> c_ulonglong, |gpu| gpu.throttle_reasons;
    nvmlDeviceGetPerformanceState() -> nvml::nvmlPstates_t, |gpu| gpu.performance_state;
    nvmlDeviceGetCurrPcieLinkGeneration() -> c_uint, |gpu| pcie(gpu, |link| link.generation);
    nvmlDeviceGetCurrPcieLinkWidth() -> c_uint, |gpu| pcie(gpu, |link| link.width);
    nvmlDeviceGetMaxPcieLinkGeneration() -> c_uint, |gpu| pcie(gpu, |link| link.max_generation);
    nvmlDeviceGetMaxPcieLinkWidth() -> c_uint, |gpu| pcie(gpu, |link| link.max_width);
    nvmlDeviceGetTotalEccErrors(
        kind: nvml::nvmlMemoryErrorType_t,
        counter: nvml::nvmlEccCounterType_t
    ) -> c_ulonglong, |gpu| gpu.ecc.map(|ecc| {
        let corrected = kind == nvml::nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_CORRECTED;
        let volatile = counter == nvml::nvmlEccCounterType_enum_NVML_VOLATILE_ECC;
        match (corrected, volatile) {
            (true, true) => ecc.corrected_volatile,
            (false, true) => ecc.uncorrected_volatile,
            (true, false) => ecc.corrected_aggregate,
            (false, false) => ecc.uncorrected_aggregate,
        }
    });
    nvmlDeviceGetNvLinkState(link: c_uint) -> nvml::nvmlEnableState_t, |gpu| {
        gpu.nvlinks.get(link as usize).map(|link| c_uint::from(link.active))
    };
    nvmlDeviceGetNvLinkErrorCounter(
        link: c_uint,
        counter: nvml::nvmlNvLinkErrorCounter_t
    ) -> c_ulonglong, |gpu| gpu.nvlinks.get(link as usize).and_then(|link| match counter {
        nvml::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_REPLAY => Some(link.replay_errors),
        nvml::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_RECOVERY => {
            Some(link.recovery_errors)
        }
        nvml::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_CRC_FLIT => Some(link.crc_errors),
        _ => None,
    });
    nvmlDeviceGetMaxMigDeviceCount() -> c_uint, |gpu| {
        gpu.mig_enabled.and(c_uint::try_from(gpu.mig_devices.len()).ok())
    };
}

fn clock(clocks: Option<ClocksMhz>, kind: nvml::nvmlClockType_t) -> Option<c_uint> {
    let clocks = clocks?;
    match kind {
        nvml::nvmlClockType_enum_NVML_CLOCK_GRAPHICS => Some(clocks.graphics),
        nvml::nvmlClockType_enum_NVML_CLOCK_SM => Some(clocks.sm),
        nvml::nvmlClockType_enum_NVML_CLOCK_MEM => Some(clocks.memory),
        _ => None,
    }
}

fn pcie(gpu: &Gpu, value: impl FnOnce(Pcie) -> u32) -> Option<c_uint> {
    gpu.pcie.map(value)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMarginTemperature(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlMarginTemperature_t,
) -> Code {
    with_gpu("nvmlDeviceGetMarginTemperature", device, |_, _, gpu| {
        let margin = gpu.margin_celsius.ok_or(NOT_SUPPORTED)?;
        // SAFETY: C callers pass an initialised structure that begins with its version.
        unsafe { check_version(out) }?;
        // SAFETY: not null, as was checked.
        unsafe { (*out).marginTemperature = margin };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetSramEccErrorStatus(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlEccSramErrorStatus_t,
) -> Code {
    with_gpu("nvmlDeviceGetSramEccErrorStatus", device, |_, _, gpu| {
        let exceeded = gpu.sram_threshold_exceeded.ok_or(NOT_SUPPORTED)?;
        // SAFETY: C callers pass an initialised structure that begins with its version.
        unsafe { check_version(out) }?;
        // SAFETY: not null, as was checked.
        unsafe { (*out).bThresholdExceeded = c_uint::from(exceeded) };
        Ok(())
    })
}

/// Whether a structure of version 1 was given.
///
/// # Safety
/// Null, or initialised and begun by a version, as NVML's versioned structures are.
unsafe fn check_version<T>(out: *const T) -> Result<(), Code> {
    if out.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null; the rest is the caller's promise.
    let version = unsafe { *out.cast::<c_uint>() };
    if version == struct_version::<T>(1) {
        Ok(())
    } else {
        Err(nvml::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH)
    }
}

/// `NVML_STRUCT_VERSION` of the header: the size, and the version above it.
fn struct_version<T>(version: usize) -> c_uint {
    c_uint::try_from(size_of::<T>() | (version << 24)).unwrap_or(c_uint::MAX)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlUtilization_t,
) -> Code {
    with_gpu("nvmlDeviceGetUtilizationRates", device, |_, _, gpu| {
        let rates = gpu.utilization.ok_or(NOT_SUPPORTED)?;
        // SAFETY: C callers pass a place for the structure, or null.
        unsafe { put(out, nvml::nvmlUtilization_t { gpu: rates.gpu, memory: rates.memory }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlMemory_t,
) -> Code {
    with_gpu("nvmlDeviceGetMemoryInfo", device, |_, _, gpu| {
        let memory = gpu.memory.ok_or(NOT_SUPPORTED)?;
        // The first version counts what is reserved as used.
        let used = memory.used.saturating_add(memory.reserved);
        let free = memory.total.saturating_sub(used);
        // SAFETY: C callers pass a place for the structure, or null.
        unsafe { put(out, nvml::nvmlMemory_t { total: memory.total, free, used }) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlMemory_v2_t,
) -> Code {
    with_gpu("nvmlDeviceGetMemoryInfo_v2", device, |_, _, gpu| {
        let memory = gpu.memory.ok_or(NOT_SUPPORTED)?;
        if out.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: not null, and C callers pass an initialised structure with its version set.
        let version = unsafe { (*out).version };
        if version != struct_version::<nvml::nvmlMemory_v2_t>(2) {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
        }
        let taken = memory.used.saturating_add(memory.reserved);
        let info = nvml::nvmlMemory_v2_t {
            version,
            total: memory.total,
            reserved: memory.reserved,
            free: memory.total.saturating_sub(taken),
            used: memory.used,
        };
        // SAFETY: as above.
        unsafe { put(out, info) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlPciInfo_t,
) -> Code {
    with_gpu("nvmlDeviceGetPciInfo_v3", device, |_, _, gpu| {
        let bus_id = gpu.pci_bus_id.as_deref().ok_or(NOT_SUPPORTED)?;
        let mut info = nvml::nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: 0,
            bus: 0,
            device: 0,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        copy_text(&mut info.busId, bus_id);
        // The old form has four digits of the domain.
        copy_text(&mut info.busIdLegacy, bus_id.get(4..).unwrap_or(bus_id));
        let mut parts = bus_id.split([':', '.']).map(|part| c_uint::from_str_radix(part, 16));
        for place in [&mut info.domain, &mut info.bus, &mut info.device] {
            *place = parts.next().and_then(Result::ok).unwrap_or(0);
        }
        // SAFETY: C callers pass a place for the structure, or null.
        unsafe { put(out, info) }
    })
}

/// Copies what fits and leaves room for the final NUL.
fn copy_text(buffer: &mut [c_char], text: &str) {
    let room = buffer.len().saturating_sub(1);
    for (place, &byte) in buffer.iter_mut().take(room).zip(text.as_bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> Code {
    with_gpu("nvmlDeviceGetMigMode", device, |_, _, gpu| {
        let mode = c_uint::from(gpu.mig_enabled.ok_or(NOT_SUPPORTED)?);
        // SAFETY: C callers pass two places for the modes, or null.
        unsafe { put(current, mode).and_then(|()| put(pending, mode)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: c_uint,
    out: *mut nvmlDevice_t,
) -> Code {
    with_gpu("nvmlDeviceGetMigDeviceHandleByIndex", device, |_, number, gpu| {
        if gpu.mig_devices.get(index as usize).is_none() {
            return Err(nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
        }
        // SAFETY: C callers pass a place for the handle, or null.
        unsafe { put(out, handle(number, Some(index))) }
    })
}
