//! What members are compared by: a column each.

use serde::{Deserialize, Serialize};
use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Unit};

/// What peers are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerMetric {
    /// A GPU's core clock: too low.
    Clock,
    /// Power that a GPU draws: too little.
    Power,
    /// A GPU's temperature: too high.
    Temperature,
    /// A GPU's utilisation: too low.
    Utilization,
    /// Bytes over a GPU's PCIe link, both ways: too few.
    Pcie,
    /// Share of the looks at which a GPU slowed itself down. Not compared; it explains a low clock.
    Throttled,
    /// Bytes over a node's network interfaces and InfiniBand ports, both ways: too few.
    Network,
    /// Time of a training step on a node: too long.
    StepTime,
}

/// The columns of a GPU's row.
pub(super) const GPU_COLUMNS: usize = 6;
/// The columns of a node's own row.
pub(super) const NODE_COLUMNS: usize = 2;

/// Where the bytes of a node's network are read, summed over interfaces and ports. What a RoCE port
/// carries for the kernel is in both, on all members alike.
pub(super) const NETWORK_SOURCES: [MetricId; 4] = [
    metric::NETWORK_RECEIVE,
    metric::NETWORK_TRANSMIT,
    metric::INFINIBAND_RECEIVE,
    metric::INFINIBAND_TRANSMIT,
];

/// The bits of the throttle mask that slow a card down for its own sake: hardware slowdown, thermal
/// by software and by hardware, power brake. Idle and the power cap never count.
const HARMFUL_THROTTLE: u64 = 0x8 | 0x20 | 0x40 | 0x80;

impl PeerMetric {
    /// What GPUs are compared by, in the order of a GPU's columns; the last is not compared.
    pub const OF_GPU: [Self; GPU_COLUMNS] = [
        Self::Clock,
        Self::Power,
        Self::Temperature,
        Self::Utilization,
        Self::Pcie,
        Self::Throttled,
    ];

    /// What nodes are compared by, in the order of a node's columns.
    pub const OF_NODE: [Self; NODE_COLUMNS] = [Self::Network, Self::StepTime];

    /// Its column in a row.
    pub(super) const fn column(self) -> usize {
        match self {
            Self::Clock | Self::Network => 0,
            Self::Power | Self::StepTime => 1,
            Self::Temperature => 2,
            Self::Utilization => 3,
            Self::Pcie => 4,
            Self::Throttled => 5,
        }
    }

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Power => "power",
            Self::Temperature => "temperature",
            Self::Utilization => "utilization",
            Self::Pcie => "pcie_throughput",
            Self::Throttled => "throttled",
            Self::Network => "network_throughput",
            Self::StepTime => "step_time",
        }
    }

    /// What a person calls it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Clock => "SM clock",
            Self::Power => "power",
            Self::Temperature => "temperature",
            Self::Utilization => "utilisation",
            Self::Pcie => "PCIe throughput",
            Self::Throttled => "throttled",
            Self::Network => "network throughput",
            Self::StepTime => "step time",
        }
    }

    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Clock => Unit::Megahertz,
            Self::Power => Unit::Watts,
            Self::Temperature => Unit::Celsius,
            Self::Utilization | Self::Throttled => Unit::Percent,
            Self::Pcie | Self::Network => Unit::BytesPerSecond,
            Self::StepTime => Unit::Seconds,
        }
    }

    /// Whether members that differ much in it do different work: then they are no group at all. A
    /// spread of temperatures or of traffic says so of that metric alone.
    pub(super) const fn tells_work(self) -> bool {
        matches!(self, Self::Clock | Self::Power | Self::Utilization | Self::StepTime)
    }
}

/// Whether a throttle mask says that the card slows down for its own sake, in percent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bit mask; saturates"
)]
pub(super) fn throttled(mask: f64) -> f64 {
    if mask as u64 & HARMFUL_THROTTLE == 0 { 0.0 } else { 100.0 }
}

/// How far from the median is far in practice, and which way is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Line {
    /// Lower by a share of the median, where that is at least so much.
    Below { percent: f64, least: f64 },
    /// Higher by a share of the median.
    Above { percent: f64 },
    /// Lower by so much.
    BelowBy(f64),
    /// Higher by so much.
    AboveBy(f64),
    /// Not compared.
    NotCompared,
}

impl Line {
    /// How far from this median the line lies; none where there is nothing to compare.
    pub(super) fn distance(self, median: f64) -> Option<f64> {
        let distance = match self {
            Self::Below { least, .. } if median < least => return None,
            Self::Below { percent, .. } | Self::Above { percent } => median * percent / 100.0,
            Self::BelowBy(distance) | Self::AboveBy(distance) => distance,
            Self::NotCompared => return None,
        };
        (distance > 0.0 && distance.is_finite()).then_some(distance)
    }

    /// 1 where more is worse, -1 where less is.
    pub(super) fn sign(self) -> f64 {
        match self {
            Self::Above { .. } | Self::AboveBy(_) => 1.0,
            Self::Below { .. } | Self::BelowBy(_) | Self::NotCompared => -1.0,
        }
    }
}
