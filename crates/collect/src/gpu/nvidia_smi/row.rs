//! One GPU's row: who it is, and its readings.

use nvml_wrapper::error::NvmlError;
use sickbay_model::{GpuCondition, GpuDevice, GpuVendor, MetricId, catalogue};

use super::cell::{self, Cell};
use super::fields::{self, Fills, Wanted};
use crate::Sample;
use crate::gpu::nvidia::ask::{MAX_FAILURES_IN_A_ROW, MAX_REMARKS, lost_remark, reason};
use crate::gpu::{MAX_TEXT_CHARACTERS, kernel_pci_address, unidentified};
use crate::parse::printable;

/// Bytes in a MiB, the unit of memory.
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// The highest index that is believed.
pub(super) const MAX_INDEX: u32 = 4096;

/// A GPU as it was understood.
#[derive(Debug)]
pub(super) struct Gpu {
    pub(super) device: GpuDevice,
    /// Whether it gave no answer to the end, so that nothing more of it is to be believed.
    pub(super) failed: bool,
}

/// A line of cells.
pub(super) struct Row<'a> {
    pub(super) index: u32,
    cells: Vec<(&'static Wanted, &'a [u8])>,
}

impl<'a> Row<'a> {
    /// Takes a line apart; `None` where it is no row of these fields.
    pub(super) fn parse(fields: &[&str], line: &'a [u8]) -> Option<Self> {
        let cells = split(fields, line)?;
        let wanted = fields.iter().map(|name| fields::of_name(name));
        let cells: Vec<_> = wanted
            .zip(cells)
            .filter_map(|(wanted, cell)| Some((wanted?, cell.trim_ascii())))
            .collect();
        let (_, index) = cells.iter().find(|(wanted, _)| wanted.fills == Fills::Index)?;
        let index = std::str::from_utf8(index).ok()?.parse().ok()?;
        (index <= MAX_INDEX).then_some(Self { index, cells })
    }

