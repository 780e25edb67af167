//! What happens to 200 nodes and the network between them and the hub, in a day.

use super::{DAY, NODES, RACK};

/// A repeatable stream of numbers (SplitMix64: Steele, Lea, Flood, 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// Stretches of time, ascending.
pub(super) type Spans = Vec<(f64, f64)>;

pub(super) fn within(spans: &[(f64, f64)], at: f64) -> Option<usize> {
    if spans.is_empty() {
        return None;
    }
    let place = spans.partition_point(|span| span.1 <= at);
    spans.get(place).is_some_and(|span| span.0 <= at).then_some(place)
}

/// What happens in a day.
pub(super) struct World {
    /// Share of the collections that get lost, by rack.
    pub(super) loss: Vec<f64>,
    /// When a node's way is bad (Gilbert–Elliott), and loses most of what is sent.
    pub(super) bad: Vec<Spans>,
    /// When a node is down.
    pub(super) down: Vec<Spans>,
    /// When the hub's own link is down.
    pub(super) link: Spans,
    /// When a node's link comes and goes.
    pub(super) flapping: Vec<Spans>,
}

/// What a bad way loses.
pub(super) const BAD_LOSS: f64 = 0.7;
/// A flapping link: up for this long, then down for as long.
pub(super) const FLAP: f64 = 17.0;

impl World {
    pub(super) fn new(seed: u64) -> Self {
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

    pub(super) fn is_up(&self, node: usize, at: f64) -> bool {
        within(&self.down[node], at).is_none()
    }

    /// Whether a collection that begins now comes through.
    pub(super) fn answers(&self, node: usize, at: f64, dice: &mut Dice) -> bool {
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
