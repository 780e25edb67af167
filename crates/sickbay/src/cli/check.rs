//! `sickbay check`: look at machines now, without a hub: this one, or others over SSH.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use sickbay_model::{Level, Status};
use sickbay_wire::v1::{Page, ResourceDetail};

use super::{
    Context, Failure, Outcome, block_on, check_fleet, format, gate, live, print_json, render, safe,
};

/// Look at this machine now, or at others over SSH; needs no hub
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay check                     this machine
  sickbay check gpu-07 ada@10.0.0.9 others over SSH, watched or not
  sickbay check rack=7              the watched nodes with this label
  sickbay check --all               every watched node, and this machine
  sickbay check --findings          only what is not healthy, with what to do
  sickbay check --json | jq '.items[0].score'
  sickbay check --plugin            one line with performance data, for Nagios and its kin
  sickbay check --ready             live, and the exit code says whether all are ready
  sickbay check --gate && srun …    a gate in front of a job: the hub's fresh verdict if
                                    there is one, else a live look; one line

The exit code is the worst verdict in every form: 0 healthy, 1 degraded, 2 unhealthy
or critical, 3 unknown. With --ready: 0 all ready for work, 2 not. With --gate: 0 pass
(healthy or degraded, and ready), 2 refuse, 3 nobody knows.")]
pub(crate) struct CheckOptions {
    /// Nodes by name, or LABEL=VALUE; without any, this machine
    #[arg(value_name = "NODE|LABEL=VALUE", conflicts_with = "all")]
    pub(crate) nodes: Vec<String>,
    /// Look at every watched node, and at this machine
    #[arg(long)]
    pub(crate) all: bool,
    /// How long one node may take; the whole answer, with --gate (55 s)
    #[arg(long, value_name = "DURATION", value_parser = super::parse::duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// How many nodes are asked at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) concurrency: Option<u16>,
    /// Print JSON: the API's resources, the node first
    #[arg(long, conflicts_with_all = ["plugin", "findings"])]
    pub(crate) json: bool,
    /// Print the Nagios plugin form: one line with performance data, then the findings
    #[arg(long, conflicts_with = "findings")]
    pub(crate) plugin: bool,
    /// Print only what is not healthy, with evidence and advice
    #[arg(long)]
    pub(crate) findings: bool,
    /// Let the exit code say whether work may be started here
    #[arg(long)]
    pub(crate) ready: bool,
    /// Say in one line and by the exit code whether work may be started on one node: from the
    /// hub's verdict within 2 s if that is fresh, else from a live look
    #[arg(long, conflicts_with_all = ["all", "json", "plugin", "findings", "ready"])]
    pub(crate) gate: bool,
    /// How old the hub's verdict may be for --gate; without it, 150 s
    #[arg(long, value_name = "DURATION", requires = "gate", value_parser = super::parse::duration)]
    pub(crate) max_age: Option<std::time::Duration>,
}

pub(crate) fn run(context: &Context, options: &CheckOptions) -> Outcome {
    if options.gate {
        if let [_, second, ..] = &options.nodes[..] {
            let message = format!("a gate is for one node; {} is a second one", safe(second));
            return Err(Failure::new(super::exit_code::USAGE, message));
        }
        return gate::run(context, &context.load_config_to_ask().settings, options);
    }
    let loaded = context.load_config(Vec::new())?;
    let settings = &loaded.settings;
    if options.all || !options.nodes.is_empty() {
        return check_fleet::run(context, settings, options);
    }
    // A gate in front of a job waits for the answer; a person wants to see something at once.
    let patience = match options.ready {
        true => live::PATIENCE.max(settings.hub.local.torch.timeout),
        false => live::PATIENCE,
    };
    let look = live::look(context, settings, patience);
    let details = block_on(async {
        match options.timeout {
            Some(limit) => tokio::time::timeout(limit, look).await.unwrap_or_else(|_| {
                let limit = format::duration(limit);
                let message = format!("this machine could not be looked at within {limit}");
                Err(Failure::new(Level::Unknown.exit_code(), message))
            }),
            None => look.await,
        }
    })?;
    show_one(context, options, &details)
}

