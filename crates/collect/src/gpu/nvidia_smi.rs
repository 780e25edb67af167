//! NVIDIA GPUs through what `nvidia-smi` prints: for a machine whose NVML is out of reach.
//!
//! Makes the same sample as the collector that asks NVML: the same readings, inventory, processes,
//! conditions and errors, in the same words. What must hold: the text is foreign, so any bytes are
//! an error or a remark and never a panic; a GPU that is merely not in an answer that broke off is
//! not taken for gone; one that the driver cannot reach is told as lost, beside the others.
//!
//! Nothing here runs a program. Who does, asks `nvidia-smi`:
//! 1. `--help-query-gpu`, once per driver; [`wanted_fields`] chooses among what it lists;
//! 2. `--query-gpu=FIELDS --format=csv,noheader,nounits`, stderr among stdout: some drivers tell of
//!    a lost GPU there;
//! 3. `--query-compute-apps=`[`APPS_FIELDS`] with the same format;
//! 4. where [`needs_remapped_rows`] (older drivers), now and then
//!    `--query-remapped-rows=`[`REMAPPED_ROWS_FIELDS`] with the same format;
//! 5. seldom [`DETAILS_QUERY`], which has no such format.
//!
//! # What NVML tells and this does not
//! Energy, PCIe replays and throughput, and everything about NVLinks have no field in these queries;
//! models with a margin tell no slowdown and shutdown temperatures. Memory is in whole
//! MiB. The fan is the one that `nvidia-smi` picks, not the fastest.

use nvml_wrapper::error::NvmlError;
use sickbay_model::{Advice, GpuCondition, GpuVendor, ProbeError, ProbeErrorKind};

use self::complaint::Complaint;
use self::row::{Gpu, Row};
use crate::gpu::known::KnownGpus;
use crate::gpu::nvidia::ask::lost_remark;
use crate::gpu::nvidia::{NO_HARDWARE, fault};
use crate::gpu::{MAX_GPUS, NvidiaPresence, unidentified};
use crate::parse::printable;
use crate::{Roots, Sample};

mod cell;
mod complaint;
mod details;
mod fields;
mod processes;
mod remapped;
mod row;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod any;
#[cfg(test)]
mod tests;

pub use details::DETAILS_QUERY;
pub use fields::{needs_remapped_rows, wanted_fields};
pub use processes::APPS_FIELDS;
pub use remapped::REMAPPED_ROWS_FIELDS;

/// The most lines of an answer that are looked at.
const MAX_LINES: usize = 4096;

/// How much of a foreign line is repeated in a message, in characters.
const MAX_QUOTED_CHARACTERS: usize = 160;

/// What `nvidia-smi` printed.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// The fields that were asked for, as [`wanted_fields`] chose them.
    pub fields: &'a [&'static str],
    /// Of `--query-gpu`, stderr included.
    pub gpus: &'a [u8],
    /// Of `--query-compute-apps`; `None` where it was not asked or did not end in time.
    pub apps: Option<&'a [u8]>,
    /// Of `--query-remapped-rows`, this time's or an earlier one's; `None` where it was not asked.
    pub remapped_rows: Option<&'a [u8]>,
    /// Of [`DETAILS_QUERY`], this time's or an earlier one's; `None` where it was not asked.
    pub details: Option<&'a [u8]>,
}

/// What is remembered of one machine's GPUs between answers.
#[derive(Debug, Default)]
pub struct NvidiaSmi {
    known: KnownGpus,
}

