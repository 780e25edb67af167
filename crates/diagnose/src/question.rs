//! What is asked: a fixed list.

use serde::Serialize;

/// How deep a diagnosis goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Seconds; reads only.
    Look,
    /// Minutes; loads GPUs, memory and links, and some tools write temporary files.
    Test,
}

/// What a question is about. If one of a group hangs, the others of it are not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Kernel, processor, memory, processes, services.
    System,
    /// The kernel's log and the firmware's.
    Logs,
    /// Disks and file systems.
    Storage,
    /// File systems that a server far away answers for.
    Mounts,
    /// The PCI bus.
    Pci,
    /// NVIDIA's driver and tools.
    Nvidia,
    /// AMD's driver and tools.
    Amd,
    /// Network and InfiniBand.
    Network,
}

impl Group {
    /// As files and program name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Logs => "logs",
            Self::Storage => "storage",
            Self::Mounts => "mounts",
            Self::Pci => "pci",
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
            Self::Network => "network",
        }
    }
}

/// One question: a command of ours, and its limits.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Question {
    /// Its name, and that of its file in the bundle.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// From which level on it is asked.
    pub level: Level,
    /// A program that must be there; empty for what every machine has.
    pub needs: &'static str,
    /// How long it may take, in seconds.
    pub seconds: u32,
    /// What the shell runs.
    pub command: &'static str,
}

const fn look(
    group: Group,
    id: &'static str,
    needs: &'static str,
    seconds: u32,
    command: &'static str,
) -> Question {
    Question { id, group, level: Level::Look, needs, seconds, command }
}

const fn test(
    group: Group,
    id: &'static str,
    needs: &'static str,
    seconds: u32,
    command: &'static str,
) -> Question {
    Question { id, group, level: Level::Test, needs, seconds, command }
}

