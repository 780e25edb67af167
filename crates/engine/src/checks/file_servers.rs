//! Which mounts a kernel's line about a file server is about.

use sickbay_model::{Filesystem, Inventory};

use crate::faults::Fault;

/// The mounts of the server, or of the target of a parallel filesystem, that a fault names, in the
/// order of the inventory.
pub(super) fn mounts_of<'a>(
    fault: &'a Fault,
    inventory: &'a Inventory,
) -> impl Iterator<Item = &'a Filesystem> {
    let named = fault.device.as_str();
    inventory
        .filesystems
        .iter()
        .filter(move |filesystem| filesystem.remote && is_of(&filesystem.source, named))
}

/// Whether a mount's source (`nfs01:/export`, `10.0.0.1@o2ib:/fsx`) is of what the kernel names
/// (`nfs01`; the target `fsx-OST0004`).
fn is_of(source: &str, named: &str) -> bool {
    let Some((server, path)) = source.rsplit_once(":/") else { return false };
    let server = server.trim_matches(['[', ']']);
    let volume = path.split('/').next().unwrap_or_default();
    let is_target = !volume.is_empty()
        && named.strip_prefix(volume).is_some_and(|rest| {
            rest.strip_prefix('-').is_some_and(|it| it.starts_with("MDT") || it.starts_with("OST"))
        });
    !named.is_empty() && (server.eq_ignore_ascii_case(named) || is_target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_of_servers_and_targets() {
        for (source, named, expected) in [
            ("nfs01:/export/home", "nfs01", true),
            ("nfs01:/", "nfs01", true),
            ("nfs01:/export", "nfs0", false),
            ("nfs01:/export", "", false),
            ("[fd00::1]:/export", "fd00::1", true),
            ("10.10.0.1@o2ib:/fsx", "fsx-MDT0000", true),
            ("a@tcp:b@tcp:/fsx/team", "fsx-OST0004", true),
            ("10.10.0.1@o2ib:/fs", "fsx-MDT0000", false),
            ("10.10.0.1@o2ib:/fsx", "fsx", false),
            ("/dev/sda", "sda", false),
        ] {
            assert_eq!(is_of(source, named), expected, "{source} of {named}");
        }
    }
}
