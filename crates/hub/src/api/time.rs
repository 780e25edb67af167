//! Times and durations as people write them in an address.

use std::time::Duration;

use sickbay_model::Timestamp;

use super::problem::ProblemResponse;
use super::query::{Query, wrong};

/// The units of a duration, with their lengths in seconds.
const UNITS: [(&str, f64); 6] =
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

/// The longest duration that is taken: a hundred years.
const MAX_SECONDS: f64 = 100.0 * 365.0 * 86_400.0;

/// A time: RFC 3339, `now`, or before now (`-1h`).
///
/// # Errors
/// 400 when it is something else.
pub(super) fn instant(
    query: &Query,
    name: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, ProblemResponse> {
    query
        .one(name)?
        .map(|text| {
            parse_instant(text, now).ok_or_else(|| {
                wrong(name, text, "a time (RFC 3339, `now`, or before now such as `-1h`)", "-24h")
            })
        })
        .transpose()
}

/// A duration such as `60s` or `5m`.
///
/// # Errors
/// 400 when it is something else, or zero.
pub(super) fn duration(query: &Query, name: &str) -> Result<Option<Duration>, ProblemResponse> {
    query
        .one(name)?
        .map(|text| {
            parse_duration(text).filter(|step| !step.is_zero()).ok_or_else(|| {
                wrong(name, text, "a duration with its unit (ms, s, m, h, d, w)", "5m")
            })
        })
        .transpose()
}

fn parse_instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text == "now" {
        return Some(now);
    }
    if let Some(ago) = text.strip_prefix('-') {
        return parse_duration(ago).map(|ago| now.minus(ago));
    }
    // An offset's `+` arrives as a space when the client did not encode it.
    text.replace(' ', "+").parse().ok()
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let (_, unit_seconds) = UNITS.into_iter().find(|(word, _)| *word == unit)?;
    let seconds = number.parse::<f64>().ok()? * unit_seconds;
    (0.0..=MAX_SECONDS).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        for (text, expected) in [
            ("now", Some("2026-11-21T12:00:00Z")),
            ("-1h", Some("2026-11-21T11:00:00Z")),
            ("-1.5h", Some("2026-11-21T10:30:00Z")),
            ("-7d", Some("2026-11-14T12:00:00Z")),
            ("2026-11-21T10:30:00+01:00", Some("2026-11-21T09:30:00Z")),
            ("2026-11-21T10:30:00 01:00", Some("2026-11-21T09:30:00Z")),
            ("2026-11-21T09:30:00Z", Some("2026-11-21T09:30:00Z")),
            ("1h", None),
            ("-1", None),
            ("-h", None),
            ("--1h", None),
            ("-1y", None),
            ("-1e300h", None),
            ("-99999999999999999999w", None),
            ("yesterday", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("a time"));
            assert_eq!(parse_instant(text, now), expected, "{text:?}");
        }
    }
}
