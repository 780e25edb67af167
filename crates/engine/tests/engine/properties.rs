//! What must hold whatever is observed, and however the clock jumps.

use std::time::Duration;

use proptest::prelude::*;
use sickbay_engine::{Assessment, Cap, NodeMemory, Policy, assess};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    FaultCode, FaultSighting, KernelLog, Level, LogPosition, MetricId, ProbeErrorKind, Status,
    Timestamp, catalogue,
};

use crate::node::{Node, PROBES};

const START: i64 = 1_800_000_000_000;

/// Readings for which more is worse.
const MORE_IS_WORSE: &[(MetricId, &str)] = &[
    (metric::CPU_USED, ""),
    (metric::MEMORY_USED, ""),
    (metric::SWAP_USED, ""),
    (metric::OOM_KILLS, ""),
    (metric::MEMORY_ERRORS_UNCORRECTED, ""),
    (metric::PRESSURE_CPU_SOME, ""),
    (metric::PRESSURE_MEMORY_FULL, ""),
    (metric::PRESSURE_IO_FULL, ""),
    (metric::FILE_HANDLES_USED, ""),
    (metric::PROCESSES_ZOMBIE, ""),
    (metric::FILESYSTEM_USED, "/data"),
    (metric::FILESYSTEM_USED, "/shared"),
    (metric::FILESYSTEM_INODES_USED, "/"),
    (metric::FILESYSTEM_READ_ONLY, "/boot"),
    (metric::TEMPERATURE, "nvme/Composite"),
    (metric::LATENCY, "192.0.2.1"),
    (metric::LATENCY_LOSS, "192.0.2.1"),
    (metric::NETWORK_RECEIVE_ERRORS, "eth0"),
    (metric::NETWORK_TRANSMIT_DROPS, "eth1"),
    (metric::GPU_ECC_UNCORRECTED_VOLATILE, "0"),
    (metric::GPU_REMAP_PENDING, "1"),
    (metric::GPU_REMAP_FAILED, "1"),
    (metric::GPU_MEMORY_USED, "0"),
];

/// Readings for which less is worse.
const LESS_IS_WORSE: &[(MetricId, &str)] = &[
    (metric::NETWORK_LINK_UP, "eth0"),
    (metric::NETWORK_LINK_UP, "eth1"),
    (metric::GPU_TEMPERATURE_MARGIN, "0"),
    (metric::GPU_PCIE_WIDTH, "1"),
    (metric::GPU_NVLINKS_ACTIVE, "0"),
];

const FAULTS: &[&str] = &["xid-79", "xid-48", "xid-74", "aer-fatal", "io-error", "hung-task"];
const DEVICES: &[&str] = &["0000:00:00.0", "0000:01:00.0", "0000:99:00.0", "sda", ""];

/// Something that happens to a node.
#[derive(Clone, Debug)]
enum Change {
    /// A reading takes a value: which, and how bad from 0 to 1.
    Set(usize, f64),
    /// A reading stops coming.
    Lose(usize),
    /// A probe fails.
    Fail(usize),
    /// A probe says nothing.
    Silence(usize),
    LoseGpu(u32),
    /// The kernel reports a fault: which, and of which device.
    Says(usize, usize),
    /// The kernel's log can no longer be read.
    LoseLog,
    Job(bool),
    /// All is well again.
    Heal,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        8 => (any::<usize>(), 0.0..=1.0_f64).prop_map(|(which, bad)| Change::Set(which, bad)),
        2 => any::<usize>().prop_map(Change::Lose),
        1 => any::<usize>().prop_map(Change::Fail),
        1 => any::<usize>().prop_map(Change::Silence),
        1 => (0..2_u32).prop_map(Change::LoseGpu),
        3 => (0..FAULTS.len(), 0..DEVICES.len()).prop_map(|(code, of)| Change::Says(code, of)),
        1 => Just(Change::LoseLog),
        1 => any::<bool>().prop_map(Change::Job),
        1 => Just(Change::Heal),
    ];
    prop::collection::vec(change, 0..4)
}

fn set_badness(node: &mut Node, which: usize, bad: f64) {
    let count = MORE_IS_WORSE.len() + LESS_IS_WORSE.len();
    let place = which % count;
    let ((id, instance), bad) = match MORE_IS_WORSE.get(place) {
        Some(reading) => (*reading, bad),
        None => (LESS_IS_WORSE[place - MORE_IS_WORSE.len()], 1.0 - bad),
    };
    let def = catalogue::find(id).expect("in the catalogue");
    // Ranges of what is true are wide; the trouble starts early in them.
    let (low, high) = (def.min.max(-20.0), def.max.min(120.0));
    node.set_of(id, instance, low + (high - low) * bad);
}

