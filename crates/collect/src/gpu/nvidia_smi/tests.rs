use std::fmt::Write as _;

use sickbay_model::{GpuDevice, catalogue};

use super::*;
use crate::Fetched;

const FIELDS: [&str; 6] = ["index", "count", "uuid", "pci.bus_id", "power.draw", "name"];

/// A machine with so many NVIDIA GPUs on its PCI bus.
fn machine(gpus: u32) -> Roots {
    let mut files = Fetched::new();
    for gpu in 0..gpus {
        let device = format!("/sys/bus/pci/devices/0000:{gpu:02x}:00.0");
        files.put(format!("{device}/vendor").as_bytes(), b"0x10de\n");
        files.put(format!("{device}/class").as_bytes(), b"0x030200\n");
    }
    Roots::fetched(files)
}

fn asked(
    asked: &mut NvidiaSmi,
    roots: &Roots,
    gpus: &str,
    apps: Option<&str>,
) -> Result<Sample, ProbeError> {
    let answers = Answers {
        fields: &FIELDS,
        gpus: gpus.as_bytes(),
        apps: apps.map(str::as_bytes),
        remapped_rows: None,
        details: None,
    };
    let mut sample = Sample::default();
    asked.sample(roots, &answers, &mut sample).map(|()| sample)
}

fn inventory(sample: &Sample) -> String {
    let mut text = String::new();
    for gpu in sample.facts.gpus.as_deref().unwrap_or_default() {
        let GpuDevice { index, uuid, model, pci_address, condition, unreadable, .. } = gpu;
        writeln!(text, "{index} {uuid} {model} {pci_address} {condition:?} {unreadable:?}")
            .unwrap();
    }
    text
}

/// A row of one of several GPUs.
fn row(index: u32, count: u32, power: &str) -> String {
    format!("{index}, {count}, GPU-{index}, 00000000:0{index}:00.0, {power}, NVIDIA X\n")
}

#[test]
fn an_answer_that_says_nothing_works_is_the_error_that_nvml_would_give() {
    use ProbeErrorKind::{Absent, Denied, Failed, Late, Malformed};
    for (text, kind, message) in [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n",
            Absent,
            "the NVIDIA driver is not loaded",
        ),
        (
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183\n",
            Failed,
            "the NVIDIA driver that is loaded and its library have different versions",
        ),
        (
            "Failed to initialize NVML: Insufficient Permissions\n",
            Denied,
            "the NVIDIA driver refuses this user",
        ),
        (
            "Failed to initialize NVML: Unknown Error\n",
            Failed,
            "the NVIDIA driver does not answer: an internal driver error occurred",
        ),
        (
            "Failed to initialize NVML: GPU is lost\n",
            Failed,
            "the NVIDIA driver says that a GPU is lost and answers nothing",
        ),
        (
            "Failed to initialize NVML: Timeout\n",
            Late,
            "the NVIDIA driver gave up waiting for a GPU",
        ),
        (
            "Failed to initialize NVML: GPU access blocked by the operating system\n",
            Failed,
            "the NVIDIA driver does not answer: GPU access blocked by the operating system",
        ),
        (
            "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. Please make sure that the NVIDIA Display Driver is properly installed and present in your system.\n",
            Absent,
            "nvidia-smi finds no libnvidia-ml.so.1, NVIDIA's driver library",
        ),
        (
            "No devices were found\n",
            Absent,
            "the NVIDIA driver lists no GPU, but the PCI bus has 2",
        ),
        (
            "Field \"power.draw\" is not a valid field to query.\n",
            Malformed,
            "nvidia-smi was changed under us: Field \"power.draw\" is not a valid field to query.",
        ),
        (
            "Unknown Error\n",
            Failed,
            "the NVIDIA driver does not answer: an internal driver error occurred",
        ),
        (
            "Unable to determine the device handle for GPU 0000:00:00.0: GPU is lost.  Reboot the system to recover this GPU\n",
            Failed,
            "GPU at 0000:00:00.0: the GPU is lost: it fell off the bus or does not respond, and nvidia-smi does not tell of all others",
        ),
        ("", Malformed, "nvidia-smi ended without saying anything"),
        (" \n\r\n", Malformed, "nvidia-smi ended without saying anything"),
        ("what\u{7}\n", Malformed, "nvidia-smi lists no GPU; it says: what?"),
        // Broken off: GPU 1 is not gone, it was not told of.
        (&row(0, 2, "1"), Malformed, "nvidia-smi lists 1 of 2 GPUs"),
        (
            &format!("{}1, 2, GPU-1, 0000", row(0, 2, "1")),
            Malformed,
            "nvidia-smi lists 1 of 2 GPUs; it says: 1, 2, GPU-1, 0000",
        ),
        (&format!("{0}{0}", row(0, 2, "1")), Malformed, "nvidia-smi lists GPU 0 twice"),
    ] {
        let error = asked(&mut NvidiaSmi::default(), &machine(2), text, Some("")).unwrap_err();
        assert_eq!((error.kind, &*error.message), (kind, message), "{text}");
    }
}

