//! This machine as one node: runs every collector and merges what they bring.
//!
//! What must hold: a collection never fails as a whole and ends within its deadline; whatever hangs
//! or fails is reported under its own name and leaves the rest alone; slow probes run on clocks of
//! their own, read from the context, and repeat their last answer, with its time, in between.
//!
//! There is no ticker and no task here: everything is driven by [`NodeSource::collect`].

mod lane;
mod merge;
mod mounts;
mod worker;

pub(crate) use merge::Merger;
pub(crate) use mounts::{marked, report_of, unasked};
pub(crate) use worker::probe_error;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sickbay_model::{Observation, ProbeId, ProbeOutcome, ProbeReport, Resource, Timestamp, probe};
use sickbay_runtime::{Clock, cost};
use tokio::time::Instant;

use crate::gpu::NvidiaPresence;
use crate::latency::Latency;
use crate::local::registry::{self, Pace};
use crate::probe_child::{ChildKind, ChildSettings};
use crate::torch::Torch;
use crate::{CollectContext, LocalSettings, NodeSource};
use lane::{Lane, Round};
use mounts::Mounts;
use worker::{Origin, OriginKind};

/// How often the machine is looked at for NVIDIA hardware that was not there before.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(60);

/// What is left of the deadline for killing and merging after the last probe was given up.
const CLOSING_TIME: Duration = Duration::from_millis(200);

/// The machine this process runs on.
pub struct LocalNode {
    resource: Resource,
    settings: LocalSettings,
    child_settings: Arc<ChildSettings>,
    lanes: Option<Lanes>,
    torch: Torch,
    latency: Latency,
    merger: Merger,
}

/// Made at the first collection, which brings the clock.
struct Lanes {
    in_process: Lane,
    host: Lane,
    nvidia: Nvidia,
    mounts: Mounts,
}

/// The NVIDIA lane exists only where there is something to ask.
struct Nvidia {
    origin: Origin,
    lane: Option<Lane>,
    due: Duration,
    looked_at: Timestamp,
}

impl LocalNode {
    /// Nothing is started or asked before the first collection.
    #[must_use]
    pub fn new(settings: LocalSettings) -> Self {
        let virtual_env = std::env::var_os("VIRTUAL_ENV");
        let path = std::env::var_os("PATH");
        let torch = Torch::new(settings.torch.clone(), virtual_env.as_deref(), path.as_deref());
        let latency = Latency::new(
            settings.roots.clone(),
            &settings.latency_targets,
            settings.latency_interval,
        );
        Self {
            resource: merge::resource(&settings.roots),
            child_settings: Arc::new(ChildSettings::of(&settings)),
            lanes: None,
            torch,
            latency,
            merger: Merger::default(),
            settings,
        }
    }

    /// The processes of its children that live now, for counting what the monitor costs.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let Some(lanes) = &self.lanes else { return Vec::new() };
        let nvidia = lanes.nvidia.lane.iter().flat_map(Lane::pids);
        lanes.host.pids().chain(nvidia).chain(lanes.mounts.pids()).collect()
    }

    /// Asks torch again soon, without waiting for its slow clock; at most once a minute.
    pub fn ask_torch_again(&mut self) {
        self.torch.ask_again();
    }

    /// Stops the children. A later collection would start them again.
    pub async fn shutdown(&mut self) {
        if let Some(mut lanes) = self.lanes.take() {
            let nvidia = async {
                if let Some(lane) = &mut lanes.nvidia.lane {
                    lane.stop().await;
                }
            };
            tokio::join!(lanes.host.stop(), nvidia, lanes.mounts.stop());
        }
    }

    /// Asks everything that is due; returns the CPU time spent outside this thread.
    async fn ask(&mut self, context: &CollectContext) -> Duration {
        let Self { lanes, settings, child_settings, torch, latency, .. } = self;
        let lanes = lanes
            .get_or_insert_with(|| Lanes::new(settings, child_settings, context.clock.clone()));
        let end = Instant::now() + context.deadline.saturating_sub(CLOSING_TIME);
        let round = Round { clock: context.clock.clone(), end, limit: settings.probe_timeout };
        let wait_for_torch = context.deadline >= torch.timeout();
        let mut cpu = Duration::ZERO;
        {
            let Lanes { in_process, host, nvidia, mounts } = lanes;
            let mut asked = std::pin::pin!(async {
                let ((), a, b, c, d) = tokio::join!(
                    latency.run(&round.clock),
                    in_process.run(&round),
                    host.run(&round),
                    nvidia.run(&round),
                    mounts.run(&round),
                );
                a + b + c + d
            });
            let mut done = false;
            let all = poll_fn(|task| {
                let torch = torch.poll(&round.clock, task);
                if !done && let Poll::Ready(spent) = asked.as_mut().poll(task) {
                    cpu = spent;
                    done = true;
                }
                let enough = done && (torch.is_ready() || !wait_for_torch);
                if enough { Poll::Ready(()) } else { Poll::Pending }
            });
            // Probes end by themselves at `end`; this is for what they cannot end.
            let given_up = tokio::time::sleep_until(end + CLOSING_TIME);
            tokio::select! {
                biased;
                () = all => {}
                () = given_up => tracing::warn!("a collection was cut off at its deadline"),
                () = context.cancel.cancelled() => {}
            }
        }
        cpu
    }

    fn merge(&mut self, clock: &Clock, cost: Duration) -> Observation {
        let at = Timestamp::from_unix_ms(clock.now_ms());
        let mut merge =
            self.merger.begin(&self.settings.roots, at, ProbeOutcome::Answered, Duration::ZERO);
        if let Some(lanes) = &self.lanes {
            merge.lane(&lanes.in_process);
            merge.lane(&lanes.host);
            match &lanes.nvidia.lane {
                Some(lane) => merge.lane(lane),
                None => merge.report(lanes.nvidia.absent()),
            }
            merge.mounts(&lanes.mounts);
        }
        if let Some((report, sample)) = self.latency.last() {
            merge.report(report.clone());
            merge.readings(sample);
        }
        merge.gateway(self.latency.gateway());
        let has_gpu = merge.has_gpu();
        if let Some(report) = self.torch.report(has_gpu, clock) {
            merge.report(report);
        }
        let gpus_changed = merge.gpus_changed();
        let resource = self.resource.id.clone();
        let observation = merge.finish(resource, self.torch.answer(), cost);
        if gpus_changed {
            // A GPU that came, went or fell silent: what torch saw may no longer be so.
            self.torch.ask_again();
        }
        observation
    }
}

