//! Looking at this machine now, without a hub: the same collectors, engine and conversions as the
//! hub's, so that both say the same.

use std::time::Duration;

use sickbay_collect::{CollectContext, LocalNode, LocalSettings, NodeSource as _};
use sickbay_engine::{NodeMemory, assess};
use sickbay_hub::view;
use sickbay_model::{ProbeId, probe};
use sickbay_runtime::ChildCommand;
use sickbay_wire::v1::ResourceDetail;
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, PROBE_COMMAND};
use crate::config::Settings;

/// Between the two looks: rates (CPU use, traffic) are differences.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What a collection gets beyond a probe's own timeout, so that a slow probe ends as its own
/// outcome.
const COLLECT_GRACE: Duration = Duration::from_secs(2);

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

/// The node and its GPUs as they are now; the node comes first. Slow probes get `patience` to
/// answer; what has not answered by then is judged as not answered.
pub(crate) async fn look(
    context: &Context,
    settings: &Settings,
    patience: Duration,
) -> Result<Vec<ResourceDetail>, Failure> {
    let local = LocalSettings { child: Some(probe_child()?), ..settings.hub.local.clone() };
    let collect = CollectContext {
        clock: context.clock.clone(),
        deadline: settings.hub.local.probe_timeout + COLLECT_GRACE,
        cancel: CancellationToken::new(),
    };
    let mut node = LocalNode::new(local);
    node.collect(&collect).await;
    let began = context.clock.monotonic();
    let observation = loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let observation = node.collect(&collect).await;
        let waited = context.clock.monotonic().saturating_sub(began);
        let pending = SLOW_PROBES.iter().any(|slow| observation.probe(slow).is_none());
        if !pending || waited >= patience {
            break observation;
        }
    };
    let policy = settings.hub.policy.clone().for_single_look();
    let assessment = assess(&policy, &mut NodeMemory::default(), &observation);
    let details = view::node_details(node.resource(), &assessment, &observation, Duration::ZERO);
    node.shutdown().await;
    Ok(details)
}
