//! What one host is: a recorded machine, moved on by time.

use std::fmt::Write as _;
use std::time::Duration;

/// Files that do not change, by the path that the program names them by.
macro_rules! recorded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../fixtures/host/gpu-server/", $path)))),*]
    };
}

const FAST: &[(&str, &str)] = recorded![
    "proc/loadavg",
    "proc/pressure/cpu",
    "proc/pressure/memory",
    "proc/pressure/io",
    "proc/meminfo",
    "proc/vmstat",
    "proc/diskstats",
    "proc/net/dev",
    "proc/net/snmp",
];
const STAT: &str = include_str!("../../../../fixtures/host/gpu-server/proc/stat");
const CPUINFO: &str = include_str!("../../../../fixtures/host/gpu-server/proc/cpuinfo");
const OS_RELEASE: &str = include_str!("../../../../fixtures/host/gpu-server/etc/os-release");
const HELP: &str = include_str!("../../../../fixtures/gpu/nvidia-smi/h100x8/help.txt");

/// Clock ticks a second, as the kernel counts CPU time.
const TICKS: u64 = 100;

/// How long the machine had been up when the fleet started, in seconds.
const UPTIME: f64 = 864_000.0;

/// How many GPUs it has.
const GPUS: u32 = 8;

/// How many processes run beside the training ones.
const PROCESSES: u32 = 200;

/// Local filesystems: mount point, device number, total and available blocks of 4 KiB.
const FILESYSTEMS: [(&str, &str, u64, u64); 2] =
    [("/", "253:0", 26_214_400, 18_350_080), ("/scratch", "9:127", 1_875_000_000, 1_100_000_000)];

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    number: usize,
}

impl Host {
    pub(crate) fn new(number: usize) -> Self {
        Self { name: format!("sim-{number:05}"), number }
    }

    /// What the kernel answers from memory, so long after the fleet started.
    pub(crate) fn fast(&self, elapsed: Duration, into: &mut Vec<u8>) {
        file(into, "proc/stat", &stat(elapsed));
        for (path, content) in FAST {
            file(into, path, content);
        }
        file(into, "proc/sys/fs/file-nr", "12000\t0\t9223372036854775807\n");
        file(into, "proc/sys/kernel/hostname", &format!("{}\n", self.name));
        let boot_id = format!("5b1ca7e0-0000-4000-8000-{:012x}\n", self.number);
        file(into, "proc/sys/kernel/random/boot_id", &boot_id);
        let uptime = UPTIME + elapsed.as_secs_f64();
        file(into, "proc/uptime", &format!("{uptime:.2} {:.2}\n", uptime * 100.0));
    }

    pub(crate) fn lasting(&self, into: &mut Vec<u8>) {
        file(into, "proc/cpuinfo", CPUINFO);
        file(into, "proc/sys/kernel/osrelease", "6.8.0-45-generic\n");
        file(into, "proc/sys/kernel/arch", "x86_64\n");
        file(into, "etc/os-release", OS_RELEASE);
    }