impl NvidiaSmi {
    /// Understands what was printed. `roots` are the machine's files, as far as they are there: the
    /// PCI bus (`class`, `vendor`, `driver`), `/dev/nvidia*` and `/proc/driver/nvidia/version`.
    ///
    /// # Errors
    /// When there is no answer about the GPUs as a whole, as NVML's collector would say it. Nothing
    /// is put then.
    pub fn sample(
        &mut self,
        roots: &Roots,
        answers: &Answers<'_>,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let presence = NvidiaPresence::of(roots);
        let heard = Heard::of(answers)?;
        if heard.rows.is_empty() && heard.lost.is_empty() {
            heard.nothing(presence, !self.known.is_empty())?;
            self.finish(Vec::new(), answers, out);
            return Ok(());
        }
        heard.is_complete(self.known.count(), presence)?;
        let driver_version = heard.rows.first().map(Row::driver_version).unwrap_or_default();
        let total = heard.total();
        let mut gpus: Vec<Gpu> = Vec::new();
        for row in heard.rows.iter().take(MAX_GPUS as usize) {
            gpus.push(row.understand(out));
        }
        heard.add_lost(&driver_version, &mut gpus);
        for address in &heard.corrupted {
            for gpu in gpus.iter_mut().filter(|gpu| gpu.device.pci_address == *address) {
                gpu.device.unreadable.push("its infoROM is corrupted".to_owned());
            }
        }
        if let (true, Some(last)) = (total > gpus.len(), gpus.last_mut()) {
            last.device.unreadable.push(format!("only {MAX_GPUS} of {total} GPUs are read"));
        }
        self.finish(gpus, answers, out);
        Ok(())
    }

    /// Says that there is no `nvidia-smi` to ask.
    ///
    /// # Errors
    /// When there is hardware, or was, so that there should be one.
    pub fn without_program(&self, roots: &Roots, out: &mut Sample) -> Result<(), ProbeError> {
        let presence = NvidiaPresence::of(roots);
        if let (true, Some(why)) = (self.known.is_empty(), presence.withheld()) {
            out.set_not_applicable(why);
            return Ok(());
        }
        if !presence.any() && self.known.is_empty() {
            out.set_not_applicable(NO_HARDWARE);
            return Ok(());
        }
        let what = "this machine has NVIDIA GPUs, but no nvidia-smi that could be asked for them";
        Err(ProbeError {
            kind: ProbeErrorKind::Absent,
            message: what.to_owned(),
            advice: Some(Advice(fault::advice_without_library(presence).into())),
        })
    }

    fn finish(&mut self, mut gpus: Vec<Gpu>, answers: &Answers<'_>, out: &mut Sample) {
        if let Some(text) = answers.remapped_rows {
            remapped::put(text, &gpus, out);
        }
        if let Some(text) = answers.details {
            details::put(text, &gpus, out);
        }
        if let Some(text) = answers.apps {
            processes::put(text, &mut gpus, out);
        }
        let mut devices = gpus.into_iter().map(|gpu| gpu.device).collect();
        self.known.complete(&mut devices, 0);
        out.facts.gpus = Some(devices);
    }
}

/// What the lines of an answer about GPUs say.
struct Heard<'a> {
    rows: Vec<Row<'a>>,
    /// GPUs of which the driver gives no handle.
    lost: Vec<complaint::Unreachable>,
    /// Addresses of GPUs whose infoROM is corrupted.
    corrupted: Vec<String>,
    no_devices: bool,
    /// The first line that was not understood, printable.
    noise: Option<String>,
}

impl<'a> Heard<'a> {
    /// # Errors
    /// When a line says that nothing works.
    fn of(answers: &Answers<'a>) -> Result<Self, ProbeError> {
        let mut heard = Self {
            rows: Vec::new(),
            lost: Vec::new(),
            corrupted: Vec::new(),
            no_devices: false,
            noise: None,
        };
        for line in lines(answers.gpus) {
            if let Some(row) = Row::parse(answers.fields, line) {
                heard.rows.push(row);
                continue;
            }
            match Complaint::parse(line) {
                // Said on both of the program's outputs, or of a GPU that then answered after all.
                Complaint::Gpu(lost) if heard.lost.iter().any(|other| other.is_same(&lost)) => {}
                Complaint::Gpu(lost) => heard.lost.push(lost),
                Complaint::Corrupted(address) => heard.corrupted.push(address),
                Complaint::NoDevices => heard.no_devices = true,
                Complaint::Everything(error) => return Err(error),
                Complaint::None => {
                    let noise = || printable(line, MAX_QUOTED_CHARACTERS);
                    heard.noise.get_or_insert_with(noise);
                }
            }
        }
        let Self { rows, lost, .. } = &mut heard;
        rows.sort_by_key(|row| row.index);
        lost.retain(|lost| !rows.iter().any(|row| row.is_of(lost.index, &lost.address)));
        let twice = heard.rows.windows(2).find(|pair| match pair {
            [one, next] => one.index == next.index,
            _ => false,
        });
        if let Some([row, _]) = twice {
            return Err(malformed(format!("nvidia-smi lists GPU {} twice", row.index)));
        }
        Ok(heard)
    }

