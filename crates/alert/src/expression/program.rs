//! The checked tree, and how it is evaluated.
//!
//! Each type of value has a tree of its own, so that nothing is checked a second time. A value that is
//! missing is an error that says what is missing; only `&&`, `||`, `in` and aggregates go on after one.
//! Nothing is allocated on the way.

use std::ops::ControlFlow;
use std::sync::Arc;

use regex_lite::Regex;
use sickbay_model::{Frame, MetricId};

use super::scope::{Missing, Scope};

/// A value that may be missing.
type Found<'e, T> = Result<T, Missing<'e>>;

/// A tree of any type.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    Number(Number),
    Text(Text),
    Truth(Truth),
    List(Vec<Typed>),
}

#[derive(Clone, Debug)]
pub(super) enum Number {
    Literal(f64),
    /// Of the node.
    Metric(MetricId),
    /// Of the current instance.
    InstanceMetric(MetricId),
    Score,
    Hour,
    Minute,
    Weekday,
    Negative(Box<Number>),
    Absolute(Box<Number>),
    Rounded(Box<Number>),
    Arithmetic(Arithmetic, Box<[Number; 2]>),
    Smallest(Box<[Number]>),
    Largest(Box<[Number]>),
    Size(Box<Text>),
    Choice(Box<(Truth, [Number; 2])>),
    Aggregate(Arc<Aggregate>),
}

#[derive(Clone, Debug)]
pub(super) enum Text {
    Literal(Box<str>),
    Label(Box<str>),
    /// The name of the current instance.
    Instance,
    Check(Box<str>),
    Level,
    Choice(Box<(Truth, [Text; 2])>),
}

#[derive(Clone, Debug)]
pub(super) enum Truth {
    Literal(bool),
    /// Of the node.
    Metric(MetricId),
    /// Of the current instance.
    InstanceMetric(MetricId),
    JobActive,
    Ready,
    Not(Box<Truth>),
    All(Box<[Truth]>),
    Any(Box<[Truth]>),
    Compare(Comparison, Box<[Number; 2]>),
    EqualTexts(Box<[Text; 2]>),
    Equal(Box<[Truth; 2]>),
    NumberIn(Box<(Number, Box<[Number]>)>),
    TextIn(Box<(Text, Box<[Text]>)>),
    StartsWith(Box<[Text; 2]>),
    EndsWith(Box<[Text; 2]>),
    Contains(Box<[Text; 2]>),
    Matches(Box<(Text, Regex)>),
    HasLabel(Box<str>),
    /// Whether this has a value.
    Has(Box<Typed>),
    Choice(Box<(Truth, [Truth; 2])>),
    Aggregate(Arc<Aggregate>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Arithmetic {
    Plus,
    Minus,
    Times,
    Over,
    Remainder,
}

/// Something evaluated for each instance, and put together.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) function: Function,
    pub(super) argument: Argument,
    pub(super) instances: Instances,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Avg,
    Sum,
    Count,
    Any,
    All,
}

#[derive(Clone, Debug)]
pub(super) enum Argument {
    Number(Number),
    Truth(Truth),
}

/// Which instances there are: those for which one of these metrics has a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Instances(pub(super) Box<[MetricId]>);

/// A scope, and the instance that is looked at: its name, and at which place it probably is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'s, 'a> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) instance: Option<(&'s str, usize)>,
}

impl<'s> Place<'s, '_> {
    fn metric<'e>(&self, metric: MetricId) -> Found<'e, f64> {
        self.scope.frame.get(metric).ok_or(Missing::Metric(metric))
    }

    fn instance_metric<'e>(&self, metric: MetricId) -> Found<'e, f64> {
        let (name, place) = self.instance.ok_or(Missing::Instance)?;
        let value = self.scope.frame.get_near(metric, name, place);
        value.ok_or(Missing::Metric(metric))
    }

    fn name<'e>(&self) -> Found<'e, &'s str> {
        self.instance.map(|instance| instance.0).ok_or(Missing::Instance)
    }
}

