//! The program in real shells, the transcript, the tools' words and the bundle.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::*;

const BOOTSTRAP: &str = "IFS= read -r p && eval \"$p\"";

fn question(id: &str) -> &'static Question {
    QUESTIONS.iter().find(|question| question.id == id).expect("there is such a question")
}

fn part(id: &str, end: End, text: &str) -> Part {
    Part { question: question(id), end, content: text.as_bytes().to_vec(), truncated: false }
}

/// What a shell makes of a program. The input stays open until the output ends: its end would end the
/// program.
fn run(shell: &[&str], program: &[u8]) -> Vec<u8> {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", BOOTSTRAP])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(program).expect("it reads");
    let mut output = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut output).expect("it writes");
    drop(input);
    child.wait().expect("it ends");
    output
}

fn program(asks: &str) -> Vec<u8> {
    crate::program::asking(asks, "x1")
}

#[test]
fn questions_are_fit_to_be_asked() {
    for question in QUESTIONS {
        assert!(question.command.is_ascii() && !question.command.contains('\n'), "{question:?}");
        assert!(question.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{question:?}");
        assert!((1..=900).contains(&question.seconds), "{question:?}");
        let syntax = Command::new("sh").args(["-nc", question.command]).status();
        assert!(syntax.expect("sh is there").success(), "{question:?}");
    }
    let names: std::collections::HashSet<_> = QUESTIONS.iter().map(|it| it.id).collect();
    assert_eq!(names.len(), QUESTIONS.len(), "each name once");
}

#[test]
fn every_shell_answers_the_same_questions() {
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let output = run(shell, &line(Level::Look, "x1"));
        let mut transcript = Transcript::new("x1");
        let _ = transcript.feed(&output);
        assert!(transcript.is_complete(), "{shell:?}: {}", String::from_utf8_lossy(&output));
        let parts = transcript.finish();
        let asked = QUESTIONS.iter().filter(|question| question.level == Level::Look);
        assert_eq!(parts.len(), asked.count(), "{shell:?}");
        let kernel = parts.iter().find(|part| part.question.id == "kernel").expect("asked");
        assert!(kernel.text().contains("Linux"), "{shell:?}: {}", kernel.text());
        let driver = parts.iter().find(|part| part.question.id == "driver").expect("asked");
        assert!(matches!(driver.end, End::Exited(_)), "{shell:?}: {:?}", driver.end);
    }
}

#[test]
fn what_hangs_is_ended_and_its_kind_not_asked_again() {
    let asks = "ask driver nvidia '' 1 'echo begun; trap \"\" TERM; sleep 600'\n\
                ask nvidia-smi nvidia '' 1 'echo never'\n\
                ask kernel system no-such-program 1 'echo never'\n\
                ask uptime system '' 5 'printf unended; exit 3'\n";
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let mut transcript = Transcript::new("x1");
        let _ = transcript.feed(&run(shell, &program(asks)));
        assert!(transcript.is_complete(), "{shell:?}");
        let parts = transcript.finish();
        let told: Vec<_> = parts.iter().map(|it| (it.end, it.text().into_owned())).collect();
        assert_eq!(
            told,
            [
                (End::Late, "begun\n".to_owned()),
                (End::Skipped, String::new()),
                (End::Absent, String::new()),
                (End::Exited(3), "unended".to_owned()),
            ],
            "{shell:?}"
        );
    }
}

#[test]
fn when_the_input_ends_everything_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let asks = format!("ask kernel system '' 60 'echo $$ >{}; sleep 600'\n", file.display());
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let _ = std::fs::remove_file(&file);
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", BOOTSTRAP])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the shell starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(&program(&asks)).expect("it reads");
        let pid =
            eventually(|| std::fs::read_to_string(&file).ok().filter(|it| it.ends_with('\n')));
        drop(input);
        child.wait().expect("it ends");
        let process = format!("/proc/{}", pid.trim());
        eventually(|| (!std::path::Path::new(&process).exists()).then_some(()));
    }
}

/// Asks until there is an answer; for what other processes do.
#[expect(clippy::disallowed_methods, reason = "other processes have no paused time")]
fn eventually<T>(ask: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it never came");
        std::thread::yield_now();
    }
}

