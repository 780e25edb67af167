//! NVML while it is initialised: one round over all GPUs.

use std::path::Path;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings::nvmlFieldValue_t;
use sickbay_model::{GpuCondition, GpuDevice, GpuVendor};

use super::ask::{Stop, lost_remark};
use super::device::Gpu;
use crate::gpu::{MAX_GPUS, MAX_TEXT_CHARACTERS, unidentified};
use crate::parse::printable;
use crate::{GpuProcess, Sample};

/// An initialised NVML and what was learned through it.
pub(super) struct Session {
    nvml: Nvml,
    driver_version: String,
    /// By index; `None` where a GPU has not answered yet.
    gpus: Vec<Option<Gpu>>,
    buffer: Vec<nvmlFieldValue_t>,
}

impl Session {
    /// Loads and initialises NVML.
    pub(super) fn open(library: Option<&Path>) -> Result<Self, NvmlError> {
        let nvml = match library {
            Some(path) => Nvml::builder().lib_path(path.as_os_str()).init()?,
            // By its full name: the one without a number comes only with development packages.
            None => Nvml::init()?,
        };
        let driver_version = match nvml.sys_driver_version() {
            Ok(version) => printable(version.as_bytes(), MAX_TEXT_CHARACTERS),
            Err(error @ (NvmlError::Uninitialized | NvmlError::DriverNotLoaded)) => {
                return Err(error);
            }
            Err(_) => String::new(),
        };
        Ok(Self { nvml, driver_version, gpus: Vec::new(), buffer: Vec::new() })
    }

    /// One round over all GPUs. Returns what is known about each.
    ///
    /// # Errors
    /// When the library as a whole does not answer, or must be initialised again.
    pub(super) fn poll(
        &mut self,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<Vec<GpuDevice>, NvmlError> {
        let count = self.nvml.device_count()?;
        let looked_at = count.min(MAX_GPUS);
        self.gpus.resize_with(looked_at as usize, || None);
        let mut processes = Vec::new();
        let mut devices = Vec::new();
        for index in 0..looked_at {
            let device = match self.poll_gpu(index, monotonic, out, &mut processes) {
                Ok(device) => device,
                Err(Stop::Session(error)) => return Err(error),
                Err(Stop::Gpu(condition, remark)) => self.given_up(index, condition, remark),
            };
            devices.push(device);
        }
        if let (true, Some(last)) = (count > looked_at, devices.last_mut()) {
            last.unreadable.push(format!("only {looked_at} of {count} GPUs are read"));
        }
        out.facts.gpu_processes = Some(processes);
        Ok(devices)
    }

    fn poll_gpu(
        &mut self,
        index: u32,
        monotonic: Duration,
        out: &mut Sample,
        processes: &mut Vec<GpuProcess>,
    ) -> Result<GpuDevice, Stop> {
        let Self { nvml, driver_version, gpus, buffer } = self;
        if let Some(Some(gpu)) = gpus.get_mut(index as usize) {
            gpu.begin();
        }
        let nvml = nvml.device_by_index(index).map_err(|error| match error {
            NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch => Stop::Session(error),
            NvmlError::ResetRequired => Stop::Gpu(GpuCondition::ResetRequired, lost_remark(&error)),
            error => Stop::Gpu(GpuCondition::Lost, lost_remark(&error)),
        })?;
        let Some(place) = gpus.get_mut(index as usize) else {
            return Ok(unidentified(index, GpuVendor::Nvidia, driver_version));
        };
        let handle = super::raw::handle_number(&nvml);
        let known = place.take().filter(|gpu| gpu.handle == handle && !gpu.is_doubtful(monotonic));
        let mut gpu = match known {
            Some(gpu) => gpu,
            None => Gpu::identify(&nvml, index, driver_version, buffer)?,
        };
        let result = gpu.poll(&nvml, monotonic, buffer, out, processes);
        let device = place.insert(gpu).device();
        result.map(|()| device)
    }

    /// What is said of a GPU that did not answer to the end: what is known about it, marked.
    fn given_up(&self, index: u32, condition: GpuCondition, remark: String) -> GpuDevice {
        let known = self.gpus.get(index as usize).and_then(Option::as_ref).map(Gpu::device);
        let mut device =
            known.unwrap_or_else(|| unidentified(index, GpuVendor::Nvidia, &self.driver_version));
        device.condition = condition;
        device.unreadable.insert(0, remark);
        device
    }
}
