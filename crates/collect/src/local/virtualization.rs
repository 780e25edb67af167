//! Whether the machine is a container or a virtual one: what the kernel and the firmware show.

use std::path::Path;

use super::read::{read_start, small_fact};
use crate::Roots;
use crate::parse::{cpuinfo, sysfs};

/// How much of `/proc/cpuinfo` is read.
const CPUINFO_BYTES: usize = 16 * 1024;

/// Words in the control groups of a container's first process.
const CGROUP_WORDS: [(&[u8], &str); 6] = [
    (b"kubepods", "kubernetes"),
    (b"docker", "docker"),
    (b"libpod", "podman"),
    (b"lxc", "lxc"),
    (b"containerd", "containerd"),
    (b"garden", "garden"),
];

/// How firmware of virtual machines names itself.
const FIRMWARE_WORDS: [(&str, &str); 16] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek GmbH", "virtualbox"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "hyper-v"),
    ("Virtual Machine", "hyper-v"),
    ("Apple Virtualization", "apple"),
];

/// The word for what this machine is; empty on bare metal.
pub(super) fn detect(roots: &Roots) -> &'static str {
    container(roots).or_else(|| virtual_machine(roots)).unwrap_or("")
}

/// The word for the kind of container that this is; none outside of one.
pub(crate) fn container(roots: &Roots) -> Option<&'static str> {
    let root = roots.etc.parent().unwrap_or(Path::new("/"));
    let mut buffer = Vec::new();
    let cgroup = small_fact(&roots.proc.join("1/cgroup"), &mut buffer, |bytes| {
        CGROUP_WORDS
            .iter()
            .find(|(word, _)| bytes.windows(word.len()).any(|part| part == *word))
            .map(|(_, name)| *name)
    });
    cgroup
        .flatten()
        .or_else(|| root.join(".dockerenv").exists().then_some("docker"))
        .or_else(|| root.join("run/.containerenv").exists().then_some("podman"))
        .or_else(|| root.join("run/systemd/container").exists().then_some("container"))
}

fn virtual_machine(roots: &Roots) -> Option<&'static str> {
    let mut buffer = Vec::new();
    let start = read_start(&roots.proc.join("cpuinfo"), &mut buffer, CPUINFO_BYTES).ok();
    let flagged =
        start.and_then(|bytes| cpuinfo::parse(bytes).ok()).is_some_and(|info| info.hypervisor);
    let dmi = roots.sys.join("class/dmi/id");
    let named = ["product_name", "sys_vendor", "board_vendor", "bios_vendor"]
        .iter()
        .filter_map(|file| small_fact(&dmi.join(file), &mut buffer, |bytes| sysfs::text(bytes, 64)))
        .find_map(|text| {
            FIRMWARE_WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name)
        });
    match named {
        // Clouds rent whole machines under the same firmware name.
        Some("amazon" | "google") if !flagged && cfg!(target_arch = "x86_64") => None,
        Some(name) => Some(name),
        None if roots.sys.join("hypervisor/type").exists() => Some("xen"),
        None => flagged.then_some("virtual machine"),
    }
}
