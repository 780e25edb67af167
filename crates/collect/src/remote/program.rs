//! Packs the node's program into one line, and fills in the lists that the collectors have.
//!
//! What must hold: a list stands in one place; whatever the program says, its line is a constant
//! command around quoted text.

use std::sync::Arc;

use crate::FaultMatcher;
use crate::gpu::nvidia_smi::{APPS_FIELDS, DETAILS_QUERY, REMAPPED_ROWS_FIELDS};
use crate::local::filesystem::{
    CONTAINER_FILES, KEPT_TMPFS, MAX_FILESYSTEMS, PSEUDO_KINDS, REMOTE_KINDS, SKIPPED_BELOW,
};
use crate::local::infiniband::PORT_FILES;
use crate::local::network::PASSING;
use crate::local::pcie::{DEVICE_FILES, ERROR_CLASSES, LINK_CLASSES, LINK_FILES};
use crate::remote_filesystem::MAX_REMOTE_MOUNTS;
use crate::torch;

/// As it is authored.
const SOURCE: &str = include_str!("program.sh");

/// The shell function that runs a command for a while, `limited SECONDS COMMAND…`, with the variables
/// `quiet` and `G` set or empty.
pub const LIMITED: &str = include_str!("limited.sh");

/// What the kernel answers from memory, at every poll; below `/`.
const FAST: [&str; 14] = [
    "proc/stat",
    "proc/loadavg",
    "proc/pressure/cpu",
    "proc/pressure/memory",
    "proc/pressure/io",
    "proc/meminfo",
    "proc/vmstat",
    "proc/diskstats",
    "proc/net/dev",
    "proc/net/snmp",
    "proc/sys/fs/file-nr",
    "proc/sys/kernel/hostname",
    "proc/sys/kernel/random/boot_id",
    // Last, and so nearest to the time of the others' end.
    "proc/uptime",
];

/// What is told once per channel.
const LASTING: [&str; 10] = [
    "proc/cpuinfo",
    "proc/self/auxv",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/arch",
    "etc/os-release",
    "usr/lib/os-release",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/sys_vendor",
    "sys/class/dmi/id/board_vendor",
    "sys/class/dmi/id/bios_vendor",
];

/// Files of an AMD card that do not wake it.
const AMD: [&str; 6] = [
    "unique_id",
    "product_name",
    "device",
    "serial_number",
    "vbios_version",
    "power/runtime_status",
];

/// Files of an AMD card that is awake.
const AMD_AWAKE: [&str; 22] = [
    "gpu_busy_percent",
    "mem_busy_percent",
    "mem_info_vram_total",
    "mem_info_vram_used",
    "pp_dpm_sclk",
    "pp_dpm_mclk",
    "current_link_speed",
    "max_link_speed",
    "current_link_width",
    "max_link_width",
    "pcie_replay_count",
    "ras/*_err_count",
    "hwmon/hwmon*/temp*_label",
    "hwmon/hwmon*/temp*_input",
    "hwmon/hwmon*/temp*_crit",
    "hwmon/hwmon*/temp*_emergency",
    "hwmon/hwmon*/power1_average",
    "hwmon/hwmon*/power1_input",
    "hwmon/hwmon*/power1_cap",
    "hwmon/hwmon*/energy1_input",
    "hwmon/hwmon*/fan1_input",
    "hwmon/hwmon*/fan1_max",
];

/// After how many seconds the program ends itself, whatever happens.
const LIFE_SECONDS: u32 = 900;

/// After how many seconds it ends behind an answer: nobody polls as rarely as the difference.
const RENEW_SECONDS: u32 = 780;

/// The program in one line, with the line's end: made once for each catalogue of faults.
pub(super) fn line(faults: &FaultMatcher) -> Arc<[u8]> {
    let make = || packed_with("/", LIFE_SECONDS, RENEW_SECONDS, faults).into();
    Arc::clone(faults.remote_program.get_or_init(make))
}

/// The program for a node whose files are below another root: a recorded tree.
#[cfg(test)]
pub(super) fn packed(root: &str, life: u32, renew: u32) -> Vec<u8> {
    packed_with(root, life, renew, &FaultMatcher::embedded())
}

