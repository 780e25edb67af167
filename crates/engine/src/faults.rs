//! What is remembered of the faults that a node's kernel reported, and what they mean now.
//!
//! A sighting is of the past; a fault is what stands because of it. What must hold: each line counts
//! once, whoever restarts and whatever collection is lost, because which lines were judged is
//! remembered beside the faults; nothing is latched: every fault ends by what its entry in the
//! catalogue says, whether the log can be read or not; everything is bounded.

mod ended;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sickbay_model::{
    Clears, FaultCatalogue, FaultClass, FaultCode, FaultEntry, FaultSighting, KernelLog, Status,
    Timestamp,
};

mod judged;
use judged::Judged;

/// The most faults that are remembered of one node.
const MAX_FAULTS: usize = 64;
/// The most sightings of one fault whose times are remembered: as many as any entry asks for.
const MAX_RECENT: usize = 100;
/// How long a fault that only a reset ends stands without one, if it is not seen again: a reset
/// leaves no trace that could be relied on (ours).
const RESET_HOLD: Duration = Duration::from_secs(24 * 3600);
/// How long a fault that is over is remembered, so that its return is known as one (ours).
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// In how many boots a fault that a reset or reboot should have ended is seen until it counts as one
/// that these do not end: a repeat after two reboots.
const STUBBORN_BOOTS: u32 = 3;
const STUBBORN_ADVICE: &str =
    "it came back after two reboots: take the node out of use, have the part replaced";

/// Lines of one process within this time tell of one failure: a kernel that reads out of range has a
/// line for each of the GPU's processors that met it (ours).
const ONE_FAILURE: Duration = Duration::from_secs(60);

/// The name of the fact that says how often a line's fault happened (`400 CE`).
const TIMES: &str = "times";

/// The faults of one node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Faults {
    /// Of which boot the log was judged.
    boot_id: String,
    judged: Judged,
    known: Vec<Fault>,
}

/// One fault of one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) code: FaultCode,
    #[serde(default)]
    pub(crate) device: String,
    /// Of the newest sighting.
    #[serde(default)]
    boot_id: String,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) count: u32,
    /// In how many boots it was seen.
    boots: u32,
    /// When it was seen, the newest last.
    #[serde(default)]
    recent: Vec<Timestamp>,
    pub(crate) line: String,
    #[serde(default)]
    pub(crate) facts: BTreeMap<String, String>,
    /// Whether all of it was there when the node was first looked at.
    #[serde(default)]
    pub(crate) before_watched: bool,
    /// Since when it is over.
    #[serde(default)]
    pub(crate) ended: Option<Timestamp>,
}

/// What a fault means now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meaning {
    pub(crate) status: Status,
    pub(crate) meaning: String,
    pub(crate) advice: String,
    /// Whether it is told and no more ([`FaultEntry::advisory`]).
    pub(crate) advisory: bool,
}

/// A fault that is worth an event, as it is after all that was taken in: it was seen for the first
/// time, or ten times as often as when it was last told.
pub(crate) struct News(pub(crate) Fault);

impl Faults {
    /// Those that are remembered, over or not.
    pub(crate) fn known(&self) -> &[Fault] {
        &self.known
    }

    /// Takes in what a log brought that was not judged yet. Returns what is worth telling.
    pub(crate) fn take_in(&mut self, log: &KernelLog) -> Vec<News> {
        let first_look = self.boot_id.is_empty();
        if log.boot_id != self.boot_id {
            self.boot_id.clone_from(&log.boot_id);
            self.judged = Judged::default();
        }
        let mut news: Vec<News> = Vec::new();
        for sighting in self.judged.unjudged(&log.sightings) {
            let Some((fault, before)) = self.see(sighting, &log.boot_id, first_look) else {
                continue;
            };
            let is_news = digits(fault.count) > digits(before);
            match news.iter_mut().find(|News(told)| told.is_of(sighting)) {
                Some(News(told)) => told.clone_from(fault),
                None if is_news => news.push(News(fault.clone())),
                None => {}
            }
        }
        news
    }

    /// Returns the fault as it is now, and how often it was seen before.
    fn see(
        &mut self,
        sighting: &FaultSighting,
        boot_id: &str,
        first_look: bool,
    ) -> Option<(&Fault, u32)> {
        if let Some(place) = self.known.iter().position(|fault| fault.is_of(sighting)) {
            let fault = self.known.get_mut(place)?;
            let before = if fault.ended.is_some() { 0 } else { fault.count };
            fault.see(sighting, boot_id, first_look);
            return Some((fault, before));
        }
        let mut fault = Fault {
            code: sighting.code.clone(),
            device: sighting.device.clone(),
            boot_id: boot_id.to_owned(),
            first: sighting.at,
            last: sighting.at,
            count: 0,
            boots: 1,
            recent: Vec::new(),
            line: sighting.line.clone(),
            facts: sighting.facts.clone(),
            before_watched: first_look,
            ended: None,
        };
        fault.add(sighting, false);
        if self.known.len() < MAX_FAULTS {
            self.known.push(fault);
            return self.known.last().map(|fault| (fault, 0));
        }
        // The one that says least now gives its place: over before not over, old before new.
        let least = self.known.iter().enumerate();
        let least = least.min_by_key(|(_, fault)| (fault.ended.is_none(), fault.last));
        let (place, _) = least?;
        let given = self.known.get_mut(place)?;
        *given = fault;
        Some((given, 0))
    }

