//! Config as tables of cases: what is written, and what comes of it.

use std::time::Duration;

use expect_test::expect;
use sickbay_model::{Clears, FaultCatalogue, FaultCode, LogPosition, Status};

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
    let defaults = Settings::defaults(&sources(&[]).environment, false);
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

#[test]
fn every_mistake_in_the_nodes_is_told_at_its_place() {
    let text = "\
nodes:
  - name: gateway
  - {name: gpu-01, host: 10.0.0.1, parent: gateway}
  - {name: gpu-01, host: 10.0.0.2}
  - {host: 10.0.0.1}
  - host: 10.0.0.1
  - {user: ada}
  - {name: 'a b', host: -oProxyCommand=evil}
  - {name: gpu-02, parent: gatway}
  - {name: r1, parent: r2}
  - {name: r2, parent: r3}
  - {name: r3, parent: r1}
  - {name: leads-there, parent: r1}
  - {name: own, parent: own}
  - name: gpu-03
    port: 70000
    labels: {Rack: a, rack.row: '', level: 7}
    expected: {gpus: 2000, memory: 0B, gpu_model: ''}
  - name: gpu-04
    hots: x
breaker: {failures: 0, open_for: 5}
doubt: {failed_percent: 0, window: never}
ssh: {connect_timeout: 10m, opening_at_once: 0, accept_new: maybe, config_file: x}
schedule: {concurrency: 0}
";
    let mistakes = read(text, &[]).expect_err("refused");
    expect![[r#"
        the configuration has 25 mistakes
        /etc/sickbay/config.yaml:4:12: `nodes.2.name`: there is a node "gpu-01" already (line 3)
            allowed: a `name` of its own for each node
        /etc/sickbay/config.yaml:6:11: `nodes.4.host`: there is a node "10.0.0.1" already (line 5)
            allowed: a `name` of its own for each node
        /etc/sickbay/config.yaml:7:5: `nodes.5` has neither `name` nor `host`
            allowed: `name: gpu-07`, or `host: 10.0.0.7`, or both
        /etc/sickbay/config.yaml:8:12: `nodes.6.name` (node a b) is "a b", which is not a name
            allowed: letters, digits, '.', '_', '-' and ':', at most 253 of them
        /etc/sickbay/config.yaml:8:25: `nodes.6.host` (node a b) is -oProxyCommand=evil
            allowed: a word without spaces that does not begin with '-'
        /etc/sickbay/config.yaml:9:28: `nodes.7.parent` is "gatway", but there is no such node; did you mean `gateway`?
            allowed: the name of another node in `nodes`
        /etc/sickbay/config.yaml:10:24: `nodes.8.parent`: the way along parents leads back: r1 → r2 → r3 → r1
            allowed: parents that lead to no node twice
        /etc/sickbay/config.yaml:14:25: `nodes.12.parent` (node own) is the node itself
            allowed: another node's name
        /etc/sickbay/config.yaml:16:11: `nodes.13.port` is 70000, which is out of range
            allowed: a whole number, from 1 to 65535
        /etc/sickbay/config.yaml:17:14: `nodes.13.labels.Rack` (node gpu-03) is not a label's key
            allowed: a to z, 0 to 9, '_', '.' and '-', at most 63 of them
        /etc/sickbay/config.yaml:17:33: `nodes.13.labels.rack.row` is "", which is not a text
            allowed: a text
        /etc/sickbay/config.yaml:17:44: `nodes.13.labels.level` is 7, which is not a text
            allowed: a text; in quotes it is one: "7"
        /etc/sickbay/config.yaml:18:22: `nodes.13.expected.gpus` is 2000, which is out of range
            allowed: a whole number, from 0 to 1024
        /etc/sickbay/config.yaml:18:36: `nodes.13.expected.memory` is "0B", which is out of range
            allowed: a size such as 512MiB or 10GB, from 1MiB to 1000TB
        /etc/sickbay/config.yaml:18:51: `nodes.13.expected.gpu_model` is "", which is not a text
            allowed: a text
        /etc/sickbay/config.yaml:20:5: `hots` is not a field in `nodes.14`; did you mean `host`?
        /etc/sickbay/config.yaml:21:21: `breaker.failures` is 0, which is out of range
            allowed: a whole number, from 1 to 100
        /etc/sickbay/config.yaml:21:34: `breaker.open_for` is 5, which is not a duration
            allowed: a duration such as 15s, 5m, 1h or 7d, from 1s to 1d
        /etc/sickbay/config.yaml:22:25: `doubt.failed_percent` is 0, which is out of range
            allowed: a number, from 1 to 100
        /etc/sickbay/config.yaml:22:36: `doubt.window` is "never", which is not a duration
            allowed: a duration such as 15s, 5m, 1h or 7d, from 1s to 1h
        /etc/sickbay/config.yaml:23:24: `ssh.connect_timeout` is "10m", which is out of range
            allowed: a duration such as 15s, 5m, 1h or 7d, from 1s to 2m
        /etc/sickbay/config.yaml:23:46: `ssh.opening_at_once` is 0, which is out of range
            allowed: a whole number, from 1 to 1024
        /etc/sickbay/config.yaml:23:61: `ssh.accept_new` is "maybe", which is not a switch
            allowed: true, false
        /etc/sickbay/config.yaml:23:68: `config_file` is not a field in `ssh`; did you mean `config_files`?
        /etc/sickbay/config.yaml:24:25: `schedule.concurrency` is 0, which is out of range
            allowed: a whole number, from 1 to 4096"#]].assert_eq(&mistakes.to_string());
}

#[test]
fn nodes_and_how_they_are_reached() {
    let text = "\
nodes:
  - name: gateway
    host: gw.example
    port: 2222
    user: ops
  - name: gpu-01
    identity_file: ~/.ssh/gpu
    proxy_jump: gateway
    labels: {rack: '7', tier: prod}
    parent: gateway
    expected: {gpus: 8, gpu_model: H100, memory: 2TB}
  - host: 10.0.0.9
ssh:
  config_files: [~/.ssh/config, fleet.conf]
  accept_new: true
  connect_timeout: 3s
  gpu_interval: 20s
  opening_at_once: 8
schedule: {concurrency: 100}
probes: {timeout: 2s, process_interval: 5s}
processes: [{name: train, pattern: train.py}]
torch: {mode: never}
";
    let settings = read(text, &[("USER", "ada"), ("SSH_AUTH_SOCK", "/run/agent")]).expect("valid");
    let hub = &settings.settings.hub;
    let [gateway, gpu, bare] = &hub.nodes[..] else { panic!("{:?}", hub.nodes) };
    assert_eq!((gateway.target.host.as_str(), gateway.target.port), ("gw.example", Some(2222)));
    assert_eq!(gpu.target.host, "gpu-01", "by its name");
    assert_eq!(gpu.target.identity_file.as_deref(), Some("/home/ada/.ssh/gpu"));
    assert_eq!(gpu.labels["rack"], "7");
    assert_eq!(gpu.expected.memory_bytes, Some(2_000_000_000_000));
    assert_eq!(gpu.origin, sickbay_model::NodeOrigin::Config);
    assert_eq!(bare.name, "10.0.0.9", "by its host");
    let ssh = &hub.ssh;
    assert_eq!(
        ssh.config_files,
        [PathBuf::from("/home/ada/.ssh/config"), PathBuf::from("/etc/sickbay/fleet.conf")]
    );
    assert_eq!(ssh.known_hosts[0], PathBuf::from("/home/ada/.ssh/known_hosts"), "the default");
    assert_eq!((ssh.user.as_str(), ssh.accept_new), ("ada", true));
    assert_eq!(ssh.agent_socket, Some(PathBuf::from("/run/agent")));
    assert_eq!((ssh.connect_timeout, ssh.opening_at_once), (Duration::from_secs(3), 8));
    assert_eq!(hub.concurrent_collections, 100);
    let remote = &ssh.remote;
    assert_eq!(remote.gpu_interval, Duration::from_secs(20));
    assert_eq!(remote.probe_timeout, Duration::from_secs(2), "as of this machine");
    assert_eq!(remote.process_patterns.len(), 1, "as of this machine");
    assert_eq!(remote.torch.mode, sickbay_collect::TorchMode::Never, "as of this machine");
    // What is shown means the same again, and only what differs is told as changed.
    let again = read(&commented(&show(&settings.settings)).expect("YAML"), &[]).expect("valid");
    assert_eq!(again.settings.hub.nodes, hub.nodes);
    assert_eq!(show(&again.settings), show(&settings.settings));
    let without = text.replace("  - host: 10.0.0.9\n", "");
    let pairs = [("USER", "ada"), ("SSH_AUTH_SOCK", "/run/agent")];
    let changes = compare(&settings.settings, &read(&without, &pairs).expect("valid").settings);
    assert_eq!(changes.changed, ["nodes"]);
    assert_eq!(changes.needs_restart, [""; 0]);
}

#[test]
fn a_config_of_twenty_thousand_nodes_is_read_and_one_more_refused() {
    let mut text = String::from("nodes:\n");
    for number in 0..20_000 {
        text.push_str(&format!(
            "  - {{name: node-{number}, host: 10.{}.{}.{}, user: ops, port: 22, identity_file: ~/.ssh/id, labels: {{rack: r{}, zone: a}}, expected: {{gpus: 8}}{}}}\n",
            number / 65_536,
            number / 256 % 256,
            number % 256,
            number / 32,
            if number > 0 { format!(", parent: node-{}", number - 1) } else { String::new() },
        ));
    }
    assert_eq!(read(&text, &[]).expect("valid").settings.hub.nodes.len(), 20_000);
    let names: String = (0..=20_000).map(|number| format!("  - {number}\n")).collect();
    let error =
        read(&format!("nodes:\n{names}"), &[]).map(|_| ()).expect_err("too many").to_string();
    assert!(error.contains("`nodes` has 20001 items; at most 20000 are allowed"), "{error}");
}

#[test]
fn faults_are_changed_and_added() {
    let text = r#"
faults:
  families:
    - name: my-nic
      literals: [my_nic]
      pattern: 'my_nic (?<device>[0-9a-f:.]+): link lost (?<number>[0-9]+)'
      code: my-nic-link
  entries:
    - {code: xid-13, status: unhealthy, clears: {after_seconds: 3600}}
    - code: my-nic-link
      title: link of our adapter lost
      meaning: The cable is loose.
      class: network
      status: degraded
      advice: reseat it
      clears: reboot
      repeated: [{count: 3, within_seconds: 600, status: unhealthy, advice: replace it}]
"#;
    let settings = read(text, &[]).expect("valid").settings;
    let catalogue = &settings.hub.policy.faults.0;
    let find = |code: &'static str| catalogue.find(&FaultCode::new(code)).expect(code);
    let changed = find("xid-13");
    assert_eq!(changed.title, "graphics engine exception", "what is not given stays");
    assert_eq!((changed.status, changed.advisory), (Status::Unhealthy, false));
    assert_eq!(changed.clears, Clears::AfterSeconds(3600));
    assert_eq!(find("my-nic-link").repeated.len(), 1);
    assert_eq!(find("my-nic-link").sources[0].name, "configuration");
    assert_eq!(catalogue.families[0].name, "my-nic", "asked first");
    let line = b"my_nic 0000:3b:00.0: link lost 7";
    for matcher in [&settings.hub.local.faults, &settings.hub.ssh.remote.faults] {
        let found = matcher.find(line, 0, LogPosition(0)).expect("recognised");
        assert_eq!((found.code.as_str(), &*found.device), ("my-nic-link", "0000:3b:00.0"));
    }
    // Shown as a file, it means the same.
    let again = read(&commented(&show(&settings)).expect("YAML"), &[]).expect("valid").settings;
    assert_eq!(again.hub.policy.faults, settings.hub.policy.faults);
    let changes = compare(&Settings::defaults(&sources(&[]).environment, false), &settings);
    assert_eq!(changes.changed, ["faults.entries", "faults.families"]);
    assert!(changes.needs_restart.is_empty());
}

#[test]
fn mistakes_about_faults_have_their_places() {
    let text = r#"
faults:
  entries:
    - {code: xid-133, status: degraded}
    - {code: xid-79, status: fatal}
    - {code: xid-48, clears: resett}
    - {code: xid-31, clears: {after_secs: 60}}
    - {code: xid-46, clas: fabric}
    - {code: xid-46, class: fabrik}
    - {code: nfs-ok, ends: [nfs-not-respondin]}
    - {code: xid-45, repeated: [{count: 1, within_seconds: 60, status: degraded, advice: x}]}
    - {code: Xid 7, title: t, meaning: m, class: cpu, status: healthy, advice: a, clears: reset}
    - {code: xid-13, advisory: true, status: critical}
  families:
    - {name: xid, literals: ["NVRM: Xid"], pattern: "NVRM: Xid (", code: "xid-{number}"}
    - {name: mine, literals: [x], pattern: x, code: xid-79}
    - {name: other, literals: [other thing], pattern: thing, code: oom-kil}
    - {name: last, litterals: [other thing], pattern: thing, code: xid-79}
"#;
    let mistakes = read(text, &[]).expect_err("refused");
    expect![[r#"
        the configuration has 17 mistakes
        /etc/sickbay/config.yaml:4:14: `faults.entries.0.code`: xid-133 is not in the catalogue, so it needs `title`, `meaning`, `class`, `advice`, `clears`; did you mean `xid-13`?
        /etc/sickbay/config.yaml:5:30: `faults.entries.1.status` is "fatal"
            allowed: healthy, degraded, unhealthy, critical, unknown
        /etc/sickbay/config.yaml:6:30: `faults.entries.2.clears` is "resett"; did you mean `reset`?
            allowed: reset, reboot, or keys: after_seconds
        /etc/sickbay/config.yaml:7:30: `after_seconds` is missing in `faults.entries.3.clears`
        /etc/sickbay/config.yaml:7:31: `after_secs` is not a field in `faults.entries.3.clears`; did you mean `after_seconds`?
        /etc/sickbay/config.yaml:8:22: `clas` is not a field in `faults.entries.4`; did you mean `class`?
        /etc/sickbay/config.yaml:9:14: `faults.entries.5.code`: xid-46 stands in an earlier entry already
        /etc/sickbay/config.yaml:9:29: `faults.entries.5.class` is "fabrik"; did you mean `fabric`?
            allowed: application, information, gpu_reset, nv_link, reboot, gpu_power, fabric, pcie, network, disk, filesystem, memory, cpu, kernel
        /etc/sickbay/config.yaml:10:28: `faults.entries.6.ends`: nfs-not-respondin has no entry; did you mean `nfs-not-responding`?
        /etc/sickbay/config.yaml:11:32: `faults.entries.7.repeated`: it needs at least two sightings, a time, and a short advice
        /etc/sickbay/config.yaml:12:14: `faults.entries.8.code`: it is not of at most 64 small letters, digits and hyphens
        /etc/sickbay/config.yaml:13:32: `faults.entries.9.advisory`: what lowers no level can be degraded at most
        /etc/sickbay/config.yaml:15:53: `faults.families.0.pattern` cannot be used: found open group without closing ')'
        /etc/sickbay/config.yaml:16:30: `faults.families.1.literals`: "x" is not 3 to 80 plain ASCII characters
        /etc/sickbay/config.yaml:17:68: `faults.families.2.code`: oom-kil has no entry; did you mean `oom-kill`?
        /etc/sickbay/config.yaml:18:7: `literals` is missing in `faults.families.3`
        /etc/sickbay/config.yaml:18:20: `litterals` is not a field in `faults.families.3`; did you mean `literals`?"#]].assert_eq(&mistakes.to_string());
}

#[test]
fn the_catalogue_itself_is_written_as_the_config_wants_it() {
    let catalogue = serde_json::to_string(&*FaultCatalogue::embedded()).expect("JSON");
    let loaded = read(&format!("faults: {catalogue}"), &[]).expect("valid");
    assert_eq!(*loaded.settings.hub.policy.faults.0, *FaultCatalogue::embedded());
}
