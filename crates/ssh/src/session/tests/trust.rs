//! Host keys: known, unknown, changed, certified.

use super::*;

#[tokio::test]
async fn an_unknown_key_is_refused_and_a_changed_one_differently() {
    let lab = Lab::new();
    lab.key("other", "ed25519", "");
    lab.key("ecdsa", "ecdsa", "");
    let server = lab.sshd("");
    let port = server.port;
    let ours = lab.public("host");
    let other = lab.public("other");
    let name = format!("[127.0.0.1]:{port}");
    for (known, config, expected) in [
        (String::new(), "", "untrusted: the host key of 127.0.0.1"),
        (String::new(), "StrictHostKeyChecking yes\n", "(StrictHostKeyChecking yes)"),
        (format!("{name} {other}"), "", "known_hosts:1 says SHA256:"),
        // Known by a key of another type only: not new.
        (format!("\n{name} {}", lab.public("ecdsa")), "", "known_hosts:2 says SHA256:"),
        (format!("{name} {other}"), "StrictHostKeyChecking no\n", "has changed"),
        (format!("{name} {ours}@revoked * {ours}"), "", "is revoked by"),
        (format!("{name} {ours}"), "", "connected"),
        (format!("[127.0.0.*]:* {ours}"), "", "connected"),
        (format!("127.0.0.1 {ours}"), "", "connected"),
        (format!("cluster {ours}"), "HostKeyAlias cluster\n", "connected"),
    ] {
        write_home(&lab, "known_hosts", &known);
        write_home(&lab, "config", config);
        let found = refused(&Ssh::new(settings(&lab)), &target(&lab, port)).await;
        assert!(found.contains(expected), "{known:?} {config:?}: {found}");
        let text = std::fs::read_to_string(lab.path("home/.ssh/known_hosts")).expect("read");
        assert_eq!(text, known, "nothing is written without being asked");
    }
}

#[tokio::test]
async fn a_new_key_is_written_down_on_request_and_then_holds() {
    let lab = Lab::new();
    lab.key("other", "ed25519", "");
    let mut server = lab.sshd("");
    let port = server.port;
    let file = lab.path("home/.ssh/known_hosts");
    let accepting = SshSettings { accept_new: true, ..settings(&lab) };
    let target = target(&lab, port);
    // Forbidden by the config: not even on request.
    write_home(&lab, "config", "StrictHostKeyChecking yes\n");
    let found = refused(&Ssh::new(accepting.clone()), &target).await;
    assert!(found.starts_with("untrusted") && !file.exists(), "{found}");
    write_home(&lab, "config", "HashKnownHosts yes\n");
    let ssh = Ssh::new(accepting.clone());
    assert_eq!(refused(&ssh, &target).await, "connected");
    assert_eq!(refused(&ssh, &target).await, "connected");
    let text = std::fs::read_to_string(&file).expect("written");
    assert!(text.starts_with("|1|") && text.lines().count() == 1, "{text}");
    // Strict now, it is known; and another key is not accepted, on request or not.
    assert_eq!(refused(&Ssh::new(settings(&lab)), &target).await, "connected");
    server.kill();
    std::fs::rename(lab.path("other"), lab.path("host")).expect("renamed");
    server.start();
    let found = refused(&Ssh::new(accepting), &target).await;
    assert!(found.starts_with("untrusted") && found.contains("has changed"), "{found}");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), text);
}

#[tokio::test]
async fn certificates_count_where_their_authority_is_known() {
    let lab = Lab::new();
    lab.key("authority", "ed25519", "");
    lab.key("stranger", "ed25519", "");
    let authority = lab.public("authority");
    for (signer, names, validity, known, expected) in [
        ("authority", "127.0.0.1,other", "+1h", "127.0.0.*", "connected"),
        ("authority", "127.0.0.1", "+1h", "[127.0.0.1]:*", "connected"),
        ("authority", "other", "+1h", "*", "it is for other, not for 127.0.0.1"),
        ("authority", "127.0.0.1", "20200101:20200102", "*", "it has expired"),
        ("stranger", "127.0.0.1", "+1h", "*", "which is no known authority"),
        ("authority", "127.0.0.1", "+1h", "elsewhere", "is not known"),
    ] {
        let certificate = lab.certify_host(signer, names, validity);
        let server = lab.sshd(&format!("HostCertificate {}", certificate.display()));
        // Hosts are matched as `[host]:port` here, and `*` fits any.
        let pattern = match known {
            "127.0.0.*" => "[127.0.0.*]:*",
            other => other,
        };
        write_home(&lab, "known_hosts", &format!("@cert-authority {pattern} {authority}"));
        let found = refused(&Ssh::new(settings(&lab)), &target(&lab, server.port)).await;
        assert!(found.contains(expected), "{signer} {names} {known}: {found}");
    }
}

#[tokio::test]
async fn a_host_known_by_its_rsa_key_is_asked_for_that() {
    let lab = Lab::new();
    let rsa = lab.key("rsa", "rsa", "");
    let server = lab.sshd(&format!("HostKey {}", rsa.display()));
    let known = format!("[127.0.0.1]:{} {}", server.port, lab.public("rsa"));
    write_home(&lab, "known_hosts", &known);
    let found = refused(&Ssh::new(settings(&lab)), &target(&lab, server.port)).await;
    assert_eq!(found, "connected");
}

#[tokio::test]
async fn a_jump_that_one_trusts_blindly_is_not_trusted_by_another() {
    let lab = Lab::new();
    let (gate, inner) = (lab.sshd(""), lab.sshd(""));
    // Two names for one gate, at one address: whose key counts is not the same.
    let config = format!(
        "Host lax\n HostName 127.0.0.1\n Port {gate}\n StrictHostKeyChecking no\n \
         UserKnownHostsFile {lax}\nHost strict\n HostName 127.0.0.1\n Port {gate}\n\
         Host a\n ProxyJump lax\nHost b\n ProxyJump strict\n\
         Host a b\n HostName 127.0.0.2\n Port {inner}\nHost *\n IdentityFile {key}\n",
        gate = gate.port,
        inner = inner.port,
        lax = lab.path("lax").display(),
        key = lab.path("user").display(),
    );
    let ssh = Ssh::new(settings(&lab));
    write_home(&lab, "config", &config);
    write_home(&lab, "known_hosts", &lab.known("127.0.0.2", &inner));
    let to = |host: &str| SshTarget { host: host.to_owned(), ..SshTarget::default() };
    let held = open(&ssh, &to("a")).await.map_err(|error| shown(&error)).expect("opens");
    let found = refused(&ssh, &to("b")).await;
    let expected = "untrusted: the host to jump over: the host key of 127.0.0.1";
    assert!(found.starts_with(expected), "{found}");
    assert!(held.0.is_alive());
}
