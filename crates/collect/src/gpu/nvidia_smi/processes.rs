//! Which processes hold a context on a GPU.

use sickbay_model::catalogue;

use super::cell::{self, Cell};
use super::complaint::Complaint;
use super::row::Gpu;
use super::{MAX_QUOTED_CHARACTERS, malformed};
use crate::gpu::kernel_pci_address;
use crate::gpu::nvidia::ask::reason;
use crate::parse::printable;
use crate::{GpuProcess, Sample};

/// What is asked of `nvidia-smi --query-compute-apps`. The address is the whole GPU's under MIG too,
/// and no cell can hold a comma.
pub const APPS_FIELDS: &str = "gpu_bus_id,pid,used_gpu_memory";

/// The most processes of a GPU that are named; all are counted.
const MAX_PROCESSES: u32 = 1024;

/// Bytes in a MiB, the unit of memory.
const MEBIBYTE: u64 = 1024 * 1024;

/// What was found of one GPU's processes.
#[derive(Clone, Default)]
struct Found {
    count: u32,
    /// Why they cannot be told.
    refused: Option<String>,
}

/// Puts the processes and how many each GPU has.
pub(super) fn put(text: &[u8], gpus: &mut [Gpu], out: &mut Sample) {
    let mut processes = Vec::new();
    let mut found = vec![Found::default(); gpus.len()];
    let mut is_whole = true;
    for line in super::lines(text) {
        let cells: Vec<_> = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
        let [address, pid, memory] = &*cells else {
            match Complaint::parse(line) {
                Complaint::Everything(error) => out.part(Err(error)),
                Complaint::Gpu(_) => {}
                Complaint::Corrupted(_) | Complaint::NoDevices => continue,
                Complaint::None if line.starts_with(b"No running processes") => continue,
                Complaint::None => {
                    let line = printable(line, MAX_QUOTED_CHARACTERS);
                    let what =
                        format!("nvidia-smi lists processes in a way not understood: {line}");
                    out.part(Err(malformed(what)));
                }
            }
            // Some may be missing.
            is_whole = false;
            continue;
        };
        let address = kernel_pci_address(&String::from_utf8_lossy(address));
        let place = gpus.iter().position(|gpu| gpu.device.pci_address == address);
        let Some((gpu, found)) = place.and_then(|at| Some((gpus.get(at)?, found.get_mut(at)?)))
        else {
            continue;
        };
        match Cell::of(pid) {
            Cell::Value(pid) => {
                found.count += 1;
                if let Some(pid) = pid.parse().ok().filter(|_| found.count <= MAX_PROCESSES) {
                    let gpu = gpu.device.index;
                    processes.push(GpuProcess { pid, gpu, memory_bytes: bytes(memory) });
                }
            }
            Cell::Nothing => {}
            Cell::Refused(error) => found.refused = Some(reason(&error)),
            Cell::Strange(text) => found.refused = Some(text),
        }
    }
    for (gpu, found) in gpus.iter_mut().zip(found) {
        let Found { count, refused } = found;
        if is_whole && !gpu.failed && refused.is_none() {
            out.put(catalogue::GPU_PROCESSES, &gpu.device.index.to_string(), f64::from(count));
        }
        let too_many = (count > MAX_PROCESSES)
            .then(|| format!("{count} of them are more than {MAX_PROCESSES}"));
        let remark = refused.or(too_many).map(|remark| format!("processes: {remark}"));
        gpu.device.unreadable.extend(remark);
    }
    out.facts.gpu_processes = Some(processes);
}

fn bytes(memory: &[u8]) -> Option<u64> {
    match Cell::of(memory) {
        Cell::Value(text) => cell::whole(text)?.checked_mul(MEBIBYTE),
        _ => None,
    }
}
