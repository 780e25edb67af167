//! `/proc/uptime`: seconds since boot.

use super::scan::{decimal, fields};
use super::{ParseError, bounded};

const FILE: &str = "/proc/uptime";

/// Parses `/proc/uptime`: seconds since boot.
///
/// # Errors
/// When the first field is missing or no number.
pub fn parse(bytes: &[u8]) -> Result<f64, ParseError> {
    let field = fields(bounded(FILE, bytes)?).text(FILE, 1, "uptime")?;
    decimal(field).ok_or_else(|| ParseError::number(FILE, 1, "uptime", field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        assert_eq!(parse(b"1521.80 2602.92\n").unwrap(), 1521.8);
        for (input, expected) in [
            (&b"\n"[..], "/proc/uptime, line 1: uptime is missing"),
            (b"-5.0 1", "/proc/uptime, line 1: uptime is not a number that fits: \"-5.0\""),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
