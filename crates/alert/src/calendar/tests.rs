use std::time::Duration;

use jiff::civil;
use proptest::prelude::*;

use super::*;

/// Half an hour of daylight saving, none, a skipped day, a repeated day, changes at midnight.
const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Juneau",
    "America/Havana",
    "Africa/Casablanca",
    "+05:45",
];

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn calendar(text: &str) -> Calendar {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `from/until`, as short as they can be written.
fn stretch(text: &str) -> Stretch {
    let (from, until) = text.split_once('/').expect(text);
    Stretch { from: at(from), until: at(until) }
}

#[test]
fn stretches_by_the_calendar() {
    for (text, now, expected) in [
        // A Saturday in November: the next is Monday's.
        (
            "mon-fri 09:00-18:00 Europe/Berlin",
            "2026-11-28T12:00Z",
            "2026-11-30T08:00Z/2026-11-30T17:00Z",
        ),
        (
            "mon-fri 09:00-18:00 Europe/Berlin",
            "2026-11-27T16:59:59Z",
            "2026-11-27T08:00Z/2026-11-27T17:00Z",
        ),
        (
            "mon-fri 09:00-18:00 Europe/Berlin",
            "2026-11-27T17:00Z",
            "2026-11-30T08:00Z/2026-11-30T17:00Z",
        ),
        // Past midnight.
        ("daily 22:00-06:00", "2026-11-28T03:00Z", "2026-11-27T22:00Z/2026-11-28T06:00Z"),
        ("daily 22:00-00:00", "2026-11-28T23:00Z", "2026-11-28T22:00Z/2026-11-29T00:00Z"),
        ("fri 22:00-06:00", "2026-11-28T07:00Z", "2026-12-04T22:00Z/2026-12-05T06:00Z"),
        // The month's.
        ("first tue 02:00-04:00", "2026-11-28T00:00Z", "2026-12-01T02:00Z/2026-12-01T04:00Z"),
        ("last fri 02:00-04:00", "2026-11-28T00:00Z", "2026-12-25T02:00Z/2026-12-25T04:00Z"),
        ("-2 fri 02:00-04:00", "2026-11-28T00:00Z", "2026-12-18T02:00Z/2026-12-18T04:00Z"),
        ("fifth mon 02:00-04:00", "2026-12-01T00:00Z", "2027-03-29T02:00Z/2027-03-29T04:00Z"),
        ("second,4th sun 02:00-04:00", "2026-12-14T00:00Z", "2026-12-27T02:00Z/2026-12-27T04:00Z"),
        ("day 31 00:00-01:00", "2026-11-01T00:00Z", "2026-12-31T00:00Z/2026-12-31T01:00Z"),
        ("last day 23:00-01:00", "2028-02-02T00:00Z", "2028-02-29T23:00Z/2028-03-01T01:00Z"),
        ("day -2 00:00-01:00", "2026-02-01T00:00Z", "2026-02-27T00:00Z/2026-02-27T01:00Z"),
        ("day 1-7 09:00-10:00", "2026-11-07T10:00Z", "2026-12-01T09:00Z/2026-12-01T10:00Z"),
        // Whole days that touch are one stretch, as are parts that overlap.
        ("sat,sun", "2026-11-29T00:00Z", "2026-11-28T00:00Z/2026-11-30T00:00Z"),
        (
            "fri 18:00-24:00; sat-sun; mon 00:00-06:00",
            "2026-11-29T00:00Z",
            "2026-11-27T18:00Z/2026-11-30T06:00Z",
        ),
        (
            "daily 09:00-12:00; daily 11:00-13:00",
            "2026-11-29T10:00Z",
            "2026-11-29T09:00Z/2026-11-29T13:00Z",
        ),
        // Once.
        (
            "2026-12-24T18:00+01:00/2026-12-27T08:00+01:00",
            "2026-11-28T00:00Z",
            "2026-12-24T17:00Z/2026-12-27T07:00Z",
        ),
        (
            "2026-12-24T18:00/2h30m Europe/Berlin",
            "2026-12-24T18:00Z",
            "2026-12-24T17:00Z/2026-12-24T19:30Z",
        ),
        (
            "2026-12-24/2026-12-27 America/New_York",
            "2026-12-24T18:00Z",
            "2026-12-24T05:00Z/2026-12-27T05:00Z",
        ),
    ] {
        assert_eq!(
            calendar(text).current_or_next(at(now)),
            Some(stretch(expected)),
            "{text} at {now}"
        );
    }
    let once = calendar("2026-12-24T18:00Z/2h");
    assert_eq!(once.current_or_next(at("2026-12-24T20:00Z")), None);
}

#[test]
fn a_clock_that_is_set_takes_no_time_away_and_gives_none_twice() {
    for (text, now, expected) in [
        // 02:00 is 03:00 on 2027-03-28: what begins between begins with the skip.
        (
            "daily 02:30-04:00 Europe/Berlin",
            "2027-03-28T00:00Z",
            "2027-03-28T01:00Z/2027-03-28T02:00Z",
        ),
        (
            "daily 01:00-02:30 Europe/Berlin",
            "2027-03-28T00:00Z",
            "2027-03-28T00:00Z/2027-03-28T01:00Z",
        ),
        // Skipped whole: the next day's.
        (
            "daily 02:10-02:50 Europe/Berlin",
            "2027-03-27T12:00Z",
            "2027-03-29T00:10Z/2027-03-29T00:50Z",
        ),
        // 02:00 to 03:00 are twice on 2026-10-25: from the first showing to the last.
        (
            "daily 02:10-02:50 Europe/Berlin",
            "2026-10-25T00:00Z",
            "2026-10-25T00:10Z/2026-10-25T01:50Z",
        ),
        (
            "daily 02:30-04:00 Europe/Berlin",
            "2026-10-25T00:00Z",
            "2026-10-25T00:30Z/2026-10-25T03:00Z",
        ),
        (
            "daily 01:00-02:30 America/New_York",
            "2027-03-14T00:00Z",
            "2027-03-14T06:00Z/2027-03-14T07:00Z",
        ),
        // Lord Howe's clock is set by half an hour.
        (
            "daily 01:45-03:00 Australia/Lord_Howe",
            "2027-04-03T14:00Z",
            "2027-04-03T14:45Z/2027-04-03T16:30Z",
        ),
        (
            "daily 02:10-03:00 Australia/Lord_Howe",
            "2026-10-03T15:00Z",
            "2026-10-03T15:30Z/2026-10-03T16:00Z",
        ),
        (
            "daily 09:00-10:00 Asia/Kathmandu",
            "2026-11-28T00:00Z",
            "2026-11-28T03:15Z/2026-11-28T04:15Z",
        ),
        // Samoa had no 30 December 2011.
        (
            "daily 09:00-10:00 Pacific/Apia",
            "2011-12-29T20:00Z",
            "2011-12-30T19:00Z/2011-12-30T20:00Z",
        ),
        (
            "fri 09:00-10:00 Pacific/Apia",
            "2011-12-29T20:00Z",
            "2012-01-05T19:00Z/2012-01-05T20:00Z",
        ),
        (
            "thu 22:00-06:00 Pacific/Apia",
            "2011-12-29T20:00Z",
            "2011-12-30T08:00Z/2011-12-30T10:00Z",
        ),
    ] {
        assert_eq!(
            calendar(text).current_or_next(at(now)),
            Some(stretch(expected)),
            "{text} at {now}"
        );
    }
}

#[test]
fn when_it_changes() {
    let work = calendar("mon-fri 09:00-18:00");
    let (night, day) = (at("2026-11-27T08:00Z"), at("2026-11-27T12:00Z"));
    assert!(!work.covers(night) && work.covers(day));
    assert_eq!(work.ends_at(night), None);
    assert_eq!(work.next_change(night), Some(at("2026-11-27T09:00Z")));
    assert_eq!(work.ends_at(day), Some(at("2026-11-27T18:00Z")));
    assert_eq!(work.next_change(day), Some(at("2026-11-27T18:00Z")));
    let always = calendar("daily 00:00-24:00 Europe/Berlin");
    assert_eq!(always.current_or_next(day), Some(Stretch::ALWAYS));
    assert_eq!((always.ends_at(day), always.next_change(day)), (None, None));
}

#[test]
fn text_forms_print_as_they_are_read() {
    for (text, printed) in [
        ("mon-fri 09:00-18:00 Europe/Berlin", "mon-fri 09:00-18:00 Europe/Berlin"),
        ("Sun,MON,tuesday 9:00-18:00 europe/berlin", "mon,tue,sun 09:00-18:00 Europe/Berlin"),
        ("fri-mon", "mon,fri-sun 00:00-24:00 UTC"),
        ("daily 22:00-06:00", "daily 22:00-06:00 UTC"),
        ("1st,last,-2 tue 02:00-04:00 Z", "first,-2,last tue 02:00-04:00 UTC"),
        ("first day +05:45", "day 1 00:00-24:00 +05:45"),
        ("day 28-31,-1,1 -03:00", "day 1,28,29,30,31,-1 00:00-24:00 -03:00"),
        ("day -3--1", "day -3,-2,-1 00:00-24:00 UTC"),
        (
            "2026-12-24T18:00+01:00/2h;daily;",
            "2026-12-24T17:00:00.000Z/2026-12-24T19:00:00.000Z; daily 00:00-24:00 UTC",
        ),
    ] {
        let read = calendar(text);
        assert_eq!(read.to_string(), printed);
        assert_eq!(calendar(printed), read);
        let stored = serde_json::to_string(&read).expect("text");
        assert_eq!(serde_json::from_str::<Calendar>(&stored).expect(&stored), read);
    }
}

#[test]
fn a_zone_is_the_caller_s_unless_it_is_named() {
    let berlin = Zone::named("Europe/Berlin").expect("known");
    let now = at("2026-11-28T12:00Z");
    for (text, expected) in [
        ("sat 09:00-10:00", "sat 09:00-10:00 Europe/Berlin"),
        ("sat 09:00-10:00 UTC", "sat 09:00-10:00 UTC"),
        ("2h", "2026-11-28T12:00:00.000Z/2026-11-28T14:00:00.000Z"),
        ("2026-11-28T12:00/2h", "2026-11-28T11:00:00.000Z/2026-11-28T13:00:00.000Z"),
    ] {
        let read = Calendar::parse(text, &berlin, Some(now)).expect(text);
        assert_eq!(read.to_string(), expected);
    }
}

#[test]
fn mistakes_say_what_to_write() {
    let days = "are no days: write daily, mon-fri, sat,sun, `first tue`, `last fri`, `day 15` or `last day`";
    let hours = "are no hours: write from 00:00 until 24:00, such as 09:00-18:00 or 22:00-06:00";
    let zone = "is no time zone that this machine knows: write an IANA name such as Europe/Berlin, UTC, or an offset such as +01:00";
    let once = "is no stretch of time: write begin/end or begin/duration, such as 2026-12-24T18:00+01:00/2026-12-27T08:00+01:00 or 2026-12-24T18:00+01:00/2h";
    for (text, says) in [
        (
            "",
            "a calendar needs a stretch of time, such as `mon-fri 09:00-18:00 Europe/Berlin`"
                .to_owned(),
        ),
        ("mo-fr 09:00-18:00", format!("`mo-fr` {days}")),
        ("first", format!("`first` {days}")),
        ("first tuesda", format!("`first tuesda` {days}")),
        ("-7 tue", format!("`-7 tue` {days}")),
        ("day 0", format!("`day 0` {days}")),
        ("day 32", format!("`day 32` {days}")),
        ("day -1-3", format!("`day -1-3` {days}")),
        ("day", format!("`day ` {days}")),
        ("mon 9-18", format!("`9-18` {hours}")),
        ("mon 09:00-24:01", format!("`09:00-24:01` {hours}")),
        ("mon 24:00-03:00", format!("`24:00-03:00` {hours}")),
        (
            "mon 09:00-09:00",
            "`09:00-09:00` has no length: for a whole day write 00:00-24:00".to_owned(),
        ),
        ("mon 09:00-18:00 Europe/Berlim", format!("`Europe/Berlim` {zone}")),
        ("mon 09:00-18:00 ../../etc/passwd", format!("`../../etc/passwd` {zone}")),
        ("mon 09:00-18:00 +25:00", format!("`+25:00` {zone}")),
        (
            "mon 09:00-18:00 UTC daily",
            "`daily` is left over: write days, hours and time zone; separate parts with `;`"
                .to_owned(),
        ),
        (
            "mon 09:00-18:00; fri 09:00-16:00 UTC",
            "some parts name a time zone and others do not: write it in each part".to_owned(),
        ),
        ("2026-12-24/tomorrow", format!("`2026-12-24/tomorrow` {once}")),
        (
            "2026-12-24T18:00Z/2026-12-24T18:00Z",
            "`2026-12-24T18:00Z/2026-12-24T18:00Z` ends before it begins".to_owned(),
        ),
        (
            "2h",
            "`2h` needs a begin here: write begin/duration, such as 2026-12-24T18:00+01:00/2h"
                .to_owned(),
        ),
    ] {
        let error = text.parse::<Calendar>().expect_err(text);
        assert_eq!(error.to_string(), says, "{text}");
    }
    assert_eq!("mon;".repeat(33).parse::<Calendar>(), Err(CalendarMistake::TooMany));
    assert_eq!("x".repeat(1 << 20).parse::<Calendar>(), Err(CalendarMistake::TooMany));
}

#[test]
fn durations() {
    for (text, seconds) in [
        ("90s", Some(90)),
        ("1h30m", Some(5400)),
        ("1w", Some(604_800)),
        ("0s", None),
        ("2", None),
        ("h", None),
        ("2y", None),
        ("", None),
        ("99999999999999999999w", None),
        ("9999999w", None),
    ] {
        assert_eq!(text::duration(text), seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn the_ends_of_time_are_no_ends_of_the_program() {
    for text in
        ["daily 22:00-06:00", "first mon", "fifth mon", "day -1", "daily", "2026-12-24T18:00Z/2h"]
    {
        for zone in ZONES {
            let zone = Zone::named(zone).expect(zone);
            let calendar = Calendar::parse(text, &zone, None).expect(text);
            for ms in [i64::MIN, i64::MAX, i64::MIN + 1, i64::MAX - 1, 0] {
                let now = Timestamp::from_unix_ms(ms);
                let _ = (calendar.covers(now), calendar.next_change(now), calendar.ends_at(now));
            }
        }
    }
}

/// Around every change of the clock of every zone, and at any other time.
fn moments() -> impl Strategy<Value = (Zone, Timestamp)> {
    let zone = proptest::sample::select(ZONES).prop_map(|name| Zone::named(name).expect(name));
    let any = (-5_000_000_000_000_i64..5_000_000_000_000).prop_map(Timestamp::from_unix_ms);
    (zone, any, 0_u8..3, -172_800_i64..172_800).prop_map(|(zone, any, kind, away)| {
        let seconds = any.as_unix_ms() / 1000;
        let from = jiff::Timestamp::from_second(seconds).expect("near");
        let change = if kind == 0 { None } else { zone.transition_after(from) };
        let base = change.map_or(seconds, jiff::Timestamp::as_second);
        (zone, Timestamp::from_unix_ms((base + away) * 1000))
    })
}

fn days() -> impl Strategy<Value = Days> {
    let weekday =
        (1_i8..=7).prop_map(|day| civil::Weekday::from_monday_one_offset(day).expect("1 to 7"));
    let place = |limit: i8| {
        (1..=limit, any::<bool>()).prop_map(|(day, from_end)| if from_end { -day } else { day })
    };
    let some = 1..4_usize;
    prop_oneof![
        proptest::collection::vec(weekday.clone(), 1..8).prop_map(Days::Weekly),
        proptest::collection::vec(place(31), some.clone()).prop_map(Days::Monthly),
        (proptest::collection::vec(place(5), some), weekday)
            .prop_map(|(places, day)| Days::MonthlyWeekday(places, day)),
    ]
}

fn hours() -> impl Strategy<Value = Hours> {
    (0_u16..1440, 0_u16..=1440)
        .prop_filter_map("has a length", |(from, until)| Hours::new(from, until).ok())
}

proptest! {
    #[test]
    fn answers_agree_with_each_other((zone, now) in moments(), days in days(), hours in hours()) {
        let repeating = Repeating::new(days, hours, zone).expect("valid");
        let calendar = Calendar::new(vec![Part::Repeating(repeating)]).expect("one");
        prop_assert_eq!(calendar.to_string().parse::<Calendar>(), Ok(calendar.clone()));
        let stretch = calendar.current_or_next(now).expect("every such calendar goes on for ever");
        prop_assert!(stretch.from < stretch.until);
        prop_assert!(stretch.until > now);
        prop_assert_eq!(calendar.covers(now), stretch.covers(now));
        let Some(change) = calendar.next_change(now) else { return Ok(()) };
        prop_assert!(change > now);
        prop_assert_ne!(calendar.covers(now), calendar.covers(change));
        let before = change.minus(Duration::from_millis(1));
        prop_assert_eq!(calendar.covers(now), calendar.covers(before));
        // What holds is the same whenever it is asked.
        prop_assert_eq!(calendar.current_or_next(before), Some(stretch));
    }

    #[test]
    fn what_a_clock_shows_is_covered((zone, now) in moments(), days in days(), hours in hours()) {
        // Minute by minute: where the clock shows a time within the hours, the calendar covers it.
        let local = zone.local(now);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).expect("small");
        let day = days.includes(local.date());
        let within = hours.shows(minute);
        let repeating = Repeating::new(days, hours, zone).expect("valid");
        let calendar = Calendar::new(vec![Part::Repeating(repeating)]).expect("one");
        prop_assert!(!(day && within) || calendar.covers(now), "{} at {}", calendar, now);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9:/ ;,TZ+-]{0,40}", now in any::<i64>()) {
        let now = Timestamp::from_unix_ms(now);
        if let Ok(calendar) = Calendar::parse(&text, &Zone::utc(), Some(now)) {
            prop_assert_eq!(calendar.to_string().parse::<Calendar>(), Ok(calendar.clone()));
            let _ = (calendar.covers(now), calendar.next_change(now));
        }
    }
}
