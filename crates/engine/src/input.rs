//! An observation, made ready for the checks: probes by slot, GPU readings as a table.
//!
//! Built once per assessment, so that no check searches by string. Everything borrows from the
//! observation.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    Frame, GpuCondition, GpuDevice, GpuVendor, Inventory, MetricId, Observation, ProbeError,
    ProbeErrorKind, ProbeId, ProbeOutcome, Timestamp, probe,
};

use crate::Policy;

macro_rules! probes {
    ($( $place:literal $name:ident; )*) => {
        /// The probes that the engine knows, by slot.
        pub(crate) static PROBES: [ProbeId; PROBE_COUNT] = [ $( probe::$name, )* ];

        const PROBE_COUNT: usize = [$( $place ),*].len();

        impl ProbeSlot {
            $( pub(crate) const $name: Self = Self($place); )*
        }
    };
}

probes! {
    0 REACHABLE;
    1 CPU;
    2 PRESSURE;
    3 MEMORY;
    4 FILESYSTEM;
    5 REMOTE_FILESYSTEM;
    6 DISK;
    7 NETWORK;
    8 NETWORK_LINKS;
    9 LATENCY;
    10 SENSORS;
    11 HOST;
    12 PROCESSES;
    13 NVIDIA;
    14 AMD;
    15 TORCH;
    16 KERNEL_LOG;
    17 INFINIBAND;
    18 PCIE;
}

/// How a probe ended, seen from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ProbeState<'a> {
    /// It answered, and not too long ago.
    Answered,
    /// There is nothing to ask.
    NotApplicable(&'a str),
    /// It failed.
    Failed(&'a ProbeError),
    /// It answered too long ago; how long.
    Stale(Duration),
    /// The observation does not speak of it.
    Silent,
}

/// One probe of an observation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbeView<'a> {
    pub(crate) state: ProbeState<'a>,
    /// What is missing of its answer.
    pub(crate) missed: Option<&'a ProbeError>,
    pub(crate) took: Duration,
    /// Whether it was asked anew since the last assessment.
    pub(crate) fresh: bool,
}

impl ProbeView<'_> {
    pub(crate) fn answered(&self) -> bool {
        matches!(self.state, ProbeState::Answered)
    }

    pub(crate) fn applies(&self) -> bool {
        !matches!(self.state, ProbeState::NotApplicable(_))
    }

    /// Why there is no answer; none if there is one, or nothing to ask.
    pub(crate) fn no_answer_reason(&self, probe: ProbeSlot) -> Option<String> {
        match self.state {
            ProbeState::Answered | ProbeState::NotApplicable(_) => None,
            ProbeState::Failed(error) => Some(error.message.clone()),
            ProbeState::Stale(age) => {
                Some(format!("the probe {} last answered {} s ago", probe.name(), age.as_secs()))
            }
            ProbeState::Silent => Some(format!("the probe {} did not report", probe.name())),
        }
    }
}

/// All probes of an observation.
#[derive(Debug)]
pub(crate) struct Probes<'a>([ProbeView<'a>; PROBE_COUNT]);

impl<'a> Probes<'a> {
    fn new(
        policy: &Policy,
        observation: &'a Observation,
        times: &mut Vec<Option<Timestamp>>,
    ) -> Self {
        let state = ProbeState::Silent;
        let silent = ProbeView { state, missed: None, took: Duration::ZERO, fresh: true };
        let mut views = [silent; PROBE_COUNT];
        times.resize(PROBE_COUNT, None);
        let mut expected = 0;
        for report in &observation.probes {
            let Some(slot) = slot_of(&report.probe, expected) else { continue };
            expected = slot + 1;
            let (Some(view), Some(time)) = (views.get_mut(slot), times.get_mut(slot)) else {
                continue;
            };
            let age = observation.at.since(report.at);
            let limit = if PROBES.get(slot) == Some(&probe::TORCH) {
                policy.state.torch_stale_after
            } else {
                policy.state.stale_after
            };
            let state = match &report.outcome {
                ProbeOutcome::NotApplicable(why) => ProbeState::NotApplicable(why),
                ProbeOutcome::Failed(error) => ProbeState::Failed(error),
                ProbeOutcome::Answered | ProbeOutcome::Partial(_) if age > limit => {
                    ProbeState::Stale(age)
                }
                ProbeOutcome::Answered | ProbeOutcome::Partial(_) => ProbeState::Answered,
            };
            let missed = match &report.outcome {
                ProbeOutcome::Partial(missed) => Some(missed),
                _ => None,
            };
            let fresh = *time != Some(report.at);
            *view = ProbeView { state, missed, took: report.took, fresh };
            *time = Some(report.at);
        }
        let mut probes = Self(views);
        if let Some(mute) = probes.mute() {
            probes.0[ProbeSlot::REACHABLE.0].state = mute;
        }
        probes
    }

