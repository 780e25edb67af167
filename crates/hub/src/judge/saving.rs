//! What is written down of each node, and taken up again at the next start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::{ResourceId, Timestamp};
use sickbay_store::WriteBatch;

use super::{Judge, Node};
use crate::known::KnownResource;
use crate::stored_state::StoredState;

/// A node's state is written when its verdict changes, and in a small fleet at least this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);
/// The least time between two states of the fleet that are written though no verdict changed: each
/// has some 100 KB. What they hold beside verdicts may be as old after a crash as it takes to write
/// all of them.
const PERIODIC_SAVE_GAP: Duration = Duration::from_millis(500);

/// How many bytes of states are written at once and a second because verdicts changed: when a whole
/// fleet changes, as it does at the start, its states would otherwise wait for the disk in memory.
const SAVE_BURST_BYTES: u32 = 4 << 20;
const SAVE_BYTES_PER_SECOND: u32 = 1 << 20;

/// What saving at the end may take: a stop must be quick. What was saved longest ago comes first;
/// the rest is at most as old as it would be after a crash.
const SAVE_ALL_TIME: Duration = Duration::from_millis(400);

/// Bytes that are saved at the end at most: they must also be written before the hub is gone.
const SAVE_ALL_BYTES: usize = 16 << 20;

/// How much may be written because of changes. What is over is written later: the node's next
/// collections try again.
#[derive(Debug)]
pub(super) struct SaveBudget {
    /// Less than nothing after a state that was larger than what was left.
    left_bytes: f64,
    at: Duration,
}

impl Default for SaveBudget {
    fn default() -> Self {
        Self { left_bytes: f64::from(SAVE_BURST_BYTES), at: Duration::ZERO }
    }
}

impl SaveBudget {
    fn allows(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(std::mem::replace(&mut self.at, now)).as_secs_f64();
        let more = passed * f64::from(SAVE_BYTES_PER_SECOND);
        self.left_bytes = (self.left_bytes + more).min(f64::from(SAVE_BURST_BYTES));
        self.left_bytes > 0.0
    }

    fn spend(&mut self, bytes: usize) {
        self.left_bytes -= bytes as f64;
    }
}

impl Judge {
    /// Takes up what was known of `watched` when the hub last ran; shown as old until it is collected
    /// again. What is not watched any more (a machine that was renamed) is forgotten, so that it
    /// does not count as missing for ever; its history stays.
    pub(crate) fn restore(
        &mut self,
        states: Vec<(ResourceId, Timestamp, Vec<u8>)>,
        watched: &BTreeSet<ResourceId>,
    ) {
        let mut removed = Vec::new();
        for (id, at, bytes) in states {
            if !watched.contains(&id) {
                tracing::info!(resource = %id, "no longer watched; its state is forgotten");
                removed.push(id);
                continue;
            }
            match StoredState::decode(&bytes) {
                Ok(state) => self.take_up(id, at, state),
                Err(reason) => {
                    tracing::warn!(resource = %id, reason, "its stored state cannot be used; it starts afresh");
                }
            }
        }
        self.publish();
        self.write(WriteBatch { removed, ..WriteBatch::default() });
    }

    fn take_up(&mut self, id: ResourceId, at: Timestamp, state: StoredState) {
        let stale = format!("from before the hub was started, as of {at}");
        let known: Vec<_> = state
            .details
            .into_iter()
            .filter_map(|detail| {
                let mut detail = Arc::unwrap_or_clone(detail);
                detail.summary.stale = Some(stale.clone());
                // Ids of details were made from resource ids; anything else would be our mistake.
                let id = detail.summary.id.parse().ok()?;
                Some((id, Arc::new(KnownResource::from(detail))))
            })
            .collect();
        self.pending.show(&known);
        let now = self.clock.monotonic();
        let mut memory = state.memory;
        memory.collectors_begin_anew();
        let node = Node {
            memory,
            pace: state.pace,
            breaker: state.breaker,
            known,
            ..Node::watched(now, self.policy.schedule.active_interval)
        };
        self.nodes.insert(id, node);
    }

    /// Writes down what is known, as far as a quick end allows.
    pub(crate) fn save_all(&mut self) {
        let mut ids: Vec<_> =
            self.nodes.iter().map(|(id, node)| (node.last_saved, id.clone())).collect();
        ids.sort_unstable();
        let at = Timestamp::from_unix_ms(self.clock.now_ms());
        let end = self.clock.monotonic() + SAVE_ALL_TIME;
        let (mut bytes, mut left) = (0, 0_usize);
        for (_, id) in ids {
            if bytes > SAVE_ALL_BYTES || self.clock.monotonic() > end {
                left += 1;
                continue;
            }
            bytes += self.save(&id, at);
        }
        if left > 0 {
            tracing::info!(
                nodes = left,
                "their newest states were not saved, to end in time; the last saved ones hold"
            );
        }
        self.publish();
    }

    /// Puts a node's state among what is to be written, if it is time to.
    pub(super) fn save_if_due(&mut self, id: &ResourceId, at: Timestamp, changed: bool) {
        let (now, count) = (self.clock.monotonic(), self.nodes.len());
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.unsaved |= changed;
        if node.unsaved {
            if !self.save_budget.allows(now) {
                return;
            }
        } else {
            let interval = save_interval(count);
            let old = node.last_saved.is_none_or(|saved| now.saturating_sub(saved) >= interval);
            if !old || now < self.next_periodic_save {
                return;
            }
            self.next_periodic_save = now + PERIODIC_SAVE_GAP;
        }
        let bytes = self.save(id, at);
        self.save_budget.spend(bytes);
    }

    /// Puts a node's state among what is to be written; how many bytes it has.
    pub(super) fn save(&mut self, id: &ResourceId, at: Timestamp) -> usize {
        let now = self.clock.monotonic();
        let Some(node) = self.nodes.get_mut(id) else { return 0 };
        node.unsaved = false;
        node.last_saved = Some(now);
        let details = node.known.iter().map(|(_, known)| known.detail()).collect();
        let state = StoredState::new(node.memory.clone(), node.pace, node.breaker.clone(), details);
        match state.encode() {
            Ok(bytes) => {
                let length = bytes.len();
                self.pending.batch.states.push((id.clone(), at, bytes));
                length
            }
            Err(error) => {
                tracing::error!(resource = %id, %error, "its state cannot be written down");
                0
            }
        }
    }
}

/// How old a node's saved state may be in a fleet of so many nodes.
fn save_interval(nodes: usize) -> Duration {
    PERIODIC_SAVE_GAP.saturating_mul(u32::try_from(nodes).unwrap_or(u32::MAX)).max(SAVE_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_at_once_is_written_at_a_bounded_pace() {
        let mut budget = SaveBudget::default();
        let mut at = Duration::from_secs(100);
        let mut saved = |at| {
            (0..1000)
                .take_while(|_| {
                    budget.allows(at) && {
                        budget.spend(1 << 17);
                        true
                    }
                })
                .count()
        };
        assert_eq!(saved(at), 32, "4 MiB at once");
        assert_eq!(saved(at), 0);
        at += Duration::from_secs(1);
        assert_eq!(saved(at), 8, "1 MiB a second");
        at += Duration::from_secs(3600);
        assert_eq!(saved(at), 32, "and never more than at first");
    }
}
