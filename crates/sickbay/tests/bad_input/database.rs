//! A database that is damaged, foreign, or from the future.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::support::{Place, errors, until};
use crate::world::{Hub, place};

fn database(place: &Place) -> PathBuf {
    place.data_dir().join("sickbay.db")
}

/// Damages a database file.
type Spoil = fn(&Path);

/// Overwrites a file from one place to another.
fn overwrite(path: &Path, from: u64, to: u64) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(to - from).unwrap()]).unwrap();
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

/// The files that were moved aside.
fn moved_aside(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.data_dir()).unwrap().flatten();
    let is_one = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.contains("damaged") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    entries.map(|entry| entry.path()).filter(is_one).collect()
}

#[test]
fn a_damaged_database_is_moved_aside_and_the_hub_starts() {
    let spoil: [(&str, Spoil); 4] = [
        ("bytes", |path| overwrite(path, 8192, size(path) - 4096)),
        ("half", |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(size(path) / 2).unwrap();
        }),
        ("header", |path| overwrite(path, 0, 200)),
        ("garbage", |path| std::fs::write(path, vec![b'?'; 100_000]).unwrap()),
    ];
    let place = place("");
    for (number, (name, spoil)) in spoil.into_iter().enumerate() {
        let hub = Hub::start(&place);
        hub.await_event("HUB_STARTED", "");
        hub.stop();
        spoil(&database(&place));
        let hub = Hub::start(&place);
        let event = hub.await_event("COORDINATOR_UNHEALTHY", "damaged");
        let message = event["message"].as_str().unwrap();
        let moved = moved_aside(&place);
        assert_eq!(moved.len(), number + 1, "{name}: {moved:?}");
        let shown = |path: &PathBuf| message.contains(&path.display().to_string());
        assert!(moved.iter().any(shown), "{name}: says where it is: {message}");
        assert_eq!(hub.json("/api/v1/hub")["store"]["status"], "healthy", "{name}");
        hub.await_look();
        let said = hub.stop();
        assert!(said.contains("damaged"), "{name}: {said}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn damage_while_the_hub_runs_is_told_and_survived() {
    let place = place("store: {commit_interval: 100ms}\n");
    let hub = Hub::start(&place);
    hub.await_event("HUB_STARTED", "");
    let path = database(&place);
    // A reader of ours folds the log in; then the file is spoiled under the hub.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    overwrite(&path, 4096, size(&path));
    let _ = other.execute_batch("PRAGMA user_version = 1");
    drop(other);
    let replaced = until(|| {
        // Somebody asks; no answer is a panic or a hang.
        let asked = hub.get("/api/v1/events").status;
        assert!([200, 503, 500].contains(&asked), "{asked}");
        !moved_aside(&place).is_empty()
    });
    assert!(replaced, "{:#}\n{}", hub.json("/api/v1/hub")["store"], hub.said());
    let event = hub.await_event("COORDINATOR_UNHEALTHY", "damaged");
    assert!(event["message"].as_str().unwrap().contains("sickbay.db.damaged"), "{event}");
    hub.await_look();
    hub.assert_quick("after the damage");
    hub.stop();
}

#[test]
fn what_is_not_ours_to_open_is_refused_and_not_touched() {
    for (name, pragma, word) in [
        ("newer", "PRAGMA user_version = 999", "newer version"),
        ("foreign", "PRAGMA application_id = 42", "not of sickbay"),
    ] {
        let place = place("");
        let path = database(&place);
        Hub::start(&place).stop();
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(pragma).unwrap();
        connection.close().unwrap();
        let before = std::fs::read(&path).unwrap();
        let output = place.run(&["up"]);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(74), "{name}: {said}");
        assert!(said.contains(word) && said.contains("--data-dir"), "{name}: {said}");
        assert!(said.contains(&path.display().to_string()), "{name}: {said}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        assert!(moved_aside(&place).is_empty(), "{name}");
    }
}
