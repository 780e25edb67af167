//! The metric catalogue: every metric Sickbay measures, once.
//!
//! Adding one is a line here. Numbers are stored in history and never reused; ranges are what can
//! be *true* of hardware, not what is healthy (thresholds are the engine's).

use crate::metric::{InstanceKind, MetricDef, MetricId, MetricKind, Unit};

macro_rules! catalogue {
    ($( $(#[doc = $help:literal])+ $id:literal $konst:ident $name:literal $unit:ident $kind:ident per $instance:ident $min:literal ..= $max:literal; )*) => {
        $( $(#[doc = $help])+ pub const $konst: MetricId = MetricId($id); )*

        /// Every metric, ascending by id.
        pub const ALL: &[MetricDef] = &[ $( MetricDef {
            id: $konst,
            name: $name,
            unit: Unit::$unit,
            kind: MetricKind::$kind,
            instance: InstanceKind::$instance,
            min: $min,
            max: $max,
            help: concat!($($help),+),
        }, )* ];
    };
}

catalogue! {
    // CPU
    /// Share of CPU time not idle since the previous collection, all cores together.
    1 CPU_USED "cpu_used_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of CPU time in user space, niced included.
    2 CPU_USER "cpu_user_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of CPU time in the kernel, interrupts included.
    3 CPU_SYSTEM "cpu_system_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of CPU time waiting for I/O.
    4 CPU_IOWAIT "cpu_iowait_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of CPU time taken by the hypervisor for other guests.
    5 CPU_STEAL "cpu_steal_percent" Percent Gauge per Node 0.0..=100.0;
    /// The busiest core's share of time not idle.
    6 CPU_BUSIEST_CORE "cpu_busiest_core_percent" Percent Gauge per Node 0.0..=100.0;
    /// Cores that were at least 90 % busy.
    7 CPU_SATURATED_CORES "cpu_saturated_cores" Count Gauge per Node 0.0..=65536.0;
    /// Cores online.
    8 CPU_CORES "cpu_cores" Count Gauge per Node 1.0..=65536.0;
    /// Load average over one minute.
    9 LOAD_1M "load_1m" Count Gauge per Node 0.0..=10000000.0;
    /// Load average over five minutes.
    10 LOAD_5M "load_5m" Count Gauge per Node 0.0..=10000000.0;
    /// Load average over fifteen minutes.
    11 LOAD_15M "load_15m" Count Gauge per Node 0.0..=10000000.0;
    /// Context switches per second.
    12 CONTEXT_SWITCHES "context_switches_per_second" PerSecond Gauge per Node 0.0..=1e12;
    /// Processes created per second.
    13 FORKS "forks_per_second" PerSecond Gauge per Node 0.0..=1e9;
    /// Interrupts served per second.
    14 INTERRUPTS "interrupts_per_second" PerSecond Gauge per Node 0.0..=1e12;

    // Pressure stalls
    /// Share of the last 10 s in which some task waited for CPU (PSI some avg10).
    20 PRESSURE_CPU_SOME "pressure_cpu_some_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of the last 10 s in which some task waited for memory (PSI some avg10).
    21 PRESSURE_MEMORY_SOME "pressure_memory_some_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of the last 10 s in which all tasks waited for memory (PSI full avg10).
    22 PRESSURE_MEMORY_FULL "pressure_memory_full_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of the last 10 s in which some task waited for I/O (PSI some avg10).
    23 PRESSURE_IO_SOME "pressure_io_some_percent" Percent Gauge per Node 0.0..=100.0;
    /// Share of the last 10 s in which all tasks waited for I/O (PSI full avg10).
    24 PRESSURE_IO_FULL "pressure_io_full_percent" Percent Gauge per Node 0.0..=100.0;

    // Memory
    /// Memory installed and usable by the kernel.
    30 MEMORY_TOTAL "memory_total_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Memory that can be given to programs without swapping (MemAvailable).
    31 MEMORY_AVAILABLE "memory_available_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Memory not available to programs, as a share of the total.
    32 MEMORY_USED "memory_used_percent" Percent Gauge per Node 0.0..=100.0;
    /// Page cache and buffers.
    33 MEMORY_CACHED "memory_cached_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Pages waiting to be written to disk.
    34 MEMORY_DIRTY "memory_dirty_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Kernel slab memory that cannot be reclaimed.
    35 MEMORY_SLAB_UNRECLAIMABLE "memory_slab_unreclaimable_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Swap configured.
    36 SWAP_TOTAL "swap_total_bytes" Bytes Gauge per Node 0.0..=1e18;
    /// Swap in use, as a share of the total; absent without swap.
    37 SWAP_USED "swap_used_percent" Percent Gauge per Node 0.0..=100.0;
    /// Pages swapped in per second.
    38 SWAP_IN "swap_in_pages_per_second" PerSecond Gauge per Node 0.0..=1e12;
    /// Pages swapped out per second.
    39 SWAP_OUT "swap_out_pages_per_second" PerSecond Gauge per Node 0.0..=1e12;
    /// Processes killed for lack of memory since boot.
    40 OOM_KILLS "oom_kills_total" Count Counter per Node 0.0..=1e15;
    /// Corrected memory errors since boot (EDAC).
    41 MEMORY_ERRORS_CORRECTED "memory_errors_corrected_total" Count Counter per Node 0.0..=1e15;
    /// Uncorrected memory errors since boot (EDAC).
    42 MEMORY_ERRORS_UNCORRECTED "memory_errors_uncorrected_total" Count Counter per Node 0.0..=1e15;

    /// Lines of the kernel's log that were overwritten before they could be read.
    43 KERNEL_LOG_DROPPED "kernel_log_dropped_total" Count Counter per Node 0.0..=1e18;

    // Filesystems
    /// Size of the filesystem.
    50 FILESYSTEM_SIZE "filesystem_size_bytes" Bytes Gauge per Filesystem 0.0..=1e20;
    /// Space an unprivileged program can still use.
    51 FILESYSTEM_FREE "filesystem_free_bytes" Bytes Gauge per Filesystem 0.0..=1e20;
    /// Space used, as `df` computes it (reserved blocks excluded).
    52 FILESYSTEM_USED "filesystem_used_percent" Percent Gauge per Filesystem 0.0..=100.0;
    /// Inodes used; absent where the filesystem has no fixed number.
    53 FILESYSTEM_INODES_USED "filesystem_inodes_used_percent" Percent Gauge per Filesystem 0.0..=100.0;
    /// 1 while mounted read-only.
    54 FILESYSTEM_READ_ONLY "filesystem_read_only" Boolean Gauge per Filesystem 0.0..=1.0;

    // Disks
    /// Bytes read per second.
    60 DISK_READ "disk_read_bytes_per_second" BytesPerSecond Gauge per Disk 0.0..=1e15;
    /// Bytes written per second.
    61 DISK_WRITE "disk_write_bytes_per_second" BytesPerSecond Gauge per Disk 0.0..=1e15;
    /// Reads finished per second.
    62 DISK_READS "disk_reads_per_second" PerSecond Gauge per Disk 0.0..=1e12;
    /// Writes finished per second.
    63 DISK_WRITES "disk_writes_per_second" PerSecond Gauge per Disk 0.0..=1e12;
    /// Share of the time in which the device was busy.
    64 DISK_BUSY "disk_busy_percent" Percent Gauge per Disk 0.0..=100.0;
    /// Mean time from request to completion, reads and writes together.
    65 DISK_LATENCY "disk_latency_ms" Milliseconds Gauge per Disk 0.0..=1e9;
    /// Requests in flight.
    66 DISK_IN_FLIGHT "disk_in_flight" Count Gauge per Disk 0.0..=1e9;

    // Network
    /// Bytes received per second.
    70 NETWORK_RECEIVE "network_receive_bytes_per_second" BytesPerSecond Gauge per Interface 0.0..=1e15;
    /// Bytes sent per second.
    71 NETWORK_TRANSMIT "network_transmit_bytes_per_second" BytesPerSecond Gauge per Interface 0.0..=1e15;
    /// Packets received with errors, per second.
    72 NETWORK_RECEIVE_ERRORS "network_receive_errors_per_second" PerSecond Gauge per Interface 0.0..=1e12;
    /// Packets not sent because of errors, per second.
    73 NETWORK_TRANSMIT_ERRORS "network_transmit_errors_per_second" PerSecond Gauge per Interface 0.0..=1e12;
    /// Received packets dropped, per second.
    74 NETWORK_RECEIVE_DROPS "network_receive_drops_per_second" PerSecond Gauge per Interface 0.0..=1e12;
    /// Packets dropped before sending, per second.
    75 NETWORK_TRANSMIT_DROPS "network_transmit_drops_per_second" PerSecond Gauge per Interface 0.0..=1e12;
    /// 1 while the link has carrier.
    76 NETWORK_LINK_UP "network_link_up" Boolean Gauge per Interface 0.0..=1.0;
    /// Negotiated speed, in bytes per second; absent where the driver does not say.
    77 NETWORK_SPEED "network_speed_bytes_per_second" BytesPerSecond Gauge per Interface 0.0..=1e15;
    /// Median round-trip time of the last probes.
    78 LATENCY "latency_ms" Milliseconds Gauge per Target 0.0..=600000.0;
    /// Share of the last probes that went unanswered.
    79 LATENCY_LOSS "latency_loss_percent" Percent Gauge per Target 0.0..=100.0;
    /// TCP segments sent again per second.
    80 TCP_RETRANSMITS "tcp_retransmits_per_second" PerSecond Gauge per Node 0.0..=1e12;
    /// Established TCP connections.
    81 TCP_ESTABLISHED "tcp_established" Count Gauge per Node 0.0..=1e9;

    // Host
    /// Temperature of a sensor.
    90 TEMPERATURE "temperature_celsius" Celsius Gauge per Sensor -273.0..=1000.0;
    /// The sensor's own critical limit.
    91 TEMPERATURE_CRITICAL "temperature_critical_celsius" Celsius Gauge per Sensor -273.0..=1000.0;
    /// File handles open in the whole system.
    92 FILE_HANDLES "file_handles" Count Gauge per Node 0.0..=1e19;
    /// File handles open, as a share of the system's limit.
    93 FILE_HANDLES_USED "file_handles_used_percent" Percent Gauge per Node 0.0..=100.0;
    /// Time since boot.
    94 UPTIME "uptime_seconds" Seconds Gauge per Node 0.0..=1e11;

    // Processes
    /// Processes.
    100 PROCESSES "processes" Count Gauge per Node 0.0..=1e8;
    /// Processes in uninterruptible sleep (state D).
    101 PROCESSES_BLOCKED "processes_blocked" Count Gauge per Node 0.0..=1e8;
    /// Zombie processes.
    102 PROCESSES_ZOMBIE "processes_zombie" Count Gauge per Node 0.0..=1e8;
    /// Processes taken for training: on a GPU, or matching a configured pattern.
    103 PROCESSES_TRAINING "processes_training" Count Gauge per Node 0.0..=1e8;

    // InfiniBand and RoCE
    /// Logical state of the port: 1 down, 2 init, 3 armed, 4 active, 5 active but deferred.
    120 INFINIBAND_STATE "infiniband_state" Count Gauge per Port 0.0..=15.0;
    /// Physical state of the port: 2 polling, 3 disabled, 4 training, 5 link up, 6 recovering.
    121 INFINIBAND_PHYSICAL_STATE "infiniband_physical_state" Count Gauge per Port 0.0..=15.0;
    /// Rate at which the port runs.
    122 INFINIBAND_RATE "infiniband_rate_bytes_per_second" BytesPerSecond Gauge per Port 0.0..=1e15;
    /// Rate at which half of the active ports of the same board and link layer run, or more; absent
    /// where there are fewer than two.
    123 INFINIBAND_PEERS_RATE "infiniband_peers_rate_bytes_per_second" BytesPerSecond Gauge per Port 0.0..=1e15;
    /// How often the port lost its link.
    124 INFINIBAND_LINK_DOWNED "infiniband_link_downed_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Symbol errors of the port.
    125 INFINIBAND_SYMBOL_ERRORS "infiniband_symbol_errors_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Times that buffers of the port overran for longer than flow control allows.
    126 INFINIBAND_BUFFER_OVERRUNS "infiniband_buffer_overruns_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Times that errors of the link were more than the port tolerates.
    127 INFINIBAND_INTEGRITY_ERRORS "infiniband_link_integrity_errors_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Times that all retries to a receiver that was not ready were used up.
    128 INFINIBAND_RETRIES_EXCEEDED "infiniband_rnr_retries_exceeded_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Packets with errors that the port received.
    129 INFINIBAND_RECEIVE_ERRORS "infiniband_receive_errors_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Acknowledgements that did not come in time; alone they mean little.
    130 INFINIBAND_ACK_TIMEOUTS "infiniband_ack_timeouts_total" Count Counter per Port 0.0..=1.8446744073709552e19;
    /// Bytes received per second.
    131 INFINIBAND_RECEIVE "infiniband_receive_bytes_per_second" BytesPerSecond Gauge per Port 0.0..=1e15;
    /// Bytes sent per second.
    132 INFINIBAND_TRANSMIT "infiniband_transmit_bytes_per_second" BytesPerSecond Gauge per Port 0.0..=1e15;

    // PCIe
    /// Lanes of the PCIe link of a network adapter or an NVMe disk.
    140 PCIE_WIDTH "pcie_width_lanes" Count Gauge per PciDevice 0.0..=64.0;
    /// Most lanes that the device and the port above it can both do.
    141 PCIE_WIDTH_MAX "pcie_width_max_lanes" Count Gauge per PciDevice 0.0..=64.0;
    /// PCIe generation at which the link runs.
    142 PCIE_GENERATION "pcie_generation" Count Gauge per PciDevice 0.0..=16.0;
    /// Highest PCIe generation that the device and the port above it can both do.
    143 PCIE_GENERATION_MAX "pcie_generation_max" Count Gauge per PciDevice 0.0..=16.0;
    /// Errors of the link that were corrected (PCIe advanced error reporting).
    144 PCIE_ERRORS_CORRECTED "pcie_errors_corrected_total" Count Counter per PciDevice 0.0..=1.8446744073709552e19;
    /// Errors that were not corrected, of which the link is still good.
    145 PCIE_ERRORS_NONFATAL "pcie_errors_nonfatal_total" Count Counter per PciDevice 0.0..=1.8446744073709552e19;
    /// Errors after which the link is not to be trusted.
    146 PCIE_ERRORS_FATAL "pcie_errors_fatal_total" Count Counter per PciDevice 0.0..=1.8446744073709552e19;

    // GPUs
    /// Share of the last sample period in which a kernel ran.
    200 GPU_UTILIZATION "gpu_utilization_percent" Percent Gauge per Gpu 0.0..=100.0;
    /// Share of the last sample period in which memory was read or written.
    201 GPU_MEMORY_UTILIZATION "gpu_memory_utilization_percent" Percent Gauge per Gpu 0.0..=100.0;
    /// Memory on the card.
    202 GPU_MEMORY_TOTAL "gpu_memory_total_bytes" Bytes Gauge per Gpu 0.0..=1e15;
    /// Memory in use on the card.
    203 GPU_MEMORY_USED_BYTES "gpu_memory_used_bytes" Bytes Gauge per Gpu 0.0..=1e15;
    /// Memory in use, as a share of the total.
    204 GPU_MEMORY_USED "gpu_memory_used_percent" Percent Gauge per Gpu 0.0..=100.0;
    /// Core temperature.
    205 GPU_TEMPERATURE "gpu_temperature_celsius" Celsius Gauge per Gpu -273.0..=1000.0;
    /// Memory temperature.
    206 GPU_MEMORY_TEMPERATURE "gpu_memory_temperature_celsius" Celsius Gauge per Gpu -273.0..=1000.0;
    /// Degrees left until the card slows down (T.Limit margin).
    207 GPU_TEMPERATURE_MARGIN "gpu_temperature_margin_celsius" Celsius Gauge per Gpu -1000.0..=1000.0;
    /// The card's own slowdown limit.
    208 GPU_TEMPERATURE_SLOWDOWN "gpu_temperature_slowdown_celsius" Celsius Gauge per Gpu -273.0..=1000.0;
    /// The card's own shutdown limit.
    209 GPU_TEMPERATURE_SHUTDOWN "gpu_temperature_shutdown_celsius" Celsius Gauge per Gpu -273.0..=1000.0;
    /// Power drawn.
    210 GPU_POWER "gpu_power_watts" Watts Gauge per Gpu 0.0..=100000.0;
    /// Power limit in force.
    211 GPU_POWER_LIMIT "gpu_power_limit_watts" Watts Gauge per Gpu 0.0..=100000.0;
    /// Fan speed as a share of its maximum.
    212 GPU_FAN "gpu_fan_percent" Percent Gauge per Gpu 0.0..=100.0;
    /// Streaming-multiprocessor (core) clock.
    213 GPU_CLOCK "gpu_clock_megahertz" Megahertz Gauge per Gpu 0.0..=100000.0;
    /// Highest core clock the card can run at.
    214 GPU_CLOCK_MAX "gpu_clock_max_megahertz" Megahertz Gauge per Gpu 0.0..=100000.0;
    /// Memory clock.
    215 GPU_MEMORY_CLOCK "gpu_memory_clock_megahertz" Megahertz Gauge per Gpu 0.0..=100000.0;
    /// Bit mask of the clock-event (throttle) reasons in force; see NVML's nvmlClocksEventReasons.
    216 GPU_THROTTLE_REASONS "gpu_throttle_reasons_mask" Count Gauge per Gpu 0.0..=1.8446744073709552e19;
    /// Uncorrected ECC errors since the driver was loaded.
    217 GPU_ECC_UNCORRECTED_VOLATILE "gpu_ecc_uncorrected_volatile_total" Count Counter per Gpu 0.0..=1.8446744073709552e19;
    /// Corrected ECC errors since the driver was loaded.
    218 GPU_ECC_CORRECTED_VOLATILE "gpu_ecc_corrected_volatile_total" Count Counter per Gpu 0.0..=1.8446744073709552e19;
    /// Uncorrected ECC errors over the card's life.
    219 GPU_ECC_UNCORRECTED_AGGREGATE "gpu_ecc_uncorrected_aggregate_total" Count Counter per Gpu 0.0..=1.8446744073709552e19;
    /// Corrected ECC errors over the card's life.
    220 GPU_ECC_CORRECTED_AGGREGATE "gpu_ecc_corrected_aggregate_total" Count Counter per Gpu 0.0..=1.8446744073709552e19;
    /// Memory pages retired over the card's life (before Ampere).
    221 GPU_RETIRED_PAGES "gpu_retired_pages_total" Count Counter per Gpu 0.0..=1e9;
    /// Rows remapped after corrected errors.
    222 GPU_REMAPPED_ROWS_CORRECTED "gpu_remapped_rows_corrected_total" Count Counter per Gpu 0.0..=1e9;
    /// Rows remapped after uncorrected errors.
    223 GPU_REMAPPED_ROWS_UNCORRECTED "gpu_remapped_rows_uncorrected_total" Count Counter per Gpu 0.0..=1e9;
    /// 1 while a row remap waits for a reset.
    224 GPU_REMAP_PENDING "gpu_row_remap_pending" Boolean Gauge per Gpu 0.0..=1.0;
    /// 1 after a row remap failed.
    225 GPU_REMAP_FAILED "gpu_row_remap_failed" Boolean Gauge per Gpu 0.0..=1.0;
    /// PCIe generation now.
    226 GPU_PCIE_GENERATION "gpu_pcie_generation" Count Gauge per Gpu 0.0..=16.0;
    /// Highest PCIe generation that card and slot can agree on.
    227 GPU_PCIE_GENERATION_MAX "gpu_pcie_generation_max" Count Gauge per Gpu 0.0..=16.0;
    /// PCIe lanes now.
    228 GPU_PCIE_WIDTH "gpu_pcie_width_lanes" Count Gauge per Gpu 0.0..=64.0;
    /// Most PCIe lanes that card and slot can agree on.
    229 GPU_PCIE_WIDTH_MAX "gpu_pcie_width_max_lanes" Count Gauge per Gpu 0.0..=64.0;
    /// PCIe replays since the driver was loaded.
    230 GPU_PCIE_REPLAYS "gpu_pcie_replays_total" Count Counter per Gpu 0.0..=1.8446744073709552e19;
    /// Bytes sent over PCIe per second.
    231 GPU_PCIE_TRANSMIT "gpu_pcie_transmit_bytes_per_second" BytesPerSecond Gauge per Gpu 0.0..=1e15;
    /// Bytes received over PCIe per second.
    232 GPU_PCIE_RECEIVE "gpu_pcie_receive_bytes_per_second" BytesPerSecond Gauge per Gpu 0.0..=1e15;
    /// NVLinks active.
    233 GPU_NVLINKS_ACTIVE "gpu_nvlinks_active" Count Gauge per Gpu 0.0..=64.0;
    /// NVLinks the card has.
    234 GPU_NVLINKS "gpu_nvlinks" Count Gauge per Gpu 0.0..=64.0;
    /// Recovery action the driver asks for: 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset.
    235 GPU_RECOVERY_ACTION "gpu_recovery_action" Count Gauge per Gpu 0.0..=255.0;
    /// Processes with a compute context on the card.
    236 GPU_PROCESSES "gpu_processes" Count Gauge per Gpu 0.0..=1e6;
    /// Performance state, 0 (highest) to 15.
    237 GPU_PERFORMANCE_STATE "gpu_performance_state" Count Gauge per Gpu 0.0..=32.0;
    /// Energy drawn since the driver was loaded.
    238 GPU_ENERGY "gpu_energy_joules_total" Joules Counter per Gpu 0.0..=1e18;
    /// T.Limit margin at which the hardware slows the card down; usually a little below zero.
    239 GPU_TEMPERATURE_MARGIN_SLOWDOWN "gpu_temperature_margin_slowdown_celsius" Celsius Gauge per Gpu -1000.0..=1000.0;
    /// 1 once so many errors of the card's SRAM could not be corrected that its maker's threshold for
    /// replacement is exceeded.
    240 GPU_ECC_SRAM_EXCEEDED "gpu_ecc_sram_threshold_exceeded" Boolean Gauge per Gpu 0.0..=1.0;
    /// 1 while the NVLink is active.
    250 NVLINK_ACTIVE "nvlink_active" Boolean Gauge per NvLink 0.0..=1.0;
    /// Replay errors of the NVLink.
    251 NVLINK_REPLAY_ERRORS "nvlink_replay_errors_total" Count Counter per NvLink 0.0..=1.8446744073709552e19;
    /// Recovery errors of the NVLink.
    252 NVLINK_RECOVERY_ERRORS "nvlink_recovery_errors_total" Count Counter per NvLink 0.0..=1.8446744073709552e19;
    /// CRC errors of the NVLink (flits).
    253 NVLINK_CRC_ERRORS "nvlink_crc_errors_total" Count Counter per NvLink 0.0..=1.8446744073709552e19;

    // Verdicts, kept as history like any reading
    /// Health score of the node, 0 to 100.
    900 SCORE "score" Count Gauge per Node 0.0..=100.0;
    /// Share of the applicable readiness checks that pass.
    901 READINESS "readiness_percent" Percent Gauge per Node 0.0..=100.0;
}

/// The entry of a metric.
#[must_use]
pub fn find(id: MetricId) -> Option<&'static MetricDef> {
    ALL.binary_search_by_key(&id, |def| def.id).ok().and_then(|at| ALL.get(at))
}

/// The entry with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static MetricDef> {
    ALL.iter().find(|def| def.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_names_are_unique_snake_case() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].name, pair[1].name);
        }
        let mut names: Vec<_> = ALL.iter().map(|def| def.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for def in ALL {
            assert!(
                def.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert!(def.min < def.max, "{}", def.name);
            assert!(!def.accepts(f64::NAN) && !def.accepts(f64::INFINITY), "{}", def.name);
            assert_eq!(find(def.id).map(|found| found.name), Some(def.name));
            assert_eq!(by_name(def.name).map(|found| found.id), Some(def.id));
        }
    }

    #[test]
    fn names_carry_their_unit_last() {
        for def in ALL {
            let suffix = match def.unit {
                Unit::Percent => "_percent",
                Unit::Bytes => "_bytes",
                Unit::BytesPerSecond => "_bytes_per_second",
                Unit::PerSecond => "_per_second",
                Unit::Seconds => "_seconds",
                Unit::Milliseconds => "_ms",
                Unit::Celsius => "_celsius",
                Unit::Watts => "_watts",
                Unit::Joules => "_joules",
                Unit::Megahertz => "_megahertz",
                Unit::Count | Unit::Boolean => "",
            };
            let bare = def.name.strip_suffix("_total").unwrap_or(def.name);
            assert!(bare.ends_with(suffix), "{}", def.name);
            assert_eq!(
                def.kind == MetricKind::Counter,
                def.name.ends_with("_total"),
                "{}: counters end in _total",
                def.name
            );
        }
    }
}
