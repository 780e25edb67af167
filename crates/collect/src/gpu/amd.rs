//! AMD GPUs through what the `amdgpu` driver writes into sysfs.
//!
//! What must hold: a file that is absent or fails (`EIO` is common) stops no other; a card that
//! sleeps is not woken. Numbering: see [`crate::gpu`]. Not read: PCIe throughput (`pcie_bw` blocks
//! for a second), and which processes use a card (that takes a walk over every process's open
//! files).

mod card;
mod files;
mod parse;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use parse::any_amd_bytes;

use std::path::Path;
use std::time::Duration;

use sickbay_model::{Advice, ProbeError, ProbeErrorKind, ProbeId, probe};

use self::card::Card;
use self::files::MAX_FILE_BYTES;
use crate::gpu::known::KnownGpus;
use crate::gpu::presence::{NvidiaPresence, count_gpus};
use crate::gpu::{AMD_INDEX_BASE_MIXED, MAX_GPUS, MAX_TEXT_CHARACTERS};
use crate::local::LocalCollector;
use crate::parse::printable;
use crate::{Files, Roots, Sample};

/// PCI vendor of AMD's GPUs.
const AMD: &[u8] = b"0x1002";

/// How long "there is no AMD GPU" is believed before it is looked for again.
const ABSENCE_INTERVAL: Duration = Duration::from_secs(60);

/// Why there is nothing to ask.
const NO_HARDWARE: &str = "this machine has no AMD GPU";

/// Reads AMD GPUs. The probe fails when there is hardware without a driver; a single GPU that does not
/// answer is marked in the inventory.
#[derive(Debug, Default)]
pub struct AmdCollector {
    known: KnownGpus,
    /// The first index, decided when the first GPU is seen and kept: a numbering that moves would
    /// mix up histories.
    base: Option<u32>,
    absent_until: Option<Duration>,
}

/// The cards of AMD, by PCI address.
fn cards(roots: &Roots) -> Vec<Card> {
    let (files, all) = (&roots.files, roots.sys.join("class/drm"));
    let mut cards: Vec<Card> = files
        .list(&all)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| is_card(&name.to_string_lossy()))
        .filter_map(|name| {
            let directory = all.join(name).join("device");
            let vendor = files.read_small(&directory.join("vendor"), AMD.len());
            (vendor == AMD).then(|| Card { address: address(files, &directory), directory })
        })
        .collect();
    cards.sort();
    cards.dedup_by(|a, b| !a.address.is_empty() && a.address == b.address);
    cards
}

/// `card0`, and not a connector such as `card0-DP-1` or a render node.
fn is_card(name: &str) -> bool {
    name.strip_prefix("card")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The PCI address: the name of the device's own directory, else as its `uevent` has it.
fn address(files: &Files, directory: &Path) -> String {
    let link = files.link(directory).ok();
    let name = link.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    if let Some(name) = name.filter(|name| name.contains(':')) {
        return printable(name.as_bytes(), MAX_TEXT_CHARACTERS);
    }
    let uevent = files.read_small(&directory.join("uevent"), MAX_FILE_BYTES);
    let slot =
        uevent.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"PCI_SLOT_NAME="));
    printable(slot.unwrap_or_default().trim_ascii(), MAX_TEXT_CHARACTERS)
}

fn without_driver(gpus: u32) -> ProbeError {
    ProbeError {
        kind: ProbeErrorKind::Absent,
        message: format!("the PCI bus has AMD GPUs ({gpus}), but no driver serves them"),
        advice: Some(Advice(
            "load the driver with `modprobe amdgpu`; if that fails, `dmesg` says why: often missing \
             firmware (install the firmware-amd-graphics or linux-firmware package)"
                .into(),
        )),
    }
}

impl LocalCollector for AmdCollector {
    fn probe(&self) -> ProbeId {
        probe::AMD
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        if self.absent_until.is_some_and(|until| monotonic < until) {
            out.set_not_applicable(NO_HARDWARE);
            return Ok(());
        }
        let cards = cards(roots);
        if cards.is_empty() && self.known.is_empty() {
            let (gpus, passed_through) = count_gpus(roots, AMD);
            if gpus > passed_through {
                return Err(without_driver(gpus - passed_through));
            }
            self.absent_until = Some(monotonic.saturating_add(ABSENCE_INTERVAL));
            out.set_not_applicable(NO_HARDWARE);
            return Ok(());
        }
        let base = *self.base.get_or_insert_with(|| {
            if NvidiaPresence::of(roots).pci_gpus > 0 { AMD_INDEX_BASE_MIXED } else { 0 }
        });
        let version = roots.sys.join("module/amdgpu/version");
        let version = roots.files.read_small(&version, MAX_FILE_BYTES);
        let version = printable(version.trim_ascii(), MAX_TEXT_CHARACTERS);
        let mut devices: Vec<_> = (base..)
            .zip(cards.iter().take(MAX_GPUS as usize))
            .map(|(index, card)| card::read(&roots.files, card, index, &version, out))
            .collect();
        if let (true, Some(last)) = (cards.len() > devices.len(), devices.last_mut()) {
            last.unreadable.push(format!("only {MAX_GPUS} of {} GPUs are read", cards.len()));
        }
        self.known.complete(&mut devices, base);
        out.facts.gpus = Some(devices);
        Ok(())
    }
}