impl NodeSource for LocalNode {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        // Boxed: the future of all probes together is large.
        let (elsewhere, here) = cost::metered(Box::pin(self.ask(context))).await;
        let before = cost::thread_cpu_time();
        let mut observation = self.merge(&context.clock, elsewhere + here);
        observation.cost += cost::thread_cpu_time().saturating_sub(before);
        observation
    }
}

impl Lanes {
    fn new(settings: &LocalSettings, child_settings: &Arc<ChildSettings>, clock: Clock) -> Self {
        let origin = |kind| Origin {
            kind,
            settings: Arc::clone(child_settings),
            child: settings.child.clone(),
            clock: clock.clone(),
        };
        let paces: Vec<_> = registry::host_child(&settings.process_patterns)
            .iter()
            .map(|entry| match entry.pace {
                Pace::EveryCollection => Duration::ZERO,
                Pace::Filesystems => settings.filesystem_interval,
                Pace::Sensors => settings.sensor_interval,
                Pace::Processes => settings.process_scan_interval,
            })
            .collect();
        // What comes after the registry's own in the host child is asked at every collection.
        let pace = |place: usize, _: &ProbeId| paces.get(place).copied().unwrap_or_default();
        let mount_origin = origin(OriginKind::Child(ChildKind::Mount(std::path::PathBuf::new())));
        Self {
            in_process: Lane::new(
                origin(OriginKind::InProcess(Arc::clone(&settings.faults))),
                |_, _| Duration::ZERO,
            ),
            host: Lane::new(origin(OriginKind::Child(ChildKind::Host)), pace),
            nvidia: Nvidia {
                origin: origin(OriginKind::Child(ChildKind::Nvidia)),
                lane: None,
                due: Duration::ZERO,
                looked_at: Timestamp::EPOCH,
            },
            mounts: Mounts::new(mount_origin, settings.filesystem_interval),
        }
    }
}

impl Nvidia {
    async fn run(&mut self, round: &Round) -> Duration {
        let now = round.clock.monotonic();
        // Once there was a GPU, NVML is asked for ever: that it is gone is the finding.
        if self.lane.is_none() && self.due <= now {
            self.due = now + PRESENCE_INTERVAL;
            self.looked_at = Timestamp::from_unix_ms(round.clock.now_ms());
            let settings = &self.origin.settings;
            // A library that someone configured is asked whatever the hardware looks like.
            if settings.nvml_library.is_some() || NvidiaPresence::of(&settings.roots).any() {
                self.lane = Some(Lane::new(self.origin.clone(), |_, _| Duration::ZERO));
            }
        }
        match &mut self.lane {
            Some(lane) => lane.run(round).await,
            None => Duration::ZERO,
        }
    }

    fn absent(&self) -> ProbeReport {
        ProbeReport {
            probe: probe::NVIDIA,
            outcome: ProbeOutcome::NotApplicable("there is no NVIDIA GPU".into()),
            at: self.looked_at,
            took: Duration::ZERO,
        }
    }
}

impl std::fmt::Debug for LocalNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalNode").field("resource", &self.resource.id).finish_non_exhaustive()
    }
}
