//! What history costs: bytes per sample, CPU per frame, time per query, on a simulated node.
//!
//! `cargo run --release -p sickbay-store --example measure -- [DAYS] [INTERVAL_S] [DIRECTORY]`
//! (default: 30 days at 5 s, in a fresh temporary directory). Nothing but the store is measured:
//! the frames are made before the clock starts.
//!
//! `… -- fleet [NODES] [MINUTES]` measures a fleet of machines with eight GPUs, every node every 5 s
//! (default: 1000 nodes, 65 minutes from the start of an hour).
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
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "fleet").is_some() {
        let mut number =
            |or: usize| arguments.next().map_or(or, |text| text.parse().expect("a number"));
        return fleet(number(1_000), number(65));
    }
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

/// Bytes of all readings that are not sealed.
fn open_frame_bytes(database: &Path) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(database, flags).expect("opens");
    let sum = "SELECT coalesce(sum(length(readings)), 0) FROM open_frame";
    connection.query_row(sum, [], |row| row.get(0)).expect("sum")
}

/// CPU time of this thread.
fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// A fleet: a fifth of the nodes reports every second, and the writer gets one turn for it.
fn fleet(nodes: usize, minutes: usize) {
    let directory = std::env::temp_dir().join(format!("sickbay-fleet-{}", std::process::id()));
    let time = Arc::new(AtomicI64::new(START_MS));
    let clock: WallClock = {
        let time = Arc::clone(&time);
        Arc::new(move || Timestamp::from_unix_ms(time.load(Ordering::Relaxed)))
    };
    let mut options = options(&directory);
    options.queue_limit_bytes = 1 << 30;
    let (store, _) = open(options, clock).expect("opens");
    let ids: Vec<_> =
        (0..nodes).map(|n| ResourceId::node(&format!("gpu-{n}")).expect("id")).collect();
    // Nodes share what they measure, fifty by fifty: to make the frames must not take all the time.
    let mut models: Vec<_> = (0..nodes.min(50)).map(SimulatedNode::large).collect();
    let mut turns = Vec::new();
    let (mut samples, mut frames) = (0_u64, 0_u64);
    let (mut peak, mut open_peak, mut open_bytes) = (0, 0, 0);
    let (before, own_before) = (cpu(), own_cpu());
    for second in 0..minutes * 60 {
        let at = START_MS + second as i64 * 1_000;
        time.store(at, Ordering::Relaxed);
        let made: Vec<Frame> =
            models.iter_mut().skip(second % 5).step_by(5).map(|m| m.next(at)).collect();
        let batch: Vec<_> = ids
            .iter()
            .enumerate()
            .filter(|(n, _)| n % models.len() % 5 == second % 5)
            .filter_map(|(n, id)| Some((id.clone(), made.get(n % models.len() / 5)?.clone())))
            .collect();
        frames += batch.len() as u64;
        samples += batch.iter().map(|(_, frame)| frame.len() as u64).sum::<u64>();
        let turn = Instant::now();
        store.submit(WriteBatch { frames: batch, ..WriteBatch::default() }).expect("taken");
        assert!(store.flush());
        turns.push(turn.elapsed());
        let size = |name: &str| directory.join(name).metadata().map_or(0, |meta| meta.len());
        peak = peak.max(size("sickbay.db") + size("sickbay.db-wal"));
        if second % 60 == 59 {
            let stats = admin::stats(&directory).expect("stats");
            if stats.open_frames > open_peak {
                open_peak = stats.open_frames;
                open_bytes = open_frame_bytes(&stats.path);
            }
        }
    }
    let writer = (cpu() - before).saturating_sub(own_cpu() - own_before);
    println!("| what | figure |\n|---|---|");
    row(
        "stored",
        format!("{minutes} min, {nodes} nodes, every 5 s, {samples} samples in {frames} frames"),
    );
    row(
        "CPU of the writer",
        format!(
            "{:.3} µs per sample, {:.1} µs per frame",
            micros(writer) / samples as f64,
            micros(writer) / frames as f64
        ),
    );
    turns.sort_unstable();
    let at = |share: usize| micros(turns[(turns.len() - 1) * share / 1_000]) / 1e3;
    row(
        "a turn: commit and what was sealed before it",
        format!("{:.1} ms median, {:.1} ms 99 %, {:.1} ms worst", at(500), at(990), at(1_000)),
    );
    row("file and log, peak", format!("{:.1} MB", peak as f64 / 1e6));
    let size = open_bytes as f64 / open_peak.max(1) as f64;
    let per_sample = size / (samples as f64 / frames as f64);
    row(
        "open frames, peak",
        format!("{open_peak}, {size:.0} bytes each, {per_sample:.2} bytes per sample"),
    );
    store.close();
    let stats = admin::stats(&directory).expect("stats");
    row("left", format!("{stats:?}"));
    std::fs::remove_dir_all(&directory).expect("cleans up");
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
    gpus: usize,
    /// Answers of checks, kept as readings: they hardly ever change.
    verdicts: usize,
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
            gpus: 2,
            verdicts: 0,
        }
    }

    /// A machine with eight GPUs, eight ports and the columns of its checks.
    fn large(number: usize) -> Self {
        let mut node = Self { gpus: 8, verdicts: 500, ..Self::new() };
        node.seed = node.seed.wrapping_mul(number as u64 * 2 + 1);
        node
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
        for gpu in 0..self.gpus {
            self.gpu(gpu, busy);
        }
        if self.verdicts > 0 {
            self.fabric(busy);
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

    fn fabric(&mut self, busy: f64) {
        for port in 0..8 {
            let name = format!("ib{port}");
            for metric in [NETWORK_RECEIVE, NETWORK_TRANSMIT] {
                self.rate(metric, &name, 2e10 * busy);
            }
            for metric in [NETWORK_RECEIVE_ERRORS, NETWORK_TRANSMIT_ERRORS, NETWORK_RECEIVE_DROPS] {
                self.put(metric, &name, 0.0);
            }
            self.put(NETWORK_LINK_UP, &name, 1.0);
            self.put(NETWORK_SPEED, &name, 5e10);
        }
        for check in 0..self.verdicts {
            let odd = (self.ticks / 500 + check as u64).is_multiple_of(400);
            self.put(PROCESSES_BLOCKED, &format!("check-{check}"), if odd { 1.0 } else { 0.0 });
        }
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