#[test]
fn a_gpu_that_cannot_be_reached_stands_where_it_is() {
    let (zero, two) = (row(0, 3, "1"), row(2, 3, "1"));
    let lost = "the GPU is lost: it fell off the bus or does not respond";
    let unknown = "the GPU is lost: an internal driver error occurred";
    let reset = "the GPU must be reset before it can be used again";
    for (line, address, condition, remark) in [
        (
            "GPU 0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU",
            "0000:01:00.0",
            "Lost",
            lost,
        ),
        ("GPU0000:01:00.0: Unknown Error", "0000:01:00.0", "Lost", unknown),
        ("GPU1: 0000:01:00.0: Unknown Error", "0000:01:00.0", "Lost", unknown),
        ("GPU 00000001:0A:00.0: Unknown Error", "0001:0a:00.0", "Lost", unknown),
        ("gpu 0000:01:00.0: Not Found", "0000:01:00.0", "Lost", unknown),
        ("GPU1: Unknown Error", "", "Lost", unknown),
        ("GPU1", "", "Lost", unknown),
        ("", "", "Lost", unknown),
        ("GPU0000:01:00.0: GPU requires reset", "0000:01:00.0", "ResetRequired", reset),
    ] {
        let line = format!("Unable to determine the device handle for {line}\n");
        for text in [format!("{line}{zero}{two}"), format!("{zero}{two}{line}{line}")] {
            let sample = asked(&mut NvidiaSmi::default(), &machine(3), &text, None).unwrap();
            let expected = format!(
                "0 GPU-0 NVIDIA X 0000:00:00.0 Answering []\n\
                 1   {address} {condition} [{remark:?}]\n\
                 2 GPU-2 NVIDIA X 0000:02:00.0 Answering []\n"
            );
            // A line that says neither index nor address cannot be told from another such.
            if !(address.is_empty() && text.starts_with("0")) || line.contains("GPU1") {
                assert_eq!(inventory(&sample), expected, "{text}");
            }
        }
    }
    // The only one of the machine.
    let line = "Unable to determine the device handle for GPU0000:00:00.0: Unknown Error\n";
    let sample = asked(&mut NvidiaSmi::default(), &machine(1), line, Some(line)).unwrap();
    assert_eq!(inventory(&sample), format!("0   0000:00:00.0 Lost [{unknown:?}]\n"));
    assert!(sample.readings.is_empty());
}

#[test]
fn a_cell_without_a_value_says_how_far_its_reason_reaches() {
    for (cell, value, expected) in [
        ("612.43", Some(612.43), "Answering []"),
        ("612.43 W", Some(612.43), "Answering []"),
        ("[N/A]", None, "Answering []"),
        ("N/A", None, "Answering []"),
        ("", None, "Answering []"),
        ("[Not Supported]", None, "Answering []"),
        ("[Unknown Error]", None, "Answering [\"power: an internal driver error occurred\"]"),
        ("Unknown Error", None, "Answering [\"power: an internal driver error occurred\"]"),
        (
            "[Insufficient Permissions]",
            None,
            "Answering [\"power: the current user does not have permission to perform this operation\"]",
        ),
        ("[Something New]", None, "Answering [\"power: Something New\"]"),
        ("much", None, "Answering [\"power: much\"]"),
        ("nan", None, "Answering [\"power: nan\"]"),
        ("1e300", None, "Answering [\"power: 1e300\"]"),
        (
            "[GPU requires reset]",
            None,
            "ResetRequired [\"the GPU must be reset before it can be used again\"]",
        ),
        (
            "[GPU is lost]",
            None,
            "Lost [\"the GPU is lost: it fell off the bus or does not respond\"]",
        ),
    ] {
        let text = row(0, 1, cell);
        let sample = asked(&mut NvidiaSmi::default(), &machine(1), &text, None).unwrap();
        let expected = format!("0 GPU-0 NVIDIA X 0000:00:00.0 {expected}\n");
        assert_eq!(inventory(&sample), expected, "{cell}");
        let power = sample.readings.iter().find(|one| one.metric == catalogue::GPU_POWER);
        assert_eq!(power.map(|reading| reading.value), value, "{cell}");
    }
}

