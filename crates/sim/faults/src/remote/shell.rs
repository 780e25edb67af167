//! What a node's shell answers, made of its files.

use anyhow::{Result, bail};

use crate::machine::Machine;
use crate::tree::Tree;

/// What the kernel answers from memory, at every poll.
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
    "proc/uptime",
];

/// What does not change while a machine runs.
const LASTING: [&str; 7] = [
    "proc/cpuinfo",
    "proc/self/auxv",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/arch",
    "etc/os-release",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/sys_vendor",
];

/// The shell behind one lane, with what it keeps between questions.
#[derive(Debug, Default)]
pub struct Shell {
    /// Whether it told what does not change.
    lasting_told: bool,
    disks: Vec<String>,
}

/// An answer as it is made.
pub(super) struct Answer<'a> {
    number: &'a str,
    pub(super) bytes: Vec<u8>,
}

impl Answer<'_> {
    pub(super) fn section(&mut self, name: &str) {
        self.bytes.extend_from_slice(format!("\x1e{} {name}\n", self.number).as_bytes());
    }

    pub(super) fn text(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(text.as_ref());
    }

    /// The files as `head` writes them; those that are not there are left out, as by a pattern.
    pub(super) fn heads<'b>(
        &mut self,
        tree: &Tree,
        kind: &str,
        paths: impl IntoIterator<Item = &'b str>,
    ) {
        let there: Vec<_> =
            paths.into_iter().filter_map(|path| Some((path, tree.get(path)?))).collect();
        if there.is_empty() {
            return;
        }
        self.section(kind);
        self.text("==> /dev/null <==\n");
        for (path, content) in there {
            self.text(format!("\n==> {path} <==\n"));
            self.text(content);
        }
    }

    fn links<'b>(&mut self, tree: &Tree, paths: impl Iterator<Item = &'b str>) {
        let there: Vec<_> = paths.filter_map(|path| Some((path, tree.target(path)?))).collect();
        if !there.is_empty() {
            self.section("links");
            for (path, target) in there {
                self.text(format!("lrwxrwxrwx 1 root root 0 Jan  1 00:00 {path} -> {target}\n"));
            }
        }
    }
}

impl Shell {
    /// The answer to a question; `None` where there is none in time.
    ///
    /// # Errors
    /// When the question has words that no shell knows.
    pub fn answer(
        &mut self,
        tree: &Tree,
        machine: &Machine,
        question: &str,
    ) -> Result<Option<Vec<u8>>> {
        let mut words = question.split_whitespace();
        let (Some(number), Some(lane), Some(_seconds)) = (words.next(), words.next(), words.next())
        else {
            bail!("not a question: {question:?}");
        };
        let mut answer = Answer { number, bytes: Vec::new() };
        match lane {
            "host" => {
                if !std::mem::replace(&mut self.lasting_told, true) {
                    lasting(tree, &mut answer);
                }
                for word in words {
                    self.group(word, tree, &mut answer)?;
                }
            }
            "nvidia" => {
                let word = words.next().unwrap_or_default();
                nvidia(tree, machine, word, &words.collect::<Vec<_>>(), &mut answer);
            }
            "mounts" => mounts(tree, words.next().unwrap_or_default(), &mut answer),
            other => bail!("there is no lane {other:?}"),
        }
        answer.section("end");
        Ok(Some(answer.bytes))
    }

    fn group(&mut self, word: &str, tree: &Tree, answer: &mut Answer<'_>) -> Result<()> {
        match word {
            "fast" => self.fast(tree, answer),
            "lasting" => lasting(tree, answer),
            "space" => space(tree, answer),
            "links" => links(tree, answer),
            "infiniband" => infiniband(tree, answer),
            "pcie" => pcie(tree, answer),
            "sensors" => sensors(tree, answer),
            "processes" => processes(tree, answer),
            "amd" => amd(tree, answer),
            "kernel" => kernel(tree, answer),
            _ => match word.strip_prefix("pids=") {
                Some(pids) => {
                    let paths: Vec<_> =
                        pids.split(',').map(|pid| format!("proc/{pid}/stat")).collect();
                    answer.heads(tree, "files", paths.iter().map(String::as_str));
                }
                None => bail!("no shell knows the group {word:?}"),
            },
        }
        Ok(())
    }

