//! A scripted fleet at work: its judge, a real store, and a clock that the test moves.

use sickbay_engine::Policy;
use sickbay_model::catalogue as metric;
use sickbay_model::{
    EventKind, FrameBuilder, GpuDevice, GpuVendor, Inventory, Level, ProbeOutcome, ProbeReport,
    ProcessInfo, ProcessSummary, Status, probe,
};
use sickbay_runtime::{Clock, ManualClock};
use sickbay_store::{EventQuery, Store, StoreOptions};
use sickbay_wire::v1::StragglersView;
use tempfile::TempDir;

use super::*;
use crate::fleet::{Fleet, FleetPublisher};

const GPUS: u32 = 8;

/// What a node does.
#[derive(Clone, Debug)]
struct Act {
    command: &'static str,
    labels: BTreeMap<String, String>,
    /// Clock and power of the GPUs; those of the first may differ.
    clock: f64,
    first: f64,
    working: bool,
}

impl Act {
    fn training(command: &'static str) -> Self {
        Self { command, labels: BTreeMap::new(), clock: 1980.0, first: 1980.0, working: true }
    }
}

struct Play {
    judge: Judge,
    fleet: Fleet,
    store: Store,
    hands: ManualClock,
    clock: Clock,
    nodes: Vec<(Resource, Act)>,
    inventory: Arc<Inventory>,
    _data: TempDir,
}

impl Play {
    fn new(acts: Vec<Act>) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (clock, hands) = Clock::manual(1_800_000_000_000);
        let wall = clock.clone();
        let (store, _) = sickbay_store::open(
            StoreOptions::new(data.path()),
            Arc::new(move || Timestamp::from_unix_ms(wall.now_ms())),
        )
        .expect("a store");
        let (publisher, fleet) = FleetPublisher::new(view::unknown_system(), 64);
        let mut judge = Judge::new(Policy::default(), clock.clone(), publisher, store.clone());
        let mut nodes = Vec::new();
        for (place, act) in acts.into_iter().enumerate() {
            let name = format!("gpu-{place:02}");
            let id = ResourceId::node(&name).expect("an id");
            judge.watch(&id, None, Vec::new());
            let labels = act.labels.clone();
            nodes.push((Resource { id, display_name: name, labels, parent: None }, act));
        }
        let gpu = |index| -> GpuDevice {
            serde_json::from_value(serde_json::json!({
                "index": index,
                "vendor": GpuVendor::Nvidia,
                "uuid": format!("GPU-{index}"),
                "model": "H100",
            }))
            .expect("the rest has defaults")
        };
        let inventory =
            Arc::new(Inventory { gpus: (0..GPUS).map(gpu).collect(), ..Inventory::default() });
        Self { judge, fleet, store, hands, clock, nodes, inventory, _data: data }
    }

    fn observation(&self, resource: &Resource, act: &Act) -> Observation {
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let mut frame = FrameBuilder::new();
        frame.put(metric::CPU_USED, "", 12.0);
        frame.put(metric::MEMORY_USED, "", 40.0);
        for index in 0..GPUS {
            let clock = if index == 0 { act.first } else { act.clock };
            for (metric, value) in [
                (metric::GPU_CLOCK, clock),
                (metric::GPU_POWER, clock / 3.0),
                (metric::GPU_UTILIZATION, 99.0),
                (metric::GPU_TEMPERATURE, 60.0),
            ] {
                assert!(frame.put(metric, &index.to_string(), value));
            }
        }
        let process = |gpu| ProcessInfo {
            pid: 100 + gpu,
            name: "python3".to_owned(),
            command: act.command.to_owned(),
            state: 'R',
            cpu_percent: 0.0,
            resident_bytes: 0,
            gpus: vec![gpu],
            gpu_memory_bytes: 0,
            matched: None,
        };
        let answers =
            [probe::REACHABLE, probe::CPU, probe::MEMORY, probe::PROCESSES, probe::NVIDIA];
        let none = || ProbeOutcome::NotApplicable("none here".into());
        let report = |probe| ProbeReport {
            outcome: if answers.contains(&probe) { ProbeOutcome::Answered } else { none() },
            probe,
            at,
            took: Duration::ZERO,
        };
        let training = if act.working { (0..GPUS).map(process).collect() } else { Vec::new() };
        Observation {
            frame: frame.finish(at).0,
            inventory: Arc::clone(&self.inventory),
            probes: probe::ALL.into_iter().map(report).collect(),
            processes: Arc::new(ProcessSummary { training, ..ProcessSummary::default() }),
            ..view::empty_observation(&resource.id, at)
        }
    }

    /// Every node is asked every five seconds, and the loop comes round.
    fn minutes(&mut self, minutes: u32) {
        for _ in 0..minutes * 12 {
            self.hands.advance(Duration::from_secs(5));
            for place in 0..self.nodes.len() {
                let (resource, act) = &self.nodes[place];
                let observation = self.observation(resource, act);
                let resource = resource.clone();
                self.judge.apply(&resource, &observation, false);
            }
            self.judge.compare_peers();
            self.judge.publish();
        }
    }

    fn shown(&self) -> Arc<StragglersView> {
        Arc::clone(&self.fleet.snapshot().stragglers)
    }

    fn level(&self, id: &str) -> Level {
        self.fleet.snapshot().resources[&id.parse().expect("an id")].summary.level
    }

    /// The confirmed findings about stragglers: where, and what.
    fn findings(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (id, known) in &self.fleet.snapshot().resources {
            let checks = known.detail().checks.clone().into_iter();
            let found = checks.filter(|it| it.check.ends_with("straggler") && it.hard);
            all.extend(
                found
                    .filter(|it| it.status == Status::Degraded)
                    .map(|it| (id.to_string(), it.instance)),
            );
        }
        all
    }

    fn told(&self) -> Vec<(EventKind, String)> {
        assert!(self.store.flush());
        let asked = EventQuery { limit: 1000, ..EventQuery::default() };
        let events = self.store.events(&asked).expect("readable").into_iter();
        let about = events.filter(|it| it.message.contains("straggler"));
        about.map(|it| (it.kind, it.message)).collect()
    }
}

