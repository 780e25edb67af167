//! Pure parsers of what the kernel tells through `/proc` and `/sys`.
//!
//! Each is a function over bytes. What must hold: none panics on any input, none reads a file, each
//! looks at no more than [`INPUT_LIMIT`] bytes, numbers that do not fit are refused and never
//! wrapped, and lines or columns that a newer kernel adds are stepped over. Names and paths are
//! bytes, because the kernel does not promise UTF-8.
//!
//! They judge nothing: whether a value can be true of the machine is the catalogue's to say.

use std::borrow::Cow;

pub mod boot_id;
pub mod cpu_stat;
pub mod cpuinfo;
pub mod diskstats;
pub mod file_nr;
pub mod infiniband;
pub mod kernel_log;
pub mod loadavg;
pub mod meminfo;
pub mod mountinfo;
pub mod net_dev;
pub mod os_release;
pub mod pci;
pub mod pid_cmdline;
pub mod pid_stat;
pub mod pressure;
pub mod route;
pub(crate) mod scan;
pub mod snmp;
pub mod sysfs;
pub mod uptime;
pub mod vmstat;

pub use scan::printable;

/// The most bytes a parser looks at. The largest honest input is `mountinfo` of a host with
/// thousands of containers, some 2 MB.
pub const INPUT_LIMIT: usize = 4 << 20;

/// The longest piece of the input that an error message repeats, in characters.
const QUOTE_LIMIT: usize = 40;

/// Why an input could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// Which file, by its usual name below its root (`/proc/stat`).
    pub file: &'static str,
    /// Which line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// What is wrong with it.
    pub what: Cow<'static, str>,
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.file)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl ParseError {
    /// An error about one line.
    pub(crate) fn line(
        file: &'static str,
        line: usize,
        what: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { file, line, what: what.into() }
    }

    /// An error about the whole file.
    pub(crate) fn whole(file: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self::line(file, 0, what)
    }

    /// "`NAME` is not a number that fits: "…"".
    pub(crate) fn number(file: &'static str, line: usize, name: &str, field: &[u8]) -> Self {
        let quoted = printable(field, QUOTE_LIMIT);
        Self::line(file, line, format!("{name} is not a number that fits: \"{quoted}\""))
    }
}

/// Refuses input above [`INPUT_LIMIT`].
fn bounded<'a>(file: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], ParseError> {
    if bytes.len() > INPUT_LIMIT {
        let what = format!("{} bytes are more than the limit of {INPUT_LIMIT}", bytes.len());
        return Err(ParseError::whole(file, what));
    }
    Ok(bytes)
}

#[cfg(test)]
mod arbitrary_input;
