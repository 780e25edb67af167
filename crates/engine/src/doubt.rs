//! Doubt of the observer: when most of a fleet falls silent at once, the hub suspects itself.
//!
//! Pure; fed with how each collection ended. While in doubt, a node that does not answer is unknown
//! (observer) and nobody is told of it alone; one event tells of the hub. Timeouts stretch.
//!
//! What counts is what *changed*: a node speaks against the observer if it failed for the first time
//! within the window and has failed since. A node that was down before says nothing either way, so a
//! fleet of which most is dead for days is not in doubt. The share is taken over every stretch of
//! time that ends now and lies within the window: what was reached before the trouble began does not
//! dilute it.
//!
//! Doubt ends when few of the suspects are left, or when it has become clear that they are down: none
//! came back for ten windows while others were reached all along. While nobody is reached at all the
//! observer stays the suspect.
//!
//! **Does not**: decide what is asked. The caller leaves out what it does not ask (open breakers, the
//! machine it runs on), and asks a few more nodes when it is told to ([`Doubt::witnesses`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{ResourceId, Timestamp};

use crate::policy::seconds;

/// The most nodes that are remembered. Those beyond are not counted: with this many, no sample
/// decides.
const MAX_NODES: usize = 16_384;
/// Into how many parts the window is cut to find when the trouble began.
const PARTS: u32 = 30;
/// The least share of the watched nodes that must have been asked since the trouble began: fewer
/// could be one rack.
const LEAST_ASKED_PERCENT: f64 = 10.0;
/// How long suspects must have stayed away, in windows, to be believed to be down.
const SETTLED_WINDOWS: u32 = 10;
/// The least share of the asked nodes that must be reached for that, in percent.
const SETTLED_REACHED_PERCENT: f64 = 10.0;
/// Two looks at the lag count as two if this much time lies between them.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// By how much a step stretches timeouts; there is a step every third of a window.
const STRETCH_STEP: f64 = 2.0;

/// When the observer doubts itself (health model).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoubtPolicy {
    /// Share of the asked nodes that must fail within the window, in percent: 50 ("most of the
    /// fleet"; health model).
    pub failed_percent: f64,
    /// With fewer nodes than this there is no fleet to compare with: 5 (ours).
    pub least_nodes: u32,
    /// The window that counts as one sweep: 30 s (ours: longer than three failures in a row take).
    #[serde(with = "seconds", rename = "window_seconds")]
    pub window: Duration,
    /// The hub's own lag that makes it doubt: 10 s (ours: two active intervals).
    #[serde(with = "seconds", rename = "lag_seconds")]
    pub lag: Duration,
    /// How far timeouts are stretched at most: 8 (health model).
    pub longest_stretch: f64,
}

impl Default for DoubtPolicy {
    fn default() -> Self {
        Self {
            failed_percent: 50.0,
            least_nodes: 5,
            window: Duration::from_secs(30),
            lag: Duration::from_secs(10),
            longest_stretch: 8.0,
        }
    }
}

/// Why a silent node is not blamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// The node behind which it is cannot be reached.
    Parent(ResourceId),
    /// The hub doubts itself; why, as a fragment.
    Observer(String),
}

/// The observer's doubt began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct DoubtMove {
    /// Whether it doubts now.
    pub doubting: bool,
    /// Why, as a fragment.
    pub reason: String,
}

/// What the observer remembers in order to doubt itself.
#[derive(Clone, Debug, Default)]
pub struct Doubt {
    /// How each node's newest collection ended, by the node's number.
    nodes: Vec<Seen>,
    /// The doubt, while there is one.
    held: Option<Held>,
    /// When the lag was first found over the line, without a look under it since.
    lagging_since: Option<Timestamp>,
    /// By how much timeouts are stretched; below one before the first step.
    stretched: f64,
    /// When that was last changed.
    stretched_at: Timestamp,
}

/// How a node's newest collection ended.
#[derive(Clone, Copy, Debug)]
struct Seen {
    node: u64,
    at: Timestamp,
    /// Since when it fails; none if it was reached.
    failing_since: Option<Timestamp>,
    /// It is believed to be down by itself, and says nothing about the observer.
    accepted: bool,
}

/// A doubt that began.
#[derive(Clone, Debug)]
struct Held {
    began: Timestamp,
    /// When a suspect last came back.
    last_return: Timestamp,
    reason: String,
}

