//! Lines that are no rows: what `nvidia-smi` says when something is wrong.

use nvml_wrapper::error::NvmlError;
use sickbay_model::{Advice, ProbeError, ProbeErrorKind};

use super::row::MAX_INDEX;
use super::{MAX_QUOTED_CHARACTERS, cell};
use crate::gpu::nvidia::ask::lost_remark;
use crate::gpu::nvidia::fault;
use crate::gpu::{NvidiaPresence, kernel_pci_address};
use crate::parse::printable;

/// A GPU of which the driver gives no handle.
#[derive(Debug)]
pub(super) struct Unreachable {
    pub(super) index: Option<u32>,
    /// As the kernel writes it; empty where it is not said.
    pub(super) address: String,
    pub(super) error: NvmlError,
}

impl Unreachable {
    /// Whether both are said of one GPU. Two lines that say of none which it is are of two.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let by_address = !self.address.is_empty() && self.address == other.address;
        by_address || (self.index.is_some() && self.index == other.index)
    }

    /// Which one, and what is with it.
    pub(super) fn describe(&self) -> String {
        let remark = lost_remark(&self.error);
        match (self.index, &*self.address) {
            (Some(index), "") => format!("GPU {index}: {remark}"),
            (None, "") => remark,
            (_, address) => format!("GPU at {address}: {remark}"),
        }
    }
}

/// What a line says that is no row.
#[derive(Debug)]
pub(super) enum Complaint {
    Gpu(Unreachable),
    /// The infoROM of the GPU at this address is corrupted.
    Corrupted(String),
    NoDevices,
    /// There is no answer at all.
    Everything(ProbeError),
    /// None that is known.
    None,
}

impl Complaint {
    pub(super) fn parse(line: &[u8]) -> Self {
        let Ok(line) = std::str::from_utf8(line) else { return Self::None };
        if let Some(rest) = after(line, "Unable to determine the device handle for") {
            return Self::Gpu(unreachable(rest));
        }
        if let Some(rest) = after(line, "WARNING: infoROM is corrupted at gpu") {
            let (address, _) = split_address(rest.trim()).unwrap_or_default();
            return Self::Corrupted(kernel_pci_address(address));
        }
        if after(line, "No devices were found").or(after(line, "No devices found")).is_some() {
            return Self::NoDevices;
        }
        everything(line).map_or(Self::None, Self::Everything)
    }
}

/// What is behind these words, in whatever case.
fn after<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    let (start, rest) = line.split_at_checked(words.len())?;
    start.eq_ignore_ascii_case(words).then_some(rest)
}

/// `GPU 0000:02:00.0: REASON`, `GPU0000:07:00.0: REASON`, `GPU3: 0000:5F:00.0: REASON` and
/// `GPU2: REASON`, as drivers of different years have it.
fn unreachable(text: &str) -> Unreachable {
    let text = text.trim_start();
    let mut rest = after(text, "GPU").unwrap_or(text).trim_start();
    let mut index = None;
    if split_address(rest).is_none() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end);
        index = digits.parse().ok().filter(|index| *index <= MAX_INDEX);
        rest = behind.trim_start_matches([':', ' ']);
    }
    let (address, rest) = split_address(rest).unwrap_or(("", rest));
    let words = rest.trim_start_matches([':', ' ']);
    Unreachable {
        index,
        address: kernel_pci_address(address),
        error: cell::error(words).unwrap_or(NvmlError::Unknown),
    }
}

/// A PCI address (`DOMAIN:BUS:DEVICE.FUNCTION`) and what is behind it.
fn split_address(text: &str) -> Option<(&str, &str)> {
    let dot = text.find('.')?;
    let (address, rest) = text.split_at_checked(dot + 2)?;
    let numbers = address.get(..dot)?;
    let is_hexadecimal = |part: &str, lengths: &[usize]| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut parts = numbers.split(':');
    let domain = parts.next().filter(|part| is_hexadecimal(part, &[4, 8]));
    let bus = parts.next().filter(|part| is_hexadecimal(part, &[2]));
    let device = parts.next().filter(|part| is_hexadecimal(part, &[2]));
    let function = is_hexadecimal(address.get(dot + 1..)?, &[1]);
    let is_address = domain.is_some() && bus.is_some() && device.is_some() && function;
    (is_address && parts.next().is_none()).then_some((address, rest))
}

/// What a line says that ends the whole answer.
fn everything(line: &str) -> Option<ProbeError> {
    let of_library = |error: &NvmlError| fault::of_library(error, None, NvidiaPresence::default());
    if let Some(reason) = after(line, "Failed to initialize NVML:") {
        return Some(match cell::error(reason) {
            Some(error) => of_library(&error),
            None => failed(format!(
                "the NVIDIA driver does not answer: {}",
                printable(reason.trim().as_bytes(), MAX_QUOTED_CHARACTERS)
            )),
        });
    }
    if let Some(reason) = after(line, "NVIDIA-SMI has failed") {
        let error = if reason.contains("permission") {
            NvmlError::NoPermission
        } else {
            NvmlError::DriverNotLoaded
        };
        return Some(of_library(&error));
    }
    if after(line, "NVIDIA-SMI couldn't find").is_some() {
        return Some(ProbeError {
            kind: ProbeErrorKind::Absent,
            message: "nvidia-smi finds no libnvidia-ml.so.1, NVIDIA's driver library".to_owned(),
            advice: Some(Advice(
                "install the driver's user-space package of the same version (libnvidia-compute, \
                 nvidia-utils or nvidia-driver-libs)"
                    .into(),
            )),
        });
    }
    if line.starts_with("Field \"") && line.contains("not a valid field") {
        let line = printable(line.as_bytes(), MAX_QUOTED_CHARACTERS);
        let message = format!("nvidia-smi was changed under us: {line}");
        return Some(ProbeError { kind: ProbeErrorKind::Malformed, message, advice: None });
    }
    // Alone on its line it is said of no GPU.
    cell::error(line).map(|error| of_library(&error))
}

fn failed(message: String) -> ProbeError {
    let advice = Some(Advice("look at `dmesg` for NVRM and Xid lines".into()));
    ProbeError { kind: ProbeErrorKind::Failed, message, advice }
}