/// One machine in full.
pub(crate) fn show_one(
    context: &Context,
    options: &CheckOptions,
    details: &[ResourceDetail],
) -> Outcome {
    let (node, gpus) =
        details.split_first().ok_or_else(|| Failure::internal("the machine was not found"))?;
    let code = exit_code(node, options.ready);
    if options.json {
        print_json(context, &Page { items: details.to_vec(), next_cursor: None })?;
    } else if options.plugin {
        context.terminal.print(&plugin(node, gpus, options.ready))?;
    } else {
        let now = context.now();
        let text = render::node_report(&context.terminal, node, gpus, !options.findings, now);
        context.terminal.print(&text)?;
    }
    Ok(ExitCode::from(code))
}

fn exit_code(node: &ResourceDetail, ready: bool) -> u8 {
    match (ready, node.summary.ready) {
        (false, _) => node.summary.level.exit_code(),
        (true, Some(true)) => 0,
        (true, _) => Level::Critical.exit_code(),
    }
}

/// The plugin convention's word for an exit code.
pub(crate) fn plugin_word(code: u8) -> &'static str {
    match code {
        0 => "OK",
        1 => "WARNING",
        2 => "CRITICAL",
        _ => "UNKNOWN",
    }
}

/// A text without what would begin performance data.
pub(crate) fn clean(text: &str) -> String {
    safe(text).replace('|', "/")
}

/// The Nagios plugin form: `SICKBAY OK - text | 'label'=value;warning;critical;min;max`, then a line
/// for each finding. A `|` in a text would begin performance data, so it is replaced.
fn plugin(node: &ResourceDetail, gpus: &[ResourceDetail], ready: bool) -> String {
    let word = plugin_word(exit_code(node, ready));
    let score = node.summary.score;
    let shown = score.map_or_else(|| "no score".to_owned(), |score| format!("score {score:.1}"));
    let readiness = match node.summary.ready {
        Some(true) => ", ready",
        Some(false) => ", not ready",
        None => "",
    };
    let mut text = format!(
        "SICKBAY {word} - {} {}, {shown}{readiness}: {}",
        clean(&node.summary.id),
        node.summary.level,
        clean(&node.summary.headline)
    );
    let _ = write!(text, " | {}", performance_data(node, gpus).join(" "));
    text.push('\n');
    for check in node.checks.iter().filter(|check| check.status != Status::Healthy) {
        let _ = writeln!(
            text,
            "{}: {}: {}",
            check.status,
            clean(&render::check_name(check)),
            clean(&check.message)
        );
    }
    text
}

/// Label, metric, unit of measurement, smallest and largest value.
const PLUGIN_METRICS: [(&str, &str, &str, &str, &str); 4] = [
    ("cpu_used", "cpu_used_percent", "%", "0", "100"),
    ("memory_used", "memory_used_percent", "%", "0", "100"),
    ("swap_used", "swap_used_percent", "%", "0", "100"),
    ("load_1m", "load_1m", "", "0", ""),
];

fn performance_data(node: &ResourceDetail, gpus: &[ResourceDetail]) -> Vec<String> {
    let mut data = Vec::new();
    if let Some(score) = node.summary.score {
        // Below 80 it is degraded, below 60 unhealthy.
        data.push(format!("'score'={score:.1};80:;60:;0;100"));
    }
    for (label, metric, unit, low, high) in PLUGIN_METRICS {
        if let Some(value) = render::reading(node, metric, "") {
            data.push(format!("'{label}'={}{unit};;;{low};{high}", plain(value)));
        }
    }
    for view in node.readings.iter().filter(|view| view.metric == "filesystem_used_percent") {
        // Quotes and control characters do not belong into a label.
        let mount = safe(&view.instance).replace(['\'', '='], "_");
        data.push(format!("'disk {mount}'={}%;;;0;100", plain(view.value)));
    }
    for gpu in gpus {
        let index = gpu.summary.id.rsplit('/').next().unwrap_or("");
        for (label, metric, unit) in [
            ("used", "gpu_utilization_percent", "%"),
            ("memory", "gpu_memory_used_percent", "%"),
            ("temperature", "gpu_temperature_celsius", ""),
        ] {
            if let Some(value) = render::reading(gpu, metric, index) {
                data.push(format!("'gpu{index} {label}'={}{unit};;;0;", plain(value)));
            }
        }
    }
    data
}

/// A number without grouping, as a parser wants it.
fn plain(value: f64) -> String {
    format::number(value).replace(' ', "")
}
