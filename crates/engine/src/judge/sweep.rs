//! What was answered before and is not any more.
//!
//! Loss of data is a signal. A check that has a memory but no answer in this assessment is unknown,
//! with the reason, unless it is known why its question does not arise any more: its probe says that
//! there is nothing to ask, or the inventory of a probe that answered does not list its thing.
//!
//! Where the node as a whole could not be reached nothing was asked, so nothing stopped coming: its
//! checks stand until that is confirmed, and are unknown from then on, without a word of their own.

use std::borrow::Cow;

use sickbay_model::Status;

use super::{Answer, Judge, NO_GPU, Slot};
use crate::checks::{CheckKind, Scope, any_expected, is_asked};
use crate::input::{Input, ProbeSlot, ProbeState, parse_index};
use crate::memory::{CheckMemory, NodeFacts};

/// What becomes of a memory without an answer.
enum Fate {
    /// Its thing is gone: no result; forgotten.
    Gone,
    /// Its probe was not asked anew, or by collectors that were just made: the last answer stands.
    Stands,
    /// It cannot be judged, and why.
    Unknown(Cow<'static, str>),
}

impl Judge<'_> {
    /// Answers for every memory that no check answered, and puts the memories into the order in
    /// which they were used.
    pub(crate) fn sweep(&mut self, input: &Input<'_>, facts: &NodeFacts) {
        if self.order.is_none() && self.cursor >= self.entries.len() {
            return;
        }
        for place in 0..self.entries.len() {
            let Some(entry) = self.entries.get(place) else { continue };
            if entry.judged == self.number || entry.kind == CheckKind::Retired {
                continue;
            }
            let fate = self.fate(entry, input, facts);
            self.meet(place, fate);
        }
        self.reorder();
    }

    /// What becomes of a memory on a node that could not be asked: it stands while there is hope that
    /// just this collection was lost, and what is known is not too old.
    fn unasked(&self, input: &Input<'_>) -> Fate {
        let fresh = |unheard| unheard <= self.policy.state.stale_after;
        if !self.reach.hard && self.reach.unheard.is_some_and(fresh) {
            return Fate::Stands;
        }
        let reason = input.probes.at(ProbeSlot::REACHABLE).no_answer_reason(ProbeSlot::REACHABLE);
        Fate::Unknown(reason.unwrap_or_default().into())
    }

    fn fate(&self, entry: &CheckMemory, input: &Input<'_>, facts: &NodeFacts) -> Fate {
        if self.reach.lost {
            return self.unasked(input);
        }
        let probe = self.probes.at(entry.probe);
        match probe.state {
            ProbeState::NotApplicable(_) => return Fate::Gone,
            ProbeState::Answered => {}
            // The check of the probe itself is answered by its area; an instance of it that stands
            // for all (a failed scan of mounts) ends with the failure.
            _ => {
                let reason = probe.no_answer_reason(entry.probe).unwrap_or_default();
                return Fate::Unknown(reason.into());
            }
        }
        if !is_there(entry, input, facts) {
            return Fate::Gone;
        }
        if entry.delivered == 0 {
            // It only stood for its probe while that did not answer; this node has no such reading.
            return Fate::Gone;
        }
        let unheard = self.number.saturating_sub(entry.delivered);
        if unheard > u64::from(self.policy.state.forget_after_assessments) {
            return Fate::Gone;
        }
        if (!probe.fresh || input.first) && entry.shown != Status::Unknown {
            return Fate::Stands;
        }
        let probe = entry.probe.name();
        Fate::Unknown(
            format!("the probe {probe} answered, but not with what this is judged by").into(),
        )
    }

    fn meet(&mut self, place: usize, fate: Fate) {
        let number = self.number;
        let Some(entry) = self.entries.get_mut(place) else { return };
        let gpu = if matches!(entry.kind.scope(), Scope::Gpu | Scope::PassingGpu) {
            let index = parse_index(&entry.instance);
            index.and_then(|index| u16::try_from(index).ok()).unwrap_or(NO_GPU)
        } else {
            NO_GPU
        };
        let slot = Slot { place, kind: entry.kind, gpu };
        match fate {
            Fate::Gone => {
                entry.kind = CheckKind::Retired;
                return;
            }
            Fate::Stands => {
                entry.judged = number;
                let answer = match entry.standing.as_deref() {
                    None => Answer::healthy("as it was when last measured"),
                    Some(last) => last.again(),
                };
                self.settle(slot, answer, false);
            }
            Fate::Unknown(reason) => {
                entry.judged = number;
                let follows = self.reach.lost || !self.probes.at(entry.probe).answered();
                if follows && entry.delivered > 0 {
                    // Silence of the whole probe is no sign that the thing is gone.
                    entry.delivered = number;
                }
                let mut answer = Answer::unknown(format!("{}: {reason}", subject(entry)));
                // The check that stands for the probe tells it once for all.
                answer.follows = follows;
                self.settle(slot, answer, false);
            }
        }
        if let Some(order) = &mut self.order {
            order.push(place);
        }
    }

    /// Brings the memories into the order of use, so that the next assessment finds them in turn.
    fn reorder(&mut self) {
        let number = self.number;
        if let Some(order) = self.order.take() {
            let mut old: Vec<Option<CheckMemory>> =
                std::mem::take(self.entries).into_iter().map(Some).collect();
            for place in order {
                if let Some(entry) = old.get_mut(place).and_then(Option::take) {
                    self.entries.push(entry);
                }
            }
            self.entries.extend(old.into_iter().flatten());
        }
        self.entries.retain(|entry| entry.kind != CheckKind::Retired && entry.judged == number);
        // They are kept for every node, and hardly ever grow.
        self.entries.shrink_to_fit();
    }
}

fn subject(entry: &CheckMemory) -> String {
    if entry.instance.is_empty() {
        entry.kind.name().to_owned()
    } else {
        format!("{} of {}", entry.kind.name(), entry.instance)
    }
}

/// Whether the thing that a check is about is still there, where its probe answered.
fn is_there(entry: &CheckMemory, input: &Input<'_>, facts: &NodeFacts) -> bool {
    let instance = &*entry.instance;
    if !is_asked(entry.kind, &facts.expected) {
        return false;
    }
    match entry.kind.scope() {
        Scope::Node => {
            entry.kind != CheckKind::ProcessExpected || any_expected(&input.observation.processes)
        }
        Scope::Filesystem => {
            let by_design = entry.kind != CheckKind::FilesystemAnswers;
            input.inventory.filesystems.iter().any(|filesystem| {
                filesystem.mount_point == instance && !(by_design && filesystem.read_only_by_design)
            })
        }
        Scope::Interface => {
            // The list of interfaces is worth nothing while links cannot be read.
            !input.probes.at(input.probes.links()).answered() && !instance.is_empty()
                || input.inventory.interfaces.iter().any(|interface| interface.name == instance)
        }
        Scope::Passing | Scope::PassingGpu => false,
        // An empty instance stood for a probe that failed as a whole.
        Scope::Unlisted => !instance.is_empty(),
        Scope::Port => {
            let is = |port: &crate::memory::PortMemory| port.name == instance;
            facts.ports.iter().any(|port| is(port) && port.gone_since.is_none())
        }
        Scope::PciDevice => facts.pci_devices.iter().any(|address| **address == *instance),
        Scope::Gpu => parse_index(instance)
            .is_some_and(|index| input.gpus.iter().any(|row| row.device.index == index)),
        Scope::GpuKey => facts.gpus.iter().any(|gpu| gpu.key == instance),
    }
}
