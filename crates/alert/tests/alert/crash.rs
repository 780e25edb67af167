//! Killed at any point: nothing is lost, nothing has two names, nothing is stuck.

use std::time::Duration;

use proptest::prelude::*;
use sickbay_alert::{Budget, Delivery, NoticeId, Population, Severity};

use crate::story::{Story, key};

#[derive(Clone, Debug)]
enum Act {
    Wrong(u8, u8, bool),
    Caused(u8, u8, u8),
    Slow(u8, u8),
    Well(u8, u8),
    Unknown(u8, u8),
    Gone(u8),
    Acknowledge(u8, u8),
    Silence(u8),
    Widen,
    Reroute,
    Wait(u16),
    ClockBack(u16),
    Tick,
    Commit,
    /// The oldest notice arrives, and whether that is written down.
    Arrive(bool),
    Refuse,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    let (rule, node) = (0..3_u8, 0..5_u8);
    prop_oneof![
        6 => (rule.clone(), node.clone(), any::<bool>()).prop_map(|(r, n, c)| Act::Wrong(r, n, c)),
        2 => (rule.clone(), node.clone(), 0..3_u8).prop_map(|(r, n, c)| Act::Caused(r, n, c)),
        1 => (rule.clone(), node.clone()).prop_map(|(r, n)| Act::Slow(r, n)),
        4 => (rule.clone(), node.clone()).prop_map(|(r, n)| Act::Well(r, n)),
        2 => (rule.clone(), node.clone()).prop_map(|(r, n)| Act::Unknown(r, n)),
        1 => node.clone().prop_map(Act::Gone),
        1 => (rule, node.clone()).prop_map(|(r, n)| Act::Acknowledge(r, n)),
        1 => node.prop_map(Act::Silence),
        2 => Just(Act::Widen),
        1 => Just(Act::Reroute),
        6 => (1..1200_u16).prop_map(Act::Wait),
        1 => (1..4000_u16).prop_map(Act::ClockBack),
        6 => Just(Act::Tick),
        6 => Just(Act::Commit),
        6 => any::<bool>().prop_map(Act::Arrive),
        1 => Just(Act::Refuse),
        4 => Just(Act::Crash),
    ]
}

fn names(rule: u8, node: u8) -> (String, String) {
    (format!("r{rule}"), format!("n{node}"))
}

fn population() -> Population {
    Population { all: 5, ..Population::default() }
}

fn play(story: &mut Story, act: &Act, refused: &mut Vec<NoticeId>) {
    match *act {
        Act::Wrong(rule, node, critical) => {
            let (rule, node) = names(rule, node);
            story.wrong_as(&rule, &node, |problem| {
                problem.severity = if critical { Severity::Critical } else { Severity::Warning };
            });
        }
        Act::Caused(rule, node, cause) => {
            let (rule, node) = names(rule, node);
            let cause = key(&format!("r{cause}"), &node);
            story.wrong_as(&rule, &node, |problem| problem.cause = Some(cause));
        }
        Act::Slow(rule, node) => {
            let (rule, node) = names(rule, node);
            story.wrong_as(&rule, &node, |problem| {
                problem.pending_for = Duration::from_secs(120);
                problem.keep_firing_for = Duration::from_secs(300);
            });
        }
        Act::Well(rule, node) => {
            let (rule, node) = names(rule, node);
            story.well(&rule, &node);
        }
        Act::Unknown(rule, node) => {
            let (rule, node) = names(rule, node);
            story.unknown(&rule, &node);
        }
        Act::Gone(node) => {
            let name = format!("n{node}");
            story.with(|book, rules| book.end(rules, |key| key.resource.name() == name, "gone"));
        }
        Act::Acknowledge(rule, node) => {
            let (rule, node) = names(rule, node);
            story.acknowledge(&rule, &node, Some(20));
        }
        Act::Silence(node) => story.silence(&format!("node=n{node}"), 15),
        Act::Widen => story.widen(&population()),
        Act::Reroute => {
            let other = story.routing.steps[0].receivers[0].starts_with("first");
            let name = if other { "other" } else { "first" };
            story.routing.steps[0].receivers = vec![name.into()];
            story.with(|book, rules| book.replan(rules));
        }
        Act::Wait(seconds) => story.now = story.now.plus(Duration::from_secs(seconds.into())),
        Act::ClockBack(seconds) => {
            story.now = story.now.minus(Duration::from_secs(seconds.into()));
        }
        Act::Tick => story.with(|book, rules| book.tick(rules)),
        Act::Commit => story.commit(),
        Act::Arrive(written) => {
            let Some(id) = story.kept().notices.first().map(|notice| notice.id) else { return };
            story.arrive(id);
            if written {
                story.with(|book, rules| book.delivered(rules, id, &Delivery::Done));
            }
        }
        Act::Refuse => {
            let Some(id) = story.kept().notices.first().map(|notice| notice.id) else { return };
            refused.push(id);
            let refused = Delivery::Refused("no".to_owned());
            story.with(|book, rules| book.delivered(rules, id, &refused));
        }
        Act::Crash => story.crash(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_opened_is_closed(
        acts in proptest::collection::vec(act(), 1..120),
        budget in any::<bool>(),
    ) {
        let mut story = Story::new();
        let mut refused = Vec::new();
        if budget {
            let budget = Budget { burst: 2, per: Duration::from_secs(60) };
            story.budgets.insert("first".into(), budget);
        }
        for act in &acts {
            play(&mut story, act, &mut refused);
        }
        // Everything is well again, everybody can be reached, nothing is silent any more.
        story.commit();
        story.now = story.now.plus(Duration::from_secs(3 * 3600));
        for _ in 0..2 {
            for rule in 0..3 {
                for node in 0..5 {
                    let (rule, node) = names(rule, node);
                    story.well(&rule, &node);
                }
            }
            story.widen(&population());
            story.seconds(1800);
        }
        // A notice that was refused for good told nobody; all others told the end of what they began.
        let told_nothing = |id: &NoticeId| refused.contains(id) && !story.arrived.contains_key(id);
        if !refused.iter().any(told_nothing) {
            let ledger = story.ledger();
            prop_assert!(ledger.values().all(|open| !open), "{:#?}", ledger);
        }
        story.seconds(3 * 3600);
        let kept = story.kept();
        prop_assert_eq!(&kept.alerts, &Vec::new());
        prop_assert_eq!(&kept.groups, &Vec::new());
        prop_assert_eq!(&kept.notices, &Vec::new());
        prop_assert_eq!(story.book.next_due(), None);
        // What is in memory is what is kept.
        prop_assert_eq!(story.book.keep(), kept);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// What people see at the end does not hang on where the process was killed.
    #[test]
    fn memory_is_what_is_kept(acts in proptest::collection::vec(act(), 1..80)) {
        let mut story = Story::new();
        for act in &acts {
            play(&mut story, act, &mut Vec::new());
            story.commit();
            let mut kept = story.kept();
            kept.alerts.sort_by(|a, b| (&a.key.resource, &a.key).cmp(&(&b.key.resource, &b.key)));
            prop_assert_eq!(story.book.keep().alerts, kept.alerts);
            prop_assert_eq!(story.book.keep().groups, story.kept().groups);
            prop_assert_eq!(story.book.keep().notices, story.kept().notices);
            prop_assert_eq!(story.book.keep().head, story.kept().head);
        }
    }
}
