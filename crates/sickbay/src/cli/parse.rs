//! What people type after a flag: resources, times, durations.

use std::time::Duration;

use sickbay_model::{ResourceId, Timestamp};

use crate::config::units::DurationText;

/// `kind/name`, or a node's bare name.
pub(crate) fn resource(text: &str) -> Result<ResourceId, String> {
    text.parse().map_err(|error: sickbay_model::InvalidResourceId| error.to_string())
}

/// A duration such as `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let DurationText(duration) = text.parse()?;
    if duration.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(duration) }
}

/// A moment: RFC 3339, or a date with or without a time of day in this machine's zone.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let zone = jiff::tz::TimeZone::system();
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.at(0, 0, 0, 0)));
    civil
        .ok()
        .and_then(|civil| civil.to_zoned(zone).ok())
        .map(|at| Timestamp::from_unix_ms(at.timestamp().as_millisecond()))
        .ok_or_else(|| {
            "write a time such as 2026-11-21T09:30:00Z, \"2026-11-21 09:30\" or 2026-11-21"
                .to_owned()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for text in
            ["2026-11-21T09:30:00Z", "2026-11-21T10:30:00+01:00", "2026-11-21 09:30", "2026-11-21"]
        {
            assert!(moment(text).is_ok(), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "9:30"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
