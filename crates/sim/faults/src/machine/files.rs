//! `/proc` and `/etc` of a simulated machine.

use std::fmt::Write as _;

use super::Machine;
use crate::scenario::MountState;
use crate::template::Mount;
use crate::tree::Tree;

/// Bytes of a block, in answers about space.
const BLOCK: u64 = 4096;

pub(super) fn proc(machine: &Machine, tree: &mut Tree) {
    let host = &machine.host;
    cpu(machine, tree);
    let total = host.memory_gib << 20;
    let share = |percent: f64| total as f64 * percent / 100.0;
    let available = total as f64 - share(host.memory);
    let swap: u64 = 8 << 20;
    let swap_free = swap as f64 * (1.0 - host.swap / 100.0);
    tree.put(
        "proc/meminfo",
        format!(
            "MemTotal:       {total} kB\nMemFree:        {:.0} kB\nMemAvailable:   {available:.0} kB\n\
             Buffers:          412340 kB\nCached:         {:.0} kB\nSwapCached:             0 kB\n\
             SwapTotal:      {swap} kB\nSwapFree:       {swap_free:.0} kB\nDirty:            20480 kB\n\
             Writeback:             0 kB\nSUnreclaim:      812340 kB\n",
            available * 0.6,
            available * 0.3,
        ),
    );
    tree.put(
        "proc/vmstat",
        format!("nr_free_pages 1\npswpin 0\npswpout 0\noom_kill {}\n", host.oom_kills),
    );
    for (name, kinds) in
        [("cpu", &["some"][..]), ("memory", &["some", "full"]), ("io", &["some", "full"])]
    {
        let mut text = String::new();
        for kind in kinds {
            let ten = host.pressure.get(&format!("{name}_{kind}")).copied().unwrap_or(0.12);
            let _ = writeln!(
                text,
                "{kind} avg10={ten:.2} avg60={ten:.2} avg300={ten:.2} total={:.0}",
                100_000.0 + machine.now
            );
        }
        tree.put(format!("proc/pressure/{name}"), text);
    }
    tree.put("proc/sys/fs/file-nr", format!("{}\t0\t9223372\n", host.file_handles));
    tree.put("proc/sys/kernel/hostname", "node-07\n");
    tree.put("proc/sys/kernel/osrelease", "5.15.0-119-generic\n");
    tree.put("proc/sys/kernel/arch", format!("{}\n", machine.template.architecture));
    tree.put(
        "proc/sys/kernel/random/boot_id",
        format!("6f1d4a02-77c3-4f0e-9a51-0000000000{:02x}\n", machine.boots),
    );
    tree.put("proc/uptime", format!("{:.2} {:.2}\n", machine.uptime(), machine.uptime() * 20.0));
    tree.put(
        "etc/os-release",
        "PRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nID=ubuntu\n",
    );
    disks(machine, tree);
    network(machine, tree);
    mounts(machine, tree);
    processes(machine, tree);
    if machine.template.container {
        tree.put(".dockerenv", "");
        tree.put("proc/1/cgroup", "0::/docker/4b1c\n");
    } else {
        tree.put("proc/1/cgroup", "0::/init.scope\n");
    }
}

fn cpu(machine: &Machine, tree: &mut Tree) {
    let (cores, counters) = (machine.template.cores, &machine.counters);
    let line = |name: &str, share: f64| {
        let user = 1_000_000.0 * share + counters.busy_ticks * share;
        let idle = 9_000_000.0 * share + counters.idle_ticks * share;
        format!("{name} {user:.0} 0 {:.0} {idle:.0} 0 0 0 0 0 0\n", 50_000.0 * share)
    };
    let mut text = line("cpu ", 1.0);
    for core in 0..cores {
        text += &line(&format!("cpu{core}"), 1.0 / f64::from(cores));
    }
    let _ = write!(
        text,
        "intr {:.0}\nctxt {:.0}\nbtime 1768000000\nprocesses {:.0}\n",
        1e6 + counters.seconds * 9000.0,
        1e6 + counters.seconds * 21_000.0,
        1e5 + counters.seconds * 12.0
    );
    tree.put("proc/stat", text);
    let load = f64::from(cores) * machine.host.cpu / 100.0;
    tree.put("proc/loadavg", format!("{load:.2} {load:.2} {load:.2} 3/1200 99999\n"));
    let mut info = String::new();
    for core in 0..cores {
        let _ = write!(
            info,
            "processor\t: {core}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480C\nflags\t\t: fpu vme lm{}\n\n",
            if machine.template.r#virtual { " hypervisor" } else { "" }
        );
    }
    tree.put("proc/cpuinfo", info);
}

