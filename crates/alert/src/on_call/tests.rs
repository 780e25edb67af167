use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn rotation<'a>(who: &[&str], starts: &'a str, shift: &'a str, zone: &'a str) -> NewRotation<'a> {
    let participants = who.iter().map(|it| (*it).to_owned()).collect();
    NewRotation { participants, starts, handover: "09:00", shift, zone }
}

fn layer(new: NewRotation<'_>, only: Option<&str>) -> Layer {
    let turns = Turns::Rotation(Rotation::new(new).expect("good"));
    Layer { turns, only: only.map(|text| text.parse().expect(text)) }
}

fn schedule(layers: Vec<Layer>) -> Schedule {
    Schedule::new(layers, Vec::new()).expect("few")
}

/// What a schedule says from an instant on: who, and until when, as many times as asked.
fn course(schedule: &Schedule, from: &str, changes: usize) -> Vec<String> {
    let (mut now, mut course) = (at(from), Vec::new());
    for _ in 0..changes {
        let next = schedule.next_change(now);
        let until =
            next.map_or_else(|| "ever".to_owned(), |it| it.to_string().replace(":00.000Z", ""));
        course.push(format!("{} until {until}", schedule.on_call(now).join("+")));
        let Some(next) = next else { break };
        now = next;
    }
    course
}

#[test]
fn people_take_turns_at_local_handovers() {
    for (shift, zone, from, expected) in [
        // Daylight saving ends on Sunday: the shift has an hour more, and the handover stays at nine.
        (
            "1d",
            "Europe/Berlin",
            "2026-10-24T06:00Z",
            &["c until 2026-10-24T07:00", "a until 2026-10-25T08:00", "b until 2026-10-26T08:00"][..],
        ),
        (
            "1w",
            "Europe/Berlin",
            "2026-10-01T00:00Z",
            &[
                " until 2026-10-03T07:00",
                "a until 2026-10-10T07:00",
                "b until 2026-10-17T07:00",
                "c until 2026-10-24T07:00",
                "a until 2026-10-31T08:00",
            ],
        ),
        (
            "12h",
            "America/New_York",
            "2026-10-31T13:00Z",
            &["c until 2026-11-01T01:00", "a until 2026-11-01T14:00", "b until 2026-11-02T02:00"],
        ),
    ] {
        let schedule =
            schedule(vec![layer(rotation(&["a", "b", "c"], "2026-10-03", shift, zone), None)]);
        assert_eq!(course(&schedule, from, expected.len()), expected, "{shift} {zone}");
    }
}

#[test]
fn a_day_that_is_left_out_has_no_turn() {
    let apia = rotation(&["a", "b", "c"], "2011-12-28", "1d", "Pacific/Apia");
    let expected = [
        // The 28th, the 29th (until the clock is set forward by a day), and the 31st.
        "a until 2011-12-29T19:00",
        "b until 2011-12-30T10:00",
        "c until 2011-12-30T19:00",
        "a until 2011-12-31T19:00",
    ];
    assert_eq!(course(&schedule(vec![layer(apia, None)]), "2011-12-28T19:00Z", 4), expected);
}

#[test]
fn the_later_layer_wins_and_an_override_over_all() {
    let always = layer(rotation(&["night"], "2026-01-01", "1w", "UTC"), None);
    let hours = Some("mon-fri 09:00-18:00 UTC");
    let work = layer(rotation(&["a", "b"], "2026-11-23", "1w", "UTC"), hours);
    let mut layered = schedule(vec![always, work]);
    let expected = [
        "night until 2026-11-27T09:00",
        "a until 2026-11-27T18:00",
        "night until 2026-11-30T09:00",
        "b until 2026-11-30T18:00",
    ];
    assert_eq!(course(&layered, "2026-11-27T00:00Z", 4), expected);
    let stretch = |from, until| Stretch { from: at(from), until: at(until) };
    layered.overrides = vec![
        Override {
            who: "boss".to_owned(),
            stretch: stretch("2026-11-27T12:00Z", "2026-11-29T00:00Z"),
        },
        Override {
            who: "a".to_owned(),
            stretch: stretch("2026-11-27T13:00Z", "2026-11-27T14:00Z"),
        },
    ];
    let expected = [
        "a until 2026-11-27T12:00",
        "boss until 2026-11-27T13:00",
        "a until 2026-11-27T14:00",
        "boss until 2026-11-29T00:00",
        "night until 2026-11-30T09:00",
    ];
    assert_eq!(course(&layered, "2026-11-27T09:00Z", 5), expected);
    assert!(Schedule::new(Vec::new(), vec![layered.overrides[0].clone(); 1001]).is_err());
    assert_eq!(course(&Schedule::default(), "2026-11-27T09:00Z", 5), [" until ever"]);
}

