//! Labels of alerts, and what selects by them.
//!
//! Matchers are written as Prometheus and Alertmanager write them: `severity="critical"`,
//! `rack!="r7"`, `node=~"gpu-0[1-4]"`, `job!~"test-.*"`; a missing label is the empty string, and
//! patterns match the whole value.

use std::collections::BTreeMap;
use std::fmt;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The names and values that tell what an alert is about. Bounded: see [`Labels::insert`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The most labels that one alert may have.
    pub const MAX: usize = 64;
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 128;
    /// The longest value, in bytes; what is beyond is cut and ends in `…`.
    pub const MAX_VALUE: usize = 1024;

    /// Sets a label. A value that is too long is cut; a name that is no name, and a label beyond
    /// the limit, are refused: returns whether it was taken.
    pub fn insert(&mut self, name: &str, value: &str) -> bool {
        if !is_name(name) || (self.0.len() >= Self::MAX && !self.0.contains_key(name)) {
            return false;
        }
        self.0.insert(name.to_owned(), cut(value, Self::MAX_VALUE));
        true
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these names, in the names' order; a missing one is left out.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let kept = names.iter().filter_map(|name| Some((name.clone(), self.0.get(name)?.clone())));
        Self(kept.collect())
    }

    /// What all of these have in common.
    #[must_use]
    pub fn common<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = all.into_iter();
        let Some(first) = all.next() else { return Self::default() };
        let mut common = first.clone();
        for labels in all {
            common.0.retain(|name, value| labels.0.get(name) == Some(value));
        }
        common
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    /// What is refused is left out.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(all: I) -> Self {
        let mut labels = Self::default();
        for (name, value) in all {
            labels.insert(name.as_ref(), value.as_ref());
        }
        labels
    }
}

impl fmt::Display for Labels {
    /// As matchers that select exactly it: `{node="gpu-07",rule="gpu_ecc"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, (name, value)) in self.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{name}=\"{}\"", escape(value))?;
        }
        f.write_str("}")
    }
}

/// Prometheus's data model: `[a-zA-Z_][a-zA-Z0-9_]*`.
fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= Labels::MAX_NAME
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

fn cut(value: &str, limit: usize) -> String {
    if value.len() <= limit {
        return value.to_owned();
    }
    let end = value.floor_char_boundary(limit - '…'.len_utf8());
    format!("{}…", value.get(..end).unwrap_or_default())
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// How a matcher compares.
#[derive(Clone, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Matches(Regex),
    NotMatches(Regex),
}

/// One condition on a label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    value: String,
    comparison: Comparison,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.value, self.operator()) == (&other.name, &other.value, other.operator())
    }
}

/// What is wrong with a matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelMistake {
    /// No operator, or no name before it.
    #[error("`{0}` is no matcher: write name=\"value\", with =, !=, =~ or !~")]
    Shape(String),
    /// The name cannot be a label's.
    #[error("`{0}` cannot be the name of a label: letters, digits and _ only, no digit first")]
    Name(String),
    /// A quoted value that does not end, or an escape that does not exist.
    #[error(
        "the quoted value of `{0}` does not end, or has an escape other than \\\\, \\\" and \\n"
    )]
    Quotes(String),
    /// The pattern is none.
    #[error("the pattern of `{name}` is none: {reason}")]
    Pattern {
        /// Whose.
        name: String,
        /// Why not.
        reason: String,
    },
    /// There are too many.
    #[error("more than {} matchers", Labels::MAX)]
    TooMany,
}

impl Matcher {
    /// The largest program that a pattern may become, in bytes.
    const MAX_PATTERN: usize = 64 * 1024;

    /// A label has exactly this value.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), comparison: Comparison::Equal }
    }

    fn new(name: &str, operator: &str, value: String) -> Result<Self, LabelMistake> {
        if !is_name(name) {
            return Err(LabelMistake::Name(name.to_owned()));
        }
        let pattern = || {
            let whole = format!("^(?:{value})$");
            let built = RegexBuilder::new(&whole).size_limit(Self::MAX_PATTERN).build();
            built.map_err(|error| LabelMistake::Pattern {
                name: name.to_owned(),
                reason: error.to_string(),
            })
        };
        let comparison = match operator {
            "=~" => Comparison::Matches(pattern()?),
            "!~" => Comparison::NotMatches(pattern()?),
            "!=" => Comparison::NotEqual,
            _ => Comparison::Equal,
        };
        Ok(Self { name: name.to_owned(), value, comparison })
    }

    /// The name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn operator(&self) -> &'static str {
        match self.comparison {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Matches(_) => "=~",
            Comparison::NotMatches(_) => "!~",
        }
    }

    /// Whether labels fulfil it.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).unwrap_or_default();
        match &self.comparison {
            Comparison::Equal => value == self.value,
            Comparison::NotEqual => value != self.value,
            Comparison::Matches(pattern) => pattern.is_match(value),
            Comparison::NotMatches(pattern) => !pattern.is_match(value),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}\"{}\"", self.name, self.operator(), escape(&self.value))
    }
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// Reads matchers as Alertmanager writes them: separated by commas, with or without braces, values
    /// with or without quotes.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, LabelMistake> {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let mut matchers = Vec::new();
        let mut rest = inner.trim_start();
        while !rest.is_empty() {
            if matchers.len() >= Labels::MAX {
                return Err(LabelMistake::TooMany);
            }
            let (matcher, after) = one(rest)?;
            matchers.push(matcher);
            rest = after.trim_start();
        }
        Ok(Self(matchers))
    }

    /// Whether labels fulfil all of them. None at all are fulfilled by everything.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Matcher> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Matcher> for Matchers {
    fn from_iter<I: IntoIterator<Item = Matcher>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, matcher) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{matcher}")?;
        }
        Ok(())
    }
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The first matcher of a text, and what follows its comma.
fn one(text: &str) -> Result<(Matcher, &str), LabelMistake> {
    let shape = || LabelMistake::Shape(cut(text, 64));
    let operator_at = text.find(['=', '!']).ok_or_else(shape)?;
    let (name, rest) = text.split_at(operator_at);
    let operators = ["=~", "!~", "!=", "="];
    let operator = operators.into_iter().find(|it| rest.starts_with(it)).ok_or_else(shape)?;
    let value = rest.get(operator.len()..).unwrap_or_default().trim_start();
    let name = name.trim();
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, after) =
            unquote(quoted).ok_or_else(|| LabelMistake::Quotes(name.to_owned()))?;
        let after = after.trim_start();
        let after = match after.strip_prefix(',') {
            Some(after) => after,
            None if after.is_empty() => after,
            None => return Err(shape()),
        };
        return Ok((Matcher::new(name, operator, value)?, after));
    }
    let (value, after) = value.split_once(',').unwrap_or((value, ""));
    Ok((Matcher::new(name, operator, value.trim().to_owned())?, after))
}

