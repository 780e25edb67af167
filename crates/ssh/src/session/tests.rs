//! Sessions with real OpenSSH servers.

#[path = "../../tests/support/sshd.rs"]
pub(crate) mod sshd;

mod hostile;
mod keys;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use sickbay_model::{ProbeError, SshTarget};

use super::{Opened, Session};
use crate::shared::{Shared, Through};
use crate::{Ssh, SshSettings};
use sshd::{Lab, Sshd};

/// Settings that know nothing of the machine that the tests run on.
pub(crate) fn settings(lab: &Lab) -> SshSettings {
    let home = lab.path("home");
    std::fs::create_dir_all(home.join(".ssh")).expect("made");
    SshSettings {
        config_files: vec![home.join(".ssh/config")],
        known_hosts: vec![home.join(".ssh/known_hosts")],
        home: Some(home),
        user: lab.user(),
        ..SshSettings::default()
    }
}

/// Writes what the client knows before it connects.
pub(crate) fn write_home(lab: &Lab, name: &str, text: &str) {
    std::fs::create_dir_all(lab.path("home/.ssh")).expect("made");
    lab.write(&format!("home/.ssh/{name}"), text);
}

/// The lab's user at a server whose key is known.
pub(crate) fn knows(lab: &Lab, sshd: &Sshd) -> SshTarget {
    write_home(lab, "known_hosts", &lab.known("127.0.0.1", sshd));
    target(lab, sshd.port)
}

pub(crate) fn target(lab: &Lab, port: u16) -> SshTarget {
    SshTarget {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        identity_file: Some(lab.path("user").display().to_string()),
        ..SshTarget::default()
    }
}

/// A session, with what it is tunnelled through.
async fn open(ssh: &Ssh, target: &SshTarget) -> Result<(Session, Option<Through>), ProbeError> {
    let shared: &Arc<Shared> = ssh.shared();
    let prepared = shared.prepare(target).await?;
    let through = shared.through(&prepared.jumps).await?;
    let via = through.as_ref().map(|through| Arc::clone(&through.session));
    let session = Session::open(&prepared.target, via, shared, &mut None).await?;
    Ok((session, through))
}

/// The error, as a person reads it.
async fn refused(ssh: &Ssh, target: &SshTarget) -> String {
    match open(ssh, target).await {
        Ok(_) => "connected".to_owned(),
        Err(error) => shown(&error),
    }
}

pub(crate) fn shown(error: &ProbeError) -> String {
    let advice = error.advice.as_ref().map_or_else(String::new, |it| format!(" → {}", it.0));
    format!("{}: {}{advice}", error.kind.as_str(), error.message)
}

/// Everything that a command writes.
async fn output(session: &Session, command: &str) -> String {
    let opened = session.execute(command).await.expect("a channel");
    read_all(&opened).await
}

