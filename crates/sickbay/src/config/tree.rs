//! A config as a tree in which every key and every value knows where it came from.
//!
//! The YAML library stops at the first mistake of meaning; a person wants all of them. So the file
//! is read into this tree first (only a mistake of *syntax* ends there), environment variables and
//! flags are laid over it, and [`super::check`] walks it against the schema. The tree keeps
//! duplicate keys, so that they can be reported too.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::mistake::Mistake;

/// The largest config file that is read, in bytes.
pub(super) const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// The most keys, values and lists in a config: 20,000 nodes, each described in full.
const MAX_VALUES: usize = 1_000_000;

/// How deep a config may be nested; ours needs six.
const MAX_DEPTH: usize = 32;

/// How many keys, values and lists a text may hold. More than it has bytes only a few lines of
/// aliases of aliases would make.
pub(crate) fn most_values(text: &str) -> usize {
    text.len().clamp(MIN_VALUES, MAX_VALUES)
}

/// What even a short text may hold: aliases are of use, too.
const MIN_VALUES: usize = 10_000;

/// Where a key or a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in the file, both counted from 1.
    File {
        /// Line.
        line: u64,
        /// Column, in characters.
        column: u64,
    },
    /// An environment variable.
    Variable(String),
    /// A command-line flag.
    Flag(String),
    /// The file as a whole.
    WholeFile,
    /// Nowhere: the built-in default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column } => write!(f, "{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::WholeFile => f.write_str("the file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// A value of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing after the colon: as if the key were not there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// Keys and values in the order of the file; keys may repeat.
    Map(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_origin: Origin,
    /// The value.
    pub value: Tree,
}

impl Tree {
    /// A tree without keys.
    #[must_use]
    pub(super) fn empty() -> Self {
        Self { value: Value::Map(Vec::new()), origin: Origin::Default }
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// The one mistake of syntax that keeps the file from being read at all.
    pub(super) fn parse(text: &str) -> Result<Self, Box<Mistake>> {
        let values = most_values(text);
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            strict_booleans: true,
            with_snippet: false,
            budget: serde_saphyr::budget! {
                max_depth: MAX_DEPTH,
                max_nodes: values,
                max_events: 2 * values,
            },
        };
        match serde_saphyr::from_str_with_options::<Option<Self>>(text, options) {
            Ok(tree) => Ok(tree.map_or_else(Self::empty, |tree| match tree.value {
                Value::Null => Self::empty(),
                _ => tree,
            })),
            Err(error) => {
                let origin = error.location().map_or(Origin::File { line: 1, column: 1 }, |at| {
                    Origin::File { line: at.line(), column: at.column() }
                });
                let message = error.without_snippet().to_string();
                // The place stands in front already.
                let message = message.split(" at line ").next().unwrap_or(&message);
                let problem = format!("this is not valid YAML: {message}");
                Err(Box::new(Mistake::new(origin, "", problem)))
            }
        }
    }

    /// The value at a path of keys, if it is there.
    #[must_use]
    pub(super) fn get(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |tree, key| match &tree.value {
            Value::Map(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            Value::List(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Puts a value at a path of keys, making the maps on the way; what stood there goes.
    pub(super) fn set(&mut self, path: &str, value: Value, origin: &Origin) {
        let (key, rest) = path.split_once('.').map_or((path, None), |(k, r)| (k, Some(r)));
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        let place = match entries.iter().position(|entry| entry.key == key) {
            Some(place) => place,
            None => {
                let value = Self { value: Value::Null, origin: origin.clone() };
                entries.push(Entry { key: key.to_owned(), key_origin: origin.clone(), value });
                entries.len() - 1
            }
        };
        let Some(entry) = entries.get_mut(place) else { return };
        match rest {
            Some(rest) => entry.value.set(rest, value, origin),
            None => {
                entry.key_origin = origin.clone();
                entry.value = Self { value, origin: origin.clone() };
            }
        }
    }

    /// The tree as JSON; of duplicate keys the first counts, keys without a value are left out.
    #[must_use]
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => Json::from(*value),
            Value::Number(value) => Json::from(*value),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let mut map = serde_json::Map::new();
                for entry in entries.iter().filter(|entry| entry.value.value != Value::Null) {
                    map.entry(&entry.key).or_insert_with(|| entry.value.to_json());
                }
                Json::Object(map)
            }
        }
    }
}

impl Value {
    /// What it is, for a message: `the text "high"`.
    #[must_use]
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => {
                let shown: String = value.chars().take(60).collect();
                let cut = if shown.len() < value.len() { "…" } else { "" };
                format!("{:?}", format!("{shown}{cut}"))
            }
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a section with keys".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, origin: place(&spanned.referenced) })
    }
}

fn place(location: &serde_saphyr::Location) -> Origin {
    Origin::File { line: location.line(), column: location.column() }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond i64 a config number is absurd anyway")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Tree>()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<Value>>()? {
            let text = match key.value {
                Value::Text(text) => text,
                Value::List(_) | Value::Map(_) => {
                    return Err(de::Error::custom("a key must be a plain word"));
                }
                scalar => scalar.describe(),
            };
            let value = map.next_value::<Tree>()?;
            entries.push(Entry { key: text, key_origin: place(&key.referenced), value });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u64, column: u64) -> Origin {
        Origin::File { line, column }
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let tree = Tree::parse("a: 1\nb:\n  c: text\n  d: [1.5, true]\nb: again\ne:\n").unwrap();
        let Value::Map(entries) = &tree.value else { panic!("{tree:?}") };
        let places: Vec<_> = entries
            .iter()
            .map(|entry| (entry.key.as_str(), entry.key_origin.clone(), entry.value.origin.clone()))
            .collect();
        assert_eq!(places[0], ("a", at(1, 1), at(1, 4)));
        assert_eq!(places[1].1, at(2, 1));
        assert_eq!(places[2], ("b", at(5, 1), at(5, 4)), "duplicates are kept");
        assert_eq!(tree.get("b.c").unwrap().origin, at(3, 6));
        assert_eq!(tree.get("b.d.1").unwrap().value, Value::Bool(true));
        assert_eq!(tree.get("b.d.1").unwrap().origin, at(4, 12));
        assert_eq!(tree.get("e").unwrap().value, Value::Null);
    }

    #[test]
    fn nothing_at_all_is_an_empty_config() {
        for text in ["", "\n", "# only a comment\n", "---\n"] {
            assert_eq!(Tree::parse(text).unwrap().value, Value::Map(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn broken_yaml_says_where() {
        for (text, line) in [
            ("a: [1, 2\nb: 3\n", 2),
            ("a:\n  b: 1\n c: 2\n", 3),
            ("a: \"x\n", 1),
            ("? [a]\n: 1\n", 1),
        ] {
            let mistake = Tree::parse(text).expect_err(text);
            let Origin::File { line: found, .. } = mistake.origin else { panic!("{mistake:?}") };
            assert!(found >= line, "{text:?}: {mistake:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(Tree::parse(&deep).is_err());
    }

    #[test]
    fn a_value_laid_over_makes_its_way() {
        let mut tree = Tree::parse("a:\n  b: 1\n").unwrap();
        let flag = Origin::Flag("--x".to_owned());
        tree.set("a.b", Value::Integer(2), &flag);
        tree.set("c.d.e", Value::Text("new".to_owned()), &flag);
        assert_eq!(tree.to_json(), serde_json::json!({"a": {"b": 2}, "c": {"d": {"e": "new"}}}));
        assert_eq!(tree.get("a.b").unwrap().origin, flag);
    }
}
