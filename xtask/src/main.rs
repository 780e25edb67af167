//! Checks that cargo lacks, and the test command.
//!
//! `cargo xtask` prints what there is. No dependency of the product: this is a tool for the people who
//! build it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

mod edges;
mod generate;
mod hub;
mod shell;
mod test;
mod tidy;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  test [STEP …]   everything that must pass: installs what the tests need (and says so), then runs
                  the steps in order; with names, only those. `cargo xtask test --list` lists them.
  edges           checks that crates depend only on the crates they may
  tidy            checks file sizes, names and words that must not appear
  generate        rewrites the generated parts of docs/ from the code
  faults [NAME …] replays the fault corpus and prints how well its problems are found;
                  --write writes docs/accuracy.md
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = root()?;
    match arguments.first().map(String::as_str) {
        Some("test") => test::run(&root, &arguments[1..]),
        Some("edges") => edges::check(&root),
        Some("tidy") => tidy::check(&root),
        Some("generate") => generate::run(&root),
        Some("faults") => test::replay_faults(&root, &arguments[1..]),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("there is no command {other:?}\n\n{HELP}"),
    }
}

/// The repository's root: the parent of this crate's folder.
fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .context("xtask stands in no folder")
}
