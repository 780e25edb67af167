//! A simulated machine: what it is now, and what changes it.
//!
//! What must hold: time is given; counters only grow but by a boot; nothing here knows what a check
//! is. What the kernel shows of it is made in [`files`].

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::gpus::Gpus;
use crate::kernel_log::KernelLog;
use crate::scenario::{Change, MountState, Session};
use crate::template::{Template, Templates};
use crate::tree::Tree;

mod files;
mod hardware;

/// The uptime at which a watch begins, in seconds: what was before is told by negative seconds.
pub(crate) const UPTIME: f64 = 1_000_000.0;

/// Load and use of the processors.
#[derive(Clone, Debug)]
struct Host {
    cpu: f64,
    memory: f64,
    memory_gib: u64,
    swap: f64,
    pressure: BTreeMap<String, f64>,
    file_handles: u64,
    oom_kills: u64,
    edac_ue: u64,
    edac_ce: u64,
    zombies: u32,
}

/// Counters that grow with time.
#[derive(Clone, Debug, Default)]
struct Counters {
    busy_ticks: f64,
    idle_ticks: f64,
    net_errors: BTreeMap<String, f64>,
    net_drops: BTreeMap<String, f64>,
    seconds: f64,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    template: Template,
    /// Its NVIDIA GPUs.
    pub gpus: Option<Gpus>,
    /// What its kernel says.
    pub log: KernelLog,
    /// How it is reached.
    pub session: Session,
    /// Round trip to it.
    pub round_trip_ms: f64,
    /// What the configuration expects to run.
    pub expect_process: Option<String>,
    /// Whether somebody who asks it will hang at some time of the scenario.
    pub will_hang: bool,
    host: Host,
    counters: Counters,
    mounts: BTreeMap<String, MountState>,
    space: BTreeMap<String, f64>,
    inodes: BTreeMap<String, f64>,
    links: BTreeMap<String, String>,
    net_errors: BTreeMap<String, f64>,
    net_drops: BTreeMap<String, f64>,
    infiniband: BTreeMap<String, String>,
    processes: BTreeMap<u32, Option<String>>,
    files: BTreeMap<String, Option<String>>,
    grow: BTreeMap<String, f64>,
    grown: BTreeMap<String, f64>,
    gpu_grow: BTreeMap<(String, String), f64>,
    gpu_due: BTreeMap<(String, String), f64>,
    boots: u32,
    /// When it was booted, in seconds of the watch.
    booted: f64,
    now: f64,
}

impl Machine {
    /// A machine of a template, well and at work.
    ///
    /// # Errors
    /// When there is no such template.
    pub fn new(templates: &Templates, name: &str) -> Result<Self> {
        let template =
            templates.machines.get(name).with_context(|| format!("there is no machine {name}"))?;
        let gpus = match &template.gpu {
            None => None,
            Some(model) => {
                let known = templates
                    .gpus
                    .get(model)
                    .with_context(|| format!("there is no GPU {model}"))?;
                Some(Gpus::new(template, known))
            }
        };
        Ok(Self {
            gpus,
            log: KernelLog::new(!template.container),
            session: Session::Back,
            round_trip_ms: 0.8,
            expect_process: None,
            will_hang: false,
            host: Host {
                cpu: 22.0,
                memory: 34.0,
                memory_gib: template.memory_gib,
                swap: 0.0,
                pressure: BTreeMap::new(),
                file_handles: 32_768,
                oom_kills: 0,
                edac_ue: 0,
                edac_ce: 0,
                zombies: 0,
            },
            counters: Counters::default(),
            mounts: BTreeMap::new(),
            space: BTreeMap::new(),
            inodes: BTreeMap::new(),
            links: BTreeMap::new(),
            net_errors: BTreeMap::new(),
            net_drops: BTreeMap::new(),
            infiniband: BTreeMap::new(),
            processes: BTreeMap::new(),
            files: BTreeMap::new(),
            grow: BTreeMap::new(),
            grown: BTreeMap::new(),
            gpu_grow: BTreeMap::new(),
            gpu_due: BTreeMap::new(),
            boots: 0,
            booted: -UPTIME,
            now: 0.0,
            template: template.clone(),
        })
    }

    /// Seconds since it was booted.
    #[must_use]
    pub fn uptime(&self) -> f64 {
        self.now - self.booted
    }

