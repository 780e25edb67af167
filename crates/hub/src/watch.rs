//! Which nodes are to be watched, and who is behind whom. Pure.
//!
//! The hub's own machine, then what the config names, then what was added at run time; of the same
//! name the earlier wins, and the log says so.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sickbay_model::{NodeDefinition, NodeOrigin, ResourceId, Timestamp};
use sickbay_store::StoredNode;

/// The label by which nodes are grouped where one group must not hold up another.
const GROUP_LABEL: &str = "rack";

/// The form of stored definitions. Raise it when the meaning of a field changes.
const VERSION: u16 = 1;

/// A node that was added at run time.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    pub(crate) definition: Arc<NodeDefinition>,
    pub(crate) added_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredDefinition {
    version: u16,
    definition: NodeDefinition,
}

impl Added {
    /// As the store keeps it.
    pub(crate) fn store(&self) -> Result<StoredNode, serde_json::Error> {
        let definition = NodeDefinition::clone(&self.definition);
        Ok(StoredNode {
            name: definition.name.clone(),
            definition: serde_json::to_string(&StoredDefinition { version: VERSION, definition })?,
            added_at: self.added_at,
        })
    }

    /// From the store.
    pub(crate) fn restore(stored: &StoredNode) -> Result<Self, String> {
        let StoredDefinition { version, mut definition } = serde_json::from_str(&stored.definition)
            .map_err(|error| format!("it is unreadable: {error}"))?;
        if version != VERSION {
            return Err(format!("it has form {version}, this version of Sickbay reads {VERSION}"));
        }
        if definition.name != stored.name {
            return Err(format!("it is of {:?}", definition.name));
        }
        let mistakes: Vec<_> = definition.mistakes().iter().map(ToString::to_string).collect();
        if !mistakes.is_empty() {
            return Err(mistakes.join("; "));
        }
        definition.origin = NodeOrigin::Added;
        Ok(Self { definition: Arc::new(definition), added_at: stored.added_at })
    }
}

/// A node that someone adds, as the store keeps it: for adding nodes while no hub runs.
///
/// # Errors
/// When the definition cannot be written as JSON.
pub fn stored_node(
    definition: &NodeDefinition,
    added_at: Timestamp,
) -> Result<StoredNode, serde_json::Error> {
    Added { definition: Arc::new(definition.clone()), added_at }.store()
}

/// An added node's definition, from the store.
///
/// # Errors
/// Why it cannot be used, as a fragment.
pub fn read_stored_node(stored: &StoredNode) -> Result<NodeDefinition, String> {
    Added::restore(stored).map(|added| NodeDefinition::clone(&added.definition))
}

/// The added nodes that can be used; the log tells of the others.
pub(crate) fn restored(stored: &[StoredNode]) -> BTreeMap<String, Added> {
    let usable = stored.iter().filter_map(|node| match Added::restore(node) {
        Ok(added) => Some((node.name.clone(), added)),
        Err(reason) => {
            tracing::error!(node = node.name, reason, "this added node cannot be watched");
            None
        }
    });
    usable.collect()
}

/// Every node to be watched over SSH.
pub(crate) fn wanted(
    local: &ResourceId,
    config: &[NodeDefinition],
    added: &BTreeMap<String, Added>,
) -> BTreeMap<ResourceId, Arc<NodeDefinition>> {
    let mut wanted: BTreeMap<ResourceId, Arc<NodeDefinition>> = BTreeMap::new();
    let config = config.iter().cloned().map(Arc::new);
    let added = added.values().map(|added| Arc::clone(&added.definition));
    for definition in config.chain(added) {
        let id = match ResourceId::node(&definition.name) {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(%error, "this node cannot be watched");
                continue;
            }
        };
        if id == *local {
            tracing::warn!(node = %id, "this is the hub's own machine, which is watched without SSH");
            continue;
        }
        match wanted.entry(id) {
            Entry::Vacant(place) => {
                place.insert(definition);
            }
            Entry::Occupied(taken) => tracing::warn!(
                node = %taken.key(),
                "it was added at run time and is in the config too; the config holds"
            ),
        }
    }
    wanted
}

/// The watched nodes behind which each node is: the one that its definition names, else its jump
/// hosts. Who would be behind itself is behind nobody.
pub(crate) fn parents(
    local: &ResourceId,
    nodes: &BTreeMap<ResourceId, Arc<NodeDefinition>>,
    mut jumps: impl FnMut(&NodeDefinition) -> Vec<String>,
) -> BTreeMap<ResourceId, Vec<ResourceId>> {
    let by_host = nodes.iter().map(|(id, node)| (node.target.host.as_str(), id));
    let by_name = nodes.keys().map(|id| (id.name(), id));
    // A name holds over a host of the same spelling.
    let find: BTreeMap<&str, &ResourceId> = by_host.chain(by_name).collect();
    let mut parents: BTreeMap<ResourceId, Vec<ResourceId>> = nodes
        .iter()
        .map(|(id, node)| {
            let named = match &node.parent {
                Some(parent) if parent == local.name() => vec![local.clone()],
                Some(parent) => {
                    find.get(parent.as_str()).map(|id| (*id).clone()).into_iter().collect()
                }
                None => {
                    let jumps = jumps(node);
                    let watched = jumps.iter().filter_map(|jump| find.get(host_of(jump)));
                    watched.map(|id| (*id).clone()).collect()
                }
            };
            (id.clone(), named)
        })
        .collect();
    let circular: Vec<_> = nodes.keys().filter(|id| is_circular(id, &parents)).cloned().collect();
    for id in circular {
        tracing::warn!(node = %id, "it is behind itself, by its parents; it is taken to be behind nobody");
        parents.remove(&id);
    }
    parents
}

