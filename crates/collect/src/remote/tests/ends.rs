//! Nothing is left behind on a node, whatever ends the program.

use super::*;

/// The processes whose environment has this mark.
fn alive(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.windows(mark.len()).any(|part| part == mark.as_bytes()) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(format!("{pid} {}", String::from_utf8_lossy(&command)));
        }
    }
    found
}

/// Waits until no process has the mark, at most this long.
fn all_end(mark: &str, within: Duration, when: &str) {
    let end = Instant::now() + within;
    loop {
        let alive = alive(mark);
        if alive.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{when}: {alive:?}");
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap();
    }
}

/// A mark that no other test has.
fn mark(name: &str) -> String {
    format!("SICKBAY_TEST_MARK={name}-{}", std::process::id())
}

fn marked(sh: &str, packed: impl AsRef<[u8]>, mark: &str, path: Option<&Path>) -> Node {
    Node::start(sh, packed, |command| {
        let (name, value) = mark.split_once('=').unwrap();
        command.env(name, value);
        if let Some(path) = path {
            let mut all = path.as_os_str().to_owned();
            all.push(":/usr/bin:/bin");
            command.env("PATH", all);
        }
    })
}

fn question(lane: Lane, text: &str, number: &str) -> Question {
    let reader = reader::Reader::new(number, 1 << 24);
    let text = format!("{number} {text}\n").into_bytes();
    Question { lane, program: program(), text, limit: PATIENCE, awaited: true, reader }
}

const EVERYTHING: &str = "host 4 fast space links sensors processes amd";

#[test]
fn with_its_input_everything_ends() {
    for (place, sh) in SHELLS.into_iter().enumerate() {
        let mark = mark(&format!("input-{place}"));
        let mut node = marked(sh, program(), &mark, None);
        node.ask(question(Lane::Host, EVERYTHING, "N")).unwrap();
        assert!(!alive(&mark).is_empty(), "{sh}: the mark is seen");
        node.stdin = None;
        all_end(&mark, Duration::from_secs(10), sh);
    }
}

#[test]
fn without_a_reader_everything_ends_at_the_next_answer() {
    for (place, sh) in SHELLS.into_iter().enumerate() {
        let mark = mark(&format!("output-{place}"));
        let mut node = marked(sh, program(), &mark, None);
        node.ask(question(Lane::Host, EVERYTHING, "N")).unwrap();
        // The other end of its output is gone while its input is still open.
        let Node { stdin, .. } = &mut node;
        let mut stdin = stdin.take().unwrap();
        let (reader, _) = std::io::pipe().unwrap();
        node.stdout = std::os::fd::OwnedFd::from(reader).into();
        let _ = stdin.write_all(b"N host 4 fast\nN host 4 fast\n");
        drop(stdin);
        all_end(&mark, Duration::from_secs(10), sh);
    }
}

