//! Fuzzes what reads what the machine says: `/proc` and `/sys`, packets, other processes; and what
//! people say of time: calendars, and who is on call.
//!
//! One binary for all, because building is what takes long. `SICKBAY_FUZZ_FAMILY` names the family
//! that a run works on; `fuzz/run.sh` goes through them. A parser must never panic, and what it lets
//! through must be bounded.
#![no_main]

mod bounded;
mod family;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sickbay_alert::on_call::ical as icalendar;
use sickbay_alert::{Calendar, Matchers, Zone};
use sickbay_collect::fuzzing;
use sickbay_collect::parse::*;
use sickbay_model::Timestamp;

/// The families; `fuzz/run.sh` has the same list, with the files that each starts from.
const FAMILIES: &[family::Family] = &[
    ("cpu", cpu),
    ("memory", memory),
    ("mounts", mounts),
    ("disks", disks),
    ("network", network),
    ("host", host),
    ("processes", processes),
    ("amd", fuzzing::amd),
    ("nvidia-smi", fuzzing::nvidia_smi),
    ("echo", fuzzing::echo),
    ("answers", fuzzing::answers),
    ("remote", fuzzing::remote),
    ("kernel-log", fuzzing::kernel_log),
    ("calendar", calendar),
    ("ical", ical),
    ("diagnose", diagnose),
];

static FAMILY: LazyLock<fn(&[u8])> = LazyLock::new(|| family::named(FAMILIES));

fuzz_target!(|bytes: &[u8]| bounded::run(*FAMILY, bytes));

fn cpu(bytes: &[u8]) {
    if let Ok(stat) = cpu_stat::parse(bytes) {
        assert!(stat.cores.len() <= cpu_stat::MAX_CORES);
    }
    if let Ok(load) = loadavg::parse(bytes) {
        assert!(load.one_minute.is_finite() && load.one_minute >= 0.0);
    }
    if let Ok(info) = cpuinfo::parse(bytes) {
        assert!(info.model.chars().count() <= cpuinfo::MAX_MODEL_CHARACTERS);
        assert!(!info.model.chars().any(char::is_control));
    }
}

fn memory(bytes: &[u8]) {
    if let Ok(info) = meminfo::parse(bytes) {
        assert!(info.total > 0);
        assert!(info.available_or_estimate().is_none_or(|available| available <= info.total));
    }
    let _ = vmstat::parse(bytes);
    if let Ok(got) = pressure::parse(bytes) {
        assert!((0.0..=100.0).contains(&got.some_avg10));
        assert!(got.full_avg10.is_none_or(|share| (0.0..=100.0).contains(&share)));
    }
}

fn mounts(bytes: &[u8]) {
    if let Ok(mounts) = mountinfo::parse(bytes) {
        assert!(!mounts.is_empty());
        assert!(mounts.iter().all(|mount| mount.mount_point.len() <= bytes.len()));
    }
}

fn disks(bytes: &[u8]) {
    if let Ok(disks) = diskstats::parse(bytes) {
        assert!(disks.len() <= diskstats::MAX_DEVICES);
        assert!(disks.iter().all(|disk| !disk.name.is_empty()));
    }
}

fn network(bytes: &[u8]) {
    if let Ok(interfaces) = net_dev::parse(bytes) {
        assert!(interfaces.len() <= net_dev::MAX_INTERFACES);
    }
    let _ = snmp::parse(bytes);
    for routes in [route::parse(bytes), route::parse_v6(bytes)].into_iter().flatten() {
        assert!(routes.windows(2).all(|pair| pair[0].metric <= pair[1].metric));
    }
}

fn host(bytes: &[u8]) {
    let _ = file_nr::parse(bytes);
    if let Ok(seconds) = uptime::parse(bytes) {
        assert!(seconds.is_finite() && seconds >= 0.0);
    }
    if let Ok(id) = boot_id::parse(bytes) {
        assert_eq!(id.len(), 36);
    }
    if let Ok(name) = os_release::parse(bytes) {
        assert!(name.chars().count() <= os_release::MAX_NAME_CHARACTERS);
        assert!(!name.chars().any(char::is_control));
    }
    let _ = sysfs::parse_unsigned("a file", bytes);
    let _ = sysfs::parse_signed("a file", bytes);
    let _ = sysfs::parse_hexadecimal("a file", bytes);
    if let Ok(degrees) = sysfs::parse_temperature(bytes) {
        assert!(degrees.is_finite());
    }
    assert!(sysfs::text(bytes, 64).chars().count() <= 64);
    let _ = infiniband::parse_state(bytes);
    let _ = pci::parse_generation(bytes);
    let _ = pci::parse_error_total(bytes);
    if let Ok(rate) = infiniband::parse_rate(bytes) {
        assert!(rate.is_finite() && rate >= 0.0);
    }
}

fn processes(bytes: &[u8]) {
    let _ = pid_stat::parse(bytes);
    if let Ok(command) = pid_cmdline::parse(bytes) {
        assert!(command.chars().count() <= pid_cmdline::MAX_COMMAND_CHARACTERS);
        assert!(!command.chars().any(char::is_control));
    }
}

/// The first and the last instant, just before the day that Samoa left out, changes of the clock.
const INSTANTS_MS: [i64; 6] = [
    i64::MIN,
    1_325_239_000_000,
    1_774_746_000_000,
    1_792_890_000_000,
    1_800_000_000_000,
    i64::MAX,
];

/// What is read prints as what is read again, and its answers agree.
fn calendar(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Matchers::parse(text);
    let Ok(calendar) = Calendar::parse(text, &Zone::utc(), Some(Timestamp::EPOCH)) else { return };
    assert_eq!(calendar.to_string().parse().as_ref(), Ok(&calendar));
    for now in INSTANTS_MS.map(Timestamp::from_unix_ms) {
        let Some(change) = calendar.next_change(now) else { continue };
        assert!(change > now);
        assert_ne!(calendar.covers(now), calendar.covers(change));
    }
}

fn ical(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(imported) = icalendar::parse(text, &Zone::utc()) else { return };
    assert!(imported.events + imported.unread <= icalendar::MAX_EVENTS);
    assert!(imported.mistakes.len() <= icalendar::MAX_NAMED);
    for now in INSTANTS_MS.map(Timestamp::from_unix_ms) {
        let _ = imported.schedule.on_call(now);
        if let Some(change) = imported.schedule.next_change(now) {
            assert!(change > now);
        }
    }
}

/// A transcript of a diagnosis, cut anywhere; what tools say in it, and the bundle made of it.
fn diagnose(bytes: &[u8]) {
    let (cut, bytes) = bytes.split_first().map_or((1, bytes), |(cut, rest)| (*cut, rest));
    let mut transcript = sickbay_diagnose::Transcript::new("x1");
    for piece in bytes.chunks(usize::from(cut).max(1)) {
        if transcript.feed(piece).is_break() {
            break;
        }
    }
    assert!(transcript.noise().len() <= bytes.len().saturating_mul(3));
    let parts = transcript.finish();
    assert!(parts.iter().map(|part| part.content.len()).sum::<usize>() <= bytes.len());
    let tests = sickbay_diagnose::outcomes(&parts);
    assert!(tests.len() <= bytes.len());
    let mut bundle = sickbay_diagnose::Bundle::new("fuzzed", 0);
    for (place, part) in parts.iter().enumerate().take(8) {
        let _ = bundle.text(&format!("{place}.txt"), &part.text());
    }
}
