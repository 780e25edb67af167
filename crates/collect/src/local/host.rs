//! The host: file handles, uptime, boot id, names, memory errors.

use std::path::Path;
use std::time::Duration;

use sickbay_model::catalogue::{
    FILE_HANDLES, FILE_HANDLES_USED, MEMORY_ERRORS_CORRECTED, MEMORY_ERRORS_UNCORRECTED, UPTIME,
};
use sickbay_model::{HostFacts, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::read::{KernelFile, SMALL_LIMIT, malformed, read_error, small_fact};
use super::virtualization;
use crate::parse::{boot_id, file_nr, os_release, sysfs, uptime};
use crate::{Roots, Sample};

/// The longest name that is kept, in characters.
const MAX_NAME_CHARACTERS: usize = 128;

/// The most memory controllers that are read.
const MAX_MEMORY_CONTROLLERS: u32 = 256;

/// Collects what belongs to the host as a whole.
#[derive(Debug)]
pub(super) struct Host {
    file_nr_file: KernelFile,
    uptime_file: KernelFile,
    /// Read once: these do not change while the machine runs. The host name may, and is not here.
    lasting: Option<HostFacts>,
    hostname_file: KernelFile,
    buffer: Vec<u8>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            file_nr_file: KernelFile::new("sys/fs/file-nr"),
            uptime_file: KernelFile::new("uptime"),
            lasting: None,
            hostname_file: KernelFile::new("sys/kernel/hostname"),
            buffer: Vec::new(),
        }
    }
}

impl LocalCollector for Host {
    fn probe(&self) -> ProbeId {
        probe::HOST
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let seconds = uptime::parse(self.uptime_file.read(roots)?)
            .map_err(|error| self.uptime_file.malformed(roots, &error))?;
        out.put(UPTIME, "", seconds);
        if self.lasting.is_none() {
            self.lasting = Some(lasting_facts(roots, &mut self.buffer)?);
        }
        out.facts.host = self.lasting.clone().unwrap_or_default();
        let ended = self.hostname(roots).map(|hostname| out.facts.host.hostname = hostname);
        out.part(ended);
        let ended = self.put_file_handles(roots, out);
        out.part(ended);
        self.put_memory_errors(roots, out);
        Ok(())
    }
}

impl Host {
    fn hostname(&mut self, roots: &Roots) -> Result<String, ProbeError> {
        let bytes = self.hostname_file.read_if_there(roots)?;
        Ok(bytes.map(|bytes| sysfs::text(bytes, MAX_NAME_CHARACTERS)).unwrap_or_default())
    }

    fn put_file_handles(&mut self, roots: &Roots, out: &mut Sample) -> Result<(), ProbeError> {
        let handles = file_nr::parse(self.file_nr_file.read(roots)?)
            .map_err(|error| self.file_nr_file.malformed(roots, &error))?;
        out.put(FILE_HANDLES, "", handles.open as f64);
        if handles.limit > 0 {
            out.put(FILE_HANDLES_USED, "", 100.0 * handles.open as f64 / handles.limit as f64);
        }
        Ok(())
    }

    /// Sums over all memory controllers; machines without ECC have none, and then there is no value.
    fn put_memory_errors(&mut self, roots: &Roots, out: &mut Sample) {
        let directory = roots.sys.join("devices/system/edac/mc");
        let mut sums = [None::<u64>; 2];
        for controller in 0..MAX_MEMORY_CONTROLLERS {
            let path = directory.join(format!("mc{controller}"));
            let mut found = false;
            for (sum, file) in sums.iter_mut().zip(["ce_count", "ue_count"]) {
                let count = small_fact(&roots.files, &path.join(file), &mut self.buffer, |bytes| {
                    sysfs::parse_unsigned("an EDAC counter", bytes).ok()
                });
                found |= count.is_some();
                if let Some(count) = count.flatten() {
                    *sum = Some(sum.unwrap_or(0).saturating_add(count));
                }
            }
            // They are numbered without gaps.
            if !found {
                break;
            }
        }
        let [corrected, uncorrected] = sums.map(|sum| sum.map(|count| count as f64));
        out.put_some(MEMORY_ERRORS_CORRECTED, "", corrected);
        out.put_some(MEMORY_ERRORS_UNCORRECTED, "", uncorrected);
    }
}

fn lasting_facts(roots: &Roots, buffer: &mut Vec<u8>) -> Result<HostFacts, ProbeError> {
    let kernel_directory = roots.proc.join("sys/kernel");
    let boot_id_path = kernel_directory.join("random/boot_id");
    let boot_id = match roots.files.read_start(&boot_id_path, buffer, SMALL_LIMIT) {
        Ok(bytes) => {
            boot_id::parse(bytes).map_err(|error| malformed(&boot_id_path, &error))?.to_owned()
        }
        Err(error) => return Err(read_error(&boot_id_path, &error)),
    };
    let mut text = |file: &str| {
        small_fact(&roots.files, &kernel_directory.join(file), buffer, |bytes| {
            sysfs::text(bytes, MAX_NAME_CHARACTERS)
        })
    };
    let kernel = text("osrelease").unwrap_or_default();
    // The file is there since Linux 6.1; before, what this program was built for says the same.
    let architecture = text("arch").unwrap_or_else(|| roots.files.architecture().to_owned());
    // A system without a name is no fault.
    let root = roots.etc.parent().unwrap_or(Path::new("/"));
    let os = [roots.etc.join("os-release"), root.join("usr/lib/os-release")]
        .iter()
        .find_map(|file| {
            small_fact(&roots.files, file, buffer, |bytes| os_release::parse(bytes).ok())?
        })
        .unwrap_or_default();
    let virtualization = virtualization::detect(roots, &architecture).to_owned();
    Ok(HostFacts { os, kernel, architecture, boot_id, virtualization, ..HostFacts::default() })
}
