//! What belongs to which node, and which nodes there is room for.
//!
//! Each node's own verdicts come first; what else is known of it (its parts, checks, probes and
//! readings) is shown whole or not at all: half a node reads like a whole one in which something is
//! missing. Nodes are taken by name, so that it is the same ones from scrape to scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_model::{Frame, ResourceId};

use super::{readings, verdicts};
use crate::fleet::{FleetSnapshot, NodeEntry};
use crate::known::KnownResource;

/// A node, or another resource that is part of none, and all that is shown of it.
pub(super) struct Group<'s> {
    pub(super) id: &'s ResourceId,
    pub(super) own: Option<&'s Arc<KnownResource>>,
    pub(super) entry: Option<&'s Arc<NodeEntry>>,
    pub(super) parts: Vec<(&'s ResourceId, &'s Arc<KnownResource>)>,
    /// Its newest readings, unless they are old.
    pub(super) frame: Option<&'s Arc<Frame>>,
}

impl<'s> Group<'s> {
    fn new(id: &'s ResourceId) -> Self {
        Self { id, own: None, entry: None, parts: Vec::new(), frame: None }
    }

    /// Itself, then its parts.
    pub(super) fn resources(
        &self,
    ) -> impl Iterator<Item = (&'s ResourceId, &'s Arc<KnownResource>)> {
        self.own.map(|own| (self.id, own)).into_iter().chain(self.parts.iter().copied())
    }

    /// Those of its resources of which something is known now.
    pub(super) fn fresh(&self) -> impl Iterator<Item = (&'s ResourceId, &'s Arc<KnownResource>)> {
        self.resources().filter(|(_, detail)| detail.summary.stale.is_none())
    }
}

/// What there is room for.
pub(super) struct Plan<'s> {
    /// Groups whose own verdicts are shown.
    pub(super) verdicts: Vec<Group<'s>>,
    /// How many of them, from the first, are shown with everything.
    pub(super) whole: usize,
    /// Series that are left out.
    pub(super) cut_series: usize,
    /// Groups that are left out or not shown whole.
    pub(super) cut_groups: usize,
}

/// Decides what is shown of a snapshot in at most `limit` series.
pub(super) fn plan(snapshot: &FleetSnapshot, limit: usize) -> Plan<'_> {
    let mut groups = groups(snapshot);
    let all = groups.len();
    let (shown, mut cut_series, room) = fitting(&groups, verdicts::count_own, limit);
    cut_series += groups.drain(shown..).map(|group| rest(&group)).sum::<usize>();
    let (whole, cut, _) = fitting(&groups, rest, room);
    cut_series += cut;
    Plan { whole, cut_series, cut_groups: all - whole, verdicts: groups }
}

/// How many groups fit, from the first; the series of those that do not; the room that is left.
fn fitting(
    groups: &[Group<'_>],
    count: fn(&Group<'_>) -> usize,
    mut room: usize,
) -> (usize, usize, usize) {
    let mut fit = 0;
    let mut cut = 0;
    for group in groups {
        let series = count(group);
        if cut == 0 && series <= room {
            room -= series;
            fit += 1;
        } else {
            cut += series;
        }
    }
    (fit, cut, room)
}

fn rest(group: &Group<'_>) -> usize {
    verdicts::count_rest(group) + readings::count(group)
}

fn groups(snapshot: &FleetSnapshot) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&ResourceId, Group<'_>> = BTreeMap::new();
    let mut parts = Vec::new();
    for (id, detail) in &snapshot.resources {
        let parent = detail.summary.parent.as_ref().filter(|_| !is_node(id));
        match parent.and_then(|parent| parent.parse::<ResourceId>().ok()) {
            Some(parent) if snapshot.resources.contains_key(&parent) => {
                parts.push((parent, id, detail));
            }
            _ => groups.entry(id).or_insert_with(|| Group::new(id)).own = Some(detail),
        }
    }
    for (parent, id, detail) in parts {
        match groups.get_mut(&parent) {
            Some(group) => group.parts.push((id, detail)),
            // A part of a part stands alone.
            None => groups.entry(id).or_insert_with(|| Group::new(id)).own = Some(detail),
        }
    }
    for (id, entry) in snapshot.nodes.iter() {
        groups.entry(id).or_insert_with(|| Group::new(id)).entry = Some(entry);
    }
    for (id, frame) in &snapshot.frames {
        let group = groups.entry(id).or_insert_with(|| Group::new(id));
        if group.own.is_none_or(|own| own.summary.stale.is_none()) {
            group.frame = Some(frame);
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    // Nodes before what is part of none.
    groups.sort_by_key(|group| !is_node(group.id));
    groups
}

fn is_node(id: &ResourceId) -> bool {
    id.kind() == sickbay_model::Kind::Node
}
