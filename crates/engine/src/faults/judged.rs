//! Which lines of a log were judged.
//!
//! A line is known by its place and by what it says, not by how far the log was read: processors'
//! clocks differ a little, so a line may come behind a later one, and two may have one stamp. The
//! last lines are remembered one by one, and all before them as judged.

use serde::{Deserialize, Serialize};
use sickbay_model::{FaultSighting, LogPosition};

/// How many lines are remembered one by one. A line that comes behind more faults than these is taken
/// for judged: what is lost so is one line in a flood (ours).
const REMEMBERED_LINES: usize = 128;

/// The lines of one boot's log that were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Judged {
    /// Everything up to here was.
    up_to: Option<LogPosition>,
    /// Of what is behind that, these, sorted.
    lines: Vec<(LogPosition, u32)>,
}

impl Judged {
    /// Those that were not judged before, in their order; from now on they are.
    pub(super) fn unjudged<'a>(
        &mut self,
        sightings: &'a [FaultSighting],
    ) -> Vec<&'a FaultSighting> {
        let mut new = Vec::new();
        for sighting in sightings {
            if self.note(sighting) {
                new.push(sighting);
            }
        }
        self.forget_the_oldest();
        new
    }

    /// Remembers a line. Returns whether it was not judged before.
    fn note(&mut self, sighting: &FaultSighting) -> bool {
        if self.up_to.is_some_and(|up_to| sighting.position <= up_to) {
            return false;
        }
        let line = (sighting.position, mark(sighting));
        let Err(place) = self.lines.binary_search(&line) else { return false };
        self.lines.insert(place, line);
        true
    }

    fn forget_the_oldest(&mut self) {
        let too_many = self.lines.len().saturating_sub(REMEMBERED_LINES);
        if let Some((position, _)) = self.lines.drain(..too_many).next_back() {
            self.up_to = Some(position);
        }
    }
}

/// Tells lines of one place apart, by what was said of what: FNV-1a by words, as every line is marked at
/// every look. It is stored, so it must stay the same in every version.
fn mark(sighting: &FaultSighting) -> u32 {
    let take = |mark: u64, text: &str| {
        let words = text.as_bytes().chunks(8);
        let mark = words.fold(mark, |mark, chunk| {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            mix(mark, u64::from_le_bytes(word))
        });
        mix(mark, text.len() as u64)
    };
    let mark = take(take(0xcbf2_9ce4_8422_2325, &sighting.device), &sighting.line);
    (mark >> 32) as u32
}

fn mix(mark: u64, word: u64) -> u64 {
    (mark ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sickbay_model::{FaultCode, KernelLog, Timestamp};

    use super::*;

    fn sighting(position: u64, line: &str) -> FaultSighting {
        FaultSighting {
            code: FaultCode::new("xid-79"),
            device: String::new(),
            since_boot_ms: 0,
            at: Timestamp::EPOCH,
            position: LogPosition(position),
            line: line.to_owned(),
            facts: std::collections::BTreeMap::new(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Lines come a little out of order, each look brings all that are known, and collections are
        /// lost: each line is judged once.
        #[test]
        fn each_line_is_judged_once(
            lines in prop::collection::vec((0..30_u64, any::<u8>(), any::<bool>()), 0..800),
        ) {
            let mut judged = Judged::default();
            let (mut brought, mut seen, mut all) = (Vec::new(), Vec::new(), 0);
            let count = lines.len();
            for (place, (late, look, restart)) in lines.into_iter().enumerate() {
                let position = (place as u64 + 30).saturating_sub(late) / 2;
                brought.push(sighting(position, &format!("line {place}")));
                all += 1;
                let too_many = brought.len().saturating_sub(KernelLog::MAX_SIGHTINGS);
                brought.drain(..too_many);
                if look % 8 > 0 && place + 1 < count {
                    continue;
                }
                if restart {
                    let json = serde_json::to_string(&judged).expect("serialises");
                    judged = serde_json::from_str(&json).expect("reads back");
                }
                seen.extend(judged.unjudged(&brought).into_iter().map(|it| it.line.clone()));
                prop_assert!(judged.unjudged(&brought).is_empty());
                prop_assert!(judged.lines.len() <= REMEMBERED_LINES);
            }
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), all);
        }
    }

    #[test]
    fn marks_stay_the_same() {
        assert_eq!(mark(&sighting(1, "")), 1_545_202_309);
        assert_ne!(mark(&sighting(1, "a")), mark(&sighting(1, "b")));
    }
}