fn packed_with(root: &str, life: u32, renew: u32, faults: &FaultMatcher) -> Vec<u8> {
    let mut text = SOURCE.to_owned();
    let remote = format!("fuse*|{}", joined(&REMOTE_KINDS, "|"));
    let skipped = SKIPPED_BELOW.iter().map(|prefix| format!("{}*", lossy(prefix)));
    let files = CONTAINER_FILES.iter().map(|file| lossy(file));
    let skipped: Vec<_> = skipped.chain(files).collect();
    // Below /dev there is one mount that counts; the shell decides that.
    let skipped_pattern: Vec<_> =
        SKIPPED_BELOW.iter().filter(|prefix| **prefix != b"/dev/").map(|one| lossy(one)).collect();
    let passing: Vec<_> = PASSING.iter().map(|prefix| format!("{}*", lossy(prefix))).collect();
    for (name, value) in [
        ("@LIMITED@", LIMITED.to_owned()),
        ("@ROOT@", quoted(root)),
        ("@FAST@", FAST.join(" ")),
        ("@LASTING@", LASTING.join(" ")),
        ("@AMD@", AMD.join(" ")),
        ("@AMD_AWAKE@", AMD_AWAKE.join(" ")),
        ("@PORT@", PORT_FILES.join(" ")),
        ("@PCI_DEVICE@", DEVICE_FILES.join(" ")),
        ("@PCI_LINK@", LINK_FILES.join(" ")),
        ("@PCI_LINKED@", classes(&LINK_CLASSES)),
        ("@PCI_OTHERS@", classes(&ERROR_CLASSES)),
        ("@TMPFS@", joined(&KEPT_TMPFS, "|")),
        ("@PSEUDO@", joined(&PSEUDO_KINDS, "|")),
        ("@PSEUDO_PATTERN@", joined(&PSEUDO_KINDS, "|").replace('.', "[.]")),
        ("@FAULTS@", words_of(faults)),
        ("@REMOTE@", remote),
        ("@SKIPPED@", skipped.join("|")),
        ("@SKIPPED_PATTERN@", skipped_pattern.join("|")),
        ("@PASSING@", passing.join("|")),
        ("@FILESYSTEMS@", MAX_FILESYSTEMS.to_string()),
        ("@REMOTE_MOUNTS@", MAX_REMOTE_MOUNTS.to_string()),
        ("@LIFE@", life.to_string()),
        ("@RENEW@", renew.to_string()),
        ("@APPS@", APPS_FIELDS.to_owned()),
        ("@ROWS@", REMAPPED_ROWS_FIELDS.to_owned()),
        ("@DETAILS@", DETAILS_QUERY.to_owned()),
        ("@TORCH@", escaped(torch::PROGRAM)),
    ] {
        text = text.replace(name, &value);
    }
    packed_line(&text)
}

/// A program for a POSIX shell in one line, with the line's end: what [`super::BOOTSTRAP`] reads.
/// Lines that are empty or begin with # are left out.
#[must_use]
pub fn packed_line(source: &str) -> Vec<u8> {
    let mut text = String::with_capacity(source.len());
    for line in source.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        text.push_str(line);
        text.push('\n');
    }
    format!("eval \"$(printf '%b' '{}')\"\n", escaped(&text)).into_bytes()
}

/// The words of the fault catalogue, as arguments of `grep`. They are the program's own data, and
/// quoted all the same.
fn words_of(faults: &FaultMatcher) -> String {
    let arguments = faults.literals().map(|literal| format!("-e {}", quoted(&lossy(literal))));
    arguments.collect::<Vec<_>>().join(" ")
}

/// As `printf %b` turns it back, between single quotes and on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for char in text.chars() {
        match char {
            '\n' => escaped.push_str("\\n"),
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\0047"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// A word of a shell's command line: between single quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A pattern of the shell for PCI classes as `/sys` writes them.
fn classes(classes: &[u64]) -> String {
    let patterns: Vec<_> = classes.iter().map(|class| format!("0x{class:04x}*")).collect();
    patterns.join("|")
}

fn joined(words: &[&[u8]], between: &str) -> String {
    words.iter().map(|word| lossy(word)).collect::<Vec<_>>().join(between)
}

fn lossy(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_program_is_one_line_that_a_shell_understands() {
        let line = String::from_utf8(line(&FaultMatcher::embedded()).to_vec()).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "one line, ended");
        assert!(line.is_ascii() && !line.contains('\t'));
        let unfilled = |word: &str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase());
        assert!(!line.split('@').any(unfilled), "every name is filled in");
        // Read as `read -r` does it, and turned back.
        let inner = line.trim_end().strip_prefix("eval \"$(").unwrap().strip_suffix(")\"").unwrap();
        let unpacked = Command::new("sh").arg("-c").arg(inner).output().unwrap().stdout;
        let unpacked = String::from_utf8(unpacked).unwrap();
        assert!(unpacked.contains("cd '/' || exit 1\n"), "{unpacked}");
        assert!(unpacked.contains("import torch"));
        let syntax = Command::new("sh").arg("-nc").arg(&unpacked).output().unwrap();
        assert!(syntax.status.success(), "{}", String::from_utf8_lossy(&syntax.stderr));
    }

    #[test]
    fn text_comes_back_as_it_was() {
        for text in ["a'b", "\\n\n\\\\", "%s \\045 $x `y`", "\\", "'", "\"\\nsickbay\""] {
            let script = format!("printf '%b' '{}'", escaped(text));
            for shell in ["dash", "bash", "busybox"] {
                let mut command = Command::new(shell);
                if shell == "busybox" {
                    command.arg("sh");
                }
                let back = command.arg("-c").arg(&script).output().unwrap().stdout;
                assert_eq!(String::from_utf8_lossy(&back), text, "{shell}: {script}");
            }
        }
    }
}
