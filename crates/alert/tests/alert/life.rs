//! One alert's life.

use std::time::Duration;

use sickbay_alert::{AlertEventKind, Severity, State};

use crate::story::{Story, key};

#[test]
fn told_once_and_over_once() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    assert_eq!(story.word("ecc", "a"), "firing");
    for _ in 0..30 {
        story.seconds(5);
        story.wrong("ecc", "a");
    }
    story.well("ecc", "a");
    story.seconds(5);
    assert_eq!(story.told("first"), ["0: +ecc/a", "150: -ecc/a"]);
    assert_eq!(story.word("ecc", "a"), "resolved");
    assert!(story.told("second").is_empty(), "it ended before the second step");
    let kinds: Vec<_> = story.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [AlertEventKind::Opened, AlertEventKind::Resolved]);
    // Nothing of it is left in the end.
    story.seconds(2 * 3600);
    assert_eq!(story.kept().alerts, []);
    assert_eq!(story.kept().groups, []);
}

#[test]
fn pending_until_it_lasted() {
    let mut story = Story::new();
    let slow = |problem: &mut sickbay_alert::Problem| problem.pending_for = Duration::from_secs(60);
    story.wrong_as("disk", "a", slow);
    assert_eq!(story.word("disk", "a"), "pending");
    story.seconds(59);
    story.wrong_as("disk", "a", slow);
    assert_eq!(story.word("disk", "a"), "pending");
    // That nothing is known for a while is no end, and fires nothing either.
    story.unknown("disk", "a");
    story.seconds(30);
    assert_eq!(story.word("disk", "a"), "pending");
    story.wrong_as("disk", "a", slow);
    assert_eq!(story.word("disk", "a"), "firing");
    // One that was well before leaves no trace.
    story.wrong_as("disk", "b", slow);
    story.well("disk", "b");
    assert_eq!(story.word("disk", "b"), "none");
    story.settle();
    assert!(story.kept().alerts.iter().all(|alert| alert.key == key("disk", "a")));
}

#[test]
fn a_gap_is_no_recovery() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(5);
    story.unknown("ecc", "a");
    story.seconds(3600);
    assert_eq!(story.word("ecc", "a"), "firing");
    assert!(story.alert("ecc", "a").is_some_and(|alert| alert.unknown_since.is_some()));
    assert_eq!(story.told("first"), ["0: +ecc/a"]);
    // It must be well for as long as it says without a gap.
    story.wrong_as("ecc", "a", |problem| problem.keep_firing_for = Duration::from_secs(60));
    story.well("ecc", "a");
    story.seconds(50);
    story.unknown("ecc", "a");
    story.seconds(50);
    assert_eq!(story.word("ecc", "a"), "firing");
    story.well("ecc", "a");
    story.seconds(59);
    assert_eq!(story.word("ecc", "a"), "firing");
    story.seconds(1);
    assert_eq!(story.word("ecc", "a"), "resolved");
    // What nothing is heard of for a week is over.
    story.wrong("ecc", "b");
    story.unknown("ecc", "b");
    story.seconds(7 * 24 * 3600 + 1);
    assert_eq!(story.word("ecc", "b"), "resolved");
    let over = story.events.iter().rfind(|event| event.kind == AlertEventKind::Resolved);
    let says = over.map(|event| event.message.clone()).unwrap_or_default();
    assert_eq!(says, "ecc of node/b is over: nothing was heard of it for 168 hours");
}

#[test]
fn it_becomes_worse() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(60);
    assert!(story.acknowledge("ecc", "a", None));
    assert_eq!(story.word("ecc", "a"), "acknowledged");
    story.wrong_as("ecc", "a", |problem| problem.severity = Severity::Critical);
    story.seconds(1);
    assert_eq!(story.word("ecc", "a"), "firing", "who took on less is asked again");
    // That it is less bad for a while is no news.
    story.wrong("ecc", "a");
    story.seconds(60);
    story.well("ecc", "a");
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +ecc/a", "60: !ecc/a(critical)", "121: -ecc/a"]);
}

#[test]
fn again_and_again_is_told_less_often() {
    let mut story = Story::new();
    // Every two minutes it comes and goes.
    for _ in 0..30 {
        story.wrong("link", "a");
        story.seconds(60);
        story.well("link", "a");
        story.seconds(60);
    }
    let told = story.told("first");
    assert!(told.len() <= 8, "one that flaps is told once: {told:#?}");
    assert!(story.alert("link", "a").is_some_and(|alert| alert.flapping));
    assert_eq!(story.word("link", "a"), "firing");
    // Once it is quiet it is over.
    story.well("link", "a");
    story.seconds(900);
    assert_eq!(story.word("link", "a"), "resolved");
    assert!(story.ledger().values().all(|open| !open));
}

#[test]
fn just_over_is_not_told_again_at_once() {
    let mut story = Story::new();
    story.wrong("link", "a");
    story.seconds(60);
    story.well("link", "a");
    story.seconds(10);
    story.wrong("link", "a");
    for _ in 0..60 {
        story.seconds(5);
        story.wrong("link", "a");
    }
    // 300 s after its end was told, not before.
    assert_eq!(story.told("first"), ["0: +link/a", "60: -link/a", "360: +link/a"]);
}

#[test]
fn what_is_gone_is_over() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.wrong_as("disk", "a", |problem| problem.pending_for = Duration::from_secs(60));
    story.seconds(1);
    story.with(|book, rules| {
        book.end(rules, |key| key.resource.name() == "a", "the node was removed");
    });
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +ecc/a", "1: -ecc/a"]);
    let notice = story.arrived.values().next_back().expect("arrived");
    assert_eq!(notice.resolved[0].why.as_deref(), Some("the node was removed"));
    assert_eq!(story.word("disk", "a"), "none");
}

#[test]
fn clocks_jump() {
    let mut story = Story::new();
    story.wrong("ecc", "a");
    story.seconds(5);
    let before = story.now;
    // A day back: the alert goes on, and ends.
    story.now = before.minus(Duration::from_secs(86_400));
    story.wrong("ecc", "a");
    story.settle();
    story.well("ecc", "a");
    story.seconds(1);
    assert_eq!(story.word("ecc", "a"), "resolved");
    // Again, and its name is another although the clock is the same.
    let first = story.alert("ecc", "a").map(|alert| alert.id.clone());
    story.now = before.minus(Duration::from_secs(2 * 86_400));
    story.wrong("ecc", "a");
    assert_ne!(story.alert("ecc", "a").map(|alert| alert.id.clone()), first);
    story.seconds(400);
    // A year ahead.
    story.now = story.now.plus(Duration::from_secs(365 * 86_400));
    story.wrong("ecc", "a");
    story.settle();
    assert!(matches!(story.alert("ecc", "a").map(|it| &it.state), Some(State::Firing { .. })));
    story.well("ecc", "a");
    story.seconds(1);
    assert!(story.ledger().values().all(|open| !open));
}

#[test]
fn more_than_there_is_place_for_is_counted() {
    let mut story = Story::new();
    story.policy.max_alerts = 10;
    for number in 0..100 {
        story.wrong("ecc", &format!("n{number}"));
    }
    story.settle();
    assert_eq!((story.book.len(), story.book.refused()), (10, 90));
}
