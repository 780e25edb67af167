//! Config as tables of cases: what is written, and what comes of it.

use std::time::Duration;

use expect_test::expect;

use super::*;

fn sources(pairs: &[(&str, &str)]) -> Sources {
    let mut all = vec![("HOME", "/home/ada")];
    all.extend_from_slice(pairs);
    let environment = Environment::from_pairs(all);
    Sources { file: None, environment, flags: Vec::new(), root: false }
}

fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    load_text(text, Some(PathBuf::from("/etc/sickbay/config.yaml")), &sources(pairs))
}

#[test]
fn ten_mistakes_are_ten_reports() {
    let text = "\
lisen: 1
listen:
  address: nonsense
  token: short
schedule:
  active_intervall: 5s
  idle_interval: 90
weights:
  gpu: 140
log:
  level: inf
store:
  max_size: 10 elephants
processes:
  - name: a
    patern: x
log:
  level: info
thresholds:
  memory_used: {warning: 96}
";
    let mistakes = read(text, &[]).expect_err("refused");
    expect![[r#"
        the configuration has 12 mistakes
        /etc/sickbay/config.yaml:1:1: `lisen` is not a field; did you mean `listen`?
        /etc/sickbay/config.yaml:3:12: `listen.address` is "nonsense", which is not an address
            allowed: ADDRESS:PORT, such as 127.0.0.1:8790, 0.0.0.0:8790 or [::1]:8790
        /etc/sickbay/config.yaml:4:10: `listen.token` is too short to protect anything
            allowed: at least 8 characters
        /etc/sickbay/config.yaml:6:3: `active_intervall` is not a field in `schedule`; did you mean `active_interval`?
        /etc/sickbay/config.yaml:7:18: `schedule.idle_interval` is 90, which is not a duration
            allowed: a duration such as 15s, 5m, 1h or 7d, from 1s to 1h
        /etc/sickbay/config.yaml:9:8: `weights.gpu` is 140, which is out of range
            allowed: a number, from 0 to 100
        /etc/sickbay/config.yaml:11:10: `log.level` is "inf"; did you mean `info`?
            allowed: error, warn, info, debug, trace
        /etc/sickbay/config.yaml:13:13: `store.max_size` is "10 elephants", which is not a size
            allowed: a size such as 512MiB or 10GB, from 16MiB to 100TB
        /etc/sickbay/config.yaml:15:5: `pattern` is missing in `processes.0`
        /etc/sickbay/config.yaml:16:5: `patern` is not a field in `processes.0`; did you mean `pattern`?
        /etc/sickbay/config.yaml:17:1: `log` stands here a second time; keep one of the two
        /etc/sickbay/config.yaml:20:16: `thresholds.memory_used`: warning (96) must lie below critical (95)"#]]
    .assert_eq(&mistakes.to_string());
}

#[test]
fn every_field_is_documented() {
    let fields = reference::fields(&schema());
    assert!(fields.len() > 60, "{} fields", fields.len());
    for (path, meaning) in fields {
        let item = path.ends_with(".0");
        assert!(item || !meaning.is_empty(), "{path} has no meaning");
    }
}

#[test]
fn the_defaults_are_valid_and_survive_being_written_down() {
    let defaults = Settings::new(PathBuf::from("/home/ada/.local/state/sickbay"));
    let shown = show(&defaults);
    let text = commented(&shown).expect("YAML");
    let loaded = read(&text, &[]).expect("valid");
    assert_eq!(show(&loaded.settings), shown);
    assert_eq!(compare(&defaults, &loaded.settings), Changes::default());
    assert_eq!(loaded.settings.hub.policy, defaults.hub.policy);
    // The starter file changes nothing: everything in it is commented out.
    let starter = starter_file(&defaults).expect("YAML");
    assert_eq!(show(&read(&starter, &[]).expect("valid").settings), shown);
}

#[test]
fn each_field_reaches_its_setting() {
    let text = "\
listen: {address: '127.0.0.1:9000', tls: self_signed, host_names: [hub.example]}
data_dir: data
schedule: {active_interval: 2s, idle_interval: 2m}
probes: {timeout: 1500ms, nvml_library: libnvidia-ml.so.1}
latency: {targets: ['tcp:db.example:5432', 10.0.0.1]}
processes: [{name: train, pattern: 'python * train.py', expected: true}]
torch: {mode: never, interpreter: ~/venv/bin/python}
thresholds: {filesystem_space: {warning: 70}, error_rate: {critical: 0.9}}
overrides: [{check: filesystem_space, instance: /data, critical: 99}]
state: {confirm: 5}
readiness: {disk_free: 20GB, watched_paths: [/, /data], expected_gpus: 8}
store: {raw_age: 3d, max_size: 512MiB}
";
    let settings = read(text, &[]).expect("valid").settings;
    let hub = &settings.hub;
    assert_eq!(hub.listen.addr.port(), 9000);
    assert_eq!(hub.listen.tls, Some(sickbay_hub::TlsSettings::SelfSigned));
    assert_eq!(hub.data_dir, PathBuf::from("/etc/sickbay/data"), "relative to the file");
    assert_eq!(hub.store.path, hub.data_dir);
    assert_eq!(hub.policy.schedule.active_interval, Duration::from_secs(2));
    assert_eq!(hub.local.probe_timeout, Duration::from_millis(1500));
    assert_eq!(hub.local.nvml_library, Some(PathBuf::from("libnvidia-ml.so.1")), "bare: searched");
    assert_eq!(hub.local.torch.interpreter, Some(PathBuf::from("/home/ada/venv/bin/python")));
    assert_eq!(hub.local.latency_targets.len(), 2);
    assert!(hub.local.process_patterns[0].expected);
    assert_eq!(hub.policy.thresholds.filesystem_space.warning, Some(70.0));
    assert_eq!(hub.policy.thresholds.filesystem_space.critical, Some(95.0), "the default stays");
    assert_eq!(hub.policy.overrides[0].critical, Some(99.0));
    assert_eq!(hub.policy.state.confirm, 5);
    assert_eq!(hub.policy.readiness.disk_free_bytes, 20e9);
    assert_eq!(hub.local.watched_paths.len(), 2, "what is judged is measured");
    assert_eq!(hub.policy.readiness.expected_gpus, Some(8));
    assert_eq!(hub.store.retention.max_bytes, 512 << 20);
    let default = Settings::new(hub.data_dir.clone());
    assert_eq!(settings.log, default.log);
}

#[test]
fn variables_lie_over_the_file_and_flags_over_both() {
    let file = "schedule: {idle_interval: 30s}\nlisten: {address: '127.0.0.1:1000'}\n";
    let loaded = read(
        file,
        &[
            ("SICKBAY_HEALTH_CHECK_INTERVAL", "45"),
            ("SICKBAY_HEALTH_CHECK_TIMEOUT", "2.5"),
            ("SICKBAY_HEALTH_SERVER_PORT", "9999"),
            ("SICKBAY_ERROR_RATE_THRESHOLD", "0.7"),
            ("SICKBAY_WORKER_MONITORING_ENABLED", "false"),
            ("SICKBAY_WORKER_METRICS_POLL_INTERVAL", "600"),
            ("SICKBAY_WORKER_NOTIFICATION_WEBHOOKS", "https://a.example/x, https://b.example/y"),
            ("SICKBAY_LOG_LEVEL", ""),
        ],
    )
    .expect("valid");
    let settings = &loaded.settings;
    assert_eq!(settings.hub.policy.schedule.idle_interval, Duration::from_secs(45));
    assert_eq!(settings.hub.local.probe_timeout, Duration::from_millis(2500));
    assert_eq!(settings.hub.listen.addr.to_string(), "127.0.0.1:9999");
    assert_eq!(settings.hub.policy.thresholds.error_rate.critical, Some(0.7));
    assert!(!settings.workers.monitoring);
    assert_eq!(settings.workers.webhooks.len(), 2);
    assert!(loaded.remarks.iter().any(|remark| remark.contains("cloud workers")), "says so");

    let mut sources = sources(&[("SICKBAY_LISTEN", "127.0.0.1:2000")]);
    let text = "127.0.0.1:3000".to_owned();
    sources.flags = vec![FlagValue { flag: "--listen", path: "listen.address", text }];
    let loaded = load_text(file, None, &sources).expect("valid");
    assert_eq!(loaded.settings.hub.listen.addr.port(), 3000);
}

#[test]
fn the_seeds_defaults_hold() {
    let settings = read("", &[]).expect("valid").settings;
    assert_eq!(settings.hub.policy.schedule.idle_interval, Duration::from_secs(60));
    assert_eq!(settings.hub.local.probe_timeout, Duration::from_secs(5));
    assert_eq!(settings.hub.listen.addr.to_string(), sickbay_wire::DEFAULT_LISTEN);
    assert_eq!(settings.hub.policy.thresholds.error_rate.critical, Some(0.5));
    assert!(settings.workers.monitoring && settings.workers.webhooks.is_empty());
    assert_eq!(settings.workers.poll_interval, Duration::from_secs(300));
}

#[test]
fn mistakes_outside_the_file_name_their_place() {
    for (pairs, said) in [
        (vec![("SICKBAY_HEALTH_CHECK_INTERVAL", "soon")], "SICKBAY_HEALTH_CHECK_INTERVAL: "),
        (vec![("SICKBAY_HEALTH_SERVER_PORT", "70000")], "is not a port"),
        (vec![("SICKBAY_ERROR_RATE_THRESHOLD", "2")], "thresholds.error_rate"),
        (vec![("SICKBAY_WORKER_NOTIFICATION_WEBHOOKS", "not a url")], "is not a web address"),
        (vec![("SICKBAY_LISTEN", "0.0.0.0:8790")], "there is no token"),
        (vec![("SICKBAY_TOKEN_FILE", "/nonexistent/token")], "cannot be read"),
    ] {
        let error = read("", &pairs).map(|_| ()).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
    let remarks = read("", &[("SICKBAY_LISTN", "1")]).expect("a remark only").remarks;
    assert!(remarks[0].contains("did you mean SICKBAY_LISTEN?"), "{remarks:?}");
}

#[test]
fn secrets_are_never_shown() {
    let secret = "correct-horse-battery";
    let text = format!("listen: {{token: {secret}, address: '0.0.0.0:1'}}\n");
    let loaded = read(&text, &[]).expect("valid");
    assert_eq!(loaded.settings.hub.listen.token.as_ref().map(Secret::expose), Some(secret));
    let shown = commented(&show(&loaded.settings)).expect("YAML");
    assert!(shown.contains("***") && !shown.contains(secret), "{shown}");
    assert!(!format!("{:?}", loaded.settings).contains(secret));
    for wrong in ["token: 12345678901", "token: [aaaaaaaaaa]", "token: abc1234"] {
        let error = read(&format!("listen: {{{wrong}}}\n"), &[]).expect_err(wrong).to_string();
        let value = wrong.trim_start_matches("token: ").trim_matches(['[', ']']);
        assert!(!error.contains(value), "{error}");
    }
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "correct-horse-battery\nrest\n").unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o644, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_secret_file(&file).is_ok(), good, "{mode:o}");
    }
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(read_secret_file(&file).as_deref(), Ok("correct-horse-battery"));
}

