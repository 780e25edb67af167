//! The JSON schema of the config file, generated from [`super::raw`].
//!
//! It is what editors use, what [`super::check`] walks and what the reference is made of, so a
//! field's name, type, range and meaning are written once: at the field.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json};

use super::raw::RawConfig;

/// The schema as JSON, without references: every field's rule stands where the field is.
#[must_use]
pub fn schema() -> Json {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<RawConfig>().to_value();
    if let Json::Object(root) = &mut schema {
        root.insert("title".to_owned(), Json::from("Sickbay configuration"));
    }
    schema
}

/// The schema of what is said about faults, in the config and in the catalogue itself.
#[must_use]
pub fn faults_schema() -> Json {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<super::raw::RawFaults>().to_value();
    if let Json::Object(root) = &mut schema {
        root.insert("title".to_owned(), Json::from("Sickbay fault catalogue"));
    }
    schema
}

/// A view on the rule of one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a>(&'a Map<String, Json>);

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A section with keys.
    Section,
    /// A list.
    List,
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Switch,
}

impl<'a> Rule<'a> {
    /// The rule in a schema.
    #[must_use]
    pub(super) fn of(schema: &'a Json) -> Option<Self> {
        schema.as_object().map(Self)
    }

    /// What the field holds; `null`, which every optional field may be, is left out.
    #[must_use]
    pub(super) fn shape(self) -> Shape {
        let word = match self.0.get("type") {
            Some(Json::String(word)) => Some(word.as_str()),
            Some(Json::Array(words)) => {
                words.iter().filter_map(Json::as_str).find(|word| *word != "null")
            }
            _ => self.alternative().map(Self::shape_word),
        };
        match word {
            Some("object") => Shape::Section,
            Some("array") => Shape::List,
            Some("number") => Shape::Number,
            Some("integer") => Shape::Integer,
            Some("boolean") => Shape::Switch,
            _ => Shape::Text,
        }
    }

    fn shape_word(self) -> &'a str {
        self.0.get("type").and_then(Json::as_str).unwrap_or("string")
    }

    /// `anyOf: [rule, null]` is how an optional field of an own type is written.
    fn alternative(self) -> Option<Self> {
        let any = self.0.get("anyOf")?.as_array()?;
        any.iter().filter_map(Self::of).find(|rule| rule.shape_word() != "null")
    }

    fn get(self, key: &str) -> Option<&'a Json> {
        self.0.get(key).or_else(|| self.alternative()?.0.get(key))
    }

    /// Meaning, as documented at the field.
    #[must_use]
    pub(super) fn description(self) -> &'a str {
        self.0.get("description").and_then(Json::as_str).unwrap_or("")
    }

    /// `duration`, `size`, …
    #[must_use]
    pub(super) fn format(self) -> &'a str {
        self.get("format").and_then(Json::as_str).unwrap_or("")
    }

    /// The words that a text may be; empty if any may be.
    #[must_use]
    pub(super) fn words(self) -> Vec<&'a str> {
        let listed = self.get("enum").and_then(Json::as_array);
        let one_of = self.get("oneOf").and_then(Json::as_array);
        match (listed, one_of) {
            (Some(words), _) => words.iter().filter_map(Json::as_str).collect(),
            (None, Some(rules)) => {
                rules.iter().filter_map(|rule| rule.get("const")?.as_str()).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// The rule of the section that may stand in place of a word (`clears: {after_seconds: 900}`).
    #[must_use]
    pub(super) fn or_section(self) -> Option<Self> {
        let any = self.get("oneOf")?.as_array()?;
        any.iter().filter_map(Self::of).find(|rule| rule.shape_word() == "object")
    }

    /// The range of a number.
    #[must_use]
    pub(super) fn range(self) -> (Option<f64>, Option<f64>) {
        let bound = |key| self.get(key).and_then(Json::as_f64);
        (bound("minimum"), bound("maximum"))
    }

    /// The range of a duration or a size, as text.
    #[must_use]
    pub(super) fn text_range(self) -> (Option<&'a str>, Option<&'a str>) {
        let bound = |key| self.get(key).and_then(Json::as_str);
        (bound("x-minimum"), bound("x-maximum"))
    }

    /// The most items that a list may have.
    #[must_use]
    pub(super) fn max_items(self) -> Option<u64> {
        self.get("maxItems").and_then(Json::as_u64)
    }

    /// The rule of a list's items.
    #[must_use]
    pub(super) fn items(self) -> Option<Self> {
        Self::of(self.get("items")?)
    }

    /// The rule of a section's key; in a section of free keys, the same for each.
    #[must_use]
    pub(super) fn property(self, key: &str) -> Option<Self> {
        let named = self.get("properties").and_then(|properties| properties.get(key));
        named.and_then(Self::of).or_else(|| self.free_keys())
    }

    /// The rule of every key's value in a section whose keys are free (labels).
    #[must_use]
    pub(super) fn free_keys(self) -> Option<Self> {
        self.get("additionalProperties").and_then(Self::of)
    }

    /// The keys of a section.
    pub(super) fn keys(self) -> impl Iterator<Item = &'a str> {
        let properties = self.get("properties").and_then(Json::as_object);
        properties.into_iter().flat_map(|map| map.keys().map(String::as_str))
    }

    /// The keys that a section must have.
    pub(super) fn required(self) -> impl Iterator<Item = &'a str> {
        let required = self.get("required").and_then(Json::as_array);
        required.into_iter().flatten().filter_map(Json::as_str)
    }

    /// The rule at a path of keys.
    #[must_use]
    pub(super) fn at(self, path: &str) -> Option<Self> {
        path.split('.').try_fold(self, |rule, key| match key.parse::<usize>() {
            Ok(_) => rule.items(),
            Err(_) => rule.property(key),
        })
    }
}