    /// Values that the program reads without a process: who sits on the bus.
    pub(crate) fn hardware(&self, into: &mut Vec<u8>) {
        let mut text = String::from(
            "proc/driver/nvidia/version there\ndev/nvidiactl there\nproc/1/cgroup ,0::/init.scope\n",
        );
        for gpu in 0..GPUS {
            let device = format!("sys/bus/pci/devices/{}", bus(gpu).to_lowercase());
            let _ = writeln!(text, "dev/nvidia{gpu} there\n{device}/class 0x030200");
            let _ = writeln!(text, "{device}/vendor 0x10de");
        }
        into.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn mountinfo(&self, into: &mut Vec<u8>) {
        let mut text = String::new();
        for (number, (point, device, ..)) in FILESYSTEMS.iter().enumerate() {
            let _ =
                writeln!(text, "{} 1 {device} / {point} rw - xfs /dev/md{number} rw", 22 + number);
        }
        file(into, "proc/self/mountinfo", &text);
    }

    pub(crate) fn space(&self, full: bool, into: &mut Vec<u8>) {
        for (point, _, blocks, available) in FILESYSTEMS {
            let available = if full && point == "/" { 0 } else { available };
            let line =
                format!("4096 {blocks} {available} {available} 100000000 99000000 {point}\n");
            into.extend_from_slice(line.as_bytes());
        }
    }

    pub(crate) fn links(&self, into: &mut Vec<u8>) {
        for (name, content) in [
            ("flags", "0x1003\n"),
            ("carrier", "1\n"),
            ("speed", "100000\n"),
            ("operstate", "up\n"),
        ] {
            file(into, &format!("sys/class/net/eno1/{name}"), content);
        }
        file(
            into,
            "proc/net/route",
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
        );
    }

    pub(crate) fn sensors(&self, elapsed: Duration, into: &mut Vec<u8>) {
        file(into, "sys/class/hwmon/hwmon0/name", "k10temp\n");
        let wave = elapsed.as_secs_f64() / 60.0 + self.number as f64;
        let celsius = 55.0 + 5.0 * wave.sin();
        file(into, "sys/class/hwmon/hwmon0/temp1_input", &format!("{:.0}\n", celsius * 1000.0));
        file(into, "sys/class/hwmon/hwmon0/temp1_label", "Tctl\n");
    }

    /// One file of all processes, in the order of their names.
    pub(crate) fn processes(&self, what: &str, idle: bool, elapsed: Duration, into: &mut Vec<u8>) {
        let mut all: Vec<(u32, &str)> =
            (1..=PROCESSES).map(|number| (100 + number * 7, "kworker")).collect();
        let jobs = if idle { 0 } else { GPUS };
        all.extend((0..jobs).map(|gpu| (41_001 + gpu, "python")));
        all.sort_by_key(|(pid, _)| pid.to_string());
        for (pid, name) in all {
            let ticks =
                if name == "python" { (elapsed.as_secs_f64() * TICKS as f64) as u64 } else { 0 };
            let content = match what {
                "stat" => format!(
                    "{pid} ({name}) S 1 {pid} {pid} 0 -1 4194560 100 0 0 0 {ticks} 5 0 0 20 0 1 0 5000 \
                     1000000000 250000 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"
                ),
                _ if name == "python" => {
                    format!("python\0train.py\0--rank\0{}\0", pid - 41_001)
                }
                _ => String::new(),
            };
            file(into, &format!("proc/{pid}/{what}"), &content);
        }
    }

    pub(crate) fn gpu_help(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(HELP.as_bytes());
    }

    /// A line for each GPU, its fields as asked for.
    pub(crate) fn gpu_query(
        &self,
        fields: &str,
        idle: bool,
        elapsed: Duration,
        into: &mut Vec<u8>,
    ) {
        for gpu in 0..GPUS {
            let values: Vec<_> =
                fields.split(',').map(|field| self.gpu_field(field, gpu, idle, elapsed)).collect();
            into.extend_from_slice(values.join(", ").as_bytes());
            into.push(b'\n');
        }
    }

    /// Which process is on which GPU.
    pub(crate) fn gpu_apps(&self, into: &mut Vec<u8>) {
        for gpu in 0..GPUS {
            into.extend_from_slice(
                format!("0000{}, {}, 71802\n", bus(gpu), 41_001 + gpu).as_bytes(),
            );
        }
    }

    fn gpu_field(&self, field: &str, gpu: u32, idle: bool, elapsed: Duration) -> String {
        let wave = (elapsed.as_secs_f64() / 30.0 + f64::from(gpu) + self.number as f64).sin();
        match field {
            "memory.used" if idle => "4".to_owned(),
            "utilization.gpu" | "utilization.memory" if idle => "0".to_owned(),
            "power.draw" | "power.draw.average" | "power.draw.instant" if idle => {
                format!("{:.2}", 72.0 + 2.0 * wave)
            }
            "index" => gpu.to_string(),
            "count" => GPUS.to_string(),
            "uuid" | "gpu_uuid" => {
                format!("GPU-5b1ca7e0-{:04x}-4d6e-9a30-{:012x}", gpu, self.number)
            }
            "pci.bus_id" | "gpu_bus_id" => format!("0000{}", bus(gpu)),
            "driver_version" => "550.54.15".to_owned(),
            "serial" | "gpu_serial" => format!("165132{:07}", self.number * 8 + gpu as usize),
            "mig.mode.current" => "Disabled".to_owned(),
            "memory.total" => "81559".to_owned(),
            "memory.used" => "72310".to_owned(),
            "utilization.gpu" => format!("{:.0}", 96.0 + 3.0 * wave),
            "utilization.memory" => format!("{:.0}", 60.0 + 5.0 * wave),
            "temperature.gpu" => format!("{:.0}", 58.0 + 4.0 * wave),
            "temperature.memory" => format!("{:.0}", 64.0 + 4.0 * wave),
            "power.draw" | "power.draw.average" | "power.draw.instant" => {
                format!("{:.2}", 610.0 + 40.0 * wave)
            }
            "enforced.power.limit" | "power.limit" => "700.00".to_owned(),
            "clocks.current.sm" | "clocks.sm" => "1935".to_owned(),
            "clocks.max.sm" => "1980".to_owned(),
            "clocks.current.memory" | "clocks.mem" => "2619".to_owned(),
            "clocks_event_reasons.active" | "clocks_throttle_reasons.active" => {
                "0x0000000000000000".to_owned()
            }
            "pstate" => "P0".to_owned(),
            "pcie.link.gen.current" | "pcie.link.gen.max" => "5".to_owned(),
            "pcie.link.width.current" | "pcie.link.width.max" => "16".to_owned(),
            "remapped_rows.pending" | "remapped_rows.failure" => "No".to_owned(),
            "name" | "gpu_name" => "NVIDIA H100 80GB HBM3".to_owned(),
            _ if field.starts_with("ecc.errors.") || field.starts_with("remapped_rows.") => {
                "0".to_owned()
            }
            _ => "[N/A]".to_owned(),
        }
    }
}

/// A GPU's PCI address, without the long domain.
fn bus(gpu: u32) -> String {
    format!("0000:{:02X}:00.0", 0x1b + gpu * 0x10)
}

/// As `head` writes one of several files.
pub(crate) fn file(into: &mut Vec<u8>, path: &str, content: &str) {
    into.extend_from_slice(b"\n==> ");
    into.extend_from_slice(path.as_bytes());
    into.extend_from_slice(b" <==\n");
    into.extend_from_slice(content.as_bytes());
}

/// CPU time that moved on: a third of it used.
fn stat(elapsed: Duration) -> String {
    let ticks = (elapsed.as_secs_f64() * TICKS as f64) as u64;
    let cpus = STAT.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1) as u64;
    let mut text = String::with_capacity(STAT.len() + 256);
    for line in STAT.lines() {
        let Some(rest) = line.strip_prefix("cpu") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let share = if rest.starts_with(' ') { ticks * cpus } else { ticks };
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        text.push_str(name);
        for (place, value) in rest.split_whitespace().enumerate() {
            let value: u64 = value.parse().unwrap_or(0);
            let grown = match place {
                0 => share / 3,
                3 => share - share / 3,
                _ => 0,
            };
            let _ = write!(text, " {}", value + grown);
        }
        text.push('\n');
    }
    text
}
