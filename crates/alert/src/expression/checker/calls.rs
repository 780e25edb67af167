//! Functions, aggregates and methods.

use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};
use sickbay_model::{Unit, catalogue};

use super::{Around, Checker, shown};
use crate::expression::names::{FUNCTIONS, METHODS, suggestion};
use crate::expression::program::{Aggregate, Argument, Function, Number, Text, Truth, Typed};
use crate::expression::syntax::{Node, Syntax, Word};
use crate::expression::{Expression, cut};

impl Checker {
    pub(super) fn call(&mut self, node: &Node, name: &str, parts: &[Node]) -> Option<Typed> {
        let by = format!("`{name}`");
        let function = match name {
            "min" => Function::Min,
            "max" => Function::Max,
            "avg" => Function::Avg,
            "sum" => Function::Sum,
            "count" => Function::Count,
            "any" => Function::Any,
            "all" => Function::All,
            "abs" | "round" | "size" | "has" => {
                let part = self.only(node, name, parts)?;
                return self.simple(name, part);
            }
            _ => {
                let like = suggestion(name, FUNCTIONS);
                let message = format!("there is no function `{}`{like}", cut(name));
                return self.wrong(&node.at, message);
            }
        };
        match (function, parts) {
            (Function::Min, [_, _, ..]) => {
                Some(Typed::Number(Number::Smallest(self.numbers(parts, &by)?)))
            }
            (Function::Max, [_, _, ..]) => {
                Some(Typed::Number(Number::Largest(self.numbers(parts, &by)?)))
            }
            _ => {
                let part = self.only(node, name, parts)?;
                self.aggregate(node, function, part)
            }
        }
    }

    fn only<'n>(&mut self, node: &Node, name: &str, parts: &'n [Node]) -> Option<&'n Node> {
        match parts {
            [part] => Some(part),
            _ => {
                let message = format!("`{name}` takes one value, and here are {}", parts.len());
                self.wrong(&node.at, message)
            }
        }
    }

    fn simple(&mut self, name: &str, part: &Node) -> Option<Typed> {
        let by = format!("`{name}`");
        Some(match name {
            "abs" => Typed::Number(Number::Absolute(Box::new(self.number(part, &by)?))),
            "round" => Typed::Number(Number::Rounded(Box::new(self.number(part, &by)?))),
            "size" => Typed::Number(match self.typed(part)? {
                #[expect(clippy::cast_precision_loss, reason = "a list is as long as its text")]
                Typed::List(all) => Number::Literal(all.len() as f64),
                Typed::Text(text) => Number::Size(Box::new(text)),
                other => return self.mismatch(part, &other, "a string or a list", &by),
            }),
            _ => Typed::Truth(self.has(part)?),
        })
    }

    fn has(&mut self, part: &Node) -> Option<Truth> {
        let is_name = matches!(part.syntax, Syntax::Name(_) | Syntax::Field(..) | Syntax::Index(_));
        if !is_name {
            return self.wrong(
                &part.at,
                "`has` asks whether a name has a value: write has(labels.rack) or has(score)",
            );
        }
        self.aggregate.as_mut().unwrap_or(&mut self.each).asks = true;
        Some(match self.typed(part)? {
            Typed::Text(Text::Label(name)) => Truth::HasLabel(name),
            value => Truth::Has(Box::new(value)),
        })
    }

    fn aggregate(&mut self, node: &Node, function: Function, part: &Node) -> Option<Typed> {
        let Syntax::Call(name, _) = &node.syntax else { return None };
        if self.aggregate.is_some() {
            let message = format!("`{name}` cannot be inside of another aggregate");
            return self.wrong(&node.at, message);
        }
        self.aggregate = Some(Around::default());
        let argument = self.argument(name, function, part);
        let around = self.aggregate.take().unwrap_or_default();
        let argument = argument?;
        if around.kind.is_none() {
            let more = match function {
                Function::Min | Function::Max => ", or give it more values",
                _ => "",
            };
            let message = format!(
                "`{name}` is over instances, and {} names no metric that has some{more}",
                shown(part)
            );
            return self.wrong(&node.at, message);
        }
        let is_plain = matches!(part.syntax, Syntax::Name(_)) && function != Function::Count;
        let first = around.metrics.first().filter(|_| is_plain);
        let unit = first.and_then(|&it| catalogue::find(it)).map_or(Unit::Count, |def| def.unit);
        let aggregate = Arc::new(Aggregate { function, argument, instances: around.instances() });
        let value = match function {
            Function::Any | Function::All => Typed::Truth(Truth::Aggregate(aggregate)),
            _ => Typed::Number(Number::Aggregate(aggregate)),
        };
        self.read(node.to_string(), &value, unit);
        Some(value)
    }

    fn argument(&mut self, name: &str, function: Function, part: &Node) -> Option<Argument> {
        let value = self.typed(part)?;
        match (function, value) {
            (Function::Count | Function::Any | Function::All, Typed::Truth(truth)) => {
                Some(Argument::Truth(truth))
            }
            (Function::Any | Function::All, other) => {
                self.mismatch(part, &other, "a condition", &format!("`{name}`"))
            }
            (_, Typed::Number(number)) => Some(Argument::Number(number)),
            (_, Typed::Truth(_)) => {
                let text = cut(&part.to_string());
                let message = format!(
                    "`{name}` needs a number, and {} is true or false: write any({text}), \
                     all({text}) or count({text})",
                    shown(part)
                );
                self.wrong(&part.at, message)
            }
            (_, other) => self.mismatch(part, &other, "a number", &format!("`{name}`")),
        }
    }

    pub(super) fn method(&mut self, name: &Word, parts: &[Node]) -> Option<Typed> {
        let (receiver, arguments) = parts.split_first()?;
        let by = format!("`{}`", cut(&name.text));
        if !METHODS.contains(&name.text.as_str()) {
            let like = suggestion(&name.text, METHODS);
            return self.wrong(&name.at, format!("strings have no method {by}{like}"));
        }
        let wanted = usize::from(name.text != "size");
        if arguments.len() != wanted {
            let what = if wanted == 0 { "takes no value" } else { "takes one value" };
            let message = format!("{by} {what}, and here are {}", arguments.len());
            return self.wrong(&name.at, message);
        }
        let text = self.text(receiver, &by);
        let Some(argument) = arguments.first() else {
            return Some(Typed::Number(Number::Size(Box::new(text?))));
        };
        if name.text == "matches" {
            let pattern = self.pattern(argument);
            return Some(Typed::Truth(Truth::Matches(Box::new((text?, pattern?)))));
        }
        let argument = self.text(argument, &by);
        let both = Box::new([text?, argument?]);
        Some(Typed::Truth(match name.text.as_str() {
            "startsWith" => Truth::StartsWith(both),
            "endsWith" => Truth::EndsWith(both),
            _ => Truth::Contains(both),
        }))
    }

    fn pattern(&mut self, node: &Node) -> Option<Regex> {
        let Syntax::Text(pattern) = &node.syntax else {
            return self.wrong(&node.at, "the pattern of `matches` is a string in quotes");
        };
        self.patterns += 1;
        if self.patterns > Expression::MAX_PATTERNS {
            let message = format!("more than {} patterns in one rule", Expression::MAX_PATTERNS);
            return self.wrong(&node.at, message);
        }
        match RegexBuilder::new(pattern).size_limit(Expression::MAX_PATTERN_BYTES).build() {
            Ok(regex) => Some(regex),
            Err(error) => self.wrong(&node.at, format!("this pattern is none: {error}")),
        }
    }
}
