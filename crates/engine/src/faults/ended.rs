//! Faults that the kernel itself said are over.

use sickbay_model::{FaultCatalogue, Timestamp};

use super::Faults;

impl Faults {
    /// Ends what a later line of the same device ends, by the catalogue's `ends`.
    pub(crate) fn end_by_word(&mut self, catalogue: &FaultCatalogue, now: Timestamp) {
        let mut over = Vec::new();
        for word in &self.known {
            let Some(entry) = catalogue.find(&word.code) else { continue };
            let ended = |(_, fault): &(usize, &super::Fault)| {
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
