//! Looking at a machine now, without a hub: the same collectors, engine and conversions as the
//! hub's, so that both say the same.

use std::time::Duration;

use sickbay_collect::{CollectContext, LocalNode, LocalSettings, NodeSource};
use sickbay_engine::{NodeMemory, Policy, assess};
use sickbay_hub::view;
use sickbay_model::{ExpectedHardware, Observation, ProbeError, ProbeId, ProbeOutcome, probe};
use sickbay_runtime::{ChildCommand, Clock};
use sickbay_wire::v1::ResourceDetail;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, PROBE_COMMAND};
use crate::config::Settings;

/// Between the two looks: rates (CPU use, traffic) are differences.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Probes that may not have answered by the second look.
const SLOW_PROBES: [ProbeId; 2] = [probe::LATENCY, probe::TORCH];

/// How a probe child is started: this very program again, also after an upgrade replaced its file.
pub(crate) fn probe_child() -> Result<ChildCommand, Failure> {
    // A child needs nothing that could be secret.
    ChildCommand::this_program(vec![PROBE_COMMAND.to_owned()])
        .map_err(|error| Failure::internal(format!("cannot find the program's own file: {error}")))
}

/// How long a look waits for probes that take their time (round trips, `import torch`).
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// How a machine is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The clock.
    pub(crate) clock: Clock,
    /// How is judged; see [`Policy::for_single_look`].
    pub(crate) policy: Policy,
    /// How long each of the two collections may take.
    pub(crate) deadline: Duration,
    /// How long slow probes are waited for; what has not answered by then is judged as not
    /// answered.
    pub(crate) patience: Duration,
    /// What the machine is known to consist of.
    pub(crate) expected: ExpectedHardware,
    /// Ends it early: what is known by then is judged.
    pub(crate) cancel: CancellationToken,
}

/// What a look found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The node and its GPUs; the node comes first.
    pub(crate) details: Vec<ResourceDetail>,
    /// Why it could not be reached, if so.
    pub(crate) unreached: Option<ProbeError>,
}

impl Look {
    /// How this program looks at machines with these settings.
    pub(crate) fn new(context: &Context, settings: &Settings, patience: Duration) -> Self {
        Self {
            clock: context.clock.clone(),
            policy: settings.hub.policy.clone().for_single_look(),
            deadline: settings.hub.collect_deadline(),
            patience,
            expected: ExpectedHardware::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// Looks twice at a machine. One that cannot be reached is not asked a second time.
    pub(crate) async fn at(&self, source: &mut impl NodeSource) -> Found {
        let collect = CollectContext {
            clock: self.clock.clone(),
            deadline: self.deadline,
            cancel: self.cancel.clone(),
        };
        let mut observation = source.collect(&collect).await;
        let began = self.clock.monotonic();
        while unreached(&observation).is_none() && !self.cancel.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = self.cancel.cancelled() => break,
            }
            observation = source.collect(&collect).await;
            let waited = self.clock.monotonic().saturating_sub(began);
            let pending = SLOW_PROBES.iter().any(|slow| observation.probe(slow).is_none());
            if !pending || waited >= self.patience {
                break;
            }
        }
        let mut memory = NodeMemory::default();
        memory.expect(self.expected.clone());
        let assessment = assess(&self.policy, &mut memory, &observation);
        let resource = source.resource();
        let details = view::node_details(resource, &assessment, &observation, Duration::ZERO);
        Found { details, unreached: unreached(&observation).cloned() }
    }
}

fn unreached(observation: &Observation) -> Option<&ProbeError> {
    match &observation.probe(&probe::REACHABLE)?.outcome {
        ProbeOutcome::Failed(error) => Some(error),
        _ => None,
    }
}

/// This machine and its GPUs as they are now; the node comes first. Slow probes get `patience` to
/// answer.
pub(crate) async fn look(
    context: &Context,
    settings: &Settings,
    patience: Duration,
) -> Result<Vec<ResourceDetail>, Failure> {
    let mut node = this_machine(settings)?;
    let found = Look::new(context, settings, patience).at(&mut node).await;
    node.shutdown().await;
    Ok(found.details)
}

/// This machine as something to look at.
pub(crate) fn this_machine(settings: &Settings) -> Result<LocalNode, Failure> {
    let local = LocalSettings { child: Some(probe_child()?), ..settings.hub.local.clone() };
    Ok(LocalNode::new(local))
}
