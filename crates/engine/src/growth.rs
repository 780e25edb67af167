//! By how much counters of errors grew lately.
//!
//! A count by itself is history; its growth is news. What must hold: a counter that goes back (a
//! reset, a reboot, an administrator) is begun with anew and gives no growth; everything is bounded.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{MetricId, Timestamp};

use crate::policy::HardwarePolicy;

/// The most counters that are followed on one node.
const MAX_COUNTERS: usize = 2048;
/// Into how many parts a window is divided: growth within one of them is one step.
const STEPS_PER_WINDOW: u32 = 20;
/// The most steps that are remembered of a counter.
const MAX_STEPS: usize = STEPS_PER_WINDOW as usize + 1;

/// The counters of one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Growths {
    known: Vec<Counter>,
    /// Where the next one is expected.
    #[serde(skip)]
    cursor: usize,
}

/// One counter.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counter {
    metric: MetricId,
    #[serde(default)]
    instance: Box<str>,
    /// Of how many counters it is the sum: another number of them is another counter.
    #[serde(default)]
    parts: u32,
    /// Its last value; none where it is begun with anew.
    #[serde(default)]
    last: Option<f64>,
    since: Timestamp,
    seen: Timestamp,
    /// When it grew and by how much, the newest last.
    #[serde(default)]
    steps: Vec<(Timestamp, f64)>,
}

/// One look at a counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) metric: MetricId,
    pub(crate) instance: &'a str,
    pub(crate) value: f64,
    /// Of how many counters the value is the sum.
    pub(crate) parts: u32,
    pub(crate) at: Timestamp,
    /// What lies further back is forgotten.
    pub(crate) window: Duration,
}

/// By how much a counter grew within its window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Grown {
    pub(crate) by: f64,
    /// In how many parts of the window, of twenty.
    pub(crate) steps: u32,
    /// For how long of the window it is known.
    pub(crate) over: Duration,
}

impl Grown {
    /// Whether errors that are normal one by one came in number, and not in one burst.
    pub(crate) fn is_steady(&self, policy: &HardwarePolicy) -> bool {
        self.by >= policy.error_growth && self.steps >= policy.error_steps
    }
}

impl Growths {
    /// Takes in a value, and says by how much it grew.
    pub(crate) fn look(&mut self, look: Look<'_>) -> Grown {
        let Some(counter) = self.find_or_add(&look) else { return Grown::default() };
        if counter.parts != look.parts || counter.since > look.at {
            *counter = Counter::new(&look);
        }
        let grown = counter.last.replace(look.value).map_or(0.0, |last| look.value - last);
        counter.seen = look.at;
        if grown > 0.0 {
            counter.grow(grown, &look);
        }
        counter.steps.retain(|(at, _)| look.at.since(*at) <= look.window && *at <= look.at);
        Grown {
            by: counter.steps.iter().map(|(_, by)| by).sum(),
            steps: u32::try_from(counter.steps.len()).unwrap_or(u32::MAX),
            over: look.at.since(counter.since).min(look.window),
        }
    }

    /// Begins with all of them anew, as after a reboot. What grew before did so.
    pub(crate) fn begin_anew(&mut self) {
        for counter in &mut self.known {
            counter.last = None;
        }
    }

    /// Begins with one counter anew.
    pub(crate) fn begin_anew_with(&mut self, metric: MetricId, instance: &str) {
        let is = |it: &&mut Counter| it.metric == metric && *it.instance == *instance;
        if let Some(counter) = self.known.iter_mut().find(is) {
            counter.last = None;
        }
    }

    fn find_or_add(&mut self, look: &Look<'_>) -> Option<&mut Counter> {
        let is = |it: &Counter| it.metric == look.metric && *it.instance == *look.instance;
        let place = match self.known.get(self.cursor) {
            Some(expected) if is(expected) => Some(self.cursor),
            _ => self.known.iter().position(is),
        };
        let place = match place {
            Some(place) => place,
            None => {
                if self.known.len() >= MAX_COUNTERS {
                    self.known.retain(|it| look.at.since(it.seen) <= look.window);
                }
                if self.known.len() >= MAX_COUNTERS {
                    return None;
                }
                self.known.push(Counter::new(look));
                self.known.len() - 1
            }
        };
        self.cursor = place + 1;
        self.known.get_mut(place)
    }
}

impl Counter {
    fn new(look: &Look<'_>) -> Self {
        Self {
            metric: look.metric,
            instance: look.instance.into(),
            parts: look.parts,
            last: None,
            since: look.at,
            seen: look.at,
            steps: Vec::new(),
        }
    }

    fn grow(&mut self, by: f64, look: &Look<'_>) {
        let step = look.window / STEPS_PER_WINDOW;
        let is_full = self.steps.len() >= MAX_STEPS;
        match self.steps.last_mut() {
            Some((at, sum)) if is_full || look.at.since(*at) < step => *sum += by,
            _ => self.steps.push((look.at, by)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(600);

    fn look(growths: &mut Growths, second: u64, value: f64, parts: u32) -> Grown {
        let at = Timestamp::from_unix_ms(1_800_000_000_000).plus(Duration::from_secs(second));
        let metric = sickbay_model::catalogue::INFINIBAND_SYMBOL_ERRORS;
        growths.look(Look { metric, instance: "mlx5_0/1", value, parts, at, window: WINDOW })
    }

    #[test]
    fn growth_counts_and_going_back_begins_anew() {
        let mut growths = Growths::default();
        for (second, value, parts, by, steps) in [
            (0, 40.0, 1, 0.0, 0),
            (10, 40.0, 1, 0.0, 0),
            (20, 45.0, 1, 5.0, 1),
            // Within the same part of the window it is the same step.
            (40, 50.0, 1, 10.0, 1),
            (60, 60.0, 1, 20.0, 2),
            // Cleared, and growing again.
            (70, 0.0, 1, 20.0, 2),
            (100, 3.0, 1, 23.0, 3),
            (659, 3.0, 1, 13.0, 2),
            (800, 3.0, 1, 0.0, 0),
            // The sum of other counters is another counter.
            (810, 900.0, 2, 0.0, 0),
        ] {
            let grown = look(&mut growths, second, value, parts);
            assert_eq!((grown.by, grown.steps), (by, steps), "at {second} s");
        }
        growths.begin_anew();
        assert_eq!(look(&mut growths, 820, 901.0, 2).by, 0.0, "a boot was in between");
    }

    #[test]
    fn it_is_bounded_and_survives_storage() {
        let mut growths = Growths::default();
        for second in 0..5000 {
            look(&mut growths, second, second as f64, 1);
        }
        assert!(growths.known.iter().all(|counter| counter.steps.len() <= MAX_STEPS));
        let at = Timestamp::from_unix_ms(1_800_000_000_000);
        for number in 0..2 * MAX_COUNTERS {
            growths.look(Look {
                metric: sickbay_model::catalogue::GPU_PCIE_REPLAYS,
                instance: &number.to_string(),
                value: 1.0,
                parts: 1,
                at,
                window: WINDOW,
            });
        }
        assert!(growths.known.len() <= MAX_COUNTERS);
        let stored = serde_json::to_string(&growths).expect("serialises");
        let read: Growths = serde_json::from_str(&stored).expect("reads");
        assert_eq!(read.known.len(), growths.known.len());
    }
}
