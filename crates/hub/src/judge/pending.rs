//! What was judged and is not published yet: published and written down together.
//!
//! A snapshot is a copy of the whole fleet, so it is not made for each collection but once for all
//! that were taken in meanwhile; in a large fleet at most every so often, so that copying stays below
//! a hundredth of a core however many nodes answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::{Event, Frame, ResourceId};
use sickbay_store::WriteBatch;
use sickbay_wire::v1::StragglersView;

use super::{Judge, log, number};
use crate::fleet::{Change, NodeEntry};
use crate::known::KnownResource;

/// A snapshot of so many resources is copied whenever there is something new: it takes some 25 µs.
const COPIED_AT_ONCE: u32 = 512;

/// The least time between two larger snapshots, for each resource in them: copying an entry and
/// dropping it again takes up to 0.5 µs where the caches are cold, so that copying takes half a
/// hundredth of a core, also while the fleet is idle and nothing else costs much.
const GAP_PER_RESOURCE: Duration = Duration::from_micros(100);

/// The longest that anything waits to be published.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// What is to be published and written; `None` stands for what is gone.
#[derive(Default)]
pub(super) struct Pending {
    resources: BTreeMap<ResourceId, Option<Arc<KnownResource>>>,
    frames: BTreeMap<ResourceId, Option<Arc<Frame>>>,
    nodes: BTreeMap<ResourceId, Option<Arc<NodeEntry>>>,
    changes: Vec<Change>,
    pub(super) batch: WriteBatch,
    /// Whether something changed that the system's score or the doubt is made of.
    pub(super) system_changed: bool,
    /// How the members of each job compare, if that is new.
    pub(super) stragglers: Option<Arc<StragglersView>>,
}

impl Pending {
    fn touches_snapshot(&self) -> bool {
        self.system_changed
            || self.stragglers.is_some()
            || !self.resources.is_empty()
            || !self.frames.is_empty()
            || !self.nodes.is_empty()
    }

    fn is_empty(&self) -> bool {
        !self.touches_snapshot() && self.changes.is_empty() && self.batch.is_empty()
    }

    /// What is shown of resources from now on.
    pub(super) fn show(&mut self, resources: &[(ResourceId, Arc<KnownResource>)]) {
        self.system_changed = true;
        for (id, known) in resources {
            self.resources.insert(id.clone(), Some(Arc::clone(known)));
            self.changes.push(Change::Resource(Arc::clone(known)));
        }
    }

    /// Resources that are not there any more.
    pub(super) fn hide(&mut self, ids: impl IntoIterator<Item = ResourceId>) {
        for id in ids {
            self.system_changed = true;
            self.frames.insert(id.clone(), None);
            self.resources.insert(id.clone(), None);
            self.changes.push(Change::Removed(id));
        }
    }

    pub(super) fn frame(&mut self, id: &ResourceId, frame: Arc<Frame>) {
        self.batch.frames.push((id.clone(), Frame::clone(&frame)));
        self.frames.insert(id.clone(), Some(frame));
    }

    pub(super) fn node(&mut self, id: &ResourceId, entry: Option<NodeEntry>) {
        self.nodes.insert(id.clone(), entry.map(Arc::new));
    }
}

fn put<T>(map: &mut BTreeMap<ResourceId, Arc<T>>, changed: BTreeMap<ResourceId, Option<Arc<T>>>) {
    for (id, value) in changed {
        match value {
            Some(value) => map.insert(id, value),
            None => map.remove(&id),
        };
    }
}

impl Judge {
    /// Numbers, logs and keeps events, to be told with the next publication.
    pub(super) fn tell(&mut self, mut events: Vec<Event>) {
        number(&mut self.last_event, &mut events);
        log(&events);
        self.pending.changes.extend(events.iter().map(Change::event));
        self.pending.batch.events.append(&mut events);
    }

    /// When what waits may be published; none while nothing waits.
    pub(crate) fn publish_due(&self) -> Option<Duration> {
        if self.pending.is_empty() {
            return None;
        }
        let gap = match self.resources_shown {
            0..=COPIED_AT_ONCE => Duration::ZERO,
            many => GAP_PER_RESOURCE.saturating_mul(many).min(LONGEST_GAP),
        };
        Some(self.published_at.map_or(Duration::ZERO, |last| last + gap))
    }

    /// Publishes what waits, if it is time to.
    pub(crate) fn publish_if_due(&mut self) {
        if self.publish_due().is_some_and(|due| due <= self.clock.monotonic()) {
            self.publish();
        }
    }

    /// Publishes what waits and hands it to the store.
    pub(crate) fn publish(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        if pending.touches_snapshot() {
            let system = self.system();
            let doubt = self.doubt.reason().map(str::to_owned);
            let Pending { resources, frames, nodes, changes, stragglers, .. } = pending;
            let shown = &mut self.resources_shown;
            self.publisher.publish(
                |next| {
                    put(&mut next.resources, resources);
                    put(&mut next.frames, frames);
                    if !nodes.is_empty() {
                        put(Arc::make_mut(&mut next.nodes), nodes);
                    }
                    next.system = system;
                    next.doubt = doubt;
                    if let Some(stragglers) = stragglers {
                        next.stragglers = stragglers;
                    }
                    *shown = u32::try_from(next.resources.len()).unwrap_or(u32::MAX);
                },
                changes,
            );
            self.published_at = Some(self.clock.monotonic());
        } else {
            self.publisher.send(pending.changes);
        }
        self.write(pending.batch);
    }
}
