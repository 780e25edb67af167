//! The few ways in which every parser walks over bytes: lines, fields, numbers.
//!
//! Nothing here allocates, except [`printable`].

use super::ParseError;

/// Lines with their number from 1; a missing newline at the end is no error.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = bytes;
    let mut number = 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
            None => (rest, &[][..]),
        };
        rest = after;
        number += 1;
        Some((number, line))
    })
}

/// The fields of a line, split at runs of blanks.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of a line, split at runs of blanks.
pub(crate) fn fields(line: &[u8]) -> Fields<'_> {
    Fields { rest: line }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let from_start = self.rest.get(start..)?;
        let end = from_start.iter().position(u8::is_ascii_whitespace).unwrap_or(from_start.len());
        let (field, rest) = from_start.split_at_checked(end)?;
        self.rest = rest;
        Some(field)
    }
}

impl<'a> Fields<'a> {
    /// Steps over so many fields; at the end nothing happens, the next one is then missing.
    pub(crate) fn skip_columns(&mut self, count: usize) {
        self.by_ref().take(count).for_each(drop);
    }

    /// The next field as a number; an error naming it when it is missing or does not fit.
    pub(crate) fn number(
        &mut self,
        file: &'static str,
        line: usize,
        name: &'static str,
    ) -> Result<u64, ParseError> {
        match self.next() {
            None => Err(ParseError::line(file, line, format!("{name} is missing"))),
            Some(field) => {
                unsigned(field).ok_or_else(|| ParseError::number(file, line, name, field))
            }
        }
    }

    /// The next field; an error naming it when it is missing.
    pub(crate) fn text(
        &mut self,
        file: &'static str,
        line: usize,
        name: &'static str,
    ) -> Result<&'a [u8], ParseError> {
        self.next().ok_or_else(|| ParseError::line(file, line, format!("{name} is missing")))
    }
}

/// A whole field as a decimal number; `None` when it is empty, holds anything but digits, or does
/// not fit.
pub(crate) fn unsigned(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    let mut value = 0_u64;
    for &byte in field {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// A whole field as a decimal number with an optional minus.
pub(crate) fn signed(field: &[u8]) -> Option<i64> {
    match field.split_first() {
        Some((b'-', digits)) => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        _ => i64::try_from(unsigned(field)?).ok(),
    }
}

/// A whole field as `123` or `123.45`: no sign, no exponent, no names of numbers.
pub(crate) fn decimal(field: &[u8]) -> Option<f64> {
    /// Beyond this many digits nothing honest is left, and `u64` cannot overflow before it.
    const MAX_FRACTION_DIGITS: usize = 9;
    let point = field.iter().position(|&byte| byte == b'.').unwrap_or(field.len());
    let (whole, fraction) = field.split_at_checked(point)?;
    let whole = unsigned(whole)?;
    let fraction = match fraction.get(1..) {
        None => return Some(whole as f64),
        Some(digits) if digits.len() > MAX_FRACTION_DIGITS => return None,
        Some(digits) => unsigned(digits)? as f64 / 10_f64.powi(i32::try_from(digits.len()).ok()?),
    };
    Some(whole as f64 + fraction)
}

/// A whole field as hexadecimal digits without prefix.
pub(crate) fn hexadecimal(field: &[u8]) -> Option<u64> {
    if field.is_empty() || field.len() > 16 {
        return None;
    }
    field.iter().try_fold(0_u64, |value, &byte| {
        Some(value << 4 | u64::from(char::from(byte).to_digit(16)?))
    })
}

/// Bytes of unknown origin as text for people: invalid UTF-8, control characters and characters
/// that reorder text become `?`; cut at `limit` characters, with `…` as the last where something
/// was cut.
#[must_use]
pub fn printable(bytes: &[u8], limit: usize) -> String {
    // No more bytes than the characters can take; a cut character at the end is beyond the limit.
    let window = bytes.get(..limit.saturating_add(1).saturating_mul(4)).unwrap_or(bytes);
    let text = String::from_utf8_lossy(window);
    let mut out = String::with_capacity(window.len().min(limit));
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            out.pop();
            out.push('…');
            break;
        }
        out.push(if is_harmless(character) { character } else { '?' });
    }
    out
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{fffd}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `bytes` without blanks at both ends.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whole_or_not_at_all() {
        for (field, expected) in [
            (&b"0"[..], Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"99999999999999999999999999", None),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"1x", None),
            (b"\xff", None),
        ] {
            assert_eq!(unsigned(field), expected, "{field:?}");
        }
        for (field, expected) in [
            (&b"-9223372036854775808"[..], Some(i64::MIN)),
            (b"-9223372036854775809", None),
            (b"9223372036854775808", None),
            (b"-", None),
            (b"--1", None),
            (b"-40000", Some(-40_000)),
        ] {
            assert_eq!(signed(field), expected, "{field:?}");
        }
        for (field, expected) in [
            (&b"0.27"[..], Some(0.27)),
            (b"3", Some(3.0)),
            (b"3.", None),
            (b".5", None),
            (b"inf", None),
            (b"nan", None),
            (b"1e9", None),
            (b"-0.1", None),
            (b"0.1234567890", None),
        ] {
            assert_eq!(decimal(field), expected, "{field:?}");
        }
        for (field, expected) in
            [(&b"0003"[..], Some(3)), (b"fFfF", Some(65535)), (b"0x1", None), (b"", None)]
        {
            assert_eq!(hexadecimal(field), expected, "{field:?}");
        }
    }

    #[test]
    fn text_for_people_holds_nothing_that_moves_a_terminal() {
        for (bytes, limit, expected) in [
            (&b"plain"[..], 10, "plain"),
            (b"exact", 5, "exact"),
            (b"too long", 5, "too …"),
            (b"\x1b[2Jred\xff", 20, "?[2Jred?"),
            ("gr\u{fc}n \u{202e}evil".as_bytes(), 20, "grün ?evil"),
            (b"anything", 0, "…"),
        ] {
            assert_eq!(printable(bytes, limit), expected);
        }
    }

    #[test]
    fn lines_and_fields_need_no_final_newline() {
        let got: Vec<_> = lines(b"a\n\n b  c\t\nd").collect();
        assert_eq!(got, [(1, &b"a"[..]), (2, b""), (3, b" b  c\t"), (4, b"d")]);
        assert_eq!(fields(b" b  c\t").collect::<Vec<_>>(), [b"b", b"c"]);
    }
}
