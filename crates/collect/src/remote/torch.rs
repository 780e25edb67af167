//! Torch on the node: what its interpreter says.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use sickbay_model::{ProbeError, ProbeErrorKind};
use sickbay_runtime::ProgramOutput;

use super::late_on_node;
use super::reader::Reader;
use crate::parse::printable;
use crate::torch::{End, parse};

/// The most bytes of an answer.
pub(super) const MAX_ANSWER_BYTES: usize = 512 << 10;

/// How much of the end of its output is shown when it fails, in bytes.
const SHOWN_BYTES: usize = 2048;

/// The longest path of an interpreter that is kept, in characters.
const MAX_PATH_CHARACTERS: usize = 256;

/// What our program says of an interpreter that was late, may not be run, or is not there.
const LATE: i32 = 124;
const DENIED: i32 = 126;
const ABSENT: i32 = 127;

/// The word of a question: the configured interpreter. One that no line can carry is refused.
pub(super) fn word(interpreter: Option<&Path>) -> Result<Vec<u8>, ProbeError> {
    let Some(path) = interpreter else { return Ok(b"-".to_vec()) };
    let path = path.as_os_str().as_bytes();
    if path.iter().any(u8::is_ascii_control) {
        return Err(ProbeError {
            kind: ProbeErrorKind::Failed,
            message: "torch.interpreter holds a control character: it cannot be sent to a node"
                .to_owned(),
            advice: None,
        });
    }
    Ok(path.to_vec())
}

/// What an answer means; `None` where the node has no interpreter at all.
pub(super) fn understand(reader: &Reader, took: Duration) -> Option<End> {
    let (mut interpreter, mut output, mut status) = (String::new(), &b""[..], None);
    for section in reader.sections() {
        match section.words() {
            (b"interpreter", path) => interpreter = printable(path, MAX_PATH_CHARACTERS),
            (b"torch", _) => output = section.content,
            (b"status", words) => status = words.strip_prefix(b"torch ").and_then(number),
            _ => {}
        }
    }
    if interpreter.is_empty() {
        return None;
    }
    let failed = |kind, what: &str| {
        let message = format!("import torch with {interpreter}: {what}");
        End::Failed(ProbeError { kind, message, advice: None })
    };
    Some(match status {
        Some(LATE) => End::Failed(late_on_node("import torch", took)),
        Some(DENIED) => failed(ProbeErrorKind::Denied, "the node may not run it"),
        Some(ABSENT) => failed(ProbeErrorKind::Absent, "the node has no such interpreter"),
        None => failed(ProbeErrorKind::Malformed, "the node does not say how it ended"),
        Some(code) => {
            let tail = output.get(output.len().saturating_sub(SHOWN_BYTES)..).unwrap_or_default();
            let output = ProgramOutput {
                status: exit_status(code),
                stdout: output.to_vec(),
                stderr_tail: String::from_utf8_lossy(tail).into_owned(),
            };
            parse(&output, interpreter)
        }
    })
}

fn number(words: &[u8]) -> Option<i32> {
    std::str::from_utf8(words).ok()?.parse().ok()
}

/// Shells tell of a signal by adding 128 to its number.
fn exit_status(code: i32) -> ExitStatus {
    match code {
        signal if (129..160).contains(&signal) => ExitStatus::from_raw(signal - 128),
        code => ExitStatus::from_raw((code & 0xff) << 8),
    }
}
