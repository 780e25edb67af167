//! What history costs: bytes per sample, CPU per frame, time per query, on a simulated node.
//!
//! `cargo run --release -p sickbay-store --example measure -- [DAYS] [INTERVAL_S] [DIRECTORY]`
//! (default: 30 days at 5 s, in a fresh temporary directory). Nothing but the store is measured:
//! the frames are made before the clock starts.
#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement stops at the first error"
)]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use sickbay_model::catalogue::*;
use sickbay_model::{Frame, FrameBuilder, MetricId, ResourceId, Timestamp};
use sickbay_store::{
    HistoryQuery, Retention, Store, StoreOptions, WallClock, WriteBatch, admin, open,
};

const START_MS: i64 = 1_795_219_200_000;
const HOUR_MS: i64 = 3_600_000;
const DAY: Duration = Duration::from_secs(86_400);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let days: i64 = arguments.next().map_or(30, |text| text.parse().expect("days"));
    let interval: i64 = arguments.next().map_or(5, |text| text.parse().expect("seconds"));
    let directory = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("sickbay-measure-{}", std::process::id())),
        PathBuf::from,
    );
    let time = Arc::new(AtomicI64::new(START_MS));
    let clock: WallClock = {
        let time = Arc::clone(&time);
        Arc::new(move || Timestamp::from_unix_ms(time.load(Ordering::Relaxed)))
    };
    let (store, _) = open(options(&directory), Arc::clone(&clock)).expect("opens");
    let mut node = SimulatedNode::new();
    let resource = ResourceId::node("gpu-07").expect("id");
    let (mut frames, mut samples) = (0_u64, 0_u64);
    let (mut write_cpu, mut seal_cpu) = (Duration::ZERO, Duration::ZERO);
    for hour in 0..days * 24 {
        let from = START_MS + hour * HOUR_MS;
        let batch: Vec<Frame> =
            (0..3_600 / interval).map(|n| node.next(from + n * interval * 1_000)).collect();
        frames += batch.len() as u64;
        samples += batch.iter().map(|frame| frame.len() as u64).sum::<u64>();
        let before = cpu();
        // As the hub does it: a transaction per frame.
        for frame in batch {
            time.store(frame.at.as_unix_ms(), Ordering::Relaxed);
            let frames = vec![(resource.clone(), frame)];
            store.submit(WriteBatch { frames, ..WriteBatch::default() }).expect("taken");
            assert!(store.flush());
        }
        let between = cpu();
        write_cpu += between - before;
        if hour + 1 < days * 24 {
            time.store(from + HOUR_MS, Ordering::Relaxed);
            assert!(store.settle());
            seal_cpu += cpu() - between;
        }
    }
    let end = START_MS + days * 24 * HOUR_MS;
    println!("| what | figure |\n|---|---|");
    row("stored", format!("{days} days, 1 node, {} series, every {interval} s", node.series()));
    row("samples", samples.to_string());
    row("CPU per frame, committed alone", format!("{:.1} µs", micros(write_cpu) / frames as f64));
    row(
        "CPU per frame, sealing and rollups",
        format!("{:.1} µs", micros(seal_cpu) / frames as f64),
    );
    let per_sample = micros(write_cpu + seal_cpu) / samples as f64;
    row("CPU per sample, all", format!("{per_sample:.3} µs"));
    row("the same in batches of 64 frames", format!("{:.1} µs per frame", batched(&mut node)));
    queries(&store, &resource, end);
    row("RSS of this process", format!("{:.1} MB", rss_bytes() as f64 / 1e6));
    store.close();
    drop(store);
    let stats = admin::stats(&directory).expect("stats");
    let sealed = stats.samples as f64;
    for (name, blocks) in ["raw", "minute rollups", "hour rollups"].iter().zip(stats.blocks) {
        let bytes = blocks.bytes as f64 / sealed;
        row(&format!("bytes per sample, {name}"), format!("{bytes:.3} ({} blocks)", blocks.count));
    }
    let file = stats.file_bytes - stats.free_bytes;
    row("bytes per sample, whole file", format!("{:.3}", file as f64 / samples as f64));
    row("file", format!("{:.1} MB", stats.file_bytes as f64 / 1e6));
    let before = Instant::now();
    let (store, report) = open(options(&directory), clock).expect("opens");
    row(
        "opening again",
        format!("{:.1} ms ({:?})", micros(before.elapsed()) / 1e3, report.integrity),
    );
    store.close();
    std::fs::remove_dir_all(&directory).expect("cleans up");
}

