//! The language of alert rules: a subset of CEL, the Common Expression Language.
//!
//! ```text
//! gpu_temperature_celsius > 85 && check.gpu_clock != "healthy"
//! ```
//!
//! A text is read ([`mod@lexer`], [`mod@parser`]), checked once for names and types ([`mod@checker`]),
//! and becomes a tree that is evaluated without allocating ([`mod@program`]). All that a text can cost is
//! bounded: its length, its depth, its patterns; there are no loops but over the instances of a node,
//! and none within another.
//!
//! What is not known is never taken for false: an [`Outcome`] is true, false, or names what is missing.
//!
//! `docs/rules-language.md` describes the language for those who write rules.

use std::fmt;
use std::ops::{ControlFlow, Range};

use sickbay_model::{Frame, InstanceKind, MetricId};

mod checker;
mod evidence;
mod lexer;
mod names;
mod parser;
mod program;
mod scope;
mod syntax;

use evidence::Read;
use program::{Instances, Place, Truth};
pub use scope::{CheckState, Checks, Missing, Now, Outcome, Scope};

/// The condition of a rule, checked and ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    each: Option<InstanceKind>,
    truth: Truth,
    reads: Vec<Read>,
    metrics: Vec<MetricId>,
    checks: Vec<CheckName>,
    instances: Instances,
}

/// The name of a check in a text. Which checks exist, the engine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckName {
    /// The name as written.
    pub name: Box<str>,
    /// Where it is written, in bytes.
    pub at: Range<usize>,
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mistake {
    /// The part of the text that it is about, in bytes; always within the text, and at its end where
    /// something is missing.
    pub at: Range<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Mistake {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A part of a text for a message: messages are short, whatever was written.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl Expression {
    /// The longest text, in bytes, as written and as printed.
    pub const MAX_TEXT: usize = 4096;
    /// How many levels of parentheses and operators there may be.
    pub const MAX_DEPTH: usize = 64;
    /// The most patterns of `matches`.
    pub const MAX_PATTERNS: usize = 4;
    /// The largest program that one pattern may become, in bytes.
    pub const MAX_PATTERN_BYTES: usize = 16 * 1024;
    /// How many mistakes are told at most.
    pub const MAX_MISTAKES: usize = 16;

    /// Reads and checks a condition. With `each`, it is about one instance at a time, and metrics of
    /// that kind are the current instance's; without, they need an aggregate.
    ///
    /// # Errors
    /// Everything that is wrong, or the first thing where the rest cannot be understood.
    pub fn compile(text: &str, each: Option<InstanceKind>) -> Result<Self, Vec<Mistake>> {
        let too_long = || {
            let most = Self::MAX_TEXT;
            vec![Mistake::new(0..text.len(), format!("a rule may have {most} bytes at most"))]
        };
        if text.len() > Self::MAX_TEXT {
            return Err(too_long());
        }
        let node = parser::parse(text).map_err(|mistake| vec![mistake])?;
        let checker::Checked { truth, reads, metrics, checks, instances } =
            checker::check(&node, each)?;
        let text = node.to_string();
        if text.len() > Self::MAX_TEXT {
            return Err(too_long());
        }
        Ok(Self { text: text.into(), each, truth, reads, metrics, checks, instances })
    }

    /// Whether the condition holds. A rule for each of something is evaluated for one instance: its
    /// name, and at which place among the instances it probably is (see [`Frame::get_near`]).
    #[must_use]
    pub fn evaluate(&self, scope: &Scope<'_>, instance: Option<(&str, usize)>) -> Outcome<'_> {
        self.truth.value(&self.place(scope, instance)).into()
    }

    /// Calls this for every instance that a rule for each of something is to be evaluated for: each
    /// that has a value of a metric that the rule reads. Never, for a rule without `each`. An instance
    /// of which nothing is measured any more is not among them; evaluating one says what is missing.
    pub fn for_each_instance<'f>(&self, frame: &'f Frame, mut one: impl FnMut(&'f str, usize)) {
        let _ = self.instances.visit(frame, |name, place| {
            one(name, place);
            ControlFlow::Continue(())
        });
    }

    /// What it read and what it found there, for the explanation of an alert: pairs of a name (or an
    /// aggregate) and its value with unit.
    #[must_use]
    pub fn evidence(
        &self,
        scope: &Scope<'_>,
        instance: Option<(&str, usize)>,
    ) -> Vec<(String, String)> {
        let place = self.place(scope, instance);
        self.reads.iter().map(|read| (read.name.clone(), read.shown(&place))).collect()
    }

    /// The metrics that it reads, ascending.
    #[must_use]
    pub fn metrics(&self) -> &[MetricId] {
        &self.metrics
    }

    /// The checks that it reads, as often as they are written.
    #[must_use]
    pub fn checks(&self) -> &[CheckName] {
        &self.checks
    }

    /// What it is evaluated for each of, if not for the node.
    #[must_use]
    pub fn each(&self) -> Option<InstanceKind> {
        self.each
    }

    /// In a rule for the node there is no instance.
    fn place<'s, 'a>(
        &self,
        scope: &'s Scope<'a>,
        instance: Option<(&'s str, usize)>,
    ) -> Place<'s, 'a> {
        let is_each = self.each.is_some_and(|kind| kind != InstanceKind::Node);
        Place { scope, instance: instance.filter(|_| is_each) }
    }
}

/// The canonical text: it compiles to the same.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Equal texts of the same kind of instance are equal.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.each) == (&other.text, other.each)
    }
}

impl Eq for Expression {}

#[cfg(test)]
mod tests;
