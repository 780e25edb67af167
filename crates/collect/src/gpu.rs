//! GPUs: NVIDIA through NVML, AMD through sysfs.
//!
//! For: every reading of the catalogue that a GPU can give, and which GPUs there are. What must
//! hold: a GPU that fails hides no other; one that was there and is gone stays in the inventory,
//! marked; what a model does not support is silently absent; nothing is clamped. Both collectors
//! block and NVML can hang, so they run in a killable child process. Nothing here judges, and
//! nothing here changes a GPU.
//!
//! # Numbering
//! The index is the driver's own for NVIDIA. AMD GPUs are numbered by PCI address, from 0; on a
//! machine that also has NVIDIA hardware from [`AMD_INDEX_BASE_MIXED`], so that the two never
//! share an index whatever comes and goes.

use sickbay_model::{GpuCondition, GpuDevice, GpuVendor};

mod amd;
mod known;
mod nvidia;
pub mod nvidia_smi;
mod presence;

pub use amd::AmdCollector;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use amd::any_amd_bytes;
pub use nvidia::NvidiaCollector;
pub use presence::NvidiaPresence;

/// The most GPUs of one vendor that are looked at; more are counted in a message and left out.
pub const MAX_GPUS: u32 = 64;

/// Where the numbering of AMD GPUs starts on a machine with NVIDIA hardware; above [`MAX_GPUS`].
pub const AMD_INDEX_BASE_MIXED: u32 = 100;

/// A GPU of which nothing is known but its index.
fn unidentified(index: u32, vendor: GpuVendor, driver_version: &str) -> GpuDevice {
    GpuDevice {
        index,
        vendor,
        uuid: String::new(),
        model: String::new(),
        serial: String::new(),
        pci_address: String::new(),
        driver_version: driver_version.to_owned(),
        vbios_version: String::new(),
        memory_bytes: 0,
        mig_enabled: false,
        condition: GpuCondition::Answering,
        unreadable: Vec::new(),
    }
}

/// A PCI address as NVIDIA's driver writes it (`00000000:17:00.0`) as the kernel does: four digits
/// of the domain, lower case.
fn kernel_pci_address(address: &str) -> String {
    let short = address.strip_prefix("0000").filter(|rest| rest.find(':') == Some(4));
    short.unwrap_or(address).to_ascii_lowercase()
}

/// The longest name, serial number or version that is kept, in characters.
const MAX_TEXT_CHARACTERS: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_are_written_as_the_kernel_does() {
        for (driver, kernel) in [
            ("00000000:1B:00.0", "0000:1b:00.0"),
            ("00000001:00:00.0", "0001:00:00.0"),
            ("00010000:00:00.0", "00010000:00:00.0"),
            ("0000:17:00.0", "0000:17:00.0"),
            ("", ""),
            ("0000", "0000"),
        ] {
            assert_eq!(kernel_pci_address(driver), kernel);
        }
    }
}
