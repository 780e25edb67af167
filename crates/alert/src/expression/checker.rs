//! Names and types: the tree of what is written into one that can be evaluated.
//!
//! Goes on after a mistake, so that all are told at once: `None` is a part in which something is
//! wrong and was told.

use std::ops::Range;

use sickbay_model::{InstanceKind, MetricId, Unit};

use super::names::metrics_of;
use super::program::{Instances, Number, Text, Truth, Typed};
use super::syntax::{Node, Syntax};
use super::{CheckName, Expression, Mistake, Read, cut};

mod calls;
mod names;
mod operators;

/// What a whole expression turned out to be.
pub(super) struct Checked {
    pub(super) truth: Truth,
    pub(super) reads: Vec<Read>,
    pub(super) metrics: Vec<MetricId>,
    pub(super) checks: Vec<CheckName>,
    /// Of the rule, where it is for each of something.
    pub(super) instances: Instances,
}

/// Checks a whole expression.
pub(super) fn check(node: &Node, each: Option<InstanceKind>) -> Result<Checked, Vec<Mistake>> {
    let each = each.filter(|kind| *kind != InstanceKind::Node);
    let mut checker = Checker {
        each: Around { kind: each, ..Around::default() },
        aggregate: None,
        mistakes: Vec::new(),
        reads: Vec::new(),
        metrics: Vec::new(),
        checks: Vec::new(),
        patterns: 0,
    };
    match checker.truth(node, "a rule") {
        Some(truth) if checker.mistakes.is_empty() => {
            checker.metrics.sort_unstable();
            checker.metrics.dedup();
            let instances = checker.each.instances();
            let Checker { reads, metrics, checks, .. } = checker;
            Ok(Checked { truth, reads, metrics, checks, instances })
        }
        _ => Err(checker.mistakes),
    }
}

/// What the metrics with instances in a rule, or in an aggregate, are about.
#[derive(Default)]
struct Around {
    kind: Option<InstanceKind>,
    /// The first metric that said so.
    by: &'static str,
    metrics: Vec<MetricId>,
    /// Whether it asks if something is there; then all instances count.
    asks: bool,
}

impl Around {
    fn instances(&self) -> Instances {
        match self.kind {
            Some(kind) if self.asks || self.metrics.is_empty() => {
                Instances(metrics_of(kind).map(|def| def.id).collect())
            }
            _ => Instances(self.metrics.iter().copied().collect()),
        }
    }
}

struct Checker {
    each: Around,
    /// Inside an aggregate.
    aggregate: Option<Around>,
    mistakes: Vec<Mistake>,
    reads: Vec<Read>,
    metrics: Vec<MetricId>,
    checks: Vec<CheckName>,
    patterns: usize,
}

impl Typed {
    fn kind(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

/// A part of the text for a message.
fn shown(node: &Node) -> String {
    format!("`{}`", cut(&node.to_string()))
}

impl Checker {
    fn wrong<T>(&mut self, at: &Range<usize>, message: impl Into<String>) -> Option<T> {
        if self.mistakes.len() < Expression::MAX_MISTAKES {
            self.mistakes.push(Mistake::new(at.clone(), message));
        }
        None
    }

    fn read(&mut self, name: String, value: &Typed, unit: Unit) {
        if self.reads.iter().all(|read| read.name != name) {
            self.reads.push(Read { name, value: value.clone(), unit });
        }
    }

    fn typed(&mut self, node: &Node) -> Option<Typed> {
        Some(match &node.syntax {
            Syntax::Number(number) => Typed::Number(Number::Literal(*number)),
            Syntax::Text(text) => Typed::Text(Text::Literal(text.as_str().into())),
            Syntax::Bool(truth) => Typed::Truth(Truth::Literal(*truth)),
            Syntax::List(parts) => Typed::List(self.list(parts)?),
            Syntax::Name(name) => self.name(node, name)?,
            Syntax::Field(owner, field) => self.field(node, owner, field, &node.at)?,
            Syntax::Index(parts) => self.index(node, parts)?,
            Syntax::Call(name, parts) => self.call(node, name, parts)?,
            Syntax::Method(name, parts) => self.method(name, parts)?,
            Syntax::Not(part) => Typed::Truth(Truth::Not(Box::new(self.truth(part, "`!`")?))),
            Syntax::Negative(part) => Typed::Number(match self.number(part, "`-`")? {
                Number::Literal(number) => Number::Literal(-number),
                number => Number::Negative(Box::new(number)),
            }),
            Syntax::All(parts) => Typed::Truth(Truth::All(self.truths(parts, "`&&`")?)),
            Syntax::Any(parts) => Typed::Truth(Truth::Any(self.truths(parts, "`||`")?)),
            Syntax::Binary(operator, parts) => self.binary(*operator, parts)?,
            Syntax::Choice(parts) => self.choice(parts)?,
        })
    }

    fn mismatch<T>(&mut self, node: &Node, found: &Typed, wanted: &str, by: &str) -> Option<T> {
        let hint = match (found, &node.syntax) {
            (Typed::Number(_), _) if wanted == "a condition" => {
                format!(": compare it, as in {} > 0", node_text(node))
            }
            (Typed::Text(_), _) if wanted == "a condition" => {
                format!(": compare it, as in {} == \"…\"", node_text(node))
            }
            (Typed::Text(_), Syntax::Text(text)) if text.trim().parse::<f64>().is_ok() => {
                format!(": write {} without quotes", cut(text.trim()))
            }
            _ => String::new(),
        };
        let message = format!("{by} needs {wanted}, and {} is {}{hint}", shown(node), found.kind());
        self.wrong(&node.at, message)
    }

    fn truth(&mut self, node: &Node, by: &str) -> Option<Truth> {
        match self.typed(node)? {
            Typed::Truth(truth) => Some(truth),
            other => self.mismatch(node, &other, "a condition", by),
        }
    }

    fn number(&mut self, node: &Node, by: &str) -> Option<Number> {
        match self.typed(node)? {
            Typed::Number(number) => Some(number),
            other => self.mismatch(node, &other, "a number", by),
        }
    }

    fn text(&mut self, node: &Node, by: &str) -> Option<Text> {
        match self.typed(node)? {
            Typed::Text(text) => Some(text),
            other => self.mismatch(node, &other, "a string", by),
        }
    }

    fn truths(&mut self, parts: &[Node], by: &str) -> Option<Box<[Truth]>> {
        let all: Vec<_> = parts.iter().map(|part| self.truth(part, by)).collect();
        all.into_iter().collect()
    }

    fn numbers(&mut self, parts: &[Node], by: &str) -> Option<Box<[Number]>> {
        let all: Vec<_> = parts.iter().map(|part| self.number(part, by)).collect();
        all.into_iter().collect()
    }

    fn texts(&mut self, parts: &[Node], by: &str) -> Option<Box<[Text]>> {
        let all: Vec<_> = parts.iter().map(|part| self.text(part, by)).collect();
        all.into_iter().collect()
    }

    fn list(&mut self, parts: &[Node]) -> Option<Vec<Typed>> {
        let all: Vec<_> = parts.iter().map(|part| self.typed(part)).collect();
        all.into_iter().collect()
    }
}

/// A part for a suggestion of what to write.
fn node_text(node: &Node) -> String {
    let text = cut(&node.to_string());
    match node.syntax {
        Syntax::Name(_) | Syntax::Field(..) | Syntax::Index(_) | Syntax::Call(..) => text,
        _ => format!("({text})"),
    }
}
