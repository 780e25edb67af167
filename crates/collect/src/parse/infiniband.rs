//! Files of a port below `/sys/class/infiniband`.

use super::scan::{trim, unsigned};
use super::{ParseError, bounded};

/// A state as the kernel writes it, a number and its name: `4: ACTIVE`.
const STATE_FILE: &str = "infiniband state";
const RATE_FILE: &str = "infiniband rate";

/// Bytes per second of one gigabit per second.
const BYTES_PER_GIGABIT: f64 = 125_000_000.0;

/// Parses `state` or `phys_state` (`4: ACTIVE`, `5: LinkUp`): the number, as the InfiniBand
/// specification has it.
///
/// # Errors
/// When it does not begin with a number below 16 and a colon.
pub fn parse_state(bytes: &[u8]) -> Result<u8, ParseError> {
    let field = trim(bounded(STATE_FILE, bytes)?);
    let number = field.split(|&byte| byte == b':').next().unwrap_or_default();
    let number = unsigned(number).filter(|_| number.len() < field.len());
    let number = number.and_then(|number| u8::try_from(number).ok()).filter(|number| *number < 16);
    number.ok_or_else(|| ParseError::number(STATE_FILE, 1, "the state", field))
}

/// Parses `rate` (`400 Gb/sec (4X NDR)`, `2.5 Gb/sec (1X SDR)`), in bytes per second.
///
/// # Errors
/// When it is no number of gigabits.
pub fn parse_rate(bytes: &[u8]) -> Result<f64, ParseError> {
    let field = trim(bounded(RATE_FILE, bytes)?);
    let wrong = || ParseError::number(RATE_FILE, 1, "the rate", field);
    let text = std::str::from_utf8(field).map_err(|_| wrong())?;
    let (number, unit) = text.split_once(' ').ok_or_else(wrong)?;
    let gigabits: f64 = number.parse().map_err(|_| wrong())?;
    let is_true = unit.starts_with("Gb/sec") && (0.0..1e6).contains(&gigabits);
    is_true.then_some(gigabits * BYTES_PER_GIGABIT).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_their_numbers() {
        for (text, state) in
            [("4: ACTIVE\n", 4), ("1: DOWN", 1), ("5: LinkUp\n", 5), ("3: Disabled", 3)]
        {
            assert_eq!(parse_state(text.as_bytes()), Ok(state), "{text}");
        }
        for text in
            ["", "ACTIVE", "4", ": ACTIVE", "-1: DOWN", "99: NEW", "4444444444444444444444: A"]
        {
            assert!(parse_state(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_bytes_per_second() {
        for (text, rate) in [
            ("400 Gb/sec (4X NDR)\n", 5e10),
            ("2.5 Gb/sec (1X SDR)", 312_500_000.0),
            ("10 Gb/sec (4X SDR)", 1.25e9),
        ] {
            assert_eq!(parse_rate(text.as_bytes()), Ok(rate), "{text}");
        }
        for text in
            ["", "400", "fast Gb/sec", "NaN Gb/sec", "-1 Gb/sec", "400 Mb/sec", "1e99 Gb/sec"]
        {
            assert!(parse_rate(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse_rate(b"\xff\xfe Gb/sec").is_err());
    }
}
