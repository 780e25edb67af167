//! NVIDIA GPUs of a simulated machine: one state, told in two ways.
//!
//! The state is what the fake NVML reads. What `nvidia-smi` would print of it is made of the same, so
//! that both forms of a scenario see the same cards.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::scenario::Driver;
use crate::template::{GpuModel, Template};

/// Bytes in a MiB.
const MEBIBYTE: u64 = 1 << 20;

/// The major version of the driver from which on `nvidia-smi` tells the recovery action.
const TELLS_RECOVERY: u32 = 565;

/// The one that renamed throttle reasons.
const RENAMED_REASONS: u32 = 535;

/// How a card is, beyond its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    /// Listed, and answers that it is lost.
    Lost,
    /// Listed, and wants a reset.
    ResetRequired,
    /// Not on the bus.
    Gone,
}

/// One card.
#[derive(Clone, Debug)]
struct Card {
    /// Its state without what the job makes of it.
    state: Value,
    /// What the scenario changed.
    patch: Value,
    presence: Presence,
    address: String,
    pid: u32,
}

/// The cards of a machine.
#[derive(Clone, Debug)]
pub struct Gpus {
    cards: Vec<Card>,
    model: GpuModel,
    pub(crate) driver: String,
    pub(crate) condition: Driver,
    pub(crate) job: bool,
    /// What `nvidia-smi` prints instead of its rows.
    pub(crate) smi: String,
}

/// The process of the training job on a card.
pub(crate) const FIRST_JOB_PID: u32 = 41_001;

impl Gpus {
    /// The cards of a template, at work.
    pub(crate) fn new(template: &Template, model: &GpuModel) -> Self {
        let cards = template.gpu_buses.iter().enumerate().map(|(number, bus)| {
            let domain = template.domains.get(number).map_or("0000", String::as_str);
            let (bus, device) = bus.split_once(':').unwrap_or((bus, "00"));
            let mut state = model.state.clone();
            let links = vec![json!({"active": true, "replay_errors": 0, "recovery_errors": 0, "crc_errors": 0}); model.nvlinks];
            let name = model.state["name"].as_str().unwrap_or_default();
            let seed: u32 = name.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            merge(&mut state, &json!({
                "uuid": format!("GPU-{seed:08x}-5c1b-4d6e-9a30-0f2c7e6b{number:04x}"),
                "serial": format!("{}", 1_650_000_000_000_u64 + u64::from(seed) * 100 + number as u64),
                "pci_bus_id": format!("0000{domain}:{}:{device}.0", bus.to_ascii_uppercase()),
                "nvlinks": links,
            }));
            Card {
                state,
                patch: json!({}),
                presence: Presence::There,
                address: format!("{domain}:{bus}:{device}.0"),
                pid: FIRST_JOB_PID + u32::try_from(number).unwrap_or(0),
            }
        });
        Self {
            cards: cards.collect(),
            model: model.clone(),
            driver: template.driver.clone(),
            condition: Driver::Ok,
            job: true,
            smi: String::new(),
        }
    }

    /// PCI addresses of those on the bus, with their link as the kernel words it.
    pub(crate) fn on_the_bus(&self) -> impl Iterator<Item = (&str, Value)> {
        let there = self.cards.iter().filter(|card| card.presence != Presence::Gone);
        there.map(|card| (card.address.as_str(), self.state(card)["pcie"].clone()))
    }

    /// The PCI address of a card, there or not.
    pub(crate) fn address(&self, number: usize) -> Option<&str> {
        Some(self.cards.get(number)?.address.as_str())
    }

    /// The UUID of a card.
    pub(crate) fn uuid(&self, number: usize) -> Option<&str> {
        self.cards.get(number)?.state["uuid"].as_str()
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.cards.len()
    }

    /// The processes of the job on the cards.
    pub(crate) fn job_pids(&self) -> Vec<u32> {
        self.cards.iter().filter(|_| self.job).map(|card| card.pid).collect()
    }

