//! Remapped rows, where a driver tells of them in a query of their own.

use sickbay_model::catalogue;

use super::cell::{self, Cell};
use super::row::{Gpu, yes_or_no};
use crate::Sample;
use crate::gpu::kernel_pci_address;

/// What is asked of `nvidia-smi --query-remapped-rows`.
pub const REMAPPED_ROWS_FIELDS: &str = "gpu_bus_id,remapped_rows.correctable,\
     remapped_rows.uncorrectable,remapped_rows.pending,remapped_rows.failure";

/// Puts the readings of the GPUs that are listed and answer. A driver that has no such query, and a
/// GPU before Ampere, has none.
pub(super) fn put(text: &[u8], gpus: &[Gpu], out: &mut Sample) {
    for line in super::lines(text) {
        let cells: Vec<_> = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
        let [address, values @ ..] = &*cells else { continue };
        let address = kernel_pci_address(&String::from_utf8_lossy(address));
        let Some(gpu) = gpus.iter().find(|gpu| gpu.device.pci_address == address) else { continue };
        if gpu.failed || values.len() != 4 {
            continue;
        }
        let instance = gpu.device.index.to_string();
        for (metric, understand, value) in [
            (catalogue::GPU_REMAPPED_ROWS_CORRECTED, cell::number as fn(&str) -> _, values.first()),
            (catalogue::GPU_REMAPPED_ROWS_UNCORRECTED, cell::number, values.get(1)),
            (catalogue::GPU_REMAP_PENDING, yes_or_no, values.get(2)),
            (catalogue::GPU_REMAP_FAILED, yes_or_no, values.get(3)),
        ] {
            if let Some(Cell::Value(value)) = value.map(|value| Cell::of(value)) {
                out.put_some(metric, &instance, understand(value));
            }
        }
    }
}
