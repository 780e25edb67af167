//! The share of checks that fail, over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use sickbay_engine::{Assessment, CheckCounts};

/// Width and number of the buckets over which the system's error rate is taken: five minutes.
const ERROR_BUCKET: Duration = Duration::from_secs(30);
const ERROR_BUCKETS: usize = 10;

/// Failed checks over all checks of the last minutes, in buckets.
#[derive(Default)]
pub(super) struct ErrorWindow {
    buckets: VecDeque<(u64, CheckCounts)>,
}

impl ErrorWindow {
    pub(super) fn add(&mut self, now: Duration, assessment: &Assessment) {
        let bucket = now.as_secs() / ERROR_BUCKET.as_secs();
        if self.buckets.back().is_none_or(|(newest, _)| *newest != bucket) {
            self.buckets.push_back((bucket, CheckCounts::default()));
        }
        while self.buckets.len() > ERROR_BUCKETS
            || self
                .buckets
                .front()
                .is_some_and(|(oldest, _)| oldest + ERROR_BUCKETS as u64 <= bucket)
        {
            self.buckets.pop_front();
        }
        if let Some((_, counts)) = self.buckets.back_mut() {
            let failed = assessment.findings().count();
            let failed = u32::try_from(failed).unwrap_or(u32::MAX);
            let total = u32::try_from(assessment.checks.len()).unwrap_or(u32::MAX);
            counts.failed = counts.failed.saturating_add(failed);
            counts.total = counts.total.saturating_add(total);
        }
    }

    pub(super) fn counts(&self) -> Option<CheckCounts> {
        let sum =
            self.buckets.iter().fold(CheckCounts::default(), |sum, (_, counts)| CheckCounts {
                failed: sum.failed.saturating_add(counts.failed),
                total: sum.total.saturating_add(counts.total),
            });
        (sum.total > 0).then_some(sum)
    }
}
