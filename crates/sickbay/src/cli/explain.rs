//! `sickbay explain`: why is the score what it is?

use std::process::ExitCode;

use clap::Args;
use sickbay_model::{ResourceId, Status};
use sickbay_wire::v1::{Page, ResourceDetail, ResourceSummary};

use super::client::{AskError, Client};
use super::health::detail_path;
use super::{Context, Failure, Outcome, block_on, format, live, parse, print_json, render, safe};

/// Why a score is what it is: its parts, the findings with their evidence, and what to do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay explain                   this machine
  sickbay explain gpu-07            one node
  sickbay explain gpu/gpu-07/3      one GPU
  sickbay explain --live            look now instead of asking the hub

The parts add up to the score, unless a finding caps it; then the cap is the score.")]
pub(crate) struct ExplainOptions {
    /// KIND/NAME or a node's name; without it, the hub's own machine
    #[arg(value_parser = parse::resource)]
    resource: Option<ResourceId>,
    /// Look at this machine now instead of asking the hub
    #[arg(long, conflicts_with = "resource")]
    live: bool,
    /// Print JSON: the API's own types
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, options: &ExplainOptions) -> Outcome {
    let loaded = context.load_config_to_ask();
    let detail = block_on(async {
        if options.live {
            return this_machine(context, &loaded.settings).await;
        }
        let client = Client::new(context, &loaded.settings)?;
        match ask(&client, options.resource.as_ref()).await {
            Ok(detail) => Ok(detail),
            Err(AskError::NoHub { address, reason }) if options.resource.is_none() => {
                let (address, reason) = (safe(&address), safe(&reason));
                context.terminal.remark(&format!(
                    "no hub answers at {address} ({reason}): looking at this machine now"
                ));
                this_machine(context, &loaded.settings).await
            }
            Err(error) => Err(error.into()),
        }
    })?;
    if options.json {
        print_json(context, &detail)?;
    } else {
        context.terminal.print(&explanation(context, &detail))?;
    }
    Ok(ExitCode::from(detail.summary.level.exit_code()))
}

async fn this_machine(
    context: &Context,
    settings: &crate::config::Settings,
) -> Result<ResourceDetail, Failure> {
    let details = live::look(context, settings, live::PATIENCE).await?;
    details.into_iter().next().ok_or_else(|| Failure::internal("this machine was not found"))
}

async fn ask(client: &Client, resource: Option<&ResourceId>) -> Result<ResourceDetail, AskError> {
    let path = match resource {
        Some(resource) => detail_path(resource),
        None => {
            let query = [("kind", "node".to_owned()), ("limit", "1".to_owned())];
            let page: Page<ResourceSummary> = client.get("/api/v1/resources", &query).await?;
            let first = page.items.into_iter().next();
            let id = first.and_then(|summary| summary.id.parse::<ResourceId>().ok());
            let nothing = || AskError::Strange("the hub has not seen any node yet".to_owned());
            detail_path(&id.ok_or_else(nothing)?)
        }
    };
    client.get(&path, &[]).await
}

fn explanation(context: &Context, detail: &ResourceDetail) -> String {
    let terminal = &context.terminal;
    let now = context.now();
    let mut text = render::title(terminal, &detail.summary);
    text.push_str(&format!(
        "\n{} since {} ({})",
        detail.summary.level,
        format::time(detail.summary.since, now),
        format::age(detail.summary.since, now)
    ));
    if let Some(at) = detail.summary.last_check {
        text.push_str(&format!(", seen {}", format::age(at, now)));
    }
    if let Some(stale) = &detail.summary.stale {
        text.push_str(&format!("\nnot fresh: {}", safe(stale)));
    }
    if let Some(breaker) = detail.breaker.as_ref().filter(|breaker| breaker.state != "closed") {
        let next =
            breaker.probe_at.map(|at| format!("; the next try is at {}", format::time(at, now)));
        text.push_str(&format!(
            "\nnot asked: its breaker is {} after {}{}",
            safe(&breaker.state.replace('_', "-")),
            format::count(breaker.failures as usize, "failure"),
            next.unwrap_or_default()
        ));
    }
    text.push('\n');
    text.push_str(&render::heading(terminal, "How the score came about"));
    text.push_str(&render::score(terminal, detail));
    if !detail.incidents.is_empty() {
        text.push_str(&render::heading(terminal, "What happened"));
        text.push_str(&render::incidents(terminal, detail, now));
    }
    let findings = render::findings(terminal, &detail.checks, now);
    let healthy = detail.checks.iter().filter(|check| check.status == Status::Healthy).count();
    if findings.is_empty() {
        text.push_str(&render::heading(terminal, "Findings"));
        text.push_str(&format!("  none; {} healthy\n", format::count(healthy, "check")));
    } else {
        text.push_str(&render::heading(terminal, "Findings"));
        text.push_str(&findings);
        text.push_str(&format!("  and {} healthy\n", format::count(healthy, "check")));
    }
    if detail.readiness.is_some() {
        text.push_str(&render::heading(terminal, "May work be started here?"));
        text.push_str(&render::readiness(terminal, detail));
    }
    let failed: Vec<_> = detail
        .probes
        .iter()
        .filter(|probe| probe.message.is_some() && probe.outcome != "not_applicable")
        .collect();
    if !failed.is_empty() {
        text.push_str(&render::heading(terminal, "Probes without an answer"));
        let mut table = super::table::Table::new(2, &[]);
        for probe in failed {
            let message = probe.message.as_deref().unwrap_or("");
            table.row(vec![
                super::table::Cell::text(probe.probe.as_str()),
                super::table::Cell::text(probe.outcome.replace('_', " ")).paint(super::Paint::Dim),
                super::table::Cell::text(safe(message)),
            ]);
        }
        text.push_str(&table.render(terminal));
    }
    text
}