fn options(directory: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(directory);
    options.commit_interval = Duration::ZERO;
    // Everything stays, so that bytes per sample mean something.
    options.retention =
        Retention { raw_age: 3_650 * DAY, max_bytes: u64::MAX, ..Retention::default() };
    options
}

fn row(what: &str, figure: String) {
    println!("| {what} | {figure} |");
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = statm.split(' ').nth(1).expect("field").parse().expect("number");
    pages * 4_096
}

/// CPU per frame when a fleet's frames are committed together.
fn batched(node: &mut SimulatedNode) -> f64 {
    let directory = std::env::temp_dir().join(format!("sickbay-batched-{}", std::process::id()));
    let clock: WallClock = Arc::new(|| Timestamp::from_unix_ms(START_MS));
    let (store, _) = open(options(&directory), clock).expect("opens");
    let mut total = Duration::ZERO;
    let rounds = 60;
    for round in 0..rounds {
        let at = START_MS + round * 5_000;
        let frames: Vec<_> = (0..64)
            .map(|n| (ResourceId::node(&format!("gpu-{n}")).expect("id"), node.next(at)))
            .collect();
        let before = cpu();
        store.submit(WriteBatch { frames, ..WriteBatch::default() }).expect("taken");
        assert!(store.flush());
        total += cpu() - before;
    }
    store.close();
    std::fs::remove_dir_all(&directory).expect("cleans up");
    micros(total) / (rounds * 64) as f64
}

fn queries(store: &Store, resource: &ResourceId, end: i64) {
    let day = 24 * HOUR_MS;
    let cases = [
        ("1 h, raw, newest", 0, HOUR_MS, None),
        ("1 h, raw, in the middle", 15 * day, HOUR_MS, None),
        ("6 h, raw", 2 * day, 6 * HOUR_MS, Some(5)),
        ("24 h, minutes", day, day, Some(60)),
        ("7 days, 10 min", 2 * day, 7 * day, Some(600)),
        ("30 days, hours", 0, 30 * day, Some(3_600)),
    ];
    for (name, back, length, step) in cases {
        let to = (end - back).max(START_MS + length);
        let mut worst = Duration::ZERO;
        let mut total = Duration::ZERO;
        let mut points = 0;
        let metrics = [CPU_USED, MEMORY_AVAILABLE, NETWORK_RECEIVE, GPU_TEMPERATURE, UPTIME];
        let rounds = 10;
        for metric in metrics.iter().cycle().take(rounds) {
            let instance = match *metric {
                NETWORK_RECEIVE => "eth0",
                GPU_TEMPERATURE => "1",
                _ => "",
            };
            let query = HistoryQuery {
                resource: resource.clone(),
                metric: *metric,
                instance: instance.to_owned(),
                from: Timestamp::from_unix_ms(to - length),
                to: Timestamp::from_unix_ms(to),
                step: step.map(Duration::from_secs),
                max_points: 5_000,
            };
            let before = Instant::now();
            points = store.history(&query).expect("history").points.len();
            let took = before.elapsed();
            worst = worst.max(took);
            total += took;
        }
        let mean = micros(total) / 1e3 / rounds as f64;
        let figure =
            format!("{mean:.2} ms mean, {:.2} ms worst, {points} points", micros(worst) / 1e3);
        row(&format!("query: {name}"), figure);
    }
}

/// A machine with two GPUs that works and rests: noisy shares and rates, slow levels, counters,
/// and many readings that hardly ever change.
struct SimulatedNode {
    builder: FrameBuilder,
    seed: u64,
    ticks: u64,
    load: f64,
    memory: f64,
    disk: f64,
    heat: [f64; 8],
    energy: [f64; 8],
}

impl SimulatedNode {
    fn new() -> Self {
        Self {
            builder: FrameBuilder::new(),
            seed: 0x2545_f491_4f6c_dd1d,
            ticks: 0,
            load: 4.0,
            memory: 3.1e11,
            disk: 9.1e11,
            heat: [55.0; 8],
            energy: [1e6; 8],
        }
    }

    fn series(&mut self) -> usize {
        self.next(START_MS).layout.series().len()
    }