/// All questions, in the order in which they are asked. No command names its arguments of processes
/// or the environment of any: that is where secrets are.
pub const QUESTIONS: &[Question] = &[
    look(
        Group::System,
        "kernel",
        "",
        5,
        "uname -a; cat /proc/cmdline /proc/version /etc/os-release",
    ),
    look(Group::System, "uptime", "", 5, "cat /proc/uptime /proc/loadavg; date -u; who -b"),
    look(Group::System, "processor", "lscpu", 5, "lscpu"),
    look(Group::System, "memory", "", 5, "cat /proc/meminfo /proc/buddyinfo /proc/vmstat"),
    look(Group::System, "pressure", "", 5, "head -n 3 /proc/pressure/*"),
    look(Group::System, "numa", "numactl", 5, "numactl --hardware"),
    look(
        Group::System,
        "machine",
        "",
        5,
        "head -n 1 /sys/class/dmi/id/*_vendor /sys/class/dmi/id/*_name /sys/class/dmi/id/*_version /sys/class/dmi/id/*_date",
    ),
    look(Group::System, "modules", "", 5, "cat /proc/modules"),
    look(
        Group::System,
        "processes",
        "ps",
        10,
        "ps -eo pid,ppid,user,stat,nlwp,etimes,pcpu,pmem,rss,wchan:32,comm --sort=-pcpu",
    ),
    look(
        Group::System,
        "blocked-tasks",
        "",
        10,
        "for p in /proc/[0-9]*; do read -r l <$p/stat && s=${l##*) } && case $s in D*) echo \"== ${p#/proc/} ${l#*(}\"; cat $p/stack; esac; done",
    ),
    look(
        Group::System,
        "failed-units",
        "systemctl",
        10,
        "systemctl --failed --no-pager --no-legend",
    ),
    look(Group::System, "sensors", "sensors", 10, "sensors"),
    look(Group::System, "edac", "", 5, "grep -r . /sys/devices/system/edac/mc/mc*/*_count"),
    look(
        Group::System,
        "ras",
        "ras-mc-ctl",
        10,
        "ras-mc-ctl --status; ras-mc-ctl --summary; ras-mc-ctl --errors",
    ),
    look(Group::Logs, "dmesg", "dmesg", 10, "dmesg --time-format iso || dmesg"),
    look(
        Group::Logs,
        "kernel-log",
        "journalctl",
        20,
        "journalctl -k -b 0 -o short-iso-precise --no-pager -n 20000",
    ),
    look(
        Group::Logs,
        "kernel-log-before",
        "journalctl",
        20,
        "journalctl -k -b -1 -o short-iso-precise --no-pager -n 5000",
    ),
    look(Group::Logs, "boots", "journalctl", 10, "journalctl --list-boots --no-pager"),
    look(
        Group::Logs,
        "services-log",
        "journalctl",
        20,
        "journalctl -b 0 -o short-iso --no-pager -n 3000 -u nvidia-persistenced -u nvidia-fabricmanager -u nvidia-dcgm -u nvidia-imex -u openibd -u opensm -u slurmd -u kubelet",
    ),
    look(Group::Logs, "fabric-manager", "", 5, "tail -n 2000 /var/log/fabricmanager.log"),
    look(Group::Logs, "event-log", "ipmitool", 20, "ipmitool sel elist"),
    look(Group::Logs, "board-sensors", "ipmitool", 20, "ipmitool sdr elist"),
    look(Group::Logs, "crash-records", "", 5, "ls -l /sys/fs/pstore /var/crash"),
    look(
        Group::Storage,
        "block-devices",
        "lsblk",
        10,
        "lsblk -o NAME,MODEL,SERIAL,SIZE,ROTA,TYPE,STATE,MOUNTPOINT",
    ),
    look(Group::Storage, "raid", "", 5, "cat /proc/mdstat"),
    look(
        Group::Storage,
        "nvme",
        "nvme",
        15,
        "nvme list; for d in /dev/nvme[0-9] /dev/nvme[0-9][0-9]; do [ -e $d ] && echo \"== $d\" && nvme smart-log $d; done",
    ),
    look(
        Group::Storage,
        "smart",
        "smartctl",
        30,
        "smartctl --scan | while read -r d x; do echo \"== $d\"; smartctl -H -A -i $d; done",
    ),
    look(Group::Storage, "local-space", "df", 10, "df -lPT; df -lPi"),
    look(Group::Mounts, "mounts", "", 5, "cat /proc/self/mountinfo"),
    look(Group::Mounts, "nfs", "nfsstat", 10, "nfsstat -m; nfsstat -c"),
    look(Group::Mounts, "all-space", "df", 15, "df -PT"),
    look(Group::Pci, "pci", "lspci", 10, "lspci -nn -D"),
    look(Group::Pci, "pci-tree", "lspci", 10, "lspci -tv"),
    look(Group::Pci, "pci-details", "lspci", 20, "lspci -vvv -D"),
    look(Group::Pci, "pci-errors", "", 5, "grep -r . /sys/bus/pci/devices/*/aer_dev_*"),
    look(
        Group::Nvidia,
        "driver",
        "",
        5,
        "cat /proc/driver/nvidia/version /proc/driver/nvidia/params /proc/driver/nvidia/gpus/*/information",
    ),
    look(Group::Nvidia, "nvidia-smi", "nvidia-smi", 20, "nvidia-smi"),
    look(Group::Nvidia, "nvidia-smi-q", "nvidia-smi", 30, "nvidia-smi -q"),
    look(Group::Nvidia, "topology", "nvidia-smi", 20, "nvidia-smi topo -m"),
    look(
        Group::Nvidia,
        "nvlink",
        "nvidia-smi",
        20,
        "nvidia-smi nvlink --status; nvidia-smi nvlink -e; nvidia-smi nvlink -c",
    ),
    look(Group::Nvidia, "dcgm-health", "dcgmi", 20, "dcgmi discovery -l; dcgmi health -g 0 -c"),
    look(
        Group::Nvidia,
        "container-toolkit",
        "nvidia-container-cli",
        15,
        "nvidia-container-cli info",
    ),
    look(Group::Amd, "rocm-smi", "rocm-smi", 20, "rocm-smi -a"),
    look(Group::Amd, "amd-smi", "amd-smi", 30, "amd-smi static; amd-smi metric; amd-smi bad-pages"),
    look(Group::Network, "links", "ip", 10, "ip -s -d link; ip -br addr; ip route"),
    look(
        Group::Network,
        "ethtool",
        "ethtool",
        20,
        "for i in /sys/class/net/*; do [ -e $i/device ] && i=${i##*/} && echo \"== $i\" && ethtool $i && ethtool -i $i && ethtool -S $i; done",
    ),
    look(Group::Network, "infiniband", "ibstat", 15, "ibstat"),
    look(Group::Network, "rdma", "rdma", 10, "rdma link; rdma statistic"),
    look(
        Group::Network,
        "infiniband-counters",
        "",
        10,
        "grep -r . /sys/class/infiniband/*/ports/*/counters /sys/class/infiniband/*/ports/*/hw_counters",
    ),
    look(Group::Network, "ofed", "ofed_info", 10, "ofed_info -s"),
    test(Group::Nvidia, "dcgm-diag", "dcgmi", 900, "dcgmi diag -r 2 -j"),
    test(
        Group::Nvidia,
        "nvbandwidth",
        "nvbandwidth",
        300,
        "nvbandwidth -t host_to_device_memcpy_ce device_to_host_memcpy_ce device_to_device_memcpy_read_ce",
    ),
    test(
        Group::Nvidia,
        "bug-report",
        "nvidia-bug-report.sh",
        300,
        "w=$(mktemp -d) && cd $w && nvidia-bug-report.sh --safe-mode --output-file report >/dev/null 2>&1 </dev/null; gzip -dc report.gz; rm -rf $w",
    ),
    test(Group::Amd, "rocm-bandwidth", "rocm-bandwidth-test", 300, "rocm-bandwidth-test"),
    test(
        Group::Network,
        "ibdiagnet",
        "ibdiagnet",
        300,
        "w=$(mktemp -d) && cd $w && ibdiagnet -o $w; rm -rf $w",
    ),
    test(Group::System, "memtester", "memtester", 300, "memtester 256M 1"),
];

/// How long all questions of a level take at the very most, in seconds: if one of each group hangs
/// and all others use up what they may.
#[must_use]
pub fn longest(level: Level) -> u64 {
    let asked = QUESTIONS.iter().filter(|question| question.level <= level);
    asked.map(|question| u64::from(question.seconds)).sum()
}
