//! What history takes on disk, and how fast it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sickbay_model::{
    FrameBuilder, InstanceKind, MetricKind, ResourceId, Timestamp, Unit, catalogue,
};
use sickbay_store::{HistoryQuery, StoreOptions, WriteBatch};

use crate::Options;
use crate::table::Row;

const SERIES: usize = 110;
const HOURS: i64 = 48;
const STEP_MS: i64 = 5_000;

/// Measures: two days of a node's 110 series every five seconds, with values that move as real ones
/// do (noise, slow drift, steps, counters, constants), written through the store as the hub writes.
pub fn run(_: &Options) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let start = 1_800_000_000_000_i64;
    let now = Arc::new(AtomicI64::new(start));
    let clock = Arc::clone(&now);
    let options = StoreOptions::new(folder.path());
    let wall_clock = Arc::new(move || Timestamp::from_unix_ms(clock.load(Ordering::Relaxed)));
    let (store, _) = sickbay_store::open(options, wall_clock)?;
    let node = ResourceId::node("bench")?;

    let mut values = Values::new();
    let mut samples = 0;
    let frames = HOURS * 3_600_000 / STEP_MS;
    let began = Instant::now();
    for frame in 0..frames {
        // Collections are never quite punctual.
        let at = start + frame * STEP_MS + i64::from(values.random() as u8 % 40);
        now.store(at, Ordering::Relaxed);
        let frame = values.frame(Timestamp::from_unix_ms(at));
        samples += frame.len();
        let batch = WriteBatch { frames: vec![(node.clone(), frame)], ..WriteBatch::default() };
        ensure!(store.submit(batch).is_ok(), "the store could not keep up");
        if samples % (SERIES * 500) == 0 {
            ensure!(store.flush(), "the store could not write");
        }
    }
    now.fetch_add(7_200_000, Ordering::Relaxed);
    ensure!(store.settle(), "the store could not settle");
    let wrote = began.elapsed();
    let bytes: u64 = std::fs::read_dir(folder.path())?
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().ends_with(".db"))
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();

    let metric = catalogue::CPU_USED;
    let mut slowest = Duration::ZERO;
    for hour in 1..HOURS {
        let query = HistoryQuery {
            resource: node.clone(),
            metric,
            instance: String::new(),
            from: Timestamp::from_unix_ms(start + (hour - 1) * 3_600_000),
            to: Timestamp::from_unix_ms(start + hour * 3_600_000),
            step: None,
            max_points: 1_000,
        };
        let asked = Instant::now();
        let answer = store.history(&query)?;
        slowest = slowest.max(asked.elapsed());
        ensure!(answer.points.len() > 700, "an hour has {} points", answer.points.len());
    }
    store.close();
    Ok(vec![
        Row::new(
            &format!(
                "history on disk, {HOURS} h of {SERIES} series every 5 s, rollups and indexes included"
            ),
            format!("{:.2} bytes a sample", bytes as f64 / samples as f64),
            "≤ 2",
        ),
        Row::new(
            "writing a frame (wall, sealing included)",
            format!("{:.0} µs", wrote.as_secs_f64() * 1e6 / frames as f64),
            "–",
        ),
        Row::new(
            "one hour of one metric, slowest read",
            format!("{:.2} ms", slowest.as_secs_f64() * 1e3),
            "≤ 5 ms",
        ),
    ])
}

/// Series whose values move as those of a machine do.
struct Values {
    builder: FrameBuilder,
    series: Vec<(&'static sickbay_model::MetricDef, String, f64)>,
    seed: u64,
}

impl Values {
    fn new() -> Self {
        let instances = |kind| match kind {
            InstanceKind::Node => 1,
            InstanceKind::Gpu | InstanceKind::NvLink => 0,
            _ => 4,
        };
        let series: Vec<_> = catalogue::ALL
            .iter()
            .filter(|metric| metric.id < catalogue::SCORE)
            .flat_map(|metric| {
                (0..instances(metric.instance)).map(move |instance| {
                    let name = if metric.instance == InstanceKind::Node {
                        String::new()
                    } else {
                        format!("dev{instance}")
                    };
                    (metric, name, base(metric.unit))
                })
            })
            .take(SERIES)
            .collect();
        assert_eq!(series.len(), SERIES);
        Self { builder: FrameBuilder::new(), series, seed: 42 }
    }

    /// xorshift64*: repeatable.
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn noise(&mut self) -> f64 {
        (self.random() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    }

    fn frame(&mut self, at: Timestamp) -> sickbay_model::Frame {
        for index in 0..self.series.len() {
            let (noise, jump) = (self.noise(), self.random().is_multiple_of(100));
            let (metric, instance, value) = &mut self.series[index];
            *value =
                next(metric.unit, metric.kind, *value, noise, jump).clamp(metric.min, metric.max);
            self.builder.put(metric.id, instance, *value);
        }
        self.builder.finish(at).0
    }
}

fn base(unit: Unit) -> f64 {
    match unit {
        Unit::Percent => 30.0,
        Unit::Celsius => 45.0,
        Unit::Bytes => 64e9,
        Unit::BytesPerSecond => 1e6,
        Unit::Milliseconds => 0.4,
        _ => 8.0,
    }
}

fn next(unit: Unit, kind: MetricKind, value: f64, noise: f64, jump: bool) -> f64 {
    match (kind, unit) {
        (MetricKind::Counter, _) => value + f64::from(u8::from(jump)),
        (_, Unit::Percent) => value + noise * 3.0,
        (_, Unit::Celsius) => (value + noise * 1.2).round(),
        (_, Unit::Bytes) => (value + noise * 4e6).round(),
        (_, Unit::BytesPerSecond) => {
            if jump {
                1e6
            } else {
                (value * (1.0 + noise * 0.3)).abs()
            }
        }
        (_, Unit::PerSecond | Unit::Milliseconds) => (value * (1.0 + noise * 0.2)).abs().max(0.01),
        (_, Unit::Seconds) => value + 5.0,
        (_, Unit::Boolean) => 1.0,
        (_, Unit::Count) => {
            if jump {
                (value + noise * 4.0).round().abs()
            } else {
                value
            }
        }
        (_, Unit::Watts | Unit::Joules | Unit::Megahertz) => (value + noise * 10.0).abs(),
    }
}
