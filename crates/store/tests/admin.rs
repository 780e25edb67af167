//! What an operator and a person with a `sqlite3` shell do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::time::Duration;

use rusqlite::Connection;
use sickbay_model::catalogue::{CPU_USED, FILESYSTEM_FREE, FILESYSTEM_USED};
use sickbay_model::{FrameBuilder, Status};
use sickbay_store::admin::{self, AdminError};
use sickbay_store::{EventQuery, MetricJudgement, OpenError, Retention, Store, WriteBatch, open};

#[path = "support/support.rs"]
mod support;
use support::*;

/// Noise that does not compress: sizes must come from somewhere.
fn put_noise(store: &Store, from: i64, count: i64) {
    let mut builder = FrameBuilder::new();
    let mut seed = from.unsigned_abs() | 1;
    let mut all = Vec::new();
    for n in 0..count {
        let mut readings = Vec::new();
        for name in ["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"] {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            readings.push((FILESYSTEM_FREE, name, (seed >> 12) as f64));
        }
        all.push(frame(&mut builder, from + n * 5_000, &readings));
    }
    store.submit(frames(&node("a"), all)).unwrap();
}

#[test]
fn backup_while_the_store_is_in_use_then_restore() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    put_noise(&store, START_MS, 5_000);
    store.submit(WriteBatch { events: vec![event(1, START_MS)], ..WriteBatch::default() }).unwrap();
    assert!(store.flush());
    let copy = directory.path().join("copy.db");
    let mut reports = Vec::new();
    let bytes = admin::backup(directory.path(), &copy, &mut |progress| {
        // Writing goes on meanwhile.
        if reports.is_empty() {
            let events = vec![event(2, START_MS)];
            store.submit(WriteBatch { events, ..WriteBatch::default() }).unwrap();
            assert!(store.flush());
        }
        reports.push(progress);
    })
    .unwrap();
    assert_eq!(bytes, copy.metadata().unwrap().len());
    let last = *reports.last().unwrap();
    assert!(last.total_pages > 0 && last.done_pages == last.total_pages, "{reports:?}");
    let again = admin::backup(directory.path(), &copy, &mut |_| {});
    assert!(matches!(again, Err(AdminError::Refused(_))), "never overwrites");

    // Into a directory in use: refused. Into an old one: the old database is kept.
    let restored = admin::restore(&copy, directory.path(), &clock.wall());
    assert!(matches!(restored, Err(AdminError::Open(OpenError::HeldBy { .. }))), "{restored:?}");
    store.close();
    let aside = admin::restore(&copy, directory.path(), &clock.wall()).unwrap().expect("kept");
    assert!(aside.exists());
    let (store, report) = open_at(directory.path(), &clock);
    assert!(!report.unclean_shutdown && report.damaged.is_none(), "{report:?}");
    let ids: Vec<_> =
        store.events(&EventQuery::default()).unwrap().iter().map(|e| e.id.0).collect();
    assert!(ids == [1] || ids == [1, 2], "{ids:?}");
    let points = means(&store, &query(FILESYSTEM_FREE, "/a", START_MS, START_MS + 7 * HOUR_MS));
    assert_eq!(points.len(), 5_000);
    let elsewhere = tempfile::tempdir().unwrap();
    let nothing_there =
        admin::restore(&copy, &elsewhere.path().join("new"), &clock.wall()).unwrap();
    assert_eq!(nothing_there, None);
}

