//! Readings as columns.
//!
//! A [`Frame`] is everything measured of one node at one time: a column of numbers whose meaning
//! is given by a shared [`Layout`]. The layout changes only when a device appears, so the hot path
//! compares no strings and allocates nothing per reading.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue;
use crate::layouts::SharedLayouts;
use crate::metric::MetricId;
use crate::time::Timestamp;

/// One measured value, outside a frame: what a collector emits and a probe child sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which metric.
    pub metric: MetricId,
    /// Which instance; empty for metrics with one value per node.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub instance: Arc<str>,
    /// The value in the metric's unit.
    pub value: f64,
}

/// A column: one metric of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// Which metric.
    pub metric: MetricId,
    /// Which instance; empty for metrics with one value per node.
    pub instance: Arc<str>,
}

/// The place of a series in a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesSlot(pub u32);

/// The meaning of a frame's columns. Append-only: a slot, once given, keeps its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    series: Vec<Series>,
    /// In order of appearance.
    columns: Vec<MetricColumns>,
    /// By metric: the place of its columns, plus one; zero where it has none. Metrics are numbered
    /// densely, and finding one's columns is what judging a node does most.
    places: Vec<u16>,
}

/// The columns of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MetricColumns {
    slots: Vec<SeriesSlot>,
    /// Empty while there are no more than [`Layout::COMPARED`].
    by_instance: HashMap<Arc<str>, SeriesSlot>,
}

impl Layout {
    /// The most series that one node may have; readings beyond it are counted and refused.
    pub const MAX_SERIES: usize = 16_384;

    /// Up to how many instances of a metric are compared one by one.
    const COMPARED: usize = 8;

    /// Among how many series before it a new one's instance is looked for.
    const LOOKED_BACK: usize = 64;

    /// All series, in slot order.
    #[inline]
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The slots of all instances of a metric, in order of appearance.
    #[inline]
    #[must_use]
    pub fn slots(&self, metric: MetricId) -> &[SeriesSlot] {
        self.columns(metric).map_or(&[], |columns| &columns.slots)
    }

    /// The slot of a series.
    #[must_use]
    pub fn slot(&self, metric: MetricId, instance: &str) -> Option<SeriesSlot> {
        let columns = self.columns(metric)?;
        // Most metrics have few series; some comparisons are cheaper than a hash.
        if columns.slots.len() > Self::COMPARED {
            return columns.by_instance.get(instance).copied();
        }
        let is_it = |slot: &&SeriesSlot| {
            let series = self.series.get(slot.0 as usize);
            series.is_some_and(|series| same_instance(&series.instance, instance))
        };
        columns.slots.iter().find(is_it).copied()
    }

    /// The slot of a series that is probably at this place among its metric's instances: metrics of
    /// the same things mostly list them in the same order.
    #[must_use]
    pub fn slot_near(&self, metric: MetricId, instance: &str, place: usize) -> Option<SeriesSlot> {
        let slot = self.slots(metric).get(place).copied();
        let series = slot.and_then(|slot| self.series.get(slot.0 as usize));
        if series.is_some_and(|series| same_instance(&series.instance, instance)) {
            return slot;
        }
        self.slot(metric, instance)
    }

    /// The slot of a series, added at the end if new; `None` when the layout is full.
    pub fn slot_or_insert(&mut self, metric: MetricId, instance: &str) -> Option<SeriesSlot> {
        if let Some(slot) = self.slot(metric, instance) {
            return Some(slot);
        }
        if self.series.len() >= Self::MAX_SERIES {
            return None;
        }
        let slot = SeriesSlot(u32::try_from(self.series.len()).ok()?);
        let instance = self.shared(instance);
        let at = metric.0 as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, 0);
        }
        let place = self.places.get_mut(at)?;
        if *place == 0 {
            let (slots, by_instance) = (Vec::new(), HashMap::new());
            self.columns.push(MetricColumns { slots, by_instance });
            *place = u16::try_from(self.columns.len()).ok()?;
        }
        let columns = self.columns.get_mut(usize::from(*place) - 1)?;
        columns.slots.push(slot);
        self.series.push(Series { metric, instance });
        if columns.slots.len() > Self::COMPARED {
            let unlisted = columns.by_instance.len();
            for &slot in columns.slots.iter().skip(unlisted) {
                if let Some(series) = self.series.get(slot.0 as usize) {
                    columns.by_instance.insert(Arc::clone(&series.instance), slot);
                }
            }
        }
        Some(slot)
    }

    /// The name of an instance, kept once where other metrics of it came shortly before.
    fn shared(&self, instance: &str) -> Arc<str> {
        let lately = self.series.iter().rev().take(Self::LOOKED_BACK);
        let known = lately.map(|series| &series.instance).find(|known| ***known == *instance);
        known.map_or_else(|| instance.into(), Arc::clone)
    }

    #[inline]
    fn columns(&self, metric: MetricId) -> Option<&MetricColumns> {
        let place = *self.places.get(metric.0 as usize)?;
        self.columns.get(usize::from(place).checked_sub(1)?)
    }
}

