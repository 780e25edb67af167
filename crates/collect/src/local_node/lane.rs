//! A lane: collectors that share a worker, each on its own clock.
//!
//! What must hold: a collector that hangs or crashes costs the others one delay, once. From then
//! on it is asked in a worker of its own, with growing pauses, in the background: no collection
//! waits for it, until it answers again.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sickbay_model::{ProbeId, Timestamp};
use sickbay_runtime::Clock;
use tokio::time::Instant;

use super::worker::{Found, Origin, Worker};
use crate::asked::{Asked, Ended};

/// What a round of collection is given.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) clock: Clock,
    /// Nothing new is asked after this.
    pub(super) end: Instant,
    /// How long one probe may take.
    pub(super) limit: Duration,
}

/// One collector of a lane.
pub(super) struct Slot {
    place: usize,
    seclusion: Seclusion,
    pub(super) asked: Asked,
}

/// A secluded worker at its one question.
type SecludedRun = Pin<Box<dyn Future<Output = (Box<Worker>, Option<Found>)> + Send>>;

/// Whether a collector is asked together with the others.
enum Seclusion {
    /// It is.
    None,
    /// It hung: this worker is its own.
    Waiting(Box<Worker>),
    /// It is being asked in its own worker.
    Asked(SecludedRun),
}

impl Slot {
    pub(super) fn new(probe: ProbeId, place: usize, interval: Duration) -> Self {
        Self { place, seclusion: Seclusion::None, asked: Asked::new(probe, interval) }
    }

    fn apply(&mut self, found: Found, clock: &Clock) -> Duration {
        let Found { result, took, cpu, lost_worker } = found;
        let at = Timestamp::from_unix_ms(clock.now_ms());
        self.asked.end(Ended { result, hung: lost_worker, took }, clock.monotonic(), at);
        cpu
    }

    /// Starts asking a secluded collector if it is due, and takes its answer if it is there.
    fn poll_secluded(
        &mut self,
        round: &Round,
        context: &mut std::task::Context<'_>,
    ) -> Option<Found> {
        let now = round.clock.monotonic();
        if let Seclusion::Waiting(worker) = &self.seclusion
            && (self.asked.due <= now || worker.is_stuck())
            && let Seclusion::Waiting(mut worker) =
                std::mem::replace(&mut self.seclusion, Seclusion::None)
        {
            let (place, limit) = (self.place, round.limit * self.asked.patience());
            self.seclusion = Seclusion::Asked(Box::pin(async move {
                let end = Instant::now() + limit;
                let found = worker.ask(&[place], limit, end).await.pop();
                (worker, found)
            }));
        }
        let Seclusion::Asked(asked) = &mut self.seclusion else { return None };
        let Poll::Ready((worker, found)) = asked.as_mut().poll(context) else { return None };
        let answered = found.as_ref().is_some_and(|found| !found.lost_worker);
        // One that answers again goes back to the others.
        self.seclusion = if answered { Seclusion::None } else { Seclusion::Waiting(worker) };
        found
    }
}

/// Collectors that share a worker.
pub(super) struct Lane {
    origin: Origin,
    shared: Worker,
    pub(super) slots: Vec<Slot>,
}

impl Lane {
    /// A lane of the origin's collectors; `interval` gives each its own.
    pub(super) fn new(origin: Origin, interval: impl Fn(usize, &ProbeId) -> Duration) -> Self {
        let collectors = origin.collectors();
        let slots = collectors.iter().enumerate().map(|(place, collector)| {
            let probe = collector.probe();
            let interval = interval(place, &probe);
            Slot::new(probe, place, interval)
        });
        let slots = slots.collect();
        Self { shared: origin.worker(), origin, slots }
    }

    /// Asks what is due; returns the CPU time that it cost outside the caller's thread.
    pub(super) async fn run(&mut self, round: &Round) -> Duration {
        let Self { origin, shared, slots } = self;
        let now = round.clock.monotonic();
        let (mut together, mut secluded): (Vec<_>, Vec<_>) =
            slots.iter_mut().partition(|slot| matches!(slot.seclusion, Seclusion::None));
        together.retain(|slot| slot.asked.due <= now);
        let mut cpu = Duration::ZERO;
        let background = poll_fn(|context| {
            for slot in &mut secluded {
                if let Some(found) = slot.poll_secluded(round, context) {
                    cpu += slot.apply(found, &round.clock);
                }
            }
            Poll::<()>::Pending
        });
        let foreground = ask_together(origin, shared, &mut together, round);
        let spent = tokio::select! {
            biased;
            () = background => Duration::ZERO,
            spent = foreground => spent,
        };
        spent + cpu
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        let own = self.slots.iter().filter_map(|slot| match &slot.seclusion {
            Seclusion::Waiting(worker) => worker.pid(),
            _ => None,
        });
        self.shared.pid().into_iter().chain(own)
    }

    pub(super) async fn stop(&mut self) {
        for slot in &mut self.slots {
            // Dropping a worker kills its child.
            slot.seclusion = Seclusion::None;
        }
        self.shared.stop().await;
    }
}

/// Asks collectors in the shared worker; each that costs the worker keeps it, and the next ones
/// get a fresh one.
async fn ask_together(
    origin: &Origin,
    shared: &mut Worker,
    slots: &mut [&mut Slot],
    round: &Round,
) -> Duration {
    let mut cpu = Duration::ZERO;
    let mut rest = slots;
    while !rest.is_empty() {
        let places: Vec<_> = rest.iter().map(|slot| slot.place).collect();
        let found = shared.ask(&places, round.limit, round.end).await;
        let answered = found.len();
        if answered == 0 {
            // No time is left. What was not asked keeps its last end, and is due next time.
            break;
        }
        let (asked, unasked) = rest.split_at_mut(answered.min(places.len()));
        let mut lost = false;
        for (slot, found) in asked.iter_mut().zip(found) {
            lost = found.lost_worker;
            cpu += slot.apply(found, &round.clock);
        }
        if lost {
            let worker = std::mem::replace(shared, origin.worker());
            if let Some(slot) = asked.last_mut() {
                slot.seclusion = Seclusion::Waiting(Box::new(worker));
            }
        }
        rest = unasked;
    }
    cpu
}