    fn value(&self, fills: Fills) -> Option<&'a str> {
        let (_, cell) = self.cells.iter().find(|(wanted, _)| wanted.fills == fills)?;
        match Cell::of(cell) {
            Cell::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is the row of the GPU with this index or address, as far as they are known.
    pub(super) fn is_of(&self, index: Option<u32>, address: &str) -> bool {
        let own = || self.value(Fills::PciAddress).map(kernel_pci_address);
        index == Some(self.index) || (!address.is_empty() && own().as_deref() == Some(address))
    }

    /// How many GPUs the driver counts.
    pub(super) fn count(&self) -> Option<usize> {
        cell::whole(self.value(Fills::Count)?).and_then(|count| usize::try_from(count).ok())
    }

    pub(super) fn driver_version(&self) -> String {
        shown(self.value(Fills::DriverVersion).unwrap_or_default())
    }

    /// Puts its readings, and returns what is known about it.
    pub(super) fn understand(&self, out: &mut Sample) -> Gpu {
        let mut reader = Reader {
            device: unidentified(self.index, GpuVendor::Nvidia, &self.driver_version()),
            instance: self.index.to_string(),
            failures_in_a_row: 0,
            given_up: false,
            memory: (None, None),
            retired: None,
            recovery: None,
        };
        for (wanted, cell) in &self.cells {
            match Cell::of(cell) {
                Cell::Value(value) => reader.value(wanted, value, out),
                Cell::Nothing => {}
                Cell::Refused(error) => reader.refused(wanted, &error),
                Cell::Strange(text) => reader.failed(wanted, &text),
            }
        }
        reader.end(out)
    }
}

/// As many cells as there are fields. Commas too many are taken for the name's.
fn split<'a>(fields: &[&str], line: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let is_name =
        |field: &&str| fields::of_name(field).is_some_and(|one| one.fills == Fills::Model);
    let before = fields.iter().position(is_name).unwrap_or(fields.len());
    let mut rest = line;
    let mut cells = Vec::with_capacity(fields.len());
    for _ in 0..before {
        let end = rest.iter().position(|&byte| byte == b',');
        // The last cell ends with the line.
        let is_last = cells.len() + 1 == fields.len();
        match (end, is_last) {
            (None, false) => return None,
            (end, _) => {
                let (cell, behind) = rest.split_at(end.unwrap_or(rest.len()));
                cells.push(cell);
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    if before == fields.len() {
        return rest.is_empty().then_some(cells);
    }
    let after = fields.len() - before - 1;
    let mut behind = Vec::with_capacity(after);
    for _ in 0..after {
        let at = rest.iter().rposition(|&byte| byte == b',')?;
        behind.push(rest.get(at + 1..).unwrap_or_default());
        rest = rest.get(..at).unwrap_or_default();
    }
    cells.push(rest);
    cells.extend(behind.into_iter().rev());
    Some(cells)
}

fn shown(text: &str) -> String {
    printable(text.as_bytes(), MAX_TEXT_CHARACTERS)
}

struct Reader {
    device: GpuDevice,
    instance: String,
    failures_in_a_row: u32,
    /// Nothing more of it counts, but who it is.
    given_up: bool,
    /// Total and used, in bytes.
    memory: (Option<f64>, Option<f64>),
    retired: Option<f64>,
    recovery: Option<f64>,
}

impl Reader {
    fn value(&mut self, wanted: &Wanted, value: &str, out: &mut Sample) {
        self.failures_in_a_row = 0;
        let number = match wanted.fills {
            Fills::Index | Fills::Count | Fills::DriverVersion => return,
            Fills::Uuid => return self.device.uuid = shown(value),
            Fills::Model => return self.device.model = shown(value),
            Fills::Serial => return self.device.serial = shown(value),
            Fills::VbiosVersion => return self.device.vbios_version = shown(value),
            Fills::PciAddress => {
                return self.device.pci_address = kernel_pci_address(&shown(value));
            }
            Fills::MigMode => {
                return self.device.mig_enabled = value.eq_ignore_ascii_case("Enabled");
            }
            Fills::Mask(_) => mask(value),
            Fills::State(_) => value.strip_prefix('P').and_then(cell::number),
            Fills::YesOrNo(_) | Fills::ResetRequired | Fills::DrainAndReset => yes_or_no(value),
            Fills::RecoveryAction => recovery_action(value),
            Fills::MemoryTotal | Fills::MemoryUsed | Fills::Number(_) | Fills::RetiredPages => {
                cell::number(value)
            }
        };
        let Some(number) = number else { return self.failed(wanted, &shown(value)) };
        if self.given_up {
            return;
        }
        match wanted.fills {
            Fills::MemoryTotal => self.memory.0 = Some(number * MEBIBYTE),
            Fills::MemoryUsed => self.memory.1 = Some(number * MEBIBYTE),
            Fills::RetiredPages => self.retired = Some(self.retired.unwrap_or(0.0) + number),
            Fills::RecoveryAction => self.recovery = Some(number),
            Fills::ResetRequired => self.ask_for(number),
            // The number of "drain and reset".
            Fills::DrainAndReset => self.ask_for(4.0 * number),
            Fills::Number(metric)
            | Fills::Mask(metric)
            | Fills::State(metric)
            | Fills::YesOrNo(metric) => out.put(metric, &self.instance, number),
            _ => {}
        }
    }

    /// Of several things that the driver asks for, the most.
    fn ask_for(&mut self, action: f64) {
        self.recovery = Some(self.recovery.unwrap_or(0.0).max(action));
    }

    /// As with NVML: what an error of one question means for the GPU.
    fn refused(&mut self, wanted: &Wanted, error: &NvmlError) {
        match error {
            NvmlError::GpuLost => self.give_up(lost_remark(error)),
            NvmlError::Timeout => self.give_up(format!("{}: {error}", wanted.words)),
            NvmlError::ResetRequired => {
                self.device.condition = GpuCondition::ResetRequired;
                self.remark(lost_remark(error));
            }
            error => self.failed(wanted, &reason(error)),
        }
    }

    fn failed(&mut self, wanted: &Wanted, why: &str) {
        self.remark(format!("{}: {why}", wanted.words));
        self.failures_in_a_row += 1;
        if self.failures_in_a_row == MAX_FAILURES_IN_A_ROW {
            self.give_up(format!("{MAX_FAILURES_IN_A_ROW} questions in a row failed"));
        }
    }

    fn give_up(&mut self, remark: String) {
        if !self.given_up {
            self.device.condition = GpuCondition::Lost;
            self.device.unreadable.insert(0, remark);
        }
        self.given_up = true;
    }

    fn remark(&mut self, text: String) {
        let remarks = &mut self.device.unreadable;
        if !self.given_up && remarks.len() < MAX_REMARKS && !remarks.contains(&text) {
            remarks.push(text);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from f64 saturates"
    )]
    fn end(mut self, out: &mut Sample) -> Gpu {
        let mut put = |metric: MetricId, value| out.put_some(metric, &self.instance, value);
        let (total, used) = self.memory;
        put(catalogue::GPU_MEMORY_TOTAL, total);
        put(catalogue::GPU_MEMORY_USED_BYTES, used);
        let share = used.zip(total.filter(|&total| total > 0.0));
        put(catalogue::GPU_MEMORY_USED, share.map(|(used, of)| used / of * 100.0));
        put(catalogue::GPU_RETIRED_PAGES, self.retired);
        put(catalogue::GPU_RECOVERY_ACTION, self.recovery);
        self.device.memory_bytes = total.map_or(0, |total| total as u64);
        Gpu { device: self.device, failed: self.given_up }
    }
}

/// A mask such as `0x0000000000000004`.
#[expect(clippy::cast_precision_loss, reason = "readings are f64 throughout")]
fn mask(text: &str) -> Option<f64> {
    let digits = text.strip_prefix("0x")?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_plain).map(|mask| mask as f64)
}

pub(super) fn yes_or_no(text: &str) -> Option<f64> {
    match text {
        "Yes" | "1" => Some(1.0),
        "No" | "0" => Some(0.0),
        _ => None,
    }
}

/// NVML's number of what the driver asks for (`nvmlDeviceGpuRecoveryAction`).
fn recovery_action(text: &str) -> Option<f64> {
    let names: [&[&str]; 5] = [
        &["None"],
        &["GPU Reset", "Reset"],
        &["Node Reboot", "Reboot"],
        &["Drain P2P"],
        &["Drain and Reset", "Drain & Reset"],
    ];
    let is_called = |names: &&[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(text));
    let number = names.iter().position(is_called).and_then(|at| u8::try_from(at).ok());
    number.map(f64::from).or_else(|| cell::number(text))
}
