//! `/proc/loadavg`: load averages over 1, 5 and 15 minutes.

use super::scan::{decimal, fields};
use super::{ParseError, bounded};

const FILE: &str = "/proc/loadavg";

/// Mean number of runnable and uninterruptible tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadAverage {
    /// Over one minute.
    pub one_minute: f64,
    /// Over five minutes.
    pub five_minutes: f64,
    /// Over fifteen minutes.
    pub fifteen_minutes: f64,
}

/// Parses `/proc/loadavg`.
///
/// # Errors
/// When one of the three averages is missing or no number.
pub fn parse(bytes: &[u8]) -> Result<LoadAverage, ParseError> {
    let mut words = fields(bounded(FILE, bytes)?);
    let mut next = |name: &'static str| {
        let field = words.text(FILE, 1, name)?;
        decimal(field).ok_or_else(|| ParseError::number(FILE, 1, name, field))
    };
    Ok(LoadAverage {
        one_minute: next("1-minute load")?,
        five_minutes: next("5-minute load")?,
        fifteen_minutes: next("15-minute load")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_or_an_error() {
        let load = parse(b"0.27 250.25 1024.24 1/96 12489\n").unwrap();
        assert_eq!(
            (load.one_minute, load.five_minutes, load.fifteen_minutes),
            (0.27, 250.25, 1024.24)
        );
        for (input, expected) in [
            (&b""[..], "/proc/loadavg, line 1: 1-minute load is missing"),
            (b"0.1 0.2", "/proc/loadavg, line 1: 15-minute load is missing"),
            (
                b"0.1 nan 0.3",
                "/proc/loadavg, line 1: 5-minute load is not a number that fits: \"nan\"",
            ),
            (b"-1 0 0", "/proc/loadavg, line 1: 1-minute load is not a number that fits: \"-1\""),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
