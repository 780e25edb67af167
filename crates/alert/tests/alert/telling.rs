//! Who is told what, and when.

use std::time::Duration;

use sickbay_alert::{Budget, Delivery, Matchers, NoticeId, Route, Severity, Step};

use crate::story::{Story, key, two_steps};

#[test]
fn a_silence_swallows_no_end() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(1);
    story.silence("node=~\".*\"", 60);
    assert_eq!(story.word("ecc", "a"), "silenced");
    story.wrong("ecc", "b");
    story.seconds(60);
    story.well("ecc", "a");
    story.well("ecc", "b");
    story.seconds(60);
    // The end of what was told is told; what was silent from first to last is not.
    assert_eq!(story.told("first"), ["0: +ecc/a", "61: -ecc/a"]);
}

#[test]
fn what_outlasts_its_silence_is_told() {
    let mut story = Story::new();
    story.silence("rule=ecc", 10);
    story.wrong("ecc", "a");
    story.seconds(599);
    assert_eq!(story.told("first"), [""; 0]);
    story.seconds(2);
    assert_eq!(story.told("first"), ["600: +ecc/a"]);
}

#[test]
fn more_are_told_until_someone_is_at_it() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.wrong("disk", "b");
    story.seconds(300);
    assert!(story.acknowledge("disk", "b", None));
    story.seconds(600);
    story.well("ecc", "a");
    story.well("disk", "b");
    story.seconds(1);
    assert_eq!(story.told("second"), ["600: +ecc/a", "900: -ecc/a"], "disk was acknowledged");
    assert_eq!(story.told("first").len(), 4);
    assert!(!story.acknowledge("ecc", "a", None), "what is over cannot be acknowledged");
}

#[test]
fn an_acknowledgement_ends() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(60);
    story.acknowledge("ecc", "a", Some(30));
    story.seconds(30 * 60 - 1);
    assert_eq!((story.word("ecc", "a"), story.told("second").len()), ("acknowledged", 0));
    story.seconds(2);
    // Its steps are those of one that nobody took on.
    assert_eq!(story.word("ecc", "a"), "firing");
    assert_eq!(story.told("second"), ["1860: +ecc/a"]);
}

#[test]
fn repeated_while_nobody_is_at_it() {
    let mut story = Story::new();
    story.routing.repeat = Duration::from_secs(3600);
    story.wrong("ecc", "a");
    for _ in 0..=(2 * 60) {
        story.seconds(60);
        story.wrong("ecc", "a");
    }
    assert_eq!(story.told("first"), ["0: +ecc/a", "3600: !ecc/a", "7200: !ecc/a"]);
    story.acknowledge("ecc", "a", None);
    story.seconds(3 * 3600);
    assert_eq!(story.told("first").len(), 3);
}

#[test]
fn what_explains_others_speaks_for_them() {
    let mut story = Story::new();
    let caused = |problem: &mut sickbay_alert::Problem| problem.cause = Some(key("switch", "rack"));
    story.wrong_as("link", "a", caused);
    story.wrong("switch", "rack");
    story.wrong_as("link", "b", caused);
    story.seconds(60);
    assert_eq!(story.word("link", "b"), "explained");
    // The first was hushed before the notice was made.
    assert_eq!(story.told("first"), ["0: +switch/rack"]);
    story.well("switch", "rack");
    story.seconds(60);
    story.well("link", "a");
    // What does not end with its cause is told by itself, after a grace.
    story.seconds(120);
    assert_eq!(story.told("first"), ["0: +switch/rack", "60: -switch/rack", "180: +link/b"]);
}

#[test]
fn what_explains_each_other_explains_nothing() {
    let mut story = Story::new();
    story.wrong_as("x", "a", |problem| problem.cause = Some(key("y", "a")));
    story.wrong_as("y", "a", |problem| problem.cause = Some(key("x", "a")));
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +x/a", "0: +y/a"]);
}

#[test]
fn together_by_labels() {
    let mut story = Story::new();
    for node in ["a", "b", "c"] {
        story.wrong("ecc", node);
        story.wrong("disk", node);
    }
    story.seconds(1);
    assert_eq!(
        story.told("first"),
        ["0: +disk/a +disk/b +disk/c", "0: +ecc/a +ecc/b +ecc/c"],
        "a notice a rule"
    );
    story.well("ecc", "b");
    story.wrong("ecc", "d");
    story.seconds(1);
    let notice = story.arrived.values().next_back().expect("arrived");
    assert_eq!((notice.firing.len(), notice.resolved.len(), notice.still_firing), (1, 1, 2));
}