impl Number {
    pub(super) fn value(&self, place: &Place<'_, '_>) -> Found<'_, f64> {
        Ok(match self {
            Self::Literal(number) => *number,
            Self::Metric(metric) => place.metric(*metric)?,
            Self::InstanceMetric(metric) => place.instance_metric(*metric)?,
            Self::Score => place.scope.score.ok_or(Missing::Score)?,
            Self::Hour => f64::from(place.scope.now.hour),
            Self::Minute => f64::from(place.scope.now.minute),
            Self::Weekday => f64::from(place.scope.now.weekday),
            Self::Negative(number) => -number.value(place)?,
            Self::Absolute(number) => number.value(place)?.abs(),
            Self::Rounded(number) => number.value(place)?.round(),
            Self::Arithmetic(operator, operands) => {
                let [left, right] = &**operands;
                operator.result(left.value(place)?, right.value(place)?)?
            }
            Self::Smallest(numbers) => folded(numbers, place, f64::min)?,
            Self::Largest(numbers) => folded(numbers, place, f64::max)?,
            Self::Size(text) => text.with(place, size)?,
            Self::Choice(choice) => chosen(choice, place)?.value(place)?,
            Self::Aggregate(aggregate) => aggregate.number(place)?,
        })
    }
}

fn folded<'e>(
    numbers: &'e [Number],
    place: &Place<'_, '_>,
    two: fn(f64, f64) -> f64,
) -> Found<'e, f64> {
    // Of two numbers f64's own functions take the one that is no NaN.
    numbers.iter().try_fold(f64::NAN, |so_far, number| Ok(two(so_far, number.value(place)?)))
}

/// In characters, as CEL counts.
#[expect(clippy::cast_precision_loss, reason = "no text is that long")]
fn size(text: &str) -> f64 {
    text.chars().count() as f64
}

fn chosen<'e, T>(choice: &'e (Truth, [T; 2]), place: &Place<'_, '_>) -> Found<'e, &'e T> {
    let (condition, [one, other]) = choice;
    Ok(if condition.value(place)? { one } else { other })
}

impl Arithmetic {
    fn result<'e>(self, left: f64, right: f64) -> Found<'e, f64> {
        let result = match self {
            Self::Plus => left + right,
            Self::Minus => left - right,
            Self::Times => left * right,
            Self::Over => left / right,
            Self::Remainder => left % right,
        };
        if result.is_finite() { Ok(result) } else { Err(Missing::Undefined) }
    }
}

impl Text {
    pub(super) fn value<'v, 'e: 'v>(&'e self, place: &Place<'v, '_>) -> Found<'e, &'v str> {
        let scope = place.scope;
        Ok(match self {
            Self::Literal(text) => text,
            Self::Label(name) => scope.labels.get(name).unwrap_or_default(),
            Self::Instance => place.name()?,
            Self::Check(check) => {
                let status = scope.checks.status(check, place.instance.map(|it| it.0));
                status.ok_or(Missing::Check(check))?.as_str()
            }
            Self::Level => scope.level.as_str(),
            Self::Choice(choice) => chosen(choice, place)?.value(place)?,
        })
    }

    fn with<T>(&self, place: &Place<'_, '_>, what: impl FnOnce(&str) -> T) -> Found<'_, T> {
        self.value(place).map(what)
    }
}

impl Truth {
    pub(super) fn value(&self, place: &Place<'_, '_>) -> Found<'_, bool> {
        Ok(match self {
            Self::Literal(truth) => *truth,
            Self::Metric(metric) => place.metric(*metric)? != 0.0,
            Self::InstanceMetric(metric) => place.instance_metric(*metric)? != 0.0,
            Self::JobActive => place.scope.job_active.ok_or(Missing::JobActive)?,
            Self::Ready => place.scope.ready.ok_or(Missing::Ready)?,
            Self::Not(truth) => !truth.value(place)?,
            Self::All(truths) => settled(truths.iter().map(|it| it.value(place)), false)?,
            Self::Any(truths) => settled(truths.iter().map(|it| it.value(place)), true)?,
            Self::Compare(comparison, operands) => {
                let [left, right] = &**operands;
                comparison.holds(left.value(place)?, right.value(place)?)
            }
            Self::EqualTexts(texts) => both(texts, place, |left, right| left == right)?,
            Self::Equal(truths) => {
                let [left, right] = &**truths;
                left.value(place)? == right.value(place)?
            }
            #[expect(clippy::float_cmp, reason = "that is what was asked for")]
            Self::NumberIn(it) => {
                let (wanted, list) = (it.0.value(place)?, it.1.iter());
                settled(list.map(|one| Ok(one.value(place)? == wanted)), true)?
            }
            Self::TextIn(it) => {
                let (wanted, list) = (it.0.value(place)?, it.1.iter());
                settled(list.map(|one| Ok(one.value(place)? == wanted)), true)?
            }
            Self::StartsWith(texts) => both(texts, place, |text, start| text.starts_with(start))?,
            Self::EndsWith(texts) => both(texts, place, |text, end| text.ends_with(end))?,
            Self::Contains(texts) => both(texts, place, |text, part| text.contains(part))?,
            Self::Matches(it) => it.0.with(place, |text| it.1.is_match(text))?,
            Self::HasLabel(name) => place.scope.labels.get(name).is_some(),
            Self::Has(value) => match &**value {
                Typed::Number(number) => number.value(place).is_ok(),
                Typed::Text(text) => text.value(place).is_ok(),
                Typed::Truth(truth) => truth.value(place).is_ok(),
                Typed::List(_) => true,
            },
            Self::Choice(choice) => chosen(choice, place)?.value(place)?,
            Self::Aggregate(aggregate) => aggregate.truth(place)?,
        })
    }
}

