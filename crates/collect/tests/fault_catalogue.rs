//! The fault catalogue against lines as kernels print them: real forms, and those that look alike.

use sickbay_collect::FaultMatcher;
use sickbay_model::{FaultCatalogue, LogPosition};

/// What a line is found to be.
fn found(line: &str) -> String {
    match FaultMatcher::embedded().find(line.as_bytes(), 0, LogPosition(0)) {
        Some(found) => format!("{} {}", found.code, found.device),
        None => "nothing".to_owned(),
    }
}

#[test]
fn the_embedded_catalogue_is_valid_and_every_pattern_compiles() {
    let catalogue = FaultCatalogue::embedded();
    assert_eq!(catalogue.validate(), []);
    assert!(FaultMatcher::new(&catalogue).is_ok());
    assert!(catalogue.entries.len() > 130, "{}", catalogue.entries.len());
}

#[test]
fn every_family_finds_its_lines() {
    let mut families: Vec<String> = Vec::new();
    for (line, expected) in [
        (
            "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "xid-79 0000:3b:00.0",
        ),
        (
            "NVRM: Xid (PCI:0000:C1:00): 31, pid=41234, name=python3, Ch 00000010, intr 00000000. MMU Fault: ENGINE GRAPHICS",
            "xid-31 0000:c1:00.0",
        ),
        (
            "NVRM: Xid (PCI:0000:0f:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
            "xid-154 0000:0f:00.0",
        ),
        (
            "NVRM: Xid (PCI:0000:04:00): 149, NETIR_LINK_EVT Nonfatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
            "xid-149 0000:04:00.0",
        ),
        ("NVRM: Xid (PCI:0000:04:00): 777, something new", "xid-unknown 0000:04:00.0"),
        (
            "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 22003, Fatal, Link 44 host_req",
            "sxid-22003 0000:c1:00.0",
        ),
        (
            "nvidia-nvswitch0: SXid (PCI:0000:a9:00.0): 99999, Non-fatal, Link 1",
            "sxid-unknown 0000:a9:00.0",
        ),
        ("NVRM: GPU at PCI:0000:3b:00 has fallen off the bus.", "gpu-fallen-off 0000:3b:00.0"),
        (
            "NVRM: GPU 0000:3b:00.0: RmInitAdapter failed! (0x26:0x56:1474)",
            "gpu-init-failed 0000:3b:00.0",
        ),
        (
            "NVRM: API mismatch: the client has the version 550.90.07, but",
            "nvidia-version-mismatch ",
        ),
        (
            "amdgpu 0000:c1:00.0: amdgpu: ring comp_1.0.0 timeout, signaled seq=12, emitted seq=14",
            "amdgpu-ring-timeout 0000:c1:00.0",
        ),
        ("amdgpu 0000:c1:00.0: amdgpu: GPU reset(4) failed", "amdgpu-reset 0000:c1:00.0"),
        (
            "amdgpu 0000:c1:00.0: amdgpu: 2 uncorrectable hardware errors detected in umc block",
            "amdgpu-ras 0000:c1:00.0",
        ),
        (
            "amdgpu 0000:c1:00.0: amdgpu: [gfxhub0] no-retry page fault (src_id:0 ring:24 vmid:8 pasid:32769)",
            "amdgpu-page-fault 0000:c1:00.0",
        ),
        (
            "pcieport 0000:00:01.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer",
            "aer-fatal 0000:00:01.0",
        ),
        (
            "nvme 0000:5e:00.0: AER: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer",
            "aer-nonfatal 0000:5e:00.0",
        ),
        (
            "nvidia 0000:3b:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
            "aer-corrected 0000:3b:00.0",
        ),
        (
            "pcieport 0000:00:01.0: DPC: containment event, status:0x1f01 source:0x0000",
            "pcie-containment 0000:00:01.0",
        ),
        ("pcieport 0000:40:01.1: pciehp: Slot(12): Link Down", "pcie-link-down 0000:40:01.1"),
        ("NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.", "gpu-fallen-off 0000:3b:00.0"),
        (
            "thermal thermal_zone0: acpitz: critical temperature reached",
            "thermal-critical thermal_zone0",
        ),
        ("sd 2:0:0:0: Device offlined - not ready after error recovery", "disk-offline "),
        (
            "ixgbe 0000:01:00.0 eth0: NETDEV WATCHDOG: CPU: 3: transmit queue 0 timed out 5000 ms",
            "netdev-watchdog ",
        ),
        (
            "[drm:amdgpu_job_timedout [amdgpu]] *ERROR* ring gfx timeout, signaled seq=1, emitted seq=3",
            "amdgpu-ring-timeout ",
        ),
        (
            "mlx5_core 0000:81:00.0: poll_health:806:(pid 0): device's health compromised - reached miss count",
            "mlx5-health 0000:81:00.0",
        ),
        (
            "mlx5_core 0000:81:00.0: print_health_info:423:(pid 0): assert_var[0] 0x00000000",
            "mlx5-fatal 0000:81:00.0",
        ),
        (
            "mlx5_core 0000:81:00.0: wait_func:1135:(pid 4711): ENABLE_HCA(0x104) timeout. Will cause a leak of a command resource",
            "mlx5-command-timeout 0000:81:00.0",
        ),
        (
            "mlx5_core 0000:81:00.0: Port module event[error]: module 0, Cable error, High Temperature",
            "mlx5-temperature 0000:81:00.0",
        ),
        (
            "mlx5_core 0000:81:00.0: mlx5_pcie_event:301:(pid 268269): Detected insufficient power on the PCIe slot (27W).",
            "mlx5-power 0000:81:00.0",
        ),
        (
            "mlx5_core 0000:81:00.0: Port module event[error]: module 0, Cable error, Bus stuck (I2C or data shorted)",
            "mlx5-cable 0000:81:00.0",
        ),
        (
            "NETDEV WATCHDOG: CPU: 12: eth0 (ixgbe): transmit queue 4 timed out 5012 ms",
            "netdev-watchdog eth0",
        ),
        ("NETDEV WATCHDOG: ens3 (bnxt_en): transmit queue 0 timed out", "netdev-watchdog ens3"),
        (
            "nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0x10",
            "nvme-down nvme0",
        ),
        ("nvme nvme1: I/O 123 QID 4 timeout, aborting", "nvme-timeout nvme1"),
        (
            "nvme nvme1: I/O tag 12 (100c) opcode 0x2 (I/O Cmd) QID 4 timeout, reset controller",
            "nvme-timeout nvme1",
        ),
        ("critical medium error, dev sdb, sector 123456 op 0x0:(READ)", "medium-error sdb"),
        (
            "blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0",
            "io-error sda",
        ),
        ("sd 0:0:0:0: [sda] rejecting I/O to offline device", "disk-offline sda"),
        (
            "ata1.00: exception Emask 0x0 SAct 0x0 SErr 0x0 action 0x6 frozen",
            "ata-exception ata1.00",
        ),
        ("EXT4-fs (sda1): Remounting filesystem read-only", "filesystem-readonly sda1"),
        (
            "EXT4-fs error (device nvme0n1p2): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
            "filesystem-error nvme0n1p2",
        ),
        ("XFS (dm-0): log I/O error -5", "xfs-error dm-0"),
        (
            "XFS (md0): Corruption of in-memory data (0x8) detected at xfs_trans_cancel",
            "xfs-error md0",
        ),
        ("BTRFS error (device sdc1): parent transid verify failed", "btrfs-error sdc1"),
        ("nfs: server filer-2 not responding, still trying", "nfs-not-responding filer-2"),
        ("nfs: server filer-2 OK", "nfs-ok filer-2"),
        (
            "LustreError: 167-0: scratch-MDT0000-mdc-ffff: This client was evicted by scratch-MDT0000; in progress operations using this service will fail.",
            "lustre-lost scratch-MDT0000",
        ),
        (
            "Lustre: fsx-OST0004-osc-ffff9a1c: Connection to fsx-OST0004 (at 10.10.0.1@o2ib) was lost; in progress operations using this service will wait for recovery to complete",
            "lustre-lost fsx-OST0004",
        ),
        (
            "Lustre: MGC10.10.0.1@o2ib: Connection to MGS (at 10.10.0.1@o2ib) was lost; in progress operations using this service will fail",
            "lustre-lost MGC10.10.0.1@o2ib",
        ),
        (
            "Lustre: fsx-OST0004-osc-ffff9a1c: Connection restored to 10.10.0.1@o2ib (at 10.10.0.1@o2ib)",
            "lustre-ok fsx-OST0004",
        ),
        ("mce: CMCI storm detected: switching to poll mode", "mce-storm "),
        ("mce: CPU3 BANK7 CMCI storm detected", "mce-storm 3"),
        ("mce: CPU3 BANK7 CMCI storm subsided", "mce-storm-over 3"),
        (
            "mlx5_core 0000:5e:00.0: mlx5_pcie_event:306:(pid 9): PCIe slot advertised sufficient power (75W).",
            "mlx5-power-ok 0000:5e:00.0",
        ),
        ("mlx5_core 0000:5e:00.0 ens3np0: Link down", "mlx5-link-down 0000:5e:00.0"),
        ("ata4.00: disable device", "disk-offline ata4.00"),
        ("BERT: Error records from previous boot:", "bert-record "),
        ("NVRM: GPU 0000:3b:00.0 is already bound to nouveau.", "nvidia-nouveau 0000:3b:00.0"),
        ("ceph: mds0 hung", "ceph-hung 0"),
        (
            "Memory cgroup out of memory: Killed process 4242 (python3) total-vm:123kB",
            "oom-cgroup ",
        ),
        ("Out of memory: Killed process 4242 (python3) total-vm:123kB, anon-rss:1kB", "oom-kill "),
        (
            "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0",
            "edac-uncorrected MC0",
        ),
        (
            "EDAC MC1: 5 CE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0",
            "edac-corrected MC1",
        ),
        (
            "Memory failure: 0x1a2b3c: recovery action for dirty LRU page: Recovered",
            "memory-failure ",
        ),
        ("{1}[Hardware Error]: event severity: recoverable", "hardware-error "),
        ("mce: [Hardware Error]: Machine check events logged", "mce "),
        (
            "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 1: bf80000000100135",
            "mce-uncorrected 12",
        ),
        ("[Hardware Error]: Uncorrected, software restartable error.", "mce-uncorrected "),
        (
            "general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP PTI",
            "kernel-oops ",
        ),
        (
            "mce: CPU12: Package temperature above threshold, cpu clock throttled (total events = 1)",
            "cpu-throttled CPU12",
        ),
        (
            "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:123]",
            "soft-lockup CPU#3",
        ),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", "hard-lockup 3"),
        ("rcu: INFO: rcu_sched self-detected stall on CPU", "rcu-stall "),
        ("INFO: task nvidia-smi:4711 blocked for more than 120 seconds.", "hung-task-gpu "),
        ("INFO: task kworker/u8:2:123 blocked for more than 120 seconds.", "hung-task "),
        ("BUG: unable to handle page fault for address: ffffffffc0a0b000", "kernel-oops "),
        ("Kernel panic - not syncing: Fatal exception in interrupt", "kernel-panic "),
        ("Uhhuh. NMI received for unknown reason 3d on CPU 0.", "unknown-nmi "),
        ("thermal thermal_zone0: critical temperature reached", "thermal-critical thermal_zone0"),
        ("python3[4242]: segfault at 10 ip 00007f sp 00007f error 4 in libc.so.6", "segfault "),
    ] {
        assert_eq!(found(line), expected, "{line}");
        families.push(expected.split(' ').next().unwrap_or_default().to_owned());
    }
    // Each family that gives one code is among them.
    let catalogue = FaultCatalogue::embedded();
    for family in catalogue.families.iter().filter(|family| !family.code.contains('{')) {
        assert!(families.contains(&family.code), "{} has no line here", family.name);
    }
}

