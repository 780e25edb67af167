//! A day of 200 nodes over a network that loses things, watched by Sickbay's parts put together and
//! by a plain "3 misses" monitor, on the same traces. Counts who cries wolf, and who misses what.
//!
//! The network: every rack loses some collections (1 to 10 %), some in bursts; switches fail and
//! take their racks along; the hub's own link goes; nodes go down, reboot, and flap. A node is up or
//! not in truth; an alarm about one that is up is false.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{
    Breaker, Doubt, Excuse, NodeMemory, PaceMemory, Policy, assess, excuse, next_interval,
};
use sickbay_model::{
    Event, EventKind, Observation, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport,
    ResourceId, Timestamp, probe,
};

use crate::node::{Node, PROBES};

const NODES: usize = 200;
/// The first node of each rack is what the rest of it is behind.
const RACK: usize = 20;
const DAY: f64 = 86_400.0;
/// What a collection may take before it has failed.
const TIMEOUT: f64 = 5.0;
/// The plain monitor asks at the pace at which ours asks what is not well.
const PLAIN_INTERVAL: f64 = 5.0;
/// From the beginning of an outage to the alarm: the idle interval (66 s with jitter), and as many
/// failures as may be asked for (six), each with its timeout and the retry's interval.
const CONFIRM_TIME: f64 = 66.0 + 6.0 * (TIMEOUT + 5.5);

/// A repeatable stream of numbers (SplitMix64: Steele, Lea, Flood, 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// Stretches of time, ascending.
type Spans = Vec<(f64, f64)>;

fn within(spans: &[(f64, f64)], at: f64) -> Option<usize> {
    let place = spans.partition_point(|span| span.1 <= at);
    spans.get(place).is_some_and(|span| span.0 <= at).then_some(place)
}

/// What happens in a day.
struct World {
    /// Share of the collections that get lost, by rack.
    loss: Vec<f64>,
    /// When a node's way is bad (Gilbert–Elliott), and loses most of what is sent.
    bad: Vec<Spans>,
    /// When a node is down.
    down: Vec<Spans>,
    /// When the hub's own link is down.
    link: Spans,
    /// When a node's link comes and goes.
    flapping: Vec<Spans>,
}

/// What a bad way loses.
const BAD_LOSS: f64 = 0.7;
/// A flapping link: up for this long, then down for as long.
const FLAP: f64 = 17.0;

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let loss = vec![0.01, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.05, 0.05, 0.10];
        let mut bad = vec![Spans::new(); NODES];
        for way in &mut bad[60..140] {
            let mut at = dice.exponential(1800.0);
            while at < DAY {
                let end = at + dice.exponential(8.0);
                way.push((at, end));
                at = end + dice.exponential(1800.0);
            }
        }
        let link = vec![(9_000.0, 9_020.0), (30_000.0, 30_120.0), (60_000.0, 61_200.0)];
        let mut down = vec![Spans::new(); NODES];
        // The switches of four racks; their nodes are up behind them.
        for (rack, start, end) in [
            (1, 15_000.0, 15_400.0),
            (4, 40_000.0, 41_500.0),
            (7, 70_000.0, 70_100.0),
            (9, 80_000.0, 81_000.0),
        ] {
            down[rack * RACK].push((start, end));
        }
        // Down for good, down for a while, and reboots; never two at once on a node, and away from
        // what excuses them (when it ends, the count starts).
        for place in 0..40 {
            let node = 1 + place * 5;
            if node % RACK == 0 {
                continue;
            }
            let start =
                2_000.0 + dice.between(0.0, 5_000.0) + 20_000.0 * f64::from(place as u32 % 4);
            let lasts = match place % 3 {
                0 => dice.between(200.0, 400.0),
                1 => dice.between(600.0, 6_000.0),
                _ => DAY,
            };
            down[node].push((start, start + lasts));
        }
        let mut flapping = vec![Spans::new(); NODES];
        for node in [13, 53, 112] {
            flapping[node].push((50_000.0, 53_600.0));
        }
        Self { loss, bad, down, link, flapping }
    }

    fn is_up(&self, node: usize, at: f64) -> bool {
        within(&self.down[node], at).is_none()
    }

    /// Whether a collection that begins now comes through.
    fn answers(&self, node: usize, at: f64, dice: &mut Dice) -> bool {
        let switch = node / RACK * RACK;
        let flapped = within(&self.flapping[node], at).is_some_and(|_| (at / FLAP) as u64 % 2 == 1);
        let loss =
            if within(&self.bad[node], at).is_some() { BAD_LOSS } else { self.loss[node / RACK] };
        let lost = dice.unit() < loss;
        self.is_up(node, at)
            && self.is_up(switch, at)
            && within(&self.link, at).is_none()
            && !flapped
            && !lost
    }
}

