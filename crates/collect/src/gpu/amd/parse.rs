//! Parsers of what the `amdgpu` driver writes into sysfs. Pure; none panics on any bytes.

use crate::parse::scan::{fields, lines, signed, trim, unsigned};

/// A whole number, possibly negative, alone in its file.
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    signed(trim(bytes))
}

/// The levels of a clock (`pp_dpm_sclk`): the one in force and the highest, in MHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClockLevels {
    pub(super) current_mhz: Option<u64>,
    pub(super) highest_mhz: Option<u64>,
}

/// `0: 500Mhz`, `1: 1700Mhz *`; the star marks the level in force, `S:` a deep sleep.
pub(super) fn clock_levels(bytes: &[u8]) -> ClockLevels {
    let mut levels = ClockLevels::default();
    for (_, line) in lines(bytes) {
        let mut fields = fields(line);
        let (Some(_), Some(clock)) = (fields.next(), fields.next()) else { continue };
        let digits = clock.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, unit) = clock.split_at(digits);
        let Some(mhz) = unsigned(number).filter(|_| unit.eq_ignore_ascii_case(b"mhz")) else {
            continue;
        };
        levels.highest_mhz = levels.highest_mhz.max(Some(mhz));
        if fields.next() == Some(b"*") {
            levels.current_mhz = Some(mhz);
        }
    }
    levels
}

/// `16.0 GT/s PCIe` as a PCIe generation.
pub(super) fn pcie_generation(bytes: &[u8]) -> Option<u32> {
    match fields(bytes).next()? {
        b"2.5" => Some(1),
        b"5.0" | b"5" => Some(2),
        b"8.0" | b"8" => Some(3),
        b"16.0" | b"16" => Some(4),
        b"32.0" | b"32" => Some(5),
        b"64.0" | b"64" => Some(6),
        _ => None,
    }
}

/// Errors of one block of the chip (`ras/*_err_count`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorCounts {
    pub(super) uncorrected: Option<u64>,
    pub(super) corrected: Option<u64>,
}

/// `ue: 0`, `ce: 12`, each on its line.
pub(super) fn error_counts(bytes: &[u8]) -> ErrorCounts {
    let mut counts = ErrorCounts::default();
    for (_, line) in lines(bytes) {
        let mut fields = fields(line);
        match (fields.next(), fields.next().and_then(unsigned)) {
            (Some(b"ue:"), count) => counts.uncorrected = count,
            (Some(b"ce:"), count) => counts.corrected = count,
            _ => {}
        }
    }
    counts
}

/// Holds whatever the bytes are; for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_amd_bytes(bytes: &[u8]) {
    let clocks = clock_levels(bytes);
    assert!(clocks.current_mhz <= clocks.highest_mhz);
    assert!(pcie_generation(bytes).is_none_or(|generation| (1..=6).contains(&generation)));
    let _ = error_counts(bytes);
    if let Some(value) = number(bytes) {
        assert_eq!(number(value.to_string().as_bytes()), Some(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (text, current, highest) in [
            ("0: 500Mhz\n1: 1700Mhz *\n", Some(1700), Some(1700)),
            ("0: 132Mhz *\n1: 2100Mhz\n", Some(132), Some(2100)),
            ("S: 19Mhz *\n0: 400Mhz \n1: 3105Mhz \n", Some(19), Some(3105)),
            ("0: 900Mhz\n", None, Some(900)),
            ("0: 99999999999999999999Mhz *\n1: Mhz *\n2: 7GHz *\n*\n:\n", None, None),
            ("", None, None),
        ] {
            let expected = ClockLevels { current_mhz: current, highest_mhz: highest };
            assert_eq!(clock_levels(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn links_numbers_and_errors() {
        for (text, generation) in [
            ("16.0 GT/s PCIe\n", Some(4)),
            ("2.5 GT/s PCIe\n", Some(1)),
            ("32.0 GT/s PCIe", Some(5)),
            ("8 GT/s", Some(3)),
            ("Unknown\n", None),
            ("", None),
        ] {
            assert_eq!(pcie_generation(text.as_bytes()), generation, "{text:?}");
        }
        for (text, value) in
            [("42\n", Some(42)), ("-3000\n", Some(-3000)), ("4 2", None), ("", None), ("N/A", None)]
        {
            assert_eq!(number(text.as_bytes()), value, "{text:?}");
        }
        for (text, uncorrected, corrected) in [
            ("ue: 0\nce: 12\n", Some(0), Some(12)),
            ("ce: 7\n", None, Some(7)),
            ("ue: x\nce:\n", None, None),
            ("garbage", None, None),
        ] {
            let expected = ErrorCounts { uncorrected, corrected };
            assert_eq!(error_counts(text.as_bytes()), expected, "{text:?}");
        }
    }
}