#[test]
fn a_storm_becomes_a_digest() {
    let mut story = Story::new();
    let budget = Budget { burst: 3, per: Duration::from_secs(30) };
    story.budgets.insert("first".into(), budget);
    // A thousand rules of their own within a minute.
    for second in 0..60 {
        for number in 0..17 {
            story.wrong(&format!("r{second}x{number}"), "a");
        }
        story.seconds(1);
    }
    story.seconds(60);
    let told: Vec<_> = story.arrived.values().filter(|it| *it.receiver == *"first").collect();
    assert!(told.len() <= 3 + 4, "{} notices", told.len());
    assert_eq!(told.iter().map(|notice| notice.firing.len()).sum::<usize>(), 60 * 17);
    assert!(told.last().is_some_and(|notice| notice.digest));
    // And all of them are told to be over.
    for second in 0..60 {
        for number in 0..17 {
            story.well(&format!("r{second}x{number}"), "a");
        }
    }
    story.seconds(300);
    assert!(story.ledger().values().all(|open| !open));
}

#[test]
fn a_notice_holds_only_so_much() {
    let mut story = Story::new();
    story.policy.max_items = 10;
    for number in 0..95 {
        story.wrong("ecc", &format!("n{number}"));
    }
    story.seconds(1);
    assert_eq!(story.told("first").len(), 10, "{:?}", story.told("first"));
    assert_eq!(story.ledger().len(), 95);
}

#[test]
fn one_at_a_time_and_in_order() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.now = story.now.plus(Duration::from_secs(1));
    story.with(|book, rules| book.tick(rules));
    story.commit();
    assert_eq!(story.book.notices().count(), 1);
    // The receiver is away; meanwhile it ends, and another begins.
    story.well("ecc", "a");
    story.wrong("ecc", "b");
    story.now = story.now.plus(Duration::from_secs(3600));
    story.with(|book, rules| book.tick(rules));
    story.commit();
    let waiting: Vec<_> =
        story.book.notices().filter(|notice| *notice.receiver == *"first").collect();
    assert_eq!(waiting.len(), 1, "a group has one notice on its way");
    story.settle();
    assert_eq!(story.told("first"), ["1: +ecc/a", "3601: +ecc/b -ecc/a"]);
}

#[test]
fn what_cannot_be_delivered_says_so_and_its_end_is_tried() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.now = story.now.plus(Duration::from_secs(1));
    story.with(|book, rules| book.tick(rules));
    story.commit();
    let refused = Delivery::Refused("410 Gone".to_owned());
    assert!(story.with(|book, rules| book.delivered(rules, NoticeId(1), &refused)));
    assert!(!story.with(|book, rules| book.delivered(rules, NoticeId(1), &refused)));
    story.commit();
    let says = story.events.last().map(|event| event.message.clone()).unwrap_or_default();
    assert_eq!(says, "notice 1 could not be delivered to first: 410 Gone");
    story.well("ecc", "a");
    story.seconds(1);
    assert_eq!(story.arrived.values().map(|notice| notice.resolved.len()).sum::<usize>(), 1);
}

#[test]
fn another_route_still_tells_the_end_where_the_beginning_was_told() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(1);
    let step = Step { after: Duration::ZERO, receivers: vec!["third".into()] };
    story.routing = Route { name: "new".into(), steps: vec![step], ..Route::default() };
    story.with(|book, rules| book.replan(rules));
    story.seconds(1);
    story.well("ecc", "a");
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +ecc/a", "2: -ecc/a"]);
    assert_eq!(story.told("third"), ["1: +ecc/a", "2: -ecc/a"]);
}

#[test]
fn by_severity_to_others() {
    let mut story = Story::new();
    let pager = Route {
        name: "pager".into(),
        matchers: Matchers::parse("severity=critical").expect("matchers"),
        steps: vec![Step { after: Duration::ZERO, receivers: vec!["pager".into()] }],
        ..Route::default()
    };
    story.routing = Route { routes: vec![pager], ..two_steps() };
    story.wrong("ecc", "a");
    story.wrong_as("ecc", "b", |problem| problem.severity = Severity::Critical);
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +ecc/a"]);
    assert_eq!(story.told("pager"), ["0: +ecc/b(critical)"]);
}