    fn fast(&mut self, tree: &Tree, answer: &mut Answer<'_>) {
        let disks: Vec<String> = tree.names("sys/block/").into_iter().map(str::to_owned).collect();
        if !disks.is_empty() {
            answer.section("directory sys/block");
        }
        if disks != self.disks {
            let mut paths = Vec::new();
            for disk in &disks {
                for file in
                    ["size", "hidden", "queue/rotational", "dm/uuid", "dm/name", "device/model"]
                {
                    paths.push(format!("sys/block/{disk}/{file}"));
                }
            }
            answer.heads(tree, "files", paths.iter().map(String::as_str));
            self.disks = disks;
        }
        let edac = tree.below("sys/devices/system/edac/mc/mc").map(|(path, _)| path);
        answer.heads(tree, "files", FAST.into_iter().chain(edac));
    }
}

fn lasting(tree: &Tree, answer: &mut Answer<'_>) {
    answer.heads(tree, "files", LASTING);
    hardware(tree, answer);
}

/// Which GPUs the bus has, and whose driver is there.
fn hardware(tree: &Tree, answer: &mut Answer<'_>) {
    answer.section("values");
    for path in [
        ".dockerenv",
        "run/.containerenv",
        "run/systemd/container",
        "proc/driver/nvidia/version",
        "dev/nvidiactl",
    ] {
        if tree.get(path).is_some() {
            answer.text(format!("{path} there\n"));
        }
    }
    for (path, _) in tree
        .below("dev/nvidia")
        .filter(|(path, _)| path.ends_with(|last: char| last.is_ascii_digit()))
    {
        answer.text(format!("{path} there\n"));
    }
    if let Some(group) = tree.get("proc/1/cgroup") {
        answer.text(format!(
            "proc/1/cgroup ,{}\n",
            String::from_utf8_lossy(group).trim_end().replace('\n', ",")
        ));
    }
    for name in tree.names("sys/bus/pci/devices/") {
        let at = format!("sys/bus/pci/devices/{name}");
        let file = |file: &str| {
            tree.get(&format!("{at}/{file}"))
                .map(|text| String::from_utf8_lossy(text).trim_end().to_owned())
        };
        let (Some(class), Some(vendor)) = (file("class"), file("vendor")) else { continue };
        if class.starts_with("0x03") || class.starts_with("0x12") {
            answer.text(format!("{at}/class {class}\n{at}/vendor {vendor}\n"));
        }
    }
}

/// `statvfs` of the mounts that are asked together, or of one kind.
fn answers(tree: &Tree, answer: &mut Answer<'_>, wanted: impl Fn(&str, &str) -> bool, late: bool) {
    let record = tree.get("statvfs").map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    let listed = tree
        .get("proc/self/mountinfo")
        .map(String::from_utf8_lossy)
        .unwrap_or_default()
        .into_owned();
    for line in listed.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let (Some(point), Some(device)) = (words.get(4), words.get(2)) else { continue };
        let kind =
            line.split(" - ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        if !wanted(kind, device) {
            continue;
        }
        let said = record.lines().find_map(|line| line.strip_suffix(point)?.strip_suffix(' '));
        match said {
            Some("hang") if late => answer.text(format!("late {point}\n")),
            Some("hang") | None => {}
            Some("error 116") => answer.text(format!(
                "stat: cannot read file system information for '{point}': Stale file handle\n"
            )),
            Some(error) if error.starts_with("error") => {
                answer.text(format!(
                    "stat: cannot read file system information for '{point}': Input/output error\n"
                ));
            }
            Some(numbers) => answer.text(format!("{numbers} {point}\n")),
        }
    }
}

fn is_remote(kind: &str) -> bool {
    matches!(kind, "nfs4" | "nfs" | "lustre" | "beegfs" | "ceph" | "gpfs" | "wekafs")
        || kind.starts_with("fuse")
}

fn is_pseudo(kind: &str) -> bool {
    matches!(kind, "proc" | "sysfs" | "devtmpfs")
}

fn space(tree: &Tree, answer: &mut Answer<'_>) {
    answer.heads(tree, "files", ["proc/self/mountinfo"]);
    answer.section("space");
    answers(tree, answer, |kind, _| !is_remote(kind) && !is_pseudo(kind), false);
}

fn mounts(tree: &Tree, skipped: &str, answer: &mut Answer<'_>) {
    let skipped: Vec<_> = skipped.split(',').collect();
    answer.heads(tree, "files", ["proc/self/mountinfo"]);
    answer.section("space");
    answers(tree, answer, |kind, device| is_remote(kind) && !skipped.contains(&device), true);
}

fn links(tree: &Tree, answer: &mut Answer<'_>) {
    answer.section("directory sys/class/net");
    answer.section("values");
    let mut paths = Vec::new();
    for name in tree.names("sys/class/net/") {
        let at = format!("sys/class/net/{name}");
        paths.extend(["flags", "carrier", "speed", "operstate"].map(|file| format!("{at}/{file}")));
        if tree.get(&format!("{at}/device/uevent")).is_some() {
            answer.text(format!("{at}/device there\n"));
        }
    }
    paths.extend(["proc/net/route".to_owned(), "proc/net/ipv6_route".to_owned()]);
    answer.heads(tree, "files", paths.iter().map(String::as_str));
}