fn apply(node: &mut Node, change: &Change) {
    match change {
        Change::Set(which, bad) => set_badness(node, *which, *bad),
        Change::Lose(which) => {
            let key = node.readings.keys().nth(which % node.readings.len().max(1)).cloned();
            key.map(|key| node.readings.remove(&key));
        }
        Change::Fail(which) => {
            node.fail(PROBES[which % PROBES.len()].clone(), ProbeErrorKind::Late, "no answer");
        }
        Change::Silence(which) => {
            node.probes.remove(&PROBES[which % PROBES.len()]);
        }
        Change::LoseGpu(index) => {
            node.lose_gpu(*index);
        }
        Change::Says(code, device) => say(node, FAULTS[*code], DEVICES[*device]),
        Change::LoseLog => node.kernel_log = None,
        Change::Job(active) => {
            node.job(*active);
        }
        Change::Heal => *node = Node::well(2),
    }
}

fn say(node: &mut Node, code: &'static str, device: &str) {
    let log = node
        .kernel_log
        .get_or_insert_with(|| KernelLog { boot_id: "b0".to_owned(), ..KernelLog::default() });
    let position = LogPosition(log.read_to.0 + 1);
    log.sightings.push(FaultSighting {
        code: FaultCode::new(code),
        device: device.to_owned(),
        since_boot_ms: 0,
        at: Timestamp::from_unix_ms(START),
        position,
        line: format!("{code} of {device}"),
        facts: std::collections::BTreeMap::new(),
    });
    log.read_to = position;
}

fn badness(level: Level) -> usize {
    Level::ALL.iter().position(|it| *it == level).expect("every level")
}

fn check_invariants(verdict: &Assessment) {
    let score = &verdict.score;
    let sum: f64 = score.contributions.iter().map(|part| part.contribution).sum();
    assert!((sum - score.uncapped).abs() < 1e-9, "{sum} ≠ {}", score.uncapped);
    let weights: f64 = score.contributions.iter().map(|part| part.weight).sum();
    assert!((weights - 100.0).abs() < 1e-9, "{weights}");
    assert!(score.caps.is_sorted_by(|a, b| a.limit <= b.limit));
    match score.score {
        None => assert!(score.level == Level::Unknown && score.unknown_reason.is_some()),
        Some(value) => {
            assert!((0.0..=100.0).contains(&value), "{value}");
            let least = score.caps.first().map_or(100.0, |cap| cap.limit);
            assert!((value - score.uncapped.min(least)).abs() < 1e-12);
            assert_eq!(score.level, Level::of_score(value));
        }
    }
    for cap in &score.caps {
        let explains =
            verdict.findings().any(|it| it.check == cap.check && it.instance == cap.instance);
        assert!(explains, "{cap:?} names no finding");
    }
    assert!(verdict.checks.is_sorted_by_key(|it| std::cmp::Reverse(it.status.severity())));
    let mut names: Vec<_> = verdict.checks.iter().map(|it| (&it.check, &it.instance)).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "every check is answered once");
    check_incidents(verdict);
    for result in &verdict.checks {
        assert!((0.0..=100.0).contains(&result.points), "{result:?}");
        assert!(result.since <= verdict.at, "{result:?}");
        assert!(result.status != Status::Unknown || result.points == 0.0, "{result:?}");
        assert!(result.is_healthy() == (result.points == 100.0), "{result:?}");
        assert!(result.is_healthy() || result.message.len() > 3, "{result:?}");
    }
    for gpu in &verdict.gpus {
        assert!(gpu.checks.iter().all(|&place| place < verdict.checks.len()));
        let sum: f64 = gpu.score.contributions.iter().map(|part| part.contribution).sum();
        assert!((sum - gpu.score.uncapped).abs() < 1e-9);
    }
    assert!((0.0..=100.0).contains(&verdict.readiness.pass_rate_percent));
}

/// Every member is a confirmed problem, which a cap tells, and of one incident; the score is capped
/// by each of them as if there were none.
fn check_incidents(verdict: &Assessment) {
    let mut members = Vec::new();
    for incident in &verdict.incidents {
        assert!(incident.since <= verdict.at && !incident.evidence.is_empty(), "{incident:?}");
        for &place in incident.evidence.iter().chain([&incident.root]) {
            let check = &verdict.checks[place];
            assert!(!matches!(check.status, Status::Healthy | Status::Unknown), "{check:?}");
            let is_its = |cap: &&Cap| cap.check == check.check && cap.instance == check.instance;
            let cap = verdict.score.caps.iter().find(is_its).expect("it is confirmed");
            assert!(verdict.score.score.is_none_or(|score| score <= cap.limit), "{cap:?}");
            members.push(place);
        }
    }
    let count = members.len();
    members.sort_unstable();
    members.dedup();
    assert_eq!(members.len(), count, "{:?}", verdict.incidents);
}

