//! The bounded queue between everybody and the one writer.
//!
//! What must hold: nobody who submits waits for the disk. When the queue is full the oldest waiting
//! readings go first; events and check changes have room of their own, and of states only the
//! newest per resource waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sickbay_model::{Event, Frame, ResourceId, Timestamp};

use crate::batch::{CheckChange, Dropped, MetricJudgement, StoredNode, WriteBatch};

/// The largest state of one resource; a larger one is dropped, and logged.
const MAX_STATE_BYTES: usize = 4 << 20;
/// Judgements that may wait; they are sent again on change, so old ones may go.
const MAX_JUDGEMENTS: usize = 65_536;
/// What one event or check change is reckoned at, beside its texts.
const ROW_BYTES: usize = 128;

/// What waits, or what the writer has taken.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) frames: VecDeque<(ResourceId, Frame)>,
    pub(crate) states: BTreeMap<ResourceId, Option<(Timestamp, Vec<u8>)>>,
    pub(crate) checks: VecDeque<CheckChange>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) judgements: VecDeque<MetricJudgement>,
    pub(crate) meta: BTreeMap<String, String>,
    /// The newest definition of each node that changed; none: it is to be forgotten.
    pub(crate) nodes: BTreeMap<String, Option<StoredNode>>,
    /// The newest content of each record that changed, by kind and key; none: it is to be forgotten.
    pub(crate) records: BTreeMap<(&'static str, String), Option<String>>,
    /// Up to which submission this goes.
    pub(crate) upto: u64,
}

impl Work {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
            && self.states.is_empty()
            && self.checks.is_empty()
            && self.events.is_empty()
            && self.judgements.is_empty()
            && self.meta.is_empty()
            && self.nodes.is_empty()
            && self.records.is_empty()
    }
}

#[derive(Debug, Default)]
struct Inner {
    work: Work,
    frame_bytes: usize,
    log_bytes: usize,
    dropped: Dropped,
    /// Submissions so far; those that are committed; those whose writing has failed.
    submitted: u64,
    committed: u64,
    failed: u64,
    /// The newest submission that the database refused for good.
    refused: u64,
    /// Submissions that somebody waits for.
    flush: u64,
    settle_wanted: u64,
    settle_done: u64,
    /// The writer is to look around now.
    nudged: bool,
    closing: bool,
    closed: bool,
}

impl Inner {
    fn has_request(&self) -> bool {
        self.closing
            || self.nudged
            || self.flush > self.committed.max(self.failed)
            || self.settle_wanted > self.settle_done
    }
}

/// How much waits, and what was lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Depth {
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) dropped: Dropped,
}

/// What the writer is to do next.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) work: Work,
    pub(crate) settle: Option<u64>,
    pub(crate) close: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    done: Condvar,
    limit_bytes: usize,
}

fn frame_bytes(frame: &Frame) -> usize {
    frame.values.len() * 8 + ROW_BYTES
}

fn event_bytes(event: &Event) -> usize {
    let details: usize = event.details.iter().map(|(key, value)| key.len() + value.len()).sum();
    event.message.len() + details + ROW_BYTES
}

fn check_bytes(check: &CheckChange) -> usize {
    check.message.len() + check.details.as_ref().map_or(0, String::len) + ROW_BYTES
}

impl Queue {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { inner: Mutex::default(), wake: Condvar::new(), done: Condvar::new(), limit_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every update is complete before anything in it could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch in. Returns what had to be dropped for it.
    pub(crate) fn submit(&self, batch: WriteBatch) -> Dropped {
        let mut inner = self.lock();
        if inner.closed {
            let dropped = Dropped {
                frames: batch.frames.len() as u64,
                checks: batch.checks.len() as u64,
                events: batch.events.len() as u64,
            };
            inner.dropped.add(dropped);
            return dropped;
        }
        for (resource, frame) in batch.frames {
            inner.frame_bytes += frame_bytes(&frame);
            inner.work.frames.push_back((resource, frame));
        }
        for (resource, at, state) in batch.states {
            if state.len() > MAX_STATE_BYTES {
                tracing::error!(%resource, bytes = state.len(), "a state too large to store was dropped");
                continue;
            }
            inner.work.states.insert(resource, Some((at, state)));
        }
        inner.work.states.extend(batch.removed.into_iter().map(|resource| (resource, None)));
        inner.log_bytes += batch.checks.iter().map(check_bytes).sum::<usize>();
        inner.log_bytes += batch.events.iter().map(event_bytes).sum::<usize>();
        inner.work.checks.extend(batch.checks);
        inner.work.events.extend(batch.events);
        inner.work.judgements.extend(batch.judgements);
        for node in batch.nodes_put {
            inner.work.nodes.insert(node.name.clone(), Some(node));
        }
        inner.work.nodes.extend(batch.nodes_removed.into_iter().map(|name| (name, None)));
        for record in batch.records {
            inner.work.records.insert((record.kind, record.key), record.content);
        }
        inner.submitted += 1;
        let dropped = self.enforce(&mut inner);
        self.wake.notify_one();
        dropped
    }

    pub(crate) fn put_meta(&self, key: &str, value: &str) {
        let mut inner = self.lock();
        inner.work.meta.insert(key.to_owned(), value.to_owned());
        inner.submitted += 1;
        self.wake.notify_one();
    }

