//! What a node did in the last minutes, small enough to be kept of every node that works.
//!
//! A ring of per-minute means for each GPU of a job, and one for the node itself. Slots are places of
//! absolute minutes, so that the rings of all nodes are in step without a word between them. What was
//! not measured is NaN. With 8 GPUs it has some 3.5 KB.

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_model::catalogue as metric;
use sickbay_model::{Frame, MetricId, Observation, Timestamp};

use super::OutlierPolicy;
use super::job::{JobPart, job_parts};
use super::metric::{GPU_COLUMNS, NETWORK_SOURCES, NODE_COLUMNS, PeerMetric, throttled};
use crate::input::parse_index;

/// How many minutes are kept: the longest window.
pub const MINUTES_KEPT: usize = 15;

/// The most GPUs of a node that are compared; with more, those that the driver lists first.
pub const MAX_GPUS_COMPARED: usize = 16;

/// Numbers of a node's own row.
const NODE_ROW: usize = NODE_COLUMNS * MINUTES_KEPT;
/// Numbers of a GPU's row.
const GPU_ROW: usize = GPU_COLUMNS * MINUTES_KEPT;

/// A minute, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute that an instant lies in.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_unix_ms().div_euclid(60_000))
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.saturating_mul(60_000))
    }

    /// Its place in a ring.
    fn slot(self) -> usize {
        usize::try_from(self.0.rem_euclid(15)).unwrap_or(0)
    }
}

const _: () = assert!(MINUTES_KEPT == 15, "Minute::slot counts to it");

/// What is remembered of a node while a job is active on it. Drop it when the job ends.
#[derive(Clone, Debug, Default)]
pub struct PeerWindow {
    /// The minute that is being filled; none before the first look.
    filling: Option<Minute>,
    /// The driver's indices, a row each, in the order of appearance.
    gpus: Vec<u16>,
    /// The node's own row, then one a GPU; a row is a ring a column.
    means: Vec<f32>,
    /// What was seen in the minute that is being filled: sums and counts, a pair a column.
    sums: Vec<f32>,
    counts: Vec<u8>,
    /// Whose work is done here, on which GPUs.
    parts: Vec<JobPart>,
}

/// The means of a member.
#[derive(Clone, Copy, Debug)]
pub struct PeerRow<'a> {
    /// The last whole minute.
    newest: Minute,
    values: &'a [f32],
}

impl PeerRow<'_> {
    /// The mean of a minute; NaN where nothing is known.
    #[must_use]
    pub fn at(&self, metric: PeerMetric, minute: Minute) -> f32 {
        let age = self.newest.0.saturating_sub(minute.0);
        if !(0..15).contains(&age) {
            return f32::NAN;
        }
        let place = metric.column() * MINUTES_KEPT + minute.slot();
        self.values.get(place).copied().unwrap_or(f32::NAN)
    }
}

impl PeerWindow {
    /// Takes in one look at a node on which a job is active. `labels` are the node's;
    /// `step_time_seconds` is what the job itself says of its steps, where it says it: no metric of
    /// the catalogue does yet, it has to be pushed.
    pub fn observe(
        &mut self,
        policy: &OutlierPolicy,
        labels: &BTreeMap<String, String>,
        observation: &Observation,
        step_time_seconds: Option<f64>,
    ) {
        let minute = Minute::of(observation.at);
        if self.filling != Some(minute) {
            self.roll(minute);
            let now = job_parts(policy, labels, &observation.inventory, &observation.processes);
            self.take_up(now, minute);
        }
        let frame = &observation.frame;
        for (metric, source) in [
            (PeerMetric::Clock, metric::GPU_CLOCK),
            (PeerMetric::Power, metric::GPU_POWER),
            (PeerMetric::Temperature, metric::GPU_TEMPERATURE),
            (PeerMetric::Utilization, metric::GPU_UTILIZATION),
        ] {
            self.add_gpus(frame, source, metric, |value| value);
        }
        self.add_pcie(frame);
        self.add_gpus(frame, metric::GPU_THROTTLE_REASONS, PeerMetric::Throttled, throttled);
        let traffic: f64 =
            NETWORK_SOURCES.iter().flat_map(|&it| frame.instances(it)).map(|(_, rate)| rate).sum();
        if NETWORK_SOURCES.iter().any(|&it| frame.instances(it).next().is_some()) {
            self.add(0, PeerMetric::Network, traffic);
        }
        if let Some(seconds) = step_time_seconds.filter(|it| it.is_finite() && *it >= 0.0) {
            self.add(0, PeerMetric::StepTime, seconds);
        }
    }

    /// Whose work is done here, on which GPUs.
    #[must_use]
    pub fn parts(&self) -> &[JobPart] {
        &self.parts
    }

