//! One cell of an answer: a value, or why there is none.

use nvml_wrapper::error::NvmlError;

use crate::gpu::MAX_TEXT_CHARACTERS;
use crate::parse::printable;

/// What a cell holds.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Value(&'a str),
    /// The model, the driver or the moment does not have it.
    Nothing,
    /// Asking for it failed.
    Refused(NvmlError),
    /// It is no text, or an error in words that are not known.
    Strange(String),
}

impl<'a> Cell<'a> {
    /// Understands it; without spaces around.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Strange(printable(bytes, MAX_TEXT_CHARACTERS));
        };
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let words = inner.unwrap_or(text).trim();
        if is_nothing(words) {
            return Self::Nothing;
        }
        match (error(words), inner) {
            (Some(error), _) => Self::Refused(error),
            (None, Some(_)) => Self::Strange(printable(words.as_bytes(), MAX_TEXT_CHARACTERS)),
            (None, None) => Self::Value(text),
        }
    }
}

fn is_nothing(words: &str) -> bool {
    let words_for_nothing = [
        "",
        "N/A",
        "Not Supported",
        "Not Available",
        "No data",
        "Function Not Found",
        "Not Found",
        "Requested functionality has been deprecated",
    ];
    words_for_nothing.iter().any(|nothing| nothing.eq_ignore_ascii_case(words))
}

/// The error that NVML calls by these words (`nvmlErrorString`).
pub(super) fn error(words: &str) -> Option<NvmlError> {
    let words = words.trim().to_ascii_lowercase();
    let starts = |start: &str| words.starts_with(start);
    Some(if starts("gpu is lost") {
        NvmlError::GpuLost
    } else if starts("gpu requires reset") || starts("reset required") {
        NvmlError::ResetRequired
    } else if starts("insufficient permissions") {
        NvmlError::NoPermission
    } else if starts("insufficient external power") {
        NvmlError::InsufficientPower
    } else if starts("timeout") {
        NvmlError::Timeout
    } else if starts("driver/library version mismatch") {
        NvmlError::LibRmVersionMismatch
    } else if starts("driver not loaded") {
        NvmlError::DriverNotLoaded
    } else if starts("uninitialized") {
        NvmlError::Uninitialized
    } else if starts("corrupted inforom") || starts("inforom is corrupted") {
        NvmlError::CorruptedInfoROM
    } else if starts("unknown error") || words == "err!" {
        NvmlError::Unknown
    } else {
        return None;
    })
}

/// A number, with or without its unit behind it.
pub(super) fn number(text: &str) -> Option<f64> {
    let number = text.split_ascii_whitespace().next()?;
    let is_decimal = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
    number.parse().ok().filter(|value: &f64| is_decimal && value.is_finite())
}

/// A whole number.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}
