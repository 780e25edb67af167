//! Absurd content in `/proc` and `/sys`: every collector says what is wrong, and none panics.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot prepare itself must fail")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::{Expect, expect};
use sickbay_collect::local::registry;
use sickbay_collect::{ProcessPattern, Roots, Sample};
use sickbay_model::catalogue::{
    CPU_CORES, FILE_HANDLES, FILE_HANDLES_USED, LOAD_1M, LOAD_5M, LOAD_15M,
    MEMORY_ERRORS_CORRECTED, MEMORY_TOTAL, MEMORY_USED, NETWORK_RECEIVE, OOM_KILLS,
    PRESSURE_CPU_SOME, PRESSURE_IO_FULL, PRESSURE_MEMORY_FULL, PRESSURE_MEMORY_SOME,
    TCP_ESTABLISHED, UPTIME,
};
use sickbay_model::probe;

type Spoil = fn(&[u8]) -> Vec<u8>;

/// Ways to spoil a file.
const SPOILERS: [(&str, Spoil); 7] = [
    ("empty", |_| Vec::new()),
    ("cut in the middle", |content| content[..content.len() / 2].to_vec()),
    ("noise", |content| noise(content.len().clamp(64, 4096))),
    ("huge numbers", |content| with_numbers(content, b"99999999999999999999999999")),
    ("largest numbers", |content| with_numbers(content, b"18446744073709551615")),
    ("negative numbers", |content| with_numbers(content, b"-5")),
    ("one long line", one_line),
];

/// The content over and over without a newline: a megabyte, or a page for files of one value.
fn one_line(content: &[u8]) -> Vec<u8> {
    let length = if content.len() > 200 { 1 << 20 } else { 1 << 12 };
    content
        .iter()
        .cycle()
        .take(length)
        .map(|&byte| if byte == b'\n' { b' ' } else { byte })
        .collect()
}

/// The same bytes every time, every value among them.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        })
        .collect()
}

fn with_numbers(content: &[u8], number: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut in_number = false;
    for &byte in content {
        // Digits that are part of a name stay.
        let starts =
            byte.is_ascii_digit() && !in_number && !out.last().is_some_and(u8::is_ascii_alphabetic);
        if starts {
            out.extend_from_slice(number);
            in_number = true;
        } else if !(in_number && byte.is_ascii_digit()) {
            in_number = false;
            out.push(byte);
        }
    }
    out
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/host")
}

/// Copies a tree; `spoil` says what becomes of a file.
fn copy(from: &Path, to: &Path, spoil: &dyn Fn(&Path, Vec<u8>) -> Vec<u8>) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && entry.file_name() != "later" {
            copy(&source, &target, spoil);
        } else if kind.is_file() {
            std::fs::write(&target, spoil(&source, std::fs::read(&source).unwrap())).unwrap();
        }
    }
}

/// Collects everything twice, and tells in a line each how it ended.
fn outcomes(root: &Path) -> String {
    let roots = Roots::under(root);
    let pattern = |text: &str| ProcessPattern {
        name: text.to_owned(),
        pattern: text.to_owned(),
        expected: true,
    };
    let mut text = String::new();
    for mut entry in registry::all(&[pattern("*"), pattern("train")]) {
        let probe = entry.collector.probe();
        for second in [10, 20] {
            let mut sample = Sample::default();
            let outcome = entry.collector.collect(&roots, Duration::from_secs(second), &mut sample);
            if second == 10 {
                continue;
            }
            let told = match outcome {
                Err(error) => format!("{}: {}", error.kind.as_str(), error.message),
                Ok(()) => match &sample.not_applicable {
                    Some(reason) => format!("not applicable: {reason}"),
                    None if !sample.missed.is_empty() => {
                        let missed: Vec<_> =
                            sample.missed.iter().map(|error| error.message.as_str()).collect();
                        format!("partly: {}", missed.join("; "))
                    }
                    None => "answered".to_owned(),
                },
            };
            let told = told.replace(&root.display().to_string(), "ROOT");
            let short: String = told.chars().take(160).collect();
            text += &format!("{probe}: {short}\n");
        }
    }
    text
}

