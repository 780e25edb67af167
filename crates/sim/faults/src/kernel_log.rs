//! What a simulated kernel wrote, as `/dev/kmsg` gives it and as `dmesg` prints it.

use std::fmt::Write as _;

/// One line.
#[derive(Clone, Debug)]
struct Line {
    level: u8,
    /// Since boot, in microseconds.
    at_us: u64,
    text: String,
}

/// The log of one boot.
#[derive(Clone, Debug)]
pub struct KernelLog {
    /// Whether it can be read at all.
    readable: bool,
    lines: Vec<Line>,
}

/// The level of a line that names none: an error.
const ERROR: u8 = 3;

impl KernelLog {
    pub(crate) fn new(readable: bool) -> Self {
        let mut log = Self { readable, lines: Vec::new() };
        log.begin_anew();
        log
    }

    /// What every boot begins with.
    pub(crate) fn begin_anew(&mut self) {
        self.lines.clear();
        for (at, line) in [
            (
                0.0,
                "<5>Linux version 5.15.0-119-generic (buildd@lcy02) (gcc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0, GNU ld (GNU Binutils for Ubuntu) 2.38) #129-Ubuntu SMP",
            ),
            (
                0.01,
                "<6>Command line: BOOT_IMAGE=/boot/vmlinuz-5.15.0-119-generic root=UUID=6f1d ro iommu=pt",
            ),
            (1.2, "<6>pci 0000:00:00.0: [8086:09a2] type 00 class 0x088000"),
            (
                4.8,
                "<6>EXT4-fs (nvme0n1p2): mounted filesystem with ordered data mode. Opts: errors=remount-ro. Quota mode: none.",
            ),
            (9.1, "<6>nvidia: module license 'NVIDIA' taints kernel."),
        ] {
            self.say(at, line);
        }
    }

    /// Writes a line; `<4>` in front of it is its level.
    pub(crate) fn say(&mut self, uptime: f64, line: &str) {
        let rest = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let parsed = rest.and_then(|(level, text)| Some((level.parse().ok()?, text)));
        let (level, text) = parsed.unwrap_or((ERROR, line));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time")]
        let at_us = (uptime.max(0.0) * 1e6) as u64;
        self.lines.push(Line { level, at_us, text: text.to_owned() });
    }

    /// As a reader of `/dev/kmsg` gets it from the beginning; `None` where there is no such file.
    #[must_use]
    pub fn kmsg(&self) -> Option<String> {
        let mut text = String::new();
        for (number, Line { level, at_us, text: line }) in self.lines.iter().enumerate() {
            let _ = writeln!(text, "{level},{number},{at_us},-;{line}");
        }
        self.readable.then_some(text)
    }

    /// As `dmesg -r` prints it; `None` where it is refused.
    #[must_use]
    pub fn dmesg(&self) -> Option<String> {
        let mut text = String::new();
        for Line { level, at_us, text: line } in &self.lines {
            let (seconds, rest) = (at_us / 1_000_000, at_us % 1_000_000);
            let _ = writeln!(text, "<{level}>[{seconds:>5}.{rest:06}] {line}");
        }
        self.readable.then_some(text)
    }
}
