//! What every store must do, whatever it keeps its data in. The functions take an open store and
//! its clock, and are run against a file and against memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use sickbay_model::catalogue::{CPU_USED, FILESYSTEM_USED, OOM_KILLS};
use sickbay_model::{EventId, EventKind, FrameBuilder, Status};
use sickbay_store::{
    CheckQuery, EventQuery, MetricJudgement, Record, Resolution, Store, StoredNode, WriteBatch,
};

#[path = "support/support.rs"]
mod support;
use support::*;

type Contract = fn(&Store, &TestClock);

const CONTRACTS: &[(&str, Contract)] = &[
    ("states", states),
    ("events", events),
    ("checks", checks),
    ("small values", small_values),
    ("nodes", nodes),
    ("records", records),
    ("history from the open hour", open_history),
    ("history across sealing", sealed_history),
    ("rollups agree with readings", rollups),
    ("gaps have no points", gaps),
    ("late and repeated frames", late_frames),
    ("clock set back", clock_set_back),
    ("series", series),
    ("retention by age", retention),
];

#[test]
fn a_file_keeps_the_contract() {
    for (name, contract) in CONTRACTS {
        let directory = tempfile::tempdir().unwrap();
        let clock = TestClock::new();
        let (store, report) = open_at(directory.path(), &clock);
        assert_eq!(report.memory_only, None, "{name}");
        println!("{name}");
        contract(&store, &clock);
        assert_eq!(store.health().status, Status::Healthy, "{name}: {:?}", store.health());
    }
}

#[test]
fn memory_keeps_the_contract() {
    for (name, contract) in CONTRACTS {
        let file = tempfile::NamedTempFile::new().unwrap();
        let clock = TestClock::new();
        // A directory below a file cannot be made, not even by root.
        let (store, report) = open_at(&file.path().join("data"), &clock);
        assert!(report.memory_only.is_some(), "{name}");
        println!("{name}");
        contract(&store, &clock);
        let health = store.health();
        assert!(health.memory_only && health.status == Status::Degraded, "{name}: {health:?}");
        assert_eq!(health.last_error, None, "{name}");
    }
}

fn states(store: &Store, _: &TestClock) {
    let state = |name: &str, ms, text: &str| (node(name), at(ms), text.as_bytes().to_vec());
    let states = vec![state("a", 1, "old"), state("b", 2, "kept"), state("a", 3, "new")];
    store.submit(WriteBatch { states, ..WriteBatch::default() }).unwrap();
    assert!(store.flush());
    assert_eq!(store.states().unwrap(), [state("a", 3, "new"), state("b", 2, "kept")]);
    store.submit(WriteBatch { removed: vec![node("a")], ..WriteBatch::default() }).unwrap();
    assert!(store.flush());
    assert_eq!(store.states().unwrap(), [state("b", 2, "kept")]);
}

fn events(store: &Store, _: &TestClock) {
    assert_eq!(store.last_event_id(), EventId(0));
    let mut third = event(3, START_MS + 3);
    third.kind = EventKind::HubStarted;
    third.resource = None;
    let all = vec![event(1, START_MS + 1), event(2, START_MS + 2), third];
    let batch = WriteBatch { events: all.clone(), ..WriteBatch::default() };
    store.submit(batch.clone()).unwrap();
    assert_eq!(store.last_event_id(), EventId(3));
    // Again, with other words: what is stored is left as it is.
    let mut again = batch;
    again.events[0].message = "edited".to_owned();
    store.submit(again).unwrap();
    assert!(store.flush());
    let ids = |query: EventQuery| -> Vec<u64> {
        store.events(&query).unwrap().iter().map(|event| event.id.0).collect()
    };
    let any = EventQuery::default;
    assert_eq!(store.events(&any()).unwrap(), all);
    assert_eq!(ids(EventQuery { newest_first: true, limit: 2, ..any() }), [3, 2]);
    assert_eq!(ids(EventQuery { after: Some(EventId(1)), ..any() }), [2, 3]);
    assert_eq!(ids(EventQuery { before: Some(EventId(2)), ..any() }), [1]);
    assert_eq!(ids(EventQuery { kinds: vec![EventKind::HubStarted], ..any() }), [3]);
    assert_eq!(ids(EventQuery { resource: Some(node("a")), ..any() }), [1, 2]);
    let between = EventQuery { from: Some(at(START_MS + 2)), to: Some(at(START_MS + 3)), ..any() };
    assert_eq!(ids(between), [2]);
}