#[test]
fn what_hangs_is_killed_and_told_and_what_cannot_be_told_ends_too() {
    // It ignores what it can, and so do its children.
    let stubborn = "trap '' TERM HUP INT\nwhile :; do sleep 1000; done";
    let tools = tempfile::tempdir().unwrap();
    programs(tools.path(), &[("nvidia-smi", "exec sleep 1000"), ("stat", "exec sleep 1000")]);
    let stubborn_tools = tempfile::tempdir().unwrap();
    programs(stubborn_tools.path(), &[("nvidia-smi", stubborn)]);
    for (place, sh) in SHELLS.into_iter().enumerate() {
        let mark = mark(&format!("hang-{place}"));
        let mut node = marked(sh, program(), &mark, Some(tools.path()));
        let answer = node.ask(question(Lane::Nvidia, "nvidia 1 index", "N")).unwrap();
        let names: Vec<_> = answer.sections().map(|one| lossy(one.name)).collect();
        assert!(names.contains(&"status query 124".to_owned()), "{sh}: {names:?}");
        // Busybox takes its own programs before those in the path.
        if !sh.starts_with("busybox") {
            let answer = node.ask(question(Lane::Host, "host 1 fast space links", "M")).unwrap();
            let names: Vec<_> = answer.sections().map(|one| lossy(one.name)).collect();
            assert!(names.contains(&"late space".to_owned()), "{sh}: {names:?}");
            assert!(names.contains(&"skipped links".to_owned()), "{sh}: {names:?}");
        }
        // In the middle of a question.
        node.send(b"L nvidia 1 index\n");
        node.stdin = None;
        all_end(&mark, Duration::from_secs(10), sh);
    }
    // A grandchild is nobody's to find; the program itself is gone.
    let mark = mark("stubborn");
    let mut node = marked("dash", program(), &mark, Some(stubborn_tools.path()));
    let answer = node.ask(question(Lane::Nvidia, "nvidia 1 index", "N")).unwrap();
    assert!(answer.sections().any(|one| one.name == b"status query 124"));
    let end = Instant::now() + Duration::from_secs(10);
    while alive(&mark).iter().any(|one| one.contains("nvidia-smi")) {
        assert!(Instant::now() < end, "{:?}", alive(&mark));
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap();
    }
    for one in alive(&mark).iter().filter(|one| one.contains("1000")) {
        let pid = one.split(' ').next().unwrap().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn forgotten_it_ends_by_itself() {
    for (place, sh) in SHELLS.into_iter().enumerate() {
        let mark = mark(&format!("life-{place}"));
        let mut node = marked(sh, program::packed("/", 2, 1000), &mark, None);
        let end = Instant::now() + PATIENCE;
        assert_eq!(node.read(end).map(|bytes| bytes.len()), Some(0), "{sh}: its output ends");
        all_end(&mark, Duration::from_secs(10), sh);
    }
}

#[test]
fn an_old_program_ends_behind_an_answer_and_not_in_it() {
    let root = tempfile::tempdir().unwrap();
    let proc = root.path().join("proc");
    std::fs::create_dir(&proc).unwrap();
    for (place, sh) in SHELLS.into_iter().enumerate() {
        std::fs::write(proc.join("uptime"), "100.50 1.00\n").unwrap();
        let mark = mark(&format!("renewed-{place}"));
        let packed = program::packed(root.path().to_str().unwrap(), 900, 780);
        let mut node = marked(sh, &packed, &mark, None);
        for number in ["A", "B"] {
            node.ask(question(Lane::Host, "host 4 fast", number)).unwrap();
        }
        std::fs::write(proc.join("uptime"), "880.60 1.00\n").unwrap();
        // It looks at the clock before it waits for a question, and may have seen this already.
        let before = node.bytes;
        let answer = node.ask(question(Lane::Host, "host 4 fast", "C"));
        assert!(answer.is_ok() || node.bytes == before, "{sh}: whole or not at all");
        let end = Instant::now() + PATIENCE;
        assert_eq!(node.read(end).map(|bytes| bytes.len()), Some(0), "{sh}: it ended");
        all_end(&mark, Duration::from_secs(10), sh);
    }
}

#[test]
fn it_writes_nothing_anywhere() {
    for sh in SHELLS {
        let home = tempfile::tempdir().unwrap();
        let mut node = Node::start(sh, program(), |command| {
            command.env("HOME", home.path()).env("TMPDIR", home.path()).current_dir(home.path());
        });
        node.ask(question(Lane::Host, EVERYTHING, "N")).unwrap();
        node.ask(question(Lane::Mounts, "mounts 4 ", "M")).unwrap();
        node.ask(question(Lane::Nvidia, "nvidia 4 help", "L")).unwrap();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "{sh}");
    }
    // Nor does it say so anywhere in its text: no redirection to a file, no here-document.
    for line in include_str!("../program.sh").lines().filter(|line| !line.starts_with('#')) {
        let plain = line.replace(">/dev/null", "").replace("2>&1", "").replace("==>", "");
        assert!(
            !plain.contains('>') || plain.contains("' -> vfio") || plain.contains("-> vfio"),
            "{line}"
        );
        assert!(!plain.contains("<<"), "{line}");
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
