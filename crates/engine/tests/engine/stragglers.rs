//! From a comparison with peers to a finding, and back.

use std::time::Duration;

use sickbay_engine::outlier::{Cause, Departure, PeerMetric};
use sickbay_engine::{Assessment, NodeMemory, PeerComparison, Policy, assess};
use sickbay_model::{CheckResult, EventKind, Level, ProbeErrorKind, Status, Timestamp, probe};

use crate::node::Node;

struct Bench {
    policy: Policy,
    memory: NodeMemory,
    node: Node,
    at: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let mut node = Node::well(8);
        node.job(true);
        let at = Timestamp::from_unix_ms(1_800_000_000_000);
        Self { policy: Policy::default(), memory: NodeMemory::default(), node, at }
    }

    fn look(&mut self) -> Assessment {
        self.at = self.at.plus(Duration::from_secs(5));
        assess(&self.policy, &mut self.memory, &self.node.observe(self.at))
    }

    /// A minute: a comparison, then twelve looks; the last of them.
    fn minute(&mut self, slow: Option<u16>) -> Assessment {
        let compared = (0..8).map(|gpu| comparison(gpu, slow == Some(gpu))).collect();
        self.memory.compare(self.at, compared);
        for _ in 0..11 {
            self.look();
        }
        self.look()
    }
}

fn comparison(gpu: u16, slow: bool) -> PeerComparison {
    let departure = |metric, value, median| Departure {
        metric,
        value,
        median,
        low: median * 0.99,
        high: median,
        peers: 15,
        since: Timestamp::from_unix_ms(1_800_000_000_000),
        minutes: 12,
        score: 25.0,
    };
    let departures = vec![
        departure(PeerMetric::Clock, 1155.2, 1980.0),
        departure(PeerMetric::Power, 380.0, 650.0),
    ];
    PeerComparison {
        gpu: Some(gpu),
        cause: slow.then_some(Cause::SlowGpu),
        departures: if slow { departures } else { Vec::new() },
        throttled_percent: if slow { 80.0 } else { 0.0 },
    }
}

fn of<'a>(assessment: &'a Assessment, check: &str) -> Vec<&'a CheckResult> {
    assessment.checks.iter().filter(|result| result.check.as_str() == check).collect()
}

#[test]
fn a_straggler_is_confirmed_by_comparisons_not_by_looks() {
    let mut bench = Bench::new();
    assert!(of(&bench.look(), "gpu_straggler").is_empty(), "nobody was compared yet");
    let well = bench.minute(None);
    let all = of(&well, "gpu_straggler");
    assert_eq!((all.len(), all.iter().all(|it| it.is_healthy())), (8, true));

    for (minute, (hard, level)) in
        [(false, Level::Healthy), (false, Level::Healthy), (true, Level::Degraded)]
            .into_iter()
            .enumerate()
    {
        let now = bench.minute(Some(3));
        let found = &now.checks[0];
        assert_eq!((found.check.as_str(), &*found.instance), ("gpu_straggler", "3"), "{minute}");
        assert_eq!((found.status, found.hard), (Status::Degraded, hard), "{minute}");
        assert_eq!(now.level, level, "{minute}");
        assert_eq!(now.gpus[3].headline, now.headline);
    }
    let now = bench.look();
    let found = &now.checks[0];
    assert_eq!(
        found.message,
        "GPU 3 is slower than its 15 peers of the same job: SM clock 1155 MHz, theirs 1980 MHz \
         (1960–1980); power 380 W, theirs 650 W (644–650), for 12 min; it slowed itself down in \
         80 % of the looks"
    );
    let evidence = &found.evidence[0];
    assert_eq!((&*evidence.what, &*evidence.value), ("SM clock", "1155 MHz"));
    let theirs = evidence.threshold.as_deref();
    assert_eq!(theirs, Some("15 peers: 1980 MHz (1960–1980) for 12 min"));
    assert!(found.advice.is_some());
    assert_eq!(now.score.score, Some(79.0), "a confirmed finding caps");

    bench.minute(None);
    let recovered = bench.minute(None);
    assert!(of(&recovered, "gpu_straggler").iter().all(|it| it.is_healthy()));
    assert_eq!(recovered.level, Level::Healthy);
}

#[test]
fn it_is_told_once_and_survives_a_restart() {
    let mut bench = Bench::new();
    let mut told = Vec::new();
    for minute in 0..6 {
        let compared =
            (0..8).map(|gpu| comparison(gpu, minute < 3 && gpu == 3)).collect::<Vec<_>>();
        bench.memory.compare(bench.at, compared);
        for _ in 0..12 {
            let events = bench.look().events.into_iter();
            let checks = [EventKind::HealthCheckFailed, EventKind::HealthCheckPassed];
            told.extend(events.map(|event| event.kind).filter(|kind| checks.contains(kind)));
        }
        let kept = serde_json::to_string(&bench.memory).expect("plain data");
        bench.memory = serde_json::from_str(&kept).expect("what was written");
        bench.memory.collectors_begin_anew();
    }
    assert_eq!(told, [EventKind::HealthCheckFailed, EventKind::HealthCheckPassed]);
}

#[test]
fn it_ends_with_the_job_with_the_peers_and_with_time() {
    type End = fn(&mut Bench);
    let ends: &[(&str, End)] = &[
        ("the job ended", |bench| {
            bench.node.job(false);
        }),
        ("comparing is switched off", |bench| bench.policy.outlier.enabled = false),
        ("nobody is left to be compared with", |bench| bench.memory.compare(bench.at, Vec::new())),
        ("nobody compared for longer than a window", |bench| {
            bench.at = bench.at.plus(Duration::from_secs(901));
        }),
    ];
    for (name, end) in ends {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.minute(Some(3));
        }
        assert_eq!(bench.look().level, Level::Degraded, "{name}");
        end(&mut bench);
        let after = bench.look();
        assert!(of(&after, "gpu_straggler").is_empty(), "{name}");
        assert_eq!(after.level, Level::Healthy, "{name}");
        bench.node.job(true);
        assert!(of(&bench.look(), "gpu_straggler").is_empty(), "{name}: it does not come back");
    }
}

#[test]
fn silence_of_the_driver_does_not_clear_it() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.minute(Some(3));
    }
    bench.node.fail(probe::NVIDIA, ProbeErrorKind::Late, "no answer for 5 s");
    let silent = bench.look();
    assert!(of(&silent, "gpu_straggler").iter().all(|it| it.status == Status::Unknown));
    assert_ne!(silent.level, Level::Healthy);
}
