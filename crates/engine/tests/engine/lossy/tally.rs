//! Who cried wolf, and who missed what.

use super::network::{World, within};
use super::{DAY, RACK, TIMEOUT};

/// What a monitor's alarms come to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) false_alarms: [usize; 4],
    pub(super) true_alarms: usize,
    pub(super) found: Vec<Option<f64>>,
}

/// Why a node that is up seems not to be.
pub(super) const CAUSES: [&str; 4] =
    ["lost collections", "switch down", "hub's link down", "flapping link"];

pub(super) struct Judge<'a> {
    pub(super) world: &'a World,
    pub(super) tally: Tally,
    /// The outages by node, as places in `tally.found`.
    pub(super) outages: Vec<(usize, usize)>,
    /// Episodes of flapping that were told.
    pub(super) flaps_told: Vec<usize>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        let outages = world
            .down
            .iter()
            .enumerate()
            .flat_map(|(node, spans)| (0..spans.len()).map(move |place| (node, place)))
            .collect::<Vec<_>>();
        let tally = Tally { found: vec![None; outages.len()], ..Tally::default() };
        Self { world, tally, outages, flaps_told: Vec::new() }
    }

    pub(super) fn alarm(&mut self, node: usize, at: f64) {
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
    pub(super) fn missed(&self, confirm_time: f64) -> usize {
        let late = |&(place, &(node, span)): &(usize, &(usize, usize))| {
            let (start, end) = self.world.down[node][span];
            let told = self.tally.found[place].is_some_and(|after| after <= confirm_time);
            end.min(DAY) - start > confirm_time && !told
        };
        self.outages.iter().enumerate().filter(late).count()
    }

    pub(super) fn latest(&self) -> f64 {
        self.tally.found.iter().flatten().copied().fold(0.0, f64::max)
    }
}