fn infiniband(tree: &Tree, answer: &mut Answer<'_>) {
    let all: Vec<_> = tree.below("sys/class/infiniband/").map(|(path, _)| path).collect();
    if all.is_empty() {
        return;
    }
    answer.section("directory sys/class/infiniband");
    let wanted = |path: &&str| path.contains("/ports/") || path.ends_with("/board_id");
    answer.heads(tree, "files", all.into_iter().filter(wanted));
}

fn pcie(tree: &Tree, answer: &mut Answer<'_>) {
    let wanted = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name == "class" || name.starts_with("aer_dev_") || name.contains("_link_")
    };
    let all: Vec<_> = tree.below("sys/bus/pci/devices/").map(|(path, _)| path).collect();
    if all.is_empty() {
        return;
    }
    answer.section("directory sys/bus/pci/devices");
    answer.heads(tree, "files", all.into_iter().filter(wanted));
}

fn sensors(tree: &Tree, answer: &mut Answer<'_>) {
    let wanted = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let depth = path.matches('/').count() == 4;
        depth
            && (name == "name"
                || (name.starts_with("temp")
                    && ["_input", "_label", "_crit"].iter().any(|end| name.ends_with(end))))
    };
    let paths: Vec<_> =
        tree.below("sys/class/hwmon/").map(|(path, _)| path).filter(|path| wanted(path)).collect();
    answer.heads(tree, "files", paths);
    let devices: Vec<_> = tree
        .names("sys/class/hwmon/")
        .iter()
        .map(|name| format!("sys/class/hwmon/{name}/device"))
        .collect();
    answer.links(tree, devices.iter().map(String::as_str));
}

fn processes(tree: &Tree, answer: &mut Answer<'_>) {
    for file in ["stat", "cmdline"] {
        let is_one = |path: &str| {
            let rest = path
                .strip_prefix("proc/")
                .and_then(|rest| rest.strip_suffix(file)?.strip_suffix('/'));
            rest.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let paths: Vec<_> =
            tree.below("proc/").map(|(path, _)| path).filter(|path| is_one(path)).collect();
        answer.heads(tree, &format!("table {file}"), paths);
    }
}

fn amd(tree: &Tree, answer: &mut Answer<'_>) {
    hardware(tree, answer);
    let cards: Vec<_> = tree
        .names("sys/class/drm/")
        .into_iter()
        .filter(|name| {
            tree.get(&format!("sys/class/drm/{name}/device/vendor"))
                .is_some_and(|vendor| vendor.starts_with(b"0x1002"))
        })
        .map(|name| format!("sys/class/drm/{name}/device/"))
        .collect();
    if cards.is_empty() {
        return;
    }
    let files = cards.iter().flat_map(|card| tree.below(card).map(|(path, _)| path));
    let unwanted = |path: &str| path.ends_with("/class") || path.ends_with("/hwmon/name");
    let paths: Vec<_> = std::iter::once("sys/module/amdgpu/version")
        .chain(files.filter(|path| !unwanted(path)))
        .collect();
    answer.heads(tree, "files", paths);
}

fn nvidia(tree: &Tree, machine: &Machine, word: &str, more: &[&str], answer: &mut Answer<'_>) {
    hardware(tree, answer);
    let Some(gpus) = &machine.gpus else {
        answer.section("absent");
        return;
    };
    let mut say = |what: &str, said: Option<(String, u8)>| {
        answer.section(what);
        let status = match said {
            Some((text, status)) => {
                answer.text(text);
                status
            }
            None => 124,
        };
        answer.section(&format!("status {what} {status}"));
        status != 124
    };
    if word == "help" {
        say("help", gpus.smi_answers().then(|| (gpus.smi_help(), 0)));
        return;
    }
    if say("query", gpus.smi_rows(word)) && say("apps", Some((gpus.smi_apps(), 0))) {
        for what in more {
            let text = match *what {
                "rows" => gpus.smi_remapped(),
                _ => gpus.smi_details(),
            };
            say(what, Some((text, 0)));
        }
    }
}

/// What the kernel's log holds, or that it may not be read.
fn kernel(tree: &Tree, answer: &mut Answer<'_>) {
    answer.section("content dev/kmsg");
    match tree.get("dmesg") {
        Some(log) => answer.text(log),
        None => answer.text("!denied\n"),
    }
}
