//! A made-up job on made-up nodes, minute by minute, as its windows remember it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_engine::OutlierPolicy;
use sickbay_engine::outlier::{
    GroupSearch, GroupVerdict, PeerGroup, PeerMetric, PeerWindow, Scratch, groups,
};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    FrameBuilder, GpuCondition, GpuDevice, GpuVendor, Inventory, Observation, ProcessInfo,
    ProcessSummary, ResourceId, Timestamp,
};

/// A round minute.
pub(crate) const START: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// A moment of a GPU, of which a script says what is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) minute: u32,
    pub(crate) node: u64,
    pub(crate) gpu: u32,
}

/// A well H100 at work.
pub(crate) fn usual(metric: PeerMetric) -> f64 {
    match metric {
        PeerMetric::Clock => 1980.0,
        PeerMetric::Power => 650.0,
        PeerMetric::Temperature => 60.0,
        PeerMetric::Utilization => 98.0,
        PeerMetric::Pcie => 4e9,
        PeerMetric::Throttled => 0.0,
        PeerMetric::Network => 20e9,
        PeerMetric::StepTime => 1.2,
    }
}

/// Nodes that are looked at once a minute, half past.
pub(crate) struct Job {
    pub(crate) policy: OutlierPolicy,
    pub(crate) nodes: u64,
    pub(crate) gpus: u32,
    pub(crate) minutes: u32,
    /// When it begins, in minutes after [`START`].
    pub(crate) begins: u32,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) command: String,
}

impl Job {
    pub(crate) fn new(nodes: u64, gpus: u32) -> Self {
        Self {
            policy: OutlierPolicy::default(),
            nodes,
            gpus,
            minutes: 16,
            begins: 0,
            labels: BTreeMap::new(),
            command: "/usr/bin/python3 -u /home/ada/train_7b.py --rank 3".to_owned(),
        }
    }

    /// What the looks at the first node bring.
    pub(crate) fn looks(&self, script: impl Fn(Moment, PeerMetric) -> f64) -> Vec<Observation> {
        self.looks_at(0, &script).collect()
    }

    /// What is remembered after all minutes, and the time then. A NaN was not measured.
    pub(crate) fn windows(
        &self,
        script: impl Fn(Moment, PeerMetric) -> f64,
    ) -> (BTreeMap<u64, PeerWindow>, Timestamp) {
        let mut windows = BTreeMap::new();
        for node in 0..self.nodes {
            let mut window = PeerWindow::default();
            for (minute, look) in self.looks_at(node, &script).enumerate() {
                let minute = u32::try_from(minute).expect("few");
                let step = script(Moment { minute, node, gpu: 0 }, PeerMetric::StepTime);
                window.observe(&self.policy, &self.labels, &look, Some(step));
            }
            windows.insert(node, window);
        }
        (windows, self.at(self.minutes - 1))
    }

    fn looks_at(
        &self,
        node: u64,
        script: &impl Fn(Moment, PeerMetric) -> f64,
    ) -> impl Iterator<Item = Observation> {
        let (inventory, processes) = (Arc::new(self.inventory()), Arc::new(self.processes()));
        let resource = ResourceId::node("any").expect("a valid name");
        let mut builder = FrameBuilder::new();
        (0..self.minutes).map(move |minute| {
            let at = self.at(minute);
            for gpu in 0..self.gpus {
                let of = |metric| script(Moment { minute, node, gpu }, metric);
                let name = gpu.to_string();
                for (id, value) in [
                    (metric::GPU_CLOCK, of(PeerMetric::Clock)),
                    (metric::GPU_POWER, of(PeerMetric::Power)),
                    (metric::GPU_TEMPERATURE, of(PeerMetric::Temperature)),
                    (metric::GPU_UTILIZATION, of(PeerMetric::Utilization)),
                    (metric::GPU_PCIE_TRANSMIT, of(PeerMetric::Pcie) / 2.0),
                    (metric::GPU_PCIE_RECEIVE, of(PeerMetric::Pcie) / 2.0),
                    (metric::GPU_THROTTLE_REASONS, of(PeerMetric::Throttled) * 0.64),
                ] {
                    builder.put(id, &name, value);
                }
            }
            let traffic = script(Moment { minute, node, gpu: 0 }, PeerMetric::Network);
            builder.put(metric::NETWORK_RECEIVE, "eth0", traffic / 10.0);
            builder.put(metric::INFINIBAND_RECEIVE, "mlx5_0/1", traffic * 0.4);
            builder.put(metric::INFINIBAND_TRANSMIT, "mlx5_0/1", traffic / 2.0);
            Observation {
                resource: resource.clone(),
                at,
                frame: builder.finish(at).0,
                inventory: Arc::clone(&inventory),
                probes: Vec::new(),
                processes: Arc::clone(&processes),
                torch: None,
                kernel_log: None,
                refused_readings: 0,
                refused: Vec::new(),
                cost: std::time::Duration::ZERO,
            }
        })
    }

    fn at(&self, minute: u32) -> Timestamp {
        let minute = i64::from(self.begins + minute);
        Timestamp::from_unix_ms(START.as_unix_ms() + minute * 60_000 + 30_000)
    }

    pub(crate) fn inventory(&self) -> Inventory {
        let gpu = |index| GpuDevice {
            index,
            vendor: GpuVendor::Nvidia,
            uuid: String::new(),
            model: "H100".to_owned(),
            serial: String::new(),
            pci_address: String::new(),
            driver_version: String::new(),
            vbios_version: String::new(),
            memory_bytes: 0,
            mig_enabled: false,
            condition: GpuCondition::Answering,
            unreadable: Vec::new(),
        };
        Inventory { gpus: (0..self.gpus).map(gpu).collect(), ..Inventory::default() }
    }

    pub(crate) fn processes(&self) -> ProcessSummary {
        let rank = |gpu| ProcessInfo {
            pid: 4000 + gpu,
            name: "python3".to_owned(),
            command: self.command.clone(),
            state: 'R',
            cpu_percent: 0.0,
            resident_bytes: 0,
            gpus: vec![gpu],
            gpu_memory_bytes: 60_000_000_000,
            matched: None,
        };
        ProcessSummary { training: (0..self.gpus).map(rank).collect(), ..ProcessSummary::default() }
    }
}

/// Groups the nodes and compares the members of each group.
pub(crate) fn search(
    policy: &OutlierPolicy,
    windows: &BTreeMap<u64, PeerWindow>,
    now: Timestamp,
) -> Vec<(PeerGroup, GroupVerdict)> {
    let mut scratch = Scratch::default();
    groups(policy, windows.iter().map(|(node, window)| (*node, window)))
        .into_iter()
        .map(|group| {
            let search = GroupSearch::new(group.clone(), now);
            (group, search.run(policy, |node| windows.get(&node), &mut scratch))
        })
        .collect()
}

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    pub(crate) fn unit(&mut self) -> f64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of the standard normal distribution (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