fn disks(machine: &Machine, tree: &mut Tree) {
    let mut text = String::new();
    let count = |rate: f64| 100_000.0 + machine.counters.seconds * rate;
    for (number, disk) in machine.template.disks.iter().enumerate() {
        let (major, minor) =
            if disk.starts_with("nvme") { (259, number * 4) } else { (8, number * 16) };
        let _ = writeln!(
            text,
            " {major:3} {minor:7} {disk} {:.0} 10 {:.0} {:.0} {:.0} 20 {:.0} {:.0} 0 {:.0} {:.0} 0 0 0 0 0 0",
            count(30.0),
            count(4000.0),
            count(12.0),
            count(20.0),
            count(3000.0),
            count(9.0),
            count(40.0),
            count(60.0)
        );
        tree.put(format!("sys/block/{disk}/size"), "3750748848\n");
        tree.put(format!("sys/block/{disk}/queue/rotational"), "0\n");
        tree.put(format!("sys/block/{disk}/device/model"), "SAMSUNG MZQL21T9HCJR-00A07\n");
    }
    tree.put("proc/diskstats", text);
}

fn network(machine: &Machine, tree: &mut Tree) {
    let mut text = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n".to_owned();
    let seconds = machine.counters.seconds;
    for (name, speed) in &machine.template.interfaces {
        let state = machine.links.get(name).map_or("up", String::as_str);
        let count = |of: &std::collections::BTreeMap<String, f64>| {
            of.get(name).copied().unwrap_or(0.0).floor()
        };
        let (errors, drops) =
            (count(&machine.counters.net_errors), count(&machine.counters.net_drops));
        let (bytes, packets) =
            if state == "up" { (seconds * 2e6, seconds * 1500.0) } else { (0.0, 0.0) };
        let _ = writeln!(
            text,
            "{name:>6}: {:.0} {:.0} {errors} {drops} 0 0 0 0 {:.0} {:.0} 0 0 0 0 0 0",
            1e9 + bytes,
            1e6 + packets,
            1e9 + bytes,
            1e6 + packets
        );
        let at = format!("sys/class/net/{name}");
        let (flags, carrier, shown, word) = match state {
            "up" => ("0x1003", Some("1"), *speed, "up"),
            "off" => ("0x1002", None, -1, "down"),
            _ => ("0x1003", Some("0"), -1, "down"),
        };
        tree.put(format!("{at}/flags"), format!("{flags}\n"));
        if let Some(carrier) = carrier {
            tree.put(format!("{at}/carrier"), format!("{carrier}\n"));
        }
        tree.put(format!("{at}/speed"), format!("{shown}\n"));
        tree.put(format!("{at}/operstate"), format!("{word}\n"));
        tree.put(format!("{at}/device/uevent"), "DRIVER=ice\n");
    }
    tree.put("proc/net/dev", text);
    let sent = 1e6 + seconds * 900.0;
    tree.put("proc/net/snmp", format!("Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\nTcp: 1 200 120000 -1 1 2 3 4 81 {sent:.0} {sent:.0} {:.0} 0 1 0\n", 700.0 + seconds * 0.1));
}

/// A mount that is there, how it is, and what it answers about its space; `None` where it hangs.
pub(super) struct Mounted<'a> {
    pub(super) point: &'a str,
    pub(super) mount: &'a Mount,
    pub(super) state: MountState,
    pub(super) device: (u32, u32),
}

impl Mounted<'_> {
    /// `BLOCK_BYTES BLOCKS FREE AVAILABLE INODES FREE_INODES`.
    fn space(&self, machine: &Machine) -> String {
        let used = machine.space.get(self.point).copied().unwrap_or(self.mount.used);
        let blocks = (self.mount.gib << 30) / BLOCK;
        let free = (blocks as f64 * (1.0 - used / 100.0)).round();
        let inodes: u64 = 100_000_000;
        let inodes_used = machine.inodes.get(self.point).copied().unwrap_or(4.0);
        let free_inodes = (inodes as f64 * (1.0 - inodes_used / 100.0)).round();
        format!("{BLOCK} {blocks} {free:.0} {free:.0} {inodes} {free_inodes:.0}")
    }
}

