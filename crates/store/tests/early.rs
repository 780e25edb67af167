//! Frames that are packed on one another and sealed before their hour is over: what is read is what
//! a plain list of readings says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use sickbay_model::catalogue::{CPU_USED, FILESYSTEM_USED, LOAD_1M, OOM_KILLS};
use sickbay_model::{FrameBuilder, MetricId};
use sickbay_store::{HistoryQuery, Resolution, Store, admin};

#[path = "support/support.rs"]
mod support;
use support::*;

const SERIES: [(MetricId, &str); 5] = [
    (CPU_USED, ""),
    (OOM_KILLS, ""),
    (FILESYSTEM_USED, "/"),
    (FILESYSTEM_USED, "/data"),
    (LOAD_1M, ""),
];

/// What the store is to know: the readings of each time.
#[derive(Default)]
struct Model {
    frames: BTreeMap<i64, (u8, Vec<Option<f64>>)>,
}

impl Model {
    fn points(&self, slot: usize) -> Vec<(i64, f64)> {
        self.frames.iter().filter_map(|(at, (_, row))| Some((*at, row[slot]?))).collect()
    }

    /// (minute, count, smallest, largest)
    fn minutes(&self, slot: usize) -> Vec<(i64, u32, f64, f64)> {
        let mut minutes: Vec<(i64, u32, f64, f64)> = Vec::new();
        for (at, value) in self.points(slot) {
            let minute = at.div_euclid(60_000) * 60_000;
            match minutes.last_mut() {
                Some(last) if last.0 == minute => {
                    *last = (minute, last.1 + 1, last.2.min(value), last.3.max(value));
                }
                _ => minutes.push((minute, 1, value, value)),
            }
        }
        minutes
    }
}

const FROM: i64 = START_MS - 6 * HOUR_MS;
const TO: i64 = START_MS + 40 * HOUR_MS;

fn check_raw(store: &Store, model: &Model, when: &str) {
    for (slot, (metric, instance)) in SERIES.iter().enumerate() {
        let answer = store.history(&query(*metric, instance, FROM, TO)).unwrap();
        let expected = model.points(slot);
        assert!(expected.is_empty() || answer.resolution == Resolution::Raw, "{when}");
        let points: Vec<_> =
            answer.points.iter().map(|point| (point.at.as_unix_ms(), point.mean)).collect();
        assert_eq!(points, expected, "{when}: {metric:?} {instance}");
    }
}

fn check_minutes(store: &Store, model: &Model, when: &str) {
    for (slot, (metric, instance)) in SERIES.iter().enumerate() {
        let step = Some(Duration::from_secs(60));
        let asked = HistoryQuery { step, ..query(*metric, instance, FROM, TO) };
        let points: Vec<_> = store
            .history(&asked)
            .unwrap()
            .points
            .iter()
            .map(|point| (point.at.as_unix_ms(), point.count, point.min, point.max))
            .collect();
        assert_eq!(points, model.minutes(slot), "{when}: minutes of {metric:?} {instance}");
    }
}

/// One thing that happens to the store.
#[derive(Clone, Debug)]
enum Step {
    /// So many frames, so far apart, of the series whose bits are set.
    Frames { count: u16, apart_ms: i64, present: u8 },
    /// The newest frames again, with other readings: those that are there stay.
    Again { count: u8 },
    /// The clock is set; forward, or back between frames that are there.
    Jump { by_ms: i64 },
    /// What is due is done now.
    Settle,
    /// Another process goes on.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_u16..700, prop_oneof![Just(400_i64), Just(1_000), Just(7_001)], 1_u8..32)
            .prop_map(|(count, apart_ms, present)| Step::Frames { count, apart_ms, present }),
        1 => (1_u8..40).prop_map(|count| Step::Again { count }),
        2 => prop_oneof![-3_000_003_i64..-1, 1_i64..4_000_000]
            .prop_map(|by_ms| Step::Jump { by_ms }),
        1 => Just(Step::Settle),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..16)
}

fn follow(directory: &Path, steps: &[Step]) {
    let clock = TestClock::new();
    let mut store = open_at(directory, &clock).0;
    let mut builder = FrameBuilder::new();
    let mut model = Model::default();
    let (mut now, mut number) = (START_MS, 0_u32);
    let mut put = |store: &Store, builder: &mut FrameBuilder, model: &mut Model, at, present| {
        number += 1;
        // Quarters are kept exactly by every precision.
        let row: Vec<Option<f64>> = (0..SERIES.len())
            .map(|slot| {
                let value = f64::from(number / (1 + 7 * slot as u32) % 97) / 4.0;
                (present >> slot & 1 == 1).then_some(if slot == 1 { value.floor() } else { value })
            })
            .collect();
        let readings: Vec<_> = SERIES
            .iter()
            .zip(&row)
            .filter_map(|(&(metric, instance), value)| Some((metric, instance, (*value)?)))
            .collect();
        store.submit(frames(&node("a"), [frame(builder, at, &readings)])).unwrap();
        model.frames.entry(at).or_insert((present, row));
    };
    for (index, step) in steps.iter().enumerate() {
        match *step {
            Step::Frames { count, apart_ms, present } => {
                for n in 0..count {
                    now += apart_ms;
                    if model.frames.contains_key(&now) {
                        continue;
                    }
                    clock.set(now);
                    put(&store, &mut builder, &mut model, now, present);
                    if n % 128 == 0 {
                        assert!(store.flush());
                    }
                }
            }
            Step::Again { count } => {
                let newest = model.frames.iter().rev().take(count.into());
                let newest: Vec<_> = newest.map(|(at, (present, _))| (*at, *present)).collect();
                for (at, present) in newest {
                    put(&store, &mut builder, &mut model, at, present);
                }
            }
            Step::Jump { by_ms } => {
                now = (now + by_ms).max(FROM);
                clock.set(now);
            }
            Step::Settle => assert!(store.settle()),
            Step::Reopen => {
                store.close();
                drop(store);
                store = open_at(directory, &clock).0;
                // Columns in another order.
                builder = FrameBuilder::new();
                builder.put(LOAD_1M, "", 0.0);
                let _columns = builder.finish(at(0));
            }
        }
        assert!(store.flush());
        check_raw(&store, &model, &format!("after step {index}"));
    }
    clock.set(now + 2 * DAY_MS);
    assert!(store.settle());
    check_raw(&store, &model, "sealed");
    check_minutes(&store, &model, "sealed");
    store.close();
    drop(store);
    let stats = admin::stats(directory).unwrap();
    let samples = (0..SERIES.len()).map(|slot| model.points(slot).len() as u64).sum::<u64>();
    assert_eq!((stats.open_frames, stats.samples), (0, samples));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn history_is_what_was_written(steps in steps()) {
        follow(tempfile::tempdir().unwrap().path(), &steps);
    }
}

