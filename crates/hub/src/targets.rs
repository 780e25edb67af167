//! Who is due when: the one place where collections are timed.
//!
//! Pure bookkeeping over monotonic time; the monitor loop does the waiting and the asking. A target
//! whose collection is still under way when it is due again is skipped and counted, never queued.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A target's place in the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetIndex(pub(crate) usize);

#[derive(Debug, Default)]
struct Target {
    /// When it is next due; earlier entries of the heap that do not agree are leftovers.
    due: Option<Duration>,
    running: bool,
}

/// All targets and when each is due.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    targets: Vec<Target>,
    heap: BinaryHeap<Reverse<(Duration, TargetIndex)>>,
}

/// A target whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueTarget {
    pub(crate) target: TargetIndex,
    /// When it should have been asked.
    pub(crate) due: Duration,
}

impl Agenda {
    /// Adds a target that is due at `due`.
    pub(crate) fn add(&mut self, due: Duration) -> TargetIndex {
        let target = TargetIndex(self.targets.len());
        self.targets.push(Target::default());
        self.set(target, due);
        target
    }

    /// How many targets there are.
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Sets when a target is next due, whatever was planned before.
    pub(crate) fn set(&mut self, target: TargetIndex, due: Duration) {
        if let Some(entry) = self.targets.get_mut(target.0) {
            entry.due = Some(due);
            self.heap.push(Reverse((due, target)));
        }
    }

    /// Brings every target's next time forward to `due` at the latest.
    pub(crate) fn hurry(&mut self, due: Duration) {
        for index in 0..self.targets.len() {
            let later = self.targets.get(index).and_then(|t| t.due).is_some_and(|at| at > due);
            if later {
                self.set(TargetIndex(index), due);
            }
        }
    }

    /// When the next target is due.
    pub(crate) fn next_due(&mut self) -> Option<Duration> {
        while let Some(Reverse((due, target))) = self.heap.peek().copied() {
            if self.targets.get(target.0).and_then(|entry| entry.due) == Some(due) {
                return Some(due);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the next target that is due now. `Err` names one that is due but still being asked;
    /// it is planned again by [`Agenda::finished`].
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Result<DueTarget, TargetIndex>> {
        let due = self.next_due().filter(|&due| due <= now)?;
        let Reverse((_, target)) = self.heap.pop()?;
        let entry = self.targets.get_mut(target.0)?;
        entry.due = None;
        if entry.running {
            return Some(Err(target));
        }
        entry.running = true;
        Some(Ok(DueTarget { target, due }))
    }

    /// Says that a target's collection ended, and when it is due again.
    pub(crate) fn finished(&mut self, target: TargetIndex, next_due: Duration) {
        if let Some(entry) = self.targets.get_mut(target.0) {
            entry.running = false;
        }
        self.set(target, next_due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn targets_come_in_the_order_of_their_times() {
        let mut agenda = Agenda::default();
        let (late, early) = (agenda.add(s(10)), agenda.add(s(5)));
        assert_eq!(agenda.take_due(s(4)), None);
        assert_eq!(agenda.take_due(s(12)), Some(Ok(DueTarget { target: early, due: s(5) })));
        assert_eq!(agenda.take_due(s(12)), Some(Ok(DueTarget { target: late, due: s(10) })));
        assert_eq!(agenda.take_due(s(12)), None);
        agenda.finished(early, s(20));
        assert_eq!(agenda.next_due(), Some(s(20)));
    }

    #[test]
    fn a_target_still_being_asked_is_skipped_not_queued() {
        let mut agenda = Agenda::default();
        let target = agenda.add(s(0));
        assert!(matches!(agenda.take_due(s(0)), Some(Ok(_))));
        agenda.set(target, s(1));
        assert_eq!(agenda.take_due(s(1)), Some(Err(target)));
        assert_eq!(agenda.take_due(s(9)), None);
        agenda.finished(target, s(10));
        assert!(matches!(agenda.take_due(s(10)), Some(Ok(_))));
    }

    #[test]
    fn hurrying_moves_what_is_later_and_leaves_what_is_sooner() {
        let mut agenda = Agenda::default();
        agenda.add(s(60));
        agenda.add(s(3));
        agenda.hurry(s(5));
        let mut times = Vec::new();
        while let Some(Ok(due)) = agenda.take_due(s(100)) {
            times.push(due.due);
        }
        assert_eq!(times, [s(3), s(5)]);
    }
}
