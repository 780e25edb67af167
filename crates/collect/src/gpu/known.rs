//! The GPUs that were seen, so that one that is gone is told as gone.

use sickbay_model::{GpuCondition, GpuDevice};

use crate::gpu::MAX_GPUS;

/// The GPUs that were seen since this process started.
#[derive(Debug, Default)]
pub(super) struct KnownGpus(Vec<GpuDevice>);

impl KnownGpus {
    /// How many were seen.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether none was ever seen.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Completes a list: a GPU that could not say who it is gets the identity last seen at its
    /// address or index, and one that was seen before and is not listed is added as missing. A
    /// missing GPU keeps its index unless another now has it; then it gets the first free one from
    /// `base` on.
    pub(super) fn complete(&mut self, devices: &mut Vec<GpuDevice>, base: u32) {
        let mut absent: Vec<&GpuDevice> = self
            .0
            .iter()
            .filter(|known| !devices.iter().any(|device| same(device, known)))
            .collect();
        for device in devices.iter_mut().filter(|device| device.uuid.is_empty()) {
            let place = absent.iter().position(|known| is_where_it_was(device, known));
            if let Some(at) = place {
                let known = absent.swap_remove(at);
                *device = GpuDevice {
                    condition: device.condition,
                    unreadable: std::mem::take(&mut device.unreadable),
                    ..known.clone()
                };
            }
        }
        let missing: Vec<GpuDevice> = absent.into_iter().cloned().collect();
        let mut seen: Vec<GpuDevice> =
            devices.iter().filter(|device| is_identified(device)).cloned().collect();
        seen.extend_from_slice(&missing);
        seen.truncate(MAX_GPUS as usize);
        self.0 = seen;
        for mut device in missing {
            let was = device.index;
            let free = |index: &u32| !devices.iter().any(|other| other.index == *index);
            device.index = std::iter::once(was).chain(base..).find(free).unwrap_or(was);
            device.condition = GpuCondition::Missing;
            device.unreadable =
                vec![format!("the driver lists it no more; it was GPU {was} when last seen")];
            devices.push(device);
        }
        devices.sort_by_key(|device| device.index);
    }
}

fn is_identified(device: &GpuDevice) -> bool {
    !device.uuid.is_empty() || !device.pci_address.is_empty()
}

/// Whether two are the same GPU, by what survives renumbering: the unique id, or the address of a
/// model that has none.
fn same(device: &GpuDevice, known: &GpuDevice) -> bool {
    if device.uuid.is_empty() && known.uuid.is_empty() {
        !device.pci_address.is_empty() && device.pci_address == known.pci_address
    } else {
        device.uuid == known.uuid
    }
}

/// Whether a GPU that cannot say who it is stands where a known one stood.
fn is_where_it_was(device: &GpuDevice, known: &GpuDevice) -> bool {
    if device.pci_address.is_empty() {
        device.index == known.index
    } else {
        device.pci_address == known.pci_address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::unidentified;
    use sickbay_model::GpuVendor;

    fn gpu(index: u32, uuid: &str) -> GpuDevice {
        GpuDevice { uuid: uuid.to_owned(), ..unidentified(index, GpuVendor::Nvidia, "550.54.15") }
    }

    fn told(known: &mut KnownGpus, now: &[(u32, &str)]) -> Vec<(u32, String, GpuCondition)> {
        let mut devices: Vec<_> = now.iter().map(|&(index, uuid)| gpu(index, uuid)).collect();
        known.complete(&mut devices, 0);
        devices.into_iter().map(|gpu| (gpu.index, gpu.uuid, gpu.condition)).collect()
    }

    #[test]
    fn a_gpu_that_was_seen_is_never_forgotten() {
        use GpuCondition::{Answering, Missing};
        let all = [(0, "A"), (1, "B"), (2, "C")];
        let is = |index, uuid: &str, condition| (index, uuid.to_owned(), condition);
        for (now, expected) in [
            // The last one goes.
            (
                &[(0, "A"), (1, "B")][..],
                [is(0, "A", Answering), is(1, "B", Answering), is(2, "C", Missing)],
            ),
            // One in the middle goes and those above move down.
            (
                &[(0, "A"), (1, "C")],
                [is(0, "A", Answering), is(1, "C", Answering), is(2, "B", Missing)],
            ),
            // The driver numbers anew; nothing is missing.
            (
                &[(0, "C"), (1, "A"), (2, "B")],
                [is(0, "C", Answering), is(1, "A", Answering), is(2, "B", Answering)],
            ),
            // One cannot say who it is.
            (
                &[(0, "A"), (1, ""), (2, "C")],
                [is(0, "A", Answering), is(1, "B", Answering), is(2, "C", Answering)],
            ),
            // All are gone.
            (&[], [is(0, "A", Missing), is(1, "B", Missing), is(2, "C", Missing)]),
        ] {
            let mut known = KnownGpus::default();
            told(&mut known, &all);
            assert_eq!(told(&mut known, now), expected, "{now:?}");
            assert_eq!(told(&mut known, now), expected, "{now:?}, a second time");
            let back = [is(0, "A", Answering), is(1, "B", Answering), is(2, "C", Answering)];
            assert_eq!(told(&mut known, &all), back, "back after {now:?}");
        }
    }
}