    /// A session opens, but what the kernel answers from memory does not come over it in time: that
    /// reaches nobody, and one such look may just be lost like one without a session.
    fn mute(&self) -> Option<ProbeState<'a>> {
        let is_late = |slot| match self.at(slot).state {
            ProbeState::Failed(error) => {
                matches!(error.kind, ProbeErrorKind::Late | ProbeErrorKind::Stuck)
            }
            _ => false,
        };
        let from_memory = [ProbeSlot::CPU, ProbeSlot::MEMORY, ProbeSlot::HOST];
        let mute = self.at(ProbeSlot::REACHABLE).answered() && from_memory.into_iter().all(is_late);
        mute.then(|| self.at(ProbeSlot::HOST).state)
    }

    pub(crate) fn at(&self, slot: ProbeSlot) -> &ProbeView<'a> {
        &self.0[slot.0]
    }

    pub(crate) fn vendor(&self, vendor: GpuVendor) -> &ProbeView<'a> {
        self.at(ProbeSlot::of_vendor(vendor))
    }

    /// The probe that tells links: the one for it, or the network's own where that tells all.
    pub(crate) fn links(&self) -> ProbeSlot {
        match self.at(ProbeSlot::NETWORK_LINKS).state {
            ProbeState::Silent => ProbeSlot::NETWORK,
            _ => ProbeSlot::NETWORK_LINKS,
        }
    }

    /// The probes that answered in part, and what is missing of each.
    pub(crate) fn missed(&self) -> impl Iterator<Item = (ProbeSlot, &'a ProbeError)> {
        self.0.iter().enumerate().filter_map(|(slot, view)| Some((ProbeSlot(slot), view.missed?)))
    }

    /// Whether the node could not be reached: nothing was asked this time.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.at(ProbeSlot::REACHABLE).state, ProbeState::Failed(_))
    }

    /// Whether anything answered that readings come from.
    pub(crate) fn any_answered(&self) -> bool {
        let no_readings = [ProbeSlot::REACHABLE, ProbeSlot::TORCH];
        (0..PROBE_COUNT)
            .map(ProbeSlot)
            .any(|slot| !no_readings.contains(&slot) && self.at(slot).answered())
    }
}

/// The place of a probe in [`PROBES`]; always valid. Serialised by the probe's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeSlot(usize);

impl ProbeSlot {
    pub(crate) fn of_vendor(vendor: GpuVendor) -> Self {
        match vendor {
            GpuVendor::Nvidia => Self::NVIDIA,
            GpuVendor::Amd => Self::AMD,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        static UNNAMED: ProbeId = ProbeId::new("unnamed");
        match &PROBES.get(self.0).unwrap_or(&UNNAMED).0 {
            std::borrow::Cow::Borrowed(name) => name,
            std::borrow::Cow::Owned(_) => "unnamed",
        }
    }
}

impl Serialize for ProbeSlot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ProbeSlot {
    /// A probe that this version does not know becomes the host's own.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let place = PROBES.iter().position(|probe| probe.as_str() == name);
        Ok(place.map_or(Self::HOST, Self))
    }
}

/// The slot of a probe. They mostly come in the order of [`PROBES`], so the search starts at the
/// one that is expected next.
fn slot_of(id: &ProbeId, expected: usize) -> Option<usize> {
    let (before, from) = PROBES.split_at(expected.min(PROBE_COUNT));
    let later = from.iter().position(|known| known == id).map(|place| place + before.len());
    later.or_else(|| before.iter().position(|known| known == id))
}

/// What is known of jobs on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    Active,
    Idle,
    /// Processes, or those on the GPUs, could not be listed.
    Unknown,
}

/// An observation, made ready.
pub(crate) struct Input<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) observation: &'a Observation,
    pub(crate) frame: &'a Frame,
    pub(crate) inventory: &'a Inventory,
    pub(crate) at: Timestamp,
    pub(crate) probes: Probes<'a>,
    pub(crate) gpus: Vec<GpuRow<'a>>,
    pub(crate) job: Job,
    /// The first observation of this node, or by new collectors: rates need a second one.
    pub(crate) first: bool,
}

impl<'a> Input<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        observation: &'a Observation,
        frame: &'a Frame,
        times: &mut Vec<Option<Timestamp>>,
        first: bool,
    ) -> Self {
        let probes = Probes::new(policy, observation, times);
        let job = if !probes.at(ProbeSlot::PROCESSES).answered() {
            Job::Unknown
        } else if !observation.processes.training.is_empty()
            || frame.get(metric::PROCESSES_TRAINING).is_some_and(|count| count > 0.0)
        {
            Job::Active
        } else if [ProbeSlot::NVIDIA, ProbeSlot::AMD].into_iter().any(|gpus| {
            let probe = probes.at(gpus);
            probe.applies() && !probe.answered()
        }) {
            // Who works on the GPUs is known to their driver alone.
            Job::Unknown
        } else {
            Job::Idle
        };
        Self {
            policy,
            observation,
            frame,
            inventory: &observation.inventory,
            at: observation.at,
            probes,
            gpus: gpu_rows(frame, &observation.inventory),
            job,
            first,
        }
    }
}

