//! A file's largest size per day: whatever writes in circles does not fill the disk.

use std::io::{self, Write};
use std::time::Duration;

use crate::clock::Clock;

/// Passes lines through until a day's worth is written, then counts what it leaves out until the
/// next day. Days begin at midnight UTC, as the rotated file's do.
pub(super) struct DayLimit<Inner> {
    inner: Inner,
    clock: Clock,
    max_bytes: u64,
    day: i64,
    written: u64,
    left_out: u64,
}

const DAY_MS: i64 = Duration::from_secs(86_400).as_millis() as i64;

impl<Inner: Write> DayLimit<Inner> {
    pub(super) fn new(inner: Inner, max_bytes: u64) -> Self {
        Self::with_clock(inner, max_bytes, Clock::system())
    }

    fn with_clock(inner: Inner, max_bytes: u64, clock: Clock) -> Self {
        let day = clock.now_ms().div_euclid(DAY_MS);
        Self { inner, clock, max_bytes, day, written: 0, left_out: 0 }
    }

    fn begin_day(&mut self, day: i64) -> io::Result<()> {
        self.day = day;
        self.written = 0;
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            writeln!(self.inner, "{left_out} lines beyond the file's limit were left out")?;
        }
        Ok(())
    }
}

impl<Inner: Write> Write for DayLimit<Inner> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let day = self.clock.now_ms().div_euclid(DAY_MS);
        if day != self.day {
            self.begin_day(day)?;
        }
        let size = line.len() as u64;
        if self.left_out > 0 || self.written.saturating_add(size) > self.max_bytes {
            if self.left_out == 0 {
                let limit = self.max_bytes;
                writeln!(
                    self.inner,
                    "this file's limit of {limit} bytes a day is reached; what follows is left out until tomorrow"
                )?;
            }
            self.left_out += 1;
            return Ok(line.len());
        }
        // Whole lines, so that what is counted is what is written.
        self.inner.write_all(line)?;
        self.written += size;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_limit_and_the_next_day_says_what_was_left_out() {
        let (clock, hand) = Clock::manual(0);
        let mut out = DayLimit::with_clock(Vec::new(), 8, clock);
        for line in ["one\n", "two\n", "three\n", "4\n"] {
            assert_eq!(out.write(line.as_bytes()).expect("memory"), line.len());
        }
        hand.advance(Duration::from_secs(86_400));
        out.write_all(b"five\n").expect("memory");
        let text = String::from_utf8(out.inner).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["one", "two"]);
        assert!(lines[2].contains("limit of 8 bytes a day is reached"));
        assert_eq!(lines[3..], ["2 lines beyond the file's limit were left out", "five"]);
    }
}
