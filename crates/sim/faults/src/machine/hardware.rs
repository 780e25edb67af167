//! `/sys` and `/dev` of a simulated machine.

use std::fmt::Write as _;

use super::Machine;
use crate::template::Template;
use crate::tree::Tree;

/// Counters of an InfiniBand port.
const COUNTERS: [&str; 17] = [
    "symbol_error",
    "link_error_recovery",
    "link_downed",
    "port_rcv_errors",
    "port_rcv_remote_physical_errors",
    "port_rcv_switch_relay_errors",
    "port_xmit_discards",
    "port_xmit_constraint_errors",
    "port_rcv_constraint_errors",
    "local_link_integrity_errors",
    "excessive_buffer_overrun_errors",
    "VL15_dropped",
    "port_xmit_wait",
    "port_rcv_data",
    "port_xmit_data",
    "port_rcv_packets",
    "port_xmit_packets",
];

/// Counters of its adapter's transport.
const HARDWARE_COUNTERS: [&str; 12] = [
    "rnr_nak_retry_err",
    "packet_seq_err",
    "out_of_sequence",
    "out_of_buffer",
    "local_ack_timeout_err",
    "implied_nak_seq_err",
    "duplicate_request",
    "req_cqe_error",
    "resp_cqe_error",
    "req_transport_retries_exceeded",
    "roce_slow_restart",
    "rx_icrc_encapsulated",
];

/// The file of a port: `state`, or a counter by its name.
pub(super) fn port_file(device: &str, name: &str) -> String {
    let folder = if COUNTERS.contains(&name) {
        "counters/"
    } else if HARDWARE_COUNTERS.contains(&name) {
        "hw_counters/"
    } else {
        ""
    };
    format!("sys/class/infiniband/{device}/ports/1/{folder}{name}")
}

pub(super) fn adapter_address(bus: &str) -> String {
    format!("0000:{bus}:00.0")
}

pub(super) fn nvme_address(template: &Template, device: &str) -> Option<String> {
    let namespace = device.strip_suffix("n1").unwrap_or(device);
    let number: usize = namespace.strip_prefix("nvme")?.parse().ok()?;
    let there = template.disks.iter().any(|disk| disk.starts_with(namespace));
    there.then(|| format!("0000:{:02x}:00.0", 0x6a + number))
}

pub(super) fn sys(machine: &Machine, tree: &mut Tree) {
    let template = &machine.template;
    pci(machine, tree);
    infiniband(machine, tree);
    sensors(template, tree);
    if let Some(amd) = &template.amd {
        for (number, bus) in amd.buses.iter().take(amd.count).enumerate() {
            amd_card(number, bus, &amd.name, tree);
        }
        tree.put("sys/module/amdgpu/version", "6.8.5\n");
    }
    if !template.r#virtual && !template.container {
        for controller in 0..2 {
            let at = format!("sys/devices/system/edac/mc/mc{controller}");
            let of = |count: u64| if controller == 0 { count } else { 0 };
            tree.put(format!("{at}/ce_count"), format!("{}\n", of(machine.host.edac_ce)));
            tree.put(format!("{at}/ue_count"), format!("{}\n", of(machine.host.edac_ue)));
        }
    }
    if template.r#virtual {
        tree.put("sys/class/dmi/id/sys_vendor", "Google\n");
        tree.put("sys/class/dmi/id/product_name", "Google Compute Engine\n");
    } else {
        tree.put("sys/class/dmi/id/sys_vendor", "Supermicro\n");
        tree.put("sys/class/dmi/id/product_name", "SYS-821GE-TNHR\n");
    }
    if let Some(gpus) = &machine.gpus
        && gpus.condition != crate::scenario::Driver::NotLoaded
    {
        tree.put(
            "proc/driver/nvidia/version",
            format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}\n", gpus.driver),
        );
        tree.put("dev/nvidiactl", "");
        for number in 0..gpus.count() {
            tree.put(format!("dev/nvidia{number}"), "");
        }
    }
}

struct Device<'a> {
    address: &'a str,
    class: &'a str,
    vendor: &'a str,
    speed: (&'a str, &'a str),
    width: (u64, u64),
}

