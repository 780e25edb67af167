//! One NVIDIA GPU: who it is, and its readings.
//!
//! Identity and limits are asked once and again only after a new initialisation; what is seldom
//! news (see [`fields::slow`], power limit, MIG mode) every [`SLOW_INTERVAL`] and repeated in
//! between, so that every sample is complete.

use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enum_wrappers::nv_link::ErrorCounter;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings::{field_id, nvmlFieldValue_t};
use sickbay_model::{GpuCondition, GpuDevice, GpuVendor, MetricId, Reading, catalogue};

use super::ask::{Asker, Query, Stop};
use super::fields::{self, Field, MILLI, PcieBytes, Target};
use super::raw::{self, FieldRequest};
use crate::gpu::{MAX_TEXT_CHARACTERS, kernel_pci_address, unidentified};
use crate::parse::printable;
use crate::{GpuProcess, Sample};

/// How often is asked for what is seldom news.
pub(super) const SLOW_INTERVAL: Duration = Duration::from_secs(30);

/// The most NVLinks of a GPU that are looked at: NVML's own limit (`NVML_NVLINK_MAX_LINKS`).
const MAX_LINKS: u32 = 18;
/// The most fans of a card that are looked at.
const MAX_FANS: u32 = 16;
/// The most MIG devices of a GPU that are asked for their processes; a GPU has at most seven.
const MAX_MIG_DEVICES: u32 = 16;

/// One GPU and what was learned about it.
pub(super) struct Gpu {
    /// Which handle this was learned from.
    pub(super) handle: usize,
    device: GpuDevice,
    instance: Box<str>,
    asker: Asker,
    /// What could not be said about its identity; while there is something, it is asked again.
    identity_remarks: Vec<String>,
    mig_switched: bool,
    limits: Vec<(MetricId, f64)>,
    fans: u32,
    links: u32,
    fast_fields: Vec<Field>,
    slow_fields: Vec<Field>,
    slow_readings: Vec<Reading>,
    slow_due: Duration,
    pcie: Option<(Duration, PcieBytes)>,
}

impl Gpu {
    /// Learns who a GPU is and what its limits are.
    pub(super) fn identify(
        nvml: &Device<'_>,
        index: u32,
        driver_version: &str,
        buffer: &mut Vec<nvmlFieldValue_t>,
    ) -> Result<Self, Stop> {
        let mut gpu = Self {
            handle: raw::handle_number(nvml),
            device: unidentified(index, GpuVendor::Nvidia, driver_version),
            instance: index.to_string().into(),
            asker: Asker::default(),
            identity_remarks: Vec::new(),
            mig_switched: false,
            limits: Vec::new(),
            fans: 0,
            links: 0,
            fast_fields: fields::fast(),
            slow_fields: Vec::new(),
            slow_readings: Vec::new(),
            slow_due: Duration::ZERO,
            pcie: None,
        };
        gpu.read_identity(nvml)?;
        gpu.read_limits(nvml)?;
        gpu.links = gpu.count_links(nvml, buffer)?;
        gpu.slow_fields = fields::slow(gpu.links);
        gpu.identity_remarks = gpu.asker.remarks().to_vec();
        Ok(gpu)
    }

    /// What is known about it, with what was refused in the last round.
    pub(super) fn device(&self) -> GpuDevice {
        let mut device = self.device.clone();
        if self.asker.needs_reset() {
            device.condition = GpuCondition::ResetRequired;
        }
        device.unreadable.clone_from(&self.identity_remarks);
        for remark in self.asker.remarks() {
            if !device.unreadable.contains(remark) {
                device.unreadable.push(remark.clone());
            }
        }
        device
    }

    /// Whether it should be learned afresh: MIG was switched, which changes what is supported, or
    /// something about it was refused and it is time to ask again.
    pub(super) fn is_doubtful(&self, monotonic: Duration) -> bool {
        self.mig_switched || (!self.identity_remarks.is_empty() && monotonic >= self.slow_due)
    }

    /// Begins a round: what was refused in the one before is forgotten.
    pub(super) fn begin(&mut self) {
        self.asker.begin();
    }

