//! A lane: collectors that share a worker, each on its own clock.
//!
//! What must hold: a collector that hangs or crashes costs the others one delay, once. From then
//! on it is asked in a worker of its own, with growing pauses, in the background: no collection
//! waits for it, until it answers again.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sickbay_model::{ProbeError, ProbeId, ProbeOutcome, ProbeReport, Timestamp};
use sickbay_runtime::Clock;
use tokio::time::Instant;

use super::worker::{Found, Origin, Worker};
use crate::Sample;

/// How many hangs are followed by a short pause: a finding is confirmed by asking again soon.
const CONFIRMING_HANGS: u32 = 2;
/// That short pause.
const CONFIRM_PAUSE: Duration = Duration::from_secs(2);
/// The pause after the first hang beyond those; doubled by each further one.
const HANG_PAUSE_MIN: Duration = Duration::from_secs(10);
/// The longest pause between attempts at something that hangs.
const HANG_PAUSE_MAX: Duration = Duration::from_secs(600);
/// How many times as long as before a probe may take once its hang is confirmed: nobody waits for
/// it, and some are slow only at first (NVML without `nvidia-persistenced` takes seconds per GPU).
const SECLUDED_PATIENCE: u32 = 6;
/// How often something is looked for that this node does not have.
const NOT_APPLICABLE_INTERVAL: Duration = Duration::from_secs(60);

/// What a round of collection is given.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) clock: Clock,
    /// Nothing new is asked after this.
    pub(super) end: Instant,
    /// How long one probe may take.
    pub(super) limit: Duration,
}

/// The last end of a collector.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) report: ProbeReport,
    /// What it brought, if it answered.
    pub(super) sample: Sample,
}