/// The host of a jump as `ssh` writes it: `user@host:port`.
fn host_of(jump: &str) -> &str {
    let jump = jump.rsplit_once('@').map_or(jump, |(_, host)| host);
    match jump.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => jump,
    }
}

fn is_circular(id: &ResourceId, parents: &BTreeMap<ResourceId, Vec<ResourceId>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&ResourceId> = parents.get(id).into_iter().flatten().collect();
    while let Some(parent) = next.pop() {
        if parent == id {
            return true;
        }
        if seen.insert(parent) {
            next.extend(parents.get(parent).into_iter().flatten());
        }
    }
    false
}

/// The group in which a node waits for its turn.
pub(crate) fn group_of(definition: Option<&NodeDefinition>) -> String {
    match definition {
        None => "local".to_owned(),
        Some(definition) => match definition.labels.get(GROUP_LABEL) {
            Some(rack) => format!("rack {rack}"),
            None => "no rack".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::SshTarget;

    fn node(name: &str, host: &str, parent: Option<&str>, jump: Option<&str>) -> NodeDefinition {
        NodeDefinition {
            name: name.to_owned(),
            target: SshTarget {
                host: host.to_owned(),
                proxy_jump: jump.map(str::to_owned),
                ..SshTarget::default()
            },
            labels: BTreeMap::new(),
            parent: parent.map(str::to_owned),
            expected: sickbay_model::ExpectedHardware::default(),
            origin: NodeOrigin::Config,
        }
    }

    fn id(name: &str) -> ResourceId {
        ResourceId::node(name).expect("an id")
    }

    fn added(definition: NodeDefinition) -> (String, Added) {
        let name = definition.name.clone();
        (name, Added { definition: Arc::new(definition), added_at: Timestamp::EPOCH })
    }

    #[test]
    fn the_config_holds_over_what_was_added_and_the_own_machine_over_both() {
        let config = [node("a", "10.0.0.1", None, None), node("here", "127.0.0.1", None, None)];
        let added = [added(node("a", "elsewhere", None, None)), added(node("b", "b", None, None))];
        let wanted = wanted(&id("here"), &config, &added.into());
        let found: Vec<_> =
            wanted.iter().map(|(id, node)| (id.name(), node.target.host.as_str())).collect();
        assert_eq!(found, [("a", "10.0.0.1"), ("b", "b")]);
    }

    #[test]
    fn a_node_is_behind_its_named_parent_or_its_watched_jump_hosts() {
        let nodes = [
            node("gate", "gate.example", None, None),
            node("deep", "10.0.0.2", None, Some("admin@gate.example:2222")),
            node("by-name", "10.0.0.3", None, Some("gate")),
            node("unknown-jump", "10.0.0.4", None, Some("bastion.example")),
            node("named", "10.0.0.5", Some("deep"), Some("gate")),
            node("behind-hub", "10.0.0.6", Some("here"), None),
            node("lost", "10.0.0.7", Some("nobody"), None),
            node("ring-1", "10.0.0.8", Some("ring-2"), None),
            node("ring-2", "10.0.0.9", Some("ring-1"), None),
            node("behind-ring", "10.0.0.10", Some("ring-1"), None),
        ];
        let nodes = nodes.map(|node| (id(&node.name), Arc::new(node))).into();
        let jumps = |node: &NodeDefinition| node.target.proxy_jump.iter().cloned().collect();
        let parents = parents(&id("here"), &nodes, jumps);
        for (name, expected) in [
            ("gate", &[][..]),
            ("deep", &["gate"]),
            ("by-name", &["gate"]),
            ("unknown-jump", &[]),
            ("named", &["deep"]),
            ("behind-hub", &["here"]),
            ("lost", &[]),
            ("ring-1", &[]),
            ("ring-2", &[]),
            ("behind-ring", &["ring-1"]),
        ] {
            let found: Vec<_> =
                parents.get(&id(name)).into_iter().flatten().map(ResourceId::name).collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn hosts_of_jumps() {
        for (jump, host) in [
            ("gate", "gate"),
            ("admin@gate", "gate"),
            ("admin@gate:22", "gate"),
            ("fe80::1", "fe80::1"),
            ("a@b@gate", "gate"),
            ("", ""),
        ] {
            assert_eq!(host_of(jump), host, "{jump}");
        }
    }

    #[test]
    fn stored_definitions_come_back_and_others_are_refused_with_a_reason() {
        let (name, added) = added(node("a", "10.0.0.1", None, Some("gate")));
        let stored = added.store().expect("plain data");
        let back = Added::restore(&stored).expect("as it was");
        assert_eq!(back.definition.target, added.definition.target);
        assert_eq!(back.definition.origin, NodeOrigin::Added);
        for (edit, expected) in [
            (stored.definition.replace("\"version\":1", "\"version\":7"), "form 7"),
            (stored.definition.replace("10.0.0.1", ""), "host"),
            (stored.definition.replace("\"name\":\"a\"", "\"name\":\"b\""), "of \"b\""),
            ("{".to_owned(), "unreadable"),
        ] {
            let edited = StoredNode { definition: edit, ..stored.clone() };
            let refused = Added::restore(&edited).expect_err("refused");
            assert!(refused.contains(expected), "{refused}");
            assert!(restored(&[edited]).is_empty());
        }
        assert!(restored(&[stored]).contains_key(&name));
    }
}