#[test]
fn an_answer_that_is_cut_says_so_and_the_rest_is_kept() {
    let mut transcript = Transcript::new("x1");
    let _ = transcript.feed(b"Welcome!\n\n\x1ex1 begin kernel\nLinux\n\n\x1ex1 end 0\n");
    let _ = transcript.feed(b"\n\x1ex1 begin uptime\nup \x1ex1 end 0\n\x1ex2 end 0\n");
    assert_eq!(transcript.noise(), "Welcome!");
    assert_eq!(transcript.under_way().map(|it| it.id), Some("uptime"));
    let parts = transcript.finish();
    let told: Vec<_> = parts.iter().map(|it| (it.end, it.text().into_owned())).collect();
    assert_eq!(
        told,
        [
            (End::Exited(0), "Linux\n".to_owned()),
            (End::Cut, "up \u{1e}x1 end 0\n\u{1e}x2 end 0\n".to_owned()),
        ]
    );
}

#[test]
fn a_flood_is_bounded() {
    let mut transcript = Transcript::new("x1");
    let _ = transcript.feed(b"\x1ex1 begin kernel\n");
    let line = [b'a'; 1 << 16];
    for _ in 0..200 {
        let _ = transcript.feed(&line);
    }
    let _ = transcript.feed(b"\n\n\x1ex1 end 0\n\x1ex1 done\n");
    assert!(transcript.is_complete());
    let parts = transcript.finish();
    assert!(parts[0].truncated);
    assert_eq!(parts[0].content.len(), 8 << 20);
    assert_eq!(parts[0].end, End::Exited(0));
}

fn told(tests: &[Test]) -> Vec<String> {
    let tell = |test: &Test| {
        format!("{} {} [{}] {}", test.outcome.as_str(), test.name, test.subject, test.message)
    };
    tests.iter().map(tell).collect()
}

#[test]
fn dcgm_is_understood_in_both_of_its_forms() {
    let third = r#"WARNING: something
{"DCGM GPU Diagnostic": {"test_categories": [{"category": "Deployment", "tests": [
    {"name": "Denylist", "results": [{"gpu_ids": "0,1", "status": "PASS"}]}, null]},
  {"category": "Hardware", "tests": [{"name": "GPU Memory", "results": [
    {"gpu_id": "0", "status": "Pass"},
    {"gpu_id": "1", "status": "Fail", "warnings": [{"warning": "a DBE was found", "error_id": 5}]}]}]},
  {"category": "Stress", "tests": [{"name": "SM Stress", "results": [{"gpu_id": "0", "status": "Not Run"}]}]}],
 "version": "3.3.1"}}"#;
    assert_eq!(
        told(&outcomes(&[part("dcgm-diag", End::Exited(226), third)])),
        [
            "PASS Denylist [GPUs 0,1] ",
            "PASS GPU Memory [GPU 0] ",
            "FAIL GPU Memory [GPU 1] a DBE was found",
            "UNKNOWN SM Stress [GPU 0] it says \"Not Run\"",
        ]
    );
    let fourth = r#"{"DCGM Diagnostic": {"test_categories": [{"category": "Deployment", "tests": [
    {"name": "software", "results": [
      {"entity_group": "GPU", "entity_group_id": 1, "entity_id": 3, "status": "Fail",
       "warnings": [{"error_category": 8, "error_id": 29, "error_severity": 5, "warning": "Persistence Mode: off"}]}],
     "test_summary": {"status": "Fail"}}]}]},
  "metadata": {"version": "4.2.3"}}"#;
    assert_eq!(
        told(&outcomes(&[part("dcgm-diag", End::Exited(205), fourth)])),
        ["WARN software [GPU 3] Persistence Mode: off"],
        "a setting is no fault"
    );
    let refused =
        "Error: Unable to connect to host engine. Host engine connection invalid/disconnected.";
    let cases = [(End::Exited(255), refused), (End::Exited(0), "{}"), (End::Late, "{\"DCGM")];
    for (end, text) in cases {
        let tests = outcomes(&[part("dcgm-diag", end, text)]);
        assert!(tests.iter().all(|test| test.outcome == Outcome::Unknown), "{tests:?}");
        assert_eq!(tests.len(), 1, "{text}");
    }
    assert_eq!(outcomes(&[part("dcgm-diag", End::Absent, "")]), []);
}

