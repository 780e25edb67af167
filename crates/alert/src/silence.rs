//! Silences: alerts that nobody is to be told of for a while, and maintenance windows that come back.
//!
//! A silence takes nothing away: what it covers is still judged and shown, as silenced, and becomes an
//! alert again when the silence ends. Each has a reason, an author and an end.

mod all;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;

use crate::calendar::Part;
use crate::{Calendar, Labels, Matchers, Stretch};

pub use all::{Preview, Silences};

/// Names a silence: letters, digits, `-` and `_`; at most 64. Who makes a silence chooses it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SilenceId(String);

impl SilenceId {
    /// The longest, in bytes.
    pub const MAX: usize = 64;

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SilenceId {
    type Error = SilenceMistake;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let possible = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(is_part);
        if possible { Ok(Self(text)) } else { Err(SilenceMistake::Id) }
    }
}

impl std::str::FromStr for SilenceId {
    type Err = SilenceMistake;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<SilenceId> for String {
    fn from(id: SilenceId) -> Self {
        id.0
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a silence is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceMistake {
    /// The id is none.
    #[error("the id of a silence has 1 to {} letters, digits, - and _", SilenceId::MAX)]
    Id,
    /// It would cover alerts whatever their labels, which nobody should do by mistake.
    #[error(
        "this silences everything that lacks a label: add what it is about, such as \
         node=\"gpu-07\", or rule=~\".+\" for all rules"
    )]
    Everything,
    /// Nobody says why.
    #[error("a silence needs a reason: say why, for those who find it")]
    NoReason,
    /// Nobody says who.
    #[error("a silence needs to say whose it is")]
    NoAuthor,
    /// A text is too long.
    #[error("the {0} of a silence may have {1} bytes")]
    TooLong(&'static str, usize),
    /// It comes back and has no end.
    #[error("a silence that comes back needs an end, within a year")]
    NoEnd,
    /// It has ended already.
    #[error("the silence has ended already at {0}")]
    Over(Timestamp),
    /// It ends too late.
    #[error("a silence may last {most} days: until {0}", most = Silence::MAX_DAYS)]
    TooLate(Timestamp),
    /// None of its stretches begins before its end.
    #[error("the silence ends at {0}, before it begins")]
    Never(Timestamp),
    /// There is one of this id.
    #[error("there is a silence `{0}` already")]
    Twice(SilenceId),
    /// There are too many.
    #[error("there are {} silences: no more fit until some are over", Silences::MAX)]
    TooMany,
}

/// What a silence is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSilence {
    /// Its name.
    pub id: SilenceId,
    /// What it covers.
    pub matchers: Matchers,
    /// When it covers that: once, or again and again.
    pub when: Calendar,
    /// When it ends for good. A calendar that does not come back has an end of its own.
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It will hold; also between two stretches of one that comes back.
    Pending,
    /// It holds.
    Active,
    /// It will not hold again.
    Expired,
}

/// Alerts that nobody is told of, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    id: SilenceId,
    matchers: Matchers,
    when: Calendar,
    expires_at: Timestamp,
    created_by: String,
    reason: String,
    created_at: Timestamp,
}

impl Silence {
    /// How long it may last from when it is made: a year.
    pub const MAX_DAYS: u32 = 366;
    /// The longest reason, in bytes.
    pub const MAX_REASON: usize = 2048;
    /// The longest name of an author, in bytes.
    pub const MAX_AUTHOR: usize = 256;

    /// A silence that says why, of what, and until when.
    ///
    /// # Errors
    /// Something of that is missing, or it could never hold.
    pub fn new(new: NewSilence) -> Result<Self, SilenceMistake> {
        let NewSilence { id, matchers, when, created_at, .. } = new;
        let reason = text(&new.reason, "reason", Self::MAX_REASON, SilenceMistake::NoReason)?;
        let created_by =
            text(&new.created_by, "author", Self::MAX_AUTHOR, SilenceMistake::NoAuthor)?;
        // Alertmanager's rule: at least one matcher asks for a label that is there.
        if matchers.matches(&Labels::default()) {
            return Err(SilenceMistake::Everything);
        }
        let expires_at = match (new.expires_at, own_end(&when)) {
            (Some(wanted), Some(own)) => wanted.min(own),
            (wanted, own) => wanted.or(own).ok_or(SilenceMistake::NoEnd)?,
        };
        if expires_at <= created_at {
            return Err(SilenceMistake::Over(expires_at));
        }
        let latest = created_at.plus(Duration::from_secs(u64::from(Self::MAX_DAYS) * 86_400));
        if expires_at > latest {
            return Err(SilenceMistake::TooLate(latest));
        }
        let silence = Self { id, matchers, when, expires_at, created_by, reason, created_at };
        match silence.state(created_at) {
            SilenceState::Expired => Err(SilenceMistake::Never(expires_at)),
            SilenceState::Pending | SilenceState::Active => Ok(silence),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &SilenceId {
        &self.id
    }

    /// What it covers.
    #[must_use]
    pub fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    /// When it covers that, until it expires.
    #[must_use]
    pub fn when(&self) -> &Calendar {
        &self.when
    }

    /// When it ends for good.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Who made it.
    #[must_use]
    pub fn created_by(&self) -> &str {
        &self.created_by
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The stretch that holds, else the next, up to the end of the silence. None: it is over.
    #[must_use]
    pub fn current_or_next(&self, now: Timestamp) -> Option<Stretch> {
        let stretch = self.when.current_or_next(now).filter(|it| it.from < self.expires_at)?;
        let until = stretch.until.min(self.expires_at);
        (now < until).then_some(Stretch { from: stretch.from, until })
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> SilenceState {
        match self.current_or_next(now) {
            None => SilenceState::Expired,
            Some(stretch) if stretch.covers(now) => SilenceState::Active,
            Some(_) => SilenceState::Pending,
        }
    }

    /// When the stretch that holds now ends. None: none holds.
    #[must_use]
    pub fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let current = self.current_or_next(now).filter(|stretch| stretch.covers(now));
        current.map(|stretch| stretch.until)
    }

    /// When its state changes next. None: it is over.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let stretch = self.current_or_next(now)?;
        Some(if stretch.from > now { stretch.from } else { stretch.until })
    }

    /// Whether nobody is to be told of an alert with these labels.
    #[must_use]
    pub fn covers(&self, labels: &Labels, now: Timestamp) -> bool {
        now < self.expires_at && self.matchers.matches(labels) && self.when.covers(now)
    }

    /// Ends it; one that is over stays as it was.
    fn expire(&mut self, now: Timestamp) {
        self.expires_at = self.expires_at.min(now);
    }
}

/// When a calendar ends that does not come back.
fn own_end(calendar: &Calendar) -> Option<Timestamp> {
    let ends = calendar.parts().iter().map(|part| match part {
        Part::Once(stretch) => Some(stretch.until),
        Part::Repeating(_) => None,
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn text(
    text: &str,
    name: &'static str,
    limit: usize,
    missing: SilenceMistake,
) -> Result<String, SilenceMistake> {
    match text.trim() {
        "" => Err(missing),
        text if text.len() > limit => Err(SilenceMistake::TooLong(name, limit)),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
