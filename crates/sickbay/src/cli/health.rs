//! `sickbay health`: how is it, as the hub knows it.

use std::process::ExitCode;

use clap::Args;
use sickbay_model::{Kind, Level, ResourceId};
use sickbay_wire::v1::{Page, ResourceDetail, StatusReport};

use super::client::{AskError, Client};
use super::health_fleet::{self, FleetFilter};
use super::{Context, Outcome, block_on, format, live, parse, print_json, render, safe};

/// How well things are, as the hub knows it; without a hub, this machine now
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay health                    everything the hub watches
  sickbay health gpu-07             one node
  sickbay health --label rack=7     a part of the fleet
  sickbay health --level unknown,critical
  sickbay health gpu/gpu-07/3       one GPU
  sickbay health --json             for programs

The exit code is the worst verdict shown: 0 healthy, 1 degraded, 2 unhealthy or
critical, 3 unknown.")]
pub(crate) struct HealthOptions {
    /// KIND/NAME or a node's name; without it, everything
    #[arg(value_parser = parse::resource)]
    resource: Option<ResourceId>,
    #[command(flatten)]
    filter: FleetFilter,
    /// Print JSON: the API's own types (/status; with a filter, /api/v1/fleet)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, options: &HealthOptions) -> Outcome {
    let loaded = context.load_config_to_ask();
    let client = Client::new(context, &loaded.settings)?;
    block_on(async {
        let asked = match &options.resource {
            Some(resource) => one(context, &client, resource, options.json).await,
            None => all(context, &client, options).await,
        };
        match asked {
            Ok(level) => Ok(ExitCode::from(level.exit_code())),
            // Another machine cannot be looked at from here.
            Err(AskError::NoHub { address, reason })
                if options.resource.is_none() && !options.filter.is_set() =>
            {
                context.terminal.remark(&format!(
                    "no hub answers at {} ({}): looking at this machine now",
                    safe(&address),
                    safe(&reason)
                ));
                let details = live::look(context, &loaded.settings, live::PATIENCE).await?;
                let level = show_live(context, &details, options.json)?;
                Ok(ExitCode::from(level.exit_code()))
            }
            Err(error) => Err(error.into()),
        }
    })
}

async fn one(
    context: &Context,
    client: &Client,
    resource: &ResourceId,
    json: bool,
) -> Result<Level, AskError> {
    let node: ResourceDetail = client.get(&detail_path(resource), &[]).await?;
    let level = node.summary.level;
    let shown = if json {
        print_json(context, &node)
    } else {
        let mut gpus = Vec::new();
        for child in &node.children {
            if let Some(id) = child.parse::<ResourceId>().ok().filter(|id| id.kind() == Kind::Gpu) {
                gpus.push(client.get(&detail_path(&id), &[]).await?);
            }
        }
        let now = context.now();
        let mut text = render::node_report(&context.terminal, &node, &gpus, false, now);
        text.push_str(&freshness(&node, now));
        context.terminal.print(&text).map_err(Into::into)
    };
    shown.map_err(|failure| AskError::Strange(failure.message))?;
    Ok(level)
}

/// How old what is shown is.
fn freshness(node: &ResourceDetail, now: sickbay_model::Timestamp) -> String {
    let seen = node.summary.last_check;
    let seen =
        seen.map_or_else(|| "never seen".to_owned(), |at| format!("seen {}", format::age(at, now)));
    match &node.summary.stale {
        Some(stale) => format!("\n{seen}; not fresh: {}\n", safe(stale)),
        None => format!("\n{seen}\n"),
    }
}

async fn all(
    context: &Context,
    client: &Client,
    options: &HealthOptions,
) -> Result<Level, AskError> {
    let json = options.json;
    if options.filter.is_set() || !json {
        match health_fleet::ask(client, &options.filter).await {
            // One machine is told of with its GPUs.
            Ok(fleet) if fleet.total <= 1 && !options.filter.is_set() => {}
            Ok(fleet) => {
                let level = worst(fleet.nodes.iter().map(|node| node.level));
                let shown = match json {
                    true => print_json(context, &fleet),
                    false => {
                        let text = health_fleet::report(context, &fleet, context.now());
                        context.terminal.print(&text).map_err(Into::into)
                    }
                };
                shown.map_err(|failure| AskError::Strange(failure.message))?;
                return Ok(level.unwrap_or(Level::Unknown));
            }
            // An older hub has no such path.
            Err(error) if error.is_missing_route() && !options.filter.is_set() => {}
            Err(error) => return Err(error),
        }
    }
    let status: StatusReport = client.get("/status", &[]).await?;
    let levels = status.resources.iter().map(|summary| summary.level);
    let level = worst(levels).unwrap_or(status.system.level);
    let shown = if json {
        print_json(context, &status)
    } else {
        let terminal = &context.terminal;
        let score = status.system.score;
        let score =
            score.map_or_else(|| "no score".to_owned(), |score| format!("score {score:.1}"));
        let mut text = format!(
            "{}  {}  {score}\n\n",
            terminal.paint(super::Paint::Bold, "system"),
            terminal.paint(status.system.level.into(), status.system.level.as_str()),
        );
        text.push_str(&render::resources(terminal, &status.resources, context.now()));
        terminal.print(&text).map_err(Into::into)
    };
    shown.map_err(|failure| AskError::Strange(failure.message))?;
    Ok(level)
}

fn show_live(
    context: &Context,
    details: &[ResourceDetail],
    json: bool,
) -> Result<Level, super::Failure> {
    let Some((node, gpus)) = details.split_first() else {
        return Ok(Level::Unknown);
    };
    if json {
        print_json(context, &Page { items: details.to_vec(), next_cursor: None })?;
    } else {
        let text = render::node_report(&context.terminal, node, gpus, false, context.now());
        context.terminal.print(&text)?;
    }
    Ok(node.summary.level)
}

/// The worst of several levels; unknown ranks between degraded and unhealthy.
pub(crate) fn worst(levels: impl Iterator<Item = Level>) -> Option<Level> {
    levels.max_by_key(|level| match level {
        Level::Healthy => 0,
        Level::Degraded => 1,
        Level::Unknown => 2,
        Level::Unhealthy => 3,
        Level::Critical => 4,
    })
}

/// Where a resource is in the API.
pub(crate) fn detail_path(resource: &ResourceId) -> String {
    format!("/api/v1/resources/{}", resource.as_str())
}