    /// How often it was booted while it was watched.
    #[must_use]
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// Whether it is a container.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.template.container
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// When a counter is none.
    pub fn advance(&mut self, to: f64) -> Result<()> {
        let seconds = (to - self.now).max(0.0);
        self.now = to;
        let ticks = seconds * 100.0 * f64::from(self.template.cores);
        self.counters.busy_ticks += ticks * self.host.cpu / 100.0;
        self.counters.idle_ticks += ticks * (1.0 - self.host.cpu / 100.0);
        self.counters.seconds += seconds;
        for (counts, rates) in [
            (&mut self.counters.net_errors, &self.net_errors),
            (&mut self.counters.net_drops, &self.net_drops),
        ] {
            for (interface, rate) in rates {
                *counts.entry(interface.clone()).or_default() += rate * seconds;
            }
        }
        for (path, rate) in &self.grow {
            *self.grown.entry(path.clone()).or_default() += rate * seconds;
        }
        if let Some(gpus) = &mut self.gpus {
            for (counter, rate) in &self.gpu_grow {
                let due = self.gpu_due.entry(counter.clone()).or_default();
                *due += rate * seconds;
                let whole = due.floor();
                *due -= whole;
                if whole > 0.0 {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a count"
                    )]
                    gpus.add(&counter.0, &counter.1, whole as u64)?;
                }
            }
        }
        Ok(())
    }

    /// Applies a change at this second.
    ///
    /// # Errors
    /// When the change names something that the machine does not have.
    pub fn change(&mut self, at: f64, change: &Change) -> Result<()> {
        if change.boot {
            self.boot(at);
        }
        self.change_gpus(change)?;
        for line in &change.kernel {
            let line = self.filled_in(line)?;
            self.log.say(at - self.booted, &line);
        }
        for (path, content) in &change.files {
            let path = self.place(path)?;
            self.grown.remove(&path);
            self.files.insert(path, content.clone());
        }
        for (path, rate) in &change.grow {
            let path = self.place(path)?;
            self.grow.insert(path, *rate);
        }
        let host = &mut self.host;
        let set = |to: &mut f64, from: Option<f64>| *to = from.unwrap_or(*to);
        set(&mut host.cpu, change.cpu);
        set(&mut host.memory, change.memory);
        set(&mut host.swap, change.swap);
        host.memory_gib = change.memory_gib.unwrap_or(host.memory_gib);
        host.pressure.extend(change.pressure.clone());
        host.file_handles = change.file_handles.unwrap_or(host.file_handles);
        host.oom_kills += change.oom_kills;
        host.edac_ue += change.edac_ue;
        host.edac_ce += change.edac_ce;
        host.zombies = change.zombies.unwrap_or(host.zombies);
        self.space.extend(change.space.clone());
        self.inodes.extend(change.inodes.clone());
        self.mounts.extend(change.mounts.clone());
        self.links.extend(change.links.clone());
        self.net_errors.extend(change.net_errors.clone());
        self.net_drops.extend(change.net_drops.clone());
        self.infiniband.extend(change.infiniband.clone());
        self.processes.extend(change.processes.clone());
        self.session = change.session.unwrap_or(self.session);
        self.round_trip_ms = change.round_trip_ms.unwrap_or(self.round_trip_ms);
        if let Some(expected) = &change.expect_process {
            self.expect_process = Some(expected.clone()).filter(|text| !text.is_empty());
        }
        for mount in change.space.keys().chain(change.inodes.keys()).chain(change.mounts.keys()) {
            if !self.template.mounts.contains_key(mount) {
                bail!("the machine has no mount {mount}");
            }
        }
        Ok(())
    }

    fn change_gpus(&mut self, change: &Change) -> Result<()> {
        for (gpu, counters) in &change.gpu_grow {
            for (counter, rate) in counters {
                self.gpu_grow.insert((gpu.clone(), counter.clone()), *rate);
            }
        }
        let Some(gpus) = &mut self.gpus else {
            if change.gpu.is_empty() && change.nvidia.is_none() {
                return Ok(());
            }
            bail!("the machine has no NVIDIA GPU");
        };
        gpus.job = change.job.unwrap_or(gpus.job);
        gpus.condition = change.nvidia.unwrap_or(gpus.condition);
        for (which, change) in &change.gpu {
            gpus.change(which, change)?;
        }
        if let Some(driver) = &change.driver {
            gpus.driver.clone_from(driver);
        }
        if let Some(text) = &change.smi {
            gpus.smi.clone_from(text);
        }
        Ok(())
    }

    fn boot(&mut self, at: f64) {
        self.boots += 1;
        self.booted = at - 45.0;
        self.counters = Counters::default();
        self.log.begin_anew();
        self.session = Session::Back;
        let host = &mut self.host;
        (host.oom_kills, host.edac_ue, host.edac_ce, host.zombies) = (0, 0, 0, 0);
        (host.cpu, host.memory, host.file_handles) = (9.0, 12.0, 12_288);
        host.pressure.clear();
        self.grow.clear();
        self.grown.clear();
        self.processes.clear();
        self.mounts.clear();
        self.files.retain(|path, _| !path.contains("/counters/") && !path.contains("aer_dev"));
        self.net_errors.clear();
        self.net_drops.clear();
        self.gpu_grow.clear();
        if let Some(gpus) = &mut self.gpus {
            gpus.begin_anew();
            gpus.job = false;
        }
    }

    /// The PCI address of `gpu3`, `mlx5_0` or `nvme0n1`.
    #[must_use]
    pub fn address(&self, device: &str) -> Option<String> {
        if let Some(number) = device.strip_prefix("gpu").and_then(|text| text.parse().ok()) {
            if let Some(gpus) = &self.gpus {
                return gpus.address(number).map(str::to_owned);
            }
            let bus = self.template.amd.as_ref()?.buses.get(number)?;
            return Some(format!("0000:{bus}:00.0"));
        }
        if let Some(number) =
            device.strip_prefix("mlx5_").and_then(|text| text.parse::<usize>().ok())
        {
            let bus = self.template.infiniband.as_ref()?.buses.get(number)?;
            return Some(hardware::adapter_address(bus));
        }
        hardware::nvme_address(&self.template, device)
    }

    /// A path, the short forms filled in.
    fn place(&self, path: &str) -> Result<String> {
        if let Some(rest) = path.strip_prefix("ib:") {
            let (device, name) = rest.split_once('/').context("ib:DEVICE/NAME")?;
            return Ok(hardware::port_file(device, name));
        }
        if let Some(rest) = path.strip_prefix("pci:") {
            let (device, name) = rest.split_once('/').context("pci:DEVICE/NAME")?;
            let address =
                self.address(device).with_context(|| format!("the machine has no {device}"))?;
            return Ok(format!("sys/bus/pci/devices/{address}/{name}"));
        }
        Ok(path.to_owned())
    }

    /// A line with the addresses of this machine.
    fn filled_in(&self, line: &str) -> Result<String> {
        let mut text = line.to_owned();
        let mut from = 0;
        while let Some(begin) = text[from..].find('{').map(|at| from + at) {
            let Some(length) = text[begin..].find('}') else { break };
            let name = &text[begin + 1..begin + length];
            // Kernels write such brackets, too: `{1}[Hardware Error]`.
            if !["gpu", "xid", "mlx5_", "nvme"].iter().any(|device| name.starts_with(device)) {
                from = begin + length;
                continue;
            }
            let address = match name.strip_prefix("xid") {
                Some(number) => self
                    .address(&format!("gpu{number}"))
                    .map(|address| address.strip_suffix(".0").unwrap_or(&address).to_owned()),
                None => self.address(name),
            };
            let address = address.with_context(|| format!("the machine has no {name}: {line}"))?;
            text.replace_range(begin..=begin + length, &address);
        }
        Ok(text)
    }

    /// What a device of a truth may be called by those who find it.
    #[must_use]
    pub fn names_of(&self, device: &str) -> Vec<String> {
        let mut names = vec![device.to_owned()];
        if let Some(number) = device.strip_prefix("gpu").and_then(|text| text.parse::<usize>().ok())
        {
            names.push(number.to_string());
            names.extend(self.gpus.as_ref().and_then(|gpus| gpus.uuid(number)).map(str::to_owned));
            if self.template.amd.is_some() {
                names.push(format!("GPU-{}", hardware::amd_unique_id(number)));
            }
        }
        names.extend(self.address(device));
        names
    }

    /// All that its kernel shows.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        files::proc(self, &mut tree);
        hardware::sys(self, &mut tree);
        for (path, content) in &self.files {
            match content {
                Some(content) if content.ends_with('\n') => {
                    tree.put(path.clone(), content.as_bytes())
                }
                Some(content) => tree.put(path.clone(), format!("{content}\n")),
                None => tree.remove(path),
            }
        }
        for (path, grown) in &self.grown {
            let before = tree
                .get(path)
                .and_then(|text| std::str::from_utf8(text).ok()?.trim().parse::<f64>().ok());
            tree.put(path.clone(), format!("{:.0}\n", before.unwrap_or(0.0) + grown.floor()));
        }
        tree
    }
}
