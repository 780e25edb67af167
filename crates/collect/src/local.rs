//! Collectors for the machine this process runs on.

use std::time::Duration;

use sickbay_model::{ProbeError, ProbeId};

use crate::{Roots, Sample};

/// One blocking collector. Keeps its own previous counters, so that it can give rates.
pub(crate) trait LocalCollector: Send {
    /// Which probe it answers.
    fn probe(&self) -> ProbeId;

    /// Asks once. `monotonic` is the time since some start that never goes back: rates are counted
    /// against it. Where there is nothing to ask, it says so by [`Sample::set_not_applicable`].
    ///
    /// # Errors
    /// When the probe has no answer; what was put until then is thrown away.
    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError>;
}
