//! What a member's departures together look like.

use serde::{Deserialize, Serialize};

use super::compare::Departure;
use super::metric::PeerMetric;

/// What a member that departs looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Hotter than its peers, and slower for it.
    HotAndSlow,
    /// A lower clock than its peers, at no higher temperature.
    SlowGpu,
    /// It is given less to do than its peers: it waits for data, its host, or a process that hangs.
    Waits,
    /// Hotter than its peers, and not slower yet.
    Hot,
    /// Less traffic than its peers, and nothing else.
    Network,
    /// Its steps take longer, and nothing that is measured says why.
    SlowStep,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6] =
        [Self::HotAndSlow, Self::SlowGpu, Self::Waits, Self::Hot, Self::Network, Self::SlowStep];

    /// What these departures look like. Less traffic and longer steps follow from anything else, and
    /// so say something only where they are alone.
    #[must_use]
    pub fn of(departures: &[Departure]) -> Self {
        let by = |metric| departures.iter().any(|it| it.metric == metric);
        if by(PeerMetric::Clock) && by(PeerMetric::Temperature) {
            Self::HotAndSlow
        } else if by(PeerMetric::Utilization) {
            // An idle card also clocks down.
            Self::Waits
        } else if by(PeerMetric::Clock) {
            Self::SlowGpu
        } else if by(PeerMetric::Temperature) {
            Self::Hot
        } else if by(PeerMetric::Power) {
            Self::Waits
        } else if by(PeerMetric::Pcie) || by(PeerMetric::Network) {
            Self::Network
        } else {
            Self::SlowStep
        }
    }

    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HotAndSlow => "hot_and_slow",
            Self::SlowGpu => "slow_gpu",
            Self::Waits => "waits",
            Self::Hot => "hot",
            Self::Network => "network",
            Self::SlowStep => "slow_step",
        }
    }

    /// What a person calls it, after the member's name.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::HotAndSlow => "hot and slow",
            Self::SlowGpu => "slow GPU",
            Self::Waits => "does less than its peers",
            Self::Hot => "hot",
            Self::Network => "network",
            Self::SlowStep => "slow steps",
        }
    }
}
