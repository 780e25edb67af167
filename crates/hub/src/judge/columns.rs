//! Scores have history like any reading: they travel in a node's frames.

use std::sync::{Arc, Weak};

use sickbay_engine::Assessment;
use sickbay_model::{Frame, Layout, Level, SeriesSlot, catalogue};

/// Layouts among which an equal one is looked for. The nodes of a fleet have few different ones; with
/// more, those of the nodes that came first are not shared with later ones any more.
const MAX_SHARED_LAYOUTS: usize = 32;

/// Layouts of nodes, so that those with the same columns share one: it has some 15 KB.
#[derive(Default)]
pub(super) struct SharedLayouts(Vec<Weak<Layout>>);

impl SharedLayouts {
    fn share(&mut self, layout: Layout) -> Arc<Layout> {
        self.0.retain(|kept| kept.strong_count() > 0);
        let equal = self.0.iter().filter_map(Weak::upgrade).find(|kept| **kept == layout);
        equal.unwrap_or_else(|| {
            if self.0.len() >= MAX_SHARED_LAYOUTS {
                self.0.remove(0);
            }
            let layout = Arc::new(layout);
            self.0.push(Arc::downgrade(&layout));
            layout
        })
    }
}

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
        shared: &mut SharedLayouts,
        frame: &Frame,
        assessment: &Assessment,
    ) -> Frame {
        if self.slots.is_none() || !Arc::ptr_eq(&self.base, &frame.layout) {
            let mut layout = Layout::clone(&frame.layout);
            let score = layout.slot_or_insert(catalogue::SCORE, "");
            let readiness = layout.slot_or_insert(catalogue::READINESS, "");
            self.slots = score.zip(readiness);
            self.base = Arc::clone(&frame.layout);
            self.extended = shared.share(layout);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(instance: &str) -> Layout {
        let mut layout = Layout::default();
        layout.slot_or_insert(catalogue::FILESYSTEM_USED, instance);
        layout
    }

    #[test]
    fn nodes_with_the_same_columns_share_a_layout() {
        let mut shared = SharedLayouts::default();
        let (root, data) = (shared.share(layout("/")), shared.share(layout("/data")));
        assert!(Arc::ptr_eq(&root, &shared.share(layout("/"))));
        assert!(!Arc::ptr_eq(&root, &data));
        drop(data);
        let all: Vec<_> = (0..2 * MAX_SHARED_LAYOUTS)
            .map(|number| shared.share(layout(&format!("/{number}"))))
            .collect();
        assert_eq!(shared.0.len(), MAX_SHARED_LAYOUTS, "what nobody has any more is forgotten");
        assert!(
            all.last().is_some_and(|last| Arc::ptr_eq(last, &shared.share(Layout::clone(last))))
        );
    }
}
