//! One scenario in one form, from its first second to its last.
//!
//! What must hold: the product's own parsers, collectors and engine see what the machine shows and
//! nothing of the truth; time is given; a problem counts as found by a *confirmed* finding that names
//! it, of the right device, bad enough and in time.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use sickbay_engine::{Assessment, NodeMemory, Policy, assess};
use sickbay_model::{CheckResult, Resource, ResourceId, Status};

use crate::local::{Library, Local};
use crate::machine::Machine;
use crate::problem::{Problem, is_of_device, root_of};
use crate::remote::Remote;
use crate::scenario::{Form, Scenario, Session, Truth};
use crate::template::Templates;

/// The wall clock at the first second: a day of no meaning.
const START_MS: i64 = 1_768_000_000_000;

/// How long a problem may still be named after it ended: findings are held until recovery is sure.
const AFTERWARDS: i64 = 15 * 60;

/// How a truth fared.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Found, so many seconds after it began.
    Found(u64),
    /// Found too late.
    Late(u64),
    /// Never found.
    Missed,
}

/// A confirmed finding of something that is not so.
#[derive(Clone, Debug)]
pub struct FalseAlarm {
    /// At which second.
    pub at: i64,
    /// Check and instance.
    pub what: String,
    /// What it said.
    pub message: String,
}

/// What came of a scenario in one form.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which scenario.
    pub scenario: String,
    /// Its class.
    pub class: String,
    /// In which form.
    pub form: Form,
    /// Whether nothing was wrong.
    pub healthy: bool,
    /// Each truth, and how it fared.
    pub verdicts: Vec<(Problem, String, Verdict)>,
    /// What was said that is not so.
    pub false_alarms: Vec<FalseAlarm>,
    /// Findings that were told as consequences of a true one.
    pub explained: usize,
    /// All confirmed findings that were ever seen, for those who look for the reason of a miss.
    pub seen: Vec<String>,
    /// For how long the node was watched.
    pub seconds: u64,
}

enum Source<'a> {
    Local(Box<Local<'a>>),
    Remote(Box<Remote>),
}

/// What a thread needs to replay.
pub struct Replayer {
    templates: Templates,
    library: Library,
    runtime: tokio::runtime::Runtime,
    resource: Resource,
    policy: Policy,
}

impl Replayer {
    /// Everything that scenarios share.
    ///
    /// # Errors
    /// When the fake NVML cannot be placed.
    pub fn new(templates: Templates) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let resource = Resource {
            id: ResourceId::node("node-07").context("a name")?,
            display_name: "node-07".to_owned(),
            labels: BTreeMap::new(),
            parent: None,
        };
        let library = Library::install()?;
        Ok(Self { templates, library, runtime, resource, policy: Policy::default() })
    }

    /// Replays a scenario.
    ///
    /// # Errors
    /// When the scenario names what its machine does not have, or files cannot be written.
    pub fn run(&mut self, scenario: &Scenario, form: Form) -> Result<Outcome> {
        self.steps(scenario, form).with_context(|| format!("{} ({})", scenario.name, form.as_str()))
    }

    /// Ends without waiting for probes that hang for ever.
    pub fn end(self) {
        self.runtime.shutdown_background();
    }

    fn steps(&mut self, scenario: &Scenario, form: Form) -> Result<Outcome> {
        let told = &scenario.told;
        let mut machine = Machine::new(&self.templates, &told.machine)?;
        machine.will_hang = told.at.values().chain([&told.set]).any(crate::local::hangs);
        machine.change(0.0, &told.set)?;
        let mut coming = told.at.iter().peekable();
        while let Some((at, change)) = coming.next_if(|(at, _)| **at <= 0) {
            machine.change(*at as f64, change)?;
        }
        let mut source = match form {
            Form::Local => {
                Source::Local(Box::new(Local::new(&mut self.library, &machine, START_MS)?))
            }
            Form::Ssh => {
                Source::Remote(Box::new(Remote::new(self.resource.clone(), &machine, START_MS)))
            }
        };
        let mut memory = NodeMemory::default();
        let mut judge = Judge::new(scenario, form, &machine);
        let end = told.minutes * 60;
        let mut unasked = 0;
        let mut boots = 0;
        for second in (0..=end).step_by(usize::try_from(told.step)?) {
            let now = i64::try_from(second)?;
            while let Some((at, change)) = coming.next_if(|(at, _)| **at <= now) {
                machine.advance(*at as f64)?;
                machine.change(*at as f64, change)?;
            }
            machine.advance(second as f64)?;
            let since = if second == 0 { 0 } else { told.step + unasked };
            let observation = match &mut source {
                // Nobody on the machine collects while it is off.
                Source::Local(_) if machine.session == Session::Off => {
                    unasked = since;
                    continue;
                }
                Source::Local(local) => local.collect(&self.runtime, &machine, since)?,
                Source::Remote(remote) => remote.collect(&machine, since)?,
            };
            unasked = 0;
            if machine.boots() != boots {
                boots = machine.boots();
                if form == Form::Local {
                    // Its memory was stored, and is read again.
                    memory = serde_json::from_str(&serde_json::to_string(&memory)?)?;
                    memory.collectors_begin_anew();
                }
            }
            let assessment = assess(&self.policy, &mut memory, &observation);
            judge.look(&machine, now, &assessment);
        }
        Ok(judge.end(end))
    }
}

