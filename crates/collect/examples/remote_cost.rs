//! What asking a remote node costs: CPU time on the node, bytes on the way, CPU time here.
//!
//! `cargo run --release -p sickbay-collect --example remote_cost [SHELL...]` drives the program in
//! shells of this machine over pipes, on a clock that is moved by five seconds a poll; then it takes
//! in the recorded answer of a machine with 64 cores.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for people")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sickbay_collect::remote::{
    BOOTSTRAP, Conversation, Lane, Progress, Question, Reached, Reader, RemoteSettings, program,
};
use sickbay_collect::{TorchMode, TorchSettings};
use sickbay_model::{ProbeError, ProbeErrorKind, Resource, ResourceId, Timestamp};
use sickbay_runtime::cost;

const POLLS: u32 = 300;

/// Cores of the machine whose answer is taken in.
const CORES: usize = 64;

fn main() {
    let shells: Vec<String> = std::env::args().skip(1).collect();
    let shells = if shells.is_empty() {
        vec!["dash".into(), "bash --posix".into(), "busybox sh".into()]
    } else {
        shells
    };
    println!("program: {} bytes", program().len());
    for shell in shells {
        let rarely = Duration::from_secs(1_000_000);
        let fast = RemoteSettings {
            filesystem_interval: rarely,
            process_scan_interval: rarely,
            sensor_interval: rarely,
            gpu_interval: rarely,
            ..settings()
        };
        on_a_node(&shell, "fast polls", fast);
        on_a_node(&shell, "all paces", settings());
    }
    here();
}

fn settings() -> RemoteSettings {
    let torch = TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() };
    RemoteSettings { torch, ..RemoteSettings::default() }
}

fn conversation(settings: RemoteSettings) -> Conversation {
    let resource = Resource {
        id: ResourceId::node("node").expect("valid"),
        display_name: "node".to_owned(),
        labels: BTreeMap::new(),
        parent: None,
    };
    Conversation::new(resource, Arc::new(settings))
}

/// CPU time of all processes that ended and were waited for, in clock ticks of 10 ms.
fn ended_processes() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(13) + ticks(14)))
}

fn on_a_node(shell: &str, what: &str, settings: RemoteSettings) {
    let inner = BOOTSTRAP.strip_prefix("exec /bin/sh -c ").expect("a shell").trim_matches('\'');
    let mut words = shell.split(' ');
    let mut node = Command::new(words.next().expect("a shell"))
        .args(words)
        .args(["-c", inner])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let before = ended_processes();
    node.stdin.as_mut().expect("piped").write_all(&program()).expect("sent");
    let mut conversation = conversation(settings);
    let mut total = 0;
    let mut first = 0;
    for poll in 0..=POLLS {
        let now = Duration::from_secs(5 * u64::from(poll) + 1);
        let mut bytes = 0;
        for question in conversation.questions(now) {
            let lane = question.lane;
            let ended = ask(&mut node, question, &mut bytes);
            conversation.take(lane, ended, Duration::ZERO, now, Timestamp::EPOCH);
        }
        let reached = Reached { round_trip: Some(Duration::from_millis(1)), opened_in: None };
        conversation.observe(Ok(reached), Timestamp::EPOCH, Duration::ZERO);
        if poll == 0 {
            first = bytes;
        } else {
            total += bytes;
        }
    }
    drop(node.stdin.take());
    node.wait().expect("it ends with its input");
    let spent = ended_processes() - before;
    println!(
        "{shell:<14} {what:<11} CPU on the node {:>8.2?} a poll, {:>6} bytes a poll, first answer {first} bytes",
        spent / POLLS,
        total / POLLS as usize,
    );
}

fn ask(node: &mut Child, question: Question, bytes: &mut usize) -> Result<Reader, ProbeError> {
    let Question { text, mut reader, .. } = question;
    node.stdin.as_mut().expect("piped").write_all(&text).expect("sent");
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = node.stdout.as_mut().expect("piped").read(&mut buffer).expect("read");
        *bytes += count;
        if count == 0 {
            let kind = ProbeErrorKind::Unreachable;
            return Err(ProbeError { kind, message: "it ended".to_owned(), advice: None });
        }
        match reader.feed(&buffer[..count]) {
            Progress::More => {}
            Progress::Complete => return Ok(reader),
            Progress::Refused(error) => return Err(error),
        }
    }
}

