//! Forgetting what a node had: what was taken out, unplugged or repaired on purpose is no fault.
//!
//! What is forgotten is judged anew at the next look, from what there is then.

use sickbay_model::{CheckId, Status};

use crate::checks::{self, CATALOGUE, CheckKind};
use crate::memory::{CheckMemory, LearnedDisks, NodeMemory, PortMemory, adapter_of};

/// The checks that compare a node with what it had itself.
const OWN_PAST: [CheckKind; 7] = [
    CheckKind::GpuMissing,
    CheckKind::GpuNvlink,
    CheckKind::HardwareChanged,
    CheckKind::InfinibandLink,
    CheckKind::InfinibandRate,
    CheckKind::InterfaceLink,
    CheckKind::DefaultRoute,
];

/// A check that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Its name.
    pub check: CheckId,
    /// Its instance, empty if there is just one.
    pub instance: Box<str>,
}

impl NodeMemory {
    /// Forgets, for an operator who knows better. Without a check: every GPU, port, link, module and
    /// disk that the node had and misses now, so that it is taken as it is. With one: all that is
    /// known of that check, of one instance or of all; of a fault that the kernel reported, too,
    /// which a reset leaves standing. Returns which checks were forgotten.
    pub fn forget(&mut self, check: Option<&str>, instance: Option<&str>) -> Vec<Forgotten> {
        let is_meant = |entry: &CheckMemory| {
            let of_check = match check {
                Some(check) => entry.kind.name() == check,
                None => {
                    OWN_PAST.contains(&entry.kind)
                        && !matches!(entry.shown, Status::Healthy | Status::Unknown)
                }
            };
            of_check && instance.is_none_or(|instance| *entry.instance == *instance)
        };
        let meant: Vec<CheckMemory> = self.checks.extract_if(.., |entry| is_meant(entry)).collect();
        for entry in &meant {
            self.forget_past(entry.kind, &entry.instance);
        }
        let forgotten = meant.into_iter();
        forgotten
            .map(|entry| Forgotten { check: entry.kind.id(), instance: entry.instance })
            .collect()
    }

    /// Whether there is a check of this name.
    #[must_use]
    pub fn is_check(name: &str) -> bool {
        CATALOGUE.iter().any(|def| def.id.as_str() == name)
    }

    /// Forgets what a check is compared with.
    fn forget_past(&mut self, kind: CheckKind, instance: &str) {
        let facts = &mut self.facts;
        let port = |ports: &mut [PortMemory], forget: fn(&mut PortMemory)| {
            ports.iter_mut().filter(|port| port.name == instance).for_each(forget);
        };
        match kind {
            CheckKind::GpuMissing => {
                facts.gpus.retain(|gpu| gpu.missing_since.is_none() || gpu.key != instance);
            }
            CheckKind::GpuNvlink => {
                let named = facts.gpus.iter_mut().filter(|gpu| gpu.index.to_string() == instance);
                named.for_each(|gpu| gpu.most_links = 0.0);
            }
            CheckKind::HardwareChanged if instance == checks::MEMORY => facts.memory = None,
            CheckKind::HardwareChanged if instance == checks::DISKS => {
                facts.disks = LearnedDisks::default();
            }
            CheckKind::HardwareChanged => {
                let adapter = |port: &PortMemory| adapter_of(&port.name) == instance;
                facts.ports.retain(|port| port.gone_since.is_none() || !adapter(port));
            }
            CheckKind::InfinibandLink => port(&mut facts.ports, |port| {
                (port.was_active, port.down_since) = (false, None);
                port.flaps.clear();
            }),
            CheckKind::InfinibandRate => port(&mut facts.ports, |port| {
                (port.rate, port.slower_since) = (0.0, None);
            }),
            CheckKind::GpuFault | CheckKind::KernelFault | CheckKind::NetworkFault => {
                let (device, code) = instance.rsplit_once(' ').unwrap_or(("", instance));
                let card = facts.gpus.iter().find(|gpu| gpu.index.to_string() == device);
                let device = card.map_or(device, |gpu| &gpu.pci_address);
                facts.faults.forget(code, device);
            }
            _ => {}
        }
    }
}