    /// Forgets a fault of a device. Its lines stay judged.
    pub(crate) fn forget(&mut self, code: &str, device: &str) {
        self.known.retain(|fault| {
            fault.code.as_str() != code || !fault.device.eq_ignore_ascii_case(device)
        });
    }

    /// Ends what is over by now, and forgets what was over for long. `boot_id` is of the boot that
    /// runs; empty where that is not known.
    pub(crate) fn pass(&mut self, catalogue: &FaultCatalogue, boot_id: &str, now: Timestamp) {
        self.known.retain_mut(|fault| {
            if let Some(ended) = fault.ended {
                return now.since(ended) <= REMEMBERED;
            }
            let Some(entry) = catalogue.find(&fault.code) else { return false };
            let rebooted = !boot_id.is_empty() && fault.boot_id != boot_id;
            let unseen = now.since(fault.last);
            let over = match entry.clears {
                Clears::AfterSeconds(seconds) => {
                    unseen > Duration::from_secs(seconds) && !fault.repeats(entry, now)
                }
                Clears::Reset => rebooted || unseen > RESET_HOLD,
                Clears::Reboot => rebooted,
            };
            if over {
                fault.ended = Some(now);
            }
            true
        });
    }
}

impl Fault {
    fn is_of(&self, sighting: &FaultSighting) -> bool {
        self.code == sighting.code && self.device == sighting.device
    }

    fn see(&mut self, sighting: &FaultSighting, boot_id: &str, first_look: bool) {
        if self.boot_id != boot_id {
            self.boots = self.boots.saturating_add(1);
            boot_id.clone_into(&mut self.boot_id);
        }
        if self.ended.take().is_some() {
            // A new one, of which is known that it was there before.
            self.first = sighting.at;
            self.count = 0;
        }
        let more_of_it = self.tells_more_of_the_last(sighting);
        self.add(sighting, more_of_it);
        self.last = self.last.max(sighting.at);
        self.line.clone_from(&sighting.line);
        self.facts.clone_from(&sighting.facts);
        self.before_watched &= first_look;
    }

    /// Whether it is one more line about the failure that was counted last.
    fn tells_more_of_the_last(&self, sighting: &FaultSighting) -> bool {
        let pid = |facts: &BTreeMap<String, String>| {
            facts.get("pid").and_then(|text| text.trim().parse::<u32>().ok())
        };
        let same = pid(&sighting.facts).is_some_and(|it| pid(&self.facts) == Some(it));
        let last = self.recent.last();
        same && last.is_some_and(|last| sighting.at.since(*last) < ONE_FAILURE)
    }

    /// Counts a sighting: as often as its line says that it happened; as a time of its own only if it
    /// is not one more line about the same failure.
    fn add(&mut self, sighting: &FaultSighting, more_of_it: bool) {
        let times = sighting.facts.get(TIMES).and_then(|text| text.parse::<u32>().ok());
        let times = times.unwrap_or(1).max(1);
        self.count = self.count.saturating_add(times);
        if more_of_it {
            return;
        }
        let kept = MAX_RECENT.min(times as usize);
        let too_many = (self.recent.len() + kept).saturating_sub(MAX_RECENT);
        self.recent.drain(..too_many);
        self.recent.extend(std::iter::repeat_n(sighting.at, kept));
    }

    /// What it means, on a GPU of this model with this driver (both empty for what is no GPU).
    pub(crate) fn meaning(
        &self,
        entry: &FaultEntry,
        model: &str,
        driver: &str,
        now: Timestamp,
    ) -> Meaning {
        let driver_major = driver.split('.').next().and_then(|major| major.parse().ok());
        let variant = entry.variant(model, driver_major, &self.facts);
        let mut meaning = Meaning {
            status: variant.and_then(|it| it.status).unwrap_or(entry.status),
            meaning: variant.and_then(|it| it.meaning.as_ref()).unwrap_or(&entry.meaning).clone(),
            advice: variant.and_then(|it| it.advice.as_ref()).unwrap_or(&entry.advice).clone(),
            advisory: entry.advisory,
        };
        for repeated in &entry.repeated {
            let within = Duration::from_secs(repeated.within_seconds);
            let seen = self.recent.iter().filter(|at| now.since(**at) <= within).count();
            let worse = repeated.status.severity() >= meaning.status.severity();
            if seen >= repeated.count as usize && worse {
                meaning.status = repeated.status;
                meaning.advice.clone_from(&repeated.advice);
                meaning.advisory = false;
            }
        }
        let ends_with_boot = matches!(entry.clears, Clears::Reset | Clears::Reboot);
        if ends_with_boot && self.boots >= STUBBORN_BOOTS && meaning.status != Status::Healthy {
            meaning.status = Status::Critical;
            STUBBORN_ADVICE.clone_into(&mut meaning.advice);
        }
        // What an application did before anybody looked is no finding of now.
        let passing = matches!(entry.class, FaultClass::Application | FaultClass::Information);
        if passing && self.before_watched {
            meaning.status = Status::Healthy;
        }
        meaning
    }
}

fn digits(count: u32) -> u32 {
    count.checked_ilog10().map_or(0, |below| below + 1)
}
