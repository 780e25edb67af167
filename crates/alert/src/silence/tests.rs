use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-28T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn labels(all: &[(&str, &str)]) -> Labels {
    all.iter().copied().collect()
}

fn new(id: &str, matchers: &str, when: &str) -> NewSilence {
    let zone = crate::Zone::utc();
    NewSilence {
        id: id.parse().expect(id),
        matchers: Matchers::parse(matchers).expect(matchers),
        when: Calendar::parse(when, &zone, Some(at(NOW))).expect(when),
        expires_at: None,
        created_by: "jane".to_owned(),
        reason: "replacing GPU 3".to_owned(),
        created_at: at(NOW),
    }
}

fn silence(id: &str, matchers: &str, when: &str) -> Silence {
    let expires_at = Some(at("2027-11-01T00:00Z"));
    Silence::new(NewSilence { expires_at, ..new(id, matchers, when) }).expect(id)
}

#[test]
fn a_silence_says_why_of_what_and_until_when() {
    let good = new("a", "node=gpu-07", "2h");
    let made = Silence::new(good.clone()).expect("good");
    assert_eq!(made.expires_at(), at("2026-11-28T14:00Z"));
    let years = Some(at("2028-11-28T12:00Z"));
    for (new, says) in [
        (
            NewSilence { reason: " \n".to_owned(), ..good.clone() },
            "a silence needs a reason: say why, for those who find it",
        ),
        (
            NewSilence { created_by: String::new(), ..good.clone() },
            "a silence needs to say whose it is",
        ),
        (
            NewSilence { reason: "x".repeat(3000), ..good.clone() },
            "the reason of a silence may have 2048 bytes",
        ),
        (
            new("a", "", "2h"),
            "this silences everything that lacks a label: add what it is about, such as node=\"gpu-07\", or rule=~\".+\" for all rules",
        ),
        (
            new("a", "severity!=critical", "2h"),
            "this silences everything that lacks a label: add what it is about, such as node=\"gpu-07\", or rule=~\".+\" for all rules",
        ),
        (
            new("a", "rule=~.*", "2h"),
            "this silences everything that lacks a label: add what it is about, such as node=\"gpu-07\", or rule=~\".+\" for all rules",
        ),
        (
            new("a", "node=a", "daily 22:00-06:00"),
            "a silence that comes back needs an end, within a year",
        ),
        (
            new("a", "node=a", "2026-11-28T10:00Z/1h"),
            "the silence has ended already at 2026-11-28T11:00:00.000Z",
        ),
        (
            NewSilence { expires_at: years, ..new("a", "node=a", "daily 22:00-06:00") },
            "a silence may last 366 days: until 2027-11-29T12:00:00.000Z",
        ),
        (
            NewSilence {
                expires_at: Some(at("2026-11-28T20:00Z")),
                ..new("a", "node=a", "daily 22:00-06:00")
            },
            "the silence ends at 2026-11-28T20:00:00.000Z, before it begins",
        ),
    ] {
        assert_eq!(Silence::new(new).expect_err(says).to_string(), says);
    }
    // All rules, and all but the critical ones, can be asked for.
    for matchers in ["rule=~.+", "rule=~.+,severity!=critical"] {
        assert!(Silence::new(new("a", matchers, "2h")).is_ok(), "{matchers}");
    }
    for id in ["", "a b", "ü", &"x".repeat(65)] {
        assert_eq!(id.parse::<SilenceId>(), Err(SilenceMistake::Id));
    }
}

