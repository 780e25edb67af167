//! Measures Sickbay beside its peers, in one run on one machine, and prints a table.
//!
//! `cargo run --release -p sickbay-benches` runs everything (about five minutes); names of sections
//! run only those; `--minutes N` sets how long the hub is watched at rest. Peers are measured where they
//! are installed (Debian: prometheus-node-exporter, netdata, clustershell, pssh) and named as absent where not.
//! docs/benchmarks.md holds the figures of a run, with the machine and the versions.

use std::process::ExitCode;

use anyhow::{Result, bail};

mod assessment;
mod at_rest;
mod collection;
mod held;
mod hub;
mod machine;
mod peers;
mod process;
mod requests;
mod simulated;
#[path = "../../crates/ssh/tests/support/sshd.rs"]
mod sshd;
mod storage;
mod sweep;
mod table;

use table::Row;

/// What a section is told.
pub struct Options {
    /// How long the hub is watched at rest.
    pub minutes: f64,
}

type Section = (&'static str, fn(&Options) -> Result<Vec<Row>>);

const SECTIONS: &[Section] = &[
    ("assessment", assessment::run),
    ("collection", collection::run),
    ("storage", storage::run),
    ("requests", requests::run),
    ("ssh-sweep", sweep::run),
    ("ssh-distance", sweep::distance),
    ("ssh-held", held::run),
    ("at-rest", at_rest::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The collection section starts this program again as its probe child.
    if arguments.first().map(String::as_str) == Some(collection::PROBE_COMMAND) {
        return sickbay_collect::probe_main(&arguments[1..]);
    }
    let ended = if arguments.first().map(String::as_str) == Some(sweep::SWEEP_COMMAND) {
        sweep::sweep_main(&arguments[1..])
    } else {
        run(arguments)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<()> {
    let mut options = Options { minutes: 1.0 };
    let mut wanted = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--minutes" => match arguments.next().and_then(|value| value.parse().ok()) {
                Some(minutes) => options.minutes = minutes,
                None => bail!("--minutes takes a number"),
            },
            name if SECTIONS.iter().any(|(section, _)| *section == name) => wanted.push(argument),
            other => {
                let names: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
                bail!("there is no section {other:?}; sections: {}", names.join(", "))
            }
        }
    }
    println!("{}\n", machine::describe());
    table::print_head();
    for (name, section) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            table::print(&section(&options)?);
        }
    }
    Ok(())
}
