//! The NVML calls that the wrapper lacks or makes at a higher price.
//!
//! The only place of this crate with `unsafe`. What must hold: every out-parameter is ours and as
//! large as we say; the library is the one that the device came from; no handle outlives it.
#![expect(unsafe_code, reason = "C calls that nvml-wrapper does not offer")]

use std::ffi::c_int;

use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{
    nvmlEccSramErrorStatus_t, nvmlFieldValue_t, nvmlMarginTemperature_t, nvmlMemory_t,
    nvmlProcessInfo_t, nvmlValue_t,
};

/// The most processes of one GPU that are read; beyond it only their number is known.
pub(super) const MAX_PROCESSES: usize = 1024;

/// How many processes the first attempt has room for: enough for nearly every machine.
const USUAL_PROCESSES: usize = 32;

/// What tells one device handle from another within a session. Two equal numbers mean the same GPU.
pub(super) fn handle_number(device: &Device<'_>) -> usize {
    // SAFETY: the handle is only compared, never passed on.
    unsafe { device.handle() }.addr()
}

/// `NVML_STRUCT_VERSION` of the header, for version 1: the size, and the version above it.
fn first_version<T>() -> u32 {
    u32::try_from(size_of::<T>() | (1 << 24)).unwrap_or(0)
}

/// The T.Limit margin: degrees left to the card's operating limit; below zero when it is beyond.
pub(super) fn margin_celsius(device: &Device<'_>) -> Result<i32, NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetMarginTemperature.as_ref())?;
    let version = first_version::<nvmlMarginTemperature_t>();
    let mut margin = nvmlMarginTemperature_t { version, marginTemperature: 0 };
    // SAFETY: the handle is of this library, which is loaded as long as `device` lives; the
    // structure is ours and says its version.
    nvml_try(unsafe { function(device.handle(), &raw mut margin) })?;
    Ok(margin.marginTemperature)
}

/// Whether so many errors of its SRAM could not be corrected that the card is to be replaced.
pub(super) fn sram_threshold_exceeded(device: &Device<'_>) -> Result<bool, NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetSramEccErrorStatus.as_ref())?;
    let version = first_version::<nvmlEccSramErrorStatus_t>();
    let mut status = nvmlEccSramErrorStatus_t {
        version,
        aggregateUncParity: 0,
        aggregateUncSecDed: 0,
        aggregateCor: 0,
        volatileUncParity: 0,
        volatileUncSecDed: 0,
        volatileCor: 0,
        aggregateUncBucketL2: 0,
        aggregateUncBucketSm: 0,
        aggregateUncBucketPcie: 0,
        aggregateUncBucketMcu: 0,
        aggregateUncBucketOther: 0,
        bThresholdExceeded: 0,
    };
    // SAFETY: the handle is of this library, which is loaded as long as `device` lives; the
    // structure is ours and says its version.
    nvml_try(unsafe { function(device.handle(), &raw mut status) })?;
    Ok(status.bThresholdExceeded != 0)
}

/// Total and used memory in bytes, as drivers before R510 tell it: what is reserved counts as used.
pub(super) fn memory_first_version(device: &Device<'_>) -> Result<(u64, u64), NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetMemoryInfo.as_ref())?;
    let mut memory = nvmlMemory_t { total: 0, free: 0, used: 0 };
    // SAFETY: the handle is of this library, which is loaded as long as `device` lives; the
    // structure is ours.
    nvml_try(unsafe { function(device.handle(), &raw mut memory) })?;
    Ok((memory.total, memory.used))
}

/// One value to be asked for by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldRequest {
    /// `NVML_FI_…`.
    pub(super) field: u32,
    /// The link, for fields of one link; 0 for others.
    pub(super) scope: u32,
}

/// Asks for many values in one call; `buffer` is reused from call to call. Answers in the order of
/// the requests, each to be read with [`answer`].
pub(super) fn field_values<'a>(
    device: &Device<'_>,
    requests: impl Iterator<Item = FieldRequest>,
    buffer: &'a mut Vec<nvmlFieldValue_t>,
) -> Result<&'a [nvmlFieldValue_t], NvmlError> {
    let function = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    buffer.clear();
    buffer.extend(requests.map(|request| nvmlFieldValue_t {
        fieldId: request.field,
        scopeId: request.scope,
        timestamp: 0,
        latencyUsec: 0,
        valueType: 0,
        nvmlReturn: 0,
        value: nvmlValue_t { ullVal: 0 },
    }));
    let count = c_int::try_from(buffer.len()).map_err(|_| NvmlError::InvalidArg)?;
    if count > 0 {
        // SAFETY: the handle is of this library, which is loaded as long as `device` lives; the
        // buffer holds exactly `count` initialised structures.
        nvml_try(unsafe { function(device.handle(), count, buffer.as_mut_ptr()) })?;
    }
    Ok(buffer)
}

/// The number in a value, whatever its type, or the value's own error. Whole numbers above 2^53
/// lose their last digits.
#[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
pub(super) fn answer(value: &nvmlFieldValue_t) -> Result<f64, NvmlError> {
    nvml_try(value.nvmlReturn)?;
    let union = value.value;
    // SAFETY: all members are plain numbers, every bit pattern is valid for each, and all bytes
    // were initialised before the call.
    unsafe {
        Ok(match value.valueType {
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE => union.dVal,
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => f64::from(union.uiVal),
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG => union.ulVal as f64,
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => union.ullVal as f64,
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => union.sllVal as f64,
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT => f64::from(union.siVal),
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_SHORT => f64::from(union.usVal),
            other => return Err(NvmlError::UnexpectedVariant(other)),
        })
    }
}

/// A process with a compute context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ComputeProcess {
    /// Process id.
    pub(super) pid: u32,
    /// Memory it holds, in bytes, where the driver says.
    pub(super) memory_bytes: Option<u64>,
}

/// The compute processes of a GPU or MIG device: their number, and up to [`MAX_PROCESSES`] of them.
/// One call where the wrapper makes two.
pub(super) fn compute_processes(
    device: &Device<'_>,
) -> Result<(usize, Vec<ComputeProcess>), NvmlError> {
    let library = device.nvml().lib();
    let function = nvml_sym(library.nvmlDeviceGetComputeRunningProcesses_v3.as_ref())?;
    let nothing =
        nvmlProcessInfo_t { pid: 0, usedGpuMemory: 0, gpuInstanceId: 0, computeInstanceId: 0 };
    let mut buffer = vec![nothing; USUAL_PROCESSES];
    loop {
        let room = buffer.len();
        let mut count = u32::try_from(room).unwrap_or(u32::MAX);
        // SAFETY: the handle is of this library, which is loaded as long as `device` lives; the
        // buffer has room for as many entries as `count` says.
        let code = unsafe { function(device.handle(), &raw mut count, buffer.as_mut_ptr()) };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if code == nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE {
            if room == MAX_PROCESSES {
                return Ok((count, Vec::new()));
            }
            buffer.resize(MAX_PROCESSES, nothing);
            continue;
        }
        nvml_try(code)?;
        let processes = buffer.iter().take(count).map(|info| ComputeProcess {
            pid: info.pid,
            // All bits set is "not available".
            memory_bytes: Some(info.usedGpuMemory).filter(|&bytes| bytes != u64::MAX),
        });
        return Ok((count, processes.collect()));
    }
}
