//! The part of the config file that changes the fault catalogue; see [`super::raw`].
//!
//! Its form is the catalogue's own (`crates/model/faults.json`), so that what is written for one fits
//! the other; only what is known already need not be written again.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sickbay_collect::FaultMatcher;
use sickbay_hub::HubSettings;
use sickbay_model::{
    Clears, FaultCatalogue, FaultClass, FaultCode, FaultEntry, FaultFamily, Repeated, Source,
    Status, Variant,
};

use super::bind::Direction;
use super::raw::section;

/// What an entry that is not in the catalogue needs.
const NEEDED: [&str; 6] = ["title", "meaning", "class", "status", "advice", "clears"];

section! {
    /// Faults of a kernel's log, besides those that are known (`sickbay faults`) or instead of them.
    RawFaults {
        /// How lines are recognised. One with a known name takes that one's place; new ones are asked before all others.
        #[schemars(length(max = 64))]
        families: Vec<FaultFamily>,
        /// What codes mean. Of a known code what is given here takes the place of what is known.
        #[schemars(length(max = 1000))]
        entries: Vec<RawFaultEntry>,
    }
}

/// One fault. A code that is not in the catalogue needs `title`, `meaning`, `class`, `status`,
/// `advice` and `clears`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFaultEntry {
    /// Its code, as `sickbay faults` lists it: `xid-79`.
    pub code: FaultCode,
    /// What it is called, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// What kind of trouble it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<FaultClass>,
    /// What a sighting makes of the device; `healthy`: an event and no finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// When it is over: `reset`, `reboot`, or after a time without another (`after_seconds: 900`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clears: Option<Clears>,
    /// What changes when it comes again, the worst last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Vec<Repeated>>,
    /// Where it means something else; the first that fits holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<Variant>>,
    /// Whether it comes beside another fault of the same device, which explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<bool>,
    /// Whether a single sighting is shown and lowers no score. False where only `status` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advisory: Option<bool>,
    /// Codes of faults of the same device that are over when this is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Vec<FaultCode>>,
    /// Who says so; the configuration itself if nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Source>>,
    /// Where sources disagree, and what was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
}

impl RawFaultEntry {
    /// What it means, over what is known of its code.
    ///
    /// # Errors
    /// The fields that are missing: its code is not known.
    pub(super) fn complete(&self, known: &FaultCatalogue) -> Result<FaultEntry, Vec<&'static str>> {
        let mut all = match known.find(&self.code) {
            Some(entry) => object(entry),
            None => Map::from_iter([(
                "sources".to_owned(),
                serde_json::json!([{"name": "configuration", "says": "added by its owner"}]),
            )]),
        };
        if self.status.is_some() {
            // Who says what a fault makes of a machine wants that it counts.
            all.insert("advisory".to_owned(), Json::Bool(false));
        }
        all.extend(object(self));
        let missing: Vec<_> =
            NEEDED.into_iter().filter(|field| !all.contains_key(*field)).collect();
        serde_json::from_value(Json::Object(all)).map_err(|_| missing)
    }

    /// All of an entry.
    fn of(entry: &FaultEntry) -> Option<Self> {
        serde_json::from_value(Json::Object(object(entry))).ok()
    }
}

/// Fields by their names; what is not given is not there.
fn object(value: &impl Serialize) -> Map<String, Json> {
    match serde_json::to_value(value) {
        Ok(Json::Object(fields)) => fields,
        _ => Map::new(),
    }
}

impl RawFaults {
    /// The catalogue with these changes; entries that are not complete are left out.
    pub(super) fn catalogue(&self) -> Arc<FaultCatalogue> {
        let known = FaultCatalogue::embedded();
        let families = self.families.as_deref().unwrap_or_default();
        let entries = self.entries.as_deref().unwrap_or_default();
        if families.is_empty() && entries.is_empty() {
            return known;
        }
        let complete = entries.iter().filter_map(|entry| entry.complete(&known).ok());
        let complete: Vec<_> = complete.collect();
        Arc::new(known.changed_by(families, &complete))
    }

    /// What of a catalogue differs from the one that comes with the program.
    fn of(catalogue: &FaultCatalogue) -> Self {
        let known = FaultCatalogue::embedded();
        let families = catalogue.families.iter().filter(|it| !known.families.contains(it));
        let entries = catalogue.entries.iter().filter(|it| !known.entries.contains(it));
        Self {
            families: Some(families.cloned().collect()),
            entries: Some(entries.filter_map(RawFaultEntry::of).collect()),
        }
    }
}

/// Ties the catalogue to those who recognise faults and to those who judge them.
pub(super) fn tie_faults(way: Direction, raw: &mut Option<RawFaults>, hub: &mut HubSettings) {
    match (way, raw) {
        (Direction::Show, raw) => *raw = Some(RawFaults::of(&hub.policy.faults.0)),
        (Direction::Apply, None) => {}
        (Direction::Apply, Some(raw)) => {
            let catalogue = raw.catalogue();
            let known = Arc::ptr_eq(&catalogue, &FaultCatalogue::embedded());
            let matcher = match known {
                true => FaultMatcher::embedded(),
                // A pattern that cannot be used was refused before.
                false => match FaultMatcher::new(&catalogue) {
                    Ok(matcher) => Arc::new(matcher),
                    Err(_) => return,
                },
            };
            hub.policy.faults.0 = catalogue;
            Arc::make_mut(&mut hub.ssh.remote).faults = Arc::clone(&matcher);
            hub.local.faults = matcher;
        }
    }
}
