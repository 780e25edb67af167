//! `sickbay check NODE…`: many machines at once, over SSH.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use sickbay_model::{Level, Status};
use sickbay_wire::v1::{FleetNode, NodeView, Page, ResourceDetail};
use tokio_util::sync::CancellationToken;

use super::check::{CheckOptions, clean, plugin_word, show_one};
use super::fleet_table::{self, Times};
use super::sweep::{self, Answer, Sweep, Swept, Target};
use super::sweep_progress::Progress;
use super::watched::{LOCAL, name_of, watched};
use super::{Context, Failure, Outcome, exit_code, format, live, print_json, render, safe};
use crate::config::Settings;

/// How many of the slowest are named.
const SLOWEST_NAMED: usize = 3;

/// How many without an answer are told one by one; the table has them all.
const SILENT_TOLD: usize = 20;

/// How many that are not well are named in the plugin's first line.
const PLUGIN_NAMED: usize = 5;

/// Slower than this, and the slowest are worth naming.
const SLOW: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context, settings: &Settings, options: &CheckOptions) -> Outcome {
    let swept = sweep::block_on_all(async {
        let targets = targets(context, settings, &options.nodes, options.all).await?;
        // A gate in front of a job waits for the answer; a person wants to see something soon.
        let patience = match options.ready {
            true => live::PATIENCE.max(settings.hub.local.torch.timeout),
            false => live::PATIENCE,
        };
        let sweep = Sweep::new(context, settings, patience)
            .limit(options.timeout)
            .concurrency(options.concurrency.map(usize::from));
        let mut progress = Progress::new(context, targets.len());
        let stop = CancellationToken::new();
        tokio::select! {
            swept = sweep.run(targets, &mut progress, &stop) => Ok(swept),
            () = sweep::until_interrupted(stop.clone()) => Err(Failure::internal("interrupted")),
        }
    })?;
    show(context, options, &swept)
}

/// Which machines are meant.
pub(crate) async fn targets(
    context: &Context,
    settings: &Settings,
    nodes: &[String],
    all: bool,
) -> Result<Vec<Target>, Failure> {
    let watched = watched(context, settings).await?;
    let mut targets = Vec::new();
    if all {
        for node in &watched.nodes {
            targets.push(target(node, settings)?);
        }
        return Ok(targets);
    }
    let mut seen = HashSet::new();
    for word in nodes {
        let mut matching = Vec::new();
        if let Some((key, value)) = word.split_once('=') {
            let labelled = |node: &&NodeView| {
                let labels = node.spec.as_ref().map(|spec| &spec.labels);
                labels.and_then(|labels| labels.get(key)).is_some_and(|has| has == value)
            };
            for node in watched.nodes.iter().filter(labelled) {
                matching.push(target(node, settings)?);
            }
            if matching.is_empty() {
                let message = format!("no watched node has the label {}", safe(word));
                return Err(Failure::new(exit_code::NOT_FOUND, message)
                    .hint("`sickbay list nodes` shows the labels"));
            }
        } else {
            let word = word.strip_prefix("node/").unwrap_or(word);
            let known = watched.find(word);
            matching.push(match known {
                Some(node) => target(node, settings)?,
                None if is_word(word) => Target::by_word(word)?,
                None => {
                    let message = format!("{:?} is not a node's name", safe(word));
                    return Err(Failure::new(exit_code::USAGE, message)
                        .hint("write what `ssh` would take: HOST or USER@HOST; or LABEL=VALUE"));
                }
            });
        }
        targets.extend(matching.into_iter().filter(|it| seen.insert(it.resource.id.clone())));
    }
    Ok(targets)
}

/// Whether `ssh` could be given this.
fn is_word(text: &str) -> bool {
    let spec = sickbay_wire::v1::NodeSpec {
        name: "x".to_owned(),
        host: Some(super::node_arguments::split_user(text).1.to_owned()),
        user: super::node_arguments::split_user(text).0.map(str::to_owned),
        ..sickbay_wire::v1::NodeSpec::default()
    };
    spec.into_definition(sickbay_model::NodeOrigin::Added).mistakes().is_empty()
}

fn target(node: &NodeView, settings: &Settings) -> Result<Target, Failure> {
    match &node.spec {
        Some(spec) => Target::over_ssh(spec),
        None if node.origin == LOCAL => Target::here(settings),
        None => Err(Failure::internal(format!("{} has no definition", name_of(node)))),
    }
}

fn show(context: &Context, options: &CheckOptions, swept: &Swept) -> Outcome {
    if swept.interrupted {
        context.terminal.remark("stopped: this is what is known so far");
    }
    if let [only] = &swept.answers[..]
        && !swept.interrupted
        && only.unreached.is_none()
    {
        return show_one(context, options, &only.details);
    }
    let mut rows: Vec<FleetNode> = swept.answers.iter().filter_map(Answer::row).collect();
    fleet_table::sort(&mut rows);
    let code = code(&rows, options.ready);
    if options.json {
        let items = swept.answers.iter().flat_map(|answer| answer.details.clone()).collect();
        print_json(context, &Page::<ResourceDetail> { items, next_cursor: None })?;
    } else if options.plugin {
        context.terminal.print(&plugin(&rows, code, swept))?;
    } else {
        let text = report(context, options, swept, &rows);
        context.terminal.print(&text)?;
    }
    Ok(ExitCode::from(code))
}

