//! Peers compared: who is named, who is not, and what is said instead.

use std::collections::BTreeMap;

use sickbay_engine::OutlierPolicy;
use sickbay_engine::outlier::{
    Cause, GroupOutcome, GroupVerdict, GroupedBy, MINUTES_KEPT, Minute, PeerGroup, PeerId,
    PeerMetric, PeerWindow, groups, job_parts,
};
use sickbay_model::{ProcessSummary, Timestamp};

use crate::peers::{Dice, Job, Moment, START, search, usual};

type Script = fn(Moment, PeerMetric) -> f64;
/// A story, its nodes and GPUs a node, what is measured, the outcome, who is named.
type Case = (&'static str, u64, u32, Script, &'static str, &'static [&'static str]);

/// The outcome among the GPUs of a job, and who is named for what: `0/3 slow_gpu`.
fn story(job: &Job, script: impl Fn(Moment, PeerMetric) -> f64) -> (String, Vec<String>) {
    let (windows, now) = job.windows(script);
    let all = search(&job.policy, &windows, now);
    let gpus = all.iter().find(|(group, _)| group.model.is_some());
    let outcome = match gpus.map(|(_, verdict)| &verdict.outcome) {
        None => "no group".to_owned(),
        Some(GroupOutcome::Compared) => "compared".to_owned(),
        Some(GroupOutcome::TooFew) => "too few".to_owned(),
        Some(GroupOutcome::TooNew) => "too new".to_owned(),
        Some(GroupOutcome::Mixed { metric, departing, members }) => {
            format!("mixed: {departing} of {members} by {}", metric.as_str())
        }
    };
    (outcome, all.iter().flat_map(|(_, verdict)| named(verdict)).collect())
}

fn named(verdict: &GroupVerdict) -> Vec<String> {
    let name = |member: PeerId| match member.gpu {
        Some(gpu) => format!("{}/{gpu}", member.node),
        None => member.node.to_string(),
    };
    let outliers = verdict.outliers.iter();
    outliers.map(|it| format!("{} {}", name(it.member), it.cause.as_str())).collect()
}

fn noise(at: Moment, metric: PeerMetric) -> f64 {
    let seed = u64::from(at.minute) << 40 | at.node << 16 | u64::from(at.gpu) << 8;
    Dice::new(seed | metric as u64).normal()
}