/// What a monitor's alarms come to.
#[derive(Default)]
struct Tally {
    false_alarms: [usize; 4],
    true_alarms: usize,
    found: Vec<Option<f64>>,
}

/// Why a node that is up seems not to be.
const CAUSES: [&str; 4] = ["lost collections", "switch down", "hub's link down", "flapping link"];

struct Judge<'a> {
    world: &'a World,
    tally: Tally,
    /// The outages by node, as places in `tally.found`.
    outages: Vec<(usize, usize)>,
    /// Episodes of flapping that were told.
    flaps_told: Vec<usize>,
}

impl<'a> Judge<'a> {
    fn new(world: &'a World) -> Self {
        let outages = world
            .down
            .iter()
            .enumerate()
            .flat_map(|(node, spans)| (0..spans.len()).map(move |place| (node, place)))
            .collect::<Vec<_>>();
        let tally = Tally { found: vec![None; outages.len()], ..Tally::default() };
        Self { world, tally, outages, flaps_told: Vec::new() }
    }

    fn alarm(&mut self, node: usize, at: f64) {
        // The collection that confirmed it began before.
        let asked = at - TIMEOUT;
        let spans = &self.world.down[node];
        if let Some(place) = within(spans, asked).or_else(|| within(spans, at)) {
            let outage = self.outages.iter().position(|it| *it == (node, place));
            let found = &mut self.tally.found[outage.expect("every outage is listed")];
            self.tally.true_alarms += 1;
            found.get_or_insert(at - spans[place].0);
            return;
        }
        let recently =
            |spans: &[(f64, f64)]| (0..30).any(|s| within(spans, at - f64::from(s)).is_some());
        let cause = if recently(&self.world.link) {
            2
        } else if recently(&self.world.down[node / RACK * RACK]) {
            1
        } else if recently(&self.world.flapping[node]) {
            if !self.flaps_told.contains(&node) {
                // Something is wrong with it: right, once.
                self.flaps_told.push(node);
                self.tally.true_alarms += 1;
                return;
            }
            3
        } else {
            0
        };
        self.tally.false_alarms[cause] += 1;
    }

    /// Outages that last longer than it may take to confirm them and were not told in that time.
    fn missed(&self, confirm_time: f64) -> usize {
        let late = |&(place, &(node, span)): &(usize, &(usize, usize))| {
            let (start, end) = self.world.down[node][span];
            let told = self.tally.found[place].is_some_and(|after| after <= confirm_time);
            end.min(DAY) - start > confirm_time && !told
        };
        self.outages.iter().enumerate().filter(late).count()
    }

    fn latest(&self) -> f64 {
        self.tally.found.iter().flatten().copied().fold(0.0, f64::max)
    }
}

/// Asks every node every few seconds; three misses in a row are an alarm.
fn plain(world: &World, interval: f64) -> Judge<'_> {
    let mut judge = Judge::new(world);
    for node in 0..NODES {
        let mut dice = Dice(node as u64 + 1);
        let (mut misses, mut at) = (0_u32, dice.between(0.0, interval));
        while at < DAY {
            if world.answers(node, at, &mut dice) {
                misses = 0;
            } else {
                misses += 1;
                if misses == 3 {
                    judge.alarm(node, at + TIMEOUT.min(interval));
                }
            }
            at += interval;
        }
    }
    judge
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ended { answered: bool },
    Ask,
}

struct Watched {
    id: ResourceId,
    memory: NodeMemory,
    pace: PaceMemory,
    breaker: Breaker,
    dice: Dice,
    /// When it is asked next; steps of earlier plans are void.
    due_ms: u64,
    running: bool,
    failing: bool,
    polls: u64,
}

/// Sickbay's parts, put together as the hub does.
struct Hub<'a> {
    world: &'a World,
    policy: Policy,
    nodes: Vec<Watched>,
    doubt: Doubt,
    steps: BinaryHeap<Reverse<(u64, usize, Step)>>,
    answered: Observation,
    failed: Observation,
    judge: Judge<'a>,
    doubts: Vec<f64>,
    polls: u64,
}

fn time(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_800_000_000_000).plus(Duration::from_millis(ms))
}

