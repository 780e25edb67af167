//! What the hub remembers of a resource across restarts: a versioned form of its own.
//!
//! An unreadable or newer state is not an error: the resource starts afresh, and a log line says so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sickbay_engine::{Breaker, NodeMemory, PaceMemory};
use sickbay_wire::v1::ResourceDetail;

/// The form in force. Raise it when the meaning of a field changes.
const VERSION: u16 = 1;

/// A node's state as it is kept in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredState {
    version: u16,
    /// What the engine remembers.
    pub(crate) memory: NodeMemory,
    /// How fast the node is polled.
    pub(crate) pace: PaceMemory,
    /// Whether it was still asked; none for the hub's own machine.
    #[serde(default)]
    pub(crate) breaker: Option<Breaker>,
    /// What was last shown of the node, then of its parts.
    pub(crate) details: Vec<Arc<ResourceDetail>>,
}

impl StoredState {
    /// A state in the form in force.
    pub(crate) fn new(
        memory: NodeMemory,
        pace: PaceMemory,
        breaker: Option<Breaker>,
        details: Vec<Arc<ResourceDetail>>,
    ) -> Self {
        Self { version: VERSION, memory, pace, breaker, details }
    }

    /// As bytes for the store.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// From the store's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u16,
        }
        let Version { version } =
            serde_json::from_slice(bytes).map_err(|error| format!("it is unreadable: {error}"))?;
        if version != VERSION {
            return Err(format!("it has form {version}, this version of Sickbay reads {VERSION}"));
        }
        serde_json::from_slice(bytes).map_err(|error| format!("it is unreadable: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_forms_and_garbage_are_refused_with_a_reason() {
        let state =
            StoredState::new(NodeMemory::default(), PaceMemory::default(), None, Vec::new());
        let bytes = state.encode().expect("plain data");
        assert!(StoredState::decode(&bytes).is_ok());
        for (bytes, expected) in [
            (&b""[..], "unreadable"),
            (b"{\"version\":1}", "unreadable"),
            (b"{\"version\":9}", "form 9"),
            (b"[1,2]", "unreadable"),
        ] {
            let refused = StoredState::decode(bytes).expect_err("refused");
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
