//! The fleet's live state as readers see it: immutable snapshots, replaced whole.
//!
//! The monitor loop alone publishes (through [`FleetPublisher`]); everyone else reads a snapshot or
//! subscribes to changes. No reader can hold the writer up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use sickbay_engine::Breaker;
use sickbay_model::{Event, Frame, NodeDefinition, ResourceId};
use sickbay_wire::v1::{EventView, StragglersView, SystemScore};
use tokio::sync::{Notify, broadcast};

use crate::known::KnownResource;

/// All that is known now, at one revision.
#[derive(Clone, Debug)]
pub struct FleetSnapshot {
    /// Grows by one with each change; what an ETag is made of.
    pub revision: u64,
    /// Every resource, by id.
    pub resources: BTreeMap<ResourceId, Arc<KnownResource>>,
    /// Score of the whole system.
    pub system: SystemScore,
    /// The newest readings of each node.
    pub frames: BTreeMap<ResourceId, Arc<Frame>>,
    /// Every watched node, collected or not: how it is defined, and how asking it goes.
    pub nodes: Arc<BTreeMap<ResourceId, Arc<NodeEntry>>>,
    /// Why the hub doubts itself now, as a fragment; none if it does not.
    pub doubt: Option<String>,
    /// How the members of each job were last compared.
    pub stragglers: Arc<StragglersView>,
}

/// A watched node, apart from what is known of its health.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeEntry {
    /// Its definition; none for the hub's own machine.
    pub definition: Option<Arc<NodeDefinition>>,
    /// Its breaker; none for the hub's own machine, which is behind none.
    pub breaker: Option<Breaker>,
}

/// One change of the live state. Cheap to clone: every stream shares the same parts.
#[derive(Clone, Debug)]
pub enum Change {
    /// A resource is as it is now.
    Resource(Arc<KnownResource>),
    /// A resource is gone.
    Removed(ResourceId),
    /// Something happened.
    Event(Arc<EventView>),
}

impl Change {
    /// The change that an event is.
    #[must_use]
    pub fn event(event: &Event) -> Self {
        Self::Event(Arc::new(crate::view::event(event)))
    }
}

/// What readers hold: snapshots, and the stream of changes. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
}

struct Shared {
    snapshot: ArcSwap<FleetSnapshot>,
    changes: broadcast::Sender<Change>,
    viewers: AtomicUsize,
    /// Nodes that someone looks at by name, and how many do.
    looked_at: Mutex<BTreeMap<ResourceId, usize>>,
    viewer_arrived: Notify,
}

impl Shared {
    fn looked_at(&self) -> MutexGuard<'_, BTreeMap<ResourceId, usize>> {
        // Every update is complete before anything in it could panic.
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet {
    /// The state now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<FleetSnapshot> {
        self.shared.snapshot.load_full()
    }

    /// Changes from now on. A receiver that falls behind by more than the backlog is told so
    /// (`Lagged`) and should start afresh from a snapshot.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Says that someone is looking at the fleet as a whole, while the guard lives. In a small fleet
    /// that makes polling fast; a large one goes on at its own pace, except for the nodes of
    /// [`Fleet::watch_node`].
    #[must_use]
    pub fn watch_viewer(&self) -> ViewerGuard {
        self.watch(None)
    }

    /// Says that someone is looking at this node: it is polled fast while any such guard lives.
    #[must_use]
    pub fn watch_node(&self, node: &ResourceId) -> ViewerGuard {
        self.watch(Some(node.clone()))
    }

    fn watch(&self, node: Option<ResourceId>) -> ViewerGuard {
        self.shared.viewers.fetch_add(1, Ordering::AcqRel);
        if let Some(node) = &node {
            *self.shared.looked_at().entry(node.clone()).or_default() += 1;
        }
        self.shared.viewer_arrived.notify_one();
        ViewerGuard { shared: Arc::clone(&self.shared), node }
    }