/// What the nodes say.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    reached: u32,
    failed: u32,
}

impl Count {
    fn asked(self) -> u32 {
        self.reached + self.failed
    }

    fn is_failed(self, percent: f64) -> bool {
        f64::from(self.failed) * 100.0 >= percent * f64::from(self.asked().max(1))
    }
}

impl Doubt {
    /// A collection of one node ended: whether the node was reached. `node` is any number that
    /// stands for the node.
    pub fn note(&mut self, node: u64, now: Timestamp, reached: bool) {
        let place = match self.nodes.binary_search_by_key(&node, |seen| seen.node) {
            Ok(place) => place,
            Err(_) if self.nodes.len() >= MAX_NODES => return,
            Err(place) => {
                let seen = Seen { node, at: now, failing_since: None, accepted: false };
                self.nodes.insert(place, seen);
                place
            }
        };
        let Some(seen) = self.nodes.get_mut(place) else { return };
        seen.at = now;
        if !reached {
            // The clock was set back: count from now.
            seen.failing_since = Some(seen.failing_since.map_or(now, |since| since.min(now)));
            return;
        }
        let was_suspect = seen.failing_since.take().is_some() && !seen.accepted;
        seen.accepted = false;
        if let Some(held) = &mut self.held
            && was_suspect
        {
            held.last_return = now;
        }
    }

    /// A node is not watched any more.
    pub fn forget(&mut self, node: u64) {
        self.nodes.retain(|seen| seen.node != node);
    }

    /// Looks at what was noted. `nodes` is how many are watched and asked (not local, breaker not
    /// open), `lag` how late the hub runs.
    pub fn look(
        &mut self,
        policy: &DoubtPolicy,
        now: Timestamp,
        nodes: u32,
        lag: Duration,
    ) -> Option<DoubtMove> {
        let lagging = self.lags(policy, now, lag);
        let moved = match &self.held {
            None => self.begin(policy, now, nodes, lagging.then_some(lag)),
            Some(_) => self.end(policy, now, lag),
        };
        self.step(policy, now);
        moved
    }

