//! Scores have history like any reading: they travel in a node's frames.

use std::sync::Arc;

use sickbay_engine::Assessment;
use sickbay_model::{Frame, Layout, Level, SeriesSlot, SharedLayouts, catalogue};

/// Adds the verdict's own columns to a node's frames, so that scores have history like any reading.
#[derive(Default)]
pub(super) struct VerdictColumns {
    base: Arc<Layout>,
    extended: Arc<Layout>,
    slots: Option<(SeriesSlot, SeriesSlot)>,
}

impl VerdictColumns {
    pub(super) fn extend(
        &mut self,
        shared: &SharedLayouts,
        frame: &Frame,
        assessment: &Assessment,
    ) -> Frame {
        if self.slots.is_none() || !Arc::ptr_eq(&self.base, &frame.layout) {
            let mut layout = Layout::clone(&frame.layout);
            let score = layout.slot_or_insert(catalogue::SCORE, "");
            let readiness = layout.slot_or_insert(catalogue::READINESS, "");
            self.slots = score.zip(readiness);
            self.base = Arc::clone(&frame.layout);
            self.extended = shared.share(Arc::new(layout));
        }
        let mut values = frame.values.to_vec();
        values.resize(self.extended.series().len(), f64::NAN);
        if let Some((score, readiness)) = self.slots {
            let known = assessment.level != Level::Unknown;
            put(&mut values, score, assessment.score.score);
            put(&mut values, readiness, known.then_some(assessment.readiness.pass_rate_percent));
        }
        Frame { at: frame.at, layout: Arc::clone(&self.extended), values: values.into() }
    }
}

fn put(values: &mut [f64], slot: SeriesSlot, value: Option<f64>) {
    if let Some(cell) = values.get_mut(slot.0 as usize) {
        *cell = value.unwrap_or(f64::NAN);
    }
}
