//! What happens when the disk, the file or the directory is not as it should be.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sickbay_model::catalogue::CPU_USED;
use sickbay_model::{FrameBuilder, Status};
use sickbay_store::{EventQuery, Integrity, OpenError, Store, WriteBatch, open};

#[path = "support/support.rs"]
mod support;
use support::*;

fn put_some(store: &Store, from: i64, count: i64) -> bool {
    let mut builder = FrameBuilder::new();
    let batch = frames(
        &node("a"),
        (0..count)
            .map(|n| frame(&mut builder, from + n * 5_000, &[(CPU_USED, "", (n % 100) as f64)])),
    );
    let _ = store.submit(batch);
    store.flush()
}

fn put_event(store: &Store, id: u64) -> bool {
    store
        .submit(WriteBatch { events: vec![event(id, START_MS)], ..WriteBatch::default() })
        .unwrap();
    store.flush()
}

fn event_ids(store: &Store) -> Vec<u64> {
    store.events(&EventQuery::default()).unwrap().iter().map(|event| event.id.0).collect()
}

#[test]
fn files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let (store, report) = open_at(&directory, &TestClock::new());
    assert!(report.created && report.integrity == Integrity::Fresh && !report.unclean_shutdown);
    assert!(put_some(&store, START_MS, 3));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in ["sickbay.db", "sickbay.db-wal", "sickbay.lock"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_clean_shutdown_is_told_from_an_unclean_one() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    assert!(put_event(&store, 1));
    // What a crash leaves: the files as they are now.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["sickbay.db", "sickbay.db-wal"] {
        fs::copy(directory.path().join(name), crashed.path().join(name)).unwrap();
    }
    store.close();
    assert!(!directory.path().join("sickbay.db-wal").exists(), "the log is folded in");
    assert_eq!(event_ids(&store), [1], "reads still work after closing");
    assert!(
        store.submit(WriteBatch { events: vec![event(2, 0)], ..WriteBatch::default() }).is_err()
    );
    let (store, report) = open_at(directory.path(), &clock);
    assert!(!report.unclean_shutdown && !report.created && report.integrity == Integrity::Sound);
    assert_eq!(event_ids(&store), [1]);
    let (store, report) = open_at(crashed.path(), &clock);
    assert!(report.unclean_shutdown && report.damaged.is_none());
    assert_eq!((event_ids(&store), store.last_event_id().0), (vec![1], 1));
}

#[test]
fn a_second_hub_learns_who_holds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    store.note_listen("127.0.0.1:8790");
    let error = open(options(directory.path()), clock.wall()).expect_err("held");
    assert!(matches!(error, OpenError::HeldBy { pid, .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains("127.0.0.1:8790"), "{error}");
    drop(store);
    open(options(directory.path()), clock.wall()).expect("free again");
}

#[test]
fn refuses_what_it_must_not_touch() {
    let clock = TestClock::new();
    let directory = tempfile::tempdir().unwrap();
    let mut network = options(directory.path());
    network.network_filesystem = |_| Some("NFS");
    let error = open(network, clock.wall()).expect_err("refused");
    assert!(error.to_string().contains("local disk"), "{error}");

    let database = directory.path().join("sickbay.db");
    let foreign = rusqlite::Connection::open(&database).unwrap();
    foreign.execute_batch("CREATE TABLE theirs(a); PRAGMA application_id = 7").unwrap();
    let before = fs::read(&database).unwrap();
    let error = open(options(directory.path()), clock.wall()).expect_err("refused");
    assert!(matches!(error, OpenError::ForeignFile { found: 7, .. }), "{error}");
    assert_eq!(fs::read(&database).unwrap(), before, "untouched");
    fs::remove_file(&database).unwrap();

    drop(open_at(directory.path(), &clock));
    let newer = rusqlite::Connection::open(&database).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let error = open(options(directory.path()), clock.wall()).expect_err("refused");
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }), "{error}");
}