fn outcomes(view: &StragglersView) -> Vec<String> {
    let told = view.groups.iter().map(|it| {
        let who: Vec<_> = it.stragglers.iter().map(|it| it.resource.as_str()).collect();
        let named = if who.is_empty() { String::new() } else { format!(": {}", who.join(", ")) };
        format!("{} of {} {} {}{named}", it.job, it.members, it.compares, it.outcome)
    });
    told.collect()
}

#[test]
fn a_slow_gpu_is_named_confirmed_told_and_forgotten_with_its_job() {
    let mut play = Play::new(vec![Act::training("python train.py"); 4]);
    assert!(play.shown().note.as_deref().is_some_and(|why| why.contains("compared yet")));
    play.minutes(3);
    let group = "python train.py of 32 gpus";
    assert_eq!(outcomes(&play.shown())[0], format!("{group} too_new"));
    play.nodes[2].1.first = 1155.0;
    play.minutes(9);
    assert_eq!(outcomes(&play.shown())[0], format!("{group} compared"), "not held for long");
    play.minutes(3);
    let shown = play.shown();
    assert_eq!(outcomes(&shown)[0], format!("{group} compared: gpu/gpu-02/0"));
    assert_eq!(shown.straggler_count, 1);
    let straggler = &shown.groups[0].stragglers[0];
    assert_eq!(
        straggler.message,
        "GPU 0 of gpu-02 is slower than its 31 peers of the same job: SM clock 1161 MHz, theirs \
         1980 MHz; power 387 W, theirs 660 W, for 11 min."
    );
    play.minutes(3);
    let expected = ["gpu/gpu-02/0", "node/gpu-02"].map(|id| (id.to_owned(), "0".to_owned()));
    assert_eq!(play.findings(), expected);
    assert_eq!(play.level("gpu/gpu-02/0"), Level::Degraded);
    assert_eq!(play.level("node/gpu-02"), Level::Degraded);
    assert_eq!(play.level("node/gpu-01"), Level::Healthy);
    let told = play.told();
    assert!(
        told.iter().any(|(kind, message)| *kind == EventKind::HealthCheckFailed
            && message.starts_with("Check gpu_straggler of 0 is degraded: GPU 0 is slower")),
        "{told:?}"
    );

    for (_, act) in &mut play.nodes {
        act.working = false;
    }
    play.minutes(2);
    assert_eq!(play.findings(), []);
    assert_eq!(play.level("node/gpu-02"), Level::Healthy);
    let shown = play.shown();
    assert_eq!((outcomes(&shown), shown.straggler_count), (Vec::new(), 0));
    assert!(shown.note.as_deref().is_some_and(|why| why.starts_with("No group to compare")));
    assert!(play.judge.stragglers.windows.is_empty());
}