/// One collector of a lane.
pub(super) struct Slot {
    pub(super) probe: ProbeId,
    place: usize,
    interval: Duration,
    /// When it is asked next, by the monotonic clock.
    due: Duration,
    hangs: u32,
    /// When it was first asked in vain.
    silent_since: Option<Duration>,
    seclusion: Seclusion,
    pub(super) last: Option<Kept>,
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
        Self {
            probe,
            place,
            interval,
            due: Duration::ZERO,
            hangs: 0,
            silent_since: None,
            seclusion: Seclusion::None,
            last: None,
        }
    }

    fn apply(&mut self, found: Found, clock: &Clock) -> Duration {
        let now = clock.monotonic();
        if !found.lost_worker {
            self.hangs = 0;
            self.silent_since = None;
        }
        let outcome = match found.result {
            Ok(Sample { not_applicable: Some(reason), .. }) => {
                self.due = now + self.interval.max(NOT_APPLICABLE_INTERVAL);
                self.keep(
                    ProbeOutcome::NotApplicable(reason),
                    Sample::default(),
                    found.took,
                    clock,
                );
                return found.cpu;
            }
            Ok(mut sample) => {
                self.due = now + earlier(self.interval);
                let missed = join_missed(std::mem::take(&mut sample.missed));
                let outcome = missed.map_or(ProbeOutcome::Answered, ProbeOutcome::Partial);
                self.keep(outcome, sample, found.took, clock);
                return found.cpu;
            }
            Err(error) if found.lost_worker => {
                let pause = hang_pause(self.hangs);
                self.hangs = self.hangs.saturating_add(1);
                self.due = now + pause;
                let since = *self.silent_since.get_or_insert(now.saturating_sub(found.took));
                let silent = match self.hangs {
                    1 => String::new(),
                    _ => format!("; no answer for {:.0?}", now.saturating_sub(since)),
                };
                let message = format!("{}{silent}; it is asked again in {pause:?}", error.message);
                ProbeOutcome::Failed(ProbeError { message, ..error })
            }
            Err(error) => {
                self.due = now + earlier(self.interval);
                ProbeOutcome::Failed(error)
            }
        };
        self.keep(outcome, Sample::default(), found.took, clock);
        found.cpu
    }

    fn keep(&mut self, outcome: ProbeOutcome, sample: Sample, took: Duration, clock: &Clock) {
        let at = Timestamp::from_unix_ms(clock.now_ms());
        let report = ProbeReport { probe: self.probe.clone(), outcome, at, took };
        self.last = Some(Kept { report, sample });
    }

    /// Starts asking a secluded collector if it is due, and takes its answer if it is there.
    fn poll_secluded(
        &mut self,
        round: &Round,
        context: &mut std::task::Context<'_>,
    ) -> Option<Found> {
        let now = round.clock.monotonic();
        if let Seclusion::Waiting(worker) = &self.seclusion
            && (self.due <= now || worker.is_stuck())
            && let Seclusion::Waiting(mut worker) =
                std::mem::replace(&mut self.seclusion, Seclusion::None)
        {
            let patience = if self.hangs > CONFIRMING_HANGS { SECLUDED_PATIENCE } else { 1 };
            let (place, limit) = (self.place, round.limit * patience);
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

/// One error that names every part that is missing; of the first one's kind.
fn join_missed(missed: Vec<ProbeError>) -> Option<ProbeError> {
    missed.into_iter().reduce(|mut first, next| {
        first.message.push_str("; ");
        first.message.push_str(&next.message);
        first.advice = first.advice.or(next.advice);
        first
    })
}

/// A collection that comes a little early still runs what would be due a moment later: callers'
/// intervals are jittered.
fn earlier(interval: Duration) -> Duration {
    interval.mul_f64(0.9)
}

/// The pause after a hang that followed this many others.
fn hang_pause(hangs: u32) -> Duration {
    let Some(confirmed) = hangs.checked_sub(CONFIRMING_HANGS) else { return CONFIRM_PAUSE };
    let doubled = HANG_PAUSE_MIN.saturating_mul(2_u32.saturating_pow(confirmed));
    doubled.min(HANG_PAUSE_MAX)
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
        together.retain(|slot| slot.due <= now);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_short_until_confirmed_and_then_double_up_to_a_limit() {
        for (hangs, seconds) in
            [(0, 2), (1, 2), (2, 10), (3, 20), (7, 320), (8, 600), (40, 600), (u32::MAX, 600)]
        {
            assert_eq!(hang_pause(hangs), Duration::from_secs(seconds), "{hangs}");
        }
    }

    #[test]
    fn every_missing_part_is_named() {
        let error = |message: &str, advice: Option<&'static str>| ProbeError {
            kind: sickbay_model::ProbeErrorKind::Denied,
            message: message.to_owned(),
            advice: advice.map(|text| sickbay_model::Advice(text.into())),
        };
        assert_eq!(join_missed(Vec::new()), None);
        let all = vec![error("a is bad", None), error("b is bad", Some("mend b"))];
        assert_eq!(join_missed(all), Some(error("a is bad; b is bad", Some("mend b"))));
    }

    #[test]
    fn a_silent_collector_says_for_how_long_and_how_often_it_is_asked() {
        let (clock, hand) = Clock::manual(0);
        let mut slot = Slot::new(sickbay_model::probe::NVIDIA, 0, Duration::ZERO);
        let late = || Found {
            result: Err(ProbeError {
                kind: sickbay_model::ProbeErrorKind::Late,
                message: "no answer".to_owned(),
                advice: None,
            }),
            took: Duration::ZERO,
            cpu: Duration::ZERO,
            lost_worker: true,
        };
        for (seconds, message) in [
            (0, "no answer; it is asked again in 2s"),
            (10, "no answer; no answer for 10s; it is asked again in 2s"),
            (24, "no answer; no answer for 34s; it is asked again in 10s"),
        ] {
            hand.advance(Duration::from_secs(seconds));
            slot.apply(late(), &clock);
            let kept = slot.last.clone().expect("an end");
            let ProbeOutcome::Failed(error) = kept.report.outcome else { panic!("{kept:?}") };
            assert_eq!(error.message, message);
        }
        let answered = Found { result: Ok(Sample::default()), lost_worker: false, ..late() };
        slot.apply(answered, &clock);
        assert_eq!((slot.hangs, slot.silent_since), (0, None));
        assert_eq!(slot.last.expect("an end").report.outcome, ProbeOutcome::Answered);
    }
}
