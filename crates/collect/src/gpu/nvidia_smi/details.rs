//! What only `nvidia-smi -q` tells: temperatures at which a GPU slows itself down or switches off,
//! and whether its SRAM had too many errors.
//!
//! There are two families: temperatures (`GPU Slowdown Temp`), and on newer models offsets of the
//! margin (`GPU Slowdown T.Limit Temp`), which are below zero. A model has one of them.

use sickbay_model::{MetricId, catalogue};

use super::cell::{self, Cell};
use super::row::{Gpu, yes_or_no};
use crate::Sample;
use crate::gpu::kernel_pci_address;

/// What is asked of `nvidia-smi`.
pub const DETAILS_QUERY: &str = "-q -d TEMPERATURE,ECC";

/// Which lines are understood.
const LIMITS: [(&str, MetricId); 3] = [
    ("GPU Slowdown Temp", catalogue::GPU_TEMPERATURE_SLOWDOWN),
    ("GPU Shutdown Temp", catalogue::GPU_TEMPERATURE_SHUTDOWN),
    ("GPU Slowdown T.Limit Temp", catalogue::GPU_TEMPERATURE_MARGIN_SLOWDOWN),
];

/// The line of the SRAM's threshold, from R535 on.
const SRAM: &str = "SRAM Threshold Exceeded";

/// Puts the limits of the GPUs that are listed and answer.
pub(super) fn put(text: &[u8], gpus: &[Gpu], out: &mut Sample) {
    let mut of: Option<&Gpu> = None;
    // One GPU that is told of twice counts once.
    let mut told: Vec<(u32, MetricId)> = Vec::new();
    for line in super::lines(text) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        if let Some(address) = heading(line) {
            of = gpus.iter().find(|gpu| gpu.device.pci_address == address && !gpu.failed);
            continue;
        }
        let told_of = limit(line).or_else(|| sram(line));
        let (Some(gpu), Some((metric, value))) = (of, told_of) else { continue };
        if !told.contains(&(gpu.device.index, metric)) {
            told.push((gpu.device.index, metric));
            out.put(metric, &gpu.device.index.to_string(), value);
        }
    }
}

/// The address in the line that begins what is said of a GPU: `GPU 00000000:07:00.0`.
fn heading(line: &str) -> Option<String> {
    let address = line.strip_prefix("GPU ")?;
    let is_address = address.contains(':')
        && address.chars().all(|letter| letter.is_ascii_hexdigit() || matches!(letter, ':' | '.'));
    is_address.then(|| kernel_pci_address(address))
}

/// `GPU Slowdown Temp : 89 C`.
fn limit(line: &str) -> Option<(MetricId, f64)> {
    let (name, value) = line.split_once(':')?;
    let metric = LIMITS.iter().find(|(limit, _)| *limit == name.trim_end())?.1;
    let Cell::Value(value) = Cell::of(value.trim().as_bytes()) else { return None };
    Some((metric, cell::number(value.strip_suffix('C')?.trim_end())?))
}

/// `SRAM Threshold Exceeded : No`.
fn sram(line: &str) -> Option<(MetricId, f64)> {
    let (name, value) = line.split_once(':')?;
    let exceeded = yes_or_no(value.trim()).filter(|_| name.trim() == SRAM)?;
    Some((catalogue::GPU_ECC_SRAM_EXCEEDED, exceeded))
}