#[test]
fn a_slow_link_stands_out_among_its_peers() {
    let text = "nvbandwidth Version: v0.7\n\nRunning host_to_device_memcpy_ce.\n\
        memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)\n\
        \x20          0         1         2         3\n 0     55.13     55.20     13.90     55.11\n\n\
        SUM host_to_device_memcpy_ce 179.34\n\nRunning device_to_device_memcpy_read_ce.\n\
        memcpy CE GPU(row) -> GPU(column) bandwidth (GB/s)\n\
        \x20          0         1\n 0       N/A    276.07\n 1    276.36       N/A\n\n\
        SUM device_to_device_memcpy_read_ce 552.43\n";
    assert_eq!(
        told(&outcomes(&[part("nvbandwidth", End::Exited(0), text)])),
        [
            "WARN host_to_device_memcpy_ce [GPU 2] 13.9 GB/s, where the others move 55.1 GB/s",
            "PASS device_to_device_memcpy_read_ce [] 276.1 to 276.4 GB/s",
        ]
    );
    let broken = part("nvbandwidth", End::Exited(1), "CUDA_ERROR_NO_DEVICE\n");
    assert_eq!(
        told(&outcomes(&[broken])),
        ["UNKNOWN nvbandwidth [] no result: CUDA_ERROR_NO_DEVICE"]
    );
}

#[test]
fn other_tools_are_understood() {
    let fabric = "-I- Discovering\n-E- lid 4 port 1: symbol errors\n-W- speed\n";
    let disks = "== /dev/sda\nSMART overall-health self-assessment test result: PASSED\n\
        == /dev/sdb\nSMART overall-health self-assessment test result: FAILED!\n\
        == /dev/sdc\nSMART Health Status: OK\n";
    let memory =
        "  Stuck Address       : testing   1FAILURE: possible bad address line at offset 0x1\n";
    assert_eq!(
        told(&outcomes(&[
            part("smart", End::Exited(0), disks),
            part("ibdiagnet", End::Exited(1), fabric),
            part("memtester", End::Exited(2), memory),
            part("memtester", End::Exited(0), "Done.\n"),
        ])),
        [
            "PASS self-assessment [/dev/sda] ",
            "FAIL self-assessment [/dev/sdb] FAILED!",
            "PASS self-assessment [/dev/sdc] ",
            "FAIL fabric [] 1 errors; the first: lid 4 port 1: symbol errors",
            "FAIL memory [] Stuck Address       : testing   1FAILURE: possible bad address line at offset 0x1",
            "PASS memory [] 256 MB, once",
        ]
    );
}

#[test]
fn the_bundle_is_what_tar_and_zstd_read_and_holds_no_secret() {
    let mut bundle = Bundle::new("sickbay-n1", 1_800_000_000);
    bundle.text("report.txt", "all well\n").expect("it fits");
    let manifest =
        Manifest { sickbay: "0.1.0", node: "n1", at: "2027-01-15T08:00:00Z", level: Level::Look };
    let long = "x".repeat(300_000);
    let parts = [
        part("kernel", End::Exited(0), "BOOT_IMAGE=/v password=hunter2\n"),
        part("dmesg", End::Exited(0), &long),
        part("ras", End::Absent, ""),
    ];
    let packed = bundle.finish(&manifest, &parts, &outcomes(&parts)).expect("it is packed");
    assert_eq!(packed.removed, 1);
    let bytes = packed.bytes;
    assert!(bytes.len() < 4096, "it is compressed: {}", bytes.len());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("b.tar.zst");
    std::fs::write(&file, &bytes).expect("written");
    let script = format!("cd {} && zstd -q -d b.tar.zst && tar -xf b.tar", folder.path().display());
    assert!(Command::new("sh").args(["-c", &script]).status().expect("sh").success());
    let read = |name: &str| std::fs::read_to_string(folder.path().join("sickbay-n1").join(name));
    assert_eq!(read("system/kernel.txt").expect("there"), "BOOT_IMAGE=/v password=[removed]\n");
    assert_eq!(read("logs/dmesg.txt").expect("there"), long);
    assert!(read("logs/ras.txt").is_err(), "what says nothing has no file");
    let manifest: serde_json::Value =
        serde_json::from_str(&read("manifest.json").expect("there")).expect("JSON");
    assert_eq!(manifest["node"], "n1");
    assert_eq!(manifest["secrets_removed"], 1);
    assert_eq!(manifest["questions"].as_array().expect("a list").len(), 3);
}

/// A program's output, cut into parts and judged.
fn take(bytes: &[u8]) {
    let mut transcript = Transcript::new("0");
    for piece in bytes.chunks(97) {
        let _ = transcript.feed(piece);
    }
    let parts = transcript.finish();
    let _ = outcomes(&parts);
    for part in &parts {
        let _ = crate::secrets::remove(&part.text());
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_machine_sends_is_taken(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        take(&bytes);
        let marked = [b"\x1e0 begin dcgm-diag\n".as_slice(), &bytes, b"\n\x1e0 end 0\n"].concat();
        take(&marked);
    }
}
