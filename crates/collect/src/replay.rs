//! A node that repeats what was recorded: for tests, demonstrations and incidents under study.

use std::collections::VecDeque;
use std::time::Duration;

use sickbay_model::{Frame, Observation, Resource, Timestamp};

use crate::{CollectContext, NodeSource};

/// Gives recorded observations one after the other, as if they were made now; the last is repeated
/// for ever. Ages within an observation (a probe that was not due) are kept.
#[derive(Clone, Debug)]
pub struct ReplayNode {
    resource: Resource,
    coming: VecDeque<Observation>,
    last: Option<Observation>,
}

impl ReplayNode {
    /// A node that gives these observations, whatever resource they were recorded of.
    pub fn new(resource: Resource, recorded: impl IntoIterator<Item = Observation>) -> Self {
        Self { resource, coming: recorded.into_iter().collect(), last: None }
    }

    /// How many recorded observations were not given yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.coming.len()
    }
}

impl NodeSource for ReplayNode {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        let now = Timestamp::from_unix_ms(context.clock.now_ms());
        if let Some(next) = self.coming.pop_front() {
            self.last = Some(next);
        }
        let Some(recorded) = &self.last else {
            return Observation {
                resource: self.resource.id.clone(),
                at: now,
                frame: Frame::empty(now),
                inventory: std::sync::Arc::default(),
                probes: Vec::new(),
                processes: std::sync::Arc::default(),
                torch: None,
                kernel_log: None,
                refused_readings: 0,
                refused: Vec::new(),
                cost: Duration::ZERO,
            };
        };
        let mut observation = recorded.clone();
        observation.resource = self.resource.id.clone();
        for report in &mut observation.probes {
            report.at = now.minus(recorded.at.since(report.at));
        }
        observation.at = now;
        observation.frame.at = now;
        observation
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sickbay_model::catalogue::CPU_USED;
    use sickbay_model::{FrameBuilder, ProbeOutcome, ProbeReport, ResourceId, probe};
    use sickbay_runtime::Clock;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn recorded(at_ms: i64, cpu: f64) -> Observation {
        let mut builder = FrameBuilder::new();
        builder.put(CPU_USED, "", cpu);
        let at = Timestamp::from_unix_ms(at_ms);
        let report = ProbeReport {
            probe: probe::CPU,
            outcome: ProbeOutcome::Answered,
            at: Timestamp::from_unix_ms(at_ms - 700),
            took: Duration::ZERO,
        };
        Observation {
            resource: ResourceId::node("recorded").expect("valid"),
            at,
            frame: builder.finish(at).0,
            inventory: std::sync::Arc::default(),
            probes: vec![report],
            processes: std::sync::Arc::default(),
            torch: None,
            kernel_log: None,
            refused_readings: 0,
            refused: Vec::new(),
            cost: Duration::ZERO,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn recorded_observations_come_in_order_and_as_of_now() {
        let resource = Resource {
            id: ResourceId::node("replayed").expect("valid"),
            display_name: "replayed".into(),
            labels: BTreeMap::new(),
            parent: None,
        };
        let (clock, hand) = Clock::manual(1_000_000);
        let context = CollectContext {
            clock,
            deadline: Duration::from_secs(1),
            cancel: CancellationToken::new(),
        };
        let mut node = ReplayNode::new(resource, [recorded(5_000, 10.0), recorded(10_000, 20.0)]);
        for (cpu, remaining) in [(10.0, 1), (20.0, 0), (20.0, 0)] {
            let observation = node.collect(&context).await;
            assert_eq!(observation.resource.name(), "replayed");
            assert_eq!(observation.frame.get(CPU_USED), Some(cpu));
            assert_eq!(observation.at.as_unix_ms(), context.clock.now_ms());
            assert_eq!(observation.probes[0].at, observation.at.minus(Duration::from_millis(700)));
            assert_eq!(node.remaining(), remaining);
            hand.advance(Duration::from_secs(5));
        }
    }
}