/// Equality of instances, without a call for the usual ones: none, or a GPU's digit.
pub fn same_instance(a: &str, b: &str) -> bool {
    match (a.as_bytes(), b.as_bytes()) {
        ([], []) => true,
        ([a], [b]) => a == b,
        (a, b) => a.len() == b.len() && a == b,
    }
}

/// Everything measured of one node at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// When, by the collector's wall clock.
    pub at: Timestamp,
    /// What the columns mean.
    pub layout: Arc<Layout>,
    /// One value per column of the layout; NaN where nothing was measured. May be shorter than the
    /// layout: what is missing at the end was not measured.
    pub values: Box<[f64]>,
}

impl Frame {
    /// A frame without readings.
    #[must_use]
    pub fn empty(at: Timestamp) -> Self {
        Self { at, layout: Arc::default(), values: Box::default() }
    }

    /// The value in a slot, if one was measured.
    #[inline]
    #[must_use]
    pub fn at_slot(&self, slot: SeriesSlot) -> Option<f64> {
        self.values.get(slot.0 as usize).copied().filter(|value| !value.is_nan())
    }

    /// The value of a metric with one value per node.
    #[inline]
    #[must_use]
    pub fn get(&self, metric: MetricId) -> Option<f64> {
        self.layout.slots(metric).iter().find_map(|&slot| self.at_slot(slot))
    }

    /// The value of one instance of a metric.
    #[inline]
    #[must_use]
    pub fn get_instance(&self, metric: MetricId, instance: &str) -> Option<f64> {
        self.at_slot(self.layout.slot(metric, instance)?)
    }

    /// The value of one instance of a metric that is probably at this place among its instances.
    #[must_use]
    pub fn get_near(&self, metric: MetricId, instance: &str, place: usize) -> Option<f64> {
        self.at_slot(self.layout.slot_near(metric, instance, place)?)
    }

    /// All instances of a metric with a value.
    pub fn instances(&self, metric: MetricId) -> impl Iterator<Item = (&str, f64)> {
        self.layout.slots(metric).iter().filter_map(|&slot| {
            let series = self.layout.series.get(slot.0 as usize)?;
            Some((&*series.instance, self.at_slot(slot)?))
        })
    }

    /// All readings of the frame.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, f64)> {
        self.layout
            .series
            .iter()
            .zip(self.values.iter().copied())
            .filter(|(_, value)| !value.is_nan())
    }

    /// How many values were measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| value.is_nan())
    }
}

/// Fills frames of one node, one after the other, keeping the layout between them.
///
/// Values outside a metric's catalogue range are refused and counted, never clamped: a lying
/// sensor must not look healthy.
#[derive(Debug, Default)]
pub struct FrameBuilder {
    layout: Arc<Layout>,
    /// Whether the layout has columns since it was last shared.
    grown: bool,
    values: Vec<f64>,
    refused: u32,
    refused_series: Vec<Series>,
}

impl FrameBuilder {
    /// How many refused readings of a frame are remembered by name.
    pub const MAX_REFUSED: usize = 64;

    /// A builder with an empty layout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts one value; returns whether it was accepted.
    pub fn put(&mut self, metric: MetricId, instance: &str, value: f64) -> bool {
        let plausible = catalogue::find(metric).is_some_and(|def| def.accepts(value));
        let slot = if plausible { self.slot(metric, instance) } else { None };
        let Some(slot) = slot else {
            self.refused = self.refused.saturating_add(1);
            if !plausible && self.refused_series.len() < Self::MAX_REFUSED {
                self.refused_series.push(Series { metric, instance: instance.into() });
            }
            return false;
        };
        let at = slot.0 as usize;
        if self.values.len() <= at {
            self.values.reserve_exact(self.layout.series.len().saturating_sub(self.values.len()));
            self.values.resize(at + 1, f64::NAN);
        }
        if let Some(cell) = self.values.get_mut(at) {
            *cell = value;
        }
        true
    }