    fn enforce(&self, inner: &mut Inner) -> Dropped {
        let mut dropped = Dropped::default();
        while inner.frame_bytes > self.limit_bytes
            && let Some((_, frame)) = inner.work.frames.pop_front()
        {
            inner.frame_bytes = inner.frame_bytes.saturating_sub(frame_bytes(&frame));
            dropped.frames += 1;
        }
        while inner.log_bytes > self.limit_bytes
            && let Some(check) = inner.work.checks.pop_front()
        {
            inner.log_bytes = inner.log_bytes.saturating_sub(check_bytes(&check));
            dropped.checks += 1;
        }
        while inner.log_bytes > self.limit_bytes
            && let Some(event) = inner.work.events.pop_front()
        {
            inner.log_bytes = inner.log_bytes.saturating_sub(event_bytes(&event));
            dropped.events += 1;
        }
        while inner.work.judgements.len() > MAX_JUDGEMENTS {
            inner.work.judgements.pop_front();
        }
        inner.dropped.add(dropped);
        dropped
    }

    /// Waits until there is something to do, or `idle` has passed. Work is collected for `collect`
    /// first, unless somebody waits for it or a lot has come together. While `holding`, work alone
    /// does not end the wait: writing has just failed.
    pub(crate) fn next(&self, idle: Duration, collect: Duration, holding: bool) -> Turn {
        let mut inner = self.wait(self.lock(), idle, &|inner| holding || inner.work.is_empty());
        if !holding && !inner.work.is_empty() {
            let large = self.limit_bytes / 2;
            inner = self.wait(inner, collect, &|inner| inner.frame_bytes + inner.log_bytes < large);
        }
        inner.nudged = false;
        let upto = inner.submitted;
        let work = std::mem::take(&mut inner.work);
        (inner.frame_bytes, inner.log_bytes) = (0, 0);
        let settle = (inner.settle_wanted > inner.settle_done).then_some(inner.settle_wanted);
        Turn { work: Work { upto, ..work }, settle, close: inner.closing }
    }

    /// Waits while nobody asks for anything and it is quiet, but not longer than a limit.
    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        limit: Duration,
        quiet: &dyn Fn(&Inner) -> bool,
    ) -> MutexGuard<'a, Inner> {
        self.wake
            .wait_timeout_while(inner, limit, |inner| !inner.has_request() && quiet(inner))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// The work is committed.
    pub(crate) fn committed(&self, upto: u64) {
        let mut inner = self.lock();
        inner.committed = inner.committed.max(upto);
        self.done.notify_all();
    }

    /// The work is refused by the database itself and will not be tried again.
    pub(crate) fn refused(&self, work: &Work) {
        let mut inner = self.lock();
        inner.failed = inner.failed.max(work.upto);
        inner.refused = inner.refused.max(work.upto);
        inner.dropped.add(Dropped {
            frames: work.frames.len() as u64,
            checks: work.checks.len() as u64,
            events: work.events.len() as u64,
        });
        self.done.notify_all();
    }

    /// Frames that were committed had to go again.
    pub(crate) fn lost_frames(&self, frames: u64) {
        self.lock().dropped.add(Dropped { frames, ..Dropped::default() });
    }

    /// The work could not be written now: back to the front it goes.
    pub(crate) fn put_back(&self, mut work: Work) {
        let mut inner = self.lock();
        inner.failed = inner.failed.max(work.upto);
        let newer = std::mem::take(&mut inner.work);
        work.frames.extend(newer.frames);
        work.states.extend(newer.states);
        work.checks.extend(newer.checks);
        work.events.extend(newer.events);
        work.judgements.extend(newer.judgements);
        work.meta.extend(newer.meta);
        work.nodes.extend(newer.nodes);
        work.records.extend(newer.records);
        inner.frame_bytes = work.frames.iter().map(|(_, frame)| frame_bytes(frame)).sum();
        inner.log_bytes = work.checks.iter().map(check_bytes).sum::<usize>()
            + work.events.iter().map(event_bytes).sum::<usize>();
        inner.work = work;
        self.enforce(&mut inner);
        self.done.notify_all();
    }

    /// Everything that was asked to be settled up to this number is.
    pub(crate) fn settled(&self, number: u64) {
        let mut inner = self.lock();
        inner.settle_done = inner.settle_done.max(number);
        self.done.notify_all();
    }

    /// The writer has ended: nobody waits for it any more.
    pub(crate) fn closed(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.settle_done = inner.settle_wanted;
        self.done.notify_all();
    }

    /// Waits for what was submitted so far; whether it is committed.
    pub(crate) fn flush(&self) -> bool {
        let mut inner = self.lock();
        let target = inner.submitted;
        if inner.refused > 0 && inner.refused >= target {
            return false;
        }
        inner.flush = inner.flush.max(target);
        // An earlier failure does not count: writing is tried again for this flush.
        if inner.committed < target {
            inner.failed = inner.failed.min(target.saturating_sub(1));
        }
        self.wake.notify_one();
        let inner = self
            .done
            .wait_while(inner, |inner| {
                !inner.closed && inner.committed < target && inner.failed < target
            })
            .unwrap_or_else(PoisonError::into_inner);
        inner.committed >= target && (inner.refused == 0 || inner.refused < target)
    }

    /// Waits until maintenance has been done once from now.
    pub(crate) fn settle(&self) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        inner.settle_wanted += 1;
        let target = inner.settle_wanted;
        self.wake.notify_one();
        let _unused = self
            .done
            .wait_while(inner, |inner| !inner.closed && inner.settle_done < target)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Makes the writer look around now.
    pub(crate) fn wake(&self) {
        self.lock().nudged = true;
        self.wake.notify_one();
    }

    /// Asks the writer to end.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    pub(crate) fn depth(&self) -> Depth {
        let inner = self.lock();
        Depth {
            bytes: (inner.frame_bytes + inner.log_bytes) as u64,
            frames: inner.work.frames.len() as u64,
            dropped: inner.dropped,
        }
    }
}