impl<'a> Hub<'a> {
    fn new(world: &'a World) -> Self {
        let mut failed = bare_observation();
        let error = ProbeError {
            kind: ProbeErrorKind::Unreachable,
            message: "no answer for 5 s".to_owned(),
            advice: None,
        };
        failed.probes.retain(|report| report.probe == probe::REACHABLE);
        failed.probes[0].outcome = ProbeOutcome::Failed(error);
        let mut hub = Self {
            world,
            policy: Policy::default(),
            nodes: Vec::new(),
            doubt: Doubt::default(),
            steps: BinaryHeap::new(),
            answered: bare_observation(),
            failed,
            judge: Judge::new(world),
            doubts: Vec::new(),
            polls: 0,
        };
        for node in 0..NODES {
            hub.nodes.push(Watched {
                id: ResourceId::node(&format!("n{node}")).expect("a valid name"),
                memory: NodeMemory::default(),
                pace: PaceMemory::default(),
                breaker: Breaker::default(),
                dice: Dice(node as u64 + 1),
                due_ms: 0,
                running: false,
                failing: false,
                polls: 0,
            });
            hub.plan(node, node as u64 * 25);
        }
        hub
    }

    fn plan(&mut self, node: usize, at_ms: u64) {
        self.nodes[node].due_ms = at_ms;
        self.steps.push(Reverse((at_ms, node, Step::Ask)));
    }

    /// Asks a node now rather than when it is due, unless its breaker is open.
    fn hurry(&mut self, node: usize, now_ms: u64) {
        let watched = &self.nodes[node];
        if !watched.running && watched.due_ms > now_ms && watched.breaker.probe_at().is_none() {
            self.plan(node, now_ms);
        }
    }

    fn run(mut self) -> Self {
        while let Some(Reverse((now_ms, node, step))) = self.steps.pop() {
            if now_ms as f64 / 1000.0 >= DAY {
                break;
            }
            match step {
                Step::Ask => self.ask(node, now_ms),
                Step::Ended { answered } => self.ended(node, now_ms, answered),
            }
        }
        self
    }

    fn ask(&mut self, node: usize, now_ms: u64) {
        let watched = &mut self.nodes[node];
        if watched.due_ms != now_ms || watched.running {
            return;
        }
        let now = time(now_ms);
        if !watched.breaker.ask(&self.policy.breaker, now).0 {
            let probe_at = watched.breaker.probe_at().expect("an open breaker has a time");
            let wait = u64::try_from(probe_at.since(now).as_millis()).expect("short");
            self.plan(node, now_ms + wait.max(1));
            return;
        }
        (watched.running, watched.polls) = (true, watched.polls + 1);
        self.polls += 1;
        let answered = self.world.answers(node, now_ms as f64 / 1000.0, &mut watched.dice);
        let stretched = TIMEOUT * self.doubt.stretch(&self.policy.doubt);
        let took = if answered { 100 } else { (stretched * 1000.0) as u64 };
        self.steps.push(Reverse((now_ms + took, node, Step::Ended { answered })));
    }

    fn ended(&mut self, node: usize, now_ms: u64, answered: bool) {
        let now = time(now_ms);
        let switch = node / RACK * RACK;
        self.nodes[node].running = false;
        self.nodes[node].failing = !answered;
        // An open breaker's probe says nothing of the observer.
        if self.nodes[node].breaker.state() == sickbay_engine::BreakerState::Closed {
            self.doubt.note(node as u64, now, answered);
        }
        if !answered || self.doubt.reason().is_some() {
            let asked =
                self.nodes.iter().filter(|it| it.breaker.probe_at().is_none()).count() as u32;
            if let Some(moved) = self.doubt.look(&self.policy.doubt, now, asked, Duration::ZERO)
                && moved.doubting
            {
                self.doubts.push(now_ms as f64 / 1000.0);
            }
            self.call_witnesses(node, now_ms, asked);
        }
        if !answered && node != switch {
            self.hurry(switch, now_ms);
        }
        let why = if answered {
            None
        } else if let Some(reason) = self.doubt.reason() {
            Some(Excuse::Observer(reason.to_owned()))
        } else if node != switch && self.nodes[switch].failing {
            Some(Excuse::Parent(self.nodes[switch].id.clone()))
        } else {
            None
        };
        let seed = self.nodes[node].dice.next();
        let Self { nodes, policy, .. } = self;
        let watched = &mut nodes[node];
        let mut busy = sickbay_engine::Busy { not_healthy: true, ..Default::default() };
        if let Some(why) = why {
            let told = excuse(&mut watched.memory, &watched.id, now, &why);
            assert_eq!(told.events, []);
            watched.breaker.excused(&policy.breaker, now, seed);
        } else {
            let observation = if answered { &mut self.answered } else { &mut self.failed };
            observation.at = now;
            observation.frame.at = now;
            for report in &mut observation.probes {
                report.at = now;
            }
            let verdict = assess(policy, &mut watched.memory, observation);
            busy = verdict.busy(false);
            if answered {
                watched.breaker.succeeded(now);
            } else if watched.memory.unreachable() {
                watched.breaker.failed(&policy.breaker, now, "no answer for 5 s", seed);
            } else {
                watched.breaker.failed_softly("no answer for 5 s");
            }
            if verdict.events.iter().any(is_alarm) {
                if std::env::var("DBG").is_ok() {
                    println!(
                        "DBG {} {:?}",
                        node / RACK,
                        verdict.events.iter().map(|e| e.message.clone()).collect::<Vec<_>>()
                    );
                }
                self.judge.alarm(node, now_ms as f64 / 1000.0);
            }
        }
        let watched = &mut self.nodes[node];
        let wait = next_interval(&self.policy.schedule, &mut watched.pace, busy, seed);
        let wait = u64::try_from(wait.as_millis()).expect("short");
        self.plan(node, now_ms + wait);
    }

