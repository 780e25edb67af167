//! What the store's tests share: a settable clock, frames, and ways to open a store.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sickbay_model::{
    CheckId, Event, EventId, EventKind, Frame, FrameBuilder, MetricId, ResourceId, Status,
    Timestamp,
};
use sickbay_store::{
    CheckChange, HistoryQuery, OpenReport, Store, StoreOptions, WallClock, WriteBatch, open,
};

/// 2026-11-21T00:00:00Z, the start of a day.
pub const START_MS: i64 = 1_795_219_200_000;
pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START_MS)))
    }
    pub fn set(&self, ms: i64) {
        self.0.store(ms, Ordering::SeqCst);
    }
    pub fn wall(&self) -> WallClock {
        let time = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_unix_ms(time.load(Ordering::SeqCst)))
    }
}

pub fn options(path: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(path);
    options.commit_interval = Duration::from_millis(1);
    options
}

pub fn open_at(path: &Path, clock: &TestClock) -> (Store, OpenReport) {
    open(options(path), clock.wall()).expect("opens")
}

pub fn node(name: &str) -> ResourceId {
    ResourceId::node(name).expect("a name")
}

pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

pub fn frame(builder: &mut FrameBuilder, ms: i64, readings: &[(MetricId, &str, f64)]) -> Frame {
    for (metric, instance, value) in readings {
        builder.put(*metric, instance, *value);
    }
    builder.finish(at(ms)).0
}

pub fn frames(node: &ResourceId, frames: impl IntoIterator<Item = Frame>) -> WriteBatch {
    let frames = frames.into_iter().map(|frame| (node.clone(), frame)).collect();
    WriteBatch { frames, ..WriteBatch::default() }
}

pub fn event(id: u64, ms: i64) -> Event {
    Event {
        id: EventId(id),
        at: at(ms),
        kind: EventKind::LevelChanged,
        resource: Some(node("a")),
        message: format!("event {id}"),
        details: [("n".to_owned(), id.to_string())].into(),
    }
}

pub fn change(
    check: &'static str,
    instance: &str,
    status: Status,
    hard: bool,
    ms: i64,
) -> CheckChange {
    CheckChange {
        resource: node("a"),
        check: CheckId::new(check),
        instance: instance.to_owned(),
        status,
        hard,
        message: format!("{check} is {status}"),
        at: at(ms),
        details: Some(r#"{"why":"test"}"#.to_owned()),
    }
}

pub fn query(metric: MetricId, instance: &str, from: i64, to: i64) -> HistoryQuery {
    HistoryQuery {
        resource: node("a"),
        metric,
        instance: instance.to_owned(),
        from: at(from),
        to: at(to),
        step: None,
        max_points: 20_000,
    }
}

/// (time, mean) of every point.
pub fn means(store: &Store, query: &HistoryQuery) -> Vec<(i64, f64)> {
    let answer = store.history(query).expect("history");
    answer.points.iter().map(|point| (point.at.as_unix_ms(), point.mean)).collect()
}
