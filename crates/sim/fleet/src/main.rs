//! `sickbay-sim-fleet`: a fleet of simulated SSH hosts, until its input ends.
//!
//! ```text
//! sickbay-sim-fleet DIRECTORY NODES [--port PORT] [--round-trip-ms MS]
//! ```
//!
//! Writes `id_ed25519`, `known_hosts`, `ssh_config` and `nodes.yaml` (for Sickbay's config) into the
//! directory, prints `ready PORT`, and then understands lines of `BEHAVIOUR NUMBER[..NUMBER]` and
//! `counts` on its standard input.

#![expect(clippy::print_stdout, reason = "a program that others read")]

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sickbay_sim_fleet::{Behaviour, FleetOptions, SimFleet};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::main]
async fn main() -> Result<()> {
    let (directory, options) = arguments(std::env::args().skip(1))?;
    std::fs::create_dir_all(&directory).context("making the directory")?;
    // The files name each other, and are read from anywhere.
    let directory = directory.canonicalize().context("finding the directory")?;
    let fleet = SimFleet::start(options).await.context("starting the hosts")?;
    write_files(&directory, &fleet)?;
    println!("ready {}", fleet.address(0).port());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match obey(&fleet, options.nodes, line.trim()) {
            Ok(said) => println!("{said}"),
            Err(error) => println!("error {error:#}"),
        }
    }
    Ok(())
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<(PathBuf, FleetOptions)> {
    let usage = "usage: sickbay-sim-fleet DIRECTORY NODES [--port PORT] [--round-trip-ms MS]";
    let directory = words.next().context(usage)?.into();
    let nodes = words.next().context(usage)?.parse().context("NODES")?;
    let mut options = FleetOptions { nodes, port: 0, round_trip: Duration::ZERO };
    while let Some(flag) = words.next() {
        let value = words.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => options.port = value.parse().context("PORT")?,
            "--round-trip-ms" => {
                options.round_trip = Duration::from_millis(value.parse().context("MS")?);
            }
            _ => bail!("{flag} is not known; {usage}"),
        }
    }
    Ok((directory, options))
}

fn write_files(directory: &Path, fleet: &SimFleet) -> Result<()> {
    let at = |name: &str| directory.join(name);
    let write = |name: &str, text: &str| {
        let mut file = std::fs::OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        let opened = file.open(at(name)).with_context(|| format!("writing {name}"))?;
        std::io::Write::write_all(&mut &opened, text.as_bytes())?;
        anyhow::Ok(())
    };
    write("id_ed25519", &fleet.client_key())?;
    write("known_hosts", &fleet.known_hosts())?;
    let (key, hosts) = (at("id_ed25519"), at("known_hosts"));
    let config = fleet.ssh_config(&key.display().to_string(), &hosts.display().to_string());
    write("ssh_config", &config)?;
    let mut nodes = format!("ssh:\n  config_files: [{}]\nnodes:\n", at("ssh_config").display());
    for (number, name) in fleet.names().enumerate() {
        let _ = writeln!(nodes, "  - name: {name}\n    labels: {{rack: rack-{:02}}}", number / 32);
    }
    write("nodes.yaml", &nodes)
}

fn obey(fleet: &SimFleet, nodes: usize, line: &str) -> Result<String> {
    if line == "counts" {
        let (connections, open, questions) = fleet.counts();
        return Ok(format!("counts {connections} {open} {questions}"));
    }
    let (word, which) = line.split_once(' ').context("BEHAVIOUR NUMBER[..NUMBER], or counts")?;
    let behaviour: Behaviour = word.parse().map_err(anyhow::Error::msg)?;
    let (first, end) = match which.split_once("..") {
        Some((first, end)) => (first.parse()?, end.parse()?),
        None => {
            let one: usize = which.parse()?;
            (one, one + 1)
        }
    };
    for number in first..end.min(nodes) {
        fleet.behave(number, behaviour);
    }
    Ok(format!("{word} {first}..{end}"))
}
