//! What a node consists of and runs, as a client sees it.

use sickbay_model::{GpuDevice, Inventory, ProcessInfo, ProcessSummary};
use sickbay_wire::v1;

pub(super) fn inventory(inventory: &Inventory) -> v1::InventoryView {
    let host = &inventory.host;
    v1::InventoryView {
        hostname: host.hostname.clone(),
        os: host.os.clone(),
        kernel: host.kernel.clone(),
        architecture: host.architecture.clone(),
        cpu_model: host.cpu_model.clone(),
        cpu_count: host.cpu_count,
        memory_bytes: host.memory_bytes,
        boot_id: host.boot_id.clone(),
        virtualization: host.virtualization.clone(),
        gpus: inventory.gpus.iter().map(gpu).collect(),
        filesystems: inventory
            .filesystems
            .iter()
            .map(|filesystem| v1::FilesystemView {
                mount_point: filesystem.mount_point.clone(),
                kind: filesystem.kind.clone(),
                source: filesystem.source.clone(),
                remote: filesystem.remote,
                read_only: filesystem.read_only,
                unanswered: filesystem.unanswered.clone(),
            })
            .collect(),
        disks: inventory
            .disks
            .iter()
            .map(|disk| v1::DiskView {
                name: disk.name.clone(),
                model: disk.model.clone(),
                size_bytes: disk.size_bytes,
                rotational: disk.rotational,
            })
            .collect(),
        interfaces: inventory
            .interfaces
            .iter()
            .map(|interface| v1::InterfaceView {
                name: interface.name.clone(),
                operational_state: interface.operational_state.clone(),
                physical: interface.physical,
                default_route: interface.default_route,
            })
            .collect(),
    }
}

fn gpu(device: &GpuDevice) -> v1::GpuView {
    v1::GpuView {
        index: device.index,
        vendor: device.vendor,
        model: device.model.clone(),
        uuid: device.uuid.clone(),
        pci_address: device.pci_address.clone(),
        driver_version: device.driver_version.clone(),
        memory_bytes: device.memory_bytes,
    }
}

pub(super) fn processes(summary: &ProcessSummary) -> v1::ProcessesView {
    let list = |processes: &[ProcessInfo]| processes.iter().map(process).collect();
    v1::ProcessesView {
        top: list(&summary.top),
        blocked: list(&summary.blocked),
        zombies: list(&summary.zombies),
        training: list(&summary.training),
        missing_patterns: summary.missing_patterns.clone(),
    }
}

fn process(process: &ProcessInfo) -> v1::ProcessView {
    v1::ProcessView {
        pid: process.pid,
        name: process.name.clone(),
        command: process.command.clone(),
        state: process.state.to_string(),
        cpu_percent: process.cpu_percent,
        resident_bytes: process.resident_bytes,
        gpus: process.gpus.clone(),
        gpu_memory_bytes: process.gpu_memory_bytes,
        matched: process.matched.clone(),
    }
}
