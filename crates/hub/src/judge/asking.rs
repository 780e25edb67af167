//! Whether a node is asked, and who is to blame when it does not answer: breakers, parents, and the
//! hub's doubt of itself. The engine decides; here is what it is asked with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::{
    Breaker, BreakerCounts, BreakerMove, BreakerState, DoubtMove, Excuse, RecoveryCounts, excuse,
    sentence,
};
use sickbay_model::{
    Event, EventId, EventKind, NodeDefinition, Observation, ProbeOutcome, ResourceId, Timestamp,
    probe,
};

use super::{Judge, Node, jitter_seed};
use crate::fleet::NodeEntry;

/// An outage behind a breaker counts as a recovery to be made for this long after it ended.
const RECOVERY_WINDOW: Duration = Duration::from_secs(3600);

/// How often a node behind an unreachable parent is asked: its parent's return hurries it anyway.
const BEHIND_PARENT_INTERVAL: Duration = Duration::from_secs(60);

/// How a collection went, as seen from the network.
pub(super) enum Reach {
    Reached,
    /// Not reached; why.
    Failed(String),
    /// It was not tried.
    Untried,
}

impl Reach {
    pub(super) fn of(observation: &Observation) -> Self {
        let report = observation.probes.iter().find(|report| report.probe == probe::REACHABLE);
        match report.map(|report| &report.outcome) {
            Some(ProbeOutcome::Answered | ProbeOutcome::Partial(_)) => Self::Reached,
            Some(ProbeOutcome::Failed(error)) => Self::Failed(error.message.clone()),
            Some(ProbeOutcome::NotApplicable(_)) | None => Self::Untried,
        }
    }
}

impl Judge {
    /// Expects collections of a node from now on: if none comes, it is unknown and not absent. What
    /// is known of it stays. `definition`: none for the hub's own machine.
    pub(crate) fn watch(
        &mut self,
        id: &ResourceId,
        definition: Option<Arc<NodeDefinition>>,
        parents: Vec<ResourceId>,
    ) {
        let (now, interval) = (self.clock.monotonic(), self.policy.schedule.active_interval);
        let number = self.next_number;
        let node = self.nodes.entry(id.clone()).or_insert_with(|| Node::watched(now, interval));
        if node.number == 0 {
            node.number = number;
            self.next_number += 1;
        }
        node.memory.expect(
            definition.as_ref().map(|definition| definition.expected.clone()).unwrap_or_default(),
        );
        node.breaker = definition.is_some().then(|| node.breaker.take().unwrap_or_default());
        (node.definition, node.parents) = (definition, parents);
        self.enter(id);
    }

    /// Forgets a node, and with it its parts; its history stays.
    pub(crate) fn unwatch(&mut self, id: &ResourceId) {
        let Some(node) = self.nodes.remove(id) else { return };
        self.doubt.forget(node.number);
        self.stragglers.forget(node.number);
        if let Some(count) = node.entered.as_ref().and_then(|it| count_of(&mut self.breakers, it)) {
            *count = count.saturating_sub(1);
        }
        let parts = node.known.iter().map(|(id, _)| id.clone());
        let all: BTreeSet<ResourceId> = parts.chain([id.clone()]).collect();
        self.pending.hide(all);
        self.pending.node(id, None);
        self.pending.batch.removed.push(id.clone());
        self.publish();
    }

