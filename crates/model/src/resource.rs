//! What is watched, and how it is named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The kinds of thing that Sickbay watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A machine.
    Node,
    /// One GPU of a machine.
    Gpu,
    /// A supervised long-running process.
    Daemon,
    /// A group of nodes judged together.
    Cluster,
    /// A training or data pipeline.
    Pipeline,
    /// A job with a beginning and an end.
    Job,
    /// An AI agent (never the node agent).
    Agent,
    /// The workspace of an AI agent.
    Workspace,
    /// A database.
    Database,
    /// A rented cloud worker.
    Worker,
    /// Something that answers on the network.
    Endpoint,
    /// Anything else, by the user's own metrics.
    Custom,
}

impl Kind {
    /// Every kind, in the order of the product's vocabulary.
    pub const ALL: [Self; 12] = [
        Self::Node,
        Self::Gpu,
        Self::Daemon,
        Self::Cluster,
        Self::Pipeline,
        Self::Job,
        Self::Agent,
        Self::Workspace,
        Self::Database,
        Self::Worker,
        Self::Endpoint,
        Self::Custom,
    ];

    /// The word used in ids, the API and the CLI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Gpu => "gpu",
            Self::Daemon => "daemon",
            Self::Cluster => "cluster",
            Self::Pipeline => "pipeline",
            Self::Job => "job",
            Self::Agent => "agent",
            Self::Workspace => "workspace",
            Self::Database => "database",
            Self::Worker => "worker",
            Self::Endpoint => "endpoint",
            Self::Custom => "custom",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The globally unique id of a resource: `kind/name`, for a GPU `gpu/NODE/INDEX`.
///
/// A name consists of ASCII letters, digits, `.`, `_`, `-`, `:` and `/`; [`sanitize_name`] turns
/// any byte string (a hostname with odd bytes) into one. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    text: Arc<str>,
    kind: Kind,
}

/// The longest id that is accepted, in bytes.
const MAX_ID_BYTES: usize = 320;

impl ResourceId {
    /// The id of a node.
    ///
    /// # Errors
    /// When the name is empty, too long, or holds a character outside the allowed set.
    pub fn node(name: &str) -> Result<Self, InvalidResourceId> {
        Self::new(Kind::Node, name)
    }

    /// The id of one GPU of a node; `index` is the driver's own numbering.
    #[must_use]
    pub fn gpu(node: &Self, index: u32) -> Self {
        Self { text: format!("gpu/{}/{index}", node.name()).into(), kind: Kind::Gpu }
    }

    /// An id of any kind.
    ///
    /// # Errors
    /// When the name is empty, too long, or holds a character outside the allowed set.
    pub fn new(kind: Kind, name: &str) -> Result<Self, InvalidResourceId> {
        let text = format!("{kind}/{name}");
        let valid = !name.is_empty()
            && text.len() <= MAX_ID_BYTES
            && !name.starts_with('/')
            && !name.ends_with('/')
            && name.bytes().all(is_name_byte);
        if valid { Ok(Self { text: text.into(), kind }) } else { Err(InvalidResourceId(text)) }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The part after the kind.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.split_once('/').map_or("", |(_, name)| name)
    }

    /// `kind/name`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/')
}

/// Turns any bytes into a valid resource name: every byte outside the allowed set (and `/`, which
/// separates) becomes `_`; an empty input becomes `unnamed`; cut after 253 bytes, DNS's own limit.
#[must_use]
pub fn sanitize_name(raw: &[u8]) -> String {
    let name: String = raw
        .iter()
        .take(253)
        .map(|&byte| if is_name_byte(byte) && byte != b'/' { char::from(byte) } else { '_' })
        .collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for ResourceId {
    type Err = InvalidResourceId;

    /// Parses `kind/name`; a bare `name` means a node.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None => Self::node(text),
            Some((word, name)) => match Kind::parse(word) {
                Some(kind) => Self::new(kind, name),
                None => Err(InvalidResourceId(text.to_owned())),
            },
        }
    }
}

impl Serialize for ResourceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ResourceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no resource id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a resource id; write KIND/NAME (such as node/gpu-07 or gpu/gpu-07/0) or a node's \
     bare name, with letters, digits, '.', '_', '-' and ':'"
)]
pub struct InvalidResourceId(pub String);

/// Something watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its globally unique id.
    pub id: ResourceId,
    /// What a person calls it; may hold any character.
    pub display_name: String,
    /// Key–value pairs for selecting and grouping.
    pub labels: BTreeMap<String, String>,
    /// What it is part of; a GPU's parent is its node.
    pub parent: Option<ResourceId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_parse_and_print() {
        for (text, kind, name) in [
            ("node/gpu-07", Kind::Node, "gpu-07"),
            ("gpu-07", Kind::Node, "gpu-07"),
            ("gpu/gpu-07/3", Kind::Gpu, "gpu-07/3"),
            ("worker/i-0abc", Kind::Worker, "i-0abc"),
        ] {
            let id: ResourceId = text.parse().expect(text);
            assert_eq!((id.kind(), id.name()), (kind, name), "{text}");
        }
        for text in ["", "node/", "planet/mars", "node/a b", "node//a", "node/a/", "gpu\u{e9}"] {
            assert!(text.parse::<ResourceId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn any_hostname_becomes_a_valid_name() {
        for raw in [&b"gpu 07\xff\n"[..], b"", b"a/b", b"\x1b[31m"] {
            let name = sanitize_name(raw);
            assert!(ResourceId::node(&name).is_ok(), "{name}");
        }
        assert_eq!(sanitize_name(b"gpu 07\xff"), "gpu_07_");
    }
}