#[test]
fn different_work_is_said_and_each_node_is_compared_within_itself() {
    let mut acts = vec![Act::training("python sweep.py"); 4];
    for act in &mut acts[2..] {
        (act.clock, act.first) = (1200.0, 1200.0);
    }
    acts[3].first = 600.0;
    acts.push(Act { working: false, ..Act::training("python sweep.py") });
    let mut play = Play::new(acts);
    play.minutes(16);
    let shown = play.shown();
    assert_eq!(
        outcomes(&shown),
        [
            "python sweep.py of 8 gpus compared: gpu/gpu-03/0",
            "python sweep.py of 32 gpus mixed",
            "python sweep.py of 4 nodes too_few",
        ]
    );
    assert!(shown.groups[1].note.contains("32 of 32 depart in SM clock"), "{:?}", shown.groups[1]);
    play.minutes(2);
    assert_eq!(play.findings().len(), 2, "the GPU's, and its node's");
}

#[test]
fn labels_group_across_commands_and_removed_nodes_are_forgotten() {
    let job = BTreeMap::from([("job".to_owned(), "llm".to_owned())]);
    let mut acts: Vec<_> = ["python a.py", "python b.py", "./c"]
        .map(|command| Act { labels: job.clone(), ..Act::training(command) })
        .into();
    acts[0].first = 990.0;
    let mut play = Play::new(acts);
    play.minutes(12);
    let named = "job=llm of 24 gpus compared: gpu/gpu-00/0";
    assert_eq!(outcomes(&play.shown())[0], named);
    let (gone, _) = play.nodes.remove(0);
    play.judge.unwatch(&gone.id);
    play.minutes(1);
    assert_eq!(outcomes(&play.shown())[0], "job=llm of 16 gpus compared");
}

#[test]
fn a_search_that_takes_longer_than_a_turn_may_goes_on_in_the_next() {
    let mut play = Play::new(vec![Act::training("python train.py"); 4]);
    play.nodes[1].1.first = 990.0;
    play.minutes(14);
    let before = play.shown();
    assert_eq!(before.straggler_count, 1);
    play.hands.advance(Duration::from_secs(75));
    let mut turns = 1;
    play.judge.compare_peers_for(Duration::ZERO);
    while play.judge.comparing_due().is_some() {
        assert!(turns < 20, "it ends");
        turns += 1;
        play.judge.compare_peers_for(Duration::ZERO);
    }
    assert_eq!(turns, 6 + 1, "a turn for each metric of the GPUs; four nodes are too few");
    play.judge.publish();
    let after = play.shown();
    assert!(after.at > before.at);
    assert_eq!(outcomes(&after), outcomes(&before));
    play.judge.compare_peers();
    assert_eq!(play.judge.comparing_due(), None, "once a minute");
}

#[test]
fn what_is_remembered_of_a_node_is_small() {
    let mut play = Play::new(vec![Act::training("python train.py"); 2]);
    play.minutes(17);
    for window in play.judge.stragglers.windows.values() {
        assert!(window.bytes() <= 4096, "{}", window.bytes());
    }
}
