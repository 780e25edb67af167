//! What it means when NVML as a whole does not answer, and what to do about it.

use std::borrow::Cow;
use std::path::Path;

use nvml_wrapper::error::NvmlError;
use sickbay_model::{Advice, ProbeError, ProbeErrorKind};

use super::library_name;
use crate::gpu::{MAX_TEXT_CHARACTERS, NvidiaPresence};
use crate::parse::printable;

/// Whether a fresh initialisation may answer what the old one did not.
pub(super) fn is_worth_another_try(error: &NvmlError) -> bool {
    matches!(error, NvmlError::Uninitialized | NvmlError::Unknown | NvmlError::DriverNotLoaded)
}

/// The probe's error for an error of the library.
pub(in crate::gpu) fn of_library(
    error: &NvmlError,
    library: Option<&Path>,
    presence: NvidiaPresence,
) -> ProbeError {
    let (kind, what, advice): (_, Cow<'static, str>, _) = match error {
        NvmlError::LibloadingError(reason) => (
            ProbeErrorKind::Absent,
            // The loader's text names files only, but it is not ours: made printable.
            format!(
                "cannot load {}: {}",
                library_name(library),
                printable(reason.to_string().as_bytes(), 3 * MAX_TEXT_CHARACTERS)
            )
            .into(),
            advice_without_library(presence),
        ),
        NvmlError::FailedToLoadSymbol(_) => (
            ProbeErrorKind::Malformed,
            format!("{} is no NVML library: it lacks the basic functions", library_name(library))
                .into(),
            "reinstall the NVIDIA driver; something else lies where its library should be",
        ),
        NvmlError::DriverNotLoaded => (
            ProbeErrorKind::Absent,
            "the NVIDIA driver is not loaded".into(),
            "load it with `modprobe nvidia`; if that fails, `dmesg` says why: often a kernel update \
             without a rebuilt module (`dkms autoinstall`), or Secure Boot",
        ),
        NvmlError::LibRmVersionMismatch => (
            ProbeErrorKind::Failed,
            "the NVIDIA driver that is loaded and its library have different versions".into(),
            "the driver was upgraded while it was loaded: reboot, or stop everything that uses a GPU \
             and reload the driver's modules",
        ),
        NvmlError::NoPermission => (
            ProbeErrorKind::Denied,
            "the NVIDIA driver refuses this user".into(),
            "give the user that runs sickbay access to /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, …",
        ),
        NvmlError::NotFound => (
            ProbeErrorKind::Absent,
            format!(
                "the NVIDIA driver lists no GPU, but the PCI bus has {}",
                presence.pci_gpus.saturating_sub(presence.passed_through)
            )
            .into(),
            "look at `dmesg` for NVRM lines; in a container, start it with GPU access (`--gpus all`)",
        ),
        NvmlError::GpuLost => (
            ProbeErrorKind::Failed,
            "the NVIDIA driver says that a GPU is lost and answers nothing".into(),
            "reboot the machine; if it happens again, have the GPU replaced",
        ),
        NvmlError::Timeout => (
            ProbeErrorKind::Late,
            "the NVIDIA driver gave up waiting for a GPU".into(),
            "look at `dmesg` for Xid lines; reboot if it lasts",
        ),
        error => (
            ProbeErrorKind::Failed,
            format!("the NVIDIA driver does not answer: {error}").into(),
            "look at `dmesg` for NVRM and Xid lines",
        ),
    };
    ProbeError { kind, message: what.into_owned(), advice: Some(Advice(advice.into())) }
}

pub(in crate::gpu) fn advice_without_library(presence: NvidiaPresence) -> &'static str {
    if presence.driver_loaded {
        "the kernel driver is loaded but its library is not here: install the driver's user-space \
         package of the same version (libnvidia-compute, nvidia-utils or nvidia-driver-libs); in a \
         container, start it with GPU access (`--gpus all`)"
    } else {
        "install the NVIDIA driver for this GPU and reboot"
    }
}
