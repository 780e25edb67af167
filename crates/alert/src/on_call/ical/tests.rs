use proptest::prelude::*;

use super::*;

const GOOGLE: &str = include_str!("../../../../../fixtures/ical/google.ics");
const OUTLOOK: &str = include_str!("../../../../../fixtures/ical/outlook.ics");
const PAGERDUTY: &str = include_str!("../../../../../fixtures/ical/pagerduty.ics");
const OPSGENIE: &str = include_str!("../../../../../fixtures/ical/opsgenie.ics");

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn read(text: &str) -> Imported {
    parse(text, &Zone::utc()).unwrap_or_else(|error| panic!("{error}"))
}

/// A calendar of one event.
fn event(lines: &str) -> String {
    let lines = lines.trim();
    format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:jane\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

/// Who is on call from an instant on, and until when.
fn course(imported: &Imported, from: &str, changes: usize) -> Vec<String> {
    let (mut now, mut course) = (at(from), Vec::new());
    for _ in 0..changes {
        let next = imported.schedule.next_change(now);
        let until =
            next.map_or_else(|| "ever".to_owned(), |it| it.to_string().replace(":00.000Z", ""));
        course.push(format!("{} until {until}", imported.schedule.on_call(now).join("+")));
        let Some(next) = next else { break };
        now = next;
    }
    course
}

/// The begins of an event that comes back, from an instant on.
fn begins(lines: &str, from: &str, count: usize) -> Vec<String> {
    let imported = read(&event(lines));
    assert_eq!(imported.mistakes, [], "{lines}");
    let (mut now, mut begins) = (at(from), Vec::new());
    while begins.len() < count {
        let Some(next) = imported.schedule.next_change(now) else { break };
        if !imported.schedule.on_call(next).is_empty() {
            begins.push(next.to_string().replace(":00.000Z", ""));
        }
        now = next;
    }
    begins
}

#[test]
fn google_calendar() {
    let imported = read(GOOGLE);
    assert_eq!(imported.name.as_deref(), Some("GPU on-call"));
    assert_eq!((imported.events, imported.unread, imported.notes.len()), (4, 0, 0));
    let expected = [
        // Every other week, through the end of daylight saving time.
        "jane@example.com until 2026-10-26T08:00",
        "omar@example.com until 2026-11-02T08:00",
        "jane@example.com until 2026-11-09T08:00",
        "omar@example.com until 2026-11-16T08:00",
        "jane@example.com until 2026-11-23T08:00",
        "omar@example.com until 2026-11-30T08:00",
        // Mei takes Jane's, from noon.
        " until 2026-11-30T11:00",
        "mei@example.com until 2026-12-07T08:00",
        "omar@example.com until 2026-12-14T08:00",
        "jane@example.com until 2026-12-21T08:00",
        "omar@example.com until 2026-12-24T23:00",
    ];
    assert_eq!(course(&imported, "2026-10-20T00:00Z", 11), expected);
    let christmas = imported.schedule.on_call(at("2026-12-25T12:00Z"));
    assert_eq!(christmas, ["omar@example.com", "ana", "li"]);
    assert!(!imported.schedule.on_call(at("2026-11-01T12:00Z")).contains(&"nobody"));
}

#[test]
fn outlook() {
    let imported = read(OUTLOOK);
    let unread: Vec<String> = imported.mistakes.iter().map(Unread::to_string).collect();
    assert_eq!(
        unread,
        [
            "line 64, `Every eight hours`: its RRULE has `FREQ=HOURLY`, which cannot be read",
            "line 71, `Somewhere`: its time zone `Nowhere Standard Time` is unknown",
        ]
    );
    assert_eq!((imported.events, imported.unread), (2, 2));
    assert_eq!(
        imported.notes,
        ["the time zone `Customized Time Zone` is unknown: its times are read at -05:00 all year"]
    );
    let expected = [
        "priya@example.com until 2026-12-24T08:00",
        " until 2026-12-28T16:00",
        "priya@example.com until 2026-12-29T08:00",
    ];
    assert_eq!(course(&imported, "2026-12-24T00:00Z", 3), expected);
    // The last one begins on 26 March 2027, before daylight saving time.
    assert_eq!(imported.schedule.next_change(at("2027-03-27T08:00Z")), None);
    // Six first Tuesdays: the last is in January.
    assert_eq!(imported.schedule.on_call(at("2027-01-06T02:59Z")), ["priya@example.com", "tom"]);
    assert!(!imported.schedule.on_call(at("2027-02-03T00:00Z")).contains(&"tom"));
}

#[test]
fn pagerduty() {
    let imported = read(PAGERDUTY);
    assert_eq!((imported.events, imported.unread), (2, 0));
    let expected = [
        " until 2026-11-23T08:00",
        "jane@example.com until 2026-11-30T08:00",
        "Omar Haddad until 2026-12-07T08:00",
        " until ever",
    ];
    assert_eq!(course(&imported, "2026-11-20T00:00Z", 10), expected);
}

#[test]
fn opsgenie() {
    let imported = read(OPSGENIE);
    assert_eq!((imported.events, imported.unread, imported.notes.len()), (3, 0, 0));
    let expected = [
        " until 2026-11-01T00:00",
        "jane@example.com until 2026-11-01T13:00",
        "omar@example.com until 2026-11-03T01:00",
        "mei@example.com until 2026-11-03T13:00",
        " until 2026-11-05T01:00",
        "mei@example.com until 2026-11-05T03:00",
        " until 2026-11-06T01:00",
        "mei@example.com until 2026-11-06T02:00",
        " until 2026-11-08T01:00",
        "mei@example.com until 2026-11-08T13:00",
        " until ever",
    ];
    assert_eq!(course(&imported, "2026-10-31T00:00Z", 20), expected);
}

#[test]
fn rules() {
    let start = "DTSTART:20260105T090000Z\nDTEND:20260105T100000Z\n";
    for (rule, expected) in [
        ("FREQ=DAILY", "2026-01-05 2026-01-06 2026-01-07 2026-01-08 2026-01-09"),
        ("FREQ=DAILY;INTERVAL=10;COUNT=3", "2026-01-05 2026-01-15 2026-01-25"),
        ("FREQ=DAILY;BYDAY=SA,SU", "2026-01-05 2026-01-10 2026-01-11 2026-01-17 2026-01-18"),
        (
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=-1",
            "2026-01-05 2026-02-28 2027-02-28 2028-02-29 2029-02-28",
        ),
        ("FREQ=WEEKLY;UNTIL=20260119T090000Z", "2026-01-05 2026-01-12 2026-01-19"),
        ("FREQ=WEEKLY;UNTIL=20260119T085959Z", "2026-01-05 2026-01-12"),
        ("FREQ=WEEKLY;UNTIL=20260119", "2026-01-05 2026-01-12 2026-01-19"),
        (
            "FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=9;BYMINUTE=0",
            "2026-01-05 2026-01-09 2026-01-12 2026-01-16 2026-01-19",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO",
            "2026-01-05 2026-01-11 2026-01-19 2026-01-25 2026-02-02",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU",
            "2026-01-05 2026-01-18 2026-01-19 2026-02-01 2026-02-02",
        ),
        ("FREQ=MONTHLY", "2026-01-05 2026-02-05 2026-03-05 2026-04-05 2026-05-05"),
        ("FREQ=MONTHLY;BYDAY=1MO,-1FR", "2026-01-05 2026-01-30 2026-02-02 2026-02-27 2026-03-02"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "2026-01-05 2026-01-30 2026-02-27 2026-03-31 2026-04-30",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-05 2026-01-31 2026-03-31 2026-05-31 2026-07-31"),
        (
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
            "2026-01-05 2026-02-13 2026-03-13 2026-11-13 2027-08-13",
        ),
        ("FREQ=MONTHLY;INTERVAL=18;COUNT=3", "2026-01-05 2027-07-05 2029-01-05"),
        ("FREQ=YEARLY", "2026-01-05 2027-01-05 2028-01-05 2029-01-05 2030-01-05"),
        ("FREQ=YEARLY;BYMONTH=1,7", "2026-01-05 2026-07-05 2027-01-05 2027-07-05 2028-01-05"),
        ("FREQ=YEARLY;BYDAY=20MO", "2026-01-05 2026-05-18 2027-05-17 2028-05-15 2029-05-14"),
        (
            "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
            "2026-01-05 2026-10-25 2027-10-31 2028-10-29 2029-10-28",
        ),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
            "2026-01-05 2028-02-29 2032-02-29 2036-02-29 2040-02-29",
        ),
    ] {
        let found = begins(&format!("{start}RRULE:{rule}"), "2026-01-01T00:00Z", 5);
        let found: Vec<&str> = found.iter().filter_map(|it| it.strip_suffix("T09:00")).collect();
        assert_eq!(found.join(" "), expected, "{rule}");
    }
}

#[test]
fn far_from_its_begin_a_rule_is_found_at_once() {
    let lines = "DTSTART:19700101T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;INTERVAL=3";
    assert_eq!(begins(lines, "2026-01-01T00:00Z", 1), ["2026-01-01T09:00"]);
    let counted = format!("{lines};COUNT=6820");
    assert_eq!(begins(&counted, "2025-12-30T00:00Z", 3), ["2026-01-01T09:00", "2026-01-04T09:00"]);
}

#[test]
fn events_that_cannot_be_read_are_named() {
    let times = "DTSTART:20260105T090000Z\nDTEND:20260105T100000Z\n";
    for (lines, why) in [
        ("DTEND:20260105T100000Z", "it has no DTSTART"),
        ("DTSTART:2026-01-05", "DTSTART `2026-01-05` is no time"),
        ("DTSTART:20260105T090000Z", "it ends when it begins, or before"),
        ("DTSTART:20260105T090000Z\nDTEND:20260105T080000Z", "it ends when it begins, or before"),
        ("DTSTART:20260105T090000Z\nDURATION:-PT1H", "DURATION `-PT1H` is no duration"),
        (
            "DTSTART:20260105T090000Z\nDURATION:P400D\nRRULE:FREQ=DAILY",
            "it comes back and is longer than 366 days",
        ),
        (&format!("{times}RRULE:INTERVAL=2"), "its RRULE has no FREQ"),
        (
            &format!("{times}RRULE:FREQ=DAILY;INTERVAL=0"),
            "its RRULE has `INTERVAL=0`, which cannot be read",
        ),
        (
            &format!("{times}RRULE:FREQ=YEARLY;BYWEEKNO=20"),
            "its RRULE has `BYWEEKNO=20`, which cannot be read",
        ),
        (
            &format!("{times}RRULE:FREQ=DAILY;BYHOUR=9,17"),
            "its RRULE has `BYHOUR=9,17`, which cannot be read",
        ),
        (
            &format!("{times}RRULE:FREQ=WEEKLY;BYDAY=1MO"),
            "its RRULE numbers weekdays, which only months and years have",
        ),
        (&format!("{times}RRULE:FREQ=DAILY;COUNT=99999999999"), "its RRULE counts too far"),
        (
            &format!("{times}RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
            "its RRULE comes back too rarely, or never",
        ),
        (
            &format!("{times}RRULE:FREQ=DAILY;COUNT=0"),
            "its RRULE has `COUNT=0`, which cannot be read",
        ),
        (&format!("{times}RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"), "it has more than one RRULE"),
        (
            &format!("{times}RECURRENCE-ID;RANGE=THISANDFUTURE:20260105T090000Z"),
            "it moves all that follow (RANGE=THISANDFUTURE)",
        ),
        (&format!("{times}EXDATE:soon"), "EXDATE `soon` is no time"),
        (
            &format!("{times}ATTENDEE;PARTSTAT=DECLINED:mailto:jane@example.com"),
            "everybody declined",
        ),
    ] {
        let imported = read(&event(lines));
        let found: Vec<&str> = imported.mistakes.iter().map(|it| it.why.as_str()).collect();
        assert_eq!((found, imported.unread, imported.events), (vec![why], 1, 0), "{lines}");
        assert_eq!((imported.mistakes[0].line, imported.mistakes[0].what.as_str()), (2, "jane"));
    }
}

#[test]
fn what_is_no_calendar_is_refused() {
    for (text, says) in [
        ("", "this is no iCalendar: it does not begin with BEGIN:VCALENDAR"),
        (
            "<!doctype html>\n<a href=\"https://example.com\">log in</a>",
            "this is no iCalendar: it does not begin with BEGIN:VCALENDAR",
        ),
        (
            "BEGIN:VEVENT\nEND:VEVENT",
            "this is no iCalendar: it does not begin with BEGIN:VCALENDAR",
        ),
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x",
            "the calendar is cut short: VEVENT has no end",
        ),
        ("BEGIN:VCALENDAR\nVERSION:2.0", "the calendar is cut short: VCALENDAR has no end"),
        (
            &format!("BEGIN:VCALENDAR\n{}", "BEGIN:X\n".repeat(50)),
            "the calendar has parts within parts, more than 16 deep",
        ),
        (&" ".repeat(MAX_BYTES + 1), "the calendar has more than 1048576 bytes"),
        (
            &format!(
                "BEGIN:VCALENDAR\n{}END:VCALENDAR",
                "BEGIN:VEVENT\nEND:VEVENT\n".repeat(10_001)
            ),
            "the calendar has more than 10000 events",
        ),
    ] {
        assert_eq!(parse(text, &Zone::utc()).expect_err(says).to_string(), says);
    }
    let many =
        format!("BEGIN:VCALENDAR\n{}END:VCALENDAR", "BEGIN:VEVENT\nEND:VEVENT\n".repeat(100));
    let imported = read(&many);
    assert_eq!((imported.unread, imported.mistakes.len()), (100, MAX_NAMED));
}

#[test]
fn days_and_times_without_a_zone_are_the_schedule_s() {
    let berlin = Zone::named("Europe/Berlin").expect("known");
    for (lines, expected) in [
        (
            "DTSTART;VALUE=DATE:20261024\nDTEND;VALUE=DATE:20261026",
            "2026-10-23T22:00 2026-10-25T23:00",
        ),
        ("DTSTART;VALUE=DATE:20261025", "2026-10-24T22:00 2026-10-25T23:00"),
        ("DTSTART:20261025T090000\nDURATION:P1D", "2026-10-25T08:00 2026-10-26T08:00"),
        (
            "DTSTART;TZID=Asia/Kathmandu:20261025T090000\nDURATION:PT1H",
            "2026-10-25T03:15 2026-10-25T04:15",
        ),
        // The clock is set back in this night: four hours by it are five that pass.
        ("DTSTART:20261025T000000\nDTEND:20261025T040000", "2026-10-24T22:00 2026-10-25T03:00"),
        ("DTSTART:20261025T000000\nDURATION:PT4H", "2026-10-24T22:00 2026-10-25T02:00"),
    ] {
        let imported = parse(&event(lines), &berlin).expect(lines);
        let begin = imported.schedule.next_change(at("2026-10-01T00:00Z")).expect(lines);
        let end = imported.schedule.next_change(begin).expect(lines);
        let found = format!("{begin} {end}").replace(":00.000Z", "");
        assert_eq!(found, expected, "{lines}");
    }
}

#[test]
fn a_calendar_s_own_zone_goes_before_the_schedule_s() {
    for (own, expected, notes) in [
        ("Asia/Kathmandu", "2026-10-24T18:15:00.000Z", &[][..]),
        ("W. Europe Standard Time", "2026-10-24T22:00:00.000Z", &[]),
        (
            "Nowhere",
            "2026-10-25T00:00:00.000Z",
            &["the time zone `Nowhere` is unknown: days are read at UTC"],
        ),
    ] {
        let text = event("DTSTART;VALUE=DATE:20261025");
        let own = format!("BEGIN:VCALENDAR\nX-WR-TIMEZONE:{own}\n");
        let imported = read(&text.replace("BEGIN:VCALENDAR\n", &own));
        let begin = imported.schedule.next_change(at("2026-10-01T00:00Z"));
        assert_eq!(begin, Some(at(expected)), "{own}");
        assert_eq!(imported.notes, notes);
    }
}

#[test]
fn a_calendar_may_be_large_and_all_of_it_holds() {
    let one = "BEGIN:VEVENT\nSUMMARY:a\nDTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEND:VEVENT\n";
    let imported = read(&format!("BEGIN:VCALENDAR\n{}END:VCALENDAR", one.repeat(10_000)));
    assert_eq!(imported.events, 10_000);
    assert_eq!(imported.schedule.on_call(at("2026-05-05T09:00Z")), ["a"]);
    let now = Timestamp::from_unix_ms(i64::MAX);
    assert_eq!(
        (imported.schedule.on_call(now).len(), imported.schedule.next_change(now)),
        (0, None)
    );
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z;=,0-9]{0,24}",
        proptest::sample::select(
            &[
                "FREQ=DAILY;COUNT=3",
                "FREQ=WEEKLY;BYDAY=MO,TU;WKST=SU;INTERVAL=2",
                "FREQ=MONTHLY;BYDAY=-1FR;BYSETPOS=-1",
                "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29,-1",
                "20260329T023000",
                "99991231T235959Z",
                "00010101T000000Z",
                "20261025",
                "P1DT12H",
                "PT999999999H",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_calendar_breaks_the_reader(
        lines in proptest::collection::vec(
            (
                proptest::sample::select(&["DTSTART", "DTEND", "DURATION", "RRULE", "EXDATE", "RDATE", "RECURRENCE-ID", "DTSTART;TZID=Pacific/Apia", "DTSTART;VALUE=DATE"][..]),
                value(),
            ),
            0..6,
        ),
        now in any::<i64>(),
    ) {
        let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        let imported = read(&event(&lines.join("\n")));
        let now = Timestamp::from_unix_ms(now);
        let _ = imported.schedule.on_call(now);
        if let Some(change) = imported.schedule.next_change(now) {
            prop_assert!(change > now);
        }
    }

    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        let _ = parse(&text, &Zone::utc());
        let _ = parse(&format!("BEGIN:VCALENDAR\n{text}\nEND:VCALENDAR"), &Zone::utc());
    }
}