    /// Why the hub doubts itself now, as a fragment; none if it does not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.held.as_ref().map(|held| held.reason.as_str())
    }

    /// By how much timeouts are to be stretched now: 1 without doubt. Doubles with every third of a
    /// window in doubt, and shrinks again as fast.
    #[must_use]
    pub fn stretch(&self, policy: &DoubtPolicy) -> f64 {
        self.stretched.min(policy.longest_stretch).max(1.0)
    }

    /// How many nodes that do not fail should be asked now, because a failure is fresh and too few
    /// others were asked since to tell whose fault it is. Zero when nothing is suspected, in doubt,
    /// and where there is no fleet to compare with.
    #[must_use]
    pub fn witnesses(&self, policy: &DoubtPolicy, now: Timestamp, nodes: u32) -> u32 {
        if self.held.is_some() || nodes < policy.least_nodes {
            return 0;
        }
        let fresh = |seen: &&Seen| seen.is_suspect(now, policy.window);
        let newest = self.nodes.iter().filter(fresh).filter_map(|seen| seen.failing_since).max();
        let Some(newest) = newest else { return 0 };
        let since = self
            .nodes
            .iter()
            .filter(|seen| seen.at >= newest && (seen.failing_since.is_none() || fresh(seen)));
        let asked = u32::try_from(since.count()).unwrap_or(u32::MAX);
        enough(policy, nodes).saturating_sub(asked)
    }

    fn begin(
        &mut self,
        policy: &DoubtPolicy,
        now: Timestamp,
        nodes: u32,
        lag: Option<Duration>,
    ) -> Option<DoubtMove> {
        let reason = if let Some(lag) = lag {
            format!("the hub runs {} s late", lag.as_secs())
        } else {
            let count = self.most_failed(policy, now, nodes)?;
            let window = policy.window.as_secs();
            format!(
                "{} of {} nodes that were asked fell silent within {window} s",
                count.failed,
                count.asked()
            )
        };
        self.held = Some(Held { began: now, last_return: now, reason: reason.clone() });
        Some(DoubtMove { doubting: true, reason })
    }

    /// The stretch of time up to now in which enough of the nodes that were asked failed.
    fn most_failed(&self, policy: &DoubtPolicy, now: Timestamp, nodes: u32) -> Option<Count> {
        if nodes < policy.least_nodes {
            return None;
        }
        let mut parts = [Count::default(); PARTS as usize];
        let part_ms = (policy.window.as_millis() / u128::from(PARTS)).max(1);
        let part = |at: Timestamp| {
            usize::try_from(now.since(at).as_millis() / part_ms).unwrap_or(usize::MAX)
        };
        for seen in &self.nodes {
            let suspect = seen.is_suspect(now, policy.window);
            let place = match seen.failing_since {
                None => part(seen.at),
                Some(since) if suspect => part(since),
                Some(_) => continue,
            };
            if let Some(count) = parts.get_mut(place) {
                count.failed += u32::from(suspect);
                count.reached += u32::from(!suspect);
            }
        }
        let enough = enough(policy, nodes);
        // Few failures are everyday life, also if few were asked.
        let least = policy.least_nodes.min(share(nodes, policy.failed_percent));
        let mut sum = Count::default();
        parts.into_iter().find_map(|count| {
            sum.failed += count.failed;
            sum.reached += count.reached;
            let most = sum.failed >= least && sum.is_failed(policy.failed_percent);
            (most && sum.asked() >= enough).then_some(sum)
        })
    }

    fn end(&mut self, policy: &DoubtPolicy, now: Timestamp, lag: Duration) -> Option<DoubtMove> {
        let held = self.held.as_mut()?;
        // The clock was set back: count from now.
        (held.began, held.last_return) = (held.began.min(now), held.last_return.min(now));
        if lag.saturating_mul(2) >= policy.lag {
            return None;
        }
        // A node that fails since before the doubt is none of its business; one that began to fail
        // later is.
        let from = held.began.minus(policy.window);
        let mut count = Count::default();
        for seen in &self.nodes {
            match seen.failing_since {
                // What was reached before tells nothing of now.
                None => count.reached += u32::from(seen.at >= held.began),
                Some(since) => count.failed += u32::from(!seen.accepted && since >= from),
            }
        }
        let settled = now.since(held.last_return) >= policy.window * SETTLED_WINDOWS
            && !count.is_failed(100.0 - SETTLED_REACHED_PERCENT);
        let reason = if count.failed == 0 {
            "all that fell silent were reached again".to_owned()
        } else if !count.is_failed(policy.failed_percent / 2.0) {
            format!("{} of {} nodes are reached again", count.reached, count.asked())
        } else if settled {
            format!(
                "{} of {} nodes are reached all along: the others are down",
                count.reached,
                count.asked()
            )
        } else {
            return None;
        };
        self.held = None;
        for seen in &mut self.nodes {
            seen.accepted |= seen.failing_since.is_some();
        }
        Some(DoubtMove { doubting: false, reason })
    }

    /// Whether the lag was over the line at two looks.
    fn lags(&mut self, policy: &DoubtPolicy, now: Timestamp, lag: Duration) -> bool {
        if lag < policy.lag {
            self.lagging_since = None;
            return false;
        }
        let since = *self.lagging_since.get_or_insert(now);
        self.lagging_since = Some(since.min(now));
        now.since(since) >= BETWEEN_LOOKS
    }

    fn step(&mut self, policy: &DoubtPolicy, now: Timestamp) {
        self.stretched_at = self.stretched_at.min(now);
        if now.since(self.stretched_at) < policy.window / 3 {
            return;
        }
        let now_stretched = self.stretch(policy);
        let next = if self.held.is_some() {
            (now_stretched * STRETCH_STEP).min(policy.longest_stretch)
        } else {
            now_stretched / STRETCH_STEP
        };
        let next = next.max(1.0);
        if (next - now_stretched).abs() > f64::EPSILON {
            (self.stretched, self.stretched_at) = (next, now);
        }
    }
}

impl Seen {
    /// Whether it speaks against the observer: it began to fail within the window.
    fn is_suspect(&self, now: Timestamp, window: Duration) -> bool {
        !self.accepted && self.failing_since.is_some_and(|since| now.since(since) <= window)
    }
}

/// How many nodes must have been asked for their word to count.
fn enough(policy: &DoubtPolicy, nodes: u32) -> u32 {
    policy.least_nodes.max(share(nodes, LEAST_ASKED_PERCENT))
}

/// A share of the nodes, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is no more than the number of nodes"
)]
fn share(nodes: u32, percent: f64) -> u32 {
    (f64::from(nodes) * percent / 100.0).ceil() as u32
}

#[cfg(test)]
mod tests;
