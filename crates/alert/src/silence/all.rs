//! All silences, and which of them cover an alert.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sickbay_model::Timestamp;

use super::{Silence, SilenceId, SilenceMistake};
use crate::{Labels, Matcher, Matchers};

/// All silences, in the order in which they were added.
///
/// Those that ask for a label's value are found by that value, so that an alert is compared with few.
/// Stored as the list of them.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    all: Vec<Silence>,
    /// Places in `all`.
    by_id: BTreeMap<SilenceId, usize>,
    /// Places in `all`: by the name and the values of the first label that is asked for.
    by_label: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Places of those that ask for no label's value.
    others: Vec<usize>,
}

/// What a silence would cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview<'a> {
    /// How many alerts.
    pub covered: usize,
    /// Of how many.
    pub of: usize,
    /// The first of those that it covers.
    pub examples: Vec<&'a Labels>,
}

impl<'a> Preview<'a> {
    /// The most examples.
    pub const MAX_EXAMPLES: usize = 20;

    /// Whom of these alerts matchers select, whatever the time.
    #[must_use]
    pub fn of(matchers: &Matchers, alerts: impl IntoIterator<Item = &'a Labels>) -> Self {
        let mut preview = Self { covered: 0, of: 0, examples: Vec::new() };
        for labels in alerts {
            preview.of += 1;
            if !matchers.matches(labels) {
                continue;
            }
            preview.covered += 1;
            if preview.examples.len() < Self::MAX_EXAMPLES {
                preview.examples.push(labels);
            }
        }
        preview
    }
}

impl Silences {
    /// The most that there may be.
    pub const MAX: usize = 10_000;

    /// Adds one.
    ///
    /// # Errors
    /// There are too many, or there is one of this id.
    pub fn add(&mut self, silence: Silence) -> Result<(), SilenceMistake> {
        if self.all.len() >= Self::MAX {
            return Err(SilenceMistake::TooMany);
        }
        if self.get(silence.id()).is_some() {
            return Err(SilenceMistake::Twice(silence.id().clone()));
        }
        self.push(silence);
        Ok(())
    }

    /// Ends one now; returns whether there is one of this id that was not over.
    pub fn expire(&mut self, id: &SilenceId, now: Timestamp) -> bool {
        let found = self.by_id.get(id).and_then(|place| self.all.get_mut(*place));
        let Some(silence) = found.filter(|silence| silence.current_or_next(now).is_some()) else {
            return false;
        };
        silence.expire(now);
        true
    }

    /// Forgets those that have been over for this long; returns how many.
    pub fn prune(&mut self, now: Timestamp, kept: Duration) -> usize {
        let before = self.all.len();
        self.all.retain(|silence| silence.expires_at().plus(kept) > now);
        let forgotten = before - self.all.len();
        if forgotten > 0 {
            let all = std::mem::take(self).all;
            all.into_iter().for_each(|silence| self.push(silence));
        }
        forgotten
    }

    /// The silence that keeps an alert with these labels quiet; of several, the one that ends first.
    #[must_use]
    pub fn covering(&self, labels: &Labels, now: Timestamp) -> Option<&Silence> {
        let ends_at = |silence: &&Silence| (silence.ends_at(now), silence.id().clone());
        self.all_covering(labels, now).min_by_key(ends_at)
    }

    /// All the silences that keep an alert with these labels quiet.
    pub fn all_covering(&self, labels: &Labels, now: Timestamp) -> impl Iterator<Item = &Silence> {
        let asked = labels.iter().filter_map(|(name, value)| self.by_label.get(name)?.get(value));
        let places = asked.flatten().chain(&self.others);
        let possible = places.filter_map(|place| self.all.get(*place));
        possible.filter(move |silence| silence.covers(labels, now))
    }

    /// When the state of one of them changes next. None: all are over.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.all.iter().filter_map(|silence| silence.next_change(now)).min()
    }

    /// The one of this id.
    #[must_use]
    pub fn get(&self, id: &SilenceId) -> Option<&Silence> {
        self.all.get(*self.by_id.get(id)?)
    }

    /// Each of them, also those that are over.
    pub fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.all.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes one in, and into the lists.
    fn push(&mut self, silence: Silence) {
        match silence.matchers().iter().find_map(asked) {
            Some((name, values)) => {
                let by_value = self.by_label.entry(name).or_default();
                for value in values {
                    by_value.entry(value).or_default().push(self.all.len());
                }
            }
            None => self.others.push(self.all.len()),
        }
        self.by_id.insert(silence.id().clone(), self.all.len());
        self.all.push(silence);
    }
}

/// The name and the values one of which a matcher asks for: an equality, or a choice of words
/// (`node=~"gpu-07|gpu-08"`). None: it is neither, or needs escapes.
fn asked(matcher: &Matcher) -> Option<(String, Vec<String>)> {
    let (name, text) = (matcher.name(), matcher.to_string());
    let operation = text.strip_prefix(name)?.strip_suffix('"')?;
    let mut values: Vec<String> = match operation.strip_prefix("=~\"") {
        Some(pattern) => pattern.split('|').map(word).collect::<Option<_>>()?,
        None => {
            let value = operation.strip_prefix("=\"")?;
            vec![(*matcher == Matcher::equal(name, value)).then(|| value.to_owned())?]
        }
    };
    values.sort();
    values.dedup();
    // An empty value is also that of a missing label.
    values.iter().all(|value| !value.is_empty()).then(|| (name.to_owned(), values))
}

/// A piece of a pattern that matches itself only.
fn word(pattern: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    pattern.bytes().all(is_plain).then(|| pattern.to_owned())
}

impl PartialEq for Silences {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Serialize for Silences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Silences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut silences = Self::default();
        for silence in Vec::<Silence>::deserialize(deserializer)? {
            silences.add(silence).map_err(serde::de::Error::custom)?;
        }
        Ok(silences)
    }
}