fn checks(store: &Store, _: &TestClock) {
    let changes = vec![
        change("disk", "/data", Status::Degraded, false, START_MS),
        change("disk", "/data", Status::Critical, true, START_MS + 1),
        change("memory", "", Status::Healthy, true, START_MS + 2),
    ];
    store.submit(WriteBatch { checks: changes.clone(), ..WriteBatch::default() }).unwrap();
    assert!(store.flush());
    let newest_first: Vec<_> = changes.iter().rev().cloned().collect();
    assert_eq!(store.check_changes(&CheckQuery::default()).unwrap(), newest_first);
    let disk = CheckQuery { check: Some("disk".to_owned()), limit: 1, ..CheckQuery::default() };
    assert_eq!(store.check_changes(&disk).unwrap(), changes[1..2]);
    let other = CheckQuery { resource: Some(node("b")), ..CheckQuery::default() };
    assert_eq!(store.check_changes(&other).unwrap(), []);
}

fn small_values(store: &Store, _: &TestClock) {
    assert_eq!(store.meta_get("node").unwrap(), None);
    store.meta_put("node", "a").unwrap();
    store.meta_put("node", "b").unwrap();
    assert!(store.flush());
    assert_eq!(store.meta_get("node").unwrap().as_deref(), Some("b"));
    assert!(store.meta_put("node", &"x".repeat(100_000)).is_err());
}

fn nodes(store: &Store, _: &TestClock) {
    let node = |name: &str, host: &str, ms| StoredNode {
        name: name.to_owned(),
        definition: format!("{{\"host\":\"{host}\"}}"),
        added_at: at(ms),
    };
    let put = |nodes_put: Vec<StoredNode>, removed: &[&str]| {
        let nodes_removed = removed.iter().map(|name| (*name).to_owned()).collect();
        store.submit(WriteBatch { nodes_put, nodes_removed, ..WriteBatch::default() }).unwrap();
    };
    assert_eq!(store.nodes().unwrap(), []);
    put(vec![node("b", "10.0.0.2", 1), node("a", "old", 2)], &[]);
    put(vec![node("a", "new", 3)], &[]);
    assert!(store.flush());
    assert_eq!(store.nodes().unwrap(), [node("a", "new", 3), node("b", "10.0.0.2", 1)]);
    // Added and taken back before anything was written, and one that was never there.
    put(vec![node("c", "10.0.0.3", 4)], &[]);
    put(vec![], &["c", "a", "never"]);
    assert!(store.flush());
    assert_eq!(store.nodes().unwrap(), [node("b", "10.0.0.2", 1)]);
}

