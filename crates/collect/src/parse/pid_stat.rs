//! `/proc/PID/stat`: one process.

use super::scan::{fields, signed, trim, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/PID/stat";

/// The flag of kernel threads (`PF_KTHREAD`), the same since Linux 2.6.27.
const FLAG_KERNEL_THREAD: u64 = 0x0020_0000;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidStat<'a> {
    /// Process id.
    pub pid: u32,
    /// Short name, at most 15 bytes for programs; the process chooses it, so it can be anything.
    pub name: &'a [u8],
    /// State letter (`R`, `S`, `D`, `Z`, `T`, `I`, …).
    pub state: char,
    /// Whether it is a thread of the kernel.
    pub kernel_thread: bool,
    /// CPU time in user space and kernel, in clock ticks.
    pub cpu_ticks: u64,
    /// When it started, in clock ticks since boot: with the id, this names a process for good.
    pub start_ticks: u64,
    /// Resident memory, in pages.
    pub resident_pages: u64,
}

/// Parses `/proc/PID/stat`.
///
/// # Errors
/// When a field that every kernel writes is missing or no number that fits.
pub fn parse(bytes: &[u8]) -> Result<PidStat<'_>, ParseError> {
    let bytes = bounded(FILE, bytes)?;
    // The name may hold blanks, parentheses and newlines: it ends at the last parenthesis.
    let open = bytes.iter().position(|&byte| byte == b'(');
    let close = bytes.iter().rposition(|&byte| byte == b')');
    let parts = match (open, close) {
        (Some(open), Some(close)) if open < close => bytes
            .get(..open)
            .zip(bytes.get(open + 1..close))
            .zip(bytes.get(close + 1..))
            .map(|((id, name), rest)| (id, name, rest)),
        _ => None,
    };
    let (id, name, rest) =
        parts.ok_or_else(|| ParseError::whole(FILE, "there is no name in parentheses"))?;
    let pid = unsigned(trim(id))
        .and_then(|pid| u32::try_from(pid).ok())
        .ok_or_else(|| ParseError::number(FILE, 1, "pid", id))?;
    let mut words = fields(rest);
    let state = match words.text(FILE, 1, "state")? {
        [letter] if letter.is_ascii_alphabetic() => char::from(*letter),
        other => {
            return Err(ParseError::line(
                FILE,
                1,
                format!("{} is no state", super::printable(other, 8)),
            ));
        }
    };
    // Numbered as in proc(5): 4 is the parent, 9 the flags.
    words.skip_columns(5);
    let flags = words.number(FILE, 1, "flags")?;
    words.skip_columns(4);
    let user = words.number(FILE, 1, "user time")?;
    let system = words.number(FILE, 1, "system time")?;
    words.skip_columns(6);
    let start_ticks = words.number(FILE, 1, "start time")?;
    words.skip_columns(1);
    let resident = words.text(FILE, 1, "resident pages")?;
    // The only one printed with a sign; a process that is just ending may show less than none.
    let resident_pages = signed(resident)
        .map(|pages| u64::try_from(pages).unwrap_or(0))
        .ok_or_else(|| ParseError::number(FILE, 1, "resident pages", resident))?;
    let cpu_ticks = user
        .checked_add(system)
        .ok_or_else(|| ParseError::line(FILE, 1, "the CPU time does not fit"))?;
    let kernel_thread = flags & FLAG_KERNEL_THREAD != 0;
    Ok(PidStat { pid, name, state, kernel_thread, cpu_ticks, start_ticks, resident_pages })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str =
        "1 2 3 4 5 4194304 7 8 9 10 100 23 0 0 20 0 1 0 4711 1000000 256 18446744073709551615";

    #[test]
    fn the_name_may_be_anything() {
        for name in ["bash", "a b", "x) R 1", "((", "", "new\nline", "tmux: server"] {
            let line = format!("42 ({name}) S {TAIL}\n");
            let stat = parse(line.as_bytes()).unwrap();
            assert_eq!((stat.pid, stat.name, stat.state), (42, name.as_bytes(), 'S'));
            assert_eq!((stat.cpu_ticks, stat.start_ticks, stat.resident_pages), (123, 4711, 256));
            assert!(!stat.kernel_thread);
        }
        let kernel = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 1 0 0 20 0 1 0 5 0 -3 0";
        let stat = parse(kernel).unwrap();
        assert!(stat.kernel_thread);
        assert_eq!(stat.resident_pages, 0);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let long = format!("1 (x) S {}", "1 ".repeat(10));
        for (input, expected) in [
            (&b""[..], "/proc/PID/stat: there is no name in parentheses"),
            (b")1(", "/proc/PID/stat: there is no name in parentheses"),
            (b"x (y) S", "/proc/PID/stat, line 1: pid is not a number that fits: \"x \""),
            (
                b"4294967296 (y) S",
                "/proc/PID/stat, line 1: pid is not a number that fits: \"4294967296 \"",
            ),
            (b"1 (y) SS", "/proc/PID/stat, line 1: SS is no state"),
            (b"1 (y) S 1", "/proc/PID/stat, line 1: flags is missing"),
            (long.as_bytes(), "/proc/PID/stat, line 1: user time is missing"),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
