//! The judge over a real store, at a clock that the test moves.

use sickbay_model::catalogue as metric;
use sickbay_model::{
    Filesystem, FrameBuilder, GpuDevice, GpuVendor, Inventory, Level, MetricId, ProbeOutcome,
    ProbeReport, Status, probe,
};
use sickbay_runtime::ManualClock;
use sickbay_store::{CheckQuery, EventQuery, HistoryQuery, StoreOptions};
use sickbay_wire::v1::ResourceDetail;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

use std::collections::BTreeSet;

use super::*;
use crate::command::WhatToForget;
use crate::fleet::{Change, Fleet};

const START_MS: i64 = 1_800_000_000_000;

/// What a collection may take in these tests.
const DEADLINE: Duration = Duration::from_secs(7);

struct Bench {
    judge: Judge,
    fleet: Fleet,
    changes: Receiver<Change>,
    store: Store,
    hands: ManualClock,
    clock: Clock,
    resource: Resource,
    readings: BTreeMap<(MetricId, String), f64>,
    gpus: u32,
    data: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::over(tempfile::tempdir().expect("a directory"))
    }

    fn over(data: TempDir) -> Self {
        let (clock, hands) = Clock::manual(START_MS);
        let wall = clock.clone();
        let (store, _) = sickbay_store::open(
            StoreOptions::new(data.path()),
            Arc::new(move || Timestamp::from_unix_ms(wall.now_ms())),
        )
        .expect("a store");
        let (publisher, fleet) = FleetPublisher::new(view::unknown_system(), 64);
        let changes = fleet.subscribe();
        let judge = Judge::new(Policy::default(), clock.clone(), publisher, store.clone());
        let id = ResourceId::node("gpu-07").expect("an id");
        let resource = Resource {
            id,
            display_name: "gpu-07".to_owned(),
            labels: BTreeMap::new(),
            parent: None,
        };
        let readings = [
            (metric::CPU_USED, "", 12.0),
            (metric::MEMORY_USED, "", 40.0),
            (metric::FILESYSTEM_USED, "/", 50.0),
            (metric::FILESYSTEM_FREE, "/", 50e9),
            (metric::FILESYSTEM_INODES_USED, "/", 3.0),
            (metric::FILESYSTEM_READ_ONLY, "/", 0.0),
        ]
        .map(|(metric, instance, value)| ((metric, instance.to_owned()), value));
        let readings = BTreeMap::from(readings);
        Self { judge, fleet, changes, store, hands, clock, resource, readings, gpus: 0, data }
    }

    fn set(&mut self, metric: MetricId, instance: &str, value: f64) {
        self.readings.insert((metric, instance.to_owned()), value);
    }

    fn observation(&self) -> Observation {
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let mut frame = FrameBuilder::new();
        for ((metric, instance), value) in &self.readings {
            assert!(frame.put(*metric, instance, *value));
        }
        for index in 0..self.gpus {
            assert!(frame.put(metric::GPU_UTILIZATION, &index.to_string(), 5.0));
        }
        let answering = [probe::REACHABLE, probe::CPU, probe::MEMORY, probe::FILESYSTEM];
        let absent = [
            probe::PRESSURE,
            probe::REMOTE_FILESYSTEM,
            probe::DISK,
            probe::NETWORK,
            probe::NETWORK_LINKS,
            probe::LATENCY,
            probe::SENSORS,
            probe::HOST,
            probe::PROCESSES,
            probe::AMD,
            probe::TORCH,
        ];
        let nvidia = (probe::NVIDIA, self.gpus > 0);
        let reports = answering
            .map(|probe| (probe, true))
            .into_iter()
            .chain(absent.map(|probe| (probe, false)))
            .chain([nvidia]);
        let none = || ProbeOutcome::NotApplicable("none here".into());
        let report = |(probe, answers)| ProbeReport {
            probe,
            outcome: if answers { ProbeOutcome::Answered } else { none() },
            at,
            took: Duration::from_micros(100),
        };
        let gpu = |index| -> GpuDevice {
            serde_json::from_value(serde_json::json!({
                "index": index,
                "vendor": GpuVendor::Nvidia,
                "uuid": format!("GPU-{index}"),
            }))
            .expect("the rest has defaults")
        };
        let root = Filesystem {
            mount_point: "/".to_owned(),
            kind: "ext4".to_owned(),
            source: "/dev/vda".to_owned(),
            remote: false,
            read_only: false,
            read_only_by_design: false,
            unanswered: None,
        };
        let inventory = Inventory {
            gpus: (0..self.gpus).map(gpu).collect(),
            filesystems: vec![root],
            ..Inventory::default()
        };
        Observation {
            frame: frame.finish(at).0,
            inventory: Arc::new(inventory),
            probes: reports.map(report).collect(),
            ..view::empty_observation(&self.resource.id, at)
        }
    }

    /// Collects once, 5 seconds later.
    fn collect(&mut self) {
        self.hands.advance(Duration::from_secs(5));
        let observation = self.observation();
        self.judge.apply(&self.resource, &observation, true);
        self.judge.publish();
    }

    fn collects(&mut self, times: usize) {
        for _ in 0..times {
            self.collect();
        }
    }

    fn shown(&self, id: &str) -> Option<Arc<ResourceDetail>> {
        self.fleet.snapshot().resources.get(&id.parse().expect("an id")).map(|known| known.detail())
    }

    fn node(&self) -> Arc<ResourceDetail> {
        self.shown("node/gpu-07").expect("the node is shown")
    }

    fn events(&self) -> Vec<Event> {
        assert!(self.store.flush());
        self.store.events(&EventQuery { limit: 100, ..EventQuery::default() }).expect("readable")
    }

    fn checks(&self) -> Vec<(String, Status, bool)> {
        assert!(self.store.flush());
        let asked = CheckQuery { limit: 100, ..CheckQuery::default() };
        let changes = self.store.check_changes(&asked).expect("readable");
        changes.into_iter().map(|it| (it.check.to_string(), it.status, it.hard)).collect()
    }
}

