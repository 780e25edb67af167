//! `sickbay breaker`: nodes that are not asked because they kept failing.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use sickbay_wire::v1::{BreakerView, NodeView, Page};

use super::client::Client;
use super::table::{Cell, Table};
use super::watched::{NODES, name_of};
use super::{Context, Failure, Outcome, Paint, block_on, exit_code, format, print_json, safe};

/// Nodes that are not asked for a while because they kept failing
#[derive(Debug, Args)]
pub(crate) struct BreakerOptions {
    #[command(subcommand)]
    command: BreakerCommand,
}

#[derive(Debug, Subcommand)]
enum BreakerCommand {
    /// Which breakers are open, since when, why, and when the next try is
    #[command(after_help = "\
Examples:
  sickbay breaker list
  sickbay breaker list --all")]
    List {
        /// The closed ones too
        #[arg(long)]
        all: bool,
        /// Print JSON: the API's own types
        #[arg(long)]
        json: bool,
    },
    /// Close breakers and ask the nodes at once
    #[command(after_help = "\
Examples:
  sickbay breaker reset gpu-07")]
    Reset {
        /// The nodes
        #[arg(value_name = "NODE", required = true)]
        nodes: Vec<String>,
    },
}

pub(crate) fn run(context: &Context, options: &BreakerOptions) -> Outcome {
    let settings = context.load_config_to_ask().settings;
    let client = Client::new(context, &settings)?;
    block_on(async {
        match &options.command {
            BreakerCommand::List { all, json } => {
                let nodes: Vec<NodeView> = client.get_all(NODES, &[]).await?;
                let shown = |node: &NodeView| {
                    let breaker = node.breaker.as_ref();
                    breaker.is_some_and(|breaker| *all || breaker.state != "closed")
                };
                let items: Vec<_> = nodes.into_iter().filter(shown).collect();
                if *json {
                    print_json(context, &Page { items, next_cursor: None })?;
                } else if items.is_empty() {
                    context.terminal.print("every breaker is closed: every node is asked\n")?;
                } else {
                    context.terminal.print(&table(context, &items))?;
                }
            }
            BreakerCommand::Reset { nodes } => {
                for node in nodes {
                    let name = node.strip_prefix("node/").unwrap_or(node);
                    if let Some(problem) = sickbay_model::name_problem(name) {
                        let message = format!("the name {problem}");
                        return Err(Failure::new(exit_code::USAGE, message));
                    }
                    let path = format!("{NODES}/{name}/breaker/reset");
                    client.change(Method::POST, &path, None::<&()>).await?;
                    let text =
                        format!("the breaker of {} is closed; it is asked now\n", safe(name));
                    context.terminal.print(&text)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn table(context: &Context, nodes: &[NodeView]) -> String {
    let now = context.now();
    let mut table =
        Table::new(0, &["NODE", "BREAKER", "SINCE", "FAILURES", "NEXT TRY", "LAST FAILURE"]);
    for node in nodes {
        let Some(breaker) = &node.breaker else { continue };
        let BreakerView { state, failures, since, probe_at, last_failure } = breaker;
        let paint = if state == "closed" { Paint::Good } else { Paint::Unsure };
        let since = since.map_or_else(|| "–".to_owned(), |since| format::age(since, now));
        let next = probe_at.map_or_else(|| "–".to_owned(), |at| format::time(at, now));
        table.row(vec![
            Cell::text(safe(name_of(node))),
            Cell::text(safe(&state.replace('_', "-"))).paint(paint),
            Cell::text(since),
            Cell::number(failures.to_string()),
            Cell::text(next),
            Cell::text(safe(last_failure.as_deref().unwrap_or("–"))),
        ]);
    }
    table.render(&context.terminal)
}