    fn slot(&mut self, metric: MetricId, instance: &str) -> Option<SeriesSlot> {
        match self.layout.slot(metric, instance) {
            Some(slot) => Some(slot),
            None => {
                self.grown = true;
                Arc::make_mut(&mut self.layout).slot_or_insert(metric, instance)
            }
        }
    }

    /// Uses the layout of another node's frames, if one among these is equal.
    pub fn share_layout(&mut self, layouts: &SharedLayouts) {
        if std::mem::take(&mut self.grown) {
            self.layout = layouts.share(Arc::clone(&self.layout));
        }
    }

    /// Puts a reading that came from elsewhere.
    pub fn put_reading(&mut self, reading: &Reading) -> bool {
        self.put(reading.metric, &reading.instance, reading.value)
    }

    /// Names the readings refused since the last call because they cannot be true.
    pub fn take_refused(&mut self) -> Vec<Series> {
        std::mem::take(&mut self.refused_series)
    }

    /// Ends the frame: returns it and how many values were refused, and starts the next one.
    pub fn finish(&mut self, at: Timestamp) -> (Frame, u32) {
        // Made anew for each frame: of many nodes each would keep as much room as a frame has.
        let mut values = std::mem::take(&mut self.values);
        values.resize(self.layout.series.len(), f64::NAN);
        let refused = std::mem::take(&mut self.refused);
        (Frame { at, layout: Arc::clone(&self.layout), values: values.into() }, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{CPU_USED, FILESYSTEM_USED, LOAD_1M};

    #[test]
    fn a_layout_keeps_its_slots_while_devices_come_and_go() {
        let mut builder = FrameBuilder::new();
        builder.put(CPU_USED, "", 12.5);
        builder.put(FILESYSTEM_USED, "/", 40.0);
        let (first, _) = builder.finish(Timestamp::EPOCH);
        builder.put(FILESYSTEM_USED, "/data", 70.0);
        builder.put(CPU_USED, "", 13.5);
        let (second, _) = builder.finish(Timestamp::from_unix_ms(5_000));

        assert_eq!(first.get(CPU_USED), Some(12.5));
        assert_eq!(first.instances(FILESYSTEM_USED).collect::<Vec<_>>(), [("/", 40.0)]);
        assert_eq!(second.instances(FILESYSTEM_USED).collect::<Vec<_>>(), [("/data", 70.0)]);
        assert_eq!(second.layout.series()[..2], first.layout.series()[..2]);
        assert_eq!(second.len(), 2);
    }

    #[test]
    fn what_cannot_be_true_is_refused_and_counted() {
        let mut builder = FrameBuilder::new();
        for value in [f64::NAN, f64::INFINITY, -1.0, 100.1] {
            assert!(!builder.put(CPU_USED, "", value));
        }
        assert!(!builder.put(MetricId(65_000), "", 1.0));
        let (frame, refused) = builder.finish(Timestamp::EPOCH);
        assert!(frame.is_empty());
        assert_eq!((frame.get(CPU_USED), refused), (None, 5));
    }

    #[test]
    fn builders_of_equal_nodes_share_a_layout_until_one_of_them_grows() {
        let layouts = SharedLayouts::default();
        let mut builders = [FrameBuilder::new(), FrameBuilder::new()];
        let mut layouts_of = |also: Option<&str>| {
            let [first, second] = builders.each_mut().map(|builder| {
                builder.put(CPU_USED, "", 12.5);
                builder
            });
            if let Some(mount) = also {
                second.put(FILESYSTEM_USED, mount, 40.0);
            }
            [first, second].map(|builder| {
                builder.share_layout(&layouts);
                builder.finish(Timestamp::EPOCH).0.layout
            })
        };
        let [first, second] = layouts_of(None);
        assert!(Arc::ptr_eq(&first, &second));
        let [first, second] = layouts_of(Some("/"));
        assert_eq!((first.series().len(), second.series().len()), (1, 2));
    }

    #[test]
    fn a_layout_has_a_limit() {
        let mut builder = FrameBuilder::new();
        for instance in 0..=Layout::MAX_SERIES {
            builder.put(FILESYSTEM_USED, &instance.to_string(), 1.0);
        }
        assert!(!builder.put(LOAD_1M, "", 1.0));
        let (frame, refused) = builder.finish(Timestamp::EPOCH);
        assert_eq!((frame.len(), refused), (Layout::MAX_SERIES, 2));
    }
}