#[test]
fn a_check_is_written_when_it_changes_and_closed_when_it_is_no_longer_asked() {
    let mut bench = Bench::new();
    bench.collects(2);
    assert_eq!(bench.checks(), [], "what was and is well is no change");
    bench.set(metric::FILESYSTEM_USED, "/", 97.0);
    bench.collects(6);
    let expected = [
        ("filesystem_space".to_owned(), Status::Critical, true),
        ("filesystem_space".to_owned(), Status::Critical, false),
    ];
    assert_eq!(bench.checks(), expected, "newest first: soft, then confirmed, then nothing new");

    let mut observation = bench.observation();
    observation.inventory = Arc::default();
    for key in [metric::FILESYSTEM_USED, metric::FILESYSTEM_FREE, metric::FILESYSTEM_READ_ONLY] {
        bench.readings.remove(&(key, "/".to_owned()));
    }
    observation.frame = FrameBuilder::new().finish(observation.at).0;
    bench.judge.apply(&bench.resource, &observation, true);
    bench.judge.publish();
    let last = bench.checks();
    assert!(
        last.contains(&("filesystem_space".to_owned(), Status::Healthy, true)),
        "the mount is gone, and so is its finding: {last:?}"
    );
}

#[test]
fn events_are_numbered_on_and_told_to_streams_the_log_and_the_store_alike() {
    let mut bench = Bench::new();
    let note = |kind| Event {
        id: EventId::default(),
        at: Timestamp::from_unix_ms(START_MS),
        kind,
        resource: None,
        message: "It happened.".to_owned(),
        details: BTreeMap::new(),
    };
    bench.judge.record([note(EventKind::HubStarted), note(EventKind::ConfigReloaded)]);
    bench.collect();
    bench.set(metric::FILESYSTEM_USED, "/", 97.0);
    bench.collects(4);
    let stored = bench.events();
    let ids: Vec<_> = stored.iter().map(|event| event.id.0).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert!(stored.iter().any(|event| event.kind == EventKind::LevelChanged), "{stored:?}");
    let mut streamed = Vec::new();
    while let Ok(change) = bench.changes.try_recv() {
        if let Change::Event(event) = change {
            streamed.push(event.id);
        }
    }
    assert_eq!(streamed, ids);
    assert_eq!(bench.store.last_event_id().0, ids.len() as u64);
}

