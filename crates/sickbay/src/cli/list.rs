//! `sickbay list nodes`: what is watched, and how it is reached.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use sickbay_wire::v1::{NodeSpec, NodeView, Page};

use super::table::{Cell, Table};
use super::watched::{name_of, watched};
use super::{Context, Outcome, Paint, block_on, format, node_arguments, print_json, safe};

/// List what is watched
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(subcommand)]
    command: ListCommand,
}

#[derive(Debug, Subcommand)]
enum ListCommand {
    /// The nodes, how each is reached, and who defined it
    #[command(
        alias = "node",
        after_help = "\
Examples:
  sickbay list nodes
  sickbay list nodes --label rack=7
  sickbay list nodes --json | jq -r '.items[].id'"
    )]
    Nodes {
        /// Only those with this label; can be given often
        #[arg(long, value_name = "KEY=VALUE", value_parser = node_arguments::label)]
        label: Vec<(String, String)>,
        /// Print JSON: the API's own types
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(context: &Context, options: &ListOptions) -> Outcome {
    let ListCommand::Nodes { label, json } = &options.command;
    let settings = context.load_config_to_ask().settings;
    let watched = block_on(watched(context, &settings))?;
    let has = |node: &NodeView| {
        let labels = node.spec.as_ref().map(|spec| &spec.labels);
        let has = |key: &String| labels.and_then(|labels| labels.get(key));
        label.iter().all(|(key, value)| has(key) == Some(value))
    };
    let items: Vec<NodeView> = watched.nodes.into_iter().filter(has).collect();
    if *json {
        print_json(context, &Page { items, next_cursor: None })?;
        return Ok(ExitCode::SUCCESS);
    }
    if items.is_empty() {
        context.terminal.remark("no node is watched that has these labels");
    } else {
        context.terminal.print(&table(context, &items))?;
        if !watched.by_hub {
            context.terminal.remark("no hub runs: this is what one would watch");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(context: &Context, nodes: &[NodeView]) -> String {
    let now = context.now();
    let mut table = Table::new(0, &["NODE", "DEFINED BY", "BREAKER", "REACHED BY", "LABELS"]);
    for node in nodes {
        let (breaker, paint) = match &node.breaker {
            None => ("–".to_owned(), Paint::Dim),
            Some(breaker) if breaker.state == "closed" => ("closed".to_owned(), Paint::Dim),
            Some(breaker) => {
                let since = breaker.since.map(|since| format!(" {}", format::age(since, now)));
                let word = breaker.state.replace('_', "-");
                (format!("{word}{}", since.unwrap_or_default()), Paint::Unsure)
            }
        };
        let labels = node.spec.iter().flat_map(|spec| &spec.labels);
        let labels: Vec<_> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        let origin = if node.origin == "local" { "the hub" } else { node.origin.as_str() };
        table.row(vec![
            Cell::text(safe(name_of(node))),
            Cell::text(safe(origin)),
            Cell::text(breaker).paint(paint),
            Cell::text(safe(&node.spec.as_ref().map_or_else(|| "here".to_owned(), reached_by))),
            Cell::text(safe(&labels.join(" "))).paint(Paint::Dim),
        ]);
    }
    table.render(&context.terminal)
}

/// `ada@10.0.0.7:2222 over gateway`, without what `~/.ssh/config` would say.
pub(crate) fn reached_by(spec: &NodeSpec) -> String {
    let user = spec.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let host = spec.host.as_deref().unwrap_or(&spec.name);
    let port = match spec.port {
        Some(port) if host.contains(':') => format!(" port {port}"),
        Some(port) => format!(":{port}"),
        None => String::new(),
    };
    let jump = spec.proxy_jump.as_ref().map(|jump| format!(" over {jump}")).unwrap_or_default();
    let parent = spec.parent.as_ref().map(|parent| format!(", behind {parent}"));
    format!("{user}{host}{port}{jump}{}", parent.unwrap_or_default())
}