#[test]
fn restore_refuses_what_is_no_sound_backup() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    put_noise(&store, START_MS, 3_000);
    store.close();
    let good = directory.path().join("good.db");
    admin::backup(directory.path(), &good, &mut |_| {}).unwrap();
    let before = fs::read(directory.path().join("sickbay.db")).unwrap();
    let bad = directory.path().join("bad.db");
    let mut damaged = fs::read(&good).unwrap();
    for page in 1..damaged.len() / 4096 {
        damaged[page * 4096..page * 4096 + 16].fill(0xff);
    }
    let foreign = directory.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    for (name, bytes) in [
        ("damaged", damaged),
        ("cut off", fs::read(&good).unwrap()[..9_000].to_vec()),
        ("not a database", vec![7; 8_192]),
        ("another program's", fs::read(&foreign).unwrap()),
        ("empty", Vec::new()),
    ] {
        fs::write(&bad, bytes).unwrap();
        let refused = admin::restore(&bad, directory.path(), &clock.wall());
        assert!(refused.is_err(), "{name}");
        assert_eq!(fs::read(directory.path().join("sickbay.db")).unwrap(), before, "{name}");
    }
    let missing = admin::restore(&directory.path().join("none"), directory.path(), &clock.wall());
    assert!(missing.is_err());
}

#[test]
fn stats_cleanup_and_optimize() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    assert!(admin::stats(directory.path()).is_err(), "nothing there");
    let (store, _) = open_at(directory.path(), &clock);
    for day in 0..10 {
        put_noise(&store, START_MS + day * DAY_MS, 720);
    }
    clock.set(START_MS + HOUR_MS);
    assert!(store.settle());
    let stats = admin::stats(directory.path()).unwrap();
    assert!(stats.in_use && stats.schema_version == 4);
    assert_eq!((stats.resources, stats.series), (1, 8));
    // Hours that lie in the future may be sealed early.
    assert_eq!(stats.open_frames + stats.samples / 8, 10 * 720);
    assert!(stats.samples >= 720 * 8 && stats.blocks[0].count >= 1, "{stats:?}");
    let keep = Retention { raw_age: Duration::from_secs(3_600), ..Retention::default() };
    let held = admin::cleanup(directory.path(), &keep, &clock.wall());
    assert!(matches!(held, Err(AdminError::Open(OpenError::HeldBy { .. }))));
    clock.set(START_MS + 11 * DAY_MS);
    assert!(store.flush());
    store.close();
    let (store, _) = open_at(directory.path(), &clock);
    assert!(store.settle(), "an earlier process's frames are sealed");
    store.close();
    let cleaned = admin::cleanup(directory.path(), &keep, &clock.wall()).unwrap();
    assert!(cleaned.blocks > 0 && cleaned.freed_bytes > 0, "{cleaned:?}");
    let stats = admin::stats(directory.path()).unwrap();
    assert!(!stats.in_use);
    assert_eq!((stats.samples, stats.open_frames, stats.blocks[0].count), (0, 0, 0));
    assert!(stats.blocks[1].count > 0 && stats.blocks[2].count > 0);
    let (store, _) = open_at(directory.path(), &clock);
    put_noise(&store, START_MS, 100);
    assert!(store.flush());
    admin::optimize(directory.path()).expect("while the hub runs");
    assert_eq!(store.health().status, Status::Healthy);
}

#[test]
fn the_footprint_stays_constant() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let mut options = options(directory.path());
    options.retention.max_bytes = 3 << 20;
    let (store, _) = open(options, clock.wall()).unwrap();
    let mut largest = 0;
    let mut samples_at_half = 0;
    for hour in 0..200 {
        put_noise(&store, START_MS + hour * HOUR_MS, 720);
        clock.set(START_MS + (hour + 1) * HOUR_MS);
        assert!(store.settle());
        if hour > 100 {
            largest = largest.max(store.health().file_bytes);
        } else {
            samples_at_half = store.health().samples;
        }
    }
    let health = store.health();
    // The limit, free pages kept for use, and the log.
    assert!(largest <= (3 << 20) + (1 << 20) + (5 << 20), "{largest}");
    let stats = admin::stats(directory.path()).unwrap();
    assert!(stats.file_bytes <= (3 << 20) + (1 << 20), "{stats:?}");
    assert!(health.samples > 0 && health.samples < 200 * 720 * 8, "{health:?}");
    assert!(
        health.samples >= 20 * 720 * 8,
        "a day of readings stays: {samples_at_half} {health:?}"
    );
    let newest = query(FILESYSTEM_FREE, "/a", START_MS + 199 * HOUR_MS, START_MS + 200 * HOUR_MS);
    assert_eq!(means(&store, &newest).len(), 720, "the newest stay");
}

