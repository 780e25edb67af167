//! Files of `/sys` that hold one value: EDAC counters, sensors, links, device attributes.

use super::scan::{hexadecimal, printable, signed, trim, unsigned};
use super::{ParseError, bounded};

/// Parses a file that holds one number that cannot be negative (`ce_count`, `size`, `carrier`).
/// `file` is what the error names.
///
/// # Errors
/// When it holds anything else.
pub fn parse_unsigned(file: &'static str, bytes: &[u8]) -> Result<u64, ParseError> {
    let field = trim(bounded(file, bytes)?);
    unsigned(field).ok_or_else(|| ParseError::number(file, 1, "the value", field))
}

/// Parses a file that holds one number (`speed`, where -1 means unknown).
///
/// # Errors
/// When it holds anything else.
pub fn parse_signed(file: &'static str, bytes: &[u8]) -> Result<i64, ParseError> {
    let field = trim(bounded(file, bytes)?);
    signed(field).ok_or_else(|| ParseError::number(file, 1, "the value", field))
}

/// Parses a file that holds one hexadecimal number (`flags`).
///
/// # Errors
/// When it holds anything else.
pub fn parse_hexadecimal(file: &'static str, bytes: &[u8]) -> Result<u64, ParseError> {
    let field = trim(bounded(file, bytes)?);
    field
        .strip_prefix(b"0x")
        .and_then(hexadecimal)
        .ok_or_else(|| ParseError::number(file, 1, "the value", field))
}

/// Parses a `temp*_input` of hwmon: thousandths of a degree, as degrees.
///
/// # Errors
/// When it holds no number.
pub fn parse_temperature(bytes: &[u8]) -> Result<f64, ParseError> {
    // Millidegrees of anything real fit an i32, and that far an f64 is exact.
    let millidegrees = parse_signed("hwmon temperature", bytes)?;
    i32::try_from(millidegrees)
        .map(|value| f64::from(value) / 1000.0)
        .map_err(|_| ParseError::number("hwmon temperature", 1, "the value", trim(bytes)))
}

/// A file that holds one line of text, made printable and cut.
#[must_use]
pub fn text(bytes: &[u8], limit: usize) -> String {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    printable(trim(line), limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_or_an_error() {
        assert_eq!(parse_unsigned("ce_count", b"12\n"), Ok(12));
        assert_eq!(parse_signed("speed", b"-1\n"), Ok(-1));
        assert_eq!(parse_hexadecimal("flags", b"0x1003\n"), Ok(0x1003));
        assert_eq!(parse_temperature(b"-40500\n"), Ok(-40.5));
        assert_eq!(text(b"  Samsung SSD 990 \n\nmore", 40), "Samsung SSD 990");
        for (error, expected) in [
            (
                parse_unsigned("ce_count", b"-1").unwrap_err(),
                "ce_count, line 1: the value is not a number that fits: \"-1\"",
            ),
            (
                parse_unsigned("ce_count", b"").unwrap_err(),
                "ce_count, line 1: the value is not a number that fits: \"\"",
            ),
            (
                parse_signed("speed", b"fast").unwrap_err(),
                "speed, line 1: the value is not a number that fits: \"fast\"",
            ),
            (
                parse_hexadecimal("flags", b"1003").unwrap_err(),
                "flags, line 1: the value is not a number that fits: \"1003\"",
            ),
            (
                parse_temperature(b"99999999999").unwrap_err(),
                "hwmon temperature, line 1: the value is not a number that fits: \"99999999999\"",
            ),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
