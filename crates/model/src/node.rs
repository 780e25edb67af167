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

/// The most labels that a node may have.
pub const MAX_LABELS: usize = 32;

/// The longest key of a label, in bytes.
const MAX_LABEL_KEY_BYTES: usize = 63;

/// The longest value of a label, in characters.
const MAX_LABEL_VALUE_CHARS: usize = 128;

/// The most nodes that one hub is told to watch.
pub const MAX_NODES: usize = 20_000;

/// The longest name of a node, in bytes: DNS's own limit.
const MAX_NODE_NAME_BYTES: usize = 253;

/// The most GPUs that a node may be expected to have.
pub const MAX_EXPECTED_GPUS: u32 = 1024;

/// The longest user, path or list of jump hosts, in bytes.
const MAX_TARGET_TEXT_BYTES: usize = 1024;

/// A field of a definition that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMistake {
    /// The field, as the config names it: `name`, `labels.rack`, `expected.gpus`.
    pub field: String,
    /// What is wrong with it, to be read after the field's name: `is empty`.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
}

impl std::fmt::Display for NodeMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}; allowed: {}", self.field, self.problem, self.allowed)
    }
}

impl NodeDefinition {
    /// All mistakes; empty if the node can be watched. Whether its parent exists, and that no other
    /// node has its name, only those know who know the others.
    #[must_use]
    pub fn mistakes(&self) -> Vec<NodeMistake> {
        let mut mistakes = Vec::new();
        let mut refuse = |field: &str, problem: Option<String>, allowed: &str| {
            mistakes.extend(problem.map(|problem| NodeMistake {
                field: field.to_owned(),
                problem,
                allowed: allowed.to_owned(),
            }));
        };
        let target = &self.target;
        refuse("name", name_problem(&self.name), NAME_FORM);
        refuse("host", word_problem(&target.host), WORD_FORM);
        if target.port == Some(0) {
            refuse("port", Some("is 0".to_owned()), "a whole number from 1 to 65535");
        }
        for (field, text) in [("user", &target.user), ("proxy_jump", &target.proxy_jump)] {
            refuse(field, text.as_deref().and_then(word_problem), WORD_FORM);
        }
        let file = target.identity_file.as_deref();
        refuse("identity_file", file.and_then(text_problem), "a path");
        if self.labels.len() > MAX_LABELS {
            let problem = format!("are {}", self.labels.len());
            refuse("labels", Some(problem), &format!("at most {MAX_LABELS}"));
        }
        for (key, value) in &self.labels {
            let field = format!("labels.{}", shown(key));
            refuse(&field, label_key_problem(key), LABEL_KEY_FORM);
            refuse(&field, label_value_problem(value), LABEL_VALUE_FORM);
        }
        refuse("parent", self.parent.as_deref().and_then(name_problem), NAME_FORM);
        if self.parent.as_ref() == Some(&self.name) {
            refuse("parent", Some("is the node itself".to_owned()), "another node's name");
        }
        let expected = &self.expected;
        if let Some(gpus) = expected.gpus.filter(|gpus| *gpus > MAX_EXPECTED_GPUS) {
            let allowed = format!("a whole number from 0 to {MAX_EXPECTED_GPUS}");
            refuse("expected.gpus", Some(format!("is {gpus}")), &allowed);
        }
        let model = expected.gpu_model.as_deref();
        refuse("expected.gpu_model", model.and_then(text_problem), "a part of the model's name");
        if expected.memory_bytes == Some(0) {
            refuse("expected.memory", Some("is nothing".to_owned()), "a size such as 512GiB");
        }
        mistakes
    }
}

const NAME_FORM: &str = "letters, digits, '.', '_', '-' and ':', at most 253 of them";
const WORD_FORM: &str = "a word without spaces that does not begin with '-'";
const LABEL_KEY_FORM: &str = "a to z, 0 to 9, '_', '.' and '-', at most 63 of them";
const LABEL_VALUE_FORM: &str = "a text of 1 to 128 characters";

/// What is wrong with a node's name, to be read after it; none if nothing is.
#[must_use]
pub fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > MAX_NODE_NAME_BYTES {
        return Some(format!("has {} characters", name.len()));
    }
    let valid = !name.contains('/') && ResourceId::node(name).is_ok();
    (!valid).then(|| format!("is {}, which is not a name", shown(name)))
}