#[test]
fn who_departs_is_named_and_nobody_else() {
    use PeerMetric::{Clock, Network, Pcie, Power, StepTime, Temperature, Throttled, Utilization};
    let cases: &[Case] = &[
        ("all alike", 2, 8, |_, metric| usual(metric), "compared", &[]),
        (
            "uniform noise",
            2,
            8,
            |at, metric| usual(metric) * (1.0 + 0.02 * noise(at, metric)).min(1.02),
            "compared",
            &[],
        ),
        (
            "one slow of 16: low clock, low power, throttled",
            2,
            8,
            |at, metric| match (at.node, at.gpu, metric) {
                (1, 3, Clock) => 1155.0,
                (1, 3, Power) => 380.0,
                (1, 3, Throttled) => 100.0,
                _ => usual(metric),
            },
            "compared",
            &["1/3 slow_gpu"],
        ),
        (
            "hot and slow",
            2,
            8,
            |at, metric| match (at.node, at.gpu, metric) {
                (0, 7, Clock) => 1500.0,
                (0, 7, Temperature) => 84.0,
                _ => usual(metric),
            },
            "compared",
            &["0/7 hot_and_slow"],
        ),
        (
            "two, each in its own way",
            2,
            8,
            |at, metric| match (at.node, at.gpu, metric) {
                (0, 1, Utilization) => 40.0,
                (1, 1, Pcie) => 1e9,
                _ => usual(metric),
            },
            "compared",
            &["0/1 waits", "1/1 network"],
        ),
        (
            "the better one is no finding: cooler, faster, more",
            2,
            8,
            |at, metric| match (at.node, at.gpu, metric) {
                (0, 0, Temperature) => 35.0,
                (0, 0, Clock) => 2500.0,
                (0, 0, Power | Pcie) => 3.0 * usual(metric),
                _ => usual(metric),
            },
            "compared",
            &[],
        ),
        (
            "within one node",
            1,
            8,
            |at, metric| if at.gpu == 2 && metric == Clock { 1200.0 } else { usual(metric) },
            "compared",
            &["0/2 slow_gpu"],
        ),
        (
            "tiny departures of identical peers are none",
            2,
            8,
            |at, metric| usual(metric) * if at.node == 1 && at.gpu == 0 { 0.97 } else { 1.0 },
            "compared",
            &[],
        ),
        (
            "two kinds of jobs",
            4,
            8,
            |at, metric| match metric {
                Clock | Power | Utilization if at.node >= 2 => 0.5 * usual(metric),
                _ => usual(metric),
            },
            "mixed: 32 of 32 by clock",
            &[],
        ),
        (
            "five of twelve nodes do something else",
            12,
            1,
            |at, metric| {
                if at.node >= 7 && metric == Power { 250.0 } else { usual(metric) }
            },
            "mixed: 5 of 12 by power",
            &[],
        ),
        (
            "a rack is warmer than the other, and one of all is slow",
            4,
            8,
            |at, metric| match metric {
                Temperature if at.node >= 2 => 80.0,
                Clock if at.node == 0 && at.gpu == 0 => 1300.0,
                _ => usual(metric),
            },
            "compared",
            &["0/0 slow_gpu"],
        ),
        ("everyone is slow", 2, 8, |_, metric| 0.5 * usual(metric), "compared", &[]),
        (
            "ramp-up: a node is three minutes behind",
            8,
            8,
            |at, metric| {
                let late = if at.node == 5 { 3 } else { 0 };
                usual(metric) * if at.minute < 2 + late { 0.3 } else { 1.0 }
            },
            "compared",
            &[],
        ),
        (
            "nine minutes are not enough",
            2,
            8,
            |at, metric| {
                let departs = at.node == 0 && at.gpu == 0 && metric == Clock && at.minute < 9;
                if departs { 1000.0 } else { usual(metric) }
            },
            "compared",
            &[],
        ),
        (
            "ten are, also with pauses",
            2,
            8,
            |at, metric| {
                let departs = at.node == 0 && at.gpu == 0 && metric == Clock && at.minute % 3 != 0;
                if departs { 1000.0 } else { usual(metric) }
            },
            "compared",
            &["0/0 slow_gpu"],
        ),
        (
            "phases that all share are no departure",
            2,
            8,
            |at, metric| usual(metric) * if at.minute % 2 == 0 { 0.2 } else { 1.0 },
            "compared",
            &[],
        ),
        (
            "what is not measured accuses nobody",
            2,
            8,
            |at, metric| if at.node == 1 { f64::NAN } else { usual(metric) },
            "compared",
            &[],
        ),
        (
            "a GPU that was measured for nine minutes only",
            2,
            8,
            |at, metric| match (at.node, at.gpu) {
                (1, 1) if at.minute >= 9 => f64::NAN,
                (1, 1) if metric == Clock => 900.0,
                _ => usual(metric),
            },
            "compared",
            &[],
        ),
        ("nothing is measured at all", 2, 8, |_, _| f64::NAN, "too few", &[]),
        (
            "two peers",
            1,
            3,
            |at, metric| if at.gpu == 0 { 0.3 * usual(metric) } else { usual(metric) },
            "too few",
            &[],
        ),
        (
            "one node has less traffic",
            6,
            8,
            |at, metric| {
                if at.node == 4 && metric == Network { 6e9 } else { usual(metric) }
            },
            "compared",
            &["4 network"],
        ),
        (
            "little traffic is not compared",
            6,
            8,
            |at, metric| match metric {
                Network | Pcie => {
                    if at.node == 4 {
                        1e3
                    } else {
                        1e6
                    }
                }
                _ => usual(metric),
            },
            "compared",
            &[],
        ),
        (
            "one node's steps take longer",
            6,
            8,
            |at, metric| {
                if at.node == 2 && metric == StepTime { 1.6 } else { usual(metric) }
            },
            "compared",
            &["2 slow_step"],
        ),
    ];
    for (name, nodes, gpus, script, outcome, named) in cases {
        let (found, outliers) = story(&Job::new(*nodes, *gpus), script);
        assert_eq!((found.as_str(), outliers), (*outcome, owned(named)), "{name}");
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_job_must_have_run_for_a_while() {
    let mut job = Job::new(2, 8);
    for (minutes, outcome) in [(2, "too new"), (10, "too new"), (11, "compared"), (40, "compared")]
    {
        job.minutes = minutes;
        assert_eq!(story(&job, |_, metric| usual(metric)).0, outcome, "{minutes} minutes");
    }
    job.minutes = 11;
    job.policy.window = std::time::Duration::from_secs(300);
    let slow = |at: Moment, metric| match (at.node, at.gpu, metric) {
        (0, 0, PeerMetric::Clock) if at.minute >= 6 => 900.0,
        _ => usual(metric),
    };
    assert_eq!(story(&job, slow).1, ["0/0 slow_gpu"], "a shorter window");
}

#[test]
fn the_evidence_says_what_it_is_and_what_the_others_are() {
    let job = Job::new(2, 8);
    let (windows, now) = job.windows(|at, metric| match (at.node, at.gpu, metric) {
        (1, 3, PeerMetric::Clock) if at.minute >= 3 => 1155.0,
        (0, 5, PeerMetric::Clock) => 1965.0,
        (1, 3, PeerMetric::Throttled) => 100.0,
        _ => usual(metric),
    });
    let all = search(&job.policy, &windows, now);
    let [outlier] = &all[0].1.outliers[..] else { panic!("one outlier: {all:?}") };
    assert_eq!((outlier.cause, outlier.throttled_percent), (Cause::SlowGpu, 100.0));
    let [departure] = &outlier.departures[..] else { panic!("by its clock alone") };
    assert_eq!((departure.value, departure.median), (1155.0, 1980.0));
    assert_eq!((departure.low, departure.high, departure.peers), (1965.0, 1980.0, 15));
    let since = Timestamp::from_unix_ms(START.as_unix_ms() + 3 * 60_000);
    assert_eq!((departure.minutes, departure.since), (12, since));
    assert!((departure.score - 25.0).abs() < 0.1, "{}", departure.score);
    assert_eq!(all[0].1.compared.len(), 16);
    assert_eq!(all[0].0.started, Minute::of(START));
}

/// The order in which members are given, and what they are numbered, changes nothing.
#[test]
fn permuting_members_changes_nothing() {
    let job = Job::new(9, 8);
    let script = |at: Moment, metric| {
        let well = usual(metric) * (1.0 + 0.03 * noise(at, metric).clamp(-2.0, 2.0));
        let ill = at.node % 4 == 1 && at.gpu == 6;
        if ill && metric == PeerMetric::Clock { well / 2.0 } else { well }
    };
    let found = |windows: &BTreeMap<u64, PeerWindow>, now, back: &dyn Fn(u64) -> u64| {
        let all = search(&job.policy, windows, now);
        let mut names: Vec<_> = all
            .iter()
            .flat_map(|(_, verdict)| verdict.outliers.clone())
            .map(|mut outlier| {
                outlier.member.node = back(outlier.member.node);
                outlier
            })
            .collect();
        names.sort_by_key(|it| it.member);
        (all.iter().map(|it| it.1.outcome.clone()).collect::<Vec<_>>(), names)
    };
    let (windows, now) = job.windows(script);
    let expected = found(&windows, now, &|node| node);
    assert_eq!(expected.1.len(), 2);
    for step in [2, 4, 5, 7, 8] {
        let (to, from) = (
            move |node| node * step % 9,
            move |node| (0..9).find(|it| it * step % 9 == node).unwrap_or(node),
        );
        let moved = windows.iter().map(|(node, window)| (to(*node), window.clone())).collect();
        assert_eq!(found(&moved, now, &from), expected, "{step}");
    }
    let backwards = groups(&job.policy, windows.iter().rev().map(|(node, it)| (*node, it)));
    let forwards = groups(&job.policy, windows.iter().map(|(node, it)| (*node, it)));
    assert_eq!(backwards, forwards);
}

/// Members whose differences are all of one normal distribution, lasting and from minute to minute:
/// nobody should be named. Measured and printed; the lines are twice the highest that was measured, or
/// one alarm among the fewest members.
#[test]
fn false_alarms_are_rare() {
    // Lasting differences of members and noise from minute to minute, in shares of the usual value.
    for (story, lasting, passing, most) in [
        ("as real cards differ", 0.01, 0.02, 0.0),
        ("a sloppy fleet", 0.03, 0.05, 0.0),
        ("as wide as the lines themselves", 0.10, 0.10, 0.001),
        // Five that hardly move, of which three lie close together by chance, make the others look far.
        ("steady, and nearly as wide as the lines", 0.06, 0.002, 0.01),
    ] {
        for (nodes, gpus) in [(1, 5), (1, 8), (2, 8), (8, 8)] {
            let job = Job::new(nodes, gpus);
            let (mut members, mut alarms) = (0_u32, 0_u32);
            for round in 0..200 {
                let (windows, now) = job.windows(|at, metric| {
                    let seed = round << 32 | at.node << 16 | u64::from(at.gpu) << 8;
                    let own = Dice::new(seed | metric as u64 | 1 << 63).normal();
                    let now = noise(Moment { node: at.node | round << 20, ..at }, metric);
                    let value = usual(metric) * (1.0 + lasting * own + passing * now);
                    if metric == PeerMetric::Utilization { value.min(100.0) } else { value }
                });
                let all = search(&job.policy, &windows, now);
                members += u32::try_from(nodes).expect("few") * gpus;
                let named: usize = all.iter().map(|(_, verdict)| verdict.outliers.len()).sum();
                alarms += u32::try_from(named).expect("few");
            }
            let share = f64::from(alarms) / f64::from(members);
            println!("{story}: {nodes} × {gpus}: {alarms} of {members} named, p = {share:.5}");
            assert!(share <= most, "{story}: {nodes} × {gpus}: {share}");
        }
    }
}

#[test]
fn same_work_is_known_by_label_or_command() {
    let policy = OutlierPolicy::default();
    let label = |value: &str| BTreeMap::from([("job".to_owned(), value.to_owned())]);
    let none = BTreeMap::new();
    for (command, labels, job, by) in [
        (
            "/opt/conda/bin/python3.11 -u train_7b.py --lr 3",
            &none,
            "python train_b.py",
            GroupedBy::Command,
        ),
        (
            "python -m torch.distributed.run x.py",
            &none,
            "python torch.distributed.run",
            GroupedBy::Command,
        ),
        (
            "python3 -X dev -W ignore /a/b/pre-train.py",
            &none,
            "python pre-train.py",
            GroupedBy::Command,
        ),
        ("python3 -c import", &none, "python -c", GroupedBy::Command),
        ("./llm_train_128 --port=29500", &none, "llm_train", GroupedBy::Command),
        ("", &none, "python", GroupedBy::Command),
        ("python3 a.py", &label("llm-70b"), "job=llm-70b", GroupedBy::Label),
    ] {
        let job_of = Job { command: command.to_owned(), ..Job::new(1, 8) };
        let parts = job_parts(&policy, labels, &job_of.inventory(), &job_of.processes());
        let [part] = &parts[..] else { panic!("{command}: {parts:?}") };
        assert_eq!((&*part.job, part.by, part.gpus.len()), (job, by, 8), "{command}");
    }
}

#[test]
fn gpus_belong_to_who_works_on_them() {
    let policy = OutlierPolicy::default();
    let job = Job::new(1, 8);
    let processes = |claims: &[(&str, &[u32])]| {
        let mut summary = ProcessSummary::default();
        for (place, (command, gpus)) in claims.iter().enumerate() {
            let mut process = job.processes().training.remove(0);
            process.pid = u32::try_from(place).expect("few");
            process.command = (*command).to_owned();
            process.gpus = gpus.to_vec();
            // The first holds most.
            process.gpu_memory_bytes -= place as u64;
            summary.training.push(process);
        }
        summary
    };
    for (claims, expected) in [
        (&[("a x", &[0, 1, 2, 3][..]), ("b y", &[4, 5])][..], "a x on [0, 1, 2, 3]; b y on [4, 5]"),
        (&[("a x", &[0, 1]), ("smi", &[0, 1, 2])], "a x on [0, 1]; smi on [2]"),
        (&[("a x", &[])], "a x on [0, 1, 2, 3, 4, 5, 6, 7]"),
        (&[("launch x", &[]), ("a x", &[3])], "a x on [3]"),
        (&[], ""),
    ] {
        let parts = job_parts(&policy, &BTreeMap::new(), &job.inventory(), &processes(claims));
        let told: Vec<_> = parts.iter().map(|it| format!("{} on {:?}", it.job, it.gpus)).collect();
        assert_eq!(told.join("; "), expected);
    }
    let mut inventory = job.inventory();
    inventory.gpus[0].mig_enabled = true;
    for gpu in &mut inventory.gpus[4..] {
        gpu.model = "A100".to_owned();
    }
    let parts = job_parts(&policy, &BTreeMap::new(), &inventory, &job.processes());
    let told: Vec<_> = parts.iter().map(|it| format!("{} {:?}", it.model, it.gpus)).collect();
    assert_eq!(told, ["H100 [1, 2, 3]", "A100 [4, 5, 6, 7]"], "a slice of a card is no peer");
    inventory.gpus.clear();
    let parts = job_parts(&policy, &BTreeMap::new(), &inventory, &job.processes());
    assert_eq!((parts.len(), parts[0].gpus.len()), (1, 0), "a job without GPUs is one");
}

#[test]
fn the_same_command_started_later_is_another_job() {
    let llm = BTreeMap::from([("job".to_owned(), "llm".to_owned())]);
    let none = BTreeMap::new();
    let mut windows = BTreeMap::new();
    for (node, (begins, command, labels)) in [
        (0, "python a.py 1", &none),
        (4, "python a.py 2", &none),
        (30, "python a.py 3", &none),
        (0, "python b.py", &none),
        (0, "python a.py", &llm),
        (30, "python c.py", &llm),
    ]
    .into_iter()
    .enumerate()
    {
        let (command, labels) = (command.to_owned(), labels.clone());
        let job = Job { begins, command, labels, ..Job::new(1, 8) };
        let window = job.windows(|_, metric| usual(metric)).0.remove(&0).expect("one");
        windows.insert(node as u64, window);
    }
    let all = groups(&OutlierPolicy::default(), windows.iter().map(|(node, it)| (*node, it)));
    let told = |group: &PeerGroup| {
        let of = if group.model.is_some() { "GPUs" } else { "nodes" };
        format!("{}: {} {of} on {}", group.job, group.members.len(), group.nodes)
    };
    let expected = [
        "job=llm: 16 GPUs on 2",
        "job=llm: 2 nodes on 2",
        "python a.py: 16 GPUs on 2",
        "python a.py: 2 nodes on 2",
        "python a.py: 8 GPUs on 1",
        "python b.py: 8 GPUs on 1",
    ];
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), expected);
    let split: Vec<_> = all[0].by_node(5).iter().map(told).collect();
    assert_eq!(split, ["job=llm: 8 GPUs on 1", "job=llm: 8 GPUs on 1"]);
}

