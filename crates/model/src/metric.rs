//! What a metric is: the type of a catalogue entry.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable number of a metric in the [`crate::catalogue`]. Numbers are never reused: they are
/// stored in history.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(pub u16);

impl fmt::Debug for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match crate::catalogue::find(*self) {
            Some(def) => f.write_str(def.name),
            None => write!(f, "metric#{}", self.0),
        }
    }
}

/// The unit in which a metric is kept and shown. `/metrics` converts to OpenMetrics base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number.
    Count,
    /// 0 to 100.
    Percent,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Events per second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Degrees Celsius.
    Celsius,
    /// Watts.
    Watts,
    /// Joules.
    Joules,
    /// Millions of cycles per second.
    Megahertz,
    /// 0 or 1.
    Boolean,
}

impl Unit {
    /// The short form a person reads after a number; empty for plain numbers.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Count | Self::Boolean => "",
            Self::Percent => "%",
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::PerSecond => "/s",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Celsius => "°C",
            Self::Watts => "W",
            Self::Joules => "J",
            Self::Megahertz => "MHz",
        }
    }
}

/// Whether a metric goes up and down or only up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// A level that goes up and down.
    Gauge,
    /// A count since some start; falls only when that start moves (reboot, reset).
    Counter,
}

/// What the instances of a metric are: one node has many filesystems, but one load average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceKind {
    /// One value per node.
    Node,
    /// One value per mounted filesystem; the instance is the mount point.
    Filesystem,
    /// One value per block device; the instance is the kernel's name (`nvme0n1`).
    Disk,
    /// One value per network interface; the instance is its name.
    Interface,
    /// One value per temperature sensor; the instance is `chip/label`.
    Sensor,
    /// One value per GPU; the instance is the driver's index in decimal.
    Gpu,
    /// One value per NVLink of a GPU; the instance is `GPU/LINK`.
    NvLink,
    /// One value per latency target; the instance is the address as configured.
    Target,
    /// One value per port of an InfiniBand or RoCE adapter; the instance is `ADAPTER/PORT`.
    Port,
    /// One value per device on PCIe; the instance is its address.
    PciDevice,
}

impl InstanceKind {
    /// The label's name in `/metrics`, if instances are told apart by one.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Node => None,
            Self::Filesystem => Some("mountpoint"),
            Self::Disk | Self::Interface => Some("device"),
            Self::Sensor => Some("sensor"),
            Self::Gpu => Some("gpu"),
            Self::NvLink => Some("link"),
            Self::Target => Some("target"),
            Self::Port => Some("port"),
            Self::PciDevice => Some("device"),
        }
    }
}

/// One entry of the metric catalogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricDef {
    /// Stable number.
    pub id: MetricId,
    /// Unique name, snake case, unit last.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: Unit,
    /// Gauge or counter.
    pub kind: MetricKind,
    /// What its instances are.
    pub instance: InstanceKind,
    /// The smallest value that can be true; anything below is refused as malformed.
    pub min: f64,
    /// The largest value that can be true; anything above is refused as malformed.
    pub max: f64,
    /// Meaning, in one sentence.
    pub help: &'static str,
}

impl MetricDef {
    /// Whether a value can be true for this metric. NaN and infinities never can.
    #[must_use]
    pub fn accepts(&self, value: f64) -> bool {
        value >= self.min && value <= self.max
    }
}