    /// Uniform in 0..1.
    fn noise(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal around zero, with a standard deviation of one.
    fn bell(&mut self) -> f64 {
        (0..12).map(|_| self.noise()).sum::<f64>() - 6.0
    }

    fn put(&mut self, metric: MetricId, instance: &str, value: f64) {
        self.builder.put(metric, instance, value);
    }

    fn share(&mut self, metric: MetricId, instance: &str, mean: f64, spread: f64) {
        let value = (mean + self.bell() * spread).clamp(0.0, 100.0);
        self.put(metric, instance, value);
    }

    fn rate(&mut self, metric: MetricId, instance: &str, mean: f64) {
        let value = (mean * (1.0 + 0.3 * self.bell())).max(0.0);
        self.put(metric, instance, value);
    }

    fn next(&mut self, ms: i64) -> Frame {
        self.ticks += 1;
        let busy = if (ms / (5 * HOUR_MS)) % 3 == 0 { 0.1 } else { 1.0 };
        self.host(ms, busy);
        self.devices(busy);
        for gpu in 0..2 {
            self.gpu(gpu, busy);
        }
        self.builder.finish(Timestamp::from_unix_ms(ms)).0
    }

    fn host(&mut self, ms: i64, busy: f64) {
        self.load = (self.load + self.bell() * 0.05).clamp(0.0, 64.0);
        self.memory = (self.memory + self.bell() * 2e7).clamp(1e11, 5e11);
        self.share(CPU_USED, "", 40.0 * busy, 3.0);
        self.share(CPU_USER, "", 33.0 * busy, 3.0);
        self.share(CPU_SYSTEM, "", 5.0 * busy, 1.0);
        self.share(CPU_IOWAIT, "", 0.4, 0.3);
        self.put(CPU_STEAL, "", 0.0);
        self.share(CPU_BUSIEST_CORE, "", 95.0 * busy, 3.0);
        let saturated = (4.0 * busy + self.noise() * 2.0).floor();
        self.put(CPU_SATURATED_CORES, "", saturated);
        self.put(CPU_CORES, "", 64.0);
        for (metric, scale) in [(LOAD_1M, 1.0), (LOAD_5M, 0.97), (LOAD_15M, 0.95)] {
            self.put(metric, "", (self.load * scale * 100.0).round() / 100.0);
        }
        self.rate(CONTEXT_SWITCHES, "", 80_000.0 * busy);
        self.rate(FORKS, "", 12.0);
        self.rate(INTERRUPTS, "", 50_000.0 * busy);
        for metric in [PRESSURE_CPU_SOME, PRESSURE_MEMORY_SOME, PRESSURE_IO_SOME] {
            let value = (self.noise() * 8.0 * busy).round() * 0.18;
            self.put(metric, "", value);
        }
        self.put(PRESSURE_MEMORY_FULL, "", 0.0);
        self.put(PRESSURE_IO_FULL, "", 0.0);
        let kib = |bytes: f64| (bytes / 1024.0).floor() * 1024.0;
        self.put(MEMORY_TOTAL, "", 540_000_000_000.0);
        self.put(MEMORY_AVAILABLE, "", kib(540e9 - self.memory));
        self.put(MEMORY_USED, "", self.memory / 540e9 * 100.0);
        let (cached, dirty) = (self.bell(), self.noise());
        self.put(MEMORY_CACHED, "", kib(6e10 + cached * 1e6));
        self.put(MEMORY_DIRTY, "", kib(dirty * 4e7));
        self.put(MEMORY_SLAB_UNRECLAIMABLE, "", kib(1.2e9 + cached * 1e5));
        for metric in [SWAP_TOTAL, SWAP_USED, SWAP_IN, SWAP_OUT, OOM_KILLS] {
            self.put(metric, "", 0.0);
        }
        let handles = (14_000.0 + self.bell() * 20.0).round();
        self.put(FILE_HANDLES, "", handles);
        self.put(FILE_HANDLES_USED, "", handles / 9_223_372.0 * 100.0);
        let late = self.noise() * 0.02;
        self.put(UPTIME, "", (ms - START_MS) as f64 / 1_000.0 + 86_400.0 + late);
        let processes = (900.0 + self.bell() * 4.0).round();
        self.put(PROCESSES, "", processes);
        self.put(PROCESSES_BLOCKED, "", if dirty > 0.97 { 1.0 } else { 0.0 });
        self.put(PROCESSES_ZOMBIE, "", 0.0);
        self.put(PROCESSES_TRAINING, "", if busy > 0.5 { 2.0 } else { 0.0 });
        self.rate(TCP_RETRANSMITS, "", 0.4);
        let established = (210.0 + self.bell() * 3.0).round();
        self.put(TCP_ESTABLISHED, "", established);
        self.put(SCORE, "", 92.5 + (self.ticks / 100 % 7) as f64 * 0.31);
        self.put(READINESS, "", 100.0);
    }

    fn devices(&mut self, busy: f64) {
        self.disk = (self.disk - self.noise() * 3e5 * busy).max(1e10);
        for (mount, size) in [("/", 2e11), ("/data", 1e12)] {
            let free = if mount == "/" { 1.2e11 } else { (self.disk / 4096.0).floor() * 4096.0 };
            self.put(FILESYSTEM_SIZE, mount, size);
            self.put(FILESYSTEM_FREE, mount, free);
            self.put(FILESYSTEM_USED, mount, 100.0 * (1.0 - free / size));
            self.put(FILESYSTEM_INODES_USED, mount, 3.25);
            self.put(FILESYSTEM_READ_ONLY, mount, 0.0);
        }
        for metric in [DISK_READ, DISK_WRITE] {
            self.rate(metric, "nvme0n1", 3e7 * busy);
        }
        for metric in [DISK_READS, DISK_WRITES] {
            self.rate(metric, "nvme0n1", 300.0 * busy);
        }
        self.share(DISK_BUSY, "nvme0n1", 12.0 * busy, 3.0);
        let latency = 0.3 + self.noise() * 0.4;
        self.put(DISK_LATENCY, "nvme0n1", latency);
        let in_flight = (self.noise() * 3.0).floor();
        self.put(DISK_IN_FLIGHT, "nvme0n1", in_flight);
        for metric in [NETWORK_RECEIVE, NETWORK_TRANSMIT] {
            self.rate(metric, "eth0", 1.2e8 * busy);
        }
        for metric in [
            NETWORK_RECEIVE_ERRORS,
            NETWORK_TRANSMIT_ERRORS,
            NETWORK_RECEIVE_DROPS,
            NETWORK_TRANSMIT_DROPS,
        ] {
            self.put(metric, "eth0", 0.0);
        }
        self.put(NETWORK_LINK_UP, "eth0", 1.0);
        self.put(NETWORK_SPEED, "eth0", 1.25e10);
        let latency = 0.21 + self.noise() * 0.08;
        self.put(LATENCY, "10.0.0.1", latency);
        self.put(LATENCY_LOSS, "10.0.0.1", 0.0);
        let heat = (48.0 + self.bell()).round();
        self.put(TEMPERATURE, "coretemp/Package id 0", heat);
        self.put(TEMPERATURE_CRITICAL, "coretemp/Package id 0", 100.0);
    }

    fn gpu(&mut self, gpu: usize, busy: f64) {
        let name = gpu.to_string();
        self.heat[gpu] = (self.heat[gpu] + self.bell() * 0.5).clamp(30.0, 84.0);
        let power = 80.0 + 520.0 * busy + self.bell() * 15.0;
        self.energy[gpu] += power * 5.0;
        let (heat, energy) = (self.heat[gpu].round(), self.energy[gpu].round());
        let utilization = (97.0 * busy + self.bell() * 2.0).clamp(0.0, 100.0).round();
        let memory_utilization = (60.0 * busy + self.bell() * 4.0).clamp(0.0, 100.0).round();
        let used = if busy > 0.5 { 71_303_168_000.0 } else { 524_288_000.0 };
        let clock = 1_980.0 - (self.noise() * 4.0).floor() * 15.0;
        let transfer = 8e9 * busy * (1.0 + 0.2 * self.bell()).max(0.0);
        for (metric, value) in [
            (GPU_UTILIZATION, utilization),
            (GPU_MEMORY_UTILIZATION, memory_utilization),
            (GPU_MEMORY_TOTAL, 85_520_809_984.0),
            (GPU_MEMORY_USED_BYTES, used),
            (GPU_MEMORY_USED, used / 85_520_809_984.0 * 100.0),
            (GPU_TEMPERATURE, heat),
            (GPU_MEMORY_TEMPERATURE, heat + 8.0),
            (GPU_TEMPERATURE_SLOWDOWN, 87.0),
            (GPU_POWER, (power * 1_000.0).round() / 1_000.0),
            (GPU_POWER_LIMIT, 700.0),
            (GPU_CLOCK, clock),
            (GPU_CLOCK_MAX, 1_980.0),
            (GPU_MEMORY_CLOCK, 2_619.0),
            (GPU_THROTTLE_REASONS, 0.0),
            (GPU_ECC_UNCORRECTED_VOLATILE, 0.0),
            (GPU_ECC_CORRECTED_VOLATILE, 3.0),
            (GPU_PCIE_TRANSMIT, transfer),
            (GPU_PCIE_RECEIVE, transfer / 3.0),
            (GPU_NVLINKS_ACTIVE, 18.0),
            (GPU_ENERGY, energy),
        ] {
            self.put(metric, &name, value);
        }
    }
}