#[test]
fn mistakes_say_what_to_write() {
    let good = rotation(&["a"], "2026-11-30", "1w", "Europe/Berlin");
    assert!(Rotation::new(NewRotation { handover: "9:00", ..good.clone() }).is_ok());
    for (new, says) in [
        (
            NewRotation { participants: Vec::new(), ..good.clone() },
            "a rotation has 1 to 100 participants, each with a name",
        ),
        (
            NewRotation { participants: vec![" ".to_owned()], ..good.clone() },
            "a rotation has 1 to 100 participants, each with a name",
        ),
        (
            NewRotation { starts: "monday", ..good.clone() },
            "`monday` is no day to start on: write 2026-11-30",
        ),
        (
            NewRotation { handover: "25:00", ..good.clone() },
            "`25:00` is no time of day for a handover: write 09:00",
        ),
        (
            NewRotation { handover: "nine", ..good.clone() },
            "`nine` is no time of day for a handover: write 09:00",
        ),
        (
            NewRotation { shift: "1m", ..good.clone() },
            "`1m` is no length of a shift: write 1w, 1d or 12h; an hour at least, a year at most",
        ),
        (
            NewRotation { shift: "weekly", ..good.clone() },
            "`weekly` is no length of a shift: write 1w, 1d or 12h; an hour at least, a year at most",
        ),
        (
            NewRotation { zone: "Berlin", ..good.clone() },
            "`Berlin` is no time zone that this machine knows: write an IANA name such as Europe/Berlin",
        ),
    ] {
        assert_eq!(Rotation::new(new).expect_err(says).to_string(), says);
    }
}

#[test]
fn the_ends_of_time_are_no_ends_of_the_program() {
    for starts in ["0001-01-01", "2026-11-30", "9999-12-31", "-009999-01-01"] {
        for shift in ["1h", "1w", "366d"] {
            for zone in ["UTC", "Pacific/Apia", "Europe/Berlin"] {
                let schedule =
                    schedule(vec![layer(rotation(&["a", "b"], starts, shift, zone), None)]);
                for ms in [i64::MIN, 0, i64::MAX] {
                    let now = Timestamp::from_unix_ms(ms);
                    let _ = (schedule.on_call(now), schedule.next_change(now));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_change_is_the_next_one(
        zone in proptest::sample::select(&["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/New_York"][..]),
        shift in proptest::sample::select(&["1h", "5h", "12h", "1d", "36h", "1w", "30d"][..]),
        people in 1_usize..5,
        restricted in any::<bool>(),
        seconds in 1_200_000_000_i64..1_900_000_000,
    ) {
        let who: Vec<String> = (0..people).map(|it| it.to_string()).collect();
        let who: Vec<&str> = who.iter().map(String::as_str).collect();
        let only = restricted.then_some("mon-fri 09:00-18:00 Europe/Berlin");
        let schedule = schedule(vec![layer(rotation(&who, "2009-02-03", shift, zone), only)]);
        let now = Timestamp::from_unix_ms(seconds * 1000);
        let Some(change) = schedule.next_change(now) else {
            return Err(TestCaseError::fail("a rotation goes on"));
        };
        prop_assert!(change > now);
        let before = change.minus(Duration::from_millis(1));
        prop_assert_eq!(schedule.on_call(now), schedule.on_call(before));
        if people > 1 && !restricted {
            prop_assert_ne!(schedule.on_call(now), schedule.on_call(change));
        }
    }
}
