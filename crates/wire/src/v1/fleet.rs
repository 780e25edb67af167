//! The whole fleet at a glance, and the nodes' definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sickbay_model::{ExpectedHardware, Level, NodeDefinition, NodeOrigin, SshTarget, Timestamp};
use utoipa::ToSchema;

use super::hub::SystemScore;
use super::resources::CheckRef;

/// Every node in one line each, with the score of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetView {
    /// Score of the whole system and its parts; always of all nodes, whatever the filter.
    pub system: SystemScore,
    /// How many nodes have each level, of all nodes.
    pub levels: LevelCounts,
    /// How many of all nodes are ready for work.
    pub ready: u32,
    /// How many nodes there are.
    pub total: u32,
    /// Breakers by state, of all nodes.
    pub breakers: BreakerCounts,
    /// Set while the hub doubts itself, and why.
    pub doubt: Option<String>,
    /// The labels that nodes have, and how many nodes have each value; at most 64 values a label.
    pub labels: BTreeMap<String, BTreeMap<String, u32>>,
    /// The nodes that match the filter, in the order asked for.
    pub nodes: Vec<FleetNode>,
    /// Pass as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// One node of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetNode {
    /// `node/NAME`.
    pub id: String,
    /// What a person calls it.
    pub display_name: String,
    /// How well it is.
    #[schema(value_type = String)]
    pub level: Level,
    /// Since when it has this level.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// 0 to 100; none while unknown.
    pub score: Option<f64>,
    /// Whether work may be started on it.
    pub ready: bool,
    /// Checks that are not healthy.
    pub finding_count: u32,
    /// The worst finding in one sentence, or what is well.
    pub headline: String,
    /// When it was last collected.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_check: Option<Timestamp>,
    /// Set while what is shown is not fresh, and why.
    pub stale: Option<String>,
    /// Key–value pairs.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: Arc<BTreeMap<String, String>>,
    /// The node behind which it is.
    pub parent: Option<String>,
    /// `closed`, `open`, `half_open`; none for the hub's own machine, which is behind no breaker.
    pub breaker: Option<String>,
    /// How many GPUs it has.
    pub gpus: u32,
    /// Whether a job is active on it.
    pub active: bool,
}

/// The fleet's numbers, without its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FleetTotals {
    /// How many nodes have each level.
    pub levels: LevelCounts,
    /// How many nodes are ready for work.
    pub ready: u32,
    /// How many nodes there are.
    pub total: u32,
    /// Breakers by state.
    pub breakers: BreakerCounts,
    /// Set while the hub doubts itself, and why.
    pub doubt: Option<String>,
}

/// How many nodes have each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LevelCounts {
    /// Healthy.
    pub healthy: u32,
    /// Degraded.
    pub degraded: u32,
    /// Unhealthy.
    pub unhealthy: u32,
    /// Critical.
    pub critical: u32,
    /// Unknown.
    pub unknown: u32,
}

/// Breakers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerCounts {
    /// Asking.
    pub closed: u32,
    /// Trying once.
    pub half_open: u32,
    /// Not asking.
    pub open: u32,
}

/// A node's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerView {
    /// `closed`, `open`, `half_open`.
    pub state: String,
    /// Consecutive failures.
    pub failures: u32,
    /// Since when it is in this state; none before the first collection.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// When an open one lets a probe through.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub probe_at: Option<Timestamp>,
    /// The last failure since the last success.
    pub last_failure: Option<String>,
}

/// A node to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name in Sickbay; letters, digits, `.`, `_`, `-` and `:`.
    pub name: String,
    /// Host name, address, or alias of `~/.ssh/config`; the name if left out.
    #[serde(default)]
    pub host: Option<String>,
    /// Port.
    #[serde(default)]
    pub port: Option<u16>,
    /// User.
    #[serde(default)]
    pub user: Option<String>,
    /// Private key file on the hub.
    #[serde(default)]
    pub identity_file: Option<String>,
    /// Hosts to jump over, as `ProxyJump` has them.
    #[serde(default)]
    pub proxy_jump: Option<String>,
    /// Key–value pairs.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The name of the node behind which it is.
    #[serde(default)]
    pub parent: Option<String>,
    /// How many GPUs it is known to have.
    #[serde(default)]
    pub expected_gpus: Option<u32>,
    /// A part of the name of each GPU's model.
    #[serde(default)]
    pub expected_gpu_model: Option<String>,
    /// The memory it is known to have, in bytes.
    #[serde(default)]
    pub expected_memory_bytes: Option<u64>,
}

impl NodeSpec {
    /// What a definition says.
    #[must_use]
    pub fn of(definition: &NodeDefinition) -> Self {
        let NodeDefinition { name, target, labels, parent, expected, origin: _ } = definition;
        Self {
            name: name.clone(),
            host: Some(target.host.clone()),
            port: target.port,
            user: target.user.clone(),
            identity_file: target.identity_file.clone(),
            proxy_jump: target.proxy_jump.clone(),
            labels: labels.clone(),
            parent: parent.clone(),
            expected_gpus: expected.gpus,
            expected_gpu_model: expected.gpu_model.clone(),
            expected_memory_bytes: expected.memory_bytes,
        }
    }

    /// The definition that it means; not checked yet, see [`NodeDefinition::mistakes`].
    #[must_use]
    pub fn into_definition(self, origin: NodeOrigin) -> NodeDefinition {
        NodeDefinition {
            target: SshTarget {
                host: self.host.unwrap_or_else(|| self.name.clone()),
                port: self.port,
                user: self.user,
                identity_file: self.identity_file,
                proxy_jump: self.proxy_jump,
            },
            name: self.name,
            labels: self.labels,
            parent: self.parent,
            expected: ExpectedHardware {
                gpus: self.expected_gpus,
                gpu_model: self.expected_gpu_model,
                memory_bytes: self.expected_memory_bytes,
            },
            origin,
        }
    }
}

/// What was forgotten of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgottenView {
    /// `node/NAME`.
    pub id: String,
    /// The checks that were forgotten: each is judged anew, from what there is now.
    pub forgotten: Vec<CheckRef>,
}

/// A node as it is defined, and how asking it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// `node/NAME`.
    pub id: String,
    /// Its definition; none for the hub's own machine.
    pub spec: Option<NodeSpec>,
    /// `config`, `added`, or `local` for the hub's own machine.
    pub origin: String,
    /// Its breaker; none for the hub's own machine.
    pub breaker: Option<BreakerView>,
}