#[test]
fn a_file_that_is_no_config_has_one_clear_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let huge = vec![b'#'; tree::MAX_FILE_BYTES + 1];
    for (bytes, said) in [
        (&b"a: [1, 2"[..], "not valid YAML"),
        (b"good: 1\nb\xff: 2\n", ":2:1: this line is not UTF-8"),
        (b"- a\n- b\n", "which is not a section"),
        (b"just text\n", "which is not a section"),
        (&huge, "bytes; at most"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let sources = Sources { file: Some(file.clone()), ..sources(&[]) };
        let error = load(&sources).map(|_| ()).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    }
    let sources = Sources { file: Some(dir.path().join("absent.yaml")), ..sources(&[]) };
    assert!(load(&sources).is_err(), "a file that was named must be there");
}

#[test]
fn changes_are_named_and_those_that_wait_for_a_restart_told_apart() {
    let old = read("", &[]).expect("valid").settings;
    let new = "thresholds: {cpu_used: {warning: 70}}\nlisten: {address: '127.0.0.1:9'}\nlog: {level: debug}\n";
    let changes = compare(&old, &read(new, &[]).expect("valid").settings);
    assert_eq!(changes.changed, ["listen.address", "log.level", "thresholds.cpu_used.warning"]);
    assert_eq!(changes.needs_restart, ["listen.address"]);
    let with =
        |token: &str| read(&format!("listen: {{token: {token}}}\n"), &[]).expect("valid").settings;
    let changes = compare(&with("first-token"), &with("other-token"));
    assert_eq!(changes.changed, ["listen.token"], "though both are shown as ***");
}

#[tokio::test]
async fn an_editors_rename_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, "a").unwrap();
    let (_watcher, mut changes) = watch(&file).expect("a watch");
    let fresh = dir.path().join("config.yaml.swp");
    for text in ["b", "c"] {
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, &file).unwrap();
        let told = tokio::time::timeout(Duration::from_secs(10), changes.recv()).await;
        assert_eq!(told.ok(), Some(Some(())), "{text}");
    }
}
