//! One probe that is asked again and again: when it is due, and how it ended last.
//!
//! What must hold: a probe that hangs is asked with growing pauses, and says since when it is
//! silent; what a node does not have is looked for rarely.

use std::time::Duration;

use sickbay_model::{ProbeError, ProbeId, ProbeOutcome, ProbeReport, Timestamp};

use crate::Sample;

/// How many hangs are followed by a short pause: a finding is confirmed by asking again soon.
pub(crate) const CONFIRMING_HANGS: u32 = 2;
/// That short pause.
const CONFIRM_PAUSE: Duration = Duration::from_secs(2);
/// The pause after the first hang beyond those; doubled by each further one.
const HANG_PAUSE_MIN: Duration = Duration::from_secs(10);
/// The longest pause between attempts at something that hangs.
const HANG_PAUSE_MAX: Duration = Duration::from_secs(600);
/// How many times as long as before a probe may take once its hang is confirmed: nobody waits for
/// it, and some are slow only at first (NVML without `nvidia-persistenced` takes seconds per GPU).
const CONFIRMED_PATIENCE: u32 = 6;
/// How often something is looked for that this node does not have.
const NOT_APPLICABLE_INTERVAL: Duration = Duration::from_secs(60);

/// The last end of a probe.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) report: ProbeReport,
    /// What it brought, if it answered.
    pub(crate) sample: Sample,
}

/// How a probe ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) result: Result<Sample, ProbeError>,
    /// Whether it did not end by itself.
    pub(crate) hung: bool,
    pub(crate) took: Duration,
}

/// One probe.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) probe: ProbeId,
    interval: Duration,
    /// When it is asked next, by the monotonic clock.
    pub(crate) due: Duration,
    pub(crate) hangs: u32,
    /// When it answered, unless it failed since.
    answered: Option<Duration>,
    /// When it was first asked in vain.
    silent_since: Option<Duration>,
    pub(crate) last: Option<Kept>,
}

impl Asked {
    pub(crate) fn new(probe: ProbeId, interval: Duration) -> Self {
        Self {
            probe,
            interval,
            due: Duration::ZERO,
            hangs: 0,
            answered: None,
            silent_since: None,
            last: None,
        }
    }

    /// Whether it is to be asked now. What answered is left alone for `rest`, where that is longer
    /// than its own interval.
    pub(crate) fn is_due(&self, now: Duration, rest: Duration) -> bool {
        let rested = self.answered.map_or(Duration::ZERO, |at| at + earlier(rest));
        self.due.max(rested) <= now
    }

    /// How many times as long as others it may take.
    pub(crate) fn patience(&self) -> u32 {
        if self.hangs > CONFIRMING_HANGS { CONFIRMED_PATIENCE } else { 1 }
    }

    /// Takes in how it ended, by the monotonic clock and by the calendar.
    pub(crate) fn end(&mut self, ended: Ended, now: Duration, at: Timestamp) {
        if !ended.hung {
            self.hangs = 0;
            self.silent_since = None;
        }
        self.answered = ended.result.is_ok().then_some(now);
        let mut kept = Sample::default();
        let outcome = match ended.result {
            Ok(Sample { not_applicable: Some(reason), .. }) => {
                self.due = now + self.interval.max(NOT_APPLICABLE_INTERVAL);
                ProbeOutcome::NotApplicable(reason)
            }
            Ok(mut sample) => {
                self.due = now + earlier(self.interval);
                let missed = join_missed(std::mem::take(&mut sample.missed));
                kept = sample;
                if !self.interval.is_zero() {
                    // It is kept for a while.
                    kept.readings.shrink_to_fit();
                }
                missed.map_or(ProbeOutcome::Answered, ProbeOutcome::Partial)
            }
            Err(error) if ended.hung => {
                let pause = hang_pause(self.hangs);
                self.hangs = self.hangs.saturating_add(1);
                self.due = now + pause;
                let since = *self.silent_since.get_or_insert(now.saturating_sub(ended.took));
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
        let report = ProbeReport { probe: self.probe.clone(), outcome, at, took: ended.took };
        self.last = Some(Kept { report, sample: kept });
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
pub(crate) fn earlier(interval: Duration) -> Duration {
    interval.mul_f64(0.9)
}

/// The pause after a hang that followed this many others.
pub(crate) fn hang_pause(hangs: u32) -> Duration {
    let Some(confirmed) = hangs.checked_sub(CONFIRMING_HANGS) else { return CONFIRM_PAUSE };
    let doubled = HANG_PAUSE_MIN.saturating_mul(2_u32.saturating_pow(confirmed));
    doubled.min(HANG_PAUSE_MAX)
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
    fn a_silent_probe_says_for_how_long_and_how_often_it_is_asked() {
        let mut asked = Asked::new(sickbay_model::probe::NVIDIA, Duration::ZERO);
        let late = || Ended {
            result: Err(ProbeError {
                kind: sickbay_model::ProbeErrorKind::Late,
                message: "no answer".to_owned(),
                advice: None,
            }),
            took: Duration::ZERO,
            hung: true,
        };
        let mut now = Duration::ZERO;
        for (seconds, message) in [
            (0, "no answer; it is asked again in 2s"),
            (10, "no answer; no answer for 10s; it is asked again in 2s"),
            (24, "no answer; no answer for 34s; it is asked again in 10s"),
        ] {
            now += Duration::from_secs(seconds);
            asked.end(late(), now, Timestamp::EPOCH);
            let kept = asked.last.clone().expect("an end");
            let ProbeOutcome::Failed(error) = kept.report.outcome else { panic!("{kept:?}") };
            assert_eq!(error.message, message);
        }
        assert_eq!(asked.patience(), CONFIRMED_PATIENCE);
        let answered = Ended { result: Ok(Sample::default()), hung: false, ..late() };
        asked.end(answered, now, Timestamp::EPOCH);
        assert_eq!((asked.hangs, asked.silent_since, asked.patience()), (0, None, 1));
        assert_eq!(asked.last.expect("an end").report.outcome, ProbeOutcome::Answered);
    }
}