    /// A few nodes that do not fail are asked at once.
    fn call_witnesses(&mut self, node: usize, now_ms: u64, asked: u32) {
        let wanted = self.doubt.witnesses(&self.policy.doubt, time(now_ms), asked);
        let others = (1..NODES).map(|step| (node + step * 37) % NODES);
        let well: Vec<_> =
            others.filter(|&it| !self.nodes[it].failing).take(wanted as usize).collect();
        for witness in well {
            self.hurry(witness, now_ms);
        }
    }
}

fn is_alarm(event: &Event) -> bool {
    event.kind == EventKind::HealthCheckFailed
        || event.kind == EventKind::LevelChanged
            && event.details.get("from").is_some_and(|from| from == "healthy")
}

/// A node with as little to judge as there may be, so that a day passes quickly.
fn bare_observation() -> Observation {
    let mut node = Node::well(0);
    node.readings.clear();
    node.inventory = sickbay_model::Inventory::default();
    let mut observation = node.observe(time(0));
    observation.frame = sickbay_model::Frame::empty(time(0));
    observation.inventory = Arc::default();
    observation.probes = PROBES
        .into_iter()
        .map(|probe| {
            let outcome = if probe == probe::REACHABLE || probe == probe::SENSORS {
                ProbeOutcome::Answered
            } else {
                ProbeOutcome::NotApplicable("not here".into())
            };
            ProbeReport { probe, outcome, at: time(0), took: Duration::ZERO }
        })
        .collect();
    observation
}

#[test]
fn it_does_not_cry_wolf_and_misses_nothing() {
    let world = World::new(42);
    let theirs = plain(&world, PLAIN_INTERVAL);
    let slowly = plain(&world, 30.0);
    let hub = Hub::new(&world).run();
    let ours = &hub.judge;
    println!("200 nodes, 24 h; the same network for all (a lost collection takes {TIMEOUT} s)");
    println!("{:<22}{:>16}{:>16}{:>16}", "", "3 misses, 5 s", "3 misses, 30 s", "sickbay");
    let all = [&theirs, &slowly, ours];
    let row = |name: &str, cells: [String; 3]| {
        println!("{name:<22}{:>16}{:>16}{:>16}", cells[0], cells[1], cells[2]);
    };
    for (place, cause) in CAUSES.iter().enumerate() {
        row(cause, all.map(|it| it.tally.false_alarms[place].to_string()));
    }
    let false_alarms = all.map(|it| it.tally.false_alarms.iter().sum::<usize>());
    row("false alarms", false_alarms.map(|count| count.to_string()));
    row("true alarms", all.map(|it| it.tally.true_alarms.to_string()));
    row("outages", all.map(|it| it.outages.len().to_string()));
    row("not told in time", all.map(|it| it.missed(CONFIRM_TIME).to_string()));
    row("latest alarm (s)", all.map(|it| format!("{:.0}", it.latest())));
    let plain_polls = (DAY / PLAIN_INTERVAL) as u64 * NODES as u64;
    row("collections", [plain_polls, plain_polls * 5 / 30, hub.polls].map(|it| it.to_string()));
    println!("doubts of the hub: {:?}", hub.doubts);
    println!(
        "false alarms, ours of theirs: {:.2} %",
        100.0 * false_alarms[2] as f64 / false_alarms[0] as f64
    );
    assert!(false_alarms[2] * 10 <= false_alarms[0], "{false_alarms:?}");
    assert!(false_alarms[2] * 10 <= false_alarms[1], "{false_alarms:?}");
    assert_eq!(ours.missed(CONFIRM_TIME), 0);
    assert_eq!(hub.doubts.len(), world.link.len(), "one alert for each loss of the hub's link");
}