    /// Changes a card, or `all`.
    pub(crate) fn change(&mut self, which: &str, change: &Value) -> Result<()> {
        for card in self.chosen(which)? {
            match change.as_str() {
                Some("lost") => card.presence = Presence::Lost,
                Some("gone") => card.presence = Presence::Gone,
                Some("reset_required") => card.presence = Presence::ResetRequired,
                Some("back") => card.presence = Presence::There,
                Some("reset") => {
                    card.presence = Presence::There;
                    card.patch = json!({});
                }
                Some(other) => bail!("a GPU cannot be {other:?}"),
                None => merge(&mut card.patch, change),
            }
        }
        Ok(())
    }

    /// Adds to a counter of a card's state, by its place (`ecc/corrected_volatile`).
    pub(crate) fn add(&mut self, which: &str, place: &str, count: u64) -> Result<()> {
        let job = self.job;
        let model = self.model.clone();
        for card in self.chosen(which)? {
            let state = state_of(card, &model, job);
            let pointer = format!("/{place}");
            let before = state.pointer(&pointer).and_then(Value::as_u64).unwrap_or(0);
            let mut parts: Vec<&str> = place.split('/').collect();
            let last = parts.pop().unwrap_or_default();
            // A list is replaced as a whole by a merge patch.
            if let ["nvlinks", link] = parts.as_slice() {
                let mut links = state["nvlinks"].clone();
                if let Some(link) = link.parse::<usize>().ok().and_then(|at| links.get_mut(at)) {
                    link[last] = json!(before + count);
                }
                merge(&mut card.patch, &json!({"nvlinks": links}));
                continue;
            }
            let patch = parts
                .iter()
                .rev()
                .fold(json!({last: before + count}), |inner, part| json!({*part: inner}));
            merge(&mut card.patch, &patch);
        }
        Ok(())
    }

    /// Counters that a reboot, a reset or a reload of the driver sets to zero.
    pub(crate) fn begin_anew(&mut self) {
        for card in &mut self.cards {
            if card.presence != Presence::Gone {
                card.presence = Presence::There;
            }
            merge(
                &mut card.patch,
                &json!({"ecc": {"corrected_volatile": 0, "uncorrected_volatile": 0}}),
            );
            let pending = self.model.state["fields"].get("144").is_some();
            if pending {
                merge(
                    &mut card.patch,
                    &json!({"fields": {"94": 0, "144": 0, "230": self.model.state["fields"].get("230")}}),
                );
            }
        }
        self.condition = Driver::Ok;
    }

    fn chosen(&mut self, which: &str) -> Result<Vec<&mut Card>> {
        if which == "all" {
            return Ok(self.cards.iter_mut().collect());
        }
        let number: Option<usize> = which.parse().ok();
        match number.and_then(|number| self.cards.get_mut(number)) {
            Some(card) => Ok(vec![card]),
            None => bail!("the machine has no GPU {which}"),
        }
    }

    fn state(&self, card: &Card) -> Value {
        state_of(card, &self.model, self.job)
    }