#[test]
fn anyone_can_ask_with_seed_4s_columns() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let (store, _) = open_at(directory.path(), &clock);
    let mut builder = FrameBuilder::new();
    let readings =
        [(CPU_USED, "", 96.5), (FILESYSTEM_USED, "/da\"ta", 85.0), (FILESYSTEM_FREE, "/", 5.0)];
    let judgement = |metric, instance: &str, warning, critical, status| MetricJudgement {
        resource: node("a"),
        metric,
        instance: instance.to_owned(),
        warning: Some(warning),
        critical: Some(critical),
        status,
    };
    let batch = WriteBatch {
        judgements: vec![
            judgement(CPU_USED, "", 80.0, 95.0, None),
            judgement(FILESYSTEM_USED, "/da\"ta", 80.0, 90.0, Some(Status::Healthy)),
            // Low values are the bad ones.
            judgement(FILESYSTEM_FREE, "/", 10.0, 1.0, None),
        ],
        checks: vec![
            change("soft", "", Status::Critical, false, START_MS),
            change("disk", "/data", Status::Degraded, true, START_MS),
            change("disk", "/data", Status::Critical, true, START_MS + 1_000),
            change("memory", "", Status::Unhealthy, true, START_MS),
            change("memory", "", Status::Healthy, true, START_MS + 2_000),
        ],
        ..frames(&node("a"), [frame(&mut builder, START_MS, &readings)])
    };
    store.submit(batch).unwrap();
    assert!(store.flush());

    let shell = Connection::open(directory.path().join("sickbay.db")).unwrap();
    let rows = |sql: &str, columns: usize| -> Vec<String> {
        let mut statement = shell.prepare(sql).unwrap();
        let texts = statement.query_map([], |row| {
            let texts: Vec<String> = (0..columns)
                .map(|n| {
                    row.get_ref(n).map(|v| v.as_str_or_null().unwrap().unwrap_or("-").to_owned())
                })
                .collect::<Result<_, _>>()?;
            Ok(texts.join(" | "))
        });
        texts.unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(
        rows(
            "SELECT resource_type, resource_id, metric_name, CAST(value AS TEXT), \
             CAST(threshold_warning AS TEXT), timestamp, unit, status \
             FROM health_metrics ORDER BY metric_name",
            8
        ),
        [
            "node | node/a | cpu_used_percent | 96.5 | 80.0 | 2026-11-21T00:00:00.000Z | % | critical",
            "node | node/a | filesystem_free_bytes{mountpoint=\"/\"} | 5.0 | 10.0 | 2026-11-21T00:00:00.000Z | B | degraded",
            "node | node/a | filesystem_used_percent{mountpoint=\"/da\\\"ta\"} | 85.0 | 80.0 | 2026-11-21T00:00:00.000Z | % | healthy",
        ]
    );
    assert_eq!(
        rows(
            "SELECT resource_type, resource_id, alert_type, severity, message, timestamp, \
             CAST(resolved AS TEXT), resolved_at, metadata ->> 'details' ->> 'why' \
             FROM health_alerts ORDER BY alert_type",
            9
        ),
        [
            "node | node/a | disk{/data} | critical | disk is critical | 2026-11-21T00:00:00.000Z | 0 | - | test",
            "node | node/a | memory | error | memory is unhealthy | 2026-11-21T00:00:00.000Z | 1 | 2026-11-21T00:00:02.000Z | test",
        ]
    );
    // The log of events is append-only for everybody.
    store.submit(WriteBatch { events: vec![event(1, START_MS)], ..WriteBatch::default() }).unwrap();
    assert!(store.flush());
    for sql in ["UPDATE event SET message = 'x'", "DELETE FROM event"] {
        let error = shell.execute(sql, []).expect_err(sql);
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}
