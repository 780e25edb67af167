//! `sickbay history`: what was measured, as a plot or as data.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sickbay_model::{InstanceKind, MetricDef, ResourceId, Timestamp, catalogue};
use sickbay_wire::v1::{History, HistoryPoint, Page, SeriesView};

use super::client::{AskError, Client};
use super::table::{Cell, Table};
use super::{
    Context, Failure, Outcome, Paint, block_on, exit_code, format, parse, plot, print_json, safe,
};
use crate::config::nearest;
use crate::config::units::DurationText;

/// What was measured over time: a plot, or the numbers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay history gpu-07                                the series there are
  sickbay history gpu-07 cpu_used_percent               the last hour
  sickbay history gpu-07 filesystem_used_percent --instance /data --since 7d
  sickbay history gpu/gpu-07/3 gpu_temperature_celsius --since 1d --step 5m
  sickbay history gpu-07 score --from 2026-11-20 --to 2026-11-21 --csv > score.csv")]
pub(crate) struct HistoryOptions {
    /// KIND/NAME or a node's name
    #[arg(value_parser = parse::resource)]
    resource: ResourceId,
    /// The metric; without it, the series there are
    metric: Option<String>,
    /// Which instance: a mount point, a disk, an interface, a GPU's index
    #[arg(long)]
    instance: Option<String>,
    /// How far back from now: 1h, 7d
    #[arg(long, value_parser = parse::duration, default_value = "1h", conflicts_with_all = ["from", "to"])]
    since: Duration,
    /// The start: 2026-11-21, \"2026-11-21 09:30\" or RFC 3339
    #[arg(long, value_parser = parse::moment)]
    from: Option<Timestamp>,
    /// The end; without it, now
    #[arg(long, value_parser = parse::moment, requires = "from")]
    to: Option<Timestamp>,
    /// What one point stands for: 1m, 1h
    #[arg(long, value_parser = parse::duration)]
    step: Option<Duration>,
    /// Print JSON: the API's own type
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: time, smallest, mean and largest value, number of readings
    #[arg(long)]
    csv: bool,
}

pub(crate) fn run(context: &Context, options: &HistoryOptions) -> Outcome {
    let loaded = context.load_config_to_ask();
    let client = Client::new(context, &loaded.settings)?;
    let Some(name) = &options.metric else {
        return block_on(list(context, &client, options));
    };
    let metric = catalogue::by_name(name).ok_or_else(|| unknown_metric(name))?;
    let history = block_on(async { Ok(ask(context, &client, options, metric).await?) })?;
    if options.json {
        print_json(context, &history)?;
    } else if options.csv {
        context.terminal.print(&csv(&history.points))?;
    } else {
        context.terminal.print(&show(context, &history, metric))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown_metric(name: &str) -> Failure {
    let names = catalogue::ALL.iter().map(|metric| metric.name);
    let failure =
        Failure::new(exit_code::NOT_FOUND, format!("there is no metric {:?}", safe(name)));
    match nearest(name, names) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("`sickbay history RESOURCE` lists the series of a resource"),
    }
}

async fn ask(
    context: &Context,
    client: &Client,
    options: &HistoryOptions,
    metric: &MetricDef,
) -> Result<History, AskError> {
    let to = options.to.unwrap_or_else(|| context.now());
    let from = options.from.unwrap_or_else(|| to.minus(options.since));
    let mut query = vec![
        ("resource", options.resource.to_string()),
        ("metric", metric.name.to_owned()),
        ("from", from.to_string()),
        ("to", to.to_string()),
    ];
    if let Some(instance) = &options.instance {
        query.push(("instance", instance.clone()));
    }
    if let Some(step) = options.step {
        query.push(("step", format!("{}ms", step.as_millis())));
    } else if !options.json && !options.csv {
        // Two dots to a column: more points than that cannot be seen.
        query.push(("max_points", (context.terminal.width * 2).to_string()));
    }
    client.get("/api/v1/history", &query).await
}

fn csv(points: &[HistoryPoint]) -> String {
    let mut text = String::from("time,min,mean,max,count\n");
    for point in points {
        let HistoryPoint { at, min, mean, max, count } = point;
        text.push_str(&format!("{at},{min},{mean},{max},{count}\n"));
    }
    text
}

fn show(context: &Context, history: &History, metric: &MetricDef) -> String {
    let terminal = &context.terminal;
    let instance = if history.instance.is_empty() {
        String::new()
    } else {
        format!(" {}", safe(&history.instance))
    };
    let mut text = format!(
        "{}  {}{instance}\n{}\n",
        terminal.paint(Paint::Bold, &safe(&history.resource)),
        terminal.paint(Paint::Bold, metric.name),
        terminal.paint(Paint::Dim, metric.help.trim())
    );
    let Some(last) = history.points.last() else {
        text.push_str(&format!(
            "\nNothing was measured between {} and {}.\n",
            format::time(history.from, context.now()),
            format::time(history.to, context.now())
        ));
        return text;
    };
    text.push('\n');
    let span = (history.from, history.to);
    text.push_str(&plot::plot(terminal, &history.points, history.unit, span, context.now()));
    let low = history.points.iter().map(|point| point.min).fold(f64::INFINITY, f64::min);
    let high = history.points.iter().map(|point| point.max).fold(f64::NEG_INFINITY, f64::max);
    let count: f64 = history.points.iter().map(|point| f64::from(point.count)).sum();
    let sum: f64 = history.points.iter().map(|point| point.mean * f64::from(point.count)).sum();
    let value = |value| format::value(value, history.unit);
    let step = match history.step_seconds {
        step if step > 0.0 => {
            let step = Duration::try_from_secs_f64(step).unwrap_or_default();
            format!(", {} per point", DurationText(step))
        }
        _ => String::new(),
    };
    text.push_str(&format!(
        "\nsmallest {}  mean {}  largest {}  last {}  ({}{step})\n",
        value(low),
        value(if count > 0.0 { sum / count } else { last.mean }),
        value(high),
        value(last.mean),
        format::readings(count)
    ));
    text
}

async fn list(context: &Context, client: &Client, options: &HistoryOptions) -> Outcome {
    let query = [("resource", options.resource.to_string())];
    let page: Page<SeriesView> = client.get("/api/v1/series", &query).await?;
    if options.json {
        print_json(context, &page)?;
        return Ok(ExitCode::SUCCESS);
    }
    if page.items.is_empty() {
        let what = options.resource.to_string();
        return Err(Failure::new(exit_code::NOT_FOUND, format!("there is no history of {what}"))
            .hint("`sickbay health` lists what is watched"));
    }
    let mut table = Table::new(0, &["METRIC", "INSTANCE", "LAST", "MEANING"]);
    for series in &page.items {
        let metric = catalogue::by_name(&series.metric);
        let instance = match metric.map(|metric| metric.instance) {
            Some(InstanceKind::Node) | None if series.instance.is_empty() => String::new(),
            _ => safe(&series.instance).into_owned(),
        };
        table.row(vec![
            Cell::text(series.metric.as_str()),
            Cell::text(instance),
            Cell::text(format::age(series.last, context.now())).paint(Paint::Dim),
            Cell::text(metric.map_or("", |metric| metric.help.trim())).paint(Paint::Dim),
        ]);
    }
    context.terminal.print(&table.render(&context.terminal))?;
    Ok(ExitCode::SUCCESS)
}