fn records(store: &Store, _: &TestClock) {
    let put = |records: &[(&'static str, &str, Option<&str>)]| {
        let record = |&(kind, key, content): &(&'static str, &str, Option<&str>)| Record {
            kind,
            key: key.to_owned(),
            content: content.map(str::to_owned),
        };
        let records = records.iter().map(record).collect();
        store.submit(WriteBatch { records, ..WriteBatch::default() }).unwrap();
    };
    let of = |kind: &str| store.records(kind).unwrap();
    let pair = |key: &str, content: &str| (key.to_owned(), content.to_owned());
    assert_eq!(of("alert"), []);
    put(&[("alert", "b", Some("1")), ("alert", "a", Some("2")), ("notice", "a", Some("3"))]);
    put(&[("alert", "a", Some("4"))]);
    assert!(store.flush());
    assert_eq!(of("alert"), [pair("a", "4"), pair("b", "1")]);
    // Made and forgotten before anything was written, and one that was never there.
    put(&[("alert", "c", Some("5"))]);
    put(&[("alert", "c", None), ("alert", "a", None), ("alert", "never", None)]);
    assert!(store.flush());
    assert_eq!(of("alert"), [pair("b", "1")]);
    assert_eq!(of("notice"), [pair("a", "3")]);
}

/// An hour of readings every 5 s: a percentage with noise, and a counter.
fn an_hour(from: i64) -> Vec<(i64, f64, f64)> {
    (0..720_i32)
        .map(|n| {
            let noise = f64::from((n * 7_919) % 1_000) / 37.0;
            (from + i64::from(n) * 5_000, 40.0 + noise, f64::from(n / 100))
        })
        .collect()
}

fn put_hour(store: &Store, builder: &mut FrameBuilder, from: i64) -> Vec<(i64, f64, f64)> {
    let readings = an_hour(from);
    let batch = frames(
        &node("a"),
        readings.iter().map(|(ms, percent, counter)| {
            frame(builder, *ms, &[(CPU_USED, "", *percent), (OOM_KILLS, "", *counter)])
        }),
    );
    store.submit(batch).unwrap();
    readings
}

fn open_history(store: &Store, _: &TestClock) {
    // So few are not sealed before the hour is over.
    let mut builder = FrameBuilder::new();
    let readings = &an_hour(START_MS)[..200];
    let batch = readings.iter().map(|(ms, percent, counter)| {
        frame(&mut builder, *ms, &[(CPU_USED, "", *percent), (OOM_KILLS, "", *counter)])
    });
    store.submit(frames(&node("a"), batch)).unwrap();
    assert!(store.flush());
    let answer = store.history(&query(CPU_USED, "", START_MS, START_MS + HOUR_MS)).unwrap();
    assert_eq!((answer.resolution, answer.step), (Resolution::Raw, None));
    assert_eq!(answer.points.len(), 200);
    for (point, (ms, percent, _)) in answer.points.iter().zip(readings) {
        assert_eq!((point.at.as_unix_ms(), point.mean, point.count), (*ms, *percent, 1));
    }
    // The end is exclusive, the start inclusive.
    let part = query(CPU_USED, "", START_MS + 5_000, START_MS + 15_000);
    assert_eq!(means(store, &part).len(), 2);
    let unknown = query(FILESYSTEM_USED, "/", START_MS, START_MS + HOUR_MS);
    assert_eq!(means(store, &unknown), []);
    assert!(store.history(&query(CPU_USED, "", START_MS, START_MS)).is_err());
}

fn sealed_history(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    let mut readings = put_hour(store, &mut builder, START_MS);
    clock.set(START_MS + HOUR_MS + 1_000);
    assert!(store.settle());
    assert_eq!(store.health().samples, 2 * 720);
    readings.extend(put_hour(store, &mut builder, START_MS + HOUR_MS));
    assert!(store.flush());
    let all = query(CPU_USED, "", START_MS, START_MS + 2 * HOUR_MS);
    let points = means(store, &all);
    assert_eq!(points.len(), 1_440);
    for ((ms, mean), (expected_ms, percent, _)) in points.iter().zip(&readings) {
        assert_eq!(ms, expected_ms);
        assert!((mean - percent).abs() <= 0.005 + 1e-9, "{mean} for {percent}");
    }
    let counter = query(OOM_KILLS, "", START_MS, START_MS + HOUR_MS);
    let exact: Vec<_> = readings[..720].iter().map(|(ms, _, counter)| (*ms, *counter)).collect();
    assert_eq!(means(store, &counter), exact);
}

fn rollups(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    for hour in 0..30 {
        put_hour(store, &mut builder, START_MS + hour * HOUR_MS);
        clock.set(START_MS + (hour + 1) * HOUR_MS + 1);
        if hour < 29 {
            assert!(store.settle());
        }
    }
    assert!(store.flush());
    let end = START_MS + 30 * HOUR_MS;
    let raw = store.history(&query(CPU_USED, "", START_MS, end)).unwrap();
    assert_eq!(raw.points.len(), 20_000.min(raw.points.len()));
    for (step_s, resolution, count) in [
        (60, Resolution::Minute, 1_800),
        (3_600, Resolution::Hour, 30),
        (7_200, Resolution::Hour, 15),
    ] {
        let step = Some(Duration::from_secs(step_s));
        let answer = store
            .history(&sickbay_store::HistoryQuery { step, ..query(CPU_USED, "", START_MS, end) })
            .unwrap();
        assert_eq!(
            (answer.resolution, answer.points.len(), answer.step),
            (resolution, count, step)
        );
        let total: u32 = answer.points.iter().map(|point| point.count).sum();
        assert_eq!(total, 30 * 720, "step {step_s}");
        for point in &answer.points {
            let expected: Vec<f64> = an_hour(START_MS)
                .iter()
                .cycle()
                .enumerate()
                .map(|(n, (_, percent, _))| (START_MS + n as i64 * 5_000, *percent))
                .skip_while(|(ms, _)| *ms < point.at.as_unix_ms())
                .take(step_s as usize / 5)
                .map(|(_, percent)| percent)
                .collect();
            let mean = expected.iter().sum::<f64>() / expected.len() as f64;
            let min = expected.iter().copied().fold(f64::INFINITY, f64::min);
            let max = expected.iter().copied().fold(0.0, f64::max);
            assert!((point.mean - mean).abs() < 0.02, "{point:?}, not {mean}");
            assert!((point.min - min).abs() < 0.01 && (point.max - max).abs() < 0.01, "{point:?}");
            assert!(point.min <= point.mean && point.mean <= point.max);
        }
    }
    // Fewer points than asked for by the step: the step is made longer.
    let few = sickbay_store::HistoryQuery {
        step: Some(Duration::from_secs(5)),
        max_points: 100,
        ..query(CPU_USED, "", START_MS, end)
    };
    let answer = store.history(&few).unwrap();
    assert!(answer.points.len() <= 100 && answer.points.len() > 20, "{}", answer.points.len());
}

fn gaps(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    let all: Vec<_> = (0..10)
        .map(|n| {
            let ms = START_MS + n * 60_000;
            let mut readings = vec![(CPU_USED, "", 1.0)];
            // A filesystem that appears late and goes away again.
            if (4..7).contains(&n) {
                readings.push((FILESYSTEM_USED, "/data", 50.0));
            }
            frame(&mut builder, ms, &readings)
        })
        .collect();
    store.submit(frames(&node("a"), all)).unwrap();
    let expected: Vec<_> = (4..7).map(|n| (START_MS + n * 60_000, 50.0)).collect();
    let asked = query(FILESYSTEM_USED, "/data", START_MS, START_MS + HOUR_MS);
    assert!(store.flush());
    assert_eq!(means(store, &asked), expected, "open");
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    assert_eq!(means(store, &asked), expected, "sealed");
    let step = Some(Duration::from_secs(60));
    assert_eq!(means(store, &sickbay_store::HistoryQuery { step, ..asked }), expected, "minutes");
}

fn late_frames(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    let mut put = |ms: i64, value: f64| {
        store
            .submit(frames(&node("a"), [frame(&mut builder, ms, &[(CPU_USED, "", value)])]))
            .unwrap();
        assert!(store.flush());
    };
    put(START_MS + 10_000, 1.0);
    put(START_MS, 2.0);
    put(START_MS + 10_000, 99.0);
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    // The hour is sealed; one frame is new, one repeated.
    put(START_MS + 5_000, 3.0);
    put(START_MS + 10_000, 98.0);
    let asked = query(CPU_USED, "", START_MS, START_MS + HOUR_MS);
    let expected = [(START_MS, 2.0), (START_MS + 5_000, 3.0), (START_MS + 10_000, 1.0)];
    assert_eq!(means(store, &asked), expected, "late frames open");
    assert!(store.settle());
    assert_eq!(means(store, &asked), expected, "late frames sealed");
    let step = Some(Duration::from_secs(3_600));
    let hour = store.history(&sickbay_store::HistoryQuery { step, ..asked }).unwrap();
    assert_eq!((hour.points[0].count, hour.points[0].mean), (3, 2.0));
}

fn clock_set_back(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    let far = START_MS + 1_000 * DAY_MS;
    for ms in [START_MS, far, START_MS + 5_000, -5_000] {
        clock.set(ms);
        store
            .submit(frames(&node("a"), [frame(&mut builder, ms, &[(CPU_USED, "", 7.0)])]))
            .unwrap();
        assert!(store.flush());
    }
    let asked = query(CPU_USED, "", START_MS, START_MS + HOUR_MS);
    assert_eq!(means(store, &asked), [(START_MS, 7.0), (START_MS + 5_000, 7.0)]);
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    assert_eq!(means(store, &asked), [(START_MS, 7.0), (START_MS + 5_000, 7.0)]);
    assert_eq!(means(store, &query(CPU_USED, "", far, far + 1)), [(far, 7.0)]);
}

fn series(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    let readings = [(CPU_USED, "", 1.0), (FILESYSTEM_USED, "/", 2.0)];
    let first = frame(&mut builder, START_MS, &readings);
    let second = frame(&mut builder, START_MS + 60_000, &readings[..1]);
    let judgement = MetricJudgement {
        resource: node("a"),
        metric: OOM_KILLS,
        instance: String::new(),
        warning: Some(1.0),
        critical: None,
        status: None,
    };
    let batch = WriteBatch { judgements: vec![judgement], ..frames(&node("a"), [first, second]) };
    store.submit(batch).unwrap();
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    let series = store.series(&node("a")).unwrap();
    let found: Vec<_> = series
        .iter()
        .map(|s| (s.metric, s.instance.as_str(), s.first.as_unix_ms(), s.last.as_unix_ms()))
        .collect();
    let expected =
        [(CPU_USED, "", START_MS, START_MS + 60_000), (FILESYSTEM_USED, "/", START_MS, START_MS)];
    assert_eq!(found, expected, "a judged series without readings is not history");
    assert_eq!(store.series(&node("b")).unwrap(), []);
}

fn retention(store: &Store, clock: &TestClock) {
    let mut builder = FrameBuilder::new();
    for day in 0..3 {
        put_hour(store, &mut builder, START_MS + day * DAY_MS);
    }
    let old = WriteBatch {
        events: vec![event(1, START_MS), event(2, START_MS + 400 * DAY_MS)],
        checks: vec![change("disk", "", Status::Critical, true, START_MS)],
        ..WriteBatch::default()
    };
    store.submit(old).unwrap();
    clock.set(START_MS + 8 * DAY_MS + 12 * HOUR_MS);
    assert!(store.settle());
    // The first two days' readings are gone, their rollups are not.
    for (first_day, resolution, points) in [(0, Resolution::Minute, 180), (2, Resolution::Raw, 720)]
    {
        let from = START_MS + first_day * DAY_MS;
        let answer = store.history(&query(CPU_USED, "", from, START_MS + 3 * DAY_MS)).unwrap();
        assert_eq!(
            (answer.resolution, answer.points.len()),
            (resolution, points),
            "day {first_day}"
        );
    }
    clock.set(START_MS + 400 * DAY_MS);
    assert!(store.settle());
    let left = store.history(&query(CPU_USED, "", START_MS, START_MS + 3 * DAY_MS)).unwrap();
    assert_eq!((left.resolution, left.points.len()), (Resolution::Hour, 3));
    let events = store.events(&EventQuery::default()).unwrap();
    assert_eq!(events.iter().map(|event| event.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(store.check_changes(&CheckQuery::default()).unwrap(), []);
    assert_eq!(store.health().samples, 0);
}