fn device(device: &Device<'_>, errors: bool, tree: &mut Tree) {
    let at = format!("sys/bus/pci/devices/{}", device.address);
    let mut put =
        |name: &str, value: String| tree.put(format!("{at}/{name}"), format!("{value}\n"));
    put("class", device.class.to_owned());
    put("vendor", device.vendor.to_owned());
    put("current_link_speed", device.speed.0.to_owned());
    put("max_link_speed", device.speed.1.to_owned());
    put("current_link_width", device.width.0.to_string());
    put("max_link_width", device.width.1.to_string());
    if errors {
        let of = |names: &[&str], total: &str| {
            let mut text = String::new();
            for name in names {
                let _ = writeln!(text, "{name} 0");
            }
            format!("{text}{total} 0")
        };
        put(
            "aer_dev_correctable",
            of(
                &[
                    "RxErr",
                    "BadTLP",
                    "BadDLLP",
                    "Rollover",
                    "Timeout",
                    "NonFatalErr",
                    "CorrIntErr",
                    "HeaderOF",
                ],
                "TOTAL_ERR_COR",
            ),
        );
        let fatal = [
            "Undefined",
            "DLP",
            "SDES",
            "TLP",
            "FCP",
            "CmpltTO",
            "CmpltAbrt",
            "UnxCmplt",
            "RxOF",
            "MalfTLP",
            "ECRC",
            "UnsupReq",
            "ACSViol",
            "UncorrIntErr",
            "BlockedTLP",
            "AtomicOpBlocked",
            "TLPBlockedErr",
            "PoisonTLPBlocked",
        ];
        put("aer_dev_nonfatal", of(&fatal, "TOTAL_ERR_NONFATAL"));
        put("aer_dev_fatal", of(&fatal, "TOTAL_ERR_FATAL"));
    }
}

/// A generation's speed as the kernel words it.
const fn speed(generation: u64) -> &'static str {
    match generation {
        1 => "2.5 GT/s PCIe",
        2 => "5.0 GT/s PCIe",
        3 => "8.0 GT/s PCIe",
        4 => "16.0 GT/s PCIe",
        5 => "32.0 GT/s PCIe",
        _ => "64.0 GT/s PCIe",
    }
}

fn pci(machine: &Machine, tree: &mut Tree) {
    let template = &machine.template;
    let errors = !template.r#virtual && !template.container;
    if let Some(gpus) = &machine.gpus {
        for (address, link) in gpus.on_the_bus() {
            let number = |name: &str| link[name].as_u64().unwrap_or(1);
            device(
                &Device {
                    address,
                    class: "0x030200",
                    vendor: "0x10de",
                    speed: (speed(number("generation")), speed(number("max_generation"))),
                    width: (number("width"), number("max_width")),
                },
                errors,
                tree,
            );
            tree.link(
                format!("sys/bus/pci/devices/{address}/driver"),
                "../../../bus/pci/drivers/nvidia",
            );
        }
    }
    let adapters = template.infiniband.iter().flat_map(|all| &all.buses);
    for bus in adapters {
        let address = adapter_address(bus);
        let link = Device {
            address: &address,
            class: "0x020700",
            vendor: "0x15b3",
            speed: (speed(5), speed(5)),
            width: (16, 16),
        };
        device(&link, errors, tree);
        tree.link(
            format!("sys/bus/pci/devices/{address}/driver"),
            "../../../bus/pci/drivers/mlx5_core",
        );
    }
    for disk in &template.disks {
        if let Some(address) = nvme_address(template, disk) {
            let link = Device {
                address: &address,
                class: "0x010802",
                vendor: "0x144d",
                speed: (speed(4), speed(4)),
                width: (4, 4),
            };
            device(&link, errors, tree);
            tree.link(
                format!("sys/bus/pci/devices/{address}/driver"),
                "../../../bus/pci/drivers/nvme",
            );
        }
    }
}