impl Input<'_> {
    /// Whether the node was booted so lately that links and drivers may still come up.
    pub(crate) fn is_settling(&self) -> bool {
        let settle = self.policy.hardware.boot_settle.as_secs_f64();
        self.frame.get(metric::UPTIME).is_some_and(|uptime| uptime < settle)
    }

    /// Whether it is a machine of its own, and no virtual one.
    pub(crate) fn is_metal(&self) -> bool {
        matches!(&*self.inventory.host.virtualization, "" | "none")
    }
}

macro_rules! gpu_metrics {
    ($( $variant:ident = $metric:ident; )*) => {
        /// The GPU readings that checks look at: a column of the table each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum GpuColumn { $( $variant, )* }

        const GPU_METRICS: &[MetricId] = &[ $( metric::$metric, )* ];
        const GPU_COLUMNS: usize = [ $( GpuColumn::$variant, )* ].len();
    };
}

gpu_metrics! {
    Utilization = GPU_UTILIZATION;
    MemoryUsed = GPU_MEMORY_USED;
    Temperature = GPU_TEMPERATURE;
    TemperatureMargin = GPU_TEMPERATURE_MARGIN;
    MarginSlowdown = GPU_TEMPERATURE_MARGIN_SLOWDOWN;
    TemperatureSlowdown = GPU_TEMPERATURE_SLOWDOWN;
    TemperatureShutdown = GPU_TEMPERATURE_SHUTDOWN;
    Power = GPU_POWER;
    PowerLimit = GPU_POWER_LIMIT;
    ThrottleReasons = GPU_THROTTLE_REASONS;
    EccUncorrected = GPU_ECC_UNCORRECTED_VOLATILE;
    RemapPending = GPU_REMAP_PENDING;
    RemapFailed = GPU_REMAP_FAILED;
    PcieWidth = GPU_PCIE_WIDTH;
    PcieWidthMax = GPU_PCIE_WIDTH_MAX;
    PcieGeneration = GPU_PCIE_GENERATION;
    PcieGenerationMax = GPU_PCIE_GENERATION_MAX;
    PcieReplays = GPU_PCIE_REPLAYS;
    EccCorrected = GPU_ECC_CORRECTED_VOLATILE;
    LinksActive = GPU_NVLINKS_ACTIVE;
    RecoveryAction = GPU_RECOVERY_ACTION;
    Processes = GPU_PROCESSES;
    SramExceeded = GPU_ECC_SRAM_EXCEEDED;
}

/// The readings of one GPU.
pub(crate) struct GpuRow<'a> {
    pub(crate) device: &'a GpuDevice,
    /// Whether any of the readings is there.
    pub(crate) answers: bool,
    values: [f64; GPU_COLUMNS],
}

impl GpuRow<'_> {
    pub(crate) fn get(&self, column: GpuColumn) -> Option<f64> {
        self.values.get(column as usize).copied().filter(|value| !value.is_nan())
    }
}

fn gpu_rows<'a>(frame: &Frame, inventory: &'a Inventory) -> Vec<GpuRow<'a>> {
    let mut rows: Vec<GpuRow<'a>> = Vec::with_capacity(inventory.gpus.len());
    // A card that is listed as missing is one that is not there: the memory knows it.
    let listed = inventory.gpus.iter().filter(|gpu| gpu.condition != GpuCondition::Missing);
    for device in listed.take(crate::memory::MAX_GPUS) {
        if !rows.iter().any(|row| row.device.index == device.index) {
            rows.push(GpuRow { device, answers: false, values: [f64::NAN; GPU_COLUMNS] });
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let series = frame.layout.series();
    // What the columns before called each place, and which row that is.
    let mut named: Vec<Option<(&Arc<str>, usize)>> = vec![None; rows.len()];
    for (column, &metric) in GPU_METRICS.iter().enumerate() {
        for (hint, &slot) in frame.layout.slots(metric).iter().enumerate() {
            let (Some(value), Some(series)) = (frame.at_slot(slot), series.get(slot.0 as usize))
            else {
                continue;
            };
            let before = named.get(hint).copied().flatten();
            let place = match before.filter(|(name, _)| Arc::ptr_eq(name, &series.instance)) {
                Some((_, place)) => place,
                None => {
                    let Some(index) = parse_index(&series.instance) else { continue };
                    let is_it = |row: &GpuRow<'_>| row.device.index == index;
                    let Some(place) = rows.iter().position(is_it) else { continue };
                    if let Some(name) = named.get_mut(hint) {
                        *name = Some((&series.instance, place));
                    }
                    place
                }
            };
            let Some(row) = rows.get_mut(place) else { continue };
            row.answers = true;
            if let Some(cell) = row.values.get_mut(column) {
                *cell = value;
            }
        }
    }
    rows
}

/// A GPU's index as metrics write it: decimal, nothing else.
pub(crate) fn parse_index(text: &str) -> Option<u32> {
    match text.as_bytes() {
        [digit @ b'0'..=b'9'] => Some(u32::from(digit - b'0')),
        _ => text.parse().ok(),
    }
}
