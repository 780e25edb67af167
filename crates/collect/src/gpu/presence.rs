//! Whether this machine has GPUs of a vendor at all, before any driver is asked.
//!
//! A machine without the hardware is "not applicable"; one with the hardware and without a working
//! driver is a failure. Only the PCI bus, `/proc` and `/dev` are looked at; nothing here can hang.

use std::path::PathBuf;

use crate::Roots;
use crate::gpu::MAX_GPUS;
use crate::local::virtualization;

/// PCI vendor of NVIDIA.
const NVIDIA: &[u8] = b"0x10de";

/// The most PCI devices that are looked at.
const MAX_PCI_DEVICES: usize = 4096;

/// The signs of NVIDIA hardware and of its driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NvidiaPresence {
    /// Display controllers (class `0x03….`) and processing accelerators (`0x12….`) of NVIDIA on
    /// the PCI bus.
    pub pci_gpus: u32,
    /// Of those, how many are handed to a virtual machine (`vfio-pci`) and thus not ours.
    pub passed_through: u32,
    /// Whether the kernel driver is loaded (`/proc/driver/nvidia/version`).
    pub driver_loaded: bool,
    /// Whether its control device is there (`/dev/nvidiactl`).
    pub control_device: bool,
    /// Whether the device of any GPU is there (`/dev/nvidia0`, …).
    pub gpu_device: bool,
    /// The kind of container that this is, if it is one.
    pub container: Option<&'static str>,
}

impl NvidiaPresence {
    /// Looks at the machine.
    #[must_use]
    pub fn of(roots: &Roots) -> Self {
        let (pci_gpus, passed_through) = count_gpus(roots, NVIDIA);
        let is_there = |path: PathBuf| roots.files.exists(&path);
        Self {
            pci_gpus,
            passed_through,
            driver_loaded: is_there(roots.proc.join("driver/nvidia/version")),
            control_device: is_there(roots.dev.join("nvidiactl")),
            gpu_device: (0..MAX_GPUS).any(|gpu| is_there(roots.dev.join(format!("nvidia{gpu}")))),
            container: virtualization::container(roots),
        }
    }

    /// Why GPUs on the PCI bus are not ours, where this is a container that was given none of their
    /// devices: its bus is the host's. It still has to lack the driver's library, which comes with
    /// the devices.
    #[must_use]
    pub fn withheld(self) -> Option<String> {
        let container = self.container.filter(|_| !self.control_device && !self.gpu_device)?;
        let gpus = self.pci_gpus.saturating_sub(self.passed_through);
        Some(format!(
            "the host has NVIDIA GPUs ({gpus}), but this container ({container}) was given none; if it \
             should have them, start it with GPU access (`--gpus all`)"
        ))
    }

    /// Whether there is anything to ask NVML about. A driver that is loaded in a container without
    /// PCI devices counts: its GPUs may be elsewhere, but it was meant to be there.
    #[must_use]
    pub fn any(self) -> bool {
        self.pci_gpus > self.passed_through || (self.pci_gpus == 0 && self.control_device)
    }
}

/// Counts display controllers and processing accelerators of a vendor, and how many of them a virtual machine holds.
pub(super) fn count_gpus(roots: &Roots, vendor: &[u8]) -> (u32, u32) {
    let (files, all) = (&roots.files, roots.sys.join("bus/pci/devices"));
    let Ok(devices) = files.list(&all) else { return (0, 0) };
    let (mut count, mut passed_through) = (0, 0);
    for device in devices.iter().take(MAX_PCI_DEVICES) {
        let path = all.join(device);
        let is =
            |name: &str, wanted: &[u8]| files.read_small(&path.join(name), wanted.len()) == wanted;
        let is_gpu = is("class", b"0x03") || is("class", b"0x12");
        if is_gpu && is("vendor", vendor) {
            count += 1;
            let driver = files.link(&path.join("driver"));
            if driver.is_ok_and(|link| link.file_name().is_some_and(|name| name == "vfio-pci")) {
                passed_through += 1;
            }
        }
    }
    (count, passed_through)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn hardware_is_seen_without_a_driver() {
        let tree = tempfile::tempdir().expect("a directory");
        let roots = Roots::under(tree.path());
        assert_eq!(NvidiaPresence::of(&roots), NvidiaPresence::default());

        let devices = roots.sys.join("bus/pci/devices");
        for (address, vendor, class, driver) in [
            ("0000:17:00.0", "0x10de\n", "0x030200\n", None),
            ("0000:17:00.1", "0x10de\n", "0x040300\n", None),
            ("0000:3d:00.0", "0x10de\n", "0x030000\n", Some("vfio-pci")),
            ("0000:05:00.0", "0x10de\n", "0x068000\n", None),
            ("0000:00:02.0", "0x8086\n", "0x030000\n", None),
            ("0000:c1:00.0", "\u{0}\u{1}", "", None),
        ] {
            let device = devices.join(address);
            std::fs::create_dir_all(&device).expect("made");
            std::fs::write(device.join("vendor"), vendor).expect("written");
            std::fs::write(device.join("class"), class).expect("written");
            if let Some(driver) = driver {
                symlink(format!("../../drivers/{driver}"), device.join("driver")).expect("linked");
            }
        }
        let presence = NvidiaPresence::of(&roots);
        assert_eq!((presence.pci_gpus, presence.passed_through), (2, 1));
        assert!(presence.any() && !presence.driver_loaded && !presence.control_device);
    }

    #[test]
    fn a_gpu_that_a_virtual_machine_holds_is_not_ours() {
        let held = NvidiaPresence { pci_gpus: 2, passed_through: 2, ..Default::default() };
        assert!(!held.any());
        assert!(NvidiaPresence { control_device: true, ..Default::default() }.any());
    }
}
