//! What an expression read, as a person reads it.

use std::ops::ControlFlow;

use sickbay_model::Unit;

use super::program::{Aggregate, Argument, Function, Number, Place, Truth, Typed};

/// A name that an expression reads, or an aggregate.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// As it is written.
    pub(super) name: String,
    pub(super) value: Typed,
    pub(super) unit: Unit,
}

/// How many instances are named at most.
const MOST_INSTANCES: usize = 4;

impl Read {
    /// Its value with its unit.
    pub(super) fn shown(&self, place: &Place<'_, '_>) -> String {
        let (value, of) = match &self.value {
            Typed::Number(number) => {
                let value = number.value(place).map(|value| quantity(value, self.unit));
                (value, aggregate_of(&self.value).map(|it| it.told(place)))
            }
            Typed::Truth(truth) => {
                let value = truth.value(place).map(|truth| if truth { "true" } else { "false" });
                let of = aggregate_of(&self.value).map(|it| it.told(place));
                (value.map(str::to_owned), of)
            }
            Typed::Text(text) => {
                let value = text.value(place).map(|text| match text {
                    "" => "not set".to_owned(),
                    text => text.to_owned(),
                });
                (value, None)
            }
            Typed::List(_) => return String::new(),
        };
        match (value, of) {
            (Err(missing), _) => format!("no data ({missing})"),
            (Ok(value), Some(of)) if !of.is_empty() => format!("{value} ({of})"),
            (Ok(value), _) => value,
        }
    }
}

fn aggregate_of(value: &Typed) -> Option<&Aggregate> {
    match value {
        Typed::Number(Number::Aggregate(it)) | Typed::Truth(Truth::Aggregate(it)) => Some(it),
        _ => None,
    }
}

impl Aggregate {
    /// The instances that make its value what it is, by name: those that have the extreme, for which
    /// the condition holds, or (of `all`) for which it does not.
    fn told(&self, place: &Place<'_, '_>) -> String {
        let wanted = match self.function {
            Function::Min | Function::Max => self.number(place).ok(),
            Function::Any => Some(1.0),
            Function::Count if matches!(self.argument, Argument::Truth(_)) => Some(1.0),
            Function::All => Some(0.0),
            _ => None,
        };
        let Some(wanted) = wanted else { return String::new() };
        let mut told = String::new();
        let mut count = 0_usize;
        let _ = self.instances.visit(place.scope.frame, |name, at| {
            let its = Place { scope: place.scope, instance: Some((name, at)) };
            #[expect(clippy::float_cmp, reason = "it is one of them")]
            if self.argument.value(&its).is_ok_and(|value| value == wanted) {
                count += 1;
                if count <= MOST_INSTANCES {
                    let comma = if told.is_empty() { "" } else { ", " };
                    told.push_str(comma);
                    told.push_str(name);
                }
            }
            ControlFlow::Continue(())
        });
        if count > MOST_INSTANCES {
            told.push_str(&format!(" and {} more", count - MOST_INSTANCES));
        }
        told
    }
}

/// A number as a person reads it, with its unit.
fn quantity(value: f64, unit: Unit) -> String {
    const STEPS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let symbol = unit.symbol();
    let is_bytes = matches!(unit, Unit::Bytes | Unit::BytesPerSecond);
    let step = STEPS.iter().find(|(size, _)| is_bytes && value.abs() >= *size);
    match step {
        Some((size, prefix)) => format!("{} {prefix}{symbol}", decimal(value / size)),
        None if symbol.is_empty() => decimal(value),
        None => format!("{} {symbol}", decimal(value)),
    }
}

/// With one decimal, or two of a small number; none where they would be zeros.
fn decimal(value: f64) -> String {
    let text = if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
