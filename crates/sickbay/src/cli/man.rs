//! `sickbay man`: manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_mangen::Man;

use super::{Context, Failure, Outcome, command, exit_code};

/// Print the manual page, or write one for every command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay man | man -l -
  sickbay man --dir ~/.local/share/man/man1")]
pub(crate) struct ManOptions {
    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, options: &ManOptions) -> Outcome {
    let Some(dir) = &options.dir else {
        let mut text = Vec::new();
        Man::new(command()).render(&mut text)?;
        context.terminal.print(&String::from_utf8_lossy(&text))?;
        return Ok(ExitCode::SUCCESS);
    };
    let failed = |error: std::io::Error| {
        Failure::new(exit_code::FILE, format!("cannot write into {}: {error}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(command(), dir).map_err(failed)?;
    context.terminal.remark(&format!("wrote the manual pages into {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}
