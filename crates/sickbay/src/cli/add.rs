//! `sickbay add node`: watch another machine, over SSH.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::keeper::Keeper;
use super::node_arguments::NodeArguments;
use super::sweep::{self, Answer, Sweep, Target, Unreached};
use super::sweep_progress::Progress;
use super::{Context, Failure, Outcome, exit_code, live, render, safe};
use crate::config::Settings;

/// Watch another machine
#[derive(Debug, Args)]
pub(crate) struct AddOptions {
    #[command(subcommand)]
    command: AddCommand,
}

#[derive(Debug, Subcommand)]
enum AddCommand {
    Node(AddNodeOptions),
}

/// Watch a machine over SSH; nothing is installed on it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay add node gpu-07
  sickbay add node ada@10.0.0.7 --accept-new
  sickbay add node gpu-08 --host 10.0.0.8 --jump gateway --label rack=7 --parent gateway
  sickbay add node gpu-09 --expect-gpus 8 --expect-gpu-model H100 --expect-memory 1TB

The node is looked at first; what `ssh` would need (keys, the agent, ~/.ssh/config,
known hosts) is what is needed here. It stays watched over restarts. To watch many:
sickbay nodes import, or `nodes` in the config.")]
pub(crate) struct AddNodeOptions {
    #[command(flatten)]
    node: NodeArguments,
    /// Accept the node's host key if none is known, and write it down
    #[arg(long)]
    accept_new: bool,
    /// Add it without looking at it first
    #[arg(long)]
    no_check: bool,
}

pub(crate) fn run(context: &Context, options: AddOptions) -> Outcome {
    let AddCommand::Node(options) = options.command;
    let mut settings = context.load_config(Vec::new())?.settings;
    settings.hub.ssh.accept_new |= options.accept_new;
    let spec = options.node.spec();
    sweep::block_on_all(async {
        let keeper = Keeper::find(context, &settings).await?;
        let definition = keeper.check(&spec)?;
        if !options.no_check {
            let answer = look(context, &settings, Target::over_ssh(&spec)?).await?;
            if let Some(unreached) = &answer.unreached {
                return Err(not_reached(&spec.name, unreached));
            }
            tell(context, &answer)?;
        }
        let (_, outcome) = keeper.add(&[definition], |_| {}).await;
        outcome?;
        context.terminal.print(&format!("added node/{}; {}\n", spec.name, keeper.when()))?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn look(context: &Context, settings: &Settings, target: Target) -> Result<Answer, Failure> {
    let sweep = Sweep::new(context, settings, live::PATIENCE);
    let mut progress = Progress::new(context, 1);
    let swept = sweep.run(vec![target], &mut progress, &CancellationToken::new()).await;
    let answer = swept.answers.into_iter().next();
    answer.ok_or_else(|| Failure::internal("the node was not asked"))
}

fn tell(context: &Context, answer: &Answer) -> Result<(), Failure> {
    if let Some((node, gpus)) = answer.details.split_first()
        && !context.terminal.quiet
    {
        let text = render::node_report(&context.terminal, node, gpus, false, context.now());
        context.terminal.print(&format!("{text}\n"))?;
    }
    Ok(())
}

fn not_reached(name: &str, unreached: &Unreached) -> Failure {
    let Unreached { reason, advice } = unreached;
    let message = format!("{name} was not added: {}", safe(reason));
    let anyway = "--no-check adds it anyway";
    let hint = match advice {
        Some(advice) => format!("{}; {anyway}", safe(advice)),
        None => format!("see that `ssh {name}` works without a password; {anyway}"),
    };
    Failure::new(exit_code::UNAVAILABLE, message).hint(hint)
}