#[test]
fn a_node_is_remembered_in_four_kilobytes() {
    let job = Job { minutes: 40, ..Job::new(1, 8) };
    let (windows, now) = job.windows(|at, metric| usual(metric) + f64::from(at.minute));
    let window = &windows[&0];
    assert!(window.bytes() <= 4096, "{} bytes", window.bytes());
    let row = window.row(Some(7)).expect("a GPU");
    let last = Minute::of(now).0 - 1;
    let back = |age: i64| row.at(PeerMetric::Clock, Minute(last - age));
    assert_eq!((back(0), back(14)), (1980.0 + 38.0, 1980.0 + 24.0));
    assert!(back(-1).is_nan() && back(i64::try_from(MINUTES_KEPT).expect("few")).is_nan());
}

#[test]
fn a_clock_that_leaps_begins_the_window_anew() {
    let job = Job::new(1, 8);
    let looks = job.looks(|_, metric| usual(metric));
    for (leap_minutes, kept) in
        [(1, 15), (4, 12), (15, 1), (16, 0), (100_000, 0), (-1, 0), (-100_000, 0)]
    {
        let mut window = PeerWindow::default();
        for look in &looks {
            window.observe(&job.policy, &job.labels, look, None);
        }
        let mut last = looks[15].clone();
        last.at = Timestamp::from_unix_ms(last.at.as_unix_ms() + leap_minutes * 60_000);
        window.observe(&job.policy, &job.labels, &last, None);
        let (row, now) = (window.row(Some(0)).expect("a GPU"), Minute::of(last.at).0);
        let known = (now - 15..now)
            .filter(|minute| !row.at(PeerMetric::Clock, Minute(*minute)).is_nan())
            .count();
        assert_eq!(known, kept, "{leap_minutes}");
    }
}
