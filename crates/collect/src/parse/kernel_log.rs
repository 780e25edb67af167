//! Lines of a kernel's log: records of `/dev/kmsg`, lines of `dmesg -r`, and of the journal.
//!
//! What must hold: only what the kernel itself said is a line here. Whoever may write into
//! `/dev/kmsg` (systemd does, and so can any root process) is of another facility, and is passed
//! over; so nothing in user space can forge a fault. A line that is none is passed over, too: logs
//! are cut and overwritten, and the rest of them counts.

use super::scan::unsigned;

/// The most bytes of a message that are looked at.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// The facility of the kernel's own messages, in the bits above the level.
const KERNEL_FACILITY: u64 = 0;
const LEVEL_BITS: u32 = 3;

/// One line that the kernel wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The record's number, where the log numbers them.
    pub sequence: Option<u64>,
    /// Microseconds since boot.
    pub since_boot_us: u64,
    /// The message, without prefix; cut at [`MAX_MESSAGE_BYTES`].
    pub message: &'a [u8],
}

/// What one line of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The kernel's.
    Kernel(Line<'a>),
    /// Somebody else's, by its number where there is one.
    Foreign(Option<u64>),
    /// No line of a log: cut, a continuation, or nonsense.
    Nothing,
}

/// Parses one record of `/dev/kmsg`: `6,1234,5678901,-;message`. Lines that begin with a blank
/// carry a record's properties, and are nothing.
#[must_use]
pub fn kmsg(line: &[u8]) -> Parsed<'_> {
    kmsg_parts(line).unwrap_or(Parsed::Nothing)
}

fn kmsg_parts(line: &[u8]) -> Option<Parsed<'_>> {
    let semicolon = line.iter().position(|&byte| byte == b';')?;
    let (prefix, message) = line.split_at_checked(semicolon)?;
    let mut fields = prefix.split(|&byte| byte == b',');
    let priority = unsigned(fields.next()?)?;
    let sequence = unsigned(fields.next()?)?;
    let since_boot_us = unsigned(fields.next()?)?;
    if priority >> LEVEL_BITS != KERNEL_FACILITY {
        return Some(Parsed::Foreign(Some(sequence)));
    }
    let message = cut(message.get(1..)?);
    Some(Parsed::Kernel(Line { sequence: Some(sequence), since_boot_us, message }))
}

/// Parses one line of `dmesg -r` (`<6>[ 1234.567890] message`) or of
/// `journalctl -o short-monotonic` (`[ 1234.567890] host kernel: message`), which was asked for the
/// kernel's own facility alone.
#[must_use]
pub fn text(line: &[u8]) -> Parsed<'_> {
    text_parts(line).unwrap_or(Parsed::Nothing)
}

fn text_parts(line: &[u8]) -> Option<Parsed<'_>> {
    let (from_journal, rest) = match line.strip_prefix(b"<") {
        Some(rest) => {
            let end = rest.iter().position(|&byte| byte == b'>')?;
            let priority = unsigned(rest.get(..end)?)?;
            if priority >> LEVEL_BITS != KERNEL_FACILITY {
                return Some(Parsed::Foreign(None));
            }
            (false, rest.get(end + 1..)?)
        }
        None => (true, line),
    };
    let rest = rest.strip_prefix(b"[")?;
    let end = rest.iter().position(|&byte| byte == b']')?;
    let since_boot_us = microseconds(rest.get(..end)?.trim_ascii())?;
    let mut message = rest.get(end + 1..)?;
    message = message.strip_prefix(b" ").unwrap_or(message);
    // CONFIG_PRINTK_CALLER: who said it.
    if let Some(caller) = message.strip_prefix(b"[")
        && matches!(caller.trim_ascii_start().first(), Some(b'T' | b'C'))
        && let Some(end) = caller.iter().take(16).position(|&byte| byte == b']')
        && caller.get(..end)?.trim_ascii().get(1..)?.iter().all(u8::is_ascii_digit)
    {
        let behind = caller.get(end + 1..)?;
        message = behind.strip_prefix(b" ").unwrap_or(behind);
    }
    if from_journal {
        let colon = message.iter().take(320).position(|&byte| byte == b':')?;
        let (who, behind) = message.split_at_checked(colon)?;
        if !who.ends_with(b" kernel") {
            return Some(Parsed::Foreign(None));
        }
        message = behind.get(1..)?;
        message = message.strip_prefix(b" ").unwrap_or(message);
    }
    Some(Parsed::Kernel(Line { sequence: None, since_boot_us, message: cut(message) }))
}

