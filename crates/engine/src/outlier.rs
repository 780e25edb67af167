//! Who departs from those that do the same work: the straggler finder.
//!
//! **For**: of the GPUs (and nodes) of one job, the one that is slower, hotter or quieter than the
//! others is named, with what it does and what they do. No line of its own would find it: 1155 MHz is
//! a fault only where fifteen others run at 1980.
//!
//! **Must hold**: pure, no clock, no randomness; the order of members changes nothing; what was not
//! measured accuses nobody; a window, its metrics and its members are bounded; comparing reads
//! columns of numbers and no strings. Somebody is named only if there are enough peers, the distance
//! is large against the peers' own spread **and** large in practice, it points the bad way, and it
//! held for most of the window. Where too many depart there is no group: two kinds of work are not a
//! fault, and that is said instead.
//!
//! **Does not**: keep history, publish, or turn a departure into a finding. [`PeerWindow`] is what is
//! remembered of a node, [`groups`] says who does the same work, [`GroupSearch`] compares, and
//! [`NodeMemory::compare`](crate::NodeMemory::compare) hands the outcome to the judge.
//!
//! # Decisions
//! - **Median and MAD of each minute**, so that a job's own phases (evaluation, checkpoints) move all
//!   members together and are no departure.
//! - **The spread's floor is the practical line divided by the score.** Of identical peers the
//!   practical line alone decides, and no further number is needed.
//! - **A GPU of a job on many nodes is compared with all of them**, not within its node: places in a
//!   chassis differ in temperature in the same way in each. Where the nodes turn out to do different
//!   work, each node's own GPUs are compared instead.

mod policy;
pub use policy::OutlierPolicy;

mod metric;
pub use metric::PeerMetric;

mod minutes;
pub use minutes::{MAX_GPUS_COMPARED, MINUTES_KEPT, Minute, PeerRow, PeerWindow};

mod job;
pub use job::{GroupedBy, JobPart, job_parts};

mod group;
pub use group::{PeerGroup, PeerId, groups};

mod compare;
pub use compare::{Departure, GroupOutcome, GroupSearch, GroupVerdict, Outlier};

mod scratch;
pub use scratch::Scratch;

mod cause;
pub use cause::Cause;

mod words;
pub(crate) use words::{evidence, sentence};