#[test]
fn a_locked_file_is_not_taken_for_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    drop(open_at(directory.path(), &clock));
    let other = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let (_store, report) = open_at(directory.path(), &clock);
    assert_eq!(report.damaged, None);
    assert!(report.memory_only.expect("memory").contains("locked"));
}

/// Damages a database in one way.
type Damage = fn(&Path);

#[test]
fn a_damaged_file_is_moved_aside_at_start() {
    let cases: [(&str, Damage); 4] = [
        ("not a database", |path| fs::write(path, vec![0x5a; 10_000]).unwrap()),
        ("cut off", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("a page of zeros", |path| overwrite(path, 3 * 4096, &[0; 4096])),
        ("flipped bytes in many pages", |path| {
            let pages = path.metadata().unwrap().len() / 4096;
            for page in 1..pages {
                overwrite(path, page * 4096, &[0xff; 16]);
            }
        }),
    ];
    for (name, damage) in cases {
        let directory = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let (store, _) = open_at(directory.path(), &clock);
        assert!(put_some(&store, START_MS, 2_000));
        drop(store);
        damage(&directory.path().join("sickbay.db"));
        let (store, report) = open_at(directory.path(), &clock);
        let damaged = report.damaged.expect(name);
        assert!(damaged.moved_to.exists(), "{name}");
        assert_eq!(report.memory_only, None, "{name}");
        assert!(put_event(&store, 1) && event_ids(&store) == [1], "{name}");
        assert_eq!(store.health().status, Status::Healthy, "{name}");
    }
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    let mut there = vec![0; bytes.len()];
    file.read_exact(&mut there).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn damage_at_run_time_is_told_and_survived() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    assert!(put_some(&store, START_MS, 3_000));
    assert_eq!(store.health().status, Status::Healthy);
    // Another connection folds the log in, then every page but the first is overwritten.
    let database = directory.path().join("sickbay.db");
    let other = rusqlite::Connection::open(&database).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let pages = database.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        overwrite(&database, page * 4096, &[0xa5; 4096]);
    }
    // A write by somebody else makes our writer look at the file anew.
    other.execute_batch("PRAGMA user_version = 1").unwrap();
    drop(other);
    let mut id = 0;
    while store.health().status == Status::Healthy && id < 50 {
        id += 1;
        let _ = put_event(&store, id);
    }
    let health = store.health();
    assert_eq!(health.status, Status::Critical, "{health:?}");
    assert!(health.message.contains("moved to"), "{health:?}");
    assert!(put_event(&store, 1_000), "a fresh file takes over");
    let ids = event_ids(&store);
    assert!(
        ids.contains(&1_000) && ids.contains(&id),
        "the batch that met the damage is not lost: {ids:?}"
    );
    assert!(!store.health().memory_only);
    let aside = fs::read_dir(directory.path()).unwrap().filter_map(Result::ok);
    assert!(aside.into_iter().any(|e| e.file_name().to_string_lossy().contains("damaged")));
}

#[test]
fn damage_that_only_a_reader_meets_is_told_and_survived() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    assert!(put_some(&store, START_MS, 3_000));
    store.close();
    drop(store);
    // Sound at start; then the pages of the readings are overwritten under the running store.
    let (store, report) = open_at(directory.path(), &clock);
    assert_eq!(report.integrity, Integrity::Sound);
    let database = directory.path().join("sickbay.db");
    for page in 4..database.metadata().unwrap().len() / 4096 {
        overwrite(&database, page * 4096, &[0xa5; 4096]);
    }
    let asked = query(CPU_USED, "", START_MS, START_MS + 5 * HOUR_MS);
    let mut errors = 0;
    while store.health().status == Status::Healthy && errors < 1_000 {
        errors += i32::from(store.history(&asked).is_err());
        let _ = store.flush();
    }
    let health = store.health();
    assert_eq!(health.status, Status::Critical, "{health:?}");
    assert!(put_event(&store, 1) && event_ids(&store) == [1]);
    assert_eq!(means(&store, &asked), [], "the fresh file is empty");
}

