use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

use super::{KnownHosts, Verdict, append, check, known_types};
use crate::route::TrustRules;

fn key() -> PublicKey {
    let mut rng = russh::keys::key::safe_rng();
    PrivateKey::random(&mut rng, Algorithm::Ed25519).expect("a key").public_key().clone()
}

fn line(key: &PublicKey) -> String {
    key.to_openssh().expect("a line")
}

fn rules(host: &str, port: u16) -> TrustRules {
    let (name, name_without_port) = match port {
        22 => (host.to_owned(), None),
        port => (format!("[{host}]:{port}"), Some(host.to_owned())),
    };
    TrustRules {
        name,
        name_without_port,
        files: Vec::new(),
        writable: None,
        accept_new: false,
        strict: false,
        hash: false,
    }
}

/// Accepts a key under a name as it would be written.
fn add(file: &Path, name: &str, key: &PublicKey, hash: bool) -> std::io::Result<Verdict> {
    let rules = TrustRules { name: name.to_owned(), hash, ..rules("", 22) };
    append::append(file, &rules, key)
}

fn files(text: &str) -> [Arc<KnownHosts>; 1] {
    [Arc::new(KnownHosts::parse(PathBuf::from("k"), text.as_bytes()))]
}

fn verdict(text: &str, host: &str, port: u16, key: &PublicKey) -> String {
    match check(&files(text), &rules(host, port), &key.clone().into(), 0) {
        Verdict::Known => "known".to_owned(),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed { place, .. } => format!("changed {place}"),
        Verdict::Revoked(place) => format!("revoked {place}"),
        Verdict::BadCertificate(why) => format!("bad {why}"),
    }
}

#[test]
fn hosts_are_known_unknown_or_changed() {
    let (ours, other) = (key(), key());
    let (k, o) = (line(&ours), line(&other));
    for (text, host, port, expected) in [
        (String::new(), "a", 22, "unknown"),
        (format!("a {k}"), "a", 22, "known"),
        (format!("A,b {k} a comment"), "a", 22, "known"),
        (format!("\ta\t{k}\r\n"), "a", 22, "known"),
        (format!("# a {k}\n"), "a", 22, "unknown"),
        (format!("b {k}"), "a", 22, "unknown"),
        (format!("a {o}"), "a", 22, "changed k:1"),
        (format!("b {o}\na {o}\n"), "a", 22, "changed k:2"),
        // One of several keys is enough.
        (format!("a {o}\na {k}\n"), "a", 22, "known"),
        (format!("*.org,!b.org {k}"), "a.org", 22, "known"),
        (format!("*.org,!b.org {k}"), "b.org", 22, "unknown"),
        (format!("*.org {o}"), "a.org", 22, "changed k:1"),
        (format!("10.0.0.? {k}"), "10.0.0.7", 22, "known"),
        // Ports.
        (format!("[a]:7 {k}"), "a", 7, "known"),
        (format!("[a]:7 {k}"), "a", 8, "unknown"),
        (format!("[a]:7 {k}"), "a", 22, "unknown"),
        (format!("[a]:7 {o}"), "a", 7, "changed k:1"),
        (format!("[a]:* {k}"), "a", 7, "known"),
        // Without the port an equal key counts, another one says nothing.
        (format!("a {k}"), "a", 7, "known"),
        (format!("a {o}"), "a", 7, "unknown"),
        // Revoked comes first, wherever it stands.
        (format!("a {k}\n@revoked * {k}\n"), "a", 22, "revoked k:2"),
        (format!("a {k}\n@revoked * {o}\n"), "a", 22, "known"),
        (format!("a {k}\n@revoked a {k}\n"), "a", 7, "revoked k:2"),
        (format!("@revoked a {k}\n"), "a", 7, "revoked k:1"),
        // Lines that cannot be understood permit nothing.
        (format!("@odd a {k}"), "a", 22, "unknown"),
        ("a ssh-ed25519 AAAA".to_owned(), "a", 22, "unknown"),
        ("a ssh-ed25519".to_owned(), "a", 22, "unknown"),
        (format!("|1|x|y {k}"), "a", 22, "unknown"),
        (format!("@cert-authority a {k}"), "a", 22, "unknown"),
    ] {
        assert_eq!(verdict(&text, host, port, &ours), expected, "{text:?} {host} {port}");
    }
}

#[test]
fn hashed_names_are_those_of_openssh() {
    let ours = key();
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("known_hosts");
    add(&file, "gpu-1", &ours, true).expect("written");
    let text = std::fs::read_to_string(&file).expect("read");
    assert!(text.starts_with("|1|") && !text.contains("gpu-1"), "{text}");
    assert_eq!(verdict(&text, "gpu-1", 22, &ours), "known");
    assert_eq!(verdict(&text, "gpu-2", 22, &ours), "unknown");
    assert_eq!(verdict(&text, "gpu-1", 22, &key()), "changed k:1");
    let found = std::process::Command::new("ssh-keygen")
        .args(["-F", "gpu-1", "-f"])
        .arg(&file)
        .output()
        .expect("ssh-keygen runs: install openssh-client");
    assert!(found.status.success(), "{found:?}");
}

