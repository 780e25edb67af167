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

#[test]
fn a_diagnosis_tells_what_tools_say_and_packs_it_without_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let tools = place.dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let tool = |name: &str, script: &str| {
        let path = tools.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("ofed_info", "echo MLNX_OFED password=hunter2");
    tool(
        "dcgmi",
        r#"[ "$1" = diag ] && echo '{"DCGM Diagnostic": {"test_categories": [{"tests": [{"name":
        "memory", "results": [{"entity_group": "GPU", "entity_id": 3, "status": "Fail",
        "warnings": [{"warning": "a DBE was found"}]}]}]}]}}'; exit 226"#,
    );
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let diagnose = |arguments: &[&str]| {
        let mut command = place.command(&["diagnose"]);
        command.args(arguments).env("PATH", &path).current_dir(place.dir.path());
        command.stdin(std::process::Stdio::null()).output().unwrap()
    };

    let looked = diagnose(&["--json", "--output", "a.tar.zst"]);
    let view: serde_json::Value = json(&looked);
    assert_eq!(view["secrets_removed"].as_u64(), Some(1), "{view}");
    assert_eq!(view["tests"].as_array().map(Vec::len), Some(0), "level 1 tests nothing");
    let list = "tar --zstd -xf a.tar.zst && cat sickbay-*/network/ofed.txt sickbay-*/report.txt";
    let unpacked = std::process::Command::new("sh")
        .args(["-c", list])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(text(&unpacked).starts_with("MLNX_OFED password=[removed]\n"), "{}", text(&unpacked));
    assert!(text(&unpacked).contains("Questions"), "{}", text(&unpacked));
    let mode = std::fs::metadata(place.dir.path().join("a.tar.zst")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for nobody else to read");
    let again = diagnose(&["--output", "a.tar.zst"]);
    assert_eq!(again.status.code(), Some(74), "{}", errors(&again));
    assert!(errors(&again).contains("is there already"), "{}", errors(&again));

    let unasked = diagnose(&["--level", "2", "--no-bundle", "--despite-job"]);
    assert_eq!(unasked.status.code(), Some(64), "{}", errors(&unasked));
    assert!(errors(&unasked).contains("--yes"), "{}", errors(&unasked));
    let tested = diagnose(&["--level", "2", "--yes", "--despite-job", "--no-bundle"]);
    assert_eq!(tested.status.code(), Some(2), "{}{}", text(&tested), errors(&tested));
    let line = text(&tested).lines().find(|line| line.contains("FAIL")).map(str::to_owned);
    let line = line.unwrap_or_default();
    assert!(line.contains("GPU 3") && line.contains("a DBE was found"), "{}", text(&tested));
}