#[test]
fn what_was_known_is_taken_up_and_what_is_not_watched_is_forgotten() {
    let mut bench = Bench::new();
    bench.set(metric::FILESYSTEM_USED, "/", 97.0);
    bench.collects(5);
    bench.judge.save_all();
    assert!(bench.store.flush());
    let before = bench.node();
    assert_eq!(before.summary.level, Level::Critical);
    let states = bench.store.states().expect("readable");
    let mut with_others = states.clone();
    let renamed = ResourceId::node("old-name").expect("an id");
    with_others.push((renamed.clone(), Timestamp::EPOCH, states[0].2.clone()));
    let watched = BTreeSet::from([bench.resource.id.clone()]);

    let mut after = Bench::new();
    after.judge.restore(with_others, &watched);
    let node = after.node();
    assert_eq!(node.summary.level, Level::Critical);
    assert!(node.summary.stale.as_deref().is_some_and(|why| why.contains("before the hub")));
    assert_eq!(after.shown("node/old-name"), None);
    assert_eq!(after.judge.system().parts[0].note, "0 of 1 nodes are ready");
    // The finding is still confirmed, since when it was, and told once.
    after.hands.set_wall(bench.clock.now_ms());
    after.set(metric::FILESYSTEM_USED, "/", 97.0);
    after.collect();
    let node = after.node();
    assert_eq!((node.summary.level, node.summary.stale.clone()), (Level::Critical, None));
    assert_eq!(node.summary.since, before.summary.since);
    assert_eq!(after.events(), []);
    assert_eq!(after.checks(), []);

    let mut garbled = Bench::new();
    garbled
        .judge
        .restore(vec![(bench.resource.id.clone(), Timestamp::EPOCH, b"{".to_vec())], &watched);
    assert_eq!(garbled.shown("node/gpu-07"), None);
    garbled.collect();
    assert_eq!(garbled.node().summary.stale, None);
}

#[test]
fn a_gpu_that_is_not_there_any_more_is_removed_or_shown_as_missing() {
    let mut bench = Bench::new();
    bench.gpus = 2;
    bench.collects(2);
    assert!(bench.shown("gpu/gpu-07/1").is_some());
    bench.gpus = 1;
    bench.collects(2);
    let lost = bench.shown("gpu/gpu-07/1").expect("a lost card is not out of sight");
    assert_eq!(lost.summary.level, Level::Critical);
    // An operator took it out on purpose.
    let (id, everything) = (bench.resource.id.clone(), WhatToForget::default());
    let forgotten = bench.judge.forget(&id, &everything).expect("it is watched");
    assert_eq!(forgotten.len(), 1, "{forgotten:?}");
    assert_eq!(bench.judge.forget(&id, &everything), Some(Vec::new()), "there is no more");
    assert_eq!(bench.judge.forget(&ResourceId::node("nobody").expect("an id"), &everything), None);
    bench.judge.publish();
    assert!(bench.store.flush());
    let told = bench.events();
    let told: Vec<_> = told.iter().filter(|it| it.kind == EventKind::HardwareForgotten).collect();
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(event.resource.as_ref(), Some(&id));
    assert!(event.message.contains("gpu_missing"), "{}", event.message);
    // Across a crash, too.
    let states = bench.store.states().expect("readable");
    let mut after = Bench::new();
    after.hands.set_wall(bench.clock.now_ms());
    after.gpus = 1;
    after.judge.restore(states, &BTreeSet::from([id]));
    after.collect();
    assert_eq!(after.shown("gpu/gpu-07/1"), None);
    bench.collect();
    assert_eq!(bench.shown("gpu/gpu-07/1"), None);
    let mut removed = Vec::new();
    while let Ok(change) = bench.changes.try_recv() {
        if let Change::Removed(id) = change {
            removed.push(id.to_string());
        }
    }
    assert_eq!(removed, ["gpu/gpu-07/1"]);
}

#[test]
fn scores_have_history() {
    let mut bench = Bench::new();
    bench.collects(3);
    assert!(bench.store.flush());
    for metric in [metric::SCORE, metric::READINESS, metric::CPU_USED] {
        let question = HistoryQuery {
            resource: bench.resource.id.clone(),
            metric,
            instance: String::new(),
            from: Timestamp::from_unix_ms(START_MS),
            to: Timestamp::from_unix_ms(START_MS + 60_000),
            step: None,
            max_points: 100,
        };
        let answer = bench.store.history(&question).expect("readable");
        assert_eq!(answer.points.len(), 3, "{metric:?}: {answer:?}");
    }
}

#[test]
fn the_error_window_forgets_after_five_minutes() {
    let mut bench = Bench::new();
    bench.set(metric::FILESYSTEM_USED, "/", 97.0);
    bench.collects(4);
    let failed = |bench: &Bench| bench.judge.errors.counts().map_or(0, |counts| counts.failed);
    assert_eq!(failed(&bench), 4);
    bench.set(metric::FILESYSTEM_USED, "/", 10.0);
    bench.collects(59);
    assert!(failed(&bench) > 4, "held findings count until they are cleared");
    bench.collects(80);
    assert_eq!(failed(&bench), 0);
}