/// Few cases, so that the edit–test cycle stays short; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(32),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happens and however the clock jumps: the verdict adds up, is the same twice, and is
    /// the same after the memory went through JSON.
    #[test]
    fn verdicts_add_up_and_can_be_replayed(
        story in prop::collection::vec((changes(), -100_000_i64..100_000), 1..12),
        leap in any::<i64>(),
    ) {
        let policy = Policy::default();
        let mut node = Node::well(2);
        let mut memory = NodeMemory::default();
        let mut at = START;
        for (place, (changes, step)) in story.iter().enumerate() {
            changes.iter().for_each(|change| apply(&mut node, change));
            at = if place == 7 { leap } else { at.saturating_add(*step) };
            let observation = node.observe(Timestamp::from_unix_ms(at));
            let json = serde_json::to_string(&memory).expect("serialises");
            let mut restored: NodeMemory = serde_json::from_str(&json).expect("reads back");
            let mut twin = memory.clone();
            let verdict = assess(&policy, &mut memory, &observation);
            check_invariants(&verdict);
            prop_assert_eq!(&verdict, &assess(&policy, &mut twin, &observation));
            prop_assert_eq!(&verdict, &assess(&policy, &mut restored, &observation));
        }
    }

    /// With the same past, a worse reading never gives a higher score.
    #[test]
    fn a_worse_reading_never_raises_the_score(
        story in prop::collection::vec(changes(), 0..12),
        (which, bad, worse) in (any::<usize>(), 0.0..=1.0_f64, 0.0..=1.0_f64),
    ) {
        let policy = Policy::default();
        let mut node = Node::well(2);
        let mut memory = NodeMemory::default();
        let mut at = START;
        for changes in &story {
            changes.iter().for_each(|change| apply(&mut node, change));
            at += 20_000;
            let _ = assess(&policy, &mut memory, &node.observe(Timestamp::from_unix_ms(at)));
        }
        let at = Timestamp::from_unix_ms(at + 20_000);
        let mut score = |bad: f64| {
            set_badness(&mut node, which, bad);
            let verdict = assess(&policy, &mut memory.clone(), &node.observe(at));
            (verdict.score.score, verdict.headline, verdict.score.uncapped)
        };
        let (better, worse) = (score(bad.min(worse)), score(bad.max(worse)));
        prop_assert!(worse.0 <= better.0, "{better:?} → {worse:?}");
    }

    /// Data that stops coming never improves a node.
    #[test]
    fn missing_data_never_makes_a_node_better(
        bad in prop::collection::vec((any::<usize>(), 0.0..=1.0_f64), 0..4),
        job in any::<bool>(),
        readings in prop::collection::vec(any::<usize>(), 0..40),
        (silent, failing) in (prop::collection::vec(any::<usize>(), 0..4), prop::collection::vec(any::<usize>(), 0..4)),
        times in 4_usize..12,
    ) {
        let policy = Policy::default();
        let mut node = Node::well(2);
        let mut memory = NodeMemory::default();
        let mut at = Timestamp::from_unix_ms(START);
        let mut look = |node: &Node| {
            at = at.plus(Duration::from_secs(5));
            assess(&policy, &mut memory, &node.observe(at))
        };
        look(&node);
        node.job(job);
        bad.iter().for_each(|(which, bad)| set_badness(&mut node, *which, *bad));
        let mut before = look(&node);
        for _ in 0..times {
            before = look(&node);
        }
        readings.iter().for_each(|which| apply(&mut node, &Change::Lose(*which)));
        silent.iter().for_each(|which| apply(&mut node, &Change::Silence(*which)));
        failing.iter().for_each(|which| apply(&mut node, &Change::Fail(*which)));
        for _ in 0..10 {
            let after = look(&node);
            prop_assert!(
                badness(after.level) >= badness(before.level),
                "{} ({}) → {} ({})", before.level, before.headline, after.level, after.headline
            );
        }
    }
}

/// Found by the property above: a soft critical value had more points than a confirmed degraded one.
#[test]
fn a_soft_worse_value_has_no_more_points_than_a_confirmed_better_one() {
    let (policy, mut memory, mut node) = (Policy::default(), NodeMemory::default(), Node::well(0));
    let mut look = |used: f64, memory: &mut NodeMemory, step: i64| {
        node.set_of(metric::FILESYSTEM_USED, "/data", used);
        let at = Timestamp::from_unix_ms(START + step * 5_000);
        assess(&policy, memory, &node.observe(at)).score
    };
    for step in 0..5 {
        look(94.0, &mut memory, step);
    }
    let degraded = look(94.9, &mut memory.clone(), 6);
    let critical = look(95.1, &mut memory.clone(), 6);
    assert!(critical.uncapped <= degraded.uncapped, "{critical:?} {degraded:?}");
}

/// A node with no data at all is never well, from the first look on.
#[test]
fn nothing_is_not_well() {
    let mut node = Node::well(2);
    for probe in PROBES {
        node.probes.remove(&probe);
    }
    node.readings.clear();
    let mut memory = NodeMemory::default();
    for step in 0..10 {
        let at = Timestamp::from_unix_ms(START + step * 5_000);
        let verdict = assess(&Policy::default(), &mut memory, &node.observe(at));
        assert_eq!(verdict.level, Level::Unknown);
        assert!(!verdict.readiness.ready);
        assert!(verdict.findings().count() > 5);
    }
}
