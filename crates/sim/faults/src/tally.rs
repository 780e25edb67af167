//! What the outcomes come to: precision, recall, time to detect, false alarms per node-day.

use std::collections::{BTreeMap, BTreeSet};

use crate::replay::{Outcome, Verdict};
use crate::scenario::Form;

/// The least precision and recall of the whole corpus.
pub(crate) const LEAST_OVERALL: f64 = 0.97;
/// The least of a class.
pub(crate) const LEAST_OF_CLASS: f64 = 0.9;
/// What was reached overall, a little below the last measurement: raise both with each gain.
const REACHED_PRECISION: f64 = 0.99;
const REACHED_RECALL: f64 = 0.99;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Numbers of a part of the corpus.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    faulty: BTreeSet<String>,
    healthy: BTreeSet<String>,
    /// Problems that were there.
    pub problems: usize,
    /// Problems that were found in time.
    pub found: usize,
    /// Findings of what was not so.
    pub false_alarms: usize,
    /// Findings told as consequences.
    pub explained: usize,
    times: Vec<u64>,
    seconds: u64,
}

impl Tally {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &Outcome) {
        let names = if outcome.healthy { &mut self.healthy } else { &mut self.faulty };
        names.insert(outcome.scenario.clone());
        for (_, _, verdict) in &outcome.verdicts {
            self.problems += 1;
            if let Verdict::Found(after) = verdict {
                self.found += 1;
                self.times.push(*after);
            }
        }
        self.false_alarms += outcome.false_alarms.len();
        self.explained += outcome.explained;
        self.seconds += outcome.seconds;
        self.times.sort_unstable();
    }

    /// How many scenarios have a fault.
    #[must_use]
    pub fn faulty(&self) -> usize {
        self.faulty.len()
    }

    /// How many have none.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.healthy.len()
    }

    /// Of what was said, the share that was so.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.found, self.found + self.false_alarms)
    }

    /// Of what was so, the share that was said in time.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.found, self.problems)
    }

    /// Seconds until a problem was found: the part of all that took at most so long, in percent.
    #[must_use]
    pub fn time_to_detect(&self, percent: usize) -> Option<u64> {
        let last = self.times.len().checked_sub(1)?;
        self.times
            .get((self.times.len() * percent).div_ceil(100).saturating_sub(1).min(last))
            .copied()
    }

    /// False alarms for each day that a node was watched.
    #[must_use]
    pub fn false_alarms_per_node_day(&self) -> f64 {
        self.false_alarms as f64 / self.node_days().max(f64::MIN_POSITIVE)
    }

    /// Days of nodes that were watched.
    #[must_use]
    pub fn node_days(&self) -> f64 {
        self.seconds as f64 / SECONDS_PER_DAY
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// All tallies.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// The whole corpus, both forms.
    pub overall: Tally,
    /// By form.
    pub forms: BTreeMap<Form, Tally>,
    /// By class.
    pub classes: BTreeMap<String, Tally>,
}

impl Tallies {
    /// Counts outcomes.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut all = Self::default();
        for outcome in outcomes {
            all.overall.add(outcome);
            all.forms.entry(outcome.form).or_default().add(outcome);
            all.classes.entry(outcome.class.clone()).or_default().add(outcome);
        }
        all
    }

    /// What is below what was reached once: the product must not get worse, however far above what it
    /// must be ([`Tallies::shortfalls`]).
    #[must_use]
    pub fn losses(&self) -> Vec<String> {
        let all = [
            ("precision", self.overall.precision(), REACHED_PRECISION),
            ("recall", self.overall.recall(), REACHED_RECALL),
        ];
        let lost = all.into_iter().filter(|(_, value, reached)| value < reached);
        lost.map(|(what, value, reached)| format!("{what} is {value:.3}, and was {reached}"))
            .collect()
    }

    /// What is below what must be reached.
    #[must_use]
    pub fn shortfalls(&self) -> Vec<String> {
        let whole = std::iter::once(("overall", &self.overall, LEAST_OVERALL));
        let classes =
            self.classes.iter().map(|(name, tally)| (name.as_str(), tally, LEAST_OF_CLASS));
        let mut short = Vec::new();
        for (name, tally, least) in whole.chain(classes) {
            for (what, value) in [("precision", tally.precision()), ("recall", tally.recall())] {
                if value < least {
                    short.push(format!(
                        "{name}: {what} is {value:.3}, and must be at least {least}"
                    ));
                }
            }
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;
    use crate::replay::FalseAlarm;

    fn outcome(class: &str, verdicts: Vec<Verdict>, false_alarms: usize) -> Outcome {
        let alarm = FalseAlarm { at: 0, what: String::new(), message: String::new() };
        Outcome {
            scenario: format!("{class}/x"),
            class: class.to_owned(),
            form: Form::Ssh,
            healthy: verdicts.is_empty(),
            verdicts: verdicts.into_iter().map(|one| (Problem::Oom, String::new(), one)).collect(),
            false_alarms: vec![alarm; false_alarms],
            explained: 0,
            seen: Vec::new(),
            seconds: 43_200,
        }
    }

    #[test]
    fn late_and_missed_count_against_recall_and_alarms_against_precision() {
        let found = (0..8).map(|after| Verdict::Found(after * 10)).collect();
        let tallies = Tallies::of(&[
            outcome("a", found, 0),
            outcome("b", vec![Verdict::Late(900), Verdict::Missed], 0),
            outcome("b", Vec::new(), 2),
        ]);
        let all = &tallies.overall;
        assert_eq!((all.problems, all.found, all.false_alarms), (10, 8, 2));
        assert!((all.precision() - 0.8).abs() < 1e-9 && (all.recall() - 0.8).abs() < 1e-9);
        assert_eq!((all.time_to_detect(50), all.time_to_detect(95)), (Some(30), Some(70)));
        assert!((all.false_alarms_per_node_day() - 2.0 / 1.5).abs() < 1e-9);
        let short = tallies.shortfalls().join("\n");
        assert!(
            short.contains("overall: precision is 0.800") && short.contains("b: recall is 0.000"),
            "{short}"
        );
        assert!(!short.contains("a: "), "{short}");
    }
}
