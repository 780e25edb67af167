//! What is wrong, as a rule says it, and what becomes of it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{ResourceId, Timestamp};

use crate::Labels;

/// How bad it is for a person to know of it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at in working hours.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// All of them, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What makes a problem the same problem: two answers with one key are never two alerts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The rule that found it.
    pub rule: Arc<str>,
    /// What it is wrong with.
    pub resource: ResourceId,
    /// Of which part of it (mount point, GPU, port); empty if it is the whole.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub instance: Arc<str>,
}

impl Key {
    /// A short name that stays the same for the same key, on any machine and in any version: 16
    /// hexadecimal digits of FNV-1a.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let parts = [&*self.rule, self.resource.as_str(), &*self.instance];
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in parts {
            // A byte that UTF-8 never has, so that parts cannot run into each other.
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        format!("{hash:016x}")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.rule, self.resource)?;
        if self.instance.is_empty() { Ok(()) } else { write!(f, " ({})", self.instance) }
    }
}

/// One alert from its opening to its end; what comes after is another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub Arc<str>);

impl AlertId {
    /// The key's fingerprint and when it was opened, to the millisecond.
    #[must_use]
    pub fn new(key: &Key, opened: Timestamp) -> Self {
        Self(format!("{}-{:x}", key.fingerprint(), opened.as_unix_ms()).into())
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a rule found to be wrong, now.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// What alerts are selected, grouped and routed by.
    pub labels: Labels,
    /// One sentence.
    pub summary: String,
    /// Why, and what it was held against, a line each.
    pub explanation: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
    /// For how long it must be wrong before anybody is told.
    pub pending_for: Duration,
    /// For how long it must be well before it is over.
    pub keep_firing_for: Duration,
    /// The problem that explains this one, if it is known.
    pub cause: Option<Key>,
}

/// What a rule says of one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Something is wrong.
    Wrong(Box<Problem>),
    /// It cannot be said, and why: never the end of an alert.
    Unknown(String),
}

/// Who took an alert on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// What for.
    #[serde(default)]
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// Until when it holds; none: to the alert's end.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// Where an alert is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// Wrong, not yet for long enough.
    Pending {
        /// Since when.
        since: Timestamp,
    },
    /// Wrong for long enough: people are told.
    Firing {
        /// Since when.
        since: Timestamp,
        /// Well since then, not yet for long enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        well_since: Option<Timestamp>,
    },
    /// Over.
    Resolved {
        /// Since when.
        at: Timestamp,
        /// Why, if it is not simply well again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

/// Why nobody is told of an alert that is firing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Hush {
    /// A silence covers it.
    Silence {
        /// Which.
        id: String,
        /// Until when.
        until: Timestamp,
    },
    /// Another alert explains it.
    Cause {
        /// Which.
        key: Key,
    },
    /// Someone is at it.
    Acknowledged,
    /// It was told to be over just now, and is not told again before this.
    Cooldown {
        /// Until when.
        until: Timestamp,
    },
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its name, unique for ever.
    pub id: AlertId,
    /// What it is about.
    pub key: Key,
    /// Where it is in its life.
    pub state: State,
    /// The worst severity of this life so far.
    pub severity: Severity,
    /// As they were when it was last found.
    pub labels: Labels,
    /// One sentence.
    pub summary: String,
    /// Why, a line each.
    #[serde(default)]
    pub explanation: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub advice: Option<String>,
    /// When it was opened: first found wrong.
    pub opened: Timestamp,
    /// When it was last found wrong.
    pub seen: Timestamp,
    /// Since when its rule cannot say how it is.
    #[serde(default)]
    pub unknown_since: Option<Timestamp>,
    /// Who is at it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
    /// Why nobody is told, if so.
    #[serde(default)]
    pub hush: Option<Hush>,
    /// The problem that explains it.
    #[serde(default)]
    pub cause: Option<Key>,
    /// For how long it must be well before it is over.
    #[serde(default)]
    pub keep_firing_for: Duration,
    /// When alerts of this key fired lately, this one last.
    #[serde(default)]
    pub fired: VecDeque<Timestamp>,
    /// Whether it comes and goes too often to be told each time.
    #[serde(default)]
    pub flapping: bool,
    /// When the end of the one before it was told.
    #[serde(default)]
    pub told_over: Option<Timestamp>,
    /// The groups in which it is told, or to be told, and what was told there.
    #[serde(default)]
    pub told: BTreeMap<String, Told>,
    /// How many of the members the alert stands for, if it stands for a whole set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<ResourceId>,
}

/// What a group's receiver was told of one alert. Told means owed: a notice is kept until it is
/// delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The worst severity that was told; none if nothing was.
    pub severity: Option<Severity>,
    /// When it was last told.
    pub at: Option<Timestamp>,
    /// Whether something is to be told.
    pub owed: bool,
}

impl Alert {
    /// Whether it fires.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        matches!(self.state, State::Firing { .. })
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        matches!(self.state, State::Resolved { .. })
    }

    /// Whether anybody was told that it is there and not yet that it is over.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.told.values().any(|told| told.severity.is_some())
    }

    /// The word for where it is in its life, as people are shown it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (&self.state, &self.hush) {
            (State::Pending { .. }, _) => "pending",
            (State::Resolved { .. }, _) => "resolved",
            (State::Firing { .. }, _) if self.acknowledged.is_some() => "acknowledged",
            (State::Firing { .. }, Some(Hush::Silence { .. })) => "silenced",
            (State::Firing { .. }, Some(Hush::Cause { .. })) => "explained",
            (State::Firing { .. }, _) => "firing",
        }
    }

    /// Nothing happened later than now: the clock was set back.
    pub(crate) fn set_back(&mut self, now: Timestamp) {
        match &mut self.state {
            State::Pending { since } => *since = (*since).min(now),
            State::Firing { since, well_since } => {
                *since = (*since).min(now);
                *well_since = well_since.map(|at| at.min(now));
            }
            State::Resolved { at, .. } => *at = (*at).min(now),
        }
        self.seen = self.seen.min(now);
        for at in self.fired.iter_mut() {
            *at = (*at).min(now);
        }
        for at in [&mut self.unknown_since, &mut self.told_over].into_iter().flatten() {
            *at = (*at).min(now);
        }
        for at in self.told.values_mut().filter_map(|told| told.at.as_mut()) {
            *at = (*at).min(now);
        }
    }

    /// Since when it fires; none if it does not.
    #[must_use]
    pub fn firing_since(&self) -> Option<Timestamp> {
        match self.state {
            State::Firing { since, .. } => Some(since),
            _ => None,
        }
    }
}
