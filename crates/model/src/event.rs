//! Something that happened: kept in order, never edited.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resource::ResourceId;
use crate::time::Timestamp;

/// The place of an event in the hub's log: ascending, without reuse. Zero before it was stored.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventId(pub u64);

macro_rules! event_kinds {
    ($( $(#[doc = $help:literal])+ $variant:ident = $word:literal; )*) => {
        /// What happened. The words of seed 3 are kept as they were written there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind { $( $(#[doc = $help])+ #[serde(rename = $word)] $variant, )* }

        impl EventKind {
            /// Every kind of event.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            /// The word used in the API, the store and on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => concat!($($help),+), )* }
            }
        }
    };
}

event_kinds! {
    /// A check that had not been healthy is healthy again.
    HealthCheckPassed = "HEALTH_CHECK_PASSED";
    /// A check that had been healthy no longer is, or got worse.
    HealthCheckFailed = "HEALTH_CHECK_FAILED";
    /// A part of the hub works again.
    CoordinatorHealthy = "COORDINATOR_HEALTHY";
    /// A part of the hub does not work.
    CoordinatorUnhealthy = "COORDINATOR_UNHEALTHY";
    /// A node is confirmed healthy again.
    NodeRecovered = "NODE_RECOVERED";
    /// A resource's level changed.
    LevelChanged = "LEVEL_CHANGED";
    /// A node became ready for work, or no longer is.
    ReadinessChanged = "READINESS_CHANGED";
    /// A machine was booted since it was last seen.
    NodeRebooted = "NODE_REBOOTED";
    /// A device appeared, disappeared or was replaced.
    InventoryChanged = "INVENTORY_CHANGED";
    /// Somebody told to forget what a node had: it is taken as it is.
    HardwareForgotten = "HARDWARE_FORGOTTEN";
    /// A training process appeared.
    JobStarted = "JOB_STARTED";
    /// The last training process went away.
    JobFinished = "JOB_FINISHED";
    /// The kernel reported a fault of a GPU or of the links between GPUs.
    GpuFault = "GPU_FAULT";
    /// The kernel reported a fault of another part of the machine, or of itself.
    KernelFault = "KERNEL_FAULT";
    /// A node's breaker moved: whether it is still asked changed.
    BreakerMoved = "BREAKER_MOVED";
    /// A node is watched from now on.
    NodeAdded = "NODE_ADDED";
    /// A node is not watched any more.
    NodeRemoved = "NODE_REMOVED";
    /// The hub began or ceased to doubt itself: too much fell silent at once for it to be the nodes.
    ObserverDoubt = "OBSERVER_DOUBT";
    /// The configuration in force was replaced.
    ConfigReloaded = "CONFIG_RELOADED";
    /// A configuration was refused; the old one stays in force.
    ConfigRejected = "CONFIG_REJECTED";
    /// The wall clock was set by more than the time that passed.
    ClockJumped = "CLOCK_JUMPED";
    /// The hub started.
    HubStarted = "HUB_STARTED";
    /// The hub stopped cleanly.
    HubStopped = "HUB_STOPPED";
    /// The hub was found to have ended without stopping cleanly.
    HubCrashed = "HUB_CRASHED";
    /// The hub runs behind its own schedule.
    HubLagging = "HUB_LAGGING";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("{text:?} is no kind of event"))
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the log; zero before it was stored.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To what; none for the hub itself.
    pub resource: Option<ResourceId>,
    /// One sentence for a person.
    pub message: String,
    /// More, by name; values are short texts.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
}
