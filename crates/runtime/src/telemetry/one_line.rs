//! What is logged cannot pass for another log line.
//!
//! Names of processes, mounts and hosts are anyone's choice and may hold line ends. A message of
//! several lines stays readable: its further lines are indented, so that none begins like a line of
//! the log. (Escape sequences are taken out before, by the formatter.)
//!
//! The journal takes each line for itself, so each begins with the message's priority; none can
//! choose its own.

use std::io::{self, Write};

/// What stands before each further line of one message.
const INDENT: &[u8] = b"    ";

/// A writer that is given one whole log line at a time.
pub(super) struct OneLine<W> {
    pub(super) inner: W,
    /// What stands before every line; nothing but for the journal.
    pub(super) priority: &'static str,
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        let plain = self.priority.is_empty();
        if plain && !body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.inner.write_all(line)?;
            return Ok(line.len());
        }
        let mut safe = Vec::with_capacity(line.len() + 64);
        safe.extend_from_slice(self.priority.as_bytes());
        for &byte in body {
            match byte {
                b'\n' => {
                    safe.push(b'\n');
                    safe.extend_from_slice(self.priority.as_bytes());
                    safe.extend_from_slice(INDENT);
                }
                b'\r' => safe.extend_from_slice(b"\\r"),
                other => safe.push(other),
            }
        }
        safe.extend_from_slice(&line[body.len()..]);
        self.inner.write_all(&safe)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
