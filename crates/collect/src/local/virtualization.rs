//! Whether the machine is a container or a virtual one: what the kernel and the firmware show.

use std::path::Path;

use super::read::small_fact;
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

/// The word for what this machine is; empty on bare metal. Only some architectures' processors say
/// whether they are virtual.
pub(super) fn detect(roots: &Roots, architecture: &str) -> &'static str {
    container(roots).or_else(|| virtual_machine(roots, architecture)).unwrap_or("")
}

/// The word for the kind of container that this is; none outside of one.
pub(crate) fn container(roots: &Roots) -> Option<&'static str> {
    let root = roots.etc.parent().unwrap_or(Path::new("/"));
    let is_there = |path: &str| roots.files.exists(&root.join(path));
    let mut buffer = Vec::new();
    let cgroup = small_fact(&roots.files, &roots.proc.join("1/cgroup"), &mut buffer, |bytes| {
        CGROUP_WORDS
            .iter()
            .find(|(word, _)| bytes.windows(word.len()).any(|part| part == *word))
            .map(|(_, name)| *name)
    });
    cgroup
        .flatten()
        .or_else(|| is_there(".dockerenv").then_some("docker"))
        .or_else(|| is_there("run/.containerenv").then_some("podman"))
        .or_else(|| is_there("run/systemd/container").then_some("container"))
}

fn virtual_machine(roots: &Roots, architecture: &str) -> Option<&'static str> {
    let mut buffer = Vec::new();
    let start =
        roots.files.read_start(&roots.proc.join("cpuinfo"), &mut buffer, CPUINFO_BYTES).ok();
    let flagged =
        start.and_then(|bytes| cpuinfo::parse(bytes).ok()).is_some_and(|info| info.hypervisor);
    let dmi = roots.sys.join("class/dmi/id");
    let named = ["product_name", "sys_vendor", "board_vendor", "bios_vendor"]
        .iter()
        .filter_map(|file| {
            small_fact(&roots.files, &dmi.join(file), &mut buffer, |bytes| sysfs::text(bytes, 64))
        })
        .find_map(|text| {
            FIRMWARE_WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, name)| *name)
        });
    match named {
        // Clouds rent whole machines under the same firmware name.
        Some("amazon" | "google") if !flagged && architecture == "x86_64" => None,
        Some(name) => Some(name),
        None if roots.files.exists(&roots.sys.join("hypervisor/type")) => Some("xen"),
        None => flagged.then_some("virtual machine"),
    }
}