#[test]
fn where_a_silence_stands() {
    use SilenceState::{Active, Expired, Pending};
    let weekly = NewSilence {
        expires_at: Some(at("2026-12-13T03:00Z")),
        ..new("a", "node=~.+", "sun 02:00-04:00")
    };
    let weekly = Silence::new(weekly).expect("good");
    for (now, state, ends_at, next) in [
        ("2026-11-28T12:00Z", Pending, None, Some("2026-11-29T02:00Z")),
        ("2026-11-29T02:00Z", Active, Some("2026-11-29T04:00Z"), Some("2026-11-29T04:00Z")),
        ("2026-11-29T04:00Z", Pending, None, Some("2026-12-06T02:00Z")),
        // The last one is cut.
        ("2026-12-13T02:00Z", Active, Some("2026-12-13T03:00Z"), Some("2026-12-13T03:00Z")),
        ("2026-12-13T03:00Z", Expired, None, None),
        ("2030-01-01T00:00Z", Expired, None, None),
    ] {
        let now = at(now);
        assert_eq!(weekly.state(now), state, "{now}");
        assert_eq!(weekly.ends_at(now), ends_at.map(at), "{now}");
        assert_eq!(weekly.next_change(now), next.map(at), "{now}");
        assert_eq!(weekly.covers(&labels(&[("node", "a")]), now), state == Active, "{now}");
    }
}

