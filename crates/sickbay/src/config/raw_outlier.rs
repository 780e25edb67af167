//! The part of the config file that says who departs from its peers, and how it is tied to the engine's
//! policy; see [`super::raw`] and [`super::bind`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sickbay_engine::{OutlierPolicy, Policy};

use super::bind::{Direction, Written, section as tie_section, tie};
use super::raw::{RawConfig, section};
use super::units::{DurationText, SizeText};

section! {
    /// When a GPU or node departs from those that do the same work, so that it holds the job up.
    RawOutlier {
        /// Whether they are compared at all. Switch it off where the same command does different work everywhere, such as servers that wait for requests.
        enabled: bool,
        /// The stretch that is compared, in whole minutes.
        #[schemars(extend("x-minimum" = "1m", "x-maximum" = "15m"))]
        window: DurationText,
        /// How many peers each must have to be compared.
        #[schemars(range(min = 2, max = 100000))]
        least_peers: u32,
        /// How far from the peers' median, in robust standard deviations (1.4826 × MAD).
        #[schemars(range(min = 1.0, max = 1000.0))]
        score: f64,
        /// For which share of the window it must hold, in percent.
        #[schemars(range(min = 1.0, max = 100.0))]
        held_percent: f64,
        /// Share of the members beyond the practical line, either way, from which they are no group, in percent.
        #[schemars(range(min = 1.0, max = 100.0))]
        split_percent: f64,
        /// Nodes with the same command that start within this time of each other are one job.
        #[schemars(extend("x-minimum" = "1m", "x-maximum" = "1d"))]
        started_within: DurationText,
        /// Labels that name a node's job; the first that a node has counts. A node without any is grouped by the command of its training process.
        #[schemars(length(max = 16))]
        group_by: Vec<LabelKeyText>,
        /// How far the core clock must lie below the peers' median, in percent of it.
        #[schemars(range(min = 0.1, max = 100.0))]
        clock_percent: f64,
        /// How far the power drawn must lie below the peers' median, in percent of it.
        #[schemars(range(min = 0.1, max = 100.0))]
        power_percent: f64,
        /// How far the temperature must lie above the peers' median, in degrees Celsius.
        #[schemars(range(min = 0.1, max = 200.0))]
        temperature_celsius: f64,
        /// How far the utilisation must lie below the peers' median, in points.
        #[schemars(range(min = 0.1, max = 100.0))]
        utilization_points: f64,
        /// How far PCIe and network throughput must lie below the peers' median, in percent of it.
        #[schemars(range(min = 0.1, max = 100.0))]
        throughput_percent: f64,
        /// Below this median throughput, a second, nobody is compared by it.
        throughput_least: SizeText,
        /// How far the time of a training step must lie above the peers' median, in percent of it.
        #[schemars(range(min = 0.1, max = 10000.0))]
        step_time_percent: f64,
    }
}

/// The key of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct LabelKeyText(#[schemars(length(min = 1, max = 63))] pub String);

impl Written<String> for LabelKeyText {
    fn show(value: &String) -> Option<Self> {
        Some(Self(value.clone()))
    }

    fn read(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// Ties the numbers by which peers are compared.
pub(super) fn tie_outlier(way: Direction, raw: &mut RawConfig, policy: &mut Policy) {
    tie_section(way, &mut raw.outlier, |raw| {
        let OutlierPolicy {
            enabled,
            window,
            least_peers,
            score,
            held_percent,
            split_percent,
            started_within,
            group_by,
            clock_percent,
            power_percent,
            temperature_celsius,
            utilization_points,
            throughput_percent,
            throughput_least_bytes_per_second,
            step_time_percent,
        } = &mut policy.outlier;
        tie(way, &mut raw.enabled, enabled);
        tie(way, &mut raw.window, window);
        tie(way, &mut raw.least_peers, least_peers);
        tie(way, &mut raw.score, score);
        tie(way, &mut raw.held_percent, held_percent);
        tie(way, &mut raw.split_percent, split_percent);
        tie(way, &mut raw.started_within, started_within);
        tie(way, &mut raw.group_by, group_by);
        tie(way, &mut raw.clock_percent, clock_percent);
        tie(way, &mut raw.power_percent, power_percent);
        tie(way, &mut raw.temperature_celsius, temperature_celsius);
        tie(way, &mut raw.utilization_points, utilization_points);
        tie(way, &mut raw.throughput_percent, throughput_percent);
        tie(way, &mut raw.throughput_least, throughput_least_bytes_per_second);
        tie(way, &mut raw.step_time_percent, step_time_percent);
    });
}