/// A value up to its closing quotes, and what follows them.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut all = text.char_indices();
    while let Some((at, next)) = all.next() {
        match next {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match all.next()?.1 {
                'n' => '\n',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().copied().collect()
    }

    #[test]
    fn matchers_select_as_alertmanager_s_do() {
        let gpu = labels(&[("node", "gpu-07"), ("severity", "critical"), ("rack", "r1")]);
        for (text, selects) in [
            ("", true),
            ("{}", true),
            ("node=gpu-07", true),
            (r#"node="gpu-07", severity="critical""#, true),
            (r#"{node="gpu-07",severity!="critical"}"#, false),
            // A pattern matches the whole value.
            (r#"node=~"gpu""#, false),
            (r#"node=~"gpu-0[1-9]|cpu-.*""#, true),
            (r#"node!~"gpu-.*""#, false),
            // A missing label is empty.
            (r#"job="""#, true),
            (r#"job!="x""#, true),
            (r#"job=~".+""#, false),
        ] {
            let matchers = Matchers::parse(text).expect(text);
            assert_eq!(matchers.matches(&gpu), selects, "{text}");
            assert_eq!(Matchers::parse(&matchers.to_string()).as_ref(), Ok(&matchers), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        for (text, says) in [
            ("critical", "`critical` is no matcher: write name=\"value\", with =, !=, =~ or !~"),
            ("a!b", "`a!b` is no matcher: write name=\"value\", with =, !=, =~ or !~"),
            (
                "7up=x",
                "`7up` cannot be the name of a label: letters, digits and _ only, no digit first",
            ),
            (
                r#"a="b"#,
                r#"the quoted value of `a` does not end, or has an escape other than \\, \" and \n"#,
            ),
            (
                r#"a="b" c="d""#,
                r#"`a="b" c="d"` is no matcher: write name="value", with =, !=, =~ or !~"#,
            ),
        ] {
            assert_eq!(Matchers::parse(text).expect_err(text).to_string(), says);
        }
        assert!(matches!(Matchers::parse("a=~\"(\""), Err(LabelMistake::Pattern { .. })));
        let huge = format!("a=~\"{}\"", "(x{1,900}){1,900}");
        assert!(matches!(Matchers::parse(&huge), Err(LabelMistake::Pattern { .. })));
    }

    #[test]
    fn labels_are_bounded() {
        let mut labels = Labels::default();
        assert!(labels.insert("a", &"ü".repeat(1_000_000)));
        let value = labels.get("a").expect("there");
        assert!(value.len() <= Labels::MAX_VALUE && value.ends_with('…'));
        assert!(!labels.insert("no-name", "x") && !labels.insert("", "x"));
        for number in 0..1000 {
            labels.insert(&format!("l{number}"), "x");
        }
        assert_eq!(labels.len(), Labels::MAX);
        assert!(labels.insert("a", "one that is there can be set still"));
    }

    #[test]
    fn what_alerts_have_in_common() {
        let all = [
            labels(&[("rule", "gpu_ecc"), ("node", "a"), ("rack", "r1")]),
            labels(&[("rule", "gpu_ecc"), ("node", "b"), ("rack", "r1")]),
        ];
        assert_eq!(Labels::common(&all), labels(&[("rule", "gpu_ecc"), ("rack", "r1")]));
        assert!(Labels::common([]).is_empty());
    }

    proptest! {
        #[test]
        fn any_labels_can_be_selected_by_what_they_print(
            all in proptest::collection::btree_map("[a-z_]{1,8}", any::<String>(), 0..5),
        ) {
            let labels: Labels = all.iter().collect();
            let matchers = Matchers::parse(&labels.to_string()).expect("what labels print are matchers");
            prop_assert!(matchers.matches(&labels));
        }

        #[test]
        fn no_text_breaks_the_parser(text in any::<String>()) {
            let _ = Matchers::parse(&text);
        }
    }
}
