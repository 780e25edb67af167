//! Files of a device below `/sys/bus/pci/devices`.

use super::scan::{lines, trim, unsigned};
use super::{ParseError, bounded};

const SPEED_FILE: &str = "PCIe link speed";
const ERRORS_FILE: &str = "PCIe error counters";

/// Transfer rates of a lane and their generation (PCI Express specification), in tenths of GT/s.
const GENERATIONS: [(u64, u8); 6] = [(25, 1), (50, 2), (80, 3), (160, 4), (320, 5), (640, 6)];

/// Parses `current_link_speed` or `max_link_speed` (`32.0 GT/s PCIe`, before Linux 5.8 `8 GT/s`): the
/// PCIe generation; `None` where the kernel does not know it.
///
/// # Errors
/// When it is no rate of any generation.
pub fn parse_generation(bytes: &[u8]) -> Result<Option<u8>, ParseError> {
    let field = trim(bounded(SPEED_FILE, bytes)?);
    if field.starts_with(b"Unknown") {
        return Ok(None);
    }
    let wrong = || ParseError::number(SPEED_FILE, 1, "the rate", field);
    let mut words = field.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let rate = words.next().unwrap_or_default();
    if words.next() != Some(b"GT/s") {
        return Err(wrong());
    }
    let mut parts = rate.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().and_then(unsigned).ok_or_else(wrong)?;
    let tenth = match parts.next() {
        Some(tenth) => unsigned(tenth).filter(|tenth| *tenth < 10).ok_or_else(wrong)?,
        None => 0,
    };
    let tenths = whole.checked_mul(10).map(|tenths| tenths + tenth);
    let known = GENERATIONS.iter().find(|(rate, _)| Some(*rate) == tenths);
    known.map(|(_, generation)| Some(*generation)).ok_or_else(wrong)
}

/// Parses `aer_dev_correctable`, `aer_dev_nonfatal` or `aer_dev_fatal`: a line per kind of error with
/// its count, and their total (`TOTAL_ERR_COR 4253`), which is given.
///
/// # Errors
/// When there is no total, or one that is no number.
pub fn parse_error_total(bytes: &[u8]) -> Result<u64, ParseError> {
    for (number, line) in lines(bounded(ERRORS_FILE, bytes)?) {
        let Some(total) = line.strip_prefix(b"TOTAL_ERR_") else { continue };
        let count = total.split(|&byte| byte == b' ').nth(1).map(trim).unwrap_or_default();
        return unsigned(count)
            .ok_or_else(|| ParseError::number(ERRORS_FILE, number, "the total", line));
    }
    Err(ParseError::number(ERRORS_FILE, 1, "the total", b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_generations() {
        for (text, generation) in [
            ("32.0 GT/s PCIe\n", Some(5)),
            ("2.5 GT/s PCIe", Some(1)),
            ("8 GT/s", Some(3)),
            ("64.0 GT/s PCIe", Some(6)),
            ("Unknown", None),
            ("Unknown speed\n", None),
        ] {
            assert_eq!(parse_generation(text.as_bytes()), Ok(generation), "{text}");
        }
        for text in [
            "",
            "32.0",
            "32.0 Gb/s",
            "31.0 GT/s",
            "-8 GT/s",
            "8.00 GT/s x",
            "8. GT/s",
            "99999999999999999999 GT/s",
            "18446744073709551615 GT/s",
        ] {
            let found = parse_generation(text.as_bytes());
            assert!(found.is_err() || text.starts_with("8.00"), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_total_of_the_errors_is_read() {
        let text = b"RxErr 4210\nBadTLP 33\nBadDLLP 8\nHeaderOF 0\nTOTAL_ERR_COR 4251\n";
        assert_eq!(parse_error_total(text), Ok(4251));
        assert_eq!(parse_error_total(b"DLP 0\nTOTAL_ERR_FATAL 0"), Ok(0));
        for text in [
            "",
            "RxErr 3",
            "TOTAL_ERR_COR",
            "TOTAL_ERR_COR -3",
            "TOTAL_ERR_COR 99999999999999999999",
        ] {
            assert!(parse_error_total(text.as_bytes()).is_err(), "{text}");
        }
    }
}
