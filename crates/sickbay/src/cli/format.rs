//! Numbers, times and durations as a person reads them.

use std::time::Duration;

use sickbay_model::{Timestamp, Unit};

/// A value with its unit: `97.4 %`, `12.3 GiB`, `1.2 MiB/s`, `42 °C`.
#[must_use]
pub(super) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytes(value),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Boolean => if value >= 0.5 { "yes" } else { "no" }.to_owned(),
        Unit::Seconds => duration(Duration::try_from_secs_f64(value).unwrap_or_default()),
        Unit::Count => number(value),
        _ => format!("{} {}", number(value), unit.symbol()),
    }
}

/// A number with as many digits as matter.
#[must_use]
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 1e15 {
        return format!("{value:.3e}");
    } else if size >= 1000.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    };
    group(&text)
}

/// Groups the digits of large whole numbers by thousands.
fn group(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.len() <= 4 || digits.contains('.') {
        return text.to_owned();
    }
    let mut grouped = String::with_capacity(text.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}")
}

/// A number of bytes in powers of 1024.
#[must_use]
pub(super) fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut place) = (bytes, 0);
    while value.abs() >= 1000.0 && place + 1 < units.len() {
        value /= 1024.0;
        place += 1;
    }
    let unit = units.get(place).copied().unwrap_or("B");
    match (place, value.abs()) {
        (0, _) => format!("{value:.0} {unit}"),
        (_, size) if size >= 100.0 => format!("{value:.0} {unit}"),
        (_, size) if size >= 10.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// [`bytes`] of a whole number.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn byte_count(count: u64) -> String {
    bytes(count as f64)
}

/// A duration in its two largest units: `3 d 4 h`, `12 min`, `4.2 s`, `85 ms`.
#[must_use]
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 if duration.as_millis() == 0 => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago something was.
#[must_use]
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let age = now.since(then);
    if age < Duration::from_secs(1) {
        "just now".to_owned()
    } else {
        // Tenths of a second say nothing about an age.
        format!("{} ago", duration(Duration::from_secs(age.as_secs())).replace(".0 s", " s"))
    }
}

/// A time in this machine's zone: `14:03:05` today, `Nov 20 14:03:05` earlier, with the year when
/// it is another one.
#[must_use]
pub(super) fn time(at: Timestamp, now: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    let (Ok(at_utc), Ok(now_utc)) = (
        jiff::Timestamp::from_millisecond(at.as_unix_ms()),
        jiff::Timestamp::from_millisecond(now.as_unix_ms()),
    ) else {
        return at.to_string();
    };
    let (at, now) = (at_utc.to_zoned(zone.clone()), now_utc.to_zoned(zone));
    let form = if at.date() == now.date() {
        "%H:%M:%S"
    } else if at.year() == now.year() {
        "%b %d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.strftime(form).to_string()
}

/// `1 reading`, `1 234 567 readings`.
#[must_use]
pub(super) fn readings(count: f64) -> String {
    format!("{} reading{}", number(count), if count == 1.0 { "" } else { "s" })
}

/// `1 node`, `3 nodes`.
#[must_use]
pub(super) fn count(count: usize, singular: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {singular}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (given, unit, shown) in [
            (97.44, Unit::Percent, "97.4 %"),
            (100.0, Unit::Percent, "100 %"),
            (0.0, Unit::Percent, "0 %"),
            (12_884_901_888.0, Unit::Bytes, "12.0 GiB"),
            (512.0, Unit::Bytes, "512 B"),
            (1_258_291.0, Unit::BytesPerSecond, "1.20 MiB/s"),
            (42.0, Unit::Celsius, "42 °C"),
            (0.123_4, Unit::Milliseconds, "0.12 ms"),
            (123_456.0, Unit::Count, "123 456"),
            (1.0, Unit::Boolean, "yes"),
            (90_061.0, Unit::Seconds, "25 h 1 min"),
            (1.8e19, Unit::Count, "1.800e19"),
        ] {
            assert_eq!(value(given, unit), shown);
        }
    }

    #[test]
    fn durations_and_ages() {
        for (ms, shown) in [
            (0, "0 s"),
            (85, "85 ms"),
            (4_200, "4.2 s"),
            (61_000, "61 s"),
            (720_000, "12 min"),
            (270_000_000, "3 d 3 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), shown);
        }
        let now = Timestamp::from_unix_ms(10_000_000);
        for (ms, shown) in
            [(0, "just now"), (3_400, "3 s ago"), (-50, "just now"), (65_000, "65 s ago")]
        {
            assert_eq!(age(Timestamp::from_unix_ms(10_000_000 - ms), now), shown);
        }
    }
}
