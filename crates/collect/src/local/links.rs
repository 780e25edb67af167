//! Network interfaces: what stands behind them, whether they have carrier, how fast they are.
//!
//! Reading some of these files takes the kernel's network lock, which a driver in trouble can hold
//! for long: this runs in the killable child.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use sickbay_model::catalogue::{NETWORK_LINK_UP, NETWORK_SPEED};
use sickbay_model::{NetworkInterface, ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::network::{MAX_INTERFACES, MAX_NAME_CHARACTERS, is_reported};
use super::read::{KernelFile, is_absent, read_error, small_fact};
use crate::parse::route::DefaultRoute;
use crate::parse::{ParseError, printable, route, sysfs};
use crate::{Files, Roots, Sample};

/// The flag of an interface that the administrator has up (`IFF_UP`).
const FLAG_UP: u64 = 1;

/// Speed is told in megabits per second.
const BYTES_PER_MEGABIT: f64 = 125_000.0;

type ParseRoutes = for<'a> fn(&'a [u8]) -> Result<Vec<DefaultRoute<'a>>, ParseError>;

/// Collects the state of links.
#[derive(Debug)]
pub(super) struct Links {
    route_file: KernelFile,
    route_v6_file: KernelFile,
    buffer: Vec<u8>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            route_file: KernelFile::new("net/route"),
            route_v6_file: KernelFile::new("net/ipv6_route"),
            buffer: Vec::new(),
        }
    }
}

impl LocalCollector for Links {
    fn probe(&self) -> ProbeId {
        probe::NETWORK_LINKS
    }

    fn collect(
        &mut self,
        roots: &Roots,
        _monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let directory = roots.sys.join("class/net");
        let names = match roots.files.list(&directory) {
            Ok(names) => names,
            Err(error) if is_absent(&error) => {
                out.set_not_applicable("no /sys/class/net is visible here");
                return Ok(());
            }
            Err(error) => return Err(read_error(&directory, &error)),
        };
        let mut names: Vec<_> = names
            .into_iter()
            .filter(|name| is_reported(name.as_bytes()))
            .take(MAX_INTERFACES)
            .collect();
        names.sort();
        let default_interfaces = self.default_interfaces(roots, out)?;
        let mut interfaces = Vec::with_capacity(names.len());
        for name in names {
            let default_route = default_interfaces.iter().any(|one| **one == *name.as_bytes());
            // Plain files (bonding_masters) stand between the interfaces.
            let path = directory.join(&name);
            if roots.files.is_dir(&path) {
                let shown = printable(name.as_bytes(), MAX_NAME_CHARACTERS);
                interfaces.push(self.link(&roots.files, &path, shown, default_route, out));
            }
        }
        out.facts.interfaces = Some(interfaces);
        Ok(())
    }
}

impl Links {
    fn link(
        &mut self,
        files: &Files,
        path: &Path,
        name: String,
        default_route: bool,
        out: &mut Sample,
    ) -> NetworkInterface {
        let buffer = &mut self.buffer;
        let flags = small_fact(files, &path.join("flags"), buffer, |bytes| {
            sysfs::parse_hexadecimal("flags", bytes).ok()
        });
        let administratively_up = flags.flatten().is_some_and(|flags| flags & FLAG_UP != 0);
        // Refused by the kernel while the interface is administratively down.
        let carrier = small_fact(files, &path.join("carrier"), buffer, |bytes| {
            sysfs::parse_unsigned("carrier", bytes).ok()
        });
        if let Some(carrier) = carrier.flatten().filter(|_| administratively_up) {
            out.put(NETWORK_LINK_UP, &name, if carrier == 0 { 0.0 } else { 1.0 });
        }
        let speed = small_fact(files, &path.join("speed"), buffer, |bytes| {
            sysfs::parse_signed("speed", bytes).ok()
        });
        // -1, or the same read as an unsigned number, where the driver does not know.
        let known = |speed: &i64| *speed > 0 && *speed < i64::from(u32::MAX);
        if let Some(speed) = speed.flatten().filter(known) {
            out.put(NETWORK_SPEED, &name, speed as f64 * BYTES_PER_MEGABIT);
        }
        let operational_state = small_fact(files, &path.join("operstate"), buffer, |bytes| {
            sysfs::text(bytes, MAX_NAME_CHARACTERS)
        })
        .unwrap_or_default();
        NetworkInterface {
            name,
            operational_state,
            physical: files.exists(&path.join("device")),
            administratively_up,
            default_route,
        }
    }

    /// The interfaces through which a default route leaves; notes the gateway.
    fn default_interfaces(
        &mut self,
        roots: &Roots,
        out: &mut Sample,
    ) -> Result<Vec<Box<[u8]>>, ProbeError> {
        let mut interfaces = Vec::new();
        let files: [(_, ParseRoutes); 2] =
            [(&mut self.route_file, route::parse), (&mut self.route_v6_file, route::parse_v6)];
        for (file, parse) in files {
            let Some(bytes) = file.read_if_there(roots)? else { continue };
            let parsed = parse(bytes);
            let routes = match parsed {
                Ok(routes) => routes,
                Err(error) => return Err(file.malformed(roots, &error)),
            };
            let Some(lowest) = routes.first().map(|first| first.metric) else { continue };
            for default in routes.iter().filter(|default| default.metric == lowest) {
                interfaces.push(default.interface.into());
                // IPv4 comes first, and its gateway is the one that is named.
                if let (None, Some(gateway)) = (&out.facts.host.default_gateway, default.gateway) {
                    out.facts.host.default_gateway = Some(gateway.to_string());
                }
            }
        }
        Ok(interfaces)
    }
}
