//! Nodes that are added, listed, imported and removed, with a hub and without one.

use sickbay_wire::v1::{NodeView, Page};

use crate::support::{Place, errors, json, text, until};

fn names(place: &Place) -> Vec<String> {
    let page: Page<NodeView> = json(&place.run(&["list", "nodes", "--json"]));
    let added = page.items.iter().filter(|node| node.spec.is_some());
    added.map(|node| node.id.clone()).collect()
}

/// Runs a command, and says what it said if it did not end as it should.
fn ends(place: &Place, arguments: &[&str], code: i32, said: &str) -> String {
    let output = place.run(arguments);
    let all = format!("{}{}", text(&output), errors(&output));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    assert!(all.contains(said), "{arguments:?}: {said}: {all}");
    all
}

const INVENTORY: &str = "\
[gpu]
gpu-[01:03] ansible_host=127.0.0.1 ansible_port=1
here ansible_connection=local
gpu-99 ansible_user='a b'
";

#[test]
fn nodes_come_and_go_without_a_hub_and_with_one_and_survive_a_restart() {
    let place = Place::new();
    let nowhere = ["--host", "127.0.0.1", "--port", "1"];
    let add = |name: &'static str, more: &[&'static str]| {
        let mut arguments = vec!["add", "node", name];
        arguments.extend(nowhere);
        arguments.extend(more);
        arguments
    };
    let refused = ends(&place, &add("gpu-1", &[]), 69, "gpu-1 was not added");
    assert!(refused.contains("--no-check"), "{refused}");
    assert_eq!(names(&place), [""; 0], "what does not answer is not added");
    let rack = ["--no-check", "--label", "rack=7", "--expect-gpus", "8"];
    ends(&place, &add("gpu-1", &rack), 0, "no hub runs here");
    ends(&place, &add("gpu-1", &["--no-check"]), 64, "is watched already");
    ends(&place, &add("gpu-2", &["--no-check", "--parent", "gpu1"]), 64, "did you mean gpu-1?");
    assert_eq!(names(&place), ["node/gpu-1"]);
    ends(&place, &["list", "nodes", "--label", "rack=7"], 0, "127.0.0.1:1");

    let swept = ends(&place, &["check", "rack=7"], 3, "no answer from 1 node");
    assert!(swept.contains("gpu-1"), "{swept}");
    let plugin = ends(&place, &["check", "gpu-1", "127.0.0.1", "--plugin"], 3, "SICKBAY UNKNOWN");
    assert!(plugin.contains("0 of 2 nodes healthy, 0 ready"), "{plugin}");
    assert!(plugin.contains("'unknown'=2;;;0;2"), "{plugin}");

    let hub = place.up();
    assert!(until(|| names(&place) == ["node/gpu-1"]), "the hub takes it over");
    ends(&place, &add("gpu-2", &["--no-check", "--parent", "gpu-1"]), 0, "from now on");
    ends(&place, &add("gpu-2", &["--no-check"]), 64, "is watched already");
    let file = place.dir.path().join("hosts.ini");
    std::fs::write(&file, INVENTORY).unwrap();
    let file = file.display().to_string();
    let import = ["nodes", "import", "--ansible", &file, "--label", "site=north"];
    let dry = ends(&place, &[&import[..], &["--dry-run"]].concat(), 0, "3 nodes would be added");
    for said in ["gpu-02", "ansible_group=gpu", "here is not reached over SSH", "gpu-99"] {
        assert!(dry.contains(said), "{said}: {dry}");
    }
    assert_eq!(names(&place).len(), 2, "a dry run adds nothing");
    ends(&place, &import, 0, "added 3 nodes");
    ends(&place, &import, 0, "3 nodes watched already");
    assert_eq!(names(&place).len(), 5);

    let shown = until(|| {
        let shown = text(&place.run(&["health"]));
        shown.contains("6 nodes:") && shown.contains("node availability")
    });
    assert!(shown, "{}", text(&place.run(&["health"])));
    let part = ends(&place, &["health", "--label", "site=north"], 3, "3 shown");
    assert!(!part.contains("gpu-1 "), "{part}");
    ends(&place, &["breaker", "reset", "gpu-2"], 0, "is asked now");
    ends(&place, &["breaker", "reset", "gpu-7"], 66, "gpu-7");
    ends(&place, &["breaker", "reset", "../hub"], 64, "is not a name");
    ends(&place, &["breaker", "list", "--all"], 0, "gpu-2");
    ends(&place, &["nodes", "forget", "gpu-2"], 0, "nothing was forgotten");
    ends(&place, &["nodes", "forget", "gpu-7"], 66, "gpu-7");
    ends(&place, &["remove", "node", "gpu-2", "node/gpu-01"], 0, "its history stays");
    ends(&place, &["remove", "node", "gpu-2"], 66, "is not watched");
    drop(hub);

    let hub = place.up();
    assert_eq!(names(&place), ["node/gpu-02", "node/gpu-03", "node/gpu-1"]);
    drop(hub);
    assert_eq!(names(&place), ["node/gpu-02", "node/gpu-03", "node/gpu-1"]);
    ends(&place, &["remove", "node", "gpu-03"], 0, "removed");
    assert_eq!(names(&place), ["node/gpu-02", "node/gpu-1"]);
}

#[test]
fn nodes_of_the_config_are_the_configs() {
    let place = Place::new();
    let config = "torch: {mode: never}\nnodes: [{name: gw, host: 127.0.0.1, port: 1}]\n";
    std::fs::write(place.config_file(), config).unwrap();
    assert_eq!(names(&place), ["node/gw"]);
    ends(&place, &["add", "node", "gw", "--no-check"], 64, "the config names it");
    ends(&place, &["remove", "node", "gw"], 64, "take it out of `nodes`");
    let here: Page<NodeView> = json(&place.run(&["list", "nodes", "--json"]));
    let here = here.items[0].id.strip_prefix("node/").unwrap().to_owned();
    ends(&place, &["add", "node", &here, "--no-check"], 64, "is this machine");
    ends(&place, &["remove", "node", &here], 64, "always watched");
    let all = ends(&place, &["check", "--all"], 3, "2 nodes");
    assert!(all.contains("no answer from 1 node"), "{all}");
}
