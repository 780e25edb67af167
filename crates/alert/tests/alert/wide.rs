//! One fault on many.

use sickbay_alert::Population;

use crate::story::Story;

fn population() -> Population {
    let with = (0..10).map(|rack| (("rack".to_owned(), format!("r{rack}")), 10)).collect();
    Population { all: 100, with }
}

fn wrong(story: &mut Story, node: usize) {
    story.wrong_as("nfs", &format!("n{node:02}"), |problem| {
        problem.labels.insert("rack", &format!("r{}", node / 10));
    });
}

fn well(story: &mut Story, node: usize) {
    story.well("nfs", &format!("n{node:02}"));
}

#[test]
fn a_fifth_of_all_is_one_alert() {
    let mut story = Story::new();
    for node in (0..60).step_by(3) {
        wrong(&mut story, node);
    }
    story.widen(&population());
    story.seconds(5);
    assert_eq!(story.told("first"), ["0: +widespread[nfs]"]);
    let summary = story.arrived.values().next().map(|notice| notice.firing[0].summary.clone());
    let says = "nfs on 20 of 100: n00, n03, n06, n09, n12 and 15 more";
    assert_eq!(summary.as_deref(), Some(says));
    assert_eq!(story.word("nfs", "n03"), "explained");
    // Two less are still many; half of them are not, for a minute.
    for node in (0..30).step_by(3) {
        well(&mut story, node);
        story.widen(&population());
    }
    story.seconds(120);
    story.widen(&population());
    story.seconds(120);
    // What is left then is told by itself.
    let told = story.told("first");
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[1].ends_with("-widespread[nfs]") && told[2].contains("+nfs/n30"), "{told:#?}");
    for node in (30..60).step_by(3) {
        well(&mut story, node);
    }
    story.widen(&population());
    story.seconds(5);
    assert!(story.ledger().values().all(|open| !open));
}

#[test]
fn a_whole_rack_is_one_alert() {
    let mut story = Story::new();
    for node in 70..80 {
        wrong(&mut story, node);
        story.widen(&population());
    }
    story.seconds(5);
    assert_eq!(story.told("first"), ["0: +widespread[nfs on rack=r7]"]);
    for node in 70..80 {
        well(&mut story, node);
        story.widen(&population());
    }
    story.seconds(120);
    assert!(story.ledger().values().all(|open| !open));
    story.seconds(2 * 3600);
    assert_eq!(story.kept().alerts, []);
}

#[test]
fn few_are_not_many() {
    let mut story = Story::new();
    let few = Population { all: 5, ..Population::default() };
    for node in 0..2 {
        wrong(&mut story, node);
    }
    story.widen(&few);
    story.seconds(1);
    assert_eq!(story.told("first"), ["0: +nfs/n00 +nfs/n01"]);
}

#[test]
fn what_was_told_before_it_was_many_is_told_to_be_over() {
    let mut story = Story::new();
    for node in 0..25 {
        wrong(&mut story, node);
        story.widen(&population());
        story.seconds(1);
    }
    for node in 0..25 {
        well(&mut story, node);
        story.widen(&population());
    }
    story.seconds(3600);
    let ledger = story.ledger();
    assert!(ledger.values().all(|open| !open), "{ledger:#?}");
    assert!(story.told("first").len() < 40);
}
