//! The fleet's nodes as lines that are ready to be sent, kept from one revision to the next.
//!
//! A line is made anew only when its node was judged anew or its breaker moved: an answer about ten
//! thousand nodes is then mostly copying. Made when somebody asks, not when something changes.
//!
//! What must hold: no line keeps alive what it was made from (that is large, and nobody may ask again
//! for days).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sickbay_engine::BreakerState;
use sickbay_model::ResourceId;
use sickbay_wire::v1::{FleetNode, FleetTotals, FleetView, SystemScore};

use crate::fleet::{FleetSnapshot, NodeEntry};
use crate::known::KnownResource;
use crate::view;

/// Values of one label that are counted by name: those that most nodes have.
const MAX_LABEL_VALUES: usize = 64;
/// Labels that are counted: those that most nodes have.
const MAX_LABEL_KEYS: usize = 64;

/// How many nodes have each value of each label.
pub(in crate::api) type LabelCounts = BTreeMap<String, BTreeMap<String, u32>>;

/// One node's line.
#[derive(Debug)]
pub(in crate::api) struct Row {
    pub(in crate::api) id: ResourceId,
    pub(in crate::api) node: FleetNode,
    pub(in crate::api) breaker: Option<BreakerState>,
    /// The node as JSON.
    pub(in crate::api) json: Box<str>,
    /// What a search looks at, in lower case.
    pub(in crate::api) searched: Box<str>,
    /// What it was made from.
    detail: Option<Weak<KnownResource>>,
    entry: Option<Arc<NodeEntry>>,
}

impl Row {
    /// Fetches its line from memory, all parts of it at once.
    pub(in crate::api) fn touch(&self) -> u8 {
        /// What memory gives at once, on all machines of today.
        const LINE_BYTES: usize = 64;
        self.json.as_bytes().iter().step_by(LINE_BYTES).fold(0, |all, byte| all ^ byte)
    }

    fn new(
        id: &ResourceId,
        detail: Option<&Arc<KnownResource>>,
        entry: Option<&Arc<NodeEntry>>,
    ) -> Self {
        let node = view::fleet_node(id, detail.map(|it| (&**it).into()), entry.map(|it| &**it));
        let json = serde_json::to_string(&node).unwrap_or_else(|error| {
            tracing::error!(node = %id, %error, "its line cannot be written");
            "null".to_owned()
        });
        let mut searched = format!("{}\n{}\n", id.name(), node.headline);
        if node.display_name != id.name() {
            searched.push_str(&node.display_name);
            searched.push('\n');
        }
        for (key, value) in &*node.labels {
            searched.push_str(key);
            searched.push('=');
            searched.push_str(value);
            searched.push('\n');
        }
        Self {
            id: id.clone(),
            breaker: entry.and_then(|entry| entry.breaker.as_ref()).map(|it| it.state()),
            json: json.into(),
            searched: searched.to_lowercase().into(),
            detail: detail.map(Arc::downgrade),
            entry: entry.cloned(),
            node,
        }
    }

    /// Whether it was made from these.
    fn is_of(&self, detail: Option<&Arc<KnownResource>>, entry: Option<&Arc<NodeEntry>>) -> bool {
        // A weak pointer keeps its address from being used again.
        let same_detail = match (&self.detail, detail) {
            (Some(ours), Some(theirs)) => std::ptr::eq(ours.as_ptr(), Arc::as_ptr(theirs)),
            (None, None) => true,
            _ => false,
        };
        let same_entry = match (&self.entry, entry) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        };
        same_detail && same_entry
    }

    /// Whether nothing but the time of the last check differs.
    pub(in crate::api) fn says_the_same(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.node, &other.node);
        ours.level == theirs.level
            && ours.score == theirs.score
            && ours.ready == theirs.ready
            && ours.breaker == theirs.breaker
            && ours.headline == theirs.headline
            && ours.stale == theirs.stale
            && ours.since == theirs.since
            && ours.finding_count == theirs.finding_count
            && ours.active == theirs.active
            && ours.gpus == theirs.gpus
            && ours.labels == theirs.labels
            && ours.parent == theirs.parent
            && ours.display_name == theirs.display_name
    }
}

/// All lines and their sums, at one revision.
#[derive(Debug)]
pub(in crate::api) struct Rows {
    pub(in crate::api) revision: u64,
    /// By id.
    pub(in crate::api) all: Vec<Arc<Row>>,
    pub(in crate::api) totals: FleetTotals,
    pub(in crate::api) labels: Arc<LabelCounts>,
    pub(in crate::api) system: SystemScore,
}