    /// The means of a GPU, or of the node itself.
    #[must_use]
    pub fn row(&self, gpu: Option<u16>) -> Option<PeerRow<'_>> {
        let newest = Minute(self.filling?.0.saturating_sub(1));
        let values = match gpu {
            None => self.means.get(..NODE_ROW)?,
            Some(index) => {
                let place = self.gpus.iter().position(|gpu| *gpu == index)?;
                let start = NODE_ROW + place * GPU_ROW;
                self.means.get(start..start + GPU_ROW)?
            }
        };
        Some(PeerRow { newest, values })
    }

    /// How many bytes it has, with what it points to.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts: usize = self.parts.iter().map(JobPart::bytes).sum();
        size_of::<Self>()
            + self.gpus.capacity() * size_of::<u16>()
            + (self.means.capacity() + self.sums.capacity()) * size_of::<f32>()
            + self.counts.capacity()
            + texts
    }

    /// Ends the minute that was filled and begins this one. A clock that went back, or far ahead,
    /// begins the window anew.
    fn roll(&mut self, minute: Minute) {
        let passed = match self.filling {
            None => 0,
            Some(before) => minute.0.saturating_sub(before.0),
        };
        let fits = (1..=15).contains(&passed);
        if let Some(filled) = self.filling.filter(|_| fits) {
            self.close(filled);
            for skipped in filled.0 + 1..minute.0 {
                self.blank(Minute(skipped));
            }
        } else {
            self.means.fill(f32::NAN);
        }
        self.sums.fill(0.0);
        self.counts.fill(0);
        self.filling = Some(minute);
    }

    /// Writes down the means of a minute.
    fn close(&mut self, minute: Minute) {
        let slot = minute.slot();
        for (place, (sum, count)) in self.sums.iter().zip(&self.counts).enumerate() {
            let mean = if *count == 0 { f32::NAN } else { sum / f32::from(*count) };
            if let Some(cell) = self.means.get_mut(place * MINUTES_KEPT + slot) {
                *cell = mean;
            }
        }
    }

    fn blank(&mut self, minute: Minute) {
        for cell in self.means.iter_mut().skip(minute.slot()).step_by(MINUTES_KEPT) {
            *cell = f32::NAN;
        }
    }

    /// Takes up whose work is done here now; a scan that found nothing says nothing. What goes on keeps
    /// its start; of a GPU that changed its job nothing of before counts.
    fn take_up(&mut self, mut now: Vec<JobPart>, minute: Minute) {
        if self.means.is_empty() {
            self.extend_rows(NODE_COLUMNS);
        }
        if now.is_empty() {
            return;
        }
        let before = std::mem::take(&mut self.parts);
        for part in &mut now {
            let same = before.iter().find(|before| before.is_same(part));
            part.started = same.map_or(minute, |same| same.started);
            if let Some(same) = same {
                // One text for both.
                part.job = Arc::clone(&same.job);
                part.model = Arc::clone(&same.model);
            }
            for &gpu in &part.gpus {
                let goes_on = same.is_some_and(|same| same.gpus.contains(&gpu));
                match self.gpus.iter().position(|known| *known == gpu) {
                    Some(place) if !goes_on => self.clear_gpu(place),
                    Some(_) => {}
                    None if self.gpus.len() < MAX_GPUS_COMPARED => {
                        self.gpus.push(gpu);
                        self.extend_rows(GPU_COLUMNS);
                    }
                    None => {}
                }
            }
            part.gpus.shrink_to_fit();
        }
        now.shrink_to_fit();
        self.parts = now;
    }

    fn extend_rows(&mut self, columns: usize) {
        self.means.reserve_exact(columns * MINUTES_KEPT);
        self.means.resize(self.means.len() + columns * MINUTES_KEPT, f32::NAN);
        self.sums.reserve_exact(columns);
        self.sums.resize(self.sums.len() + columns, 0.0);
        self.counts.reserve_exact(columns);
        self.counts.resize(self.counts.len() + columns, 0);
    }

    fn clear_gpu(&mut self, place: usize) {
        let start = NODE_ROW + place * GPU_ROW;
        if let Some(row) = self.means.get_mut(start..start + GPU_ROW) {
            row.fill(f32::NAN);
        }
        let first = NODE_COLUMNS + place * GPU_COLUMNS;
        for column in first..first + GPU_COLUMNS {
            self.counts.get_mut(column).into_iter().for_each(|count| *count = 0);
            self.sums.get_mut(column).into_iter().for_each(|sum| *sum = 0.0);
        }
    }

    /// The first of a GPU's columns in the sums.
    fn columns_of(&self, index: u32) -> Option<usize> {
        let place = self.gpus.iter().position(|gpu| u32::from(*gpu) == index)?;
        Some(NODE_COLUMNS + place * GPU_COLUMNS)
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough to compare")]
    fn add(&mut self, first: usize, metric: PeerMetric, value: f64) {
        let place = first + metric.column();
        let (Some(sum), Some(count)) = (self.sums.get_mut(place), self.counts.get_mut(place))
        else {
            return;
        };
        if value.is_finite() && *count < u8::MAX {
            *sum += value as f32;
            *count += 1;
        }
    }

    fn add_gpus(
        &mut self,
        frame: &Frame,
        source: MetricId,
        metric: PeerMetric,
        means: fn(f64) -> f64,
    ) {
        for (instance, value) in frame.instances(source) {
            if let Some(first) = parse_index(instance).and_then(|index| self.columns_of(index)) {
                self.add(first, metric, means(value));
            }
        }
    }

    /// Both directions make one value.
    fn add_pcie(&mut self, frame: &Frame) {
        for (instance, sent) in frame.instances(metric::GPU_PCIE_TRANSMIT) {
            let received = frame.get_instance(metric::GPU_PCIE_RECEIVE, instance);
            let first = parse_index(instance).and_then(|index| self.columns_of(index));
            if let (Some(received), Some(first)) = (received, first) {
                self.add(first, PeerMetric::Pcie, sent + received);
            }
        }
    }
}