    /// How many GPUs there are, as the driver counts or as they were told.
    fn total(&self) -> usize {
        let told = self.rows.len() + self.lost.len();
        let counted = self.rows.iter().filter_map(Row::count).max().unwrap_or(0);
        told.max(counted)
    }

    /// Adds the GPUs that cannot be reached. Where a line names no index, it gets the first free one:
    /// the driver numbers GPUs by their address, and in this order stand the lines.
    fn add_lost(&self, driver_version: &str, gpus: &mut Vec<Gpu>) {
        for lost in &self.lost {
            let has = |index: u32| gpus.iter().any(|gpu| gpu.device.index == index);
            let named = |index: u32| self.lost.iter().any(|other| other.index == Some(index));
            let free = || (0..).find(|&index| !has(index) && !named(index)).unwrap_or_default();
            let index = lost.index.unwrap_or_else(free);
            if has(index) || gpus.len() >= MAX_GPUS as usize {
                continue;
            }
            let mut device = unidentified(index, GpuVendor::Nvidia, driver_version);
            device.pci_address.clone_from(&lost.address);
            device.condition = match lost.error {
                NvmlError::ResetRequired => GpuCondition::ResetRequired,
                _ => GpuCondition::Lost,
            };
            device.unreadable.push(lost_remark(&lost.error));
            gpus.push(Gpu { device, failed: true });
        }
    }

    /// What it means that no GPU was told of. That those that answered before are gone is told of
    /// each of them, as by the way over NVML.
    fn nothing(&self, presence: NvidiaPresence, any_known: bool) -> Result<(), ProbeError> {
        if self.no_devices {
            return if !any_known && presence.pci_gpus > presence.passed_through {
                Err(fault::of_library(&NvmlError::NotFound, None, presence))
            } else {
                Ok(())
            };
        }
        Err(match &self.noise {
            Some(noise) => malformed(format!("nvidia-smi lists no GPU; it says: {noise}")),
            None => malformed("nvidia-smi ended without saying anything".to_owned()),
        })
    }

    /// Whether all GPUs were told of, be it that they are lost. One that was left out without a
    /// word would be taken for gone.
    fn is_complete(&self, known: usize, presence: NvidiaPresence) -> Result<(), ProbeError> {
        let told = self.rows.len() + self.lost.len();
        let on_the_bus = presence.pci_gpus.saturating_sub(presence.passed_through) as usize;
        let expected = match self.rows.is_empty() {
            false => self.total(),
            // Only lost ones: without a count, what is known otherwise must do.
            true if known > 0 || on_the_bus > 0 => known.max(on_the_bus),
            true => usize::MAX,
        };
        if told >= expected {
            return Ok(());
        }
        if let Some(lost) = self.lost.first() {
            let who = lost.describe();
            let mut error = fault::of_library(&NvmlError::GpuLost, None, presence);
            error.message = format!("{who}, and nvidia-smi does not tell of all others");
            return Err(error);
        }
        let noise = self.noise.as_ref().map(|noise| format!("; it says: {noise}"));
        Err(malformed(format!(
            "nvidia-smi lists {told} of {expected} GPUs{}",
            noise.unwrap_or_default()
        )))
    }
}

fn malformed(message: String) -> ProbeError {
    ProbeError { kind: ProbeErrorKind::Malformed, message, advice: None }
}

/// The lines of an answer that hold something.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&byte| byte == b'\n').take(MAX_LINES);
    lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}
