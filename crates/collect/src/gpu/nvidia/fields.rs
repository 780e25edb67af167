//! Which readings are asked for by field number, in two calls: one at every poll, one seldom.
//!
//! Numbers are NVML's (`NVML_FI_…` of nvml.h). A field that a GPU does not have is struck off its
//! list, so that the driver is not asked again.

use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper_sys::bindings::{field_id, nvmlFieldValue_t};
use sickbay_model::{MetricId, catalogue};

use super::ask::{Asker, Query, Stop, is_unsupported, reason};
use super::raw::{self, FieldRequest};

/// NVML tells energy in millijoules and power in milliwatts. Divided by, not multiplied with
/// 0.001: the quotient of a whole number is the closest to its decimal form.
pub(super) const MILLI: f64 = 1000.0;

/// What a field's value becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// A reading of the GPU, after division.
    Gpu(MetricId, f64),
    /// Bytes sent over PCIe since the driver was loaded; may wrap.
    PcieTransmitted,
    /// Bytes received over PCIe since the driver was loaded; may wrap.
    PcieReceived,
    /// Part of the retired pages.
    RetiredPages,
    /// A reading of one NVLink.
    Link(MetricId, u32),
}

/// A field on a GPU's list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    request: FieldRequest,
    target: Target,
}

impl Field {
    const fn of_gpu(field: u32, metric: MetricId) -> Self {
        Self::new(field, Target::Gpu(metric, 1.0))
    }

    const fn new(field: u32, target: Target) -> Self {
        Self { request: FieldRequest { field, scope: 0 }, target }
    }
}

/// What is asked at every poll: what a fault shows first.
pub(super) fn fast() -> Vec<Field> {
    use field_id as id;
    vec![
        Field::of_gpu(id::NVML_FI_DEV_MEMORY_TEMP, catalogue::GPU_MEMORY_TEMPERATURE),
        Field::new(
            id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
            Target::Gpu(catalogue::GPU_ENERGY, MILLI),
        ),
        Field::of_gpu(id::NVML_FI_DEV_PCIE_REPLAY_COUNTER, catalogue::GPU_PCIE_REPLAYS),
        Field::of_gpu(id::NVML_FI_DEV_ECC_SBE_VOL_TOTAL, catalogue::GPU_ECC_CORRECTED_VOLATILE),
        Field::of_gpu(id::NVML_FI_DEV_ECC_DBE_VOL_TOTAL, catalogue::GPU_ECC_UNCORRECTED_VOLATILE),
        Field::of_gpu(id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, catalogue::GPU_RECOVERY_ACTION),
        Field::new(id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES, Target::PcieTransmitted),
        Field::new(id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES, Target::PcieReceived),
    ]
}

/// What is asked seldom: what lives in the card's flash or changes only with a fault that the fast
/// ones show too, and everything about each NVLink.
pub(super) fn slow(links: u32) -> Vec<Field> {
    use field_id as id;
    let mut fields = vec![
        Field::of_gpu(id::NVML_FI_DEV_ECC_SBE_AGG_TOTAL, catalogue::GPU_ECC_CORRECTED_AGGREGATE),
        Field::of_gpu(id::NVML_FI_DEV_ECC_DBE_AGG_TOTAL, catalogue::GPU_ECC_UNCORRECTED_AGGREGATE),
        Field::new(id::NVML_FI_DEV_RETIRED_SBE, Target::RetiredPages),
        Field::new(id::NVML_FI_DEV_RETIRED_DBE, Target::RetiredPages),
        Field::of_gpu(id::NVML_FI_DEV_REMAPPED_COR, catalogue::GPU_REMAPPED_ROWS_CORRECTED),
        Field::of_gpu(id::NVML_FI_DEV_REMAPPED_UNC, catalogue::GPU_REMAPPED_ROWS_UNCORRECTED),
        Field::of_gpu(id::NVML_FI_DEV_REMAPPED_PENDING, catalogue::GPU_REMAP_PENDING),
        Field::of_gpu(id::NVML_FI_DEV_REMAPPED_FAILURE, catalogue::GPU_REMAP_FAILED),
        Field::of_gpu(
            id::NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT,
            catalogue::GPU_TEMPERATURE_MARGIN_SLOWDOWN,
        ),
    ];
    for link in 0..links {
        for (field, metric) in [
            (id::NVML_FI_DEV_NVLINK_GET_STATE, catalogue::NVLINK_ACTIVE),
            (id::NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, catalogue::NVLINK_REPLAY_ERRORS),
            (id::NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY, catalogue::NVLINK_RECOVERY_ERRORS),
            (id::NVML_FI_DEV_NVLINK_ERROR_DL_CRC, catalogue::NVLINK_CRC_ERRORS),
        ] {
            fields.push(Field {
                request: FieldRequest { field, scope: link },
                target: Target::Link(metric, link),
            });
        }
    }
    fields
}