#[test]
fn the_finished_minutes_of_a_long_hour_are_sealed_before_it_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let store = open_at(directory.path(), &clock).0;
    let mut builder = FrameBuilder::new();
    let mut most = 0;
    for n in 0..3_550_i64 {
        let ms = START_MS + n * 1_000;
        clock.set(ms);
        let reading = frame(&mut builder, ms, &[(OOM_KILLS, "", n as f64)]);
        store.submit(frames(&node("a"), [reading])).unwrap();
        if n % 25 == 0 {
            assert!(store.settle());
            most = most.max(admin::stats(directory.path()).unwrap().open_frames);
        }
    }
    assert!(store.flush());
    let stats = admin::stats(directory.path()).unwrap();
    assert_eq!((stats.blocks.map(|blocks| blocks.count), most < 1_100), ([3; 3], true), "{most}");
    let step = Some(Duration::from_secs(3_600));
    let asked = query(OOM_KILLS, "", START_MS, START_MS + HOUR_MS);
    let hour = |store: &Store| {
        let points = store.history(&HistoryQuery { step, ..asked.clone() }).unwrap().points;
        points.iter().map(|p| (p.count, p.min, p.max, p.mean.round())).collect::<Vec<_>>()
    };
    assert_eq!(hour(&store), [(3_550, 0.0, 3_549.0, 1_775.0)], "while it runs");
    assert_eq!(means(&store, &asked).len(), 3_550);
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    assert_eq!(hour(&store), [(3_550, 0.0, 3_549.0, 1_775.0)], "when it is over");
    assert_eq!(means(&store, &asked).len(), 3_550);
    let stats = admin::stats(directory.path()).unwrap();
    assert_eq!(
        stats.blocks.map(|blocks| blocks.count),
        [4, 1, 1],
        "rollups of the hour are joined"
    );
}

#[test]
fn rows_of_the_version_before_are_read_and_sealed_with_newer_ones() {
    let directory = tempfile::tempdir().unwrap();
    let file = rusqlite::Connection::open(directory.path().join("sickbay.db")).unwrap();
    file.execute_batch(include_str!("../src/schema/v1.sql")).unwrap();
    file.execute_batch(include_str!("../src/schema/v2.sql")).unwrap();
    file.pragma_update(None, "application_id", 0x5342_4159).unwrap();
    file.pragma_update(None, "user_version", 2).unwrap();
    file.execute_batch(&format!(
        "INSERT INTO resource VALUES (1, 'node/a', 'node');
         INSERT INTO series (id, resource, metric, instance, name, unit, first_at, last_at)
         VALUES (1, 1, {}, '', 'cpu', '%', {START_MS}, {START_MS});
         INSERT INTO layout VALUES (1, 1, x'01000000');",
        CPU_USED.0
    ))
    .unwrap();
    let mut expected = Vec::new();
    for n in 0..20_i64 {
        let ms = START_MS + n * 5_000;
        let value = n as f64 / 4.0;
        file.execute(
            "INSERT INTO open_frame (resource, at, layout, readings) VALUES (1, ?1, 1, ?2)",
            rusqlite::params![ms, value.to_le_bytes()],
        )
        .unwrap();
        expected.push((ms, value));
    }
    drop(file);
    let clock = TestClock::new();
    let (store, report) = open_at(directory.path(), &clock);
    assert_eq!(report.migrated_from, Some(2), "{report:?}");
    let asked = query(CPU_USED, "", START_MS, START_MS + HOUR_MS);
    assert_eq!(means(&store, &asked), expected, "older rows");
    let mut builder = FrameBuilder::new();
    for n in 20..60_i64 {
        let (ms, value) = (START_MS + n * 5_000, (n / 3) as f64 / 4.0);
        let mut readings = vec![(CPU_USED, "", value)];
        if n > 40 {
            readings.push((OOM_KILLS, "", 1.0));
        }
        store.submit(frames(&node("a"), [frame(&mut builder, ms, &readings)])).unwrap();
        expected.push((ms, value));
    }
    assert!(store.flush());
    assert_eq!(means(&store, &asked), expected, "older and newer rows");
    clock.set(START_MS + 2 * HOUR_MS);
    assert!(store.settle());
    assert_eq!(means(&store, &asked), expected, "sealed");
}
