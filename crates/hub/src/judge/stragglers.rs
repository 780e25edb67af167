//! Remembers what the nodes at work did in the last minutes, and compares those that do the same.
//!
//! Every minute, once all of them had time to end the last one. A search through a large fleet is done
//! in slices, so that the loop comes round to other causes; what it found reaches a node's verdict
//! with the node's next collection.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sickbay_engine::outlier::{GroupOutcome, GroupSearch, Minute, PeerWindow, Scratch, groups};
use sickbay_engine::{Assessment, PeerComparison};
use sickbay_model::{Observation, Resource, ResourceId, Timestamp};

use super::Judge;
use super::asking::Reach;
use crate::view::{self, Compared};

/// How far into a minute the one before is compared: nodes at work are asked every few seconds, and
/// have ended it by then.
const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// What comparing may take of a turn. One metric of 8000 GPUs takes some 1.5 ms.
const SLICE: Duration = Duration::from_millis(20);

/// What is remembered of nodes at work, and the search through them.
#[derive(Default)]
pub(super) struct Stragglers {
    /// By the node's number.
    windows: HashMap<u64, PeerWindow>,
    /// The minute in which was last searched.
    searched: Option<Minute>,
    search: Option<Search>,
    scratch: Scratch,
}

/// A search that is under way.
struct Search {
    at: Timestamp,
    left: VecDeque<(GroupSearch, bool)>,
    done: Vec<Compared>,
}

impl Stragglers {
    /// Takes in a collection: a node on which nobody works is forgotten.
    pub(super) fn observe(
        &mut self,
        policy: &sickbay_engine::Policy,
        number: u64,
        resource: &Resource,
        observation: &Observation,
        assessment: &Assessment,
    ) {
        if !assessment.active || !policy.outlier.enabled {
            self.windows.remove(&number);
        } else if number > 0 && matches!(Reach::of(observation), Reach::Reached) {
            let window = self.windows.entry(number).or_default();
            // Nothing that is read of a node tells how long its steps take; that has to be pushed.
            let step_time = None;
            window.observe(&policy.outlier, &resource.labels, observation, step_time);
        }
    }

    pub(super) fn forget(&mut self, number: u64) {
        self.windows.remove(&number);
    }
}

impl Judge {
    /// When comparing is to go on; none if it is only to begin with a later minute.
    pub(crate) fn comparing_due(&self) -> Option<Duration> {
        self.stragglers.search.as_ref().map(|_| self.clock.monotonic())
    }

    /// Compares those that do the same work, if it is time to, for as long as a turn may take.
    pub(crate) fn compare_peers(&mut self) {
        self.compare_peers_for(SLICE);
    }

    fn compare_peers_for(&mut self, slice: Duration) {
        let now = self.now();
        let policy = &self.policy.outlier;
        let Stragglers { windows, searched, search, scratch } = &mut self.stragglers;
        let mut current = match search.take() {
            Some(search) => search,
            None => {
                let minute = Minute::of(now);
                if *searched == Some(minute) || now.since(minute.start()) < SETTLED_AFTER {
                    return;
                }
                *searched = Some(minute);
                let known = windows.iter().map(|(number, window)| (*number, window));
                let groups = groups(policy, known).into_iter();
                let left = groups.map(|group| (GroupSearch::new(group, now), false)).collect();
                Search { at: now, left, done: Vec::new() }
            }
        };
        let window = |number: u64| windows.get(&number);
        let end = self.clock.monotonic() + slice;
        while let Some((mut group, within_node)) = current.left.pop_front() {
            if group.step(policy, window, scratch) {
                current.left.push_front((group, within_node));
            } else {
                let parts = group.group().clone();
                let verdict = group.finish(policy, window);
                let mixed = matches!(verdict.outcome, GroupOutcome::Mixed { .. });
                if mixed && parts.model.is_some() && parts.nodes > 1 {
                    // Each node's own GPUs may do the same work all the same.
                    let least = policy.least_peers as usize + 1;
                    let own = parts.by_node(least).into_iter();
                    current.left.extend(own.map(|it| (GroupSearch::new(it, current.at), true)));
                }
                current.done.push(Compared { group: parts, verdict, within_node });
            }
            if self.clock.monotonic() >= end && !current.left.is_empty() {
                *search = Some(current);
                return;
            }
        }
        self.take_in_comparisons(current.at, &current.done);
    }

    /// Hands to each node how it compares, and publishes the whole.
    fn take_in_comparisons(&mut self, at: Timestamp, all: &[Compared]) {
        let mut by_node: HashMap<u64, Option<BTreeMap<Option<u16>, PeerComparison>>> =
            HashMap::new();
        for Compared { group, verdict, .. } in all {
            for member in &group.members {
                let entry = by_node.entry(member.node).or_insert_with(|| Some(BTreeMap::new()));
                if verdict.outcome == GroupOutcome::TooNew {
                    // What was found before, by an earlier hub perhaps, stands meanwhile.
                    *entry = None;
                }
            }
            if verdict.outcome != GroupOutcome::Compared {
                continue;
            }
            for member in &verdict.compared {
                if let Some(Some(compared)) = by_node.get_mut(&member.node) {
                    compared.entry(member.gpu).or_insert_with(|| well(member.gpu));
                }
            }
            for outlier in &verdict.outliers {
                if let Some(Some(compared)) = by_node.get_mut(&outlier.member.node) {
                    let comparison = PeerComparison {
                        gpu: outlier.member.gpu,
                        cause: Some(outlier.cause),
                        departures: outlier.departures.clone(),
                        throttled_percent: outlier.throttled_percent,
                    };
                    compared.insert(outlier.member.gpu, comparison);
                }
            }
        }
        for node in self.nodes.values_mut() {
            if let Some(Some(compared)) = by_node.remove(&node.number) {
                node.memory.compare(at, compared.into_values().collect());
            }
        }
        let names: HashMap<u64, &ResourceId> =
            self.nodes.iter().map(|(id, node)| (node.number, id)).collect();
        let shown =
            view::stragglers(&self.policy.outlier, at, all, |number| names.get(&number).copied());
        self.pending.stragglers = Some(Arc::new(shown));
    }
}

fn well(gpu: Option<u16>) -> PeerComparison {
    PeerComparison { gpu, cause: None, departures: Vec::new(), throttled_percent: 0.0 }
}

#[cfg(test)]
mod tests;
