//! `sickbay remove node`: watch a machine no longer.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::keeper::Keeper;
use super::{Context, Outcome, block_on};

/// Watch a machine no longer
#[derive(Debug, Args)]
pub(crate) struct RemoveOptions {
    #[command(subcommand)]
    command: RemoveCommand,
}

#[derive(Debug, Subcommand)]
enum RemoveCommand {
    /// Watch nodes no longer that were added; their history stays
    #[command(after_help = "\
Examples:
  sickbay remove node gpu-07
  sickbay remove node gpu-07 gpu-08

Nodes that the config names are taken out of the config.")]
    Node {
        /// Their names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

pub(crate) fn run(context: &Context, options: &RemoveOptions) -> Outcome {
    let RemoveCommand::Node { names } = &options.command;
    let settings = context.load_config(Vec::new())?.settings;
    block_on(async {
        let keeper = Keeper::find(context, &settings).await?;
        for name in names {
            let name = name.strip_prefix("node/").unwrap_or(name);
            keeper.remove(name).await?;
            context.terminal.print(&format!("removed node/{name}; its history stays\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