#[test]
fn the_silence_that_ends_first_is_named() {
    let mut all = Silences::default();
    for (id, matchers, when) in [
        ("long", "node=gpu-07", "8h"),
        ("short", "rule=~\"gpu_.*\"", "2h"),
        ("elsewhere", "node=gpu-08", "1h"),
        ("later", "node=gpu-07", "2026-12-01T00:00Z/1h"),
        ("quoted", r#"note="a \"b\"""#, "1h"),
        ("missing", r#"rack="",node="gpu-09""#, "1h"),
    ] {
        all.add(silence(id, matchers, when)).expect(id);
    }
    let alert = labels(&[("node", "gpu-07"), ("rule", "gpu_ecc")]);
    let covering = |alert: &Labels, now| all.covering(alert, at(now)).map(|it| it.id().as_str());
    assert_eq!(covering(&alert, NOW), Some("short"));
    assert_eq!(covering(&alert, "2026-11-28T15:00Z"), Some("long"));
    assert_eq!(covering(&alert, "2026-11-29T00:00Z"), None);
    assert_eq!(covering(&labels(&[("node", "gpu-06")]), NOW), None);
    assert_eq!(covering(&labels(&[("note", "a \"b\"")]), NOW), Some("quoted"));
    assert_eq!(covering(&labels(&[("node", "gpu-09")]), NOW), Some("missing"));
    assert_eq!(all.all_covering(&alert, at(NOW)).count(), 2);
    assert_eq!(all.next_change(at(NOW)), Some(at("2026-11-28T13:00Z")));
}

#[test]
fn silences_are_ended_and_forgotten() {
    let mut all = Silences::default();
    let week = Duration::from_secs(7 * 86_400);
    for id in ["a", "b"] {
        all.add(silence(id, "node=gpu-07", "2d")).expect(id);
    }
    let again = all.add(silence("a", "node=gpu-07", "2d")).expect_err("there is one");
    assert_eq!(again.to_string(), "there is a silence `a` already");
    let (a, nobody) = ("a".parse().expect("id"), "x".parse().expect("id"));
    let now = at("2026-11-28T13:00Z");
    assert!(all.expire(&a, now) && !all.expire(&a, now) && !all.expire(&nobody, now));
    let state = all.get(&a).map(|silence| silence.state(now));
    assert_eq!(state, Some(SilenceState::Expired));
    let alert = labels(&[("node", "gpu-07")]);
    assert_eq!(all.covering(&alert, now).map(|it| it.id().as_str()), Some("b"));
    assert_eq!(all.prune(at("2026-12-05T12:59Z"), week), 0);
    assert_eq!(all.prune(at("2026-12-05T13:00Z"), week), 1);
    assert_eq!(all.covering(&alert, now).map(|it| it.id().as_str()), Some("b"));
    assert_eq!((all.prune(Timestamp::from_unix_ms(i64::MAX), week), all.len()), (1, 0));
}

#[test]
fn silences_are_bounded() {
    let mut all = Silences::default();
    let one = new("a", "node=gpu-07", "2h");
    for number in 0..Silences::MAX {
        let id = format!("s{number}").parse().expect("id");
        let silence = Silence::new(NewSilence { id, ..one.clone() }).expect("good");
        all.add(silence).expect("not yet");
    }
    assert_eq!(all.add(silence("b", "node=gpu-07", "2h")), Err(SilenceMistake::TooMany));
}

#[test]
fn what_a_silence_would_cover_can_be_looked_at_first() {
    let alerts: Vec<Labels> =
        (0..100).map(|node| labels(&[("node", &format!("gpu-{node:02}"))])).collect();
    let preview = Preview::of(&Matchers::parse("node=~gpu-[0-4].").expect("good"), &alerts);
    assert_eq!((preview.covered, preview.of, preview.examples.len()), (50, 100, 20));
    assert_eq!(preview.examples.first(), alerts.first().as_ref());
}

#[test]
fn what_is_stored_is_read_again() {
    let mut all = Silences::default();
    all.add(silence("a", "node=gpu-07", "sun 02:00-04:00 Europe/Berlin")).expect("a");
    all.add(silence("b", r#"rule=~".+""#, "2h")).expect("b");
    all.expire(&"b".parse().expect("id"), at(NOW));
    let stored = serde_json::to_string_pretty(&all).expect("text");
    expect_test::expect![[r#"
        [
          {
            "id": "a",
            "matchers": "node=\"gpu-07\"",
            "when": "sun 02:00-04:00 Europe/Berlin",
            "expires_at": "2027-11-01T00:00:00.000Z",
            "created_by": "jane",
            "reason": "replacing GPU 3",
            "created_at": "2026-11-28T12:00:00.000Z"
          },
          {
            "id": "b",
            "matchers": "rule=~\".+\"",
            "when": "2026-11-28T12:00:00.000Z/2026-11-28T14:00:00.000Z",
            "expires_at": "2026-11-28T12:00:00.000Z",
            "created_by": "jane",
            "reason": "replacing GPU 3",
            "created_at": "2026-11-28T12:00:00.000Z"
          }
        ]"#]]
    .assert_eq(&stored);
    let read: Silences = serde_json::from_str(&stored).expect(&stored);
    assert_eq!(read, all);
    let alert = labels(&[("node", "gpu-07")]);
    let sunday = at("2026-11-29T02:00Z");
    assert_eq!(read.covering(&alert, sunday).map(|it| it.id().as_str()), Some("a"));
}

fn matcher() -> impl Strategy<Value = String> {
    let operator = proptest::sample::select(&["=", "!=", "=~", "!~"][..]);
    ("[ab]", operator, "[xy|]{0,3}")
        .prop_map(|(name, operator, value)| format!("{name}{operator}\"{value}\""))
}

proptest! {
    #[test]
    fn the_lists_find_what_a_look_at_all_finds(
        silences in proptest::collection::vec(proptest::collection::vec(matcher(), 1..3), 0..12),
        alert in proptest::collection::btree_map("[ab]", "[xy]{0,2}", 0..3),
        hours in 0_u64..5,
    ) {
        let mut all = Silences::default();
        for (number, matchers) in silences.iter().enumerate() {
            let when = format!("{}h", number % 4 + 1);
            let made = Silence::new(new(&format!("s{number}"), &matchers.join(","), &when));
            if let Ok(silence) = made {
                all.add(silence).expect("few");
            }
        }
        let (alert, now) = (alert.iter().collect(), at(NOW).plus(Duration::from_secs(hours * 3600)));
        let mut found: Vec<&SilenceId> = all.all_covering(&alert, now).map(Silence::id).collect();
        let mut expected: Vec<&SilenceId> =
            all.iter().filter(|silence| silence.covers(&alert, now)).map(Silence::id).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}
