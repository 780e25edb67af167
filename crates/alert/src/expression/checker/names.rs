//! What names mean: metrics, labels, checks and the rest.

use std::ops::Range;

use sickbay_model::{InstanceKind, MetricDef, Unit, catalogue};

use super::{Around, Checker, shown};
use crate::expression::names::{
    FUNCTIONS, NOW, OWNERS, STATUSES, VALUES, kind_words, suggestion, value_suggestion,
};
use crate::expression::program::{Number, Text, Truth, Typed};
use crate::expression::syntax::{Node, Syntax};
use crate::expression::{CheckName, Expression, cut};

impl Checker {
    pub(super) fn name(&mut self, node: &Node, name: &str) -> Option<Typed> {
        let (value, unit) = match name {
            "instance" if self.aggregate.is_none() && self.each.kind.is_none() => {
                return self.wrong(
                    &node.at,
                    "`instance` is the name of the current instance, and there is none: give the \
                     rule `each`, or use it inside any(…) or count(…)",
                );
            }
            "instance" => (Typed::Text(Text::Instance), Unit::Count),
            "level" => (Typed::Text(Text::Level), Unit::Count),
            "score" => {
                self.metrics.push(catalogue::SCORE);
                (Typed::Number(Number::Score), Unit::Count)
            }
            "job_active" => (Typed::Truth(Truth::JobActive), Unit::Count),
            "ready" => (Typed::Truth(Truth::Ready), Unit::Count),
            _ => match catalogue::by_name(name) {
                Some(def) => (self.metric(node, def)?, def.unit),
                None => return self.unknown_name(node, name),
            },
        };
        let is_of_aggregate = self.aggregate.is_some()
            && matches!(
                value,
                Typed::Number(Number::InstanceMetric(_))
                    | Typed::Truth(Truth::InstanceMetric(_))
                    | Typed::Text(Text::Instance)
            );
        if !is_of_aggregate {
            self.read(name.to_owned(), &value, unit);
        }
        Some(value)
    }

    fn unknown_name(&mut self, node: &Node, name: &str) -> Option<Typed> {
        if self.mistakes.len() >= Expression::MAX_MISTAKES {
            return None;
        }
        let message = match name {
            "labels" => "`labels` needs the name of one: write labels.rack".to_owned(),
            "check" => "`check` needs the name of one: write check.gpu_ecc".to_owned(),
            "now" => "`now` needs a part: write now.hour, now.minute or now.weekday".to_owned(),
            _ if FUNCTIONS.contains(&name) => {
                format!("`{name}` is a function: write {name}(…)")
            }
            _ if STATUSES.contains(&name) => {
                format!("`{name}` is no name: to compare with it, write \"{name}\" in quotes")
            }
            _ => format!("there is no metric or name `{}`{}", cut(name), value_suggestion(name)),
        };
        self.wrong(&node.at, message)
    }

    fn metric(&mut self, node: &Node, def: &'static MetricDef) -> Option<Typed> {
        let of_instance = def.instance != InstanceKind::Node;
        if of_instance {
            self.may_use(node, def)?;
        }
        self.metrics.push(def.id);
        Some(match (def.unit, of_instance) {
            (Unit::Boolean, true) => Typed::Truth(Truth::InstanceMetric(def.id)),
            (Unit::Boolean, false) => Typed::Truth(Truth::Metric(def.id)),
            (_, true) => Typed::Number(Number::InstanceMetric(def.id)),
            (_, false) => Typed::Number(Number::Metric(def.id)),
        })
    }

    /// Whether a metric with instances can be used here.
    fn may_use(&mut self, node: &Node, def: &'static MetricDef) -> Option<()> {
        let function = if def.unit == Unit::Boolean { "any" } else { "max" };
        let (each, one) = kind_words(def.instance);
        let name = def.name;
        let is_aggregate = self.aggregate.is_some();
        let around = self.aggregate.as_mut().unwrap_or(&mut self.each);
        let message = match around.kind {
            Some(kind) if kind == def.instance => {
                if !around.metrics.contains(&def.id) {
                    around.metrics.push(def.id);
                }
                return Some(());
            }
            Some(kind) if !around.by.is_empty() => {
                let other = kind_words(kind).1;
                format!(
                    "`{name}` has a value per {one} and `{}` one per {other}: an aggregate is over \
                     one kind only",
                    around.by
                )
            }
            Some(kind) => {
                let of = kind_words(kind).1;
                format!(
                    "`{name}` has a value per {one}, and this rule is for each {of}: write \
                     {function}({name})"
                )
            }
            None if !is_aggregate => format!(
                "`{name}` has a value per {one}: write {function}({name}), or give the rule \
                 `each: {each}`"
            ),
            None => {
                *around = Around {
                    kind: Some(def.instance),
                    by: name,
                    metrics: vec![def.id],
                    asks: around.asks,
                };
                return Some(());
            }
        };
        self.wrong(&node.at, message)
    }

    pub(super) fn index(&mut self, node: &Node, parts: &[Node; 2]) -> Option<Typed> {
        let [owner, key] = parts;
        match &key.syntax {
            Syntax::Text(name) => self.field(node, owner, name, &key.at),
            _ => self.wrong(&key.at, "a key is a string in quotes: write labels[\"a name\"]"),
        }
    }

    pub(super) fn field(
        &mut self,
        node: &Node,
        owner: &Node,
        field: &str,
        at: &Range<usize>,
    ) -> Option<Typed> {
        let Syntax::Name(owner_name) = &owner.syntax else {
            return self.wrong(&owner.at, format!("{} has no fields", shown(owner)));
        };
        let value = match owner_name.as_str() {
            "labels" => Typed::Text(Text::Label(field.into())),
            "check" => {
                self.checks.push(CheckName { name: field.into(), at: at.clone() });
                Typed::Text(Text::Check(field.into()))
            }
            "now" => match field {
                "hour" => Typed::Number(Number::Hour),
                "minute" => Typed::Number(Number::Minute),
                "weekday" => Typed::Number(Number::Weekday),
                _ => {
                    let like = suggestion(field, NOW);
                    let message =
                        format!("`now` has hour, minute and weekday, no `{}`{like}", cut(field));
                    return self.wrong(at, message);
                }
            },
            name if VALUES.contains(&name) || catalogue::by_name(name).is_some() => {
                return self.wrong(at, format!("`{name}` has no fields"));
            }
            name => {
                let like = suggestion(name, OWNERS);
                return self
                    .wrong(&owner.at, format!("there is no `{}` with fields{like}", cut(name)));
            }
        };
        // In an aggregate a check is each instance's own.
        if self.aggregate.is_none() || !matches!(value, Typed::Text(Text::Check(_))) {
            self.read(node.to_string(), &value, Unit::Count);
        }
        Some(value)
    }
}