/// What is wrong with a label's key, to be read after it; none if nothing is.
#[must_use]
pub fn label_key_problem(key: &str) -> Option<String> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.' | b'-')
    };
    let valid = !key.is_empty() && key.len() <= MAX_LABEL_KEY_BYTES && key.bytes().all(allowed);
    (!valid).then(|| "is not a label's key".to_owned())
}

/// What is wrong with a label's value, to be read after it; none if nothing is.
#[must_use]
pub fn label_value_problem(value: &str) -> Option<String> {
    let length = value.chars().count();
    if length > MAX_LABEL_VALUE_CHARS {
        return Some(format!("has {length} characters"));
    }
    text_problem(value)
}

fn text_problem(text: &str) -> Option<String> {
    if text.is_empty() {
        Some("is empty".to_owned())
    } else if text.len() > MAX_TARGET_TEXT_BYTES {
        Some(format!("has {} bytes", text.len()))
    } else if text.chars().any(char::is_control) {
        Some(format!("is {}, with a control character in it", shown(text)))
    } else {
        None
    }
}

fn word_problem(text: &str) -> Option<String> {
    let odd = text.starts_with('-') || text.chars().any(char::is_whitespace);
    text_problem(text).or_else(|| odd.then(|| format!("is {}", shown(text))))
}

/// A text from elsewhere, in quotes, harmless and not too long.
fn shown(text: &str) -> String {
    let plain = !text.is_empty() && text.len() <= 80 && text.bytes().all(|b| b.is_ascii_graphic());
    if plain { text.to_owned() } else { format!("{:?}", text.chars().take(60).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(change: impl FnOnce(&mut NodeDefinition)) -> NodeDefinition {
        let target = SshTarget { host: "gpu-07".to_owned(), ..SshTarget::default() };
        let mut node = NodeDefinition {
            name: "gpu-07".to_owned(),
            target,
            labels: BTreeMap::new(),
            parent: None,
            expected: ExpectedHardware::default(),
            origin: NodeOrigin::Config,
        };
        change(&mut node);
        node
    }

    #[test]
    fn definitions_are_checked_field_by_field() {
        assert_eq!(node(|_| {}).mistakes(), []);
        let label = |key: &str, value: &str| {
            let (key, value) = (key.to_owned(), value.to_owned());
            node(|node| drop(node.labels.insert(key, value)))
        };
        assert_eq!(label("rack.row-1", "Zürich 東京").mistakes(), []);
        for (wrong, field) in [
            (node(|node| node.name.clear()), "name"),
            (node(|node| node.name = "a/b".to_owned()), "name"),
            (node(|node| node.name = "a b".to_owned()), "name"),
            (node(|node| node.name = "x".repeat(254)), "name"),
            (node(|node| node.target.host = "-oProxyCommand=x".to_owned()), "host"),
            (node(|node| node.target.host = "a b".to_owned()), "host"),
            (node(|node| node.target.port = Some(0)), "port"),
            (node(|node| node.target.user = Some("a\nb".to_owned())), "user"),
            (node(|node| node.target.proxy_jump = Some(String::new())), "proxy_jump"),
            (node(|node| node.target.identity_file = Some("x".repeat(2000))), "identity_file"),
            (label("Rack", "7"), "labels.Rack"),
            (label(&"k".repeat(64), "7"), "labels.kkk"),
            (label("rack", ""), "labels.rack"),
            (label("rack", &"v".repeat(129)), "labels.rack"),
            (label("rack", "\x1b[31m"), "labels.rack"),
            (node(|node| node.parent = Some("gpu-07".to_owned())), "parent"),
            (node(|node| node.expected.gpus = Some(1025)), "expected.gpus"),
            (node(|node| node.expected.gpu_model = Some(String::new())), "expected.gpu_model"),
            (node(|node| node.expected.memory_bytes = Some(0)), "expected.memory"),
        ] {
            let mistakes = wrong.mistakes();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].field.starts_with(field), "{mistakes:?}");
        }
        let many = (0..33).map(|n| (format!("k{n}"), "v".to_owned())).collect();
        assert_eq!(node(|node| node.labels = many).mistakes()[0].field, "labels");
    }
}