#[test]
fn hosts_are_asked_for_keys_of_known_types() {
    let ours = line(&key());
    let rsa = "ssh-rsa AAAA";
    for (text, first, authority) in [
        (String::new(), "ssh-ed25519", false),
        (format!("a {rsa}"), "rsa-sha2-512", false),
        (format!("a {rsa}\na {ours}"), "ssh-ed25519", false),
        ("[a]:7 ecdsa-sha2-nistp384 AAAA".to_owned(), "ecdsa-sha2-nistp256", false),
        (format!("@cert-authority * {ours}"), "ssh-ed25519", true),
        (format!("@revoked a {rsa}"), "ssh-ed25519", false),
    ] {
        let known = known_types(&files(&text), &rules("a", 7));
        assert_eq!(
            known.order().first().map(ToString::to_string).as_deref(),
            Some(first),
            "{text}"
        );
        assert_eq!((known.order().len(), known.authority), (6, authority), "{text}");
    }
}

#[test]
fn accepted_keys_are_written_once_and_whole() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("new/.ssh/known_hosts");
    let (first, second) = (key(), key());
    add(&file, "a", &first, false).expect("written");
    add(&file, "a", &first, false).expect("written");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode(&file) & 0o777, 0o600);
    assert_eq!(mode(file.parent().expect("parent")) & 0o777, 0o700);
    assert_eq!(std::fs::read_to_string(&file).expect("read"), format!("a {}\n", line(&first)));

    // A last line without its end is not continued.
    std::fs::write(&file, format!("b {}", line(&second))).expect("written");
    add(&file, "[a]:7", &first, false).expect("written");
    let text = std::fs::read_to_string(&file).expect("read");
    assert_eq!(text, format!("b {}\n[a]:7 {}\n", line(&second), line(&first)));

    // Many at once.
    let names: Vec<String> = (0..32).map(|i| format!("n{i}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| add(&file, name, &first, false).expect("written"));
        }
    });
    let text = std::fs::read_to_string(&file).expect("read");
    for name in &names {
        assert_eq!(verdict(&text, name, 22, &first), "known", "{name}");
    }
    // A place that takes everything and keeps nothing is no error.
    add(std::path::Path::new("/dev/null"), "a", &first, false).expect("written");
    assert!(add(std::path::Path::new("/proc/x/y"), "a", &first, false).is_err());
}

#[test]
fn of_two_new_keys_of_one_host_the_second_is_a_change() {
    let directory = tempfile::tempdir().expect("directory");
    let (first, second) = (key(), key());
    // Both were unknown when they were looked up.
    for hash in [false, true] {
        let file = directory.path().join(format!("known_hosts-{hash}"));
        assert_eq!(add(&file, "a", &first, hash).expect("written"), Verdict::Known);
        let text = std::fs::read_to_string(&file).expect("read");
        let found = add(&file, "a", &second, hash).expect("read");
        assert!(matches!(found, Verdict::Changed { .. }), "{found:?}");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), text);
    }
    let file = directory.path().join("revoked");
    std::fs::write(&file, format!("@revoked * {}\n", line(&first))).expect("written");
    let found = add(&file, "a", &first, false).expect("read");
    assert!(matches!(found, Verdict::Revoked(_)), "{found:?}");
}

#[test]
fn what_would_stand_for_other_hosts_is_not_written() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("known_hosts");
    for name in ["*", "n?", "a,b", "!a", "a b", "a\nb", "|1|x|y", "#a", "@revoked", "[*]:7", ""] {
        let found = add(&file, name, &key(), false).expect_err(name);
        assert_eq!(found.kind(), std::io::ErrorKind::InvalidInput, "{name:?}");
    }
    assert!(!file.exists());
}

#[test]
fn a_file_that_somebody_keeps_locked_is_given_up() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("known_hosts");
    let held = std::fs::File::create(&file).expect("made");
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let found = add(&file, "a", &key(), false).expect_err("it is locked");
    assert!(found.to_string().contains("another program keeps it locked"), "{found}");
    drop(held);
    assert_eq!(add(&file, "a", &key(), false).expect("written"), Verdict::Known);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        super::any_bytes(&bytes);
    }

    #[test]
    fn no_words_break_a_promise(words in proptest::collection::vec(
        prop_oneof![
            Just("host"), Just("[host]:7"), Just("@revoked"), Just("@cert-authority"), Just("*"),
            Just("!host"), Just("|1|"), Just("|1|AAAA|AAAA"), Just("\n"), Just(","),
            Just("ssh-ed25519"), Just("ssh-rsa"), Just("AAAAB3NzaC1yc2EAAAABIw=="),
            Just("AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio"),
        ], 0..40)
    ) {
        super::any_bytes(words.join(" ").as_bytes());
    }
}