fn code(rows: &[FleetNode], ready: bool) -> u8 {
    match ready {
        true if rows.iter().all(|row| row.ready) => 0,
        true => Level::Critical.exit_code(),
        false => sweep::worst(rows).exit_code(),
    }
}

fn report(context: &Context, options: &CheckOptions, swept: &Swept, rows: &[FleetNode]) -> String {
    let terminal = &context.terminal;
    let mut text = String::new();
    if options.findings {
        for answer in &swept.answers {
            let Some((node, gpus)) = answer.details.split_first() else { continue };
            if node.checks.iter().any(|check| check.status != Status::Healthy) {
                text.push_str(&render::node_report(terminal, node, gpus, false, context.now()));
                text.push('\n');
            }
        }
    } else {
        let took = took(swept);
        text.push_str(&fleet_table::table(terminal, rows, &Times::Took(&took)));
        text.push('\n');
    }
    let (counts, ready) = fleet_table::counts(rows);
    let summary = fleet_table::summary(terminal, &counts, ready);
    // Writing to a String cannot fail; so below.
    let _ = writeln!(text, "{summary} (in {})", format::duration(swept.took));
    text.push_str(&stragglers(context, swept));
    text
}

fn took(swept: &Swept) -> BTreeMap<String, Duration> {
    let of = |answer: &Answer| Some((answer.details.first()?.summary.id.clone(), answer.took?));
    swept.answers.iter().filter_map(of).collect()
}

/// Who did not answer, why, and what to do; and who was slow.
fn stragglers(context: &Context, swept: &Swept) -> String {
    let mut text = String::new();
    let name = |answer: &Answer| {
        let id = answer.details.first().map_or("", |detail| detail.summary.id.as_str());
        safe(fleet_table::name(id)).into_owned()
    };
    let silent: Vec<_> = swept
        .answers
        .iter()
        .filter_map(|answer| Some((name(answer), answer.unreached.as_ref()?)))
        .collect();
    if !silent.is_empty() {
        let _ = writeln!(text, "\nno answer from {}:", format::count(silent.len(), "node"));
        let mut table = super::table::Table::new(2, &[]);
        for (name, unreached) in silent.iter().take(SILENT_TOLD) {
            let advice = unreached.advice.as_ref();
            let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
            table.row(vec![
                super::table::Cell::text(name.clone()).paint(super::Paint::Bold),
                super::table::Cell::text(safe(&format!("{}{advice}", unreached.reason))),
            ]);
        }
        text.push_str(&table.render(&context.terminal));
        if silent.len() > SILENT_TOLD {
            let _ = writeln!(text, "  and {} more", silent.len() - SILENT_TOLD);
        }
    }
    let mut slow: Vec<_> = swept
        .answers
        .iter()
        .filter(|answer| answer.unreached.is_none())
        .filter_map(|answer| Some((answer.took?, name(answer))))
        .collect();
    slow.sort_by(|a, b| b.cmp(a));
    let named: Vec<_> = slow
        .iter()
        .take(SLOWEST_NAMED)
        .filter(|(took, _)| *took >= SLOW)
        .map(|(took, name)| format!("{name} ({})", format::duration(*took)))
        .collect();
    if swept.answers.len() > SLOWEST_NAMED && !named.is_empty() {
        let _ = writeln!(text, "\nslowest: {}", named.join(", "));
    }
    text
}

/// One line with counts as performance data, then a line for each node that is not well.
fn plugin(rows: &[FleetNode], code: u8, swept: &Swept) -> String {
    let (counts, ready) = fleet_table::counts(rows);
    let total = rows.len();
    let bad: Vec<_> = rows.iter().filter(|row| row.level != Level::Healthy).collect();
    let mut names: Vec<_> =
        bad.iter().take(PLUGIN_NAMED).map(|row| clean(fleet_table::name(&row.id))).collect();
    if bad.len() > PLUGIN_NAMED {
        names.push(format!("and {} more", bad.len() - PLUGIN_NAMED));
    }
    let named = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    let mut text = format!(
        "SICKBAY {} - {} of {} healthy, {ready} ready{named} |",
        plugin_word(code),
        counts.healthy,
        format::count(total, "node"),
    );
    for (label, count) in [
        ("healthy", counts.healthy),
        ("degraded", counts.degraded),
        ("unhealthy", counts.unhealthy),
        ("critical", counts.critical),
        ("unknown", counts.unknown),
        ("ready", ready),
    ] {
        let _ = write!(text, " '{label}'={count};;;0;{total}");
    }
    let _ = writeln!(text, " 'time'={:.3}s;;;0;", swept.took.as_secs_f64());
    for row in bad {
        let name = clean(fleet_table::name(&row.id));
        let _ = writeln!(text, "{}: {name}: {}", row.level, clean(&row.headline));
    }
    text
}