/// `1234.567890` as microseconds.
fn microseconds(field: &[u8]) -> Option<u64> {
    let point = field.iter().position(|&byte| byte == b'.')?;
    let (whole, fraction) = field.split_at_checked(point)?;
    let fraction = fraction.get(1..)?;
    let missing = 6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = unsigned(fraction)?.checked_mul(10_u64.pow(missing))?;
    unsigned(whole)?.checked_mul(1_000_000)?.checked_add(fraction)
}

fn cut(message: &[u8]) -> &[u8] {
    message.get(..MAX_MESSAGE_BYTES).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(parsed: Parsed<'_>) -> String {
        match parsed {
            Parsed::Kernel(Line { sequence, since_boot_us, message }) => {
                format!("{sequence:?} {since_boot_us} {}", String::from_utf8_lossy(message))
            }
            Parsed::Foreign(sequence) => format!("foreign {sequence:?}"),
            Parsed::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn records_of_kmsg() {
        for (record, expected) in [
            (&b"6,339,5140900,-;NET: Registered"[..], "Some(339) 5140900 NET: Registered"),
            (b"3,340,5690716,c,caller=T12;a;b", "Some(340) 5690716 a;b"),
            (b" SUBSYSTEM=pci", "nothing"),
            (b"30,341,5690999,-;systemd[1]: Xid", "foreign Some(341)"),
            (b"12,342,5691000,-;NVRM: Xid (PCI:0000:3b:00): 79", "foreign Some(342)"),
            (b"6,343;x", "nothing"),
            (b"x,1,2,-;y", "nothing"),
            (b"6,99999999999999999999999,1,-;y", "nothing"),
            (b"", "nothing"),
            (b"6,1,2,-;", "Some(1) 2 "),
        ] {
            assert_eq!(line(kmsg(record)), expected, "{}", String::from_utf8_lossy(record));
        }
    }

    #[test]
    fn lines_of_dmesg_and_of_the_journal() {
        for (text_line, expected) in [
            (&b"<6>[    0.000000] Linux version"[..], "None 0 Linux version"),
            (b"<3>[12345.678901] NVRM: Xid", "None 12345678901 NVRM: Xid"),
            (b"<3>[   12.5][   T77] ata1: x", "None 12500000 ata1: x"),
            (b"<3>[   12.500000] [drm] GPU", "None 12500000 [drm] GPU"),
            (b"<30>[   12.500000] systemd[1]: x", "foreign None"),
            (b"[   12.500000] gpu-07 kernel: NVRM: Xid", "None 12500000 NVRM: Xid"),
            (b"[   12.500000] gpu-07 python[12]: kernel: NVRM: Xid", "foreign None"),
            (b"-- Logs begin at Mon", "nothing"),
            (b"<6>no time", "nothing"),
            (b"<6>[1.0000000] too fine", "nothing"),
            (b"\xff\xfe", "nothing"),
        ] {
            assert_eq!(line(text(text_line)), expected, "{}", String::from_utf8_lossy(text_line));
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let long = [b"6,1,2,-;".as_slice(), &[b'x'; 5000]].concat();
        let Parsed::Kernel(line) = kmsg(&long) else { panic!("it is the kernel's") };
        assert_eq!(line.message.len(), MAX_MESSAGE_BYTES);
    }
}
