//! When a fault is not over yet, and when the kernel itself said that it is.

use std::time::Duration;

use sickbay_model::{FaultCatalogue, FaultEntry, Timestamp};

use super::{Fault, Faults};

impl Faults {
    /// Ends what a later line of the same device ends, by the catalogue's `ends`.
    pub(crate) fn end_by_word(&mut self, catalogue: &FaultCatalogue, now: Timestamp) {
        let mut over = Vec::new();
        for word in &self.known {
            let Some(entry) = catalogue.find(&word.code) else { continue };
            let ended = |(_, fault): &(usize, &Fault)| {
                entry.ends.contains(&fault.code)
                    && fault.device == word.device
                    && fault.boot_id == word.boot_id
                    && fault.last <= word.last
            };
            over.extend(self.known.iter().enumerate().filter(ended).map(|(place, _)| place));
        }
        for place in over {
            if let Some(fault) = self.known.get_mut(place) {
                fault.ended.get_or_insert(now);
            }
        }
    }
}

impl Fault {
    /// Whether it came so often that its entry makes something else of it: it stands for as long as
    /// that counts, however short one sighting stands.
    pub(super) fn repeats(&self, entry: &FaultEntry, now: Timestamp) -> bool {
        entry.repeated.iter().any(|repeated| {
            let within = Duration::from_secs(repeated.within_seconds);
            let seen = self.recent.iter().filter(|at| now.since(**at) <= within).count();
            seen >= repeated.count as usize
        })
    }
}
