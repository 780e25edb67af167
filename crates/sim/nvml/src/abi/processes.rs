//! Process lists: a buffer of the caller, and how many entries it takes.

use std::ffi::c_uint;

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlProcessInfo_t};

use super::device::{numbers, with_gpu};
use super::{INSUFFICIENT_SIZE, INVALID_ARGUMENT, put};
use crate::scenario::{Gpu, SimProcess};
use crate::world::Code;

/// NVML's "not available" of instance ids.
const NO_INSTANCE: c_uint = c_uint::MAX;
/// NVML's "not available" of sizes (`NVML_VALUE_NOT_AVAILABLE`, all bits set).
const NO_SIZE: u64 = u64::MAX;

/// Writes a list, or says how long it is when the buffer does not hold it.
///
/// # Safety
/// `count` is null or valid for reads and writes; `buffer` is null or valid for writes of as many
/// entries as `count` says.
unsafe fn list(
    processes: &[SimProcess],
    count: *mut c_uint,
    buffer: *mut nvmlProcessInfo_t,
) -> Result<(), Code> {
    if count.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, and readable by the caller's promise.
    let room = unsafe { count.read() };
    let needed = c_uint::try_from(processes.len()).map_err(|_| INVALID_ARGUMENT)?;
    // SAFETY: not null, and writable by the caller's promise.
    unsafe { put(count, needed)? };
    if needed == 0 {
        return Ok(());
    }
    if room < needed {
        return Err(INSUFFICIENT_SIZE);
    }
    if buffer.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    for (at, process) in processes.iter().enumerate() {
        let info = nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory_bytes.unwrap_or(NO_SIZE),
            gpuInstanceId: process.gpu_instance.unwrap_or(NO_INSTANCE),
            computeInstanceId: process.gpu_instance.map_or(NO_INSTANCE, |_| 0),
        };
        // SAFETY: the buffer holds `room` entries by the caller's promise, and `at` is below that.
        unsafe { buffer.add(at).write(info) };
    }
    Ok(())
}

/// All compute processes of a GPU, those in its MIG devices included, or of one MIG device.
fn compute(gpu: &Gpu, device: nvmlDevice_t) -> Vec<SimProcess> {
    match numbers(device) {
        Some((_, Some(mig))) => gpu
            .mig_devices
            .get(mig as usize)
            .map(|device| device.compute_processes.clone())
            .unwrap_or_default(),
        _ => {
            let mig = gpu.mig_devices.iter().flat_map(|device| &device.compute_processes);
            gpu.compute_processes.iter().chain(mig).copied().collect()
        }
    }
}

/// A MIG device is asked under a name of its own, so that a scenario can refuse the one and not
/// the other.
fn named(device: nvmlDevice_t, gpu: &'static str, mig: &'static str) -> &'static str {
    match numbers(device) {
        Some((_, Some(_))) => mig,
        _ => gpu,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    buffer: *mut nvml::nvmlProcessInfo_t,
) -> Code {
    let function =
        named(device, "nvmlDeviceGetComputeRunningProcesses_v3", "mig:ComputeRunningProcesses_v3");
    with_gpu(function, device, |_, _, gpu| {
        // SAFETY: C callers pass a count, and a buffer of as many entries or null.
        unsafe { list(&compute(gpu, device), count, buffer) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetGraphicsRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    buffer: *mut nvml::nvmlProcessInfo_t,
) -> Code {
    with_gpu("nvmlDeviceGetGraphicsRunningProcesses_v3", device, |_, _, gpu| {
        // SAFETY: C callers pass a count, and a buffer of as many entries or null.
        unsafe { list(&gpu.graphics_processes, count, buffer) }
    })
}