#[test]
fn a_line_of_edac_says_how_often() {
    for (line, times) in [
        ("EDAC MC1: 400 CE memory read error on CPU_SrcID#1_MC#1_Chan#0_DIMM#0", Some("400")),
        ("EDAC MC0: 2 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0", Some("2")),
        ("EDAC MC0: CE page 0x0, offset 0x0, grain 0, syndrome 0x0, row 0, channel 0", None),
    ] {
        let found = FaultMatcher::embedded().find(line.as_bytes(), 0, LogPosition(0));
        let facts = found.expect(line).facts;
        assert_eq!(facts.get("times").map(String::as_str), times, "{line}");
    }
}

#[test]
fn lines_that_look_alike_are_no_faults() {
    for line in [
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024",
        "NVRM: GPU at PCI:0000:3b:00: GPU-5b2f0a5e-7d5f-4d4b-9d2a-0c7a3f1f2a11",
        "NVRM: GPU Board Serial Number: 1650123456789",
        "nvidia-nvswitch0: open (major=510)",
        "amdgpu 0000:c1:00.0: amdgpu: GPU reset(2) succeeded!",
        "pcieport 0000:00:01.0: AER: enabled with IRQ 34",
        "pcieport 0000:00:01.0: DPC: enabled with IRQ 34",
        "pcieport 0000:40:01.1: pciehp: Slot(12): Link Up",
        "mlx5_core 0000:81:00.0: Port module event: module 0, Cable plugged",
        "nvme nvme0: Shutdown timeout set to 10 seconds",
        "nvme nvme0: I/O 12 QID 3 timeout, completion polled",
        "I/O error, dev loop0, sector 0 op 0x0:(READ)",
        "EXT4-fs (sda1): mounted filesystem with ordered data mode. Quota mode: none.",
        "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
        "XFS (dm-0): Mounting V5 Filesystem",
        "XFS (dm-0): Ending clean mount",
        "BTRFS info (device sdc1): using crc32c",
        "EDAC MC: Ver: 3.0.0",
        "mce: CPU supports 20 MCE banks",
        "mce: CPU12: Package temperature/speed normal",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "rcu: Hierarchical RCU implementation.",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=python3,pid=4242,uid=0",
        "python3 invoked oom-killer: gfp_mask=0x140cca",
        "thermal_sys: Registered thermal governor 'step_wise'",
        "ata1: SATA link up 6.0 Gbps (SStatus 133 SControl 300)",
        "Memory failure: 0x1a2b3c: already hardware poisoned",
        "traps: python3[4242] general protection fault ip:7f00 sp:7ffc error:0 in libc.so.6",
        "audit: type=1400 apparmor=\"DENIED\" operation=\"open\"",
    ] {
        assert_eq!(found(line), "nothing", "{line}");
    }
}
