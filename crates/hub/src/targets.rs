//! Who is asked when: the one place where collections are timed and places are given out.
//!
//! Pure bookkeeping over monotonic time; the monitor loop does the waiting and the asking. However
//! many targets there are, there is one time to sleep until: the earliest.
//!
//! What must hold: never more collections than there are places, nor more sessions being opened than
//! may be at once; a target whose collection is still under way when it is due again is skipped and
//! counted, never queued twice; what is due waits in its group, and groups are served in turn, so
//! that a slow rack starves nobody.
//!
//! How: a group may hold half of the places while others wait, and never the last eighth while there
//! are other groups. So somebody of another group, due now, mostly starts now, and at the latest when
//! the next collection of anybody ends. Targets with an open session do not wait behind those without.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

/// A target's place in the agenda; never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetIndex(pub(crate) u64);

/// How much may happen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Collections under way.
    pub(crate) collections: usize,
    /// Of these, such that open a session first.
    pub(crate) openings: usize,
}

/// What a target is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It is due at some time, or never.
    #[default]
    Planned,
    /// It is due and waits for a place.
    Waiting,
    /// It is being asked.
    Running,
}

#[derive(Debug)]
struct Target {
    group: usize,
    /// The group to which it goes once it is not asked any more.
    moves_to: Option<usize>,
    phase: Phase,
    /// When it is next due; earlier entries of the heap that do not agree are leftovers. While it
    /// waits or is asked: since when it was due.
    due: Option<Duration>,
    /// When it was found to be due.
    noticed: Duration,
    /// Whether it is to be asked again right after the collection that is under way.
    again: bool,
    /// The time that was planned between its collections.
    interval: Duration,
    /// Whether asking it means to open a session first.
    opens: bool,
}

#[derive(Debug, Default)]
struct Group {
    members: usize,
    running: usize,
    /// What is due, longest due first: with a session, and without one.
    connected: VecDeque<TargetIndex>,
    opening: VecDeque<TargetIndex>,
}

impl Group {
    fn is_waiting(&self) -> bool {
        !self.connected.is_empty() || !self.opening.is_empty()
    }
}

/// All targets and when each is due.
#[derive(Debug)]
pub(crate) struct Agenda {
    places: Places,
    targets: BTreeMap<TargetIndex, Target>,
    next_index: u64,
    heap: BinaryHeap<Reverse<(Duration, TargetIndex)>>,
    groups: Vec<Group>,
    names: BTreeMap<String, usize>,
    /// Groups in which something waits, in the order in which they are served.
    turns: VecDeque<usize>,
    running: usize,
    opening: usize,
    waiting: usize,
    skipped: u64,
}

/// A target whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueTarget {
    pub(crate) target: TargetIndex,
    /// When it should have been asked.
    pub(crate) due: Duration,
    /// When it was found to be due; from then on it waited for a place.
    pub(crate) noticed: Duration,
}

/// When a target is due next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// After this time from now.
    pub(crate) after: Duration,
    /// Whether it has no session then.
    pub(crate) opens: bool,
}