impl Rows {
    fn none() -> Self {
        Self {
            revision: u64::MAX,
            all: Vec::new(),
            totals: FleetTotals::default(),
            labels: Arc::default(),
            system: view::unknown_system(),
        }
    }

    /// These lines, brought up to a snapshot.
    fn brought_to(&self, snapshot: &FleetSnapshot) -> Self {
        let mut all = Vec::with_capacity(self.all.len().max(snapshot.nodes.len()));
        let mut before = self.all.iter().peekable();
        let mut labels_changed = false;
        each_node(snapshot, |id, detail, entry| {
            // What it is made from belongs to one node alone: no need to compare names.
            if let Some(row) = before.next_if(|row| row.is_of(detail, entry)) {
                all.push(Arc::clone(row));
                return;
            }
            while before.next_if(|row| row.id < *id).is_some() {
                labels_changed = true;
            }
            let old = before.next_if(|row| row.id == *id);
            all.push(match old.filter(|row| row.is_of(detail, entry)) {
                Some(row) => Arc::clone(row),
                None => {
                    let row = Row::new(id, detail, entry);
                    labels_changed |= old.is_none_or(|old| old.node.labels != row.node.labels);
                    Arc::new(row)
                }
            });
        });
        labels_changed |= before.next().is_some();
        let labels =
            if labels_changed { Arc::new(count_labels(&all)) } else { Arc::clone(&self.labels) };
        let totals = FleetTotals { doubt: snapshot.doubt.clone(), ..count(&all) };
        Self { revision: snapshot.revision, all, totals, labels, system: snapshot.system.clone() }
    }

    /// What is said of all nodes, with no node in it.
    pub(in crate::api) fn head(&self) -> FleetView {
        let FleetTotals { levels, ready, total, breakers, doubt } = self.totals.clone();
        FleetView {
            system: self.system.clone(),
            levels,
            ready,
            total,
            breakers,
            labels: LabelCounts::clone(&self.labels),
            doubt,
            nodes: Vec::new(),
            next_cursor: None,
        }
    }
}

/// Every watched node and every node of which something is shown, by id.
fn each_node<'s>(
    snapshot: &'s FleetSnapshot,
    mut visit: impl FnMut(&'s ResourceId, Option<&'s Arc<KnownResource>>, Option<&'s Arc<NodeEntry>>),
) {
    let mut details = view::shown_nodes(snapshot).peekable();
    let mut entries = snapshot.nodes.iter().peekable();
    loop {
        let id = match (details.peek(), entries.peek()) {
            (Some((shown, _)), Some((watched, _))) => (*shown).min(*watched),
            (Some((id, _)), None) | (None, Some((id, _))) => *id,
            (None, None) => return,
        };
        let detail = details.next_if(|(shown, _)| *shown == id).map(|(_, detail)| detail);
        let entry = entries.next_if(|(watched, _)| *watched == id).map(|(_, entry)| entry);
        visit(id, detail, entry);
    }
}

fn count(rows: &[Arc<Row>]) -> FleetTotals {
    let mut totals = FleetTotals {
        total: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        ..FleetTotals::default()
    };
    for row in rows {
        view::count_level(&mut totals.levels, row.node.level);
        totals.ready += u32::from(row.node.ready);
        if let Some(state) = row.breaker {
            view::count_breaker(&mut totals.breakers, state);
        }
    }
    totals
}

fn count_labels(rows: &[Arc<Row>]) -> LabelCounts {
    let mut counts: HashMap<&str, HashMap<&str, u32>> = HashMap::new();
    for (key, value) in rows.iter().flat_map(|row| &*row.node.labels) {
        *counts.entry(key).or_default().entry(value).or_default() += 1;
    }
    let mut keys: Vec<_> = counts.into_iter().collect();
    if keys.len() > MAX_LABEL_KEYS {
        keys.sort_by_cached_key(|(key, values)| {
            (std::cmp::Reverse(values.values().sum::<u32>()), *key)
        });
        keys.truncate(MAX_LABEL_KEYS);
    }
    keys.into_iter()
        .map(|(key, values)| {
            let mut values: Vec<_> = values.into_iter().collect();
            values.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
            values.truncate(MAX_LABEL_VALUES);
            let values = values.into_iter().map(|(value, count)| (value.to_owned(), count));
            (key.to_owned(), values.collect())
        })
        .collect()
}