    /// The world of the fake NVML.
    pub(crate) fn world(&self) -> Value {
        let mut gpus = Map::new();
        let mut faults = Vec::new();
        for (number, card) in self.cards.iter().enumerate() {
            let mut state = self.state(card);
            match card.presence {
                Presence::Gone => continue,
                Presence::There => {}
                Presence::Lost => {
                    faults.push(
                        json!({"function": "nvmlDevice*", "gpu": number, "answer": "gpu_is_lost"}),
                    );
                }
                Presence::ResetRequired => {
                    for function in [
                        "UtilizationRates",
                        "MemoryInfo*",
                        "Temperature*",
                        "PowerUsage",
                        "ClockInfo",
                        "PerformanceState",
                    ] {
                        faults.push(json!({"function": format!("nvmlDeviceGet{function}"), "gpu": number, "answer": "reset_required"}));
                    }
                    merge(&mut state, &json!({"fields": {"230": 1}}));
                }
            }
            gpus.insert(number.to_string(), state);
        }
        let all = match self.condition {
            Driver::Ok | Driver::NoDevices => None,
            Driver::Hang => Some(("nvmlDevice*", "hang")),
            Driver::NotLoaded => Some(("nvmlInit*", "driver_not_loaded")),
            Driver::Mismatch => Some(("nvmlInit*", "lib_rm_version_mismatch")),
            Driver::Unknown => Some(("nvml*", "unknown")),
        };
        if let Some((function, answer)) = all {
            faults.push(json!({"function": function, "answer": answer}));
        }
        if self.condition == Driver::NoDevices {
            gpus.clear();
        }
        // A driver that was reloaded knows nobody who asked the one before.
        let epoch = match self.condition {
            Driver::NotLoaded | Driver::Mismatch => 1_000_000,
            _ => self.driver.bytes().fold(0_u64, |sum, byte| sum * 3 + u64::from(byte)) % 1_000_000,
        };
        json!({
            "description": "a scenario of the fault corpus",
            "driver_version": self.driver,
            "nvml_version": format!("12.{}", self.driver),
            "cuda_driver_version": 12_040,
            "driver_epoch": epoch,
            "gpus": gpus,
            "faults": faults,
        })
    }

    /// What `nvidia-smi --help-query-gpu` prints: each name on a line of its own.
    pub(crate) fn smi_help(&self) -> String {
        let mut text =
            "List of valid properties to query for the switch \"--query-gpu=\":\n\n".to_owned();
        for (names, _) in CELLS {
            if self.knows(names) {
                let quoted: Vec<_> = names.split('|').map(|name| format!("\"{name}\"")).collect();
                let _ = write!(text, "{}\nOne line about it.\n\n", quoted.join(" or "));
            }
        }
        text
    }

    /// Whether `nvidia-smi` ends at all.
    pub(crate) fn smi_answers(&self) -> bool {
        self.condition != Driver::Hang
    }

    fn knows(&self, names: &str) -> bool {
        let major: u32 =
            self.driver.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        match names {
            "gpu_recovery_action" => major >= TELLS_RECOVERY,
            "clocks_event_reasons.active" => major >= RENAMED_REASONS,
            "clocks_throttle_reasons.active" => major < RENAMED_REASONS,
            _ => true,
        }
    }

    /// What `nvidia-smi` prints and how it ends; `None` where it hangs.
    pub(crate) fn smi_rows(&self, fields: &str) -> Option<(String, u8)> {
        if !self.smi.is_empty() {
            return Some((self.smi.clone(), 0));
        }
        let said = match self.condition {
            Driver::Hang => return None,
            Driver::NotLoaded => {
                "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n"
            }
            Driver::Mismatch => {
                "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.127\n"
            }
            Driver::NoDevices => "No devices were found\n",
            Driver::Unknown => "Failed to initialize NVML: Unknown Error\n",
            Driver::Ok => {
                return Some((self.rows(fields), 0));
            }
        };
        Some((said.to_owned(), 9))
    }

    fn rows(&self, fields: &str) -> String {
        let mut text = String::new();
        let there: Vec<_> =
            self.cards.iter().filter(|card| card.presence != Presence::Gone).collect();
        for (index, card) in there.iter().enumerate() {
            if card.presence == Presence::Lost {
                let _ = writeln!(
                    text,
                    "Unable to determine the device handle for GPU{index}: {}: Unknown Error",
                    card.address.to_ascii_uppercase()
                );
            }
        }
        for (index, card) in
            there.iter().enumerate().filter(|(_, card)| card.presence != Presence::Lost)
        {
            let state = self.state(card);
            let cells: Vec<String> = fields
                .split(',')
                .map(|field| match field {
                    "index" => index.to_string(),
                    "count" => there.len().to_string(),
                    "driver_version" => self.driver.clone(),
                    _ => cell(field, &state, card.presence),
                })
                .collect();
            text.push_str(&cells.join(", "));
            text.push('\n');
        }
        text
    }