    fn read_identity(&mut self, nvml: &Device<'_>) -> Result<(), Stop> {
        let Self { asker, device, .. } = self;
        let mut text = |query, call: &dyn Fn() -> Result<String, NvmlError>| {
            let answer = asker.ask(query, call)?.unwrap_or_default();
            Ok(printable(answer.trim().as_bytes(), MAX_TEXT_CHARACTERS))
        };
        device.uuid = text(Query::Uuid, &|| nvml.uuid())?;
        device.model = text(Query::Name, &|| nvml.name())?;
        device.serial = text(Query::Serial, &|| nvml.serial())?;
        device.vbios_version = text(Query::VbiosVersion, &|| nvml.vbios_version())?;
        let address = text(Query::PciAddress, &|| nvml.pci_info().map(|info| info.bus_id))?;
        device.pci_address = kernel_pci_address(&address);
        let mig = asker.ask(Query::MigMode, || nvml.mig_mode())?;
        device.mig_enabled = mig.is_some_and(|mode| mode.current == 1);
        if let Some((total, _)) = asker.ask(Query::MemoryTotal, || memory(nvml))? {
            device.memory_bytes = total;
        }
        Ok(())
    }

    fn read_limits(&mut self, nvml: &Device<'_>) -> Result<(), Stop> {
        let Self { asker, limits, .. } = self;
        let mut limit = |query, metric, call: &dyn Fn() -> Result<u32, NvmlError>| {
            if let Some(value) = asker.ask(query, call)? {
                limits.push((metric, f64::from(value)));
            }
            Ok(())
        };
        limit(Query::SlowdownLimit, catalogue::GPU_TEMPERATURE_SLOWDOWN, &|| {
            nvml.temperature_threshold(TemperatureThreshold::Slowdown)
        })?;
        limit(Query::ShutdownLimit, catalogue::GPU_TEMPERATURE_SHUTDOWN, &|| {
            nvml.temperature_threshold(TemperatureThreshold::Shutdown)
        })?;
        limit(Query::MaxClock, catalogue::GPU_CLOCK_MAX, &|| nvml.max_clock_info(Clock::SM))?;
        limit(Query::MaxPcieGeneration, catalogue::GPU_PCIE_GENERATION_MAX, &|| {
            nvml.max_pcie_link_gen()
        })?;
        limit(Query::MaxPcieWidth, catalogue::GPU_PCIE_WIDTH_MAX, &|| nvml.max_pcie_link_width())?;
        self.fans = self.asker.ask(Query::Fans, || nvml.num_fans())?.unwrap_or(0).min(MAX_FANS);
        Ok(())
    }

