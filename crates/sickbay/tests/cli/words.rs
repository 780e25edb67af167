//! What needs neither hub nor machine: help, usage, config, completions, manual.

use crate::support::{Place, errors, text};

#[test]
fn exit_codes_and_words() {
    let place = Place::new();
    for (arguments, code, said) in [
        (vec!["--version"], 0, "sickbay 0."),
        (vec!["--help"], 0, "Exit codes:"),
        (vec![], 64, "Usage:"),
        (vec!["chek"], 64, "'check'"),
        (vec!["check", "--jsn"], 64, "--json"),
        (vec!["history", "a b"], 64, "is not a resource id"),
        (vec!["history", "n", "cpu_usd"], 66, "did you mean cpu_used_percent?"),
        (vec!["events", "--kind", "LEVEL_CHANGD"], 64, "did you mean LEVEL_CHANGED?"),
        (vec!["health", "gpu-07"], 69, "sickbay up"),
        (vec!["events"], 69, "no hub answers"),
        (vec!["up", "--listen", "0.0.0.0:0"], 78, "token_file"),
        (vec!["up", "--listen", "nonsense"], 78, "flag --listen"),
        (vec!["--config", "absent.yaml", "check"], 78, "cannot be read"),
        (vec!["--config", "absent.yaml", "events"], 69, "1 mistake"),
        (vec!["add"], 64, "node"),
        (vec!["add", "node"], 64, "NAME"),
        (vec!["add", "node", "a b", "--no-check"], 64, "a word without spaces"),
        (vec!["add", "node", "-x"], 64, "-x"),
        (vec!["add", "node", "n", "--host", "-oProxyCommand=x"], 64, "unexpected argument"),
        (vec!["add", "node", "n", "--host=-oProxyCommand=x", "--no-check"], 64, "host"),
        (vec!["add", "node", "n", "--port", "0"], 64, "--port"),
        (vec!["add", "node", "n", "--label", "Rack=7"], 64, "a to z"),
        (vec!["add", "node", "n", "--label", "rack="], 64, "1 to 128"),
        (vec!["add", "node", "n", "--expect-gpus", "9999"], 64, "1024"),
        (vec!["add", "node", "n", "--expect-memory", "much"], 64, "512MiB"),
        (vec!["add", "node", "n", "--parent", "n", "--no-check"], 64, "the node itself"),
        (vec!["add", "node", "n", "--parent", "gw", "--no-check"], 64, "gw is not watched"),
        (vec!["remove", "node", "gpu-07"], 66, "is not watched"),
        (vec!["breaker", "list"], 69, "no hub answers"),
        (vec!["check", "rack=7"], 66, "no watched node has the label"),
        (vec!["check", "a b"], 64, "USER@HOST"),
        (vec!["check", "--all", "x"], 64, "cannot be used with"),
        (vec!["check", "x", "--timeout", "0s"], 64, "--timeout"),
        (vec!["health", "--level", "fine"], 64, "unhealthy"),
        (vec!["health", "--level", "critical"], 69, "no hub answers"),
        (vec!["nodes", "import"], 64, "--ansible"),
        (vec!["nodes", "forget", "a b"], 64, "the name"),
        (vec!["nodes", "forget", "gpu-07", "nonsense"], 64, "there is no check"),
        (vec!["nodes", "forget", "gpu-07", "--instance", "3"], 64, "<CHECK>"),
        (vec!["nodes", "forget", "gpu-07"], 69, "no hub answers"),
        (vec!["nodes", "import", "--ansible", "absent.ini"], 74, "absent.ini"),
        (vec!["nodes", "import", "--ansible", "/"], 74, "a directory"),
        (vec!["nodes", "import", "--ssh-config", "absent"], 74, "is no file"),
        (vec!["nodes", "discover"], 0, ""),
        (vec!["db", "stats"], 74, "--data-dir"),
        (vec!["daemon", "status"], 3, "not running"),
        (vec!["config", "schema"], 0, "idle_interval"),
        (vec!["config", "show", "--defaults"], 0, "idle_interval: 1m"),
        (vec!["config", "show", "--variables"], 0, "SICKBAY_HEALTH_CHECK_INTERVAL"),
        (vec!["completions", "bash"], 0, "_sickbay"),
        (vec!["completions", "zsh"], 0, "#compdef sickbay"),
        (vec!["man"], 0, ".TH sickbay"),
        (vec!["daemon", "install", "--print"], 0, "Type=notify"),
    ] {
        let output = place.run(&arguments);
        let all = format!("{}{}", text(&output), errors(&output));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
        assert!(all.contains(said), "{arguments:?}: {all}");
        assert!(!all.contains('\x1b'), "{arguments:?}: colour without a terminal");
    }
}

#[test]
fn a_machine_without_ca_certificates_can_ask_its_own_hub() {
    let place = Place::new();
    let mut command = place.command(&["daemon", "status"]);
    let output = command.env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    assert!(text(&output).contains("not running"));
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let dir = place.dir.path().join("man");
    assert!(place.run(&["man", "--dir", &dir.display().to_string()]).status.success());
    for page in ["sickbay.1", "sickbay-up.1", "sickbay-daemon-start.1", "sickbay-db-backup.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
}

#[test]
fn a_config_is_made_once_and_is_in_order() {
    let place = Place::new();
    let file = place.dir.path().join("new.yaml").display().to_string();
    assert!(place.run(&["config", "init", &file]).status.success());
    let again = place.run(&["config", "init", &file]);
    assert_eq!(again.status.code(), Some(74));
    assert!(errors(&again).contains("--force"), "{}", errors(&again));
    let check = place.run(&["config", "check", &file]);
    assert!(text(&check).contains("in order"), "{}", errors(&check));
    std::fs::write(&file, "lisen: {}\nschedule: {idle_interval: 5}\n").unwrap();
    let check = place.run(&["config", "check", &file]);
    assert_eq!(check.status.code(), Some(78));
    let said = errors(&check);
    assert!(
        said.contains("2 mistakes") && said.contains(":1:1:") && said.contains(":2:27:"),
        "{said}"
    );
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["config", "schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), errors(&output).as_str()), (Some(0), ""));
}