/// Holds what is found against what is true.
struct Judge<'a> {
    scenario: &'a Scenario,
    form: Form,
    found: Vec<Option<u64>>,
    names: Vec<Vec<String>>,
    false_alarms: BTreeMap<String, FalseAlarm>,
    explained: BTreeMap<String, ()>,
    seen: BTreeMap<String, String>,
}

impl<'a> Judge<'a> {
    fn new(scenario: &'a Scenario, form: Form, machine: &Machine) -> Self {
        let truths = &scenario.told.truth;
        Self {
            scenario,
            form,
            found: vec![None; truths.len()],
            names: truths.iter().map(|truth| machine.names_of(&truth.device)).collect(),
            false_alarms: BTreeMap::new(),
            explained: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn look(&mut self, machine: &Machine, now: i64, assessment: &Assessment) {
        for finding in assessment.findings().filter(|finding| finding.hard && !finding.is_healthy())
        {
            let what = format!("{}[{}]", finding.check, finding.instance);
            let is_new = !self.seen.contains_key(&what);
            if is_new {
                self.seen.insert(
                    what.clone(),
                    format!("{what} {} at {now} s: {}", finding.status, finding.message),
                );
            }
            self.note_found(now, finding);
            if self.is_true(machine, now, finding) || finding.status == Status::Unknown {
                continue;
            }
            // What a false finding explains is false, too.
            let root = root_of(assessment, finding);
            if root.is_some_and(|root| self.is_true(machine, now, root)) {
                self.explained.insert(what, ());
            } else if !self.false_alarms.contains_key(&what) {
                let message = format!("{}: {}", finding.status, finding.message);
                self.false_alarms.insert(what.clone(), FalseAlarm { at: now, what, message });
            }
        }
    }

    /// Notes which problems are found by it.
    fn note_found(&mut self, now: i64, finding: &CheckResult) {
        let truths = self.scenario.told.truth.iter().zip(&self.names).zip(&mut self.found);
        for ((truth, names), found) in truths {
            if !is_named(truth, names, now, finding) || found.is_some() {
                continue;
            }
            let bad_enough =
                finding.status.severity() >= truth.at_least.severity() || is_silent(truth);
            let still =
                truth.until.is_none_or(|until| now <= until.saturating_add_unsigned(truth.within));
            if bad_enough && still {
                *found = Some(now.abs_diff(truth.from.min(now)));
            }
        }
    }

    /// Whether it is so.
    fn is_true(&self, machine: &Machine, now: i64, finding: &CheckResult) -> bool {
        let mut truths = self.scenario.told.truth.iter().zip(&self.names);
        truths.any(|(truth, names)| is_named(truth, names, now, finding))
            || self.scenario.told.also.iter().any(|also| {
                also.problem.is_named_by(finding)
                    && is_of_device(finding, &machine.names_of(&also.device))
            })
    }

    fn end(self, seconds: u64) -> Outcome {
        let truths = self.scenario.told.truth.iter().zip(self.found);
        let verdicts = truths.map(|(truth, found)| {
            let verdict = match found {
                Some(after) if after <= truth.within => Verdict::Found(after),
                Some(after) => Verdict::Late(after),
                None => Verdict::Missed,
            };
            (truth.problem, truth.device.clone(), verdict)
        });
        Outcome {
            scenario: self.scenario.name.clone(),
            class: self.scenario.class.clone(),
            form: self.form,
            healthy: self.scenario.is_healthy(),
            verdicts: verdicts.collect(),
            false_alarms: self.false_alarms.into_values().collect(),
            explained: self.explained.len(),
            seen: self.seen.into_values().collect(),
            seconds,
        }
    }
}

/// Whether a finding names a truth that holds now, of its device.
fn is_named(truth: &Truth, names: &[String], now: i64, finding: &CheckResult) -> bool {
    (finding.status != Status::Unknown || is_silent(truth))
        && is_now(truth, now)
        && truth.problem.is_named_by(finding)
        && is_of_device(finding, names)
}

/// Whether the problem is that nothing is heard.
fn is_silent(truth: &Truth) -> bool {
    matches!(truth.problem, Problem::TelemetryLost | Problem::Unreachable)
}

/// Whether a truth holds now, or so lately that it may still be named.
fn is_now(truth: &Truth, now: i64) -> bool {
    now >= truth.from && truth.until.is_none_or(|until| now <= until.saturating_add(AFTERWARDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_false_finding_explains_is_a_false_alarm_too() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fixtures/faults");
        let corpus = std::path::Path::new(corpus);
        let names = ["gpu-bus/xid-79-h100-lost".to_owned()];
        let mut scenarios = Scenario::load_all(corpus, &names).expect("a story");
        let mut scenario = scenarios.pop().expect("one story");
        // What is told of the machine is that it is well.
        scenario.told.truth.clear();
        scenario.told.also.clear();
        let templates = Templates::load(corpus).expect("machines");
        let mut replay = Replayer::new(templates).expect("a replay");
        let outcome = replay.run(&scenario, Form::Ssh).expect("it runs");
        replay.end();
        assert_eq!(outcome.explained, 0, "{outcome:?}");
        assert!(outcome.false_alarms.len() > 1, "{outcome:?}");
    }
}
