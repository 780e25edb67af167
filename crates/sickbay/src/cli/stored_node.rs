//! How an added node is kept in the database, for when no hub runs.

use serde::{Deserialize, Serialize};
use sickbay_model::{NodeDefinition, NodeOrigin, Timestamp};
use sickbay_store::StoredNode;

/// The form of stored definitions; the hub's.
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct StoredDefinition {
    version: u16,
    definition: NodeDefinition,
}

/// A definition as it is kept.
pub(crate) fn write(
    definition: &NodeDefinition,
    added_at: Timestamp,
) -> Result<StoredNode, serde_json::Error> {
    let definition = definition.clone();
    Ok(StoredNode {
        name: definition.name.clone(),
        definition: serde_json::to_string(&StoredDefinition { version: VERSION, definition })?,
        added_at,
    })
}

/// A definition that was kept; the error says why it cannot be used.
pub(crate) fn read(stored: &StoredNode) -> Result<NodeDefinition, String> {
    let StoredDefinition { version, mut definition } =
        serde_json::from_str(&stored.definition).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("it has form {version}"));
    }
    definition.origin = NodeOrigin::Added;
    Ok(definition)
}
