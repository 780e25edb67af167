//! `sickbay`: see the library of the same name.

use std::process::ExitCode;

use sickbay::cli;
use sickbay::environment::Environment;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect(), Environment::of_process())
}
