//! A writer killed at any moment: what it said was committed is there, and the file is sound.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sickbay_model::FrameBuilder;
use sickbay_model::catalogue::CPU_USED;
use sickbay_store::{EventQuery, HistoryQuery, WriteBatch};

#[path = "support/support.rs"]
mod support;
use support::*;

/// Set in the process that is going to be killed; the data directory.
const DIRECTORY: &str = "SICKBAY_TEST_CRASH_DIRECTORY";
/// Set there too: the number of its pace.
const PACE: &str = "SICKBAY_TEST_CRASH_PACE";

/// How the victim writes.
#[derive(Clone, Copy)]
struct Pace {
    /// Frames per commit.
    frames: i64,
    /// From frame to frame.
    step_ms: i64,
}

const PACES: [Pace; 2] = [
    // Hours pass quickly, so that it seals and joins all the time.
    Pace { frames: 1, step_ms: 300_000 },
    // Hours are long, so that it seals their finished minutes all the time.
    Pace { frames: 60, step_ms: 1_000 },
];

/// Not a test: the victim. It writes for ever and says what is committed.
#[test]
#[ignore = "runs as the child of the test below"]
fn victim() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let Pace { frames: per_commit, step_ms } =
        PACES[std::env::var(PACE).unwrap().parse::<usize>().unwrap()];
    let clock = TestClock::new();
    let (store, _) = open_at(Path::new(&directory), &clock);
    let mut next = store.last_event_id().0 + 1;
    let mut builder = FrameBuilder::new();
    let mut out = std::io::stdout();
    loop {
        let first = next as i64 * per_commit;
        clock.set(START_MS + first * step_ms);
        let readings: Vec<_> = (first..first + per_commit)
            .map(|n| {
                frame(&mut builder, START_MS + n * step_ms, &[(CPU_USED, "", (n % 100) as f64)])
            })
            .collect();
        let events = vec![event(next, START_MS + first * step_ms)];
        store.submit(WriteBatch { events, ..frames(&node("a"), readings) }).unwrap();
        if store.flush() {
            writeln!(out, "committed {next}").unwrap();
            out.flush().unwrap();
        }
        next += 1;
    }
}

#[test]
fn nothing_that_was_committed_is_lost_by_kill_9() {
    kill_again_and_again(0);
}

#[test]
fn nothing_is_lost_or_doubled_by_kill_9_while_an_hour_is_sealed_in_parts() {
    kill_again_and_again(1);
}

fn kill_again_and_again(pace: usize) {
    let Pace { frames: per_commit, step_ms } = PACES[pace];
    let directory = tempfile::tempdir().unwrap();
    let mut committed = 0_u64;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(PACE, pace.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after a different amount of work each time, at a moment that nobody chooses.
        let enough = committed + 5 + (round * 37) % 60;
        let mut kill_now = false;
        while let Some(Ok(line)) = lines.next() {
            let Some(id) = line.split("committed ").nth(1) else { continue };
            committed = id.trim().parse().unwrap();
            if committed >= enough && !kill_now {
                kill_now = true;
                std::thread::sleep(Duration::from_micros(round * 173));
                child.kill().unwrap();
            }
        }
        assert!(kill_now, "the victim ended by itself");
        child.wait().unwrap();

        let clock = TestClock::new();
        clock.set(START_MS + committed as i64 * per_commit * step_ms);
        let (store, report) = open_at(directory.path(), &clock);
        assert!(report.unclean_shutdown && report.damaged.is_none(), "round {round}: {report:?}");
        let last = store.last_event_id().0;
        assert!(last >= committed, "round {round}: {last} of {committed}");
        let query_events =
            EventQuery { newest_first: true, limit: 10_000, ..EventQuery::default() };
        assert_eq!(store.events(&query_events).unwrap().len() as u64, last, "round {round}");
        let end = START_MS + (last as i64 + 1) * per_commit * step_ms;
        let (mut seen, mut rolled_up) = (0, 0);
        let mut from = START_MS;
        while from < end {
            let to = (from + 2 * HOUR_MS).min(end);
            let asked = query(CPU_USED, "", from, to);
            let points = means(&store, &asked);
            for (ms, value) in &points {
                assert_eq!(((ms - START_MS) / step_ms % 100) as f64, *value, "round {round}");
            }
            seen += points.len() as u64;
            let step = Some(Duration::from_secs(60));
            let minutes = store.history(&HistoryQuery { step, ..asked }).unwrap();
            rolled_up += minutes.points.iter().map(|point| u64::from(point.count)).sum::<u64>();
            from = to;
        }
        let expected = last * per_commit.unsigned_abs();
        assert_eq!(seen, expected, "round {round}: every reading exactly once");
        assert_eq!(rolled_up, expected, "round {round}: every reading once in the rollups");
        committed = last;
        store.close();
    }
    assert!(committed > 300, "{committed}");
    let file = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
    let answer: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "ok");
}
