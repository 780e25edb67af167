//! The fleet's lines on a stream: all of them once, then those that changed.
//!
//! Each look compares what was sent with what is, so that a node that changes often is sent as it is
//! newest and never queues. At most [`ROWS_PER_LOOK`] lines go out at a time; what remains goes out
//! later, changed verdicts before mere times, and nobody waits for ever.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::ResourceId;
use sickbay_wire::v1::{FleetTotals, SystemScore};

use crate::api::fleet::{LabelCounts, Row, Rows};

/// How often the stream looks for changes.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The most lines that go out at one look, after the first.
pub(super) const ROWS_PER_LOOK: usize = 250;

/// What one client has of the fleet.
#[derive(Default)]
pub(super) struct SentRows {
    /// By id.
    rows: Vec<Arc<Row>>,
    /// The revision that the client has all of.
    complete: Option<u64>,
    /// Where the next look begins among lines of equal urgency.
    next: usize,
    head: Option<(SystemScore, FleetTotals, Arc<LabelCounts>)>,
}

/// What a client has to be told.
#[derive(Default)]
pub(super) struct News {
    /// Whether the totals changed.
    pub(super) head: bool,
    pub(super) removed: Vec<ResourceId>,
    pub(super) rows: Vec<Arc<Row>>,
}

/// A line that differs from what was sent.
struct Changed {
    /// Its place among the lines now.
    place: usize,
    /// Whether its verdict differs.
    urgent: bool,
}

impl SentRows {
    /// What is new, and counts as sent from now on. `room`: how many lines may go out.
    pub(super) fn look(&mut self, now: &Rows, room: usize) -> News {
        if self.complete == Some(now.revision) {
            return News::default();
        }
        let mut news = News { head: self.take_head(now), ..News::default() };
        let mut changed = self.differences(now, &mut news.removed);
        let all = changed.len() <= room;
        if !all {
            let (count, next) = (now.all.len().max(1), self.next);
            changed.sort_by_key(|it| (!it.urgent, (it.place + count - next % count) % count));
            changed.truncate(room);
            self.next = changed.last().map_or(0, |last| last.place + 1);
        }
        if !changed.is_empty() || !news.removed.is_empty() {
            news.rows = changed.iter().filter_map(|it| now.all.get(it.place).cloned()).collect();
            self.keep(now, &changed);
        }
        self.complete = all.then_some(now.revision);
        news
    }

    fn take_head(&mut self, now: &Rows) -> bool {
        let same = self.head.as_ref().is_some_and(|(system, totals, labels)| {
            *system == now.system && *totals == now.totals && Arc::ptr_eq(labels, &now.labels)
        });
        if !same {
            self.head = Some((now.system.clone(), now.totals.clone(), Arc::clone(&now.labels)));
        }
        !same
    }

    fn differences(&self, now: &Rows, removed: &mut Vec<ResourceId>) -> Vec<Changed> {
        let mut changed = Vec::new();
        let mut sent = self.rows.iter().peekable();
        for (place, row) in now.all.iter().enumerate() {
            if sent.next_if(|old| Arc::ptr_eq(old, row)).is_some() {
                continue;
            }
            while let Some(gone) = sent.next_if(|old| old.id < row.id) {
                removed.push(gone.id.clone());
            }
            let old = sent.next_if(|old| old.id == row.id);
            if old.is_none_or(|old| !Arc::ptr_eq(old, row)) {
                let urgent = old.is_none_or(|old| !old.says_the_same(row));
                changed.push(Changed { place, urgent });
            }
        }
        removed.extend(sent.map(|gone| gone.id.clone()));
        changed
    }

    /// Remembers what is sent: the chosen lines as they are now, the others as they were.
    fn keep(&mut self, now: &Rows, chosen: &[Changed]) {
        let mut goes = vec![false; now.all.len()];
        for it in chosen {
            if let Some(goes) = goes.get_mut(it.place) {
                *goes = true;
            }
        }
        let before = std::mem::take(&mut self.rows);
        let mut before = before.into_iter().peekable();
        self.rows.reserve(now.all.len());
        for (row, goes) in now.all.iter().zip(goes) {
            let old = loop {
                match before.peek().map(|old| old.id.cmp(&row.id)) {
                    Some(Ordering::Less) => drop(before.next()),
                    Some(Ordering::Equal) => break before.next(),
                    Some(Ordering::Greater) | None => break None,
                }
            };
            self.rows.extend(if goes { Some(Arc::clone(row)) } else { old });
        }
    }
}

#[cfg(test)]
mod tests;