/// The fast answer of a machine with [`CORES`] cores, without its first line's number.
fn recorded() -> Vec<(Vec<u8>, Vec<u8>)> {
    let tree =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/host/gpu-server");
    let mut files = Vec::new();
    for file in [
        "loadavg",
        "pressure/cpu",
        "pressure/memory",
        "pressure/io",
        "meminfo",
        "vmstat",
        "diskstats",
        "net/dev",
        "net/snmp",
        "sys/fs/file-nr",
        "sys/kernel/hostname",
        "sys/kernel/random/boot_id",
    ] {
        if let Ok(content) = std::fs::read(tree.join("proc").join(file)) {
            files.push((format!("proc/{file}").into_bytes(), content));
        }
    }
    files
}

fn stat(poll: u32) -> Vec<u8> {
    let mut text = String::new();
    let times = |cores: u32| {
        let busy = cores * (4_000_000 + 200 * poll);
        format!(
            "{busy} 1000 {} {} 3000 0 400 0 0 0",
            busy / 4,
            u64::from(cores) * 90_000_000 + u64::from(300 * poll)
        )
    };
    text.push_str(&format!("cpu  {}\n", times(CORES as u32)));
    for core in 0..CORES {
        text.push_str(&format!("cpu{core} {}\n", times(1)));
    }
    let interrupts = " 123456".repeat(40) + &" 0".repeat(900);
    text.push_str(&format!("intr 987654321{interrupts}\nctxt {}\nbtime 1\nprocesses {}\nprocs_running 3\nprocs_blocked 0\n", 1_000_000 + 5000 * poll, 9000 + poll));
    text.into_bytes()
}

fn here() {
    let rarely = Duration::from_secs(1_000_000);
    let mut conversation = conversation(RemoteSettings {
        filesystem_interval: rarely,
        process_scan_interval: rarely,
        sensor_interval: rarely,
        gpu_interval: rarely,
        ..settings()
    });
    let files = recorded();
    let mut spent = Duration::ZERO;
    let (mut bytes, mut readings) = (0, 0);
    for poll in 0..=POLLS * 10 {
        let now = Duration::from_secs(5 * u64::from(poll) + 1);
        let before = cost::thread_cpu_time();
        let questions = conversation.questions(now);
        let mut this = cost::thread_cpu_time() - before;
        for question in questions {
            let number = question.text.split(|&byte| byte == b' ').next().unwrap_or_default();
            let mark = [b"\x1e", number, b" "].concat();
            let mut answer = [&mark, &b"directory sys/block\n"[..], &mark, b"files\n"].concat();
            let uptime = format!("{}.00 1\n", 8_640_000 + 5 * poll).into_bytes();
            let own = [(b"proc/stat".to_vec(), stat(poll)), (b"proc/uptime".to_vec(), uptime)];
            for (path, content) in files.iter().chain(&own) {
                answer
                    .extend_from_slice(&[b"\n==> ", path.as_slice(), b" <==\n", content].concat());
            }
            answer.extend_from_slice(&mark);
            answer.extend_from_slice(b"end\n");
            bytes = answer.len();
            let (lane, mut reader) = (question.lane, question.reader);
            let before = cost::thread_cpu_time();
            let mut complete = false;
            for piece in answer.chunks(16 << 10) {
                complete = reader.feed(piece) == Progress::Complete;
            }
            assert!(complete && lane == Lane::Host, "an answer of the host");
            conversation.take(lane, Ok(reader), Duration::ZERO, now, Timestamp::EPOCH);
            this += cost::thread_cpu_time() - before;
        }
        let before = cost::thread_cpu_time();
        let reached = Reached { round_trip: Some(Duration::from_millis(1)), opened_in: None };
        let observation = conversation.observe(Ok(reached), Timestamp::EPOCH, Duration::ZERO);
        this += cost::thread_cpu_time() - before;
        readings = observation.frame.len();
        if poll > 0 {
            spent += this;
        }
    }
    println!(
        "here: {:.1?} of CPU a poll for {bytes} bytes of a machine with {CORES} cores, {readings} readings",
        spent / (POLLS * 10),
    );
}
