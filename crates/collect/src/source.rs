//! What can be asked for an observation of a node.

use std::future::Future;
use std::time::Duration;

use sickbay_model::{Observation, Resource};
use sickbay_runtime::Clock;
use tokio_util::sync::CancellationToken;

/// What a collection is given by the one who owns the timing.
#[derive(Clone, Debug)]
pub struct CollectContext {
    /// The clock; slow clocks (torch, process scan) are read from it.
    pub clock: Clock,
    /// How long the whole collection may take.
    pub deadline: Duration,
    /// Ends the collection early: what is known by then is returned.
    pub cancel: CancellationToken,
}

/// Something that can say how a node is.
pub trait NodeSource: Send {
    /// The node.
    fn resource(&self) -> &Resource;

    /// Asks the node everything once. Never fails as a whole: each probe's end is a report in the
    /// observation.
    fn collect(&mut self, context: &CollectContext) -> impl Future<Output = Observation> + Send;
}