/// Whether a GPU's list still has the field that becomes this metric.
pub(super) fn has(fields: &[Field], metric: MetricId) -> bool {
    fields.iter().any(|field| matches!(field.target, Target::Gpu(of, _) if of == metric))
}

/// Asks for all fields of a list in one call and strikes off what the GPU does not have. Fields of
/// links stay: a link that is down may refuse what it answers when it is up.
pub(super) fn read(
    asker: &mut Asker,
    query: Query,
    device: &Device<'_>,
    fields: &mut Vec<Field>,
    buffer: &mut Vec<nvmlFieldValue_t>,
    mut take: impl FnMut(Target, f64),
) -> Result<(), Stop> {
    if fields.is_empty() {
        return Ok(());
    }
    let requests = fields.iter().map(|field| field.request);
    let Some(values) = asker.ask(query, || raw::field_values(device, requests, buffer))? else {
        return Ok(());
    };
    let mut values = values.iter().map(raw::answer);
    let mut lost = None;
    let mut remarks = Vec::new();
    fields.retain(|field| match values.next() {
        None => true,
        Some(Ok(value)) if value.is_finite() => {
            take(field.target, value);
            true
        }
        // Neither JSON nor a frame has a place for it.
        Some(Ok(value)) => {
            remarks.push(format!("field {}: {value} is no number", field.request.field));
            true
        }
        Some(Err(error)) => {
            // Drivers answer a field number that they do not know with "invalid argument".
            let unknown = is_unsupported(&error) || matches!(error, NvmlError::InvalidArg);
            if matches!(error, NvmlError::GpuLost) {
                lost = Some(error);
            } else if !unknown && !matches!(error, NvmlError::NoData) {
                remarks.push(format!("field {}: {}", field.request.field, reason(&error)));
            }
            !unknown || matches!(field.target, Target::Link(..))
        }
    });
    for remark in remarks {
        asker.remark(remark);
    }
    match lost {
        // Answered through the one place that decides what an error means.
        Some(error) => asker.ask::<()>(query, || Err(error)).map(drop),
        None => Ok(()),
    }
}

/// Bytes over PCIe since the driver was loaded, at the previous poll.
///
/// NVML's own throughput call samples for 20 ms a direction and blocks meanwhile; the difference of
/// the byte counters costs nothing. Where a GPU has no such counters (before Hopper), there is no
/// reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PcieBytes {
    pub(super) transmitted: Option<f64>,
    pub(super) received: Option<f64>,
}

/// Bytes per second between two counts; nothing when the counter went back or no time passed.
pub(super) fn rate(before: Option<f64>, now: Option<f64>, passed: Duration) -> Option<f64> {
    let (before, now) = (before?, now?);
    let seconds = passed.as_secs_f64();
    (now >= before && seconds > 0.0).then(|| (now - before) / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_time_and_a_counter_that_did_not_go_back() {
        let second = Duration::from_secs(1);
        for (before, now, passed, expected) in [
            (Some(100.0), Some(300.0), Duration::from_secs(2), Some(100.0)),
            (Some(300.0), Some(100.0), second, None),
            (None, Some(100.0), second, None),
            (Some(100.0), None, second, None),
            (Some(100.0), Some(200.0), Duration::ZERO, None),
            (Some(100.0), Some(100.0), second, Some(0.0)),
        ] {
            assert_eq!(rate(before, now, passed), expected, "{before:?} {now:?} {passed:?}");
        }
    }
}