    /// Publishes a node's definition and breaker, if they are not what was published.
    fn enter(&mut self, id: &ResourceId) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let entry =
            NodeEntry { definition: node.definition.clone(), breaker: node.breaker.clone() };
        if node.entered.as_ref() != Some(&entry) {
            if let Some(count) =
                node.entered.as_ref().and_then(|it| count_of(&mut self.breakers, it))
            {
                *count = count.saturating_sub(1);
            }
            if let Some(count) = count_of(&mut self.breakers, &entry) {
                *count += 1;
            }
            self.pending.node(id, Some(entry.clone()));
            node.entered = Some(entry);
        }
    }

    /// Says that a node is about to be asked. If it is not to be: when it may be.
    pub(crate) fn ask(&mut self, id: &ResourceId) -> Result<(), Duration> {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(id) else { return Ok(()) };
        let Some(breaker) = &mut node.breaker else { return Ok(()) };
        let (may, moved) = breaker.ask(&self.policy.breaker, now);
        let wait = breaker.probe_at().map_or(Duration::ZERO, |at| at.since(now));
        if !may {
            (node.heard, node.interval) = (self.clock.monotonic(), wait);
        }
        self.breaker_moved(id, now, moved);
        if may { Ok(()) } else { Err(wait.max(Duration::from_millis(100))) }
    }

    /// Takes note of how a collection went, before any of those that ended together is judged: who is
    /// to blame is decided over all of them. Gives the nodes that should be asked now because of it.
    pub(crate) fn note(&mut self, observation: &Observation) -> Vec<ResourceId> {
        let now = self.now();
        let Some(node) = self.nodes.get(&observation.resource) else { return Vec::new() };
        let reached = match Reach::of(observation) {
            Reach::Reached => true,
            Reach::Failed(_) => false,
            Reach::Untried => return Vec::new(),
        };
        if node.breaker.is_some() {
            self.doubt.note(node.number, now, reached);
        }
        self.concerned(&observation.resource, reached)
    }

    /// Looks whether the hub is to doubt itself. `lag`: how late it runs. Gives the nodes that should
    /// be asked now, to tell its own failure from theirs.
    pub(crate) fn look(&mut self, lag: Duration) -> Vec<ResourceId> {
        let now = self.now();
        let counts = self.breaker_counts().unwrap_or_default();
        let asked = counts.closed + counts.half_open;
        if let Some(moved) = self.doubt.look(&self.policy.doubt, now, asked, lag) {
            self.pending.system_changed = true;
            self.tell(vec![doubt_event(now, &moved)]);
        }
        let wanted = self.doubt.witnesses(&self.policy.doubt, now, asked);
        if wanted == 0 {
            return Vec::new();
        }
        let well = self
            .nodes
            .iter()
            .filter(|(_, node)| node.breaker.is_some() && node.reached == Some(true));
        let mut well: Vec<_> = well.map(|(id, node)| (node.heard, id)).collect();
        well.sort_unstable();
        well.into_iter().take(wanted as usize).map(|(_, id)| id.clone()).collect()
    }

    /// By how much timeouts are to be stretched now.
    pub(crate) fn stretch(&self) -> f64 {
        self.doubt.stretch(&self.policy.doubt)
    }

    /// Closes a node's breaker. `None`: there is no such node, or it is behind none.
    pub(crate) fn reset_breaker(&mut self, id: &ResourceId) -> Option<()> {
        let now = self.now();
        let node = self.nodes.get_mut(id)?;
        let moved = node.breaker.as_mut()?.reset(now);
        // A person ended this; it is not known yet whether the node came back.
        node.outage = None;
        self.breaker_moved(id, now, moved);
        Some(())
    }

    /// Why it is not the node's fault that it did not answer, if so. What was seen of it is told with
    /// it: where the hub doubts itself, that is what says why it should.
    pub(super) fn excuse_of(&self, id: &ResourceId, failure: &str) -> Option<Excuse> {
        let failing = |parent: &&ResourceId| {
            self.nodes.get(*parent).is_some_and(|node| node.reached == Some(false))
        };
        if let Some(parent) = self.nodes.get(id)?.parents.iter().find(failing) {
            return Some(Excuse::Parent(parent.clone()));
        }
        self.doubt.reason().map(|why| Excuse::Observer(format!("{why}; this one: {failure}")))
    }

    /// Shows a node that did not answer without fault of its own.
    pub(super) fn apply_excuse(&mut self, id: &ResourceId, why: &Excuse) -> Duration {
        let (at, now) = (self.now(), self.clock.monotonic());
        let Some(node) = self.nodes.get_mut(id) else { return Duration::ZERO };
        let silenced = excuse(&mut node.memory, id, at, why);
        node.collections += 1;
        let seed = jitter_seed(id, node.collections);
        if let Some(breaker) = &mut node.breaker {
            let moved = breaker.excused(&self.policy.breaker, at, seed);
            self.breaker_moved(id, at, moved);
        }
        let Some(node) = self.nodes.get_mut(id) else { return Duration::ZERO };
        let wait = node.breaker.as_ref().and_then(Breaker::probe_at).map(|until| until.since(at));
        let interval = wait.unwrap_or(match why {
            Excuse::Parent(_) => BEHIND_PARENT_INTERVAL.min(self.policy.schedule.idle_interval),
            Excuse::Observer(_) => self.policy.schedule.active_interval,
        });
        (node.heard, node.interval) = (now, interval);
        self.show_silenced(id, at, silenced);
        interval
    }

    /// Tells a node's breaker how a collection went that nobody excused. Gives the time until it may
    /// be asked again, if its breaker is open then.
    pub(super) fn feed_breaker(&mut self, id: &ResourceId, reach: &Reach) -> Option<Duration> {
        let now = self.now();
        let node = self.nodes.get_mut(id)?;
        let seed = jitter_seed(id, node.collections);
        let confirmed = node.memory.unreachable();
        let breaker = node.breaker.as_mut()?;
        let moved = match reach {
            Reach::Reached => breaker.succeeded(now),
            // A failure that may yet turn out to be a lost packet stops nobody from asking.
            Reach::Failed(why) if confirmed => breaker.failed(&self.policy.breaker, now, why, seed),
            Reach::Failed(why) => {
                breaker.failed_softly(why);
                None
            }
            Reach::Untried => None,
        };
        let wait = breaker.probe_at().map(|at| at.since(now));
        self.breaker_moved(id, now, moved);
        wait
    }

    fn breaker_moved(&mut self, id: &ResourceId, at: Timestamp, moved: Option<BreakerMove>) {
        let now = self.clock.monotonic();
        if let Some(node) = self.nodes.get_mut(id)
            && node.breaker.as_ref().is_some_and(|breaker| breaker.state() != BreakerState::Closed)
        {
            node.outage = Some(now);
        }
        self.enter(id);
        let Some(moved) = moved else { return };
        self.pending.system_changed = true;
        let details = [("from", moved.from.as_str()), ("to", moved.to.as_str())];
        let message = format!("Its breaker is {}: {}", words(moved.to), moved.reason);
        self.tell(vec![Event {
            id: EventId::default(),
            at,
            kind: EventKind::BreakerMoved,
            resource: Some(id.clone()),
            message: sentence(&message),
            details: details.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }]);
        // It must be open after a crash, too; and while it is, nothing else would save it.
        self.save_if_due(id, at, true);
    }

    /// Who should be asked at once because of how this node's collection went: its parents, of which
    /// it is not known that they fail, and those behind it once it is back.
    fn concerned(&mut self, id: &ResourceId, reached: bool) -> Vec<ResourceId> {
        let Some(node) = self.nodes.get_mut(id) else { return Vec::new() };
        let before = node.reached.replace(reached);
        match (before, reached) {
            (Some(true) | None, false) => node.parents.clone(),
            (Some(false), true) => {
                let behind = self
                    .nodes
                    .iter()
                    .filter(|(_, node)| node.reached == Some(false) && node.parents.contains(id));
                behind.map(|(id, _)| id.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Breakers by state; none where nothing is behind a breaker.
    pub(super) fn breaker_counts(&self) -> Option<BreakerCounts> {
        Some(self.breakers).filter(|counts| *counts != BreakerCounts::default())
    }

    /// Recoveries: every node that we had stopped asking within the last hour was to come back;
    /// those that answer again did. None where nothing is behind a breaker.
    pub(super) fn recovery_counts(&self) -> Option<RecoveryCounts> {
        self.breaker_counts()?;
        let now = self.clock.monotonic();
        let mut counts = RecoveryCounts::default();
        for node in self.nodes.values() {
            let Some(breaker) = &node.breaker else { continue };
            let closed = breaker.state() == BreakerState::Closed;
            let recent = |last: Duration| now.saturating_sub(last) < RECOVERY_WINDOW;
            if !closed || node.outage.is_some_and(recent) {
                counts.attempted += 1;
                counts.succeeded += u32::from(closed);
            }
        }
        Some(counts)
    }
}

/// Where a node's breaker is counted; nowhere if it is behind none.
fn count_of<'c>(counts: &'c mut BreakerCounts, entry: &NodeEntry) -> Option<&'c mut u32> {
    Some(match entry.breaker.as_ref()?.state() {
        BreakerState::Closed => &mut counts.closed,
        BreakerState::HalfOpen => &mut counts.half_open,
        BreakerState::Open => &mut counts.open,
    })
}

fn words(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}

fn doubt_event(at: Timestamp, moved: &DoubtMove) -> Event {
    let message = if moved.doubting {
        format!(
            "The hub doubts itself: {}. Nodes that do not answer are unknown for now",
            moved.reason
        )
    } else {
        format!("The hub trusts itself again: {}", moved.reason)
    };
    Event {
        id: EventId::default(),
        at,
        kind: EventKind::ObserverDoubt,
        resource: None,
        message: sentence(&message),
        details: BTreeMap::from([("doubting".to_owned(), moved.doubting.to_string())]),
    }
}
