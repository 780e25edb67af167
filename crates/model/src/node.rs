//! How a watched machine is defined: by the config, or added at run time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::resource::{InvalidResourceId, Resource, ResourceId};

/// A machine to be watched over SSH, as someone defined it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDefinition {
    /// Its name in Sickbay; a valid resource name.
    pub name: String,
    /// How it is reached.
    pub target: SshTarget,
    /// For selecting and grouping.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The name of the watched node behind which it is: while that one cannot be reached, nobody
    /// knows how this one is.
    #[serde(default)]
    pub parent: Option<String>,
    /// What it is known to consist of.
    #[serde(default)]
    pub expected: ExpectedHardware,
    /// Who defined it.
    pub origin: NodeOrigin,
}

impl NodeDefinition {
    /// The resource that it is.
    ///
    /// # Errors
    /// When its name, or that of its parent, is no valid resource name.
    pub fn resource(&self) -> Result<Resource, InvalidResourceId> {
        Ok(Resource {
            id: ResourceId::node(&self.name)?,
            display_name: self.name.clone(),
            labels: self.labels.clone(),
            parent: self.parent.as_deref().map(ResourceId::node).transpose()?,
        })
    }
}

/// What `ssh` would be given. Whatever is not set is left to `~/.ssh/config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct SshTarget {
    /// Host name, address, or an alias of `~/.ssh/config`.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// Private key file.
    pub identity_file: Option<String>,
    /// Hosts to jump over, as `ProxyJump` has them; `none` for none.
    pub proxy_jump: Option<String>,
}

/// What a node is known to consist of; a node that has less is a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpectedHardware {
    /// How many GPUs.
    pub gpus: Option<u32>,
    /// A part of the name of each GPU's model.
    pub gpu_model: Option<String>,
    /// Least memory, in bytes.
    pub memory_bytes: Option<u64>,
}

/// Who defined a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeOrigin {
    /// The config file.
    Config,
    /// Someone, at run time.
    Added,
}
