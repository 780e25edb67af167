//! How durations, sizes and paths are written in the config: `5s`, `15m`, `1h30m`, `7d`; `10GB`, `512MiB`.
//!
//! What is printed parses to the same value again. Numbers without a unit are refused: `60` could
//! be seconds or minutes.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sickbay_collect::{LatencyTarget, ParseLatencyTargetError};

/// How a duration is written, for messages.
pub const DURATION_FORM: &str =
    "a number and a unit: 500ms, 5s, 15m, 1h30m, 7d, 2w or 1y (a year is 365 days)";

/// How a size is written, for messages.
pub const SIZE_FORM: &str = "a number and a unit: 512B, 10GB (1000³) or 512MiB (1024²)";

const DURATION_UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// A duration as it is written in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

impl FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("{text:?} is not a duration; write {DURATION_FORM}");
        let mut rest = text.trim();
        let mut total_ms = 0.0_f64;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let (number, unit, tail) = split_quantity(rest).ok_or_else(refuse)?;
            let (_, unit_ms) =
                DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
            #[expect(clippy::cast_precision_loss, reason = "unit sizes are far below 2^53")]
            let factor = *unit_ms as f64;
            total_ms += number * factor;
            rest = tail;
        }
        // About 31 million years: anything longer is a typing mistake, and f64 stays exact below.
        if !total_ms.is_finite() || total_ms > 9e15 {
            return Err(refuse());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        Ok(Self(Duration::from_millis(total_ms.round() as u64)))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return f.write_str("0s");
        }
        // Weeks are understood but not written: "7d" reads better than "1w".
        let exact = DURATION_UNITS
            .iter()
            .rev()
            .filter(|(name, _)| *name != "w")
            .find(|(_, unit_ms)| ms.is_multiple_of(*unit_ms));
        let (name, unit_ms) = exact.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", ms / unit_ms)
    }
}

/// A size in bytes as it is written in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeText(pub u64);

impl FromStr for SizeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("{text:?} is not a size; write {SIZE_FORM}");
        let (number, unit, tail) = split_quantity(text.trim()).ok_or_else(refuse)?;
        let known = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, unit_bytes) = known.ok_or_else(refuse)?;
        #[expect(clippy::cast_precision_loss, reason = "unit sizes are powers that f64 holds")]
        let bytes = number * *unit_bytes as f64;
        if !tail.is_empty() || !bytes.is_finite() || bytes > 9e18 {
            return Err(refuse());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        Ok(Self(bytes.round() as u64))
    }
}

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact =
            SIZE_UNITS.iter().filter(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        // The shortest number: 10GB rather than 10000MB, 512MiB rather than 536870912B.
        let best = exact.min_by_key(|(_, unit)| self.0 / unit).copied().unwrap_or(("B", 1));
        write!(f, "{}{}", self.0 / best.1, best.0)
    }
}

/// Splits `15m30s` into `(15, "m", "30s")`.
fn split_quantity(text: &str) -> Option<(f64, &str, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let number: f64 = number.parse().ok()?;
    let rest = rest.trim_start();
    let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, tail) = rest.split_at(unit_end);
    Some((number, unit, tail.trim_start()))
}

macro_rules! as_text {
    ($type:ident, $name:literal, $format:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "examples": [$example] })
            }
        }
    };
}

/// A path. `~/` at its start is the home directory; a relative one in a file is relative to that
/// file's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathText(pub PathBuf);

/// A program or a library: a path, or a bare name that is searched for as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramText(pub PathBuf);

/// Where round trips are measured to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetText(pub LatencyTarget);

impl FromStr for TargetText {
    type Err = ParseLatencyTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for TargetText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A web address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlText(pub String);

impl FromStr for UrlText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        reqwest::Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .map(|_| Self(text.to_owned()))
            .ok_or_else(|| format!("{text:?} is not a web address"))
    }
}

impl fmt::Display for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! as_path {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(PathBuf::from(text)))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.display())
            }
        }
    };
}

as_path!(PathText);
as_path!(ProgramText);

as_text!(PathText, "Path", "path", "/var/lib/sickbay");
as_text!(ProgramText, "Program", "program", "/opt/venv/bin/python");
as_text!(TargetText, "LatencyTarget", "latency-target", "tcp:db.example:5432");
as_text!(UrlText, "Url", "url", "https://hooks.example/sickbay");
as_text!(DurationText, "Duration", "duration", "15m");
as_text!(SizeText, "Size", "size", "10GB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms, printed) in [
            ("5s", 5_000, "5s"),
            ("500ms", 500, "500ms"),
            ("1.5s", 1_500, "1500ms"),
            ("15m", 900_000, "15m"),
            ("1h30m", 5_400_000, "90m"),
            ("1h 30m", 5_400_000, "90m"),
            ("7d", 604_800_000, "7d"),
            ("1w", 604_800_000, "7d"),
            ("2y", 63_072_000_000, "2y"),
            ("0s", 0, "0s"),
        ] {
            let duration: DurationText = text.parse().expect(text);
            assert_eq!(duration.0.as_millis(), ms, "{text}");
            assert_eq!(duration.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(duration), "{text}");
        }
        for text in ["", "5", "s", "5 parsecs", "-5s", "1e3s", "5s5", "99999999999y", "..s"] {
            assert!(text.parse::<DurationText>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("10GB", 10_000_000_000, "10GB"),
            ("10gb", 10_000_000_000, "10GB"),
            ("512MiB", 536_870_912, "512MiB"),
            ("1.5 GiB", 1_610_612_736, "1536MiB"),
            ("2GiB", 2_147_483_648, "2GiB"),
            ("0B", 0, "0B"),
            ("1001B", 1001, "1001B"),
        ] {
            let size: SizeText = text.parse().expect(text);
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed, "{text}");
            assert_eq!(printed.parse(), Ok(size), "{text}");
        }
        for text in ["", "10", "GB", "10 elephants", "-1GB", "10GB5", "99999999999TB"] {
            assert!(text.parse::<SizeText>().is_err(), "{text:?}");
        }
    }
}