fn infiniband(machine: &Machine, tree: &mut Tree) {
    let Some(adapters) = &machine.template.infiniband else { return };
    for (number, bus) in adapters.buses.iter().enumerate() {
        let name = format!("mlx5_{number}");
        let at = format!("sys/class/infiniband/{name}");
        let port = format!("{at}/ports/1");
        let (state, physical, rate) =
            match machine.infiniband.get(&name).map_or("active", String::as_str) {
                "active" => ("4: ACTIVE", "5: LinkUp", adapters.rate.as_str()),
                "init" => ("2: INIT", "5: LinkUp", adapters.rate.as_str()),
                "polling" => ("1: DOWN", "2: Polling", "10 Gb/sec (4X SDR)"),
                "gone" => continue,
                _ => ("1: DOWN", "3: Disabled", "10 Gb/sec (4X SDR)"),
            };
        for (file, value) in [
            (format!("{at}/fw_ver"), "28.39.3560"),
            (format!("{at}/hca_type"), adapters.r#type.as_str()),
            (format!("{at}/board_id"), "MT_0000000838"),
            (format!("{port}/state"), state),
            (format!("{port}/phys_state"), physical),
            (format!("{port}/rate"), rate),
            (
                format!("{port}/link_layer"),
                if adapters.ethernet { "Ethernet" } else { "InfiniBand" },
            ),
        ] {
            tree.put(file, format!("{value}\n"));
        }
        for counter in COUNTERS {
            let grown = if state.starts_with('4') { machine.counters.seconds } else { 0.0 };
            let value = match counter {
                "port_rcv_data" | "port_xmit_data" => 1e12 + grown * 5e9,
                "port_rcv_packets" | "port_xmit_packets" => 1e9 + grown * 5e6,
                _ => 0.0,
            };
            tree.put(format!("{port}/counters/{counter}"), format!("{value:.0}\n"));
        }
        for counter in HARDWARE_COUNTERS {
            tree.put(format!("{port}/hw_counters/{counter}"), "0\n");
        }
        tree.link(format!("{at}/device"), format!("../../../{}", adapter_address(bus)));
    }
}

fn sensors(template: &Template, tree: &mut Tree) {
    for (number, (name, degrees)) in template.sensors.iter().enumerate() {
        let at = format!("sys/class/hwmon/hwmon{number}");
        let (chip, label, critical) = match name.split_once('-') {
            Some((chip, package)) => (chip, format!("Package id {package}"), 100_000),
            None => (name.as_str(), "Composite".to_owned(), 84_850),
        };
        tree.put(format!("{at}/name"), format!("{chip}\n"));
        tree.put(format!("{at}/temp1_label"), format!("{label}\n"));
        tree.put(format!("{at}/temp1_input"), format!("{:.0}\n", degrees * 1000.0));
        tree.put(format!("{at}/temp1_crit"), format!("{critical}\n"));
        tree.link(format!("{at}/device"), format!("../../{chip}.{number}"));
    }
}

/// What an AMD card calls itself.
pub(super) fn amd_unique_id(number: usize) -> String {
    format!("9f2a7c51e03b4d{number:02x}")
}

fn amd_card(number: usize, bus: &str, name: &str, tree: &mut Tree) {
    let at = format!("sys/class/drm/card{}/device", number + 1);
    let hwmon = format!("{at}/hwmon/hwmon{}", number + 20);
    let address = format!("0000:{bus}:00.0");
    let unique = amd_unique_id(number);
    let serial = format!("69234100{number:04}");
    let uevent = format!("DRIVER=amdgpu\nPCI_CLASS=120000\nPCI_SLOT_NAME={address}");
    for (file, value) in [
        ("vendor", "0x1002"),
        ("device", "0x74a1"),
        ("class", "0x120000"),
        ("product_name", name),
        ("unique_id", unique.as_str()),
        ("serial_number", serial.as_str()),
        ("vbios_version", "113-M3000100-102"),
        ("uevent", uevent.as_str()),
        ("gpu_busy_percent", "97"),
        ("mem_busy_percent", "34"),
        ("mem_info_vram_total", "206141652992"),
        ("mem_info_vram_used", "171798691840"),
        ("pp_dpm_sclk", "0: 132Mhz \n1: 2100Mhz *"),
        ("pp_dpm_mclk", "0: 900Mhz \n1: 1300Mhz *"),
        ("current_link_speed", "32.0 GT/s PCIe"),
        ("max_link_speed", "32.0 GT/s PCIe"),
        ("current_link_width", "16"),
        ("max_link_width", "16"),
        ("pcie_replay_count", "0"),
        ("ras/gfx_err_count", "ue: 0\nce: 0"),
        ("ras/umc_err_count", "ue: 0\nce: 0"),
        ("ras/sdma_err_count", "ue: 0\nce: 0"),
        ("ras/mmhub_err_count", "ue: 0\nce: 0"),
        ("ras/xgmi_wafl_err_count", "ue: 0\nce: 0"),
    ] {
        tree.put(format!("{at}/{file}"), format!("{value}\n"));
    }
    for (file, value) in [
        ("name", "amdgpu"),
        ("temp1_label", "junction"),
        ("temp1_input", "71000"),
        ("temp1_crit", "100000"),
        ("temp1_emergency", "105000"),
        ("temp2_label", "mem"),
        ("temp2_input", "62000"),
        ("temp2_crit", "105000"),
        ("power1_input", "698000000"),
        ("power1_cap", "750000000"),
    ] {
        tree.put(format!("{hwmon}/{file}"), format!("{value}\n"));
    }
    let link = Device {
        address: &address,
        class: "0x120000",
        vendor: "0x1002",
        speed: (speed(5), speed(5)),
        width: (16, 16),
    };
    device(&link, true, tree);
    tree.link(format!("sys/bus/pci/devices/{address}/driver"), "../../../bus/pci/drivers/amdgpu");
}