/// Kleene's logic: what is missing matters only if none of the others settles it.
fn settled<'e>(mut all: impl Iterator<Item = Found<'e, bool>>, settles: bool) -> Found<'e, bool> {
    let mut missing = None;
    let is_settled = all.any(|one| match one {
        Ok(truth) => truth == settles,
        Err(what) => {
            missing.get_or_insert(what);
            false
        }
    });
    match missing {
        _ if is_settled => Ok(settles),
        Some(what) => Err(what),
        None => Ok(!settles),
    }
}

fn both<'e>(
    texts: &'e [Text; 2],
    place: &Place<'_, '_>,
    holds: fn(&str, &str) -> bool,
) -> Found<'e, bool> {
    let [left, right] = texts;
    Ok(holds(left.value(place)?, right.value(place)?))
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "that is what was asked for")]
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Aggregate {
    /// Runs over the instances for which the argument has a value; an error if there are none.
    fn fold<'e>(
        &'e self,
        place: &Place<'_, '_>,
        mut one: impl FnMut(f64) -> ControlFlow<()>,
    ) -> Found<'e, ()> {
        let mut found = false;
        let mut missing = None;
        let _ = self.instances.visit(place.scope.frame, |name, at| {
            let place = Place { scope: place.scope, instance: Some((name, at)) };
            match self.argument.value(&place) {
                Ok(value) => {
                    found = true;
                    one(value)
                }
                Err(what) => {
                    missing.get_or_insert(what);
                    ControlFlow::Continue(())
                }
            }
        });
        if found { Ok(()) } else { Err(missing.unwrap_or(self.instances.missing())) }
    }

    pub(super) fn number(&self, place: &Place<'_, '_>) -> Found<'_, f64> {
        let (mut count, mut sum, mut extreme) = (0.0, 0.0, f64::NAN);
        let counts = |value: f64| match self.argument {
            Argument::Truth(_) => value,
            Argument::Number(_) => 1.0,
        };
        self.fold(place, |value| {
            match self.function {
                Function::Min => extreme = value.min(extreme),
                Function::Max => extreme = value.max(extreme),
                Function::Avg | Function::Sum => (count, sum) = (count + 1.0, sum + value),
                _ => count += counts(value),
            }
            ControlFlow::Continue(())
        })?;
        let result = match self.function {
            Function::Min | Function::Max => return Ok(extreme),
            Function::Avg => sum / count,
            Function::Sum => sum,
            _ => count,
        };
        if result.is_finite() { Ok(result) } else { Err(Missing::Undefined) }
    }

    pub(super) fn truth(&self, place: &Place<'_, '_>) -> Found<'_, bool> {
        let settles = self.function == Function::Any;
        let mut is_settled = false;
        self.fold(place, |value| {
            is_settled = (value != 0.0) == settles;
            if is_settled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(is_settled == settles)
    }
}

impl Argument {
    pub(super) fn value(&self, place: &Place<'_, '_>) -> Found<'_, f64> {
        match self {
            Self::Number(number) => number.value(place),
            Self::Truth(truth) => Ok(f64::from(u8::from(truth.value(place)?))),
        }
    }
}

impl Instances {
    /// Each of them once, with its place among the instances of its metric.
    pub(super) fn visit<'f>(
        &self,
        frame: &'f Frame,
        mut one: impl FnMut(&'f str, usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let series = frame.layout.series();
        for (order, &metric) in self.0.iter().enumerate() {
            for (place, &slot) in frame.layout.slots(metric).iter().enumerate() {
                let Some(its) = series.get(slot.0 as usize) else { continue };
                let name = &*its.instance;
                let mut earlier = self.0.iter().take(order);
                let was_there = |&it: &MetricId| frame.get_near(it, name, place).is_some();
                if frame.at_slot(slot).is_some() && !earlier.any(was_there) {
                    one(name, place)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn missing<'e>(&self) -> Missing<'e> {
        self.0.first().map_or(Missing::Instance, |&metric| Missing::Metric(metric))
    }
}
