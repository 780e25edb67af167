//! Looking at this machine without a hub.

use sickbay_wire::v1::{Page, ResourceDetail};

use crate::support::{Place, errors, json, text};

#[test]
fn check_says_the_same_in_every_form() {
    let place = Place::new();
    let output = place.run(&["check", "--json"]);
    let page: Page<ResourceDetail> = json(&output);
    let node = &page.items[0];
    assert_eq!(output.status.code(), Some(i32::from(node.summary.level.exit_code())));
    assert!(node.checks.iter().any(|check| check.check == "cpu"), "rates exist: two looks");
    let card = &node.score_card;
    let sum: f64 = card.contributions.iter().map(|part| part.contribution).sum();
    assert!((sum - card.uncapped).abs() < 0.2, "{sum} {card:?}");

    let plugin = place.run(&["check", "--plugin"]);
    let line = text(&plugin);
    let line = line.lines().next().unwrap();
    assert!(line.starts_with("SICKBAY ") && line.contains(" | 'score'="), "{line}");
    assert_eq!(line.matches('|').count(), 1, "{line}");

    let table = place.run(&["check"]);
    assert!(text(&table).contains(&node.summary.id), "{}", errors(&table));
    let width = text(&table).lines().map(|line| line.chars().count()).max();
    assert!(width <= Some(80), "{}", text(&table));
}

#[test]
fn without_a_hub_this_machine_is_looked_at() {
    let place = Place::new();
    for command in ["health", "explain"] {
        let output = place.run(&[command]);
        assert!(errors(&output).contains("looking at this machine now"), "{}", errors(&output));
        assert!(text(&output).starts_with("node/"), "{}", text(&output));
        let quiet = place.run(&[command, "--quiet"]);
        assert_eq!(errors(&quiet), "", "{command}");
    }
    let output = place.run(&["explain", "--live"]);
    assert!(text(&output).contains("How the score came about"), "{}", text(&output));
}
