//! Configs that are wrong, absurd, or no config at all.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{errors, text};
use crate::world::{Hub, place};

/// What a refusal may take, whatever the file is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a command that must not take long; one that does is killed.
fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

#[test]
fn ten_mistakes_are_ten_lines_with_place_and_nearest_name() {
    let place = place("");
    std::fs::write(
        place.config_file(),
        "lisen: {address: 127.0.0.1:1}\n\
         listen: {adress: x, tls: maybe}\n\
         schedule: {idle_interval: 5, active_interval: 1ms}\n\
         probes:\n  timeout: never\n  timeout: 5s\n\
         thresholds: {cpu_usd: {warning: 1}}\n\
         torch: {mode: somtimes}\n\
         store: {max_size: lots}\n\
         latency: {targets: [\"a b\"]}\n",
    )
    .unwrap();
    for command in [&["config", "check"][..], &["up"], &["check"]] {
        let output = place.run(command);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(78), "{command:?}: {said}");
        for (at, word) in [
            (":1:1:", "listen"),
            (":2:10:", "address"),
            (":2:26:", "self_signed"),
            (":3:27:", "5"),
            (":3:47:", "1s"),
            (":5:12:", "never"),
            (":6:3:", "timeout"),
            (":7:14:", "cpu_used"),
            (":8:15:", "somtimes"),
            (":9:19:", "lots"),
            (":10:21:", "a b"),
        ] {
            let line = said.lines().find(|line| line.contains(at));
            assert!(line.is_some(), "{command:?} {at}: {said}");
            let from = said.find(at).unwrap();
            let near: String = said[from..].chars().take(300).collect();
            assert!(near.contains(word), "{command:?} {at} {word}: {said}");
        }
        assert!(said.contains("11 mistakes"), "{command:?}: {said}");
    }
}

#[test]
fn what_is_no_config_is_refused_quickly_and_says_why() {
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let below = format!("*a{},", level - 1).repeat(9);
        format!("{text}a{level}: &a{level} [{below}]\n")
    });
    let wide = "x: 1\n".repeat(20_000);
    let wider = "x: 1\n".repeat(2_000_000);
    for (name, content, word) in [
        ("not UTF-8", b"torch: {mode: never}\n# \xff\n".to_vec(), ":2:1:"),
        ("10 MB", vec![b'#'; 10 << 20], "10485760 bytes"),
        ("a bomb", bomb.into_bytes(), "YAML"),
        ("deep", "[".repeat(100_000).into_bytes(), "YAML"),
        ("wide", wide.into_bytes(), "19900 more"),
        ("wider", wider.into_bytes(), "bytes"),
        ("binary", (0..=255).collect(), ":"),
        ("a list", b"- 1\n".to_vec(), ":1:"),
        ("a word", b"yes\n".to_vec(), ":1:1:"),
        ("a word for a section", b"listen: yes\n".to_vec(), ":1:9:"),
        ("tabs", b"log:\n\tlevel: info\n".to_vec(), ":2:"),
    ] {
        let place = place("");
        std::fs::write(place.config_file(), content).unwrap();
        let output = ended(place.command(&["up"]));
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(78), "{name}: {said}");
        assert!(said.contains("config.yaml") && said.contains(word), "{name}: {said}");
        assert!(said.len() < 20_000, "{name}: says it in {} bytes", said.len());
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let place = place("");
    let file = place.config_file();
    let path = file.display().to_string();
    for (name, make, word) in [
        ("a directory", format!("mkdir {path}"), "directory"),
        ("a pipe", format!("mkfifo {path}"), "not a file"),
        ("a device", format!("ln -s /dev/zero {path}"), "not a file"),
        ("a loop", format!("ln -s {path} {path}"), "symbolic links"),
        ("a link to nothing", format!("ln -s {path}.none {path}"), "No such file"),
    ] {
        let _ = std::fs::remove_file(&file).or_else(|_| std::fs::remove_dir(&file));
        assert!(Command::new("sh").args(["-c", &make]).status().unwrap().success());
        let output = ended(place.command(&["config", "check", &path]));
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(78), "{name}: {said}");
        assert!(said.contains(&path) && said.contains(word), "{name}: {said}");
    }
}

#[test]
fn an_empty_config_is_a_config() {
    for content in ["", "\n\n", "# nothing yet\n", "---\n", "\u{feff}torch: {mode: never}\n"] {
        let place = place("");
        std::fs::write(place.config_file(), content).unwrap();
        let output = place.run(&["config", "check"]);
        assert!(output.status.success(), "{content:?}: {} {}", text(&output), errors(&output));
    }
}

#[test]
fn a_bad_change_leaves_the_old_config_in_force_until_a_good_one_comes() {
    let place = place("");
    let hub = Hub::start(&place);
    let good = std::fs::read_to_string(place.config_file()).unwrap();
    let interval = || hub.node()["interval_seconds"].as_f64().unwrap();
    let before = interval();
    for (name, content) in [
        ("a mistake", format!("{good}lisen: 1\n").into_bytes()),
        ("not UTF-8", b"\xff\xfe".to_vec()),
        ("huge", vec![b'#'; 10 << 20]),
    ] {
        std::fs::write(place.config_file(), content).unwrap();
        let rejected = || {
            let events = hub.events();
            events.iter().filter(|event| event["kind"] == "CONFIG_REJECTED").count()
        };
        let seen = rejected();
        hub.signal("-HUP");
        assert!(crate::support::until(|| rejected() > seen), "{name}: {}", hub.said());
        let status = hub.json("/api/v1/hub");
        assert!(status["config_error"].is_string(), "{name}: {status:#}");
        hub.await_look();
        assert!((interval() - before).abs() < 0.5, "{name}: the old one stays");
    }
    std::fs::remove_file(place.config_file()).unwrap();
    std::fs::write(place.config_file(), format!("{good}state: {{confirm: 4}}\n")).unwrap();
    hub.signal("-HUP");
    hub.await_event("CONFIG_RELOADED", "state.confirm");
    assert!(crate::support::until(|| hub.json("/api/v1/hub")["config_error"].is_null()));
    hub.stop();
}
