//! `nvmlDeviceGetFieldValues`: many values in one call, each with its own return code and type.

use std::ffi::c_int;

use nvml_wrapper_sys::bindings as nvml;
use nvml_wrapper_sys::bindings::{field_id, nvmlDevice_t};

use super::device::with_gpu;
use super::{INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS};
use crate::scenario::{FieldNumber, Gpu, NvLink};
use crate::world::{Code, field_failure};

/// The most fields that one call may ask for. NVML documents none; a larger number is a mistake.
const MAX_FIELDS: usize = 4096;

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    values: *mut nvml::nvmlFieldValue_t,
) -> Code {
    with_gpu("nvmlDeviceGetFieldValues", device, |scenario, number, gpu| {
        let count = usize::try_from(count).ok().filter(|&count| count <= MAX_FIELDS);
        let (Some(count), false) = (count, values.is_null()) else { return Err(INVALID_ARGUMENT) };
        for at in 0..count {
            // SAFETY: not null, and C callers pass as many initialised structures as they say;
            // nobody else looks at them during the call.
            let field = unsafe { &mut *values.add(at) };
            let answer = match field_failure(scenario, number, field.fieldId) {
                Some(code) => Err(code),
                None => field_value(gpu, field.fieldId, field.scopeId).ok_or(NOT_SUPPORTED),
            };
            field.nvmlReturn = match answer {
                Ok((kind, value)) => {
                    field.valueType = kind;
                    field.value = value;
                    SUCCESS
                }
                Err(code) => code,
            };
        }
        Ok(())
    })
}

/// A value with the type that NVML's header or its users give for it. The types of a few are not
/// documented; the collector depends on none.
fn field_value(
    gpu: &Gpu,
    field: u32,
    scope: u32,
) -> Option<(nvml::nvmlValueType_t, nvml::nvmlValue_t)> {
    let link = |value: fn(&NvLink) -> u64| gpu.nvlinks.get(scope as usize).map(value);
    let known = match field {
        field_id::NVML_FI_DEV_ECC_SBE_VOL_TOTAL => gpu.ecc.map(|ecc| ecc.corrected_volatile),
        field_id::NVML_FI_DEV_ECC_DBE_VOL_TOTAL => gpu.ecc.map(|ecc| ecc.uncorrected_volatile),
        field_id::NVML_FI_DEV_ECC_SBE_AGG_TOTAL => gpu.ecc.map(|ecc| ecc.corrected_aggregate),
        field_id::NVML_FI_DEV_ECC_DBE_AGG_TOTAL => gpu.ecc.map(|ecc| ecc.uncorrected_aggregate),
        field_id::NVML_FI_DEV_NVLINK_LINK_COUNT => {
            u64::try_from(gpu.nvlinks.len()).ok().filter(|&links| links > 0)
        }
        field_id::NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY => link(|link| link.replay_errors),
        field_id::NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY => link(|link| link.recovery_errors),
        field_id::NVML_FI_DEV_NVLINK_ERROR_DL_CRC => link(|link| link.crc_errors),
        field_id::NVML_FI_DEV_NVLINK_GET_STATE => link(|link| u64::from(link.active)),
        _ => None,
    };
    match gpu.fields.get(&field) {
        None => known.map(|value| unsigned(field, value)),
        Some(FieldNumber::Unsigned(value)) => Some(unsigned(field, *value)),
        Some(FieldNumber::Signed(value)) => Some(signed(*value)),
        Some(FieldNumber::Double(text)) => Some((
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE,
            nvml::nvmlValue_t { dVal: text.parse().ok()? },
        )),
    }
}

fn unsigned(field: u32, value: u64) -> (nvml::nvmlValueType_t, nvml::nvmlValue_t) {
    let wide = matches!(
        field,
        field_id::NVML_FI_DEV_ECC_SBE_VOL_TOTAL
            ..=field_id::NVML_FI_DEV_ECC_DBE_AGG_TOTAL
                | field_id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION
                | field_id::NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY
                    ..=field_id::NVML_FI_DEV_NVLINK_ERROR_DL_CRC
                | field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES
                | field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES
    );
    let limit = field_id::NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT
        ..=field_id::NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT;
    match (u32::try_from(value), i64::try_from(value)) {
        (_, Ok(value)) if limit.contains(&field) => signed(value),
        (Ok(value), _) if !wide => (
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT,
            nvml::nvmlValue_t { uiVal: value },
        ),
        _ => (
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
            nvml::nvmlValue_t { ullVal: value },
        ),
    }
}

fn signed(value: i64) -> (nvml::nvmlValueType_t, nvml::nvmlValue_t) {
    match i32::try_from(value) {
        Ok(value) => (
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT,
            nvml::nvmlValue_t { siVal: value },
        ),
        Err(_) => (
            nvml::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG,
            nvml::nvmlValue_t { sllVal: value },
        ),
    }
}