impl Agenda {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places: places.at_least_one(),
            targets: BTreeMap::new(),
            next_index: 0,
            heap: BinaryHeap::new(),
            groups: Vec::new(),
            names: BTreeMap::new(),
            turns: VecDeque::new(),
            running: 0,
            opening: 0,
            waiting: 0,
            skipped: 0,
        }
    }

    /// Moves a target to another group. One that waits or is asked ends its turn in the old one.
    pub(crate) fn set_group(&mut self, target: TargetIndex, group: &str) {
        if !self.targets.contains_key(&target) {
            return;
        }
        let after = self.group(group);
        let Some(entry) = self.targets.get_mut(&target) else { return };
        let left = if entry.phase == Phase::Planned {
            Some(std::mem::replace(&mut entry.group, after))
        } else {
            entry.moves_to.replace(after)
        };
        if let Some(left) = left {
            self.leave_group(left);
        }
    }

    fn leave_group(&mut self, place: usize) {
        if let Some(group) = self.groups.get_mut(place) {
            group.members -= 1;
            if group.members == 0 {
                self.names.retain(|_, other| *other != place);
            }
        }
    }

    /// Changes how much may happen at once; what is under way goes on.
    pub(crate) fn set_places(&mut self, places: Places) {
        self.places = places.at_least_one();
    }

    /// Adds a target that is due at `due`. `group` names those that are slow together.
    pub(crate) fn add(&mut self, group: &str, opens: bool, due: Duration) -> TargetIndex {
        let target = TargetIndex(self.next_index);
        self.next_index += 1;
        let group = self.group(group);
        let entry = Target {
            group,
            moves_to: None,
            phase: Phase::Planned,
            due: None,
            noticed: Duration::ZERO,
            again: false,
            interval: Duration::ZERO,
            opens,
        };
        self.targets.insert(target, entry);
        self.set(target, due);
        target
    }

    fn group(&mut self, name: &str) -> usize {
        let place = if let Some(&place) = self.names.get(name) {
            place
        } else {
            // Places of groups without members are used again.
            let free = self.groups.iter().position(|group| group.members == 0);
            let place = free.unwrap_or(self.groups.len());
            if free.is_none() {
                self.groups.push(Group::default());
            }
            self.names.insert(name.to_owned(), place);
            place
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.members += 1;
        }
        place
    }

    /// Takes a target out. A collection of it that is under way keeps its place until `finished`.
    pub(crate) fn remove(&mut self, target: TargetIndex) {
        let Some(entry) = self.targets.get_mut(&target) else { return };
        entry.due = None;
        match entry.phase {
            Phase::Running => entry.again = false,
            Phase::Planned => self.forget(target),
            Phase::Waiting => {
                let place = entry.group;
                self.waiting -= 1;
                if let Some(group) = self.groups.get_mut(place) {
                    group.connected.retain(|other| *other != target);
                    group.opening.retain(|other| *other != target);
                    if !group.is_waiting() {
                        self.turns.retain(|other| *other != place);
                    }
                }
                self.forget(target);
            }
        }
    }

    fn forget(&mut self, target: TargetIndex) {
        let Some(entry) = self.targets.remove(&target) else { return };
        self.leave_group(entry.group);
        if let Some(other) = entry.moves_to {
            self.leave_group(other);
        }
    }

    /// How many collections are under way.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    /// How many targets are due and wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Collections that did not take place because the one before was still under way, since the
    /// last call.
    pub(crate) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Sets when a target is next due, whatever was planned before; one that is being asked is asked
    /// again right after, one that waits for its turn goes on waiting.
    pub(crate) fn set(&mut self, target: TargetIndex, due: Duration) {
        let Some(entry) = self.targets.get_mut(&target) else { return };
        match entry.phase {
            Phase::Waiting => {}
            Phase::Running => entry.again = true,
            Phase::Planned => {
                entry.due = Some(due);
                self.heap.push(Reverse((due, target)));
            }
        }
    }

    /// Brings a target's next time forward to `due` at the latest. What is being asked anyway is not
    /// asked twice.
    pub(crate) fn hurry(&mut self, target: TargetIndex, due: Duration) {
        let planned = self.targets.get(&target).filter(|entry| entry.phase == Phase::Planned);
        if planned.is_some_and(|entry| entry.due.is_none_or(|at| at > due)) {
            self.set(target, due);
        }
    }

    /// Brings every target's next time forward.
    pub(crate) fn hurry_all(&mut self, due: Duration) {
        let all: Vec<_> = self.targets.keys().copied().collect();
        for target in all {
            self.hurry(target, due);
        }
    }

    /// When the next target is due that is not known to be due yet.
    pub(crate) fn next_due(&mut self) -> Option<Duration> {
        while let Some(Reverse((due, target))) = self.heap.peek().copied() {
            let planned = self.targets.get(&target).filter(|entry| entry.phase == Phase::Planned);
            if planned.and_then(|entry| entry.due) == Some(due) {
                return Some(due);
            }
            self.heap.pop();
        }
        None
    }

    /// Gives a place to the next target that is due now, if there is one of both.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<DueTarget> {
        self.line_up(now);
        if self.running >= self.places.collections {
            return None;
        }
        for _ in 0..self.turns.len() {
            let group = self.turns.pop_front()?;
            let taken = self.take_of(group);
            if self.groups.get(group).is_some_and(Group::is_waiting) {
                self.turns.push_back(group);
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// Puts what is due into its group's line.
    fn line_up(&mut self, now: Duration) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, target))) = self.heap.pop() else { return };
            let Some(entry) = self.targets.get_mut(&target) else { continue };
            let Some(group) = self.groups.get_mut(entry.group) else { continue };
            entry.phase = Phase::Waiting;
            entry.noticed = now;
            self.waiting += 1;
            if !group.is_waiting() {
                self.turns.push_back(entry.group);
            }
            let line = if entry.opens { &mut group.opening } else { &mut group.connected };
            line.push_back(target);
        }
    }

    /// How many places a group may hold.
    fn share_of(&self, group: usize) -> usize {
        let all = self.places.collections;
        let others_wait = self.turns.iter().any(|other| *other != group);
        let share = if others_wait {
            all / 2
        } else if self.names.len() > 1 {
            all - all / 8
        } else {
            all
        };
        share.max(1)
    }

    fn take_of(&mut self, place: usize) -> Option<DueTarget> {
        let share = self.share_of(place);
        let may_open = self.opening < self.places.openings;
        let group = self.groups.get_mut(place)?;
        if group.running >= share {
            return None;
        }
        let due_of = |target: Option<&TargetIndex>| {
            target.and_then(|target| self.targets.get(target)).and_then(|entry| entry.due)
        };
        let connected = due_of(group.connected.front());
        let opening = due_of(group.opening.front()).filter(|_| may_open);
        let opens = match (connected, opening) {
            (None, None) => return None,
            (Some(connected), Some(opening)) => opening < connected,
            (_, opening) => opening.is_some(),
        };
        let line = if opens { &mut group.opening } else { &mut group.connected };
        let target = line.pop_front()?;
        let entry = self.targets.get_mut(&target)?;
        let due = entry.due?;
        // The flag decides at the end which place becomes free, so it is what was counted.
        entry.opens = opens;
        entry.phase = Phase::Running;
        group.running += 1;
        self.running += 1;
        self.opening += usize::from(opens);
        self.waiting -= 1;
        Some(DueTarget { target, due, noticed: entry.noticed })
    }

    /// Says that a target's collection ended and when it is due again; `None` takes it out.
    pub(crate) fn finished(&mut self, target: TargetIndex, now: Duration, plan: Option<Plan>) {
        let Some(entry) = self.targets.get_mut(&target) else { return };
        if entry.phase != Phase::Running {
            return;
        }
        entry.phase = Phase::Planned;
        self.running -= 1;
        self.opening -= usize::from(entry.opens);
        if let Some(group) = self.groups.get_mut(entry.group) {
            group.running -= 1;
        }
        let Some(plan) = plan else { return self.forget(target) };
        let left = entry.moves_to.take().map(|after| std::mem::replace(&mut entry.group, after));
        // Every further interval that passed since it was due is a collection that was not made.
        let late = now.saturating_sub(entry.due.unwrap_or(now));
        if !entry.interval.is_zero() {
            let missed = late.as_millis() / entry.interval.as_millis().max(1);
            self.skipped += u64::try_from(missed).unwrap_or(u64::MAX);
        }
        entry.interval = plan.after;
        entry.opens = plan.opens;
        let again = std::mem::take(&mut entry.again);
        let due = if again { now } else { now + plan.after };
        if let Some(left) = left {
            self.leave_group(left);
        }
        self.set(target, due);
    }
}

impl Places {
    fn at_least_one(self) -> Self {
        Self { collections: self.collections.max(1), openings: self.openings.max(1) }
    }
}

#[cfg(test)]
mod tests;
