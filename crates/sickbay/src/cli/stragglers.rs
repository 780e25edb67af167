//! `sickbay stragglers`: who departs from those that do the same work.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use sickbay_model::Timestamp;
use sickbay_wire::v1::{StragglerGroup, StragglersView};

use super::client::Client;
use super::terminal::{Terminal, wrap};
use super::{Context, Outcome, Paint, block_on, format, print_json, safe};

/// Where the hub tells it.
const STRAGGLERS: &str = "/api/v1/stragglers";

/// How far what belongs to a group stands from the edge.
const INDENT: usize = 2;

/// Who departs from those that do the same work: slow, hot, or with less traffic
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay stragglers
  sickbay stragglers --json | jq -r '.groups[].stragglers[].resource'

GPUs and nodes of one job are compared with each other every minute. A job is known by a label
(`job`, or what `outlier.group_by` says), else by the command of its training process.
Exit code: 1 if somebody departs, 0 if not.")]
pub(crate) struct StragglersOptions {
    /// Print JSON: the API's own types
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, options: &StragglersOptions) -> Outcome {
    let settings = context.load_config_to_ask().settings;
    let client = Client::new(context, &settings)?;
    let view: StragglersView = block_on(async { Ok(client.get(STRAGGLERS, &[]).await?) })?;
    if options.json {
        print_json(context, &view)?;
    } else {
        context.terminal.print(&text(&context.terminal, &view, context.now()))?;
    }
    let found = view.straggler_count > 0;
    Ok(if found { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn text(terminal: &Terminal, view: &StragglersView, now: Timestamp) -> String {
    let mut text = String::new();
    if let Some(note) = &view.note {
        let _ = writeln!(text, "{}", safe(note));
    }
    for (place, group) in view.groups.iter().enumerate() {
        if place > 0 || view.note.is_some() {
            text.push('\n');
        }
        show_group(&mut text, terminal, group, now);
    }
    let left_out = (view.group_count as usize).saturating_sub(view.groups.len());
    if left_out > 0 {
        let _ = writeln!(text, "\nand {} more", format::count(left_out, "group"));
    }
    if let Some(at) = view.at {
        let _ = writeln!(
            text,
            "\n{}",
            terminal.paint(
                Paint::Dim,
                &format!(
                    "compared {} over {} min, of which a departure must hold for {}",
                    format::age(at, now),
                    view.window_minutes,
                    view.held_minutes
                )
            )
        );
    }
    text
}

fn show_group(text: &mut String, terminal: &Terminal, group: &StragglerGroup, now: Timestamp) {
    let noun = if group.compares == "gpus" { "GPU" } else { "node" };
    let mut size = format::count(group.members as usize, noun);
    if let Some(model) = group.model.as_ref().filter(|model| !model.is_empty()) {
        let _ = write!(size, " ({})", safe(model));
    }
    if group.compares == "gpus" {
        let _ = write!(size, " on {}", format::count(group.nodes as usize, "node"));
    }
    let job = terminal.paint(Paint::Bold, &safe(&group.job));
    let since = format::duration(now.since(group.since));
    let _ = writeln!(text, "{job}  {size}, at work for {since}");
    let paint = match group.outcome.as_str() {
        "compared" if group.straggler_count == 0 => Paint::Good,
        "compared" => Paint::Bad,
        _ => Paint::Unsure,
    };
    put(text, terminal, &group.note, paint, INDENT);
    if !group.uneven.is_empty() {
        let by: Vec<_> = group.uneven.iter().map(|it| it.replace('_', " ")).collect();
        let why = format!("not compared by {}: they differ too much in it", by.join(", "));
        put(text, terminal, &why, Paint::Dim, INDENT);
    }
    for straggler in &group.stragglers {
        text.push('\n');
        put(text, terminal, &straggler.message, Paint::Plain, INDENT);
        let hint = format!("{}: {}", straggler.resource, straggler.advice);
        put(text, terminal, &hint, Paint::Dim, 2 * INDENT);
    }
    let left_out = (group.straggler_count as usize).saturating_sub(group.stragglers.len());
    if left_out > 0 {
        put(text, terminal, &format!("and {left_out} more"), Paint::Plain, INDENT);
    }
}

/// A text in lines that fit, each painted.
fn put(text: &mut String, terminal: &Terminal, what: &str, paint: Paint, indent: usize) {
    for line in wrap(&safe(what), terminal.width.saturating_sub(indent)) {
        let _ = writeln!(text, "{}{}", " ".repeat(indent), terminal.paint(paint, &line));
    }
}

#[cfg(test)]
mod tests {
    use sickbay_wire::v1::StragglerView;

    use super::*;

    #[test]
    fn groups_stragglers_and_their_absence_are_said() {
        let at = Timestamp::from_unix_ms(1_800_000_000_000);
        let now = Timestamp::from_unix_ms(1_800_000_030_000);
        let terminal = Terminal { colour: false, width: 72, interactive: false, quiet: false };
        let straggler = StragglerView {
            resource: "gpu/gpu-02/0".to_owned(),
            cause: "slow_gpu".to_owned(),
            message: "GPU 0 of gpu-02 is slower than its 15 peers of the same job.".to_owned(),
            advice: "Compare its clocks.".to_owned(),
            since: at,
            throttled_percent: 0.0,
            departures: Vec::new(),
        };
        let group = StragglerGroup {
            job: "job=llm".to_owned(),
            known_by: "label".to_owned(),
            compares: "gpus".to_owned(),
            model: Some("H100".to_owned()),
            members: 16,
            compared: 16,
            nodes: 2,
            since: Timestamp::from_unix_ms(1_799_996_400_000),
            outcome: "compared".to_owned(),
            note: "16 GPUs compared: 1 does not keep up.".to_owned(),
            uneven: vec!["pcie_throughput".to_owned()],
            stragglers: vec![straggler],
            straggler_count: 1,
        };
        let view = StragglersView {
            at: Some(at),
            window_minutes: 15,
            held_minutes: 10,
            groups: vec![group],
            group_count: 1,
            straggler_count: 1,
            note: None,
        };
        let expected = "\
job=llm  16 GPUs (H100) on 2 nodes, at work for 60 min
  16 GPUs compared: 1 does not keep up.
  not compared by pcie throughput: they differ too much in it

  GPU 0 of gpu-02 is slower than its 15 peers of the same job.
    gpu/gpu-02/0: Compare its clocks.

compared 30 s ago over 15 min, of which a departure must hold for 10
";
        assert_eq!(text(&terminal, &view, now), expected);
        let nobody = StragglersView {
            note: Some("No group to compare: no training process is known.".to_owned()),
            ..StragglersView::default()
        };
        let expected = "No group to compare: no training process is known.\n";
        assert_eq!(text(&terminal, &nobody, now), expected);
    }
}