async fn read_all(opened: &Opened) -> String {
    let mut bytes = Vec::new();
    while let Ok(more) = opened.inbox.next().await {
        bytes.extend(more);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_side_by_side_over_one_session() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let target = knows(&lab, &server);
    let ssh = Ssh::new(settings(&lab));
    let (session, _) = open(&ssh, &target).await.expect("opens");
    let slow = session.execute("sleep 30").await.expect("a channel");
    let echo = session.execute("read line; echo \"got $line\"; echo oops >&2; exit 3");
    let echo = echo.await.expect("a channel");
    assert!(echo.round_trip < Duration::from_secs(1));
    echo.send(b"hello\n").await.expect("sent");
    assert_eq!(read_all(&echo).await, "got hello\n");
    assert_eq!(echo.inbox.last_words(), (b"oops\n".to_vec(), Some(3)));
    slow.close().await;
    // More than a window's worth.
    let long = output(&session, "head -c 300000 /dev/zero | tr '\\0' x").await;
    assert_eq!(long.len(), 300_000);
    assert!(session.ping().await && session.is_alive());
    session.end().await;
    sshd::wait_until("sshd forgets the session", || server.sessions().is_empty());
}

#[tokio::test]
async fn many_sessions_open_at_once() {
    let lab = Lab::new();
    let server = lab.sshd("");
    let known: String = (1..=64).map(|i| lab.known(&format!("127.0.0.{i}"), &server)).collect();
    let base = knows(&lab, &server);
    write_home(&lab, "known_hosts", &known);
    let ssh = Ssh::new(SshSettings {
        opening_at_once: 8,
        connect_timeout: Duration::from_secs(30),
        ..settings(&lab)
    });
    let opening = (1..=64).map(|i| {
        let target = SshTarget { host: format!("127.0.0.{i}"), ..base.clone() };
        let ssh = ssh.clone();
        async move { open(&ssh, &target).await.map_err(|error| shown(&error)) }
    });
    let sessions = futures_util::future::join_all(opening).await;
    for session in &sessions {
        let session = session.as_ref().expect("opens");
        assert!(session.0.is_alive());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_jumps_shares_its_sessions() {
    let lab = Lab::new();
    let (first, second) = (lab.sshd(""), lab.sshd(""));
    let inner = lab.sshd("");
    let config = format!(
        "Host *\n IdentityFile {key}\n UserKnownHostsFile {known}\n\
         Host gate1\n HostName 127.0.0.1\n Port {}\n\
         Host gate2\n HostName 127.0.0.2\n Port {}\n ProxyJump gate1\n\
         Host node-?\n HostName 127.0.0.3\n Port {}\n ProxyJump gate2\n",
        first.port,
        second.port,
        inner.port,
        key = lab.path("user").display(),
        known = lab.path("known").display(),
    );
    write_home(&lab, "config", &config);
    let known = [("127.0.0.1", &first), ("127.0.0.2", &second), ("127.0.0.3", &inner)];
    let known: String = known.iter().map(|(host, server)| lab.known(host, server)).collect();
    lab.write("known", &known);
    let ssh = Ssh::new(settings(&lab));
    let to = |host: &str| SshTarget { host: host.to_owned(), ..SshTarget::default() };
    assert_eq!(ssh.jumps_of(&to("node-a")), ["gate1", "gate2"]);
    let (node_a, node_b) = (to("node-a"), to("node-b"));
    let (a, b) = tokio::join!(open(&ssh, &node_a), open(&ssh, &node_b));
    let (a, b) = (a.expect("opens"), b.expect("opens"));
    assert_eq!(output(&a.0, "echo a").await, "a\n");
    assert_eq!(output(&b.0, "echo b").await, "b\n");
    let through = |pair: &(Session, Option<Through>)| {
        Arc::as_ptr(&pair.1.as_ref().expect("tunnelled").session)
    };
    assert!(std::ptr::eq(through(&a), through(&b)));
    // The tunnel stays while somebody uses it, and ends with the last.
    drop(a);
    assert_eq!(output(&b.0, "echo still").await, "still\n");
    drop(b);
    sshd::wait_until("the jump hosts forget us", || {
        first.sessions().is_empty() && second.sessions().is_empty() && inner.sessions().is_empty()
    });
    // What is wrong on the way is told as such.
    drop(inner);
    let found = refused(&ssh, &node_a).await;
    assert!(
        found.contains("127.0.0.2") && found.contains("cannot connect to 127.0.0.3"),
        "{found}"
    );
    drop(first);
    let found = refused(&ssh, &node_a).await;
    assert!(found.starts_with("unreachable: the host to jump over: 127.0.0.1"), "{found}");
}

#[tokio::test]
async fn a_jump_that_forwards_nothing_says_so() {
    let lab = Lab::new();
    let gate = lab.sshd("AllowTcpForwarding no");
    let mut target = knows(&lab, &gate);
    write_home(&lab, "config", &format!("IdentityFile {}\n", lab.path("user").display()));
    target.proxy_jump = Some(format!("127.0.0.1:{}", gate.port));
    let found = refused(&Ssh::new(settings(&lab)), &target).await;
    assert!(
        found.starts_with("denied: 127.0.0.1") && found.contains("AllowTcpForwarding"),
        "{found}"
    );
}