#[test]
fn silence_makes_a_node_unknown_and_a_collection_brings_it_back() {
    let mut bench = Bench::new();
    bench.gpus = 1;
    bench.collects(3);
    while bench.changes.try_recv().is_ok() {}
    let long_awake = Duration::from_secs(3600);
    // Interval 5 s with jitter: 3 of them and the deadline are at most 23.5 s.
    bench.hands.advance(Duration::from_secs(20));
    bench.judge.notice_silence(long_awake, DEADLINE);
    bench.judge.publish();
    assert_eq!(bench.node().summary.stale, None);
    bench.hands.advance(Duration::from_secs(10));
    // A hub that was stopped itself says nothing.
    bench.judge.notice_silence(Duration::from_secs(1), DEADLINE);
    assert_eq!(bench.node().summary.stale, None);

    bench.judge.notice_silence(long_awake, DEADLINE);
    bench.judge.publish();
    for id in ["node/gpu-07", "gpu/gpu-07/0"] {
        let detail = bench.shown(id).expect("still shown");
        let summary = &detail.summary;
        assert_eq!((summary.level, summary.score), (Level::Unknown, None), "{id}");
        assert_eq!(summary.stale.as_deref(), Some("no collection has ended for 30 s"), "{id}");
        assert_eq!(summary.headline, "Cannot be judged: no collection has ended for 30 s.");
        assert_ne!(summary.ready, Some(true));
        assert_eq!(detail.score_card.score, None);
    }
    let readiness = bench.node().readiness.clone().expect("judged");
    assert_eq!((readiness.ready, readiness.pass_rate_percent), (false, 0.0));
    assert_eq!(bench.fleet.snapshot().system.parts[0].points, Some(0.0));
    // Told once, however long it lasts.
    bench.hands.advance(Duration::from_secs(60));
    bench.judge.notice_silence(long_awake, DEADLINE);
    bench.judge.publish();
    assert!(bench.node().summary.headline.contains("for 90 s"));
    let events = bench.events();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.resource.as_ref().map_or("", ResourceId::as_str)))
        .collect();
    let node = "node/gpu-07";
    let expected = [(EventKind::LevelChanged, node), (EventKind::ReadinessChanged, node)];
    assert_eq!(told, expected, "of the node alone: {events:?}");

    bench.collects(1);
    let node = bench.node();
    assert_eq!((node.summary.level, node.summary.stale.clone()), (Level::Healthy, None));
    assert_eq!(bench.shown("gpu/gpu-07/0").expect("shown").summary.level, Level::Healthy);
    assert_eq!(bench.events().len(), 4, "the way back is told too");
}

#[test]
fn a_node_whose_first_collection_never_ends_is_unknown_and_not_absent() {
    let mut bench = Bench::new();
    bench.judge.watch(&bench.resource.id, None, Vec::new());
    assert_eq!(bench.shown("node/gpu-07"), None);
    bench.hands.advance(Duration::from_secs(40));
    bench.judge.notice_silence(Duration::from_secs(40), DEADLINE);
    bench.judge.publish();
    let node = bench.node();
    assert_eq!((node.summary.level, node.summary.last_check), (Level::Unknown, None));
    bench.collect();
    assert_eq!(bench.node().summary.level, Level::Healthy);
}