pub(super) fn mounted(machine: &Machine) -> Vec<Mounted<'_>> {
    let mut all = Vec::new();
    for (number, (point, mount)) in (0_u32..).zip(&machine.template.mounts) {
        let state = machine.mounts.get(point).copied().unwrap_or(MountState::Rw);
        if state != MountState::Gone {
            let device = if mount.device.starts_with('/') {
                (259, number * 4 + 2)
            } else {
                (0, 44 + number)
            };
            all.push(Mounted { point, mount, state, device });
        }
    }
    all
}

fn mounts(machine: &Machine, tree: &mut Tree) {
    let mut lines = "23 22 0:5 / /proc rw - proc proc rw\n24 22 0:6 / /sys rw - sysfs sysfs rw\n25 22 0:7 / /dev rw - devtmpfs udev rw\n26 25 0:24 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw\n".to_owned();
    let mut record = format!("{BLOCK} 1000000 990000 990000 1000000 999000 /dev/shm\n");
    for (number, one) in (30..).zip(mounted(machine)) {
        let (mine, whole) = match one.state {
            MountState::ErrorRo => ("rw,relatime", "ro"),
            MountState::MountedRo => ("ro,relatime", "ro"),
            _ => ("rw,relatime", "rw"),
        };
        let (major, minor) = one.device;
        let Mount { kind, device, .. } = one.mount;
        let _ = writeln!(
            lines,
            "{number} 1 {major}:{minor} / {} {mine} shared:1 - {kind} {device} {whole}",
            one.point
        );
        let answer = match one.state {
            MountState::Hang => "hang".to_owned(),
            MountState::Stale => "error 116".to_owned(),
            MountState::IoError => "error 5".to_owned(),
            _ => one.space(machine),
        };
        let _ = writeln!(record, "{answer} {}", one.point);
    }
    tree.put("proc/self/mountinfo", lines);
    tree.put("statvfs", record);
}

fn processes(machine: &Machine, tree: &mut Tree) {
    let mut put = |pid: u32, name: &str, state: &str, command: &str| {
        let ticks = 10_000.0 + machine.now * if state == "R" { 90.0 } else { 1.0 };
        tree.put(
            format!("proc/{pid}/stat"),
            format!("{pid} ({name}) {state} 1 {pid} {pid} 0 -1 4194304 100 0 0 0 {ticks:.0} 1000 0 0 20 0 1 0 600 10000000 20000 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 0 0 0 0 0 0\n"),
        );
        let words: String = command
            .split(' ')
            .filter(|word| !word.is_empty())
            .flat_map(|word| [word, "\0"])
            .collect();
        tree.put(format!("proc/{pid}/cmdline"), words);
    };
    let ended = |pid: u32| matches!(machine.processes.get(&pid), Some(None));
    put(1, "systemd", "S", "/sbin/init");
    put(2, "kthreadd", "S", "");
    put(900, "sshd", "S", "/usr/sbin/sshd -D");
    if machine.gpus.is_some() && !machine.template.container {
        put(1450, "nvidia-persiste", "S", "/usr/bin/nvidia-persistenced --verbose");
    }
    let amd_job = machine.template.amd.as_ref().map(|_| vec![crate::gpus::FIRST_JOB_PID]);
    let jobs =
        machine.gpus.as_ref().map(crate::gpus::Gpus::job_pids).or(amd_job).unwrap_or_default();
    for pid in jobs.into_iter().filter(|&pid| !ended(pid)) {
        put(pid, "python", "R", "/opt/venv/bin/python -u train.py --config llama-70b.yaml");
    }
    for number in 0..machine.host.zombies {
        put(70_000 + number, "sh", "Z", "");
    }
    for (&pid, told) in &machine.processes {
        let Some(told) = told else { continue };
        let mut words = told.splitn(3, ' ');
        let (name, state) = (words.next().unwrap_or("sh"), words.next().unwrap_or("S"));
        put(pid, name, state, words.next().unwrap_or(""));
    }
}
