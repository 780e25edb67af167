//! How findings are worded. Nothing in here runs while all is well.

use std::borrow::Cow;

use sickbay_model::{Status, Unit};

use crate::checks::Scope;
use crate::judge::{Answer, most_points};
use crate::policy::{Direction, Threshold};

/// What a value is, for the sentence about it.
pub(crate) struct Quantity<'a> {
    /// The subject of the sentence ("space used on"), without what it is about.
    pub(crate) subject: &'static str,
    /// What it is about (`/data`); empty if there is just one.
    pub(crate) of: &'a str,
    /// The metric's name, for the evidence.
    pub(crate) metric: &'static str,
    pub(crate) unit: Unit,
    /// The worst that the value can be: where no points are left.
    pub(crate) far_end: f64,
    /// What is said while it is well.
    pub(crate) well: &'static str,
    pub(crate) advice: Option<&'static str>,
}

impl Quantity<'_> {
    /// The finding for a value whose threshold is raised.
    pub(crate) fn finding(&self, threshold: &Threshold, value: f64, status: Status) -> Answer {
        let (line, word) = match status {
            Status::Critical => (threshold.critical, "critical"),
            _ => (threshold.warning, "warning"),
        };
        let line = line.unwrap_or(f64::NAN);
        let shown = number(value, self.unit);
        let limit = number(line, self.unit);
        let crossed = threshold.status(value).severity() >= status.severity();
        let space = if self.of.is_empty() { "" } else { " " };
        let subject = format!("{}{space}{}", self.subject, self.of);
        let message = match (crossed, threshold.direction) {
            (true, Direction::Above) => {
                format!("{subject}: {shown}, at or above the {word} line of {limit}")
            }
            (true, Direction::Below) => {
                format!("{subject}: {shown}, at or below the {word} line of {limit}")
            }
            (false, _) => {
                format!("{subject}: back at {shown}, not yet clear of the {word} line of {limit}")
            }
        };
        let points = threshold.points(value, self.far_end).min(most_points(status));
        let answer = Answer::finding(status, message).points(points).evidence(
            self.metric,
            shown,
            Some(limit),
        );
        match self.advice {
            Some(advice) => answer.advice(advice),
            None => answer,
        }
    }
}

/// A number as a person reads it, with its unit.
pub(crate) fn number(value: f64, unit: Unit) -> String {
    const STEPS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    if matches!(unit, Unit::Bytes | Unit::BytesPerSecond) {
        let per = if unit == Unit::Bytes { "" } else { "/s" };
        return match STEPS.iter().find(|(size, _)| value >= *size) {
            Some((size, name)) => format!("{} {name}{per}", decimal(value / size)),
            None => format!("{} B{per}", decimal(value)),
        };
    }
    let symbol = unit.symbol();
    let space = if symbol.is_empty() { "" } else { " " };
    format!("{}{space}{symbol}", decimal(value))
}

/// At most one decimal, and none where it would be a zero.
fn decimal(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

/// A fragment as a sentence: a capital first letter, unless the first word is a name (`eth0 has lost
/// its link`), and a full stop. Checks speak in fragments, events and headlines in sentences.
#[must_use]
pub fn sentence(fragment: &str) -> String {
    let first_word = fragment.split([' ', ',', ':', ';']).next().unwrap_or_default();
    let is_word = first_word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut text = String::with_capacity(fragment.len() + 1);
    let mut letters = fragment.chars();
    match letters.next() {
        Some(first) if is_word => text.push(first.to_ascii_uppercase()),
        Some(first) => text.push(first),
        None => return text,
    }
    text.push_str(letters.as_str());
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// A duration as a person reads it.
pub(crate) fn duration(duration: std::time::Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// The decimal of a GPU's index, for the usual ones without an allocation.
fn small_index(index: u32) -> Option<&'static str> {
    const INDICES: [&str; 16] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    INDICES.get(index as usize).copied()
}

/// The decimal of a GPU's index.
pub(crate) fn index(index: u32) -> Cow<'static, str> {
    small_index(index).map_or_else(|| Cow::Owned(index.to_string()), Cow::Borrowed)
}

/// The instance of a result; the usual GPU indices cost no allocation.
pub(crate) fn instance(scope: Scope, instance: &str) -> Cow<'static, str> {
    if instance.is_empty() {
        return Cow::Borrowed("");
    }
    if matches!(scope, Scope::Gpu | Scope::PassingGpu)
        && let Some(text) = crate::input::parse_index(instance).and_then(small_index)
        && (instance.len() == 1 || text == instance)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(instance.to_owned())
}

/// "1 GPU", "2 GPUs".
pub(crate) fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, unit, text) in [
            (97.04, Unit::Percent, "97 %"),
            (97.25, Unit::Percent, "97.3 %"),
            (412.3e9, Unit::Bytes, "412.3 GB"),
            (999.0, Unit::Bytes, "999 B"),
            (41.26e9, Unit::BytesPerSecond, "41.3 GB/s"),
            (3.0, Unit::Count, "3"),
            (-2.5, Unit::Celsius, "-2.5 °C"),
        ] {
            assert_eq!(number(value, unit), text);
        }
    }

    #[test]
    fn fragments_become_sentences() {
        for (fragment, text) in [
            ("no probe answered", "No probe answered."),
            ("zombie processes: 120", "Zombie processes: 120."),
            ("memory, that is", "Memory, that is."),
            ("eth0 has lost its link", "eth0 has lost its link."),
            ("nvidia-smi fails", "nvidia-smi fails."),
            ("/data is read-only", "/data is read-only."),
            ("It is. Really.", "It is. Really."),
            ("ärger", "ärger."),
            ("", ""),
        ] {
            assert_eq!(sentence(fragment), text);
        }
    }

    #[test]
    fn gpu_indices_are_borrowed() {
        assert!(matches!(instance(Scope::Gpu, "7"), Cow::Borrowed("7")));
        assert!(matches!(instance(Scope::Gpu, "07"), Cow::Owned(text) if text == "07"));
        assert_eq!(instance(Scope::Filesystem, "/data"), "/data");
    }
}