/// The newest lines that somebody asked for.
pub(in crate::api) struct RowsKeeper(Mutex<Arc<Rows>>);

impl Default for RowsKeeper {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(Rows::none())))
    }
}

impl RowsKeeper {
    /// The lines of a snapshot, or of a newer one that another asked for meanwhile.
    pub(in crate::api) fn at(&self, snapshot: &FleetSnapshot) -> Arc<Rows> {
        // Whoever comes meanwhile waits: making them twice would take longer.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = kept.revision != u64::MAX && kept.revision >= snapshot.revision;
        if !fits {
            *kept = Arc::new(kept.brought_to(snapshot));
        }
        Arc::clone(&kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_engine::{Breaker, Policy};
    use sickbay_model::Timestamp;

    fn id(name: &str) -> ResourceId {
        ResourceId::node(name).expect("an id")
    }

    fn detail(name: &str, rack: &str) -> Arc<KnownResource> {
        let policy = Policy::default();
        let mut detail = view::never_collected(&policy, &id(name), Timestamp::EPOCH, "a test");
        detail.summary.labels = Arc::new([("rack".to_owned(), rack.to_owned())].into());
        Arc::new(detail.into())
    }

    fn snapshot(revision: u64) -> FleetSnapshot {
        FleetSnapshot {
            revision,
            resources: BTreeMap::new(),
            system: view::unknown_system(),
            frames: BTreeMap::new(),
            nodes: Arc::default(),
            doubt: None,
            stragglers: Arc::default(),
        }
    }

    fn watched() -> Arc<NodeEntry> {
        Arc::new(NodeEntry { definition: None, breaker: Some(Breaker::default()) })
    }

    #[test]
    fn lines_are_made_anew_only_where_something_changed() {
        let keeper = RowsKeeper::default();
        let mut now = snapshot(1);
        for name in ["a", "b", "c"] {
            now.resources.insert(id(name), detail(name, "r1"));
        }
        let gpu = ResourceId::gpu(&id("a"), 0);
        now.resources.insert(gpu, detail("a", "r1"));
        Arc::make_mut(&mut now.nodes).insert(id("d"), watched());
        let first = keeper.at(&now);
        let names: Vec<_> = first.all.iter().map(|row| row.id.name()).collect();
        assert_eq!(names, ["a", "b", "c", "d"], "nodes alone, watched ones without a verdict too");
        assert_eq!((first.totals.total, first.totals.breakers.closed), (4, 1));
        assert!(Arc::ptr_eq(&first, &keeper.at(&now)), "the same revision");

        now.revision = 2;
        now.resources.insert(id("b"), detail("b", "r2"));
        now.resources.remove(&id("c"));
        Arc::make_mut(&mut now.nodes).insert(id("a"), watched());
        let second = keeper.at(&now);
        let kept: Vec<_> = second
            .all
            .iter()
            .map(|row| (row.id.name(), first.all.iter().any(|old| Arc::ptr_eq(old, row))))
            .collect();
        assert_eq!(kept, [("a", false), ("b", false), ("d", true)]);
        let racks: Vec<_> = second.labels["rack"].iter().map(|(v, n)| (v.as_str(), *n)).collect();
        assert_eq!(racks, [("r1", 1), ("r2", 1)]);
        assert!(Arc::ptr_eq(&second, &keeper.at(&snapshot(1))), "never back to an older one");
    }

    #[test]
    fn a_line_keeps_no_detail_alive() {
        let keeper = RowsKeeper::default();
        let mut now = snapshot(1);
        let detail = detail("a", "r1");
        let alive = Arc::downgrade(&detail);
        now.resources.insert(id("a"), detail);
        let rows = keeper.at(&now);
        drop(now);
        assert_eq!((rows.all.len(), alive.strong_count()), (1, 0));
    }

    #[test]
    fn labels_are_counted_within_limits() {
        let mut now = snapshot(1);
        for rack in 0..3 * MAX_LABEL_VALUES {
            let name = format!("n{rack}");
            now.resources.insert(id(&name), detail(&name, &format!("r{rack}")));
        }
        now.resources.insert(id("z"), detail("z", "r100"));
        let rows = RowsKeeper::default().at(&now);
        assert_eq!(rows.labels["rack"].len(), MAX_LABEL_VALUES);
        assert_eq!(rows.labels["rack"]["r100"], 2, "those that most nodes have are kept");
    }
}