    /// What `nvidia-smi --query-compute-apps` prints.
    pub(crate) fn smi_apps(&self) -> String {
        let mut text = String::new();
        for card in self.cards.iter().filter(|card| card.presence == Presence::There) {
            let state = self.state(card);
            let mig = state["mig_devices"].as_array().into_iter().flatten();
            let processes = std::iter::once(&state)
                .chain(mig)
                .flat_map(|one| one["compute_processes"].as_array().into_iter().flatten());
            for process in processes {
                let memory = process["memory_bytes"]
                    .as_u64()
                    .map_or("[N/A]".to_owned(), |bytes| (bytes / MEBIBYTE).to_string());
                let _ = writeln!(
                    text,
                    "{}, {}, {memory}",
                    state["pci_bus_id"].as_str().unwrap_or_default(),
                    process["pid"]
                );
            }
        }
        text
    }

    /// What `nvidia-smi --query-remapped-rows` prints.
    pub(crate) fn smi_remapped(&self) -> String {
        let mut text = String::new();
        for card in self.cards.iter().filter(|card| card.presence == Presence::There) {
            let state = self.state(card);
            let field = |number: &str| state["fields"].get(number).and_then(Value::as_u64);
            let yes = |number: &str| {
                field(number).map_or("[N/A]", |value| if value > 0 { "Yes" } else { "No" })
            };
            let number =
                |number: &str| field(number).map_or("[N/A]".to_owned(), |value| value.to_string());
            let _ = writeln!(
                text,
                "{}, {}, {}, {}, {}",
                state["pci_bus_id"].as_str().unwrap_or_default(),
                number("142"),
                number("143"),
                yes("144"),
                yes("145")
            );
        }
        text
    }

    /// What `nvidia-smi -q -d TEMPERATURE,ECC` prints: offsets of the margin where the model has one.
    pub(crate) fn smi_details(&self) -> String {
        let mut text = "\n==============NVSMI LOG==============\n\n".to_owned();
        for card in self.cards.iter().filter(|card| card.presence == Presence::There) {
            let state = self.state(card);
            let _ = writeln!(text, "GPU {}", state["pci_bus_id"].as_str().unwrap_or_default());
            let mut line = |name: &str, place: &str| {
                let value = state.pointer(place).and_then(Value::as_i64);
                let value = value.map_or("N/A".to_owned(), |value| format!("{value} C"));
                let _ = writeln!(text, "        {name:<34}: {value}");
            };
            line("GPU Current Temp", "/temperature_celsius");
            line("GPU T.Limit Temp", "/margin_celsius");
            if state["margin_celsius"].is_null() {
                line("GPU Shutdown Temp", "/thresholds_celsius/shutdown");
                line("GPU Slowdown Temp", "/thresholds_celsius/slowdown");
            } else {
                line("GPU Shutdown T.Limit Temp", "/fields/193");
                line("GPU Slowdown T.Limit Temp", "/fields/194");
            }
            if let Some(exceeded) = state["sram_threshold_exceeded"].as_bool() {
                let word = if exceeded { "Yes" } else { "No" };
                let _ = writeln!(text, "            {:<30}: {word}", "SRAM Threshold Exceeded");
            }
        }
        text
    }
}

fn state_of(card: &Card, model: &GpuModel, job: bool) -> Value {
    let mut state = card.state.clone();
    if job {
        merge(&mut state, &model.busy);
        merge(
            &mut state,
            &json!({
                "memory": {"used": model.job_bytes},
                "compute_processes": [{"pid": card.pid, "memory_bytes": model.job_bytes}],
            }),
        );
    } else {
        merge(&mut state, &model.idle);
    }
    merge(&mut state, &card.patch);
    state
}