#[test]
fn a_gpu_that_only_fails_is_lost() {
    let fields = [
        "index",
        "uuid",
        "pci.bus_id",
        "power.draw",
        "fan.speed",
        "pstate",
        "name",
        "clocks.max.sm",
    ];
    let text = b"0, GPU-0, 00000000:01:00.0, [Unknown Error], [Unknown Error], [Unknown Error], A, B, \xff, 7\n";
    let answers =
        Answers { fields: &fields, gpus: text, apps: None, remapped_rows: None, details: None };
    let mut sample = Sample::default();
    NvidiaSmi::default().sample(&machine(1), &answers, &mut sample).unwrap();
    let gpu = &sample.facts.gpus.unwrap()[0];
    assert_eq!(gpu.condition, GpuCondition::Lost);
    assert_eq!(gpu.unreadable[0], "3 questions in a row failed");
    assert!(sample.readings.is_empty(), "what it says then is not believed");
    assert_eq!(gpu.model, "");
}

#[test]
fn a_name_may_hold_commas_wherever_it_stands() {
    for fields in [
        ["index", "uuid", "pci.bus_id", "name"],
        ["name", "index", "uuid", "pci.bus_id"],
        ["index", "name", "uuid", "pci.bus_id"],
    ] {
        let cells = fields.map(|field| match field {
            "index" => "7",
            "uuid" => "GPU-7",
            "name" => "Quadro, new, 7",
            _ => "00000000:07:00.0",
        });
        let text = cells.join(", ");
        let answers = Answers {
            fields: &fields,
            gpus: text.as_bytes(),
            apps: None,
            remapped_rows: None,
            details: None,
        };
        let mut sample = Sample::default();
        NvidiaSmi::default().sample(&machine(1), &answers, &mut sample).unwrap();
        let expected = "7 GPU-7 Quadro, new, 7 0000:07:00.0 Answering []\n";
        assert_eq!(inventory(&sample), expected);
    }
}

#[test]
fn processes_are_counted_as_far_as_they_are_told() {
    let gpus = row(0, 2, "1") + &row(1, 2, "1");
    type Told = (&'static [(u32, u32, Option<u64>)], [Option<f64>; 2], usize);
    let cases: [(&str, Told); 6] = [
        ("", (&[], [Some(0.0), Some(0.0)], 0)),
        (
            "00000000:01:00.0, 12, 3\n00000000:01:00.0, 13, [N/A]\n",
            (&[(12, 1, Some(3 << 20)), (13, 1, None)], [Some(0.0), Some(2.0)], 0),
        ),
        (
            "00000000:00:00.0, [Insufficient Permissions], [Insufficient Permissions]\n",
            (&[], [None, Some(0.0)], 0),
        ),
        // Of no GPU that is known: another came in between.
        ("00000000:05:00.0, 12, 3\n", (&[], [Some(0.0), Some(0.0)], 0)),
        ("00000000:01:00.0, 12, 3\n00000000:01:0", (&[(12, 1, Some(3 << 20))], [None, None], 1)),
        ("Failed to initialize NVML: Unknown Error\n", (&[], [None, None], 1)),
    ];
    for (apps, (processes, counts, missed)) in cases {
        let sample = asked(&mut NvidiaSmi::default(), &machine(2), &gpus, Some(apps)).unwrap();
        let told: Vec<_> = sample.facts.gpu_processes.unwrap();
        let told: Vec<_> = told.iter().map(|one| (one.pid, one.gpu, one.memory_bytes)).collect();
        assert_eq!(told, processes, "{apps}");
        let count = |gpu: &str| {
            let is_count = |one: &&sickbay_model::Reading| {
                one.metric == catalogue::GPU_PROCESSES && &*one.instance == gpu
            };
            sample.readings.iter().find(is_count).map(|one| one.value)
        };
        assert_eq!([count("0"), count("1")], counts, "{apps}");
        assert_eq!(sample.missed.len(), missed, "{apps}");
    }
}

#[test]
fn fields_are_chosen_by_what_a_driver_lists() {
    let needed = "\"index\"\n\"uuid\" or \"gpu_uuid\"\n\"pci.bus_id\" or \"gpu_bus_id\"\n";
    for (help, expected) in [
        ("", &[][..]),
        ("No such option", &[]),
        ("\"index\"\n\"uuid\"\n", &[]),
        (needed, &["index", "uuid", "pci.bus_id"]),
        (
            "\"clocks_event_reasons.active\" or \"clocks_throttle_reasons.active\"\n",
            &["index", "uuid", "pci.bus_id", "clocks_event_reasons.active"],
        ),
        (
            "\"clocks_throttle_reasons.active\"\n\"power.draw.instant\"\n",
            &[
                "index",
                "uuid",
                "pci.bus_id",
                "power.draw.instant",
                "clocks_throttle_reasons.active",
            ],
        ),
        (
            "\"gpu_recovery_action\"\n\"reset_status.reset_required\"\n\"rm -rf /\"\n\"\"\n\"x",
            &["index", "uuid", "pci.bus_id", "gpu_recovery_action"],
        ),
    ] {
        let help = if expected.len() > 3 { format!("{needed}{help}") } else { help.to_owned() };
        assert_eq!(wanted_fields(help.as_bytes()), expected, "{help}");
    }
    assert!(wanted_fields(b"\xff\n\"\xff\"").is_empty());
}

#[test]
fn without_the_program_hardware_decides() {
    let mut out = Sample::default();
    NvidiaSmi::default().without_program(&machine(0), &mut out).unwrap();
    assert_eq!(out.not_applicable.as_deref(), Some("this machine has no NVIDIA GPU"));
    let error = NvidiaSmi::default().without_program(&machine(1), &mut out).unwrap_err();
    assert_eq!(error.kind, ProbeErrorKind::Absent);
    // It answered before: that it is gone is no news of the hardware.
    let mut smi = NvidiaSmi::default();
    asked(&mut smi, &machine(0), &row(0, 1, "1"), None).unwrap();
    assert!(smi.without_program(&machine(0), &mut out).is_err());
    // Those that answered before are gone, each of them.
    let sample = asked(&mut smi, &machine(1), "No devices were found\n", None).unwrap();
    let gone = sample.facts.gpus.unwrap_or_default();
    assert_eq!((gone.len(), gone[0].condition), (1, GpuCondition::Missing));
    // No devices, of which the bus knows none either.
    let sample = asked(&mut NvidiaSmi::default(), &machine(0), "No devices were found", None);
    assert_eq!(sample.unwrap().facts.gpus, Some(Vec::new()));
}

#[test]
fn answers_that_break_off_or_are_damaged_break_no_promise() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/gpu/nvidia-smi");
    for machine in ["h100-mig", "gpu-lost", "t4"] {
        let file = |name: &str| std::fs::read(format!("{fixtures}/{machine}/{name}")).unwrap();
        let text = [file("gpus.txt"), file("apps.txt")].join(&0);
        for end in (0..text.len()).step_by(5) {
            any::any_bytes(&text[..end]);
            let mut damaged = text.clone();
            damaged[end] = b"\0\n,[]x9\xff-."[end % 10];
            any::any_bytes(&damaged);
        }
    }
}

