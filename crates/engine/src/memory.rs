//! What must be remembered between observations of a node.

use serde::{Deserialize, Serialize};

/// What must be remembered between observations of a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeMemory {
    /// How many observations were judged.
    pub(crate) assessments: u64,
}
