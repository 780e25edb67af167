//! A child does not outlive its parent, however the parent ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sickbay_runtime::{ChildCommand, ChildLimits, WorkerChild};

const HELPER: &str = env!("CARGO_BIN_EXE_sickbay-worker-test");

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z") && !stat.contains(") X"))
}

#[test]
fn a_child_whose_parent_is_killed_dies_idle_or_hanging() {
    for mood in ["idle", "hang"] {
        let mut parent = Command::new(HELPER)
            .args(["parent", mood])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper starts");
        let mut line = String::new();
        let stdout = parent.stdout.take().expect("its stdout");
        BufReader::new(stdout).read_line(&mut line).expect("its line");
        let child: u32 = line.trim().parse().expect("a pid");
        if mood == "hang" {
            // Until the request has reached the child.
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(alive(child), "{mood}");
        parent.kill().expect("kills");
        parent.wait().expect("is gone");
        let died = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !alive(child)
        });
        assert!(died, "{mood}");
    }
}

#[tokio::test]
async fn our_own_side_of_the_pipe_answers_and_ends_when_told() {
    let command = ChildCommand { program: HELPER.into(), args: vec!["worker".into()], env: vec![] };
    let limits = ChildLimits { kill_grace: Duration::from_secs(20), ..ChildLimits::default() };
    let mut worker = WorkerChild::new("worker".into(), command, limits);
    for text in ["hello", "line\nbreak", "\u{1f600}"] {
        let answer: String =
            worker.call_parsed(&text, Duration::from_secs(20)).await.expect("an answer");
        assert_eq!(answer, text);
    }
    let began = tokio::time::Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "it ended at the end of its stdin");
}
