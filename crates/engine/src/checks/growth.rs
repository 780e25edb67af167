//! Error counters of whatever part: by how much they grew lately, and the finding of errors that are
//! normal one by one and came in number.

use sickbay_model::{MetricId, Status, Unit};

use crate::growth::{Grown, Growths, Look};
use crate::input::Input;
use crate::judge::Answer;
use crate::text;

/// Growth of a counter, or of the sum of so many.
pub(super) fn of(
    input: &Input<'_>,
    growths: &mut Growths,
    metric: MetricId,
    instance: &str,
    value: f64,
    parts: u32,
) -> Grown {
    let window = input.policy.hardware.error_window;
    growths.look(Look { metric, instance, value, parts, at: input.at, window })
}

/// Growth of a counter as it is read; none where it is not told. While parts settle after a boot
/// nothing grows: links train, and drivers probe what their devices cannot do.
pub(super) fn settled(
    input: &Input<'_>,
    growths: &mut Growths,
    counter: MetricId,
    instance: &str,
    place: usize,
) -> Option<Grown> {
    let value = input.frame.get_near(counter, instance, place)?;
    if input.is_settling() {
        growths.begin_anew_with(counter, instance);
    }
    Some(of(input, growths, counter, instance, value, 1))
}

/// A finding of errors that came in number: `message` is made of their count and the window.
pub(super) fn steady(
    input: &Input<'_>,
    grown: Grown,
    what: &'static str,
    message: impl FnOnce(&str, &str) -> String,
) -> Option<Answer> {
    let policy = &input.policy.hardware;
    if !grown.is_steady(policy) {
        return None;
    }
    let count = text::number(grown.by, Unit::Count);
    let message = message(&count, &text::duration(policy.error_window));
    let limit = text::number(policy.error_growth, Unit::Count);
    let answer = Answer::finding(Status::Degraded, message).proof();
    Some(answer.evidence(what, format!("+{count}"), Some(limit)))
}