#[test]
fn a_clock_that_jumps_far_ahead_does_not_cost_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut quick = options(directory.path());
    quick.sweep_interval = std::time::Duration::ZERO;
    let (store, _) = open(quick, clock.wall()).unwrap();
    assert!(put_some(&store, START_MS, 720) && put_event(&store, 1));
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    let asked = query(CPU_USED, "", START_MS, START_MS + HOUR_MS);
    // Ahead by ten years, for a while, and back again.
    let ahead = START_MS + 3_650 * DAY_MS;
    for minutes in [0, 1, 30, 59] {
        clock.set(ahead + minutes * 60_000);
        for n in 0..5 {
            assert!(put_some(&store, ahead + minutes * 60_000 + n, 1));
        }
    }
    assert_eq!((means(&store, &asked).len(), event_ids(&store)), (720, vec![1]));
    // A clock that stays there is believed in the end.
    for minutes in (60..160).step_by(5) {
        clock.set(ahead + minutes * 60_000);
        assert!(put_some(&store, ahead + minutes * 60_000, 1));
        assert!(put_some(&store, ahead + minutes * 60_000 + 1, 1));
    }
    assert_eq!((means(&store, &asked).len(), event_ids(&store)), (0, vec![]));
}

#[test]
fn a_removed_file_is_noticed_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut options = options(directory.path());
    options.sweep_interval = std::time::Duration::ZERO;
    let (store, _) = open(options, clock.wall()).unwrap();
    assert!(put_event(&store, 1));
    for name in ["sickbay.db", "sickbay.db-wal", "sickbay.db-shm"] {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    for id in 2..20 {
        let _ = put_event(&store, id);
    }
    let health = store.health();
    assert_eq!(health.status, Status::Critical, "{health:?}");
    assert!(directory.path().join("sickbay.db").exists());
    assert!(event_ids(&store).contains(&19));
}

#[test]
fn a_directory_that_cannot_be_made_leaves_memory() {
    for path in ["/proc/no-such-directory/sickbay", "/dev/null/sickbay"] {
        let (store, report) = open_at(Path::new(path), &TestClock::new());
        let why = report.memory_only.expect("memory");
        assert!(why.contains(path), "{why}");
        assert!(put_event(&store, 1) && event_ids(&store) == [1]);
        let health = store.health();
        assert_eq!((health.status, health.memory_only), (Status::Degraded, true));
    }
}

#[test]
fn memory_has_a_limit_and_goes_on() {
    let (store, _) = open_at(Path::new("/dev/null/sickbay"), &TestClock::new());
    let mut builder = FrameBuilder::new();
    let noise = |n: i64, column: u64| {
        let mixed = (n.unsigned_abs() * 500 + column + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 12) as f64
    };
    let names: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    // 20 MB of readings in one hour, which is not over.
    for n in 0..5_000_i64 {
        for (at, name) in (0_u64..).zip(&names) {
            // Noise, which no codec makes small.
            builder.put(sickbay_model::catalogue::FILESYSTEM_FREE, name, noise(n, at));
        }
        let frame = builder.finish(at(START_MS + n * 300)).0;
        store.submit(frames(&node("a"), [frame])).unwrap();
        if n % 500 == 499 {
            assert!(put_event(&store, n.unsigned_abs()), "{:?}", store.health());
        }
    }
    let health = store.health();
    assert_eq!((health.status, health.memory_only), (Status::Degraded, true), "{health:?}");
    assert!(health.dropped.frames > 0, "{health:?}");
    assert_eq!(event_ids(&store).len(), 10);
    // What is left is what was written, although what it was packed on may be gone.
    let newest = START_MS + 20 * 60_000;
    let asked = query(sickbay_model::catalogue::FILESYSTEM_FREE, "7", newest, START_MS + HOUR_MS);
    let left = means(&store, &asked);
    assert!(left.len() > 500, "{}", left.len());
    for (ms, value) in left {
        assert_eq!(value, noise((ms - START_MS) / 300, 7), "{ms}");
    }
}