    /// The nodes that someone is looking at by name.
    #[must_use]
    pub fn looked_at(&self) -> Vec<ResourceId> {
        self.shared.looked_at().keys().cloned().collect()
    }

    /// Whether someone is looking at this node by name.
    #[must_use]
    pub fn is_looked_at(&self, node: &ResourceId) -> bool {
        self.shared.looked_at().contains_key(node)
    }

    /// How many are looking.
    #[must_use]
    pub fn viewers(&self) -> usize {
        self.shared.viewers.load(Ordering::Acquire)
    }

    /// Resolves when someone starts to look.
    pub async fn viewer_arrived(&self) {
        self.shared.viewer_arrived.notified().await;
    }
}

/// Says that someone is looking, for as long as it lives.
pub struct ViewerGuard {
    shared: Arc<Shared>,
    node: Option<ResourceId>,
}

impl Drop for ViewerGuard {
    fn drop(&mut self) {
        self.shared.viewers.fetch_sub(1, Ordering::AcqRel);
        if let Some(node) = &self.node {
            let mut looked_at = self.shared.looked_at();
            if let Some(count) = looked_at.get_mut(node) {
                *count -= 1;
                if *count == 0 {
                    looked_at.remove(node);
                }
            }
        }
    }
}

/// The writing end; there is one.
pub struct FleetPublisher {
    shared: Arc<Shared>,
}

impl FleetPublisher {
    /// An empty fleet; `backlog` is how many messages wait for a slow subscriber.
    #[must_use]
    pub fn new(system: SystemScore, backlog: usize) -> (Self, Fleet) {
        let snapshot = FleetSnapshot {
            revision: 0,
            resources: BTreeMap::new(),
            system,
            frames: BTreeMap::new(),
            nodes: Arc::default(),
            doubt: None,
            stragglers: Arc::new(crate::view::not_compared_yet()),
        };
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            changes: broadcast::channel(backlog.max(1)).0,
            viewers: AtomicUsize::new(0),
            looked_at: Mutex::default(),
            viewer_arrived: Notify::new(),
        });
        (Self { shared: Arc::clone(&shared) }, Fleet { shared })
    }

    /// Replaces the snapshot by an edited copy with the next revision, then sends `changes`.
    pub fn publish(
        &mut self,
        edit: impl FnOnce(&mut FleetSnapshot),
        changes: impl IntoIterator<Item = Change>,
    ) {
        let mut next = FleetSnapshot::clone(&self.shared.snapshot.load());
        edit(&mut next);
        next.revision += 1;
        self.shared.snapshot.store(Arc::new(next));
        self.send(changes);
    }

    /// Sends changes that touch no resource.
    pub fn send(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            // No subscriber is no error.
            let _ = self.shared.changes.send(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::Level;

    fn system() -> SystemScore {
        SystemScore { score: None, level: Level::Unknown, parts: Vec::new() }
    }

    #[test]
    fn a_snapshot_does_not_change_under_its_reader() {
        let (mut publisher, fleet) = FleetPublisher::new(system(), 4);
        let before = fleet.snapshot();
        publisher.publish(|next| next.system.score = Some(93.0), []);
        assert_eq!((before.revision, before.system.score), (0, None));
        let after = fleet.snapshot();
        assert_eq!((after.revision, after.system.score), (1, Some(93.0)));
    }

    #[test]
    fn viewers_are_counted_while_they_look() {
        let (_publisher, fleet) = FleetPublisher::new(system(), 4);
        let (first, second) = (fleet.watch_viewer(), fleet.watch_viewer());
        assert_eq!(fleet.viewers(), 2);
        drop(first);
        let node = ResourceId::node("gpu-07").expect("an id");
        let (third, fourth) = (fleet.watch_node(&node), fleet.watch_node(&node));
        assert_eq!((fleet.viewers(), fleet.looked_at()), (3, vec![node.clone()]));
        drop(third);
        assert!(fleet.is_looked_at(&node));
        drop((second, fourth));
        assert_eq!((fleet.viewers(), fleet.looked_at()), (0, vec![]));
    }
}