#[test]
fn what_only_the_long_answer_tells() {
    let limits = |told: &str| -> Vec<(String, f64)> {
        let row = row(0, 2, "1") + &row(1, 2, "1");
        let answers = Answers {
            fields: &FIELDS,
            gpus: row.as_bytes(),
            apps: None,
            remapped_rows: None,
            details: Some(told.as_bytes()),
        };
        let mut out = Sample::default();
        NvidiaSmi::default().sample(&machine(2), &answers, &mut out).unwrap();
        let limits = out.readings.iter().filter(|it| {
            [
                catalogue::GPU_TEMPERATURE_SLOWDOWN,
                catalogue::GPU_TEMPERATURE_SHUTDOWN,
                catalogue::GPU_TEMPERATURE_MARGIN_SLOWDOWN,
                catalogue::GPU_ECC_SRAM_EXCEEDED,
            ]
            .contains(&it.metric)
        });
        limits.map(|it| (it.instance.to_string(), it.value)).collect()
    };
    let of =
        |index: u32, lines: &str| format!("GPU 00000000:0{index}:00.0\n    Temperature\n{lines}");
    for (told, expected) in [
        (String::new(), vec![]),
        ("No devices were found\n".to_owned(), vec![]),
        // Without a heading it is not known of which.
        ("        GPU Slowdown Temp : 89 C\n".to_owned(), vec![]),
        (
            of(1, "  GPU Slowdown Temp   : 89 C\r\n GPU Shutdown Temp : 92 C\n"),
            vec![("1", 89.0), ("1", 92.0)],
        ),
        (of(0, "  GPU Slowdown T.Limit Temp : -2 C\n"), vec![("0", -2.0)]),
        (
            of(
                0,
                "  GPU Slowdown Temp : N/A\n  GPU Shutdown Temp : 90\n  Memory Current Temp : 40 C",
            ),
            vec![],
        ),
        (of(0, "GPU Slowdown Temp : 89 C\nGPU Slowdown Temp : 88 C\n"), vec![("0", 89.0)]),
        (of(1, "            SRAM Threshold Exceeded       : Yes\n"), vec![("1", 1.0)]),
        (of(1, "            SRAM Threshold Exceeded       : No\n"), vec![("1", 0.0)]),
        (of(1, "            SRAM Threshold Exceeded       : N/A\n"), vec![]),
        (of(7, "GPU Slowdown Temp : 89 C\n"), vec![]),
        (of(0, "GPU Slowdown Temp : inf C\nGPU Shutdown Temp : nan C\n"), vec![]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(gpu, it)| ((*gpu).to_owned(), *it)).collect();
        assert_eq!(limits(&told), expected, "{told}");
    }
}
