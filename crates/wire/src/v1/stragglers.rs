//! Who departs from those that do the same work.

use serde::{Deserialize, Serialize};
use sickbay_model::Timestamp;
use utoipa::ToSchema;

/// How the members of each job compare with each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StragglersView {
    /// When they were last compared; none before the first time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// The stretch that is compared, in minutes.
    pub window_minutes: u32,
    /// In how many minutes of it a departure must show.
    pub held_minutes: u32,
    /// Who was compared with whom: groups with a straggler first, then the largest; at most 256.
    pub groups: Vec<StragglerGroup>,
    /// How many groups there are.
    pub group_count: u32,
    /// How many members depart, in all groups.
    pub straggler_count: u32,
    /// Why nobody is compared, if so.
    pub note: Option<String>,
}

/// Members that do the same work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StragglerGroup {
    /// The job: `job=llm-70b`, or the command `python train.py`.
    pub job: String,
    /// How it is known that it is one: by a `label`, or by its `command`.
    pub known_by: String,
    /// What is compared: `gpus` or `nodes`.
    pub compares: String,
    /// The GPUs' model; none where nodes are compared.
    pub model: Option<String>,
    /// How many members it has.
    pub members: u32,
    /// How many of them were measured for long enough to be compared.
    pub compared: u32,
    /// On how many nodes they are.
    pub nodes: u32,
    /// When the first of them was first seen at this work.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// `compared`, `too_few`, `too_new`, or `mixed`: so many differ that it is no group.
    pub outcome: String,
    /// The outcome in one sentence.
    pub note: String,
    /// Metrics by which the members differ too much to be compared.
    pub uneven: Vec<String>,
    /// Who departs; at most 1024 in all groups.
    pub stragglers: Vec<StragglerView>,
    /// How many depart.
    pub straggler_count: u32,
}

/// A member that departs from its peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StragglerView {
    /// `gpu/NODE/INDEX`, or `node/NODE`.
    pub resource: String,
    /// What it looks like: `hot_and_slow`, `slow_gpu`, `waits`, `hot`, `network`, `slow_step`.
    pub cause: String,
    /// What is found, in one sentence.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// The first minute of the window in which it departed.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Share of the looks at which it slowed itself down, 0 to 100.
    pub throttled_percent: f64,
    /// By what it departs.
    pub departures: Vec<StragglerDeparture>,
}

/// How a member departs by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StragglerDeparture {
    /// `clock`, `power`, `temperature`, `utilization`, `pcie_throughput`, `network_throughput`, `step_time`.
    pub metric: String,
    /// The unit of the values.
    pub unit: String,
    /// Its mean over the minutes in which it departed.
    pub value: f64,
    /// The median of its peers.
    pub median: f64,
    /// Nine of ten peers lie between this
    pub low: f64,
    /// and this; of twenty or fewer, all do.
    pub high: f64,
    /// How many peers.
    pub peers: u32,
    /// In how many minutes of the window it departed.
    pub minutes: u32,
    /// How many robust standard deviations it is away.
    pub score: f64,
}
