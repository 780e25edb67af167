//! Errors of a connection, as the probes report them: one clear state each.

use std::borrow::Cow;
use std::time::Duration;

use sickbay_model::{Advice, ProbeError, ProbeErrorKind};

/// How much of what a stranger said is shown, in characters.
const MAX_QUOTED_CHARS: usize = 200;

pub(crate) fn unreachable(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Unreachable, message)
}

pub(crate) fn untrusted(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Untrusted, message)
}

pub(crate) fn denied(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Denied, message)
}

pub(crate) fn failed(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Failed, message)
}

pub(crate) fn malformed(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Malformed, message)
}

pub(crate) fn late(message: impl Into<String>) -> ProbeError {
    error(ProbeErrorKind::Late, message)
}

fn error(kind: ProbeErrorKind, message: impl Into<String>) -> ProbeError {
    ProbeError { kind, message: message.into(), advice: None }
}

/// Adds what to do.
pub(crate) fn advise(mut error: ProbeError, advice: impl Into<Cow<'static, str>>) -> ProbeError {
    error.advice = Some(Advice(advice.into()));
    error
}

/// A limit, as a person would say it: what is left of a deadline has digits that mean nothing.
pub(crate) fn spoken(limit: Duration) -> String {
    match limit.as_secs_f64() {
        seconds if seconds < 0.95 => format!("{} ms", limit.as_millis()),
        seconds if (seconds - seconds.round()).abs() < 0.05 => format!("{seconds:.0} s"),
        seconds => format!("{seconds:.1} s"),
    }
}

/// Bytes of a stranger, bounded, in one line, without anything that a terminal would obey.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for c in text.trim().chars().take(MAX_QUOTED_CHARS) {
        match c {
            '\n' | '\t' => shown.push(' '),
            c if c.is_control() => {}
            c => shown.push(c),
        }
    }
    if text.trim().chars().count() > MAX_QUOTED_CHARS {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_spoken_without_digits_that_mean_nothing() {
        for (ms, expected) in
            [(9_889, "9.9 s"), (4_000, "4 s"), (2_996, "3 s"), (960, "1 s"), (200, "200 ms")]
        {
            assert_eq!(spoken(Duration::from_millis(ms)), expected);
        }
    }

    #[test]
    fn what_strangers_say_is_bounded_and_harmless() {
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"  HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            (b"\x1b[2Jhello\x07\nworld\xff", "[2Jhello world\u{fffd}"),
        ] {
            assert_eq!(printable(bytes), expected);
        }
        assert_eq!(printable(&[b'a'; 5_000]).chars().count(), MAX_QUOTED_CHARS + 1);
    }
}
