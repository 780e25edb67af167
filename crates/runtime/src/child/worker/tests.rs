//! Real children: `sh` as the worker.

use std::sync::atomic::Ordering;

use super::*;

const SOON: Duration = Duration::from_millis(300);
const AMPLE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> WorkerChild {
    shell_within(script, ChildLimits::default())
}

fn shell_within(script: &str, limits: ChildLimits) -> WorkerChild {
    let command = ChildCommand {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
    };
    WorkerChild::new("test".into(), command, limits)
}

fn alive(pid: u32) -> bool {
    // A zombie that nobody waited for yet does not live either.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z") && !stat.contains(") X"))
}

async fn gone(pid: u32) -> bool {
    for _ in 0..200 {
        if !alive(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

const ECHO: &str = r#"while read -r line; do printf '{"pid":%s,"got":%s}\n' $$ "$line"; done"#;

#[tokio::test]
async fn one_child_answers_many_requests() {
    let mut worker = shell(ECHO);
    assert_eq!(worker.pid(), None, "nothing is started before it is needed");
    for number in 0..20 {
        let answer = worker.call(&number, AMPLE).await.expect("an answer");
        let pid = worker.pid().expect("a child");
        assert_eq!(String::from_utf8_lossy(&answer), format!(r#"{{"pid":{pid},"got":{number}}}"#));
    }
    assert_eq!(worker.starts(), 1);
    let pid = worker.pid().expect("a child");
    worker.stop().await;
    assert!(worker.pid().is_none() && !alive(pid));
}

#[tokio::test]
async fn a_child_that_hangs_is_killed_at_the_deadline_with_all_that_it_started() {
    let mut worker = shell("read -r line; sleep 1000 & echo $! >&2; echo $!; read -r line; wait");
    let grandchild = worker.call(&1, AMPLE).await.expect("an answer");
    let grandchild: u32 = String::from_utf8_lossy(&grandchild).parse().expect("a pid");
    let child = worker.pid().expect("a child");
    assert!(alive(child) && alive(grandchild));
    let began = Instant::now();
    let error = worker.call(&2, SOON).await.expect_err("it hangs");
    assert!(matches!(error, CallError::Late { after } if after == SOON), "{error}");
    assert!(began.elapsed() >= SOON && began.elapsed() < AMPLE);
    assert!(!alive(child) && gone(grandchild).await);

    // The next call starts another.
    assert!(worker.call(&3, AMPLE).await.is_ok());
    assert_eq!(worker.starts(), 2);
}

#[tokio::test]
async fn what_a_dying_child_said_is_kept() {
    let mut worker = shell("read -r line; echo careful >&2; echo no disk >&2; exit 7");
    let error = worker.call(&1, AMPLE).await.expect_err("it dies");
    let CallError::Exited { status, stderr_tail } = &error else { panic!("{error}") };
    assert_eq!((status.code(), stderr_tail.as_str()), (Some(7), "careful | no disk"));
    assert_eq!(error.to_string(), "it ended with exit status: 7; it said: careful | no disk");
}

#[tokio::test]
async fn much_noise_on_stderr_blocks_nothing_and_only_its_end_is_kept() {
    let script = "read -r line; head -c 300000 /dev/zero | tr '\\0' x >&2; echo END >&2; echo 1; \
                  read -r line; exit 1";
    let mut worker = shell(script);
    assert_eq!(worker.call(&1, AMPLE).await.expect("an answer"), b"1");
    let error = worker.call(&2, AMPLE).await.expect_err("it dies");
    let CallError::Exited { stderr_tail, .. } = error else { panic!("{error}") };
    assert!(stderr_tail.ends_with("xEND") && stderr_tail.len() <= crate::STDERR_TAIL_BYTES);
}

#[tokio::test]
async fn nonsense_is_refused_and_its_child_killed() {
    let limits = ChildLimits { max_line_bytes: 1_000, ..ChildLimits::default() };
    for (script, message) in [
        ("read -r line; echo 'not json'; sleep 1000", "its answer is no JSON"),
        ("read -r line; printf '\\377\\n'; sleep 1000", "its answer is no JSON"),
        ("read -r line; echo; sleep 1000", "its answer is no JSON"),
        ("read -r line; printf '1\\n2\\n'; sleep 1000", "more than one line"),
        ("read -r line; head -c 1001 /dev/zero; sleep 1000", "longer than 1000 bytes"),
        ("read -r line; yes | tr -d '\\n'", "longer than 1000 bytes"),
        ("read -r line; exec >&-; sleep 1000", "it ended with signal: 9"),
    ] {
        let mut worker = shell_within(script, limits);
        let error = worker.call(&1, AMPLE).await.expect_err(script).to_string();
        assert!(error.contains(message), "{script}: {error}");
        assert_eq!(worker.pid(), None, "{script}");
    }
}

#[tokio::test]
async fn an_answer_may_be_long_and_come_in_pieces() {
    let script = r#"read -r line; printf '"'; head -c 200000 /dev/zero | tr '\0' y; sleep 0.05
                    printf '"\n'; read -r line"#;
    let mut worker = shell(script);
    let answer: String = worker.call_parsed(&1, AMPLE).await.expect("an answer");
    assert_eq!(answer.len(), 200_000);
}

#[tokio::test]
async fn a_child_that_dies_between_calls_is_replaced_in_silence() {
    let mut worker = shell(ECHO);
    worker.call(&1, AMPLE).await.expect("an answer");
    let first = worker.pid().expect("a child");
    let pid = rustix::process::Pid::from_raw(first.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kills");
    assert!(gone(first).await);
    worker.call(&2, AMPLE).await.expect("an answer");
    assert!(worker.starts() == 2 && worker.pid() != Some(first));
}

#[tokio::test]
async fn a_call_that_was_dropped_leaves_no_answer_for_the_next() {
    let mut worker = shell(r#"while read -r line; do sleep 0.1; echo "$line"; done"#);
    worker.call(&0, AMPLE).await.expect("an answer");
    let dropped = tokio::time::timeout(Duration::from_millis(20), worker.call(&1, AMPLE)).await;
    assert!(dropped.is_err());
    assert_eq!(worker.call(&2, AMPLE).await.expect("an answer"), b"2");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let command = ChildCommand { program: "/no/such".into(), args: vec![], env: vec![] };
    let mut worker = WorkerChild::new("test".into(), command, ChildLimits::default());
    let error = worker.call(&1, AMPLE).await.expect_err("not there").to_string();
    assert!(error.starts_with("cannot start /no/such: No such file"), "{error}");
}

#[tokio::test]
async fn a_child_that_cannot_be_killed_is_remembered_and_none_is_started_beside_it() {
    let limits = ChildLimits { kill_grace: Duration::from_millis(50), ..ChildLimits::default() };
    let mut worker = shell_within(r#"read -r l; echo "$l"; read -r l; sleep 1000"#, limits);
    worker.call(&1, AMPLE).await.expect("an answer");
    let pid = worker.pid().expect("a child");
    let State::Running { process, .. } = &worker.state else { panic!("not running") };
    // As if the kernel held it: SIGKILL is sent, but no wait ever sees its end.
    let held = std::sync::Arc::clone(&process.held);
    held.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let error = worker.call(&2, SOON).await.expect_err("stuck");
        assert!(matches!(error, CallError::Stuck { pid: stuck, .. } if stuck == pid), "{error}");
        assert_eq!((worker.pid(), worker.starts()), (Some(pid), 1));
    }
    assert!(worker.stuck_for().is_some());
    held.store(false, Ordering::Relaxed);
    assert!(gone(pid).await);
    worker.call(&3, AMPLE).await.expect("an answer");
    assert_eq!((worker.stuck_for(), worker.starts()), (None, 2));
}

#[tokio::test]
async fn stop_and_drop_leave_no_process() {
    for (script, polite) in [(ECHO, true), ("read -r l; echo 1; sleep 1000 & wait", false)] {
        for stop in [true, false] {
            let mut worker = shell(script);
            worker.call(&1, AMPLE).await.expect("an answer");
            let pid = worker.pid().expect("a child");
            if stop {
                worker.stop().await;
                assert!(!alive(pid), "polite: {polite}");
            }
            drop(worker);
            assert!(gone(pid).await, "polite: {polite}, stop: {stop}");
        }
    }
}

#[tokio::test]
async fn a_child_has_its_environment_its_directory_and_its_own_group() {
    let script = r#"read -r l; read -r stat < /proc/self/stat
                    printf '["%s","%s",%s]\n' "$GREETING" "$PWD" "$(cut -d' ' -f5 /proc/$$/stat)""#;
    let mut worker = shell(script);
    let answer: (String, String, u32) = worker.call_parsed(&1, AMPLE).await.expect("an answer");
    assert_eq!(answer.0, "hello");
    assert_eq!(answer.1, "/");
    assert_eq!(Some(answer.2), worker.pid());
}