fn check(spoiler: &str, expected: &Expect) {
    let (_, spoil) = SPOILERS.iter().find(|(name, _)| *name == spoiler).unwrap();
    let root = tempfile::tempdir().unwrap();
    copy(&fixtures().join("gpu-server"), root.path(), &|_, content| spoil(&content));
    expected.assert_eq(&outcomes(root.path()));
}

#[test]
fn nothing_there_at_all() {
    let root = tempfile::tempdir().unwrap();
    expect![[r#"
        cpu: absent: cannot read ROOT/proc/stat: No such file or directory (os error 2)
        pressure: not applicable: this kernel has no pressure stall information (Linux 4.20 with CONFIG_PSI, not psi=0)
        memory: absent: cannot read ROOT/proc/meminfo: No such file or directory (os error 2)
        disk: not applicable: this kernel has no /proc/diskstats
        network: absent: cannot read ROOT/proc/net/dev: No such file or directory (os error 2)
        host: absent: cannot read ROOT/proc/uptime: No such file or directory (os error 2)
        kernel_log: not applicable: there is no /dev/kmsg here (a container without it)
        filesystem: absent: cannot read ROOT/proc/self/mountinfo: No such file or directory (os error 2)
        network_links: not applicable: no /sys/class/net is visible here
        infiniband: not applicable: no InfiniBand or RoCE adapter is visible here
        pcie: not applicable: no link of an adapter, NVMe disk or GPU is visible here
        sensors: not applicable: this machine shows no temperature sensors
        processes: absent: cannot read ROOT/proc: No such file or directory (os error 2)
    "#]].assert_eq(&outcomes(root.path()));
}

#[test]
fn every_file_is_empty() {
    check(
        "empty",
        &expect![[r#"
            cpu: malformed: cannot understand ROOT/proc/stat: there is no line that starts with "cpu "
            pressure: malformed: cannot understand ROOT/proc/pressure/cpu: there is no line that starts with "some"
            memory: malformed: cannot understand ROOT/proc/meminfo: MemTotal is missing
            disk: not applicable: no block devices are visible here
            network: malformed: cannot understand ROOT/proc/net/dev: the heading is missing
            host: malformed: cannot understand ROOT/proc/uptime, line 1: uptime is missing
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: malformed: cannot understand ROOT/proc/self/mountinfo: there is not one mount
            network_links: malformed: cannot understand ROOT/proc/net/route: the heading is missing
            infiniband: partly: cannot understand ROOT/sys/class/infiniband/mlx5_0/ports/1/state, line 1: the state is not a number that fits: ""; cannot understand ROOT/sys/class/infi
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: ""; cannot understand ROOT/sys/bus/pci/devic
            sensors: failed: none of 8 temperature sensors answered; the last: ROOT/sys/class/hwmon/hwmon5/temp1_input: hwmon temperature, line 1: the value is not a number that fit
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat: there is no name in parentheses
        "#]],
    );
}

#[test]
fn every_file_is_cut_in_the_middle() {
    check(
        "cut in the middle",
        &expect![[r#"
            cpu: malformed: cannot understand ROOT/proc/stat, line 166: user time is missing
            pressure: answered
            memory: malformed: cannot understand ROOT/proc/meminfo, line 10: SwapFree is missing
            disk: malformed: cannot understand ROOT/proc/diskstats, line 7: a column is missing
            network: malformed: cannot understand ROOT/proc/net/dev, line 14: a column is missing
            host: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: answered
            network_links: malformed: cannot understand ROOT/proc/net/ipv6_route, line 1: next hop is not a number that fits: "000"
            infiniband: answered
            pcie: not applicable: no link of an adapter, NVMe disk or GPU is visible here
            sensors: answered
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat, line 1: resident pages is missing
        "#]],
    );
}

#[test]
fn every_file_is_noise() {
    check(
        "noise",
        &expect![[r#"
            cpu: malformed: cannot understand ROOT/proc/stat: there is no line that starts with "cpu "
            pressure: malformed: cannot understand ROOT/proc/pressure/cpu: there is no line that starts with "some"
            memory: malformed: cannot understand ROOT/proc/meminfo: MemTotal is missing
            disk: malformed: cannot understand ROOT/proc/diskstats, line 1: major number is not a number that fits: "FU??m?)??S???QpF???IL????C?;??׺cU)?-???…"
            network: malformed: cannot understand ROOT/proc/net/dev, line 2: there is no ":" behind a name
            host: malformed: cannot understand ROOT/proc/uptime, line 1: uptime is not a number that fits: "FU??m?)??S???QpF???IL????C?;??׺cU)?-???…"
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: malformed: cannot understand ROOT/proc/self/mountinfo, line 1: device is missing
            network_links: malformed: cannot understand ROOT/proc/net/route, line 1: destination is not a number that fits: "?????)???????Y?AZP|?T?8T??Ƒ??Y?L??2????…"
            infiniband: partly: cannot understand ROOT/sys/class/infiniband/mlx5_0/ports/1/state, line 1: the state is not a number that fits: "FU??m?)??S???QpF???IL????C?;??׺cU)?-???…
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: "FU??m?)??S???QpF???IL????C?;??׺cU)?-???…"; 
            sensors: failed: none of 8 temperature sensors answered; the last: ROOT/sys/class/hwmon/hwmon5/temp1_input: hwmon temperature, line 1: the value is not a number that fit
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat: there is no name in parentheses
        "#]],
    );
}

#[test]
fn every_number_is_huge() {
    check(
        "huge numbers",
        &expect![[r#"
            cpu: malformed: cannot understand ROOT/proc/stat, line 1: user time is not a number that fits: "99999999999999999999999999"
            pressure: malformed: cannot understand ROOT/proc/pressure/cpu, line 1: avg10 is missing
            memory: malformed: cannot understand ROOT/proc/meminfo, line 1: MemTotal is not a number that fits: "99999999999999999999999999"
            disk: malformed: cannot understand ROOT/proc/diskstats, line 1: major number is not a number that fits: "99999999999999999999999999"
            network: malformed: cannot understand ROOT/proc/net/dev, line 3: a column is not a number that fits: "99999999999999999999999999"
            host: malformed: cannot understand ROOT/proc/uptime, line 1: uptime is not a number that fits: "99999999999999999999999999.999999999999…"
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: malformed: cannot understand ROOT/proc/self/mountinfo, line 1: device is not a number that fits: "99999999999999999999999999:999999999999…"
            network_links: malformed: cannot understand ROOT/proc/net/route, line 2: destination is not a number that fits: "99999999999999999999999999"
            infiniband: partly: cannot understand ROOT/sys/class/infiniband/mlx5_0/ports/1/state, line 1: the state is not a number that fits: "99999999999999999999999999: ACTIVE"; can
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: "99999999999999999999999999x099999999999…"; 
            sensors: failed: none of 8 temperature sensors answered; the last: ROOT/sys/class/hwmon/hwmon5/temp1_input: hwmon temperature, line 1: the value is not a number that fit
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat, line 1: pid is not a number that fits: "999999999999999
        "#]],
    );
}

#[test]
fn every_number_is_the_largest_that_fits() {
    check(
        "largest numbers",
        &expect![[r#"
            cpu: partly: cannot understand ROOT/proc/loadavg, line 1: 1-minute load is not a number that fits: "18446744073709551615.184467440737095516…"
            pressure: malformed: cannot understand ROOT/proc/pressure/cpu, line 1: avg10 is missing
            memory: malformed: cannot understand ROOT/proc/meminfo, line 1: MemTotal is not a number that fits: "18446744073709551615"
            disk: malformed: cannot understand ROOT/proc/diskstats, line 1: 18446744073709551615 is no device number
            network: answered
            host: malformed: cannot understand ROOT/proc/uptime, line 1: uptime is not a number that fits: "18446744073709551615.184467440737095516…"
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: malformed: cannot understand ROOT/proc/self/mountinfo, line 1: device is not a number that fits: "18446744073709551615:184467440737095516…"
            network_links: malformed: cannot understand ROOT/proc/net/route, line 2: destination is not a number that fits: "18446744073709551615"
            infiniband: partly: cannot understand ROOT/sys/class/infiniband/mlx5_0/ports/1/state, line 1: the state is not a number that fits: "18446744073709551615: ACTIVE"; cannot un
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: "18446744073709551615x018446744073709551…"; 
            sensors: failed: none of 8 temperature sensors answered; the last: ROOT/sys/class/hwmon/hwmon5/temp1_input: hwmon temperature, line 1: the value is not a number that fit
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat, line 1: pid is not a number that fits: "184467440737095
        "#]],
    );
}

#[test]
fn every_number_is_negative() {
    check(
        "negative numbers",
        &expect![[r#"
            cpu: malformed: cannot understand ROOT/proc/stat, line 1: user time is not a number that fits: "-5"
            pressure: malformed: cannot understand ROOT/proc/pressure/cpu, line 1: avg10 is missing
            memory: malformed: cannot understand ROOT/proc/meminfo, line 1: MemTotal is not a number that fits: "-5"
            disk: malformed: cannot understand ROOT/proc/diskstats, line 1: major number is not a number that fits: "-5"
            network: malformed: cannot understand ROOT/proc/net/dev, line 3: a column is not a number that fits: "-5"
            host: malformed: cannot understand ROOT/proc/uptime, line 1: uptime is not a number that fits: "-5.-5"
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: malformed: cannot understand ROOT/proc/self/mountinfo, line 1: device is not a number that fits: "-5:-5"
            network_links: malformed: cannot understand ROOT/proc/net/route, line 2: destination is not a number that fits: "-5"
            infiniband: partly: cannot understand ROOT/sys/class/infiniband/mlx5_0/ports/1/state, line 1: the state is not a number that fits: "-5: ACTIVE"; cannot understand ROOT/sys/
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: "-5x0-5"; cannot understand ROOT/sys/bus/pci
            sensors: answered
            processes: malformed: none of 9 processes in ROOT/proc could be understood; the last: process 6000: /proc/PID/stat, line 1: pid is not a number that fits: "-5 "
        "#]],
    );
}

#[test]
fn every_file_is_one_long_line() {
    check(
        "one long line",
        &expect![[r#"
            cpu: answered
            pressure: answered
            memory: answered
            disk: answered
            network: partly: cannot understand ROOT/proc/net/snmp: the two lines that start with "Tcp:" are missing
            host: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            kernel_log: malformed: cannot understand ROOT/proc/sys/kernel/random/boot_id: the content is no UUID
            filesystem: answered
            network_links: answered
            infiniband: answered
            pcie: partly: cannot understand ROOT/sys/bus/pci/devices/0000:00:00.0/class, line 1: the value is not a number that fits: "0x060000 0x060000 0x060000 0x060000 0x0…"; 
            sensors: failed: none of 8 temperature sensors answered; the last: ROOT/sys/class/hwmon/hwmon5/temp1_input: hwmon temperature, line 1: the value is not a number that fit
            processes: answered
        "#]],
    );
}

#[test]
fn one_spoilt_file_spoils_no_other_collector() {
    let root = tempfile::tempdir().unwrap();
    copy(&fixtures().join("gpu-server"), root.path(), &|_, content| content);
    for file in [
        "proc/stat",
        "proc/meminfo",
        "proc/diskstats",
        "proc/net/dev",
        "proc/self/mountinfo",
        "proc/4711/stat",
    ] {
        let path = root.path().join(file);
        let good = std::fs::read(&path).unwrap();
        for (name, spoil) in SPOILERS {
            std::fs::write(&path, spoil(&good)).unwrap();
            let all = outcomes(root.path());
            let failed: Vec<_> = all.lines().filter(|line| !line.ends_with(": answered")).collect();
            assert!(failed.len() <= 1, "{file}, {name}: {failed:#?}");
        }
        std::fs::write(&path, good).unwrap();
    }
}

/// A file of a collector that has others loses its own readings and no more.
#[test]
fn a_bad_file_among_several_costs_only_its_own_readings() {
    for (probe, file, lost, kept) in [
        (probe::CPU, "proc/loadavg", vec![LOAD_1M, LOAD_5M, LOAD_15M], vec![CPU_CORES]),
        (
            probe::HOST,
            "proc/sys/fs/file-nr",
            vec![FILE_HANDLES, FILE_HANDLES_USED],
            vec![UPTIME, MEMORY_ERRORS_CORRECTED],
        ),
        (probe::HOST, "proc/sys/kernel/hostname", vec![], vec![UPTIME, FILE_HANDLES]),
        (probe::MEMORY, "proc/vmstat", vec![OOM_KILLS], vec![MEMORY_TOTAL, MEMORY_USED]),
        (
            probe::PRESSURE,
            "proc/pressure/memory",
            vec![PRESSURE_MEMORY_SOME, PRESSURE_MEMORY_FULL],
            vec![PRESSURE_CPU_SOME, PRESSURE_IO_FULL],
        ),
        (probe::NETWORK, "proc/net/snmp", vec![TCP_ESTABLISHED], vec![NETWORK_RECEIVE]),
    ] {
        let root = tempfile::tempdir().unwrap();
        copy(&fixtures().join("gpu-server"), root.path(), &|_, content| content);
        let roots = Roots::under(root.path());
        let mut entries = registry::all(&[]);
        let entry = entries.iter_mut().find(|entry| entry.collector.probe() == probe).unwrap();
        let mut ask = |second| {
            let mut sample = Sample::default();
            let ended = entry.collector.collect(&roots, Duration::from_secs(second), &mut sample);
            assert_eq!(ended, Ok(()), "{file}");
            sample
        };
        let has = |sample: &Sample, metric| sample.readings.iter().any(|one| one.metric == metric);
        ask(5);
        let sample = ask(10);
        for &metric in lost.iter().chain(&kept) {
            assert!(has(&sample, metric) && sample.missed.is_empty(), "{file}: {metric:?}");
        }
        // A directory in its place cannot be read by anybody.
        let path = root.path().join(file);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        // A collector that was there before keeps its files open, so a fresh one is asked.
        let mut entries = registry::all(&[]);
        let entry = entries.iter_mut().find(|entry| entry.collector.probe() == probe).unwrap();
        for second in [15, 20] {
            let mut sample = Sample::default();
            let at = Duration::from_secs(second);
            assert_eq!(entry.collector.collect(&roots, at, &mut sample), Ok(()), "{file}");
            let [missed] = sample.missed.as_slice() else { panic!("{file}: {:?}", sample.missed) };
            assert!(missed.message.contains(file), "{}", missed.message);
            for &metric in &lost {
                assert!(!has(&sample, metric), "{file}: {metric:?}");
            }
            for &metric in kept.iter().filter(|_| second == 20) {
                assert!(has(&sample, metric), "{file}: {metric:?}");
            }
        }
    }
}

#[test]
fn a_running_machine_whose_files_go_bad_and_recover() {
    let root = tempfile::tempdir().unwrap();
    let good = fixtures().join("gpu-server");
    copy(&good, root.path(), &|_, content| content);
    let roots = Roots::under(root.path());
    let mut entries = registry::all(&[]);
    for (second, spoiler) in (1_u64..).zip([None, Some(SPOILERS[2].1), Some(SPOILERS[0].1), None]) {
        if second > 1 {
            copy(&good, root.path(), &|_, content| {
                spoiler.map_or(content.clone(), |spoil| spoil(&content))
            });
        }
        for entry in &mut entries {
            let mut sample = Sample::default();
            let outcome = entry.collector.collect(&roots, Duration::from_secs(second), &mut sample);
            if spoiler.is_none() {
                assert_eq!(outcome, Ok(()), "{entry:?} after {second} s");
                let said = !sample.readings.is_empty() || sample.facts.kernel_log.is_some();
                assert!(said, "{entry:?}");
            }
        }
    }
}
