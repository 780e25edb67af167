//! Programs, files and logs.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::Value;
use sickbay_notify::receiver::{Exec, File, Syslog, SyslogTarget};
use sickbay_notify::{Kind, Outcome, Progress};

use crate::{deliver, notice, receiver, refused, sender};

fn shell(script: &str) -> Kind {
    let args = vec!["-c".to_owned(), script.to_owned()];
    Kind::Exec(Exec::new(Path::new("/bin/sh"), args).expect("program"))
}

#[tokio::test]
async fn a_program_gets_the_notice() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("got");
    assert_eq!(deliver(shell(&format!("cat > {}", file.display()))).await, Outcome::Done);
    let got = std::fs::read_to_string(file).expect("file");
    let got: Value = serde_json::from_str(&got).expect("JSON");
    assert_eq!((&got["version"], &got["status"]), (&"4".into(), &"firing".into()));
}

#[tokio::test]
async fn a_program_that_fails_is_tried_again() {
    for (script, text) in [
        (
            "echo no mail today >&2; exit 75",
            "it ended with exit status: 75; it said: no mail today",
        ),
        ("kill -9 $$", "it ended with signal: 9 (SIGKILL)"),
        ("yes", "its answer is longer than 65536 bytes"),
    ] {
        let outcome = deliver(shell(script)).await;
        assert_eq!(outcome, Outcome::Retry { after: None, why: text.to_owned() }, "{script}");
    }
    let missing = Kind::Exec(Exec::new(Path::new("/nonexistent/tell"), vec![]).expect("program"));
    let Outcome::Retry { why, .. } = deliver(missing).await else { panic!("it may be installed") };
    assert!(why.starts_with("cannot start /nonexistent/tell"), "{why}");
}

#[tokio::test]
async fn a_file_gets_a_line() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("notices.jsonl");
    let (sender, receiver) = (sender(), receiver(Kind::File(File::new(&path).expect("path"))));
    for _ in 0..2 {
        let outcome = sender.deliver(&receiver, &notice(), &mut Progress::default()).await;
        assert_eq!(outcome, Outcome::Done);
    }
    let text = std::fs::read_to_string(&path).expect("file");
    let lines: Vec<Value> =
        text.lines().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["alerts"][0]["labels"]["node"], "gpu-1");
    for bad in ["/dev/null", "/nonexistent/notices"] {
        let kind = Kind::File(File::new(Path::new(bad)).expect("path"));
        let outcome = deliver(kind).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{bad}: {outcome:?}");
    }
}

#[tokio::test]
async fn logs_get_a_line_an_alert() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("log");
    let here = UnixDatagram::bind(&path).expect("socket");
    let kind = |target| Kind::Syslog(Syslog::new(Syslog::DAEMON, target).expect("log"));
    assert_eq!(deliver(kind(SyslogTarget::Local(path))).await, Outcome::Done);
    let mut line = [0; 4096];
    let count = here.recv(&mut line).expect("line");
    let text = String::from_utf8_lossy(&line[..count]).into_owned();
    assert!(text.starts_with("<26>sickbay: critical node/gpu-1 (/scratch): "), "{text}");

    let there = UdpSocket::bind("127.0.0.1:0").expect("socket");
    let port = there.local_addr().expect("address").port();
    let udp = |host: &str, allow_local| {
        kind(SyslogTarget::Udp { address: format!("{host}:{port}").into(), allow_local })
    };
    assert_eq!(deliver(udp("127.0.0.1", true)).await, Outcome::Done);
    for starts in ["<26>1 2026-11-21T09:30:00.000Z hub-1 sickbay - ", "<26>1 ", "<29>1 "] {
        let count = there.recv(&mut line).expect("line");
        let text = String::from_utf8_lossy(&line[..count]).into_owned();
        assert!(text.starts_with(starts), "{text}");
    }
    let Outcome::Refused { why } = deliver(udp("localhost", false)).await else {
        panic!("refused")
    };
    assert!(why.contains("this machine itself"), "{why}");
    assert_ne!(refused(""), Outcome::Done);
}