/// Names of a field (`a|b` are two names of one), and where in the state its value is.
const CELLS: &[(&str, &str)] = &[
    ("index", ""),
    ("count", ""),
    ("driver_version", ""),
    ("uuid|gpu_uuid", "/uuid"),
    ("pci.bus_id|gpu_bus_id", "/pci_bus_id"),
    ("serial|gpu_serial", "/serial"),
    ("vbios_version", "/vbios_version"),
    ("mig.mode.current", "/mig_enabled"),
    ("memory.total", "/memory/total"),
    ("memory.used", "/memory/used"),
    ("utilization.gpu", "/utilization/gpu"),
    ("utilization.memory", "/utilization/memory"),
    ("temperature.gpu", "/temperature_celsius"),
    ("temperature.memory", "/fields/82"),
    ("temperature.gpu.tlimit", "/margin_celsius"),
    ("power.draw", "/power_milliwatts"),
    ("enforced.power.limit", "/power_limit_milliwatts"),
    ("fan.speed", "/fans_percent/0"),
    ("clocks.current.sm|clocks.sm", "/clocks/sm"),
    ("clocks.max.sm", "/max_clocks/sm"),
    ("clocks.current.memory|clocks.mem", "/clocks/memory"),
    ("clocks_event_reasons.active", "/throttle_reasons"),
    ("clocks_throttle_reasons.active", "/throttle_reasons"),
    ("pstate", "/performance_state"),
    ("pcie.link.gen.current", "/pcie/generation"),
    ("pcie.link.gen.max", "/pcie/max_generation"),
    ("pcie.link.width.current", "/pcie/width"),
    ("pcie.link.width.max", "/pcie/max_width"),
    ("ecc.errors.corrected.volatile.total", "/ecc/corrected_volatile"),
    ("ecc.errors.uncorrected.volatile.total", "/ecc/uncorrected_volatile"),
    ("ecc.errors.corrected.aggregate.total", "/ecc/corrected_aggregate"),
    ("ecc.errors.uncorrected.aggregate.total", "/ecc/uncorrected_aggregate"),
    ("retired_pages.single_bit_ecc.count|retired_pages.sbe", "/fields/29"),
    ("retired_pages.double_bit.count|retired_pages.dbe", "/fields/30"),
    ("gpu_recovery_action", "/fields/230"),
    ("name|gpu_name", "/name"),
];

/// One cell, as `nvidia-smi` writes it without units.
fn cell(field: &str, state: &Value, presence: Presence) -> String {
    let nothing = || "[N/A]".to_owned();
    let known = CELLS.iter().find(|(names, _)| names.split('|').any(|name| name == field));
    let Some(&(_, place)) = known else { return nothing() };
    let refused = [
        "/utilization/",
        "/temperature",
        "/power_milliwatts",
        "/clocks/",
        "/memory/",
        "/performance",
    ];
    if presence == Presence::ResetRequired && refused.iter().any(|start| place.starts_with(start)) {
        return "[GPU requires reset]".to_owned();
    }
    let Some(value) = state.pointer(place) else { return nothing() };
    let whole = value.as_u64();
    match place {
        "/memory/total" | "/memory/used" => {
            whole.map_or_else(nothing, |bytes| (bytes / MEBIBYTE).to_string())
        }
        "/power_milliwatts" | "/power_limit_milliwatts" => {
            whole.map_or_else(nothing, |milli| format!("{}.{:02}", milli / 1000, milli % 1000 / 10))
        }
        "/throttle_reasons" => whole.map_or_else(nothing, |mask| format!("0x{mask:016x}")),
        "/performance_state" => whole.map_or_else(nothing, |state| format!("P{state}")),
        "/mig_enabled" => if value == true { "Enabled" } else { "Disabled" }.to_owned(),
        "/fields/230" => {
            let words = ["None", "Reset", "Reboot", "Drain P2P", "Drain and Reset"];
            let at = whole.and_then(|action| usize::try_from(action).ok());
            at.and_then(|at| words.get(at)).map_or_else(nothing, |word| (*word).to_owned())
        }
        _ => match value {
            Value::String(text) => text.clone(),
            Value::Null => nothing(),
            other => other.to_string(),
        },
    }
}

/// Merge patch, RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}