#[test]
fn the_store_can_be_asked_by_which_lines_readings_are_judged() {
    let mut bench = Bench::new();
    bench.collect();
    bench.set(metric::FILESYSTEM_USED, "/", 90.0);
    bench.collects(3);
    assert!(bench.store.flush());
    let file = rusqlite::Connection::open(bench.data.path().join("sickbay.db")).expect("a file");
    let lines_of = |metric: &str| {
        let row = file.query_row(
            "SELECT threshold_warning, threshold_critical, status FROM health_metrics
             WHERE resource_id LIKE '%gpu-07' AND metric_name LIKE ?1",
            [format!("{metric}%")],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        row.expect(metric)
    };
    for (metric, expected) in [
        ("cpu_used_percent", (Some(80.0), Some(95.0), Some("healthy".to_owned()))),
        ("memory_used_percent", (Some(80.0), Some(95.0), Some("healthy".to_owned()))),
        ("filesystem_used_percent", (Some(85.0), Some(95.0), Some("degraded".to_owned()))),
        ("filesystem_free_bytes", (None, None, None)),
    ] {
        let found: (Option<f64>, Option<f64>, Option<String>) = lines_of(metric);
        assert_eq!(found, expected, "{metric}");
    }
    assert!(sent_anew(bench).is_empty(), "what did not change is not sent again");
}

/// What one more collection of the same would send.
fn sent_anew(mut bench: Bench) -> Vec<MetricJudgement> {
    bench.hands.advance(Duration::from_secs(5));
    let observation = bench.observation();
    let node = bench.judge.nodes.get_mut(&bench.resource.id).expect("known");
    let assessment = assess(&bench.judge.policy, &mut node.memory, &observation);
    judgement_changes(&mut node.judgements, &bench.judge.policy, &assessment)
}

/// What lists, metrics and comparisons read must be what the detail says that is made of it.
fn says_the_same(bench: &Bench, expected: usize) {
    let snapshot = bench.fleet.snapshot();
    assert_eq!(snapshot.resources.len(), expected);
    for (id, known) in &snapshot.resources {
        let detail = known.detail();
        assert_eq!(known.summary, detail.summary, "{id}");
        assert_eq!((known.active, known.gpus), (detail.active, detail.children.len() as u32));
        assert_eq!(known.interval_seconds, detail.interval_seconds, "{id}");
        let rate = detail.readiness.as_ref().map(|readiness| readiness.pass_rate_percent);
        assert_eq!(known.pass_rate_percent, rate, "{id}");
        let checks: Vec<_> =
            known.checks().map(|it| (it.check, it.instance, it.status, it.hard)).collect();
        let told = detail.checks.iter();
        let told = told.map(|it| (it.check.as_str(), it.instance.as_str(), it.status, it.hard));
        assert_eq!(checks, told.collect::<Vec<_>>(), "{id}");
        let probes: Vec<_> = known.probes().map(|it| (it.probe, it.outcome, it.took_ms)).collect();
        let told = detail.probes.iter();
        let told = told.map(|it| (it.probe.as_str(), it.outcome.as_str(), it.took_ms));
        assert_eq!(probes, told.collect::<Vec<_>>(), "{id}");
    }
}

#[test]
fn what_is_kept_of_a_resource_says_the_same_as_its_detail() {
    let mut bench = Bench::new();
    bench.gpus = 2;
    bench.set(metric::FILESYSTEM_USED, "/", 97.0);
    bench.collects(3);
    says_the_same(&bench, 3);
    let of_now = view::node_details(
        &bench.resource,
        &unjudged(&bench),
        &bench.observation(),
        Duration::ZERO,
    );
    let metrics = |detail: &ResourceDetail| -> Vec<(String, String)> {
        let readings = detail.readings.iter();
        readings.map(|it| (it.metric.clone(), it.instance.clone())).collect()
    };
    let node = bench.node();
    assert!(!node.readings.is_empty());
    assert_eq!(metrics(&node), metrics(&of_now[0]), "no column of the verdict among them");

    bench.hands.advance(Duration::from_secs(60));
    bench.judge.notice_silence(Duration::from_secs(3600), DEADLINE);
    bench.judge.publish();
    assert!(bench.node().summary.stale.is_some());
    assert_eq!(bench.node().checks, node.checks, "the last ones, marked as old");
    says_the_same(&bench, 3);
    bench.collect();
    says_the_same(&bench, 3);
}

/// A verdict that does not count.
fn unjudged(bench: &Bench) -> sickbay_engine::Assessment {
    let mut memory = NodeMemory::default();
    assess(&bench.judge.policy, &mut memory, &bench.observation())
}

#[test]
fn a_large_fleet_is_saved_little_by_little() {
    let (count, step) = (150_u32, Duration::from_millis(200));
    let mut bench = Bench::new();
    let ids: Vec<_> =
        (0..count).map(|n| ResourceId::node(&format!("n{n}")).expect("an id")).collect();
    let mut saved = 0;
    for round in 0..12 {
        for id in &ids {
            bench.hands.advance(step);
            bench.resource.id = id.clone();
            let observation = bench.observation();
            bench.judge.apply(&bench.resource, &observation, false);
            saved += if round > 2 { bench.judge.pending.batch.states.len() } else { 0 };
            bench.judge.publish();
        }
    }
    let seconds = (step * count * 9).as_secs_f64();
    assert!(saved > 0 && saved as f64 <= seconds / 0.5, "{saved} in {seconds} s");
    let now = bench.clock.monotonic();
    for (id, node) in &bench.judge.nodes {
        let age = now - node.last_saved.expect("saved");
        assert!(age < Duration::from_secs(150), "{id} was saved {age:?} ago");
    }
}
