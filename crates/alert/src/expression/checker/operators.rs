//! Operators, and what they can be applied to.

use super::{Checker, node_text, shown};
use crate::expression::cut;
use crate::expression::names::{STATUSES, suggestion};
use crate::expression::program::{Arithmetic, Comparison, Number, Text, Truth, Typed};
use crate::expression::syntax::{Binary, Node, Syntax};

impl Checker {
    pub(super) fn binary(&mut self, operator: Binary, parts: &[Node; 2]) -> Option<Typed> {
        let comparison = match operator {
            Binary::Equal | Binary::NotEqual => return self.equality(operator, parts),
            Binary::In => return self.membership(parts),
            Binary::Plus => return self.arithmetic(Arithmetic::Plus, operator, parts),
            Binary::Minus => return self.arithmetic(Arithmetic::Minus, operator, parts),
            Binary::Times => return self.arithmetic(Arithmetic::Times, operator, parts),
            Binary::Over => return self.arithmetic(Arithmetic::Over, operator, parts),
            Binary::Remainder => return self.arithmetic(Arithmetic::Remainder, operator, parts),
            Binary::Less => Comparison::Less,
            Binary::LessOrEqual => Comparison::LessOrEqual,
            Binary::Greater => Comparison::Greater,
            Binary::GreaterOrEqual => Comparison::GreaterOrEqual,
        };
        let both = self.two_numbers(operator, parts)?;
        Some(Typed::Truth(Truth::Compare(comparison, both)))
    }

    fn two_numbers(&mut self, operator: Binary, parts: &[Node; 2]) -> Option<Box<[Number; 2]>> {
        let by = format!("`{}`", operator.sign());
        let [left, right] = parts;
        let (left, right) = (self.number(left, &by), self.number(right, &by));
        Some(Box::new([left?, right?]))
    }

    fn arithmetic(
        &mut self,
        kind: Arithmetic,
        operator: Binary,
        parts: &[Node; 2],
    ) -> Option<Typed> {
        let both = self.two_numbers(operator, parts)?;
        Some(Typed::Number(Number::Arithmetic(kind, both)))
    }

    fn equality(&mut self, operator: Binary, parts: &[Node; 2]) -> Option<Typed> {
        let [left, right] = parts;
        let (one, other) = (self.typed(left), self.typed(right));
        let is_equal = operator == Binary::Equal;
        let negated = |truth: Truth| if is_equal { truth } else { Truth::Not(Box::new(truth)) };
        Some(Typed::Truth(match (one?, other?) {
            (Typed::Number(one), Typed::Number(other)) => {
                let comparison = if is_equal { Comparison::Equal } else { Comparison::NotEqual };
                Truth::Compare(comparison, Box::new([one, other]))
            }
            (Typed::Text(one), Typed::Text(other)) => {
                self.status_word(&one, right);
                self.status_word(&other, left);
                negated(Truth::EqualTexts(Box::new([one, other])))
            }
            (Typed::Truth(one), Typed::Truth(other)) => {
                negated(Truth::Equal(Box::new([one, other])))
            }
            (one, other) => return self.unequal_types(operator, parts, &one, &other),
        }))
    }

    fn unequal_types(
        &mut self,
        operator: Binary,
        parts: &[Node; 2],
        one: &Typed,
        other: &Typed,
    ) -> Option<Typed> {
        let [left, right] = parts;
        let sign = operator.sign();
        let hint = match (one, other, &right.syntax) {
            (Typed::Truth(_), Typed::Number(_), Syntax::Number(number)) => {
                let is_true = (*number != 0.0) == (operator == Binary::Equal);
                format!(": write {}{}", if is_true { "" } else { "!" }, node_text(left))
            }
            (Typed::Number(_), Typed::Text(_), Syntax::Text(text))
                if text.trim().parse::<f64>().is_ok() =>
            {
                format!(": write {} without quotes", cut(text.trim()))
            }
            (_, Typed::List(_), _) => ": to look into a list, write `in`".to_owned(),
            _ => String::new(),
        };
        let message = format!(
            "`{sign}` compares two of the same type, and {} is {}, {} {}{hint}",
            shown(left),
            one.kind(),
            shown(right),
            other.kind()
        );
        self.wrong(&(left.at.start..right.at.end), message)
    }

    /// What is compared with a status must be one.
    fn status_word(&mut self, status: &Text, word: &Node) {
        let (Text::Check(_) | Text::Level, Syntax::Text(text)) = (status, &word.syntax) else {
            return;
        };
        if !STATUSES.contains(&text.as_str()) {
            let like = suggestion(text, STATUSES);
            let _: Option<()> = self.wrong(
                &word.at,
                format!("{} is no status; there are {}{like}", shown(word), STATUSES.join(", ")),
            );
        }
    }

    fn membership(&mut self, parts: &[Node; 2]) -> Option<Typed> {
        let [wanted, list] = parts;
        let Syntax::List(all) = &list.syntax else {
            let message = "`in` looks into a list: write labels.rack in [\"r1\", \"r2\"]";
            return self.wrong(&list.at, message);
        };
        if all.is_empty() {
            return self.wrong(&list.at, "this list is empty: nothing is in it");
        }
        Some(Typed::Truth(match self.typed(wanted)? {
            Typed::Number(number) => {
                let all = self.numbers(all, "a number `in` a list")?;
                Truth::NumberIn(Box::new((number, all)))
            }
            Typed::Text(text) => {
                let checked = self.texts(all, "a string `in` a list")?;
                all.iter().for_each(|word| self.status_word(&text, word));
                Truth::TextIn(Box::new((text, checked)))
            }
            other => return self.mismatch(wanted, &other, "a number or a string", "`in`"),
        }))
    }

    pub(super) fn choice(&mut self, parts: &[Node; 3]) -> Option<Typed> {
        let [condition, left, right] = parts;
        let condition = self.truth(condition, "`?`");
        let (one, other) = (self.typed(left), self.typed(right));
        let (condition, one, other) = (condition?, one?, other?);
        Some(match (one, other) {
            (Typed::Number(one), Typed::Number(other)) => {
                Typed::Number(Number::Choice(Box::new((condition, [one, other]))))
            }
            (Typed::Text(one), Typed::Text(other)) => {
                Typed::Text(Text::Choice(Box::new((condition, [one, other]))))
            }
            (Typed::Truth(one), Typed::Truth(other)) => {
                Typed::Truth(Truth::Choice(Box::new((condition, [one, other]))))
            }
            (one, other) => {
                let message = format!(
                    "both sides of `:` must be of the same type, and not lists: {} is {}, {} {}",
                    shown(left),
                    one.kind(),
                    shown(right),
                    other.kind()
                );
                return self.wrong(&(left.at.start..right.at.end), message);
            }
        })
    }
}