    /// How many NVLinks it has, as the driver counts them; none where it does not.
    fn count_links(
        &mut self,
        nvml: &Device<'_>,
        buffer: &mut Vec<nvmlFieldValue_t>,
    ) -> Result<u32, Stop> {
        let request = FieldRequest { field: field_id::NVML_FI_DEV_NVLINK_LINK_COUNT, scope: 0 };
        let counted = self.asker.ask(Query::NvLinkCount, || {
            let values = raw::field_values(nvml, std::iter::once(request), buffer)?;
            match values.first().map(raw::answer) {
                // What drivers answer for a field number that they do not know.
                Some(Err(NvmlError::InvalidArg)) | None => Err(NvmlError::NotSupported),
                Some(answer) => answer,
            }
        })?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast from f64 saturates, and the limit bounds it"
        )]
        Ok(counted.map_or(0, |links| (links as u32).min(MAX_LINKS)))
    }

    /// Reads everything that is due and puts it into the sample.
    pub(super) fn poll(
        &mut self,
        nvml: &Device<'_>,
        monotonic: Duration,
        buffer: &mut Vec<nvmlFieldValue_t>,
        out: &mut Sample,
        processes: &mut Vec<GpuProcess>,
    ) -> Result<(), Stop> {
        for &(metric, value) in &self.limits {
            out.put(metric, &self.instance, value);
        }
        self.poll_fast(nvml, out)?;
        self.poll_fields(nvml, monotonic, buffer, out)?;
        self.poll_processes(nvml, out, processes)?;
        if monotonic >= self.slow_due {
            self.poll_slow(nvml, buffer)?;
            self.slow_due = monotonic.saturating_add(SLOW_INTERVAL);
        }
        for reading in &self.slow_readings {
            out.put(reading.metric, &reading.instance, reading.value);
        }
        Ok(())
    }

    fn poll_fast(&mut self, nvml: &Device<'_>, out: &mut Sample) -> Result<(), Stop> {
        let Self { asker, instance, .. } = self;
        let put = |out: &mut Sample, metric, value: Option<f64>| {
            out.put_some(metric, instance, value);
        };
        if let Some(rates) = asker.ask(Query::Utilization, || nvml.utilization_rates())? {
            put(out, catalogue::GPU_UTILIZATION, Some(f64::from(rates.gpu)));
            put(out, catalogue::GPU_MEMORY_UTILIZATION, Some(f64::from(rates.memory)));
        }
        if let Some((total, used)) = asker.ask(Query::Memory, || memory(nvml))? {
            let (total, used) = (as_number(total), as_number(used));
            put(out, catalogue::GPU_MEMORY_TOTAL, Some(total));
            put(out, catalogue::GPU_MEMORY_USED_BYTES, Some(used));
            put(out, catalogue::GPU_MEMORY_USED, (total > 0.0).then_some(used / total * 100.0));
        }
        let mut number =
            |query, metric, call: &dyn Fn() -> Result<u32, NvmlError>, divisor: f64| {
                let value = asker.ask(query, call)?;
                put(out, metric, value.map(|value| f64::from(value) / divisor));
                Ok::<_, Stop>(())
            };
        number(
            Query::Temperature,
            catalogue::GPU_TEMPERATURE,
            &|| nvml.temperature(TemperatureSensor::Gpu),
            1.0,
        )?;
        number(Query::Power, catalogue::GPU_POWER, &|| nvml.power_usage(), MILLI)?;
        number(Query::Clock, catalogue::GPU_CLOCK, &|| nvml.clock_info(Clock::SM), 1.0)?;
        number(
            Query::MemoryClock,
            catalogue::GPU_MEMORY_CLOCK,
            &|| nvml.clock_info(Clock::Memory),
            1.0,
        )?;
        number(
            Query::PerformanceState,
            catalogue::GPU_PERFORMANCE_STATE,
            &|| nvml.performance_state().map(|state| state.as_c()),
            1.0,
        )?;
        number(
            Query::PcieGeneration,
            catalogue::GPU_PCIE_GENERATION,
            &|| nvml.current_pcie_link_gen(),
            1.0,
        )?;
        number(
            Query::PcieWidth,
            catalogue::GPU_PCIE_WIDTH,
            &|| nvml.current_pcie_link_width(),
            1.0,
        )?;
        let margin = asker.ask(Query::Margin, || raw::margin_celsius(nvml))?;
        put(out, catalogue::GPU_TEMPERATURE_MARGIN, margin.map(f64::from));
        let reasons = asker.ask(Query::ThrottleReasons, || nvml.current_throttle_reasons())?;
        let mask = reasons.map(|reasons| as_number(reasons.bits()));
        put(out, catalogue::GPU_THROTTLE_REASONS, mask);
        // The fastest fan stands for all: they follow one curve.
        let mut fastest = None;
        for fan in 0..self.fans {
            fastest = fastest.max(asker.ask(Query::FanSpeed, || nvml.fan_speed(fan))?);
        }
        put(out, catalogue::GPU_FAN, fastest.map(f64::from));
        Ok(())
    }

    fn poll_fields(
        &mut self,
        nvml: &Device<'_>,
        monotonic: Duration,
        buffer: &mut Vec<nvmlFieldValue_t>,
        out: &mut Sample,
    ) -> Result<(), Stop> {
        let Self { asker, instance, fast_fields, .. } = self;
        let mut bytes = PcieBytes::default();
        fields::read(
            asker,
            Query::Fields,
            nvml,
            fast_fields,
            buffer,
            |target, value| match target {
                Target::Gpu(metric, divisor) => out.put(metric, instance, value / divisor),
                Target::PcieTransmitted => bytes.transmitted = Some(value),
                Target::PcieReceived => bytes.received = Some(value),
                Target::RetiredPages | Target::Link(..) => {}
            },
        )?;
        if let Some((at, before)) = self.pcie.replace((monotonic, bytes)) {
            let passed = monotonic.saturating_sub(at);
            for (metric, before, now) in [
                (catalogue::GPU_PCIE_TRANSMIT, before.transmitted, bytes.transmitted),
                (catalogue::GPU_PCIE_RECEIVE, before.received, bytes.received),
            ] {
                out.put_some(metric, instance, fields::rate(before, now, passed));
            }
        }
        for (query, metric, kind) in [
            (
                Query::EccCorrectedVolatile,
                catalogue::GPU_ECC_CORRECTED_VOLATILE,
                MemoryError::Corrected,
            ),
            (
                Query::EccUncorrectedVolatile,
                catalogue::GPU_ECC_UNCORRECTED_VOLATILE,
                MemoryError::Uncorrected,
            ),
        ] {
            if !fields::has(fast_fields, metric) {
                let call = || nvml.total_ecc_errors(kind, EccCounter::Volatile);
                out.put_some(metric, instance, asker.ask(query, call)?.map(as_number));
            }
        }
        Ok(())
    }

    fn poll_processes(
        &mut self,
        nvml: &Device<'_>,
        out: &mut Sample,
        processes: &mut Vec<GpuProcess>,
    ) -> Result<(), Stop> {
        let Some((count, found)) = self.compute_processes(nvml)? else { return Ok(()) };
        out.put(catalogue::GPU_PROCESSES, &self.instance, as_number(count as u64));
        if count > found.len() {
            let limit = raw::MAX_PROCESSES;
            self.asker.remark(format!("processes: {count} of them are more than {limit}"));
        }
        let gpu = self.device.index;
        processes.extend(found.into_iter().map(|process| GpuProcess {
            pid: process.pid,
            gpu,
            memory_bytes: process.memory_bytes,
        }));
        Ok(())
    }

    /// All of the GPU's compute processes. Under MIG the driver tells those of all devices only to
    /// a privileged caller; any other asks each device.
    fn compute_processes(
        &mut self,
        nvml: &Device<'_>,
    ) -> Result<Option<(usize, Vec<raw::ComputeProcess>)>, Stop> {
        if !self.device.mig_enabled {
            return self.asker.ask(Query::Processes, || raw::compute_processes(nvml));
        }
        let whole = self.asker.ask(Query::Processes, || match raw::compute_processes(nvml) {
            Err(NvmlError::NoPermission) => Err(NvmlError::NotSupported),
            answer => answer,
        })?;
        if whole.is_some() {
            return Ok(whole);
        }
        self.asker.ask(Query::ProcessesOfMig, || {
            let mut all = Vec::new();
            for number in 0..nvml.mig_device_count()?.min(MAX_MIG_DEVICES) {
                match nvml.mig_device_by_index(number) {
                    Ok(part) => all.extend(raw::compute_processes(&part)?.1),
                    // The count is how many there can be, not how many there are.
                    Err(NvmlError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((all.len(), all))
        })
    }

    fn poll_slow(
        &mut self,
        nvml: &Device<'_>,
        buffer: &mut Vec<nvmlFieldValue_t>,
    ) -> Result<(), Stop> {
        let Self { asker, instance, slow_fields, slow_readings, device, mig_switched, .. } = self;
        slow_readings.clear();
        let mut put = |metric, instance: &str, value| {
            slow_readings.push(Reading { metric, instance: instance.into(), value });
        };
        if let Some(mode) = asker.ask(Query::MigMode, || nvml.mig_mode())? {
            *mig_switched = device.mig_enabled != (mode.current == 1);
        }
        if let Some(limit) = asker.ask(Query::PowerLimit, || nvml.enforced_power_limit())? {
            put(catalogue::GPU_POWER_LIMIT, instance, f64::from(limit) / MILLI);
        }
        let mut retired = None;
        let mut links = Links::new(self.links);
        fields::read(asker, Query::SlowFields, nvml, slow_fields, buffer, |target, value| {
            match target {
                Target::Gpu(metric, divisor) => put(metric, instance, value / divisor),
                Target::RetiredPages => retired = Some(retired.unwrap_or(0.0) + value),
                Target::Link(metric, link) => links.set(metric, link, value),
                Target::PcieTransmitted | Target::PcieReceived => {}
            }
        })?;
        if let Some(pages) = retired {
            put(catalogue::GPU_RETIRED_PAGES, instance, pages);
        }
        for (query, metric, kind) in [
            (
                Query::EccCorrectedAggregate,
                catalogue::GPU_ECC_CORRECTED_AGGREGATE,
                MemoryError::Corrected,
            ),
            (
                Query::EccUncorrectedAggregate,
                catalogue::GPU_ECC_UNCORRECTED_AGGREGATE,
                MemoryError::Uncorrected,
            ),
        ] {
            if !fields::has(slow_fields, metric) {
                let call = || nvml.total_ecc_errors(kind, EccCounter::Aggregate);
                if let Some(count) = asker.ask(query, call)? {
                    put(metric, instance, as_number(count));
                }
            }
        }
        let exceeded = asker.ask(Query::SramThreshold, || raw::sram_threshold_exceeded(nvml))?;
        if let Some(exceeded) = exceeded {
            put(catalogue::GPU_ECC_SRAM_EXCEEDED, instance, f64::from(u8::from(exceeded)));
        }
        links.ask_for_the_rest(asker, nvml)?;
        links.put(instance, put);
        Ok(())
    }
}

/// The metrics of one NVLink, in the order in which [`Links`] keeps them.
const LINK_METRICS: [MetricId; 4] = [
    catalogue::NVLINK_ACTIVE,
    catalogue::NVLINK_REPLAY_ERRORS,
    catalogue::NVLINK_RECOVERY_ERRORS,
    catalogue::NVLINK_CRC_ERRORS,
];

/// What is known of a GPU's NVLinks after one round.
struct Links(Vec<[Option<f64>; LINK_METRICS.len()]>);

impl Links {
    fn new(count: u32) -> Self {
        Self(vec![[None; LINK_METRICS.len()]; count as usize])
    }

    fn set(&mut self, metric: MetricId, link: u32, value: f64) {
        let at = LINK_METRICS.iter().position(|&of| of == metric);
        let place = self.0.get_mut(link as usize).zip(at).and_then(|(link, at)| link.get_mut(at));
        if let Some(place) = place {
            *place = Some(value);
        }
    }

    /// Older drivers have no fields for links; they have functions. Counters are asked of links
    /// that are up.
    fn ask_for_the_rest(&mut self, asker: &mut Asker, nvml: &Device<'_>) -> Result<(), Stop> {
        for (number, [active, replay, recovery, crc]) in (0_u32..).zip(&mut self.0) {
            let link = nvml.link_wrapper_for(number);
            if active.is_none() {
                let state = asker.ask(Query::NvLinkState, || link.is_active())?;
                *active = state.map(|up| f64::from(u8::from(up)));
            }
            if *active != Some(1.0) {
                continue;
            }
            for (value, counter) in [
                (replay, ErrorCounter::DlReplay),
                (recovery, ErrorCounter::DlRecovery),
                (crc, ErrorCounter::DlCrcFlit),
            ] {
                if value.is_none() {
                    let call = || link.error_counter(counter);
                    *value = asker.ask(Query::NvLinkErrors, call)?.map(as_number);
                }
            }
        }
        Ok(())
    }

    fn put(&self, gpu: &str, mut put: impl FnMut(MetricId, &str, f64)) {
        if self.0.is_empty() {
            return;
        }
        let mut up = 0_u32;
        for (number, values) in self.0.iter().enumerate() {
            let instance = format!("{gpu}/{number}");
            for (&metric, value) in LINK_METRICS.iter().zip(values) {
                if let Some(value) = *value {
                    put(metric, &instance, value);
                }
            }
            up += u32::from(values.first() == Some(&Some(1.0)));
        }
        put(catalogue::GPU_NVLINKS, gpu, as_number(self.0.len() as u64));
        put(catalogue::GPU_NVLINKS_ACTIVE, gpu, f64::from(up));
    }
}

/// Total and used memory, in bytes.
fn memory(nvml: &Device<'_>) -> Result<(u64, u64), NvmlError> {
    match nvml.memory_info() {
        Ok(info) => Ok((info.total, info.used)),
        Err(NvmlError::FailedToLoadSymbol(_)) => raw::memory_first_version(nvml),
        Err(error) => Err(error),
    }
}

/// Readings are f64 throughout; above 2^53 the last digits are lost.
#[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
fn as_number(value: u64) -> f64 {
    value as f64
}