#[test]
fn a_database_that_refuses_work_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open_at(directory.path(), &TestClock::new());
    assert!(put_event(&store, 1));
    let other = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
    other.execute_batch("ALTER TABLE event RENAME TO hidden").unwrap();
    assert!(!put_event(&store, 2));
    let health = store.health();
    assert_eq!((health.status, health.dropped.events), (Status::Critical, 1), "{health:?}");
    assert!(health.message.contains("no such table"), "{health:?}");
    other.execute_batch("ALTER TABLE hidden RENAME TO event").unwrap();
    assert!(put_event(&store, 3));
    assert_eq!((store.health().status, event_ids(&store)), (Status::Healthy, vec![1, 3]));
}

#[test]
fn a_full_disk_costs_readings_at_most_and_heals() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut small = options(directory.path());
    small.max_pages = Some(60);
    small.queue_limit_bytes = 64 << 10;
    let (store, _) = open(small, clock.wall()).unwrap();
    // Readings until nothing fits any more, with an event now and then.
    let mut written = 0;
    let mut submitted = 0;
    for n in 0..60 {
        submitted += 1;
        let events = vec![event(submitted, START_MS)];
        store.submit(WriteBatch { events, ..WriteBatch::default() }).unwrap();
        if put_some(&store, START_MS + n * 200 * 5_000, 200) {
            written = submitted;
        }
    }
    assert!(written > 0 && written < submitted, "{written} of {submitted}");
    let health = store.health();
    assert_eq!(health.status, Status::Critical, "{health:?}");
    assert!(health.message.contains("full") && health.message.contains("free space"), "{health:?}");
    assert!(health.dropped.frames > 0 && health.dropped.events == 0, "{health:?}");
    assert!(health.queued_bytes <= 2 * (64 << 10), "{health:?}");
    assert_eq!(event_ids(&store).len() as u64, written, "what was committed can still be read");
    store.close();
    // Space returns: everything in the queue at that moment would be written; after a restart
    // nothing that was committed is missing.
    let (store, report) = open_at(directory.path(), &clock);
    assert!(report.damaged.is_none());
    assert_eq!(event_ids(&store).len() as u64, written);
    assert!(put_some(&store, START_MS, 500) && store.health().status == Status::Healthy);
}

/// A real, tiny disk: the space is taken by another file, and given back while the store runs.
#[test]
fn events_written_while_the_disk_was_full_arrive_when_space_returns() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(mount.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        // Only root may mount; the quota test above covers the same path of the code.
        eprintln!("SKIPPED: no permission to mount a small tmpfs");
        return;
    }
    let _unmount = Unmount(mount.path());
    let clock = TestClock::new();
    let (store, report) = open_at(&mount.path().join("data"), &clock);
    assert_eq!(report.memory_only, None);
    assert!(put_event(&store, 1));
    let ballast = mount.path().join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let mut id = 1;
    while store.health().status == Status::Healthy && id < 2_000 {
        id += 1;
        let _ = put_event(&store, id);
    }
    let health = store.health();
    assert_eq!(health.status, Status::Degraded, "{health:?}");
    assert!(!health.memory_only, "{health:?}");
    fs::remove_file(&ballast).unwrap();
    drop(file);
    assert!(store.flush(), "{:?}", store.health());
    assert_eq!(store.health().status, Status::Healthy);
    assert_eq!(event_ids(&store), (1..=id).collect::<Vec<_>>());
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn submitting_never_waits_for_a_locked_database() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open_at(directory.path(), &TestClock::new());
    assert!(put_event(&store, 1));
    let other = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for id in 2..200 {
        store
            .submit(WriteBatch { events: vec![event(id, START_MS)], ..WriteBatch::default() })
            .unwrap();
    }
    assert_eq!(event_ids(&store), [1], "readers are not kept waiting either");
    other.execute_batch("COMMIT").unwrap();
    assert!(store.flush());
    assert_eq!(event_ids(&store).len(), 199);
}
