//! Logging in: files, agent, encrypted keys, certificates of users.

use super::*;

#[tokio::test]
async fn keys_in_files_of_every_kind() {
    let lab = Lab::new();
    for kind in ["rsa", "ecdsa"] {
        lab.key(kind, kind, "");
    }
    lab.key("stranger", "ed25519", "");
    lab.key("locked", "ed25519", "secret");
    lab.authorise(&["user", "rsa", "ecdsa", "locked"]);
    let server = lab.sshd("");
    let base = knows(&lab, &server);
    let ssh = Ssh::new(settings(&lab));
    for (key, expected) in [
        ("user", &["connected"][..]),
        ("rsa", &["connected"]),
        ("ecdsa", &["connected"]),
        (
            "stranger",
            &["denied: ", "does not let us in: tried", "stranger (SHA256:", "authorized_keys"],
        ),
        ("locked", &["denied: ", "locked is encrypted", "→ add the key to the agent: ssh-add "]),
        ("missing", &["denied: ", "no key to try", "missing is not there", "→ name a private key"]),
    ] {
        let file = lab.path(key).display().to_string();
        let target = SshTarget { identity_file: Some(file), ..base.clone() };
        let found = refused(&ssh, &target).await;
        for part in expected {
            assert!(found.contains(part), "{key}: {found}");
        }
    }
    // A name that nobody has on this machine.
    let nobody = SshTarget { user: Some("nosuchuser".to_owned()), ..base };
    let found = refused(&ssh, &nobody).await;
    assert!(found.starts_with("denied: nosuchuser@127.0.0.1"), "{found}");
}

#[tokio::test]
async fn the_agent_logs_in_and_only_with_keys_that_it_may() {
    let lab = Lab::new();
    let locked = lab.key("locked", "ed25519", "secret");
    lab.authorise(&["locked"]);
    let strangers: Vec<_> =
        (0..7).map(|i| lab.key(&format!("stranger{i}"), "ed25519", "")).collect();
    let server = lab.sshd("");
    let mut target = knows(&lab, &server);
    target.identity_file = None;
    let agent = lab.agent();
    let with_agent = SshSettings { agent_socket: Some(agent.socket.clone()), ..settings(&lab) };
    let found = refused(&Ssh::new(with_agent.clone()), &target).await;
    assert!(found.contains("the agent holds no key"), "{found}");
    let askpass = lab.script("askpass", "#!/bin/sh\necho secret\n");
    agent.add_encrypted(&locked, &askpass);
    assert_eq!(refused(&Ssh::new(with_agent.clone()), &target).await, "connected");
    // Only keys that are named.
    write_home(&lab, "config", "IdentitiesOnly yes\n");
    let found = refused(&Ssh::new(with_agent.clone()), &target).await;
    assert!(found.contains("no key to try"), "{found}");
    let named = format!("IdentitiesOnly yes\nIdentityFile {}\n", locked.display());
    write_home(&lab, "config", &named);
    assert_eq!(refused(&Ssh::new(with_agent.clone()), &target).await, "connected");
    write_home(&lab, "config", &format!("IdentityAgent {}\n", agent.socket.display()));
    assert_eq!(refused(&Ssh::new(settings(&lab)), &target).await, "connected");
    write_home(&lab, "config", "IdentityAgent none\n");
    let found = refused(&Ssh::new(with_agent.clone()), &target).await;
    assert!(found.contains("no key to try"), "{found}");

    // A full agent: the named key comes first, and without a name the limit is told.
    let full = lab.path("full");
    std::fs::create_dir(&full).expect("made");
    drop(agent);
    let _ = std::fs::remove_file(lab.path("agent"));
    let agent = lab.agent();
    for stranger in &strangers {
        agent.add(stranger);
    }
    agent.add_encrypted(&locked, &askpass);
    write_home(&lab, "config", "");
    let found = refused(&Ssh::new(with_agent.clone()), &target).await;
    assert!(found.starts_with("denied") && found.contains("stranger0"), "{found}");
    write_home(&lab, "config", &format!("IdentityFile {}\n", locked.display()));
    assert_eq!(refused(&Ssh::new(with_agent.clone()), &target).await, "connected");

    // An agent that is gone is no reason not to try files.
    drop(agent);
    lab.authorise(&["user"]);
    target.identity_file = Some(lab.path("user").display().to_string());
    assert_eq!(refused(&Ssh::new(with_agent), &target).await, "connected");
}

#[tokio::test]
async fn certificates_of_users() {
    let lab = Lab::new();
    lab.key("authority", "ed25519", "");
    lab.key("certified", "ed25519", "");
    let signed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-I", "me", "-n", &lab.user(), "-s"])
        .arg(lab.path("authority"))
        .arg(lab.path("certified.pub"))
        .status();
    assert!(signed.expect("ssh-keygen runs").success());
    let server = lab.sshd(&format!("TrustedUserCAKeys {}", lab.path("authority.pub").display()));
    let mut target = knows(&lab, &server);
    target.identity_file = Some(lab.path("certified").display().to_string());
    assert_eq!(refused(&Ssh::new(settings(&lab)), &target).await, "connected");
}

#[tokio::test]
async fn passwords_are_never_used() {
    let lab = Lab::new();
    let server = lab.sshd("PasswordAuthentication yes\nPubkeyAuthentication no");
    let target = knows(&lab, &server);
    let found = refused(&Ssh::new(settings(&lab)), &target).await;
    assert!(found.contains("takes no keys, only password, which is never used here"), "{found}");
}
