//! Hosts by the hundred in this process, for a hub or a sweep.

use std::fmt::Write as _;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use sickbay_sim_fleet::{Behaviour, FleetOptions, SimFleet};

use crate::site::Site;
use crate::support::{errors, text};

/// A running fleet, and what runs it.
pub(crate) struct Hosts {
    fleet: SimFleet,
    _runtime: tokio::runtime::Runtime,
    nodes: usize,
}

impl Hosts {
    /// Starts so many, and lets a site know them by their names.
    pub(crate) fn known_to(site: &Site, nodes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options = FleetOptions { nodes, port: 0, round_trip: Duration::ZERO };
        let fleet = runtime.block_on(SimFleet::start(options)).unwrap();
        let (key, known) = (site.file("sim_key"), site.file("sim_known_hosts"));
        let config = fleet.ssh_config(&key.display().to_string(), &known.display().to_string());
        for (file, text) in
            [(key, fleet.client_key()), (known, fleet.known_hosts()), (site.file("config"), config)]
        {
            std::fs::write(file, text).unwrap();
        }
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(site.file("sim_key"), private).unwrap();
        Self { fleet, _runtime: runtime, nodes }
    }

    pub(crate) fn behave(&self, which: Range<usize>, behaviour: Behaviour) {
        for number in which {
            self.fleet.behave(number, behaviour);
        }
    }

    pub(crate) fn all(&self) -> Range<usize> {
        0..self.nodes
    }

    pub(crate) fn name(&self, number: usize) -> String {
        self.fleet.names().nth(number).unwrap().to_owned()
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> u64 {
        self.fleet.counts().1
    }

    /// All of them for a config file, ten to a rack.
    pub(crate) fn as_nodes(&self) -> String {
        let mut nodes = String::from("nodes:\n");
        for (number, name) in self.fleet.names().enumerate() {
            let _ = writeln!(nodes, "  - {{name: {name}, labels: {{rack: rack-{}}}}}", number / 10);
        }
        nodes
    }
}

#[test]
fn a_sweep_names_those_that_are_not_well() {
    let site = Site::new("torch: {mode: never}\nssh: {connect_timeout: 10s}\n");
    site.judge_space();
    let hosts = Hosts::known_to(&site, 40);
    site.configure(&hosts.as_nodes());
    let all = site.place.run(&["check", "rack=rack-1", "rack=rack-2"]);
    let said = text(&all);
    assert_eq!(all.status.code(), Some(0), "{said} {}", errors(&all));
    assert!(said.contains("20 nodes: 20 healthy; 20 ready for work"), "{said}");

    hosts.behave(3..5, Behaviour::Gone);
    hosts.behave(11..12, Behaviour::Refuses);
    hosts.behave(22..23, Behaviour::Silent);
    hosts.behave(33..34, Behaviour::DiskFull);
    let all = site.place.run(&["check", "--all"]);
    let said = text(&all);
    // The worst that is known.
    assert_eq!(all.status.code(), Some(2), "{said} {}", errors(&all));
    let (table, silent) =
        said.split_once("no answer from 4 nodes:").unwrap_or_else(|| panic!("{said}"));
    for (number, why) in [(3, "closed"), (4, "closed"), (11, "let us in"), (22, "says nothing")] {
        let name = hosts.name(number);
        let told = silent.split("sim-").find(|part| name.ends_with(&part[..5.min(part.len())]));
        assert!(told.is_some_and(|told| told.contains(why)), "{name}: {why}: {silent}");
    }
    let full = table.lines().find(|line| line.starts_with(&hosts.name(33)));
    assert!(full.is_some_and(|line| line.contains("critical")), "{table}");
    assert!(said.contains("41 nodes:") && said.contains("4 unknown"), "{said}");

    let alone = site.place.run(&["check", "rack=rack-3"]);
    assert_eq!(alone.status.code(), Some(2), "{}", text(&alone));
    let ready = site.place.run(&["check", "rack=rack-3", "--ready", "--plugin"]);
    assert_eq!(ready.status.code(), Some(2), "{}", text(&ready));
    assert!(text(&ready).contains(&hosts.name(33)), "{}", text(&ready));
    let none = site.place.run(&["check", "rack=rack-9"]);
    assert!(!none.status.success() && errors(&none).contains("rack=rack-9"), "{}", errors(&none));
}
