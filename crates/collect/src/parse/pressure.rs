//! `/proc/pressure/{cpu,memory,io}`: share of time in which tasks waited.

use super::scan::{decimal, fields, lines};
use super::{ParseError, bounded};

const FILE: &str = "/proc/pressure";

/// Share of the last 10 s, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// In which some task waited.
    pub some_avg10: f64,
    /// In which all tasks waited; absent for CPU before Linux 5.13.
    pub full_avg10: Option<f64>,
}

/// Parses one file of `/proc/pressure`.
///
/// # Errors
/// When the `some` line is missing, or a known line has no `avg10` from 0 to 100.
pub fn parse(bytes: &[u8]) -> Result<Pressure, ParseError> {
    let (mut some, mut full) = (None, None);
    for (number, line) in lines(bounded(FILE, bytes)?) {
        let mut words = fields(line);
        let column = match words.next() {
            Some(b"some") => &mut some,
            Some(b"full") => &mut full,
            _ => continue,
        };
        let field = words
            .find_map(|word| word.strip_prefix(b"avg10="))
            .ok_or_else(|| ParseError::line(FILE, number, "avg10 is missing"))?;
        *column = match decimal(field).filter(|share| *share <= 100.0) {
            Some(share) => Some(share),
            None => return Err(ParseError::number(FILE, number, "avg10", field)),
        };
    }
    let some_avg10 =
        some.ok_or_else(|| ParseError::whole(FILE, "there is no line that starts with \"some\""))?;
    Ok(Pressure { some_avg10, full_avg10: full })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_is_needed_and_full_is_not() {
        for (input, expected) in [
            (&b"some avg10=1.53 avg60=0.87 avg300=0.72 total=1121\nfull avg10=0.25 avg60=0 avg300=0 total=9\n"[..], (1.53, Some(0.25))),
            (b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", (0.0, None)),
            (b"irq avg10=5\nsome avg1=7 avg10=100.00", (100.0, None)),
        ] {
            let pressure = parse(input).unwrap();
            assert_eq!((pressure.some_avg10, pressure.full_avg10), expected);
        }
        for (input, expected) in [
            (&b""[..], "/proc/pressure: there is no line that starts with \"some\""),
            (b"some avg60=1", "/proc/pressure, line 1: avg10 is missing"),
            (
                b"some avg10=100.01",
                "/proc/pressure, line 1: avg10 is not a number that fits: \"100.01\"",
            ),
            (b"some avg10=-1", "/proc/pressure, line 1: avg10 is not a number that fits: \"-1\""),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
