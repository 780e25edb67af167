//! How a resource looks on a terminal: the same everywhere, from the API's own types.

use std::fmt::Write as _;
use std::time::Duration;

use sickbay_model::{Level, Status, Timestamp};
use sickbay_wire::v1::{
    Check, CheckRef, InventoryView, ReadinessOutcome, ResourceDetail, ResourceSummary,
};

use super::format;
use super::table::{Cell, Table};
use super::terminal::{Paint, Terminal, safe, wrap};

/// One line: what it is, how it is, its score, whether it is ready.
pub(crate) fn title(terminal: &Terminal, summary: &ResourceSummary) -> String {
    let mut line = format!(
        "{}  {}",
        terminal.paint(Paint::Bold, &safe(&summary.id)),
        terminal.paint(summary.level.into(), summary.level.as_str())
    );
    // Writing to a String cannot fail; so below.
    let _ = match summary.score {
        Some(score) => write!(line, "  score {score:.1}"),
        None => write!(line, "  no score"),
    };
    match summary.ready {
        Some(true) => line.push_str("  ready for work"),
        Some(false) => {
            line.push_str("  ");
            line.push_str(&terminal.paint(Paint::Warning, "not ready for work"));
        }
        None => {}
    }
    line
}

/// What a machine is, in a line.
pub(crate) fn machine(
    terminal: &Terminal,
    inventory: &InventoryView,
    detail: &ResourceDetail,
) -> String {
    let text = facts(inventory, detail);
    let lines: Vec<_> =
        wrap(&text, terminal.width).iter().map(|line| terminal.paint(Paint::Dim, line)).collect();
    lines.join("\n")
}

fn facts(inventory: &InventoryView, readings: &ResourceDetail) -> String {
    let uptime = reading(readings, "uptime_seconds", "");
    let uptime = uptime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let parts = [
        inventory.os.clone(),
        inventory
            .kernel
            .split_whitespace()
            .next()
            .map(|kernel| format!("Linux {kernel}"))
            .unwrap_or_default(),
        format::count(inventory.cpu_count as usize, "CPU"),
        format::byte_count(inventory.memory_bytes),
        if inventory.virtualization.is_empty() {
            String::new()
        } else {
            inventory.virtualization.clone()
        },
        uptime.map(|uptime| format!("up {}", format::duration(uptime))).unwrap_or_default(),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|part| !part.is_empty()).map(|part| safe(part)).collect();
    parts.join(" · ")
}

/// The newest value of a series.
pub(crate) fn reading(detail: &ResourceDetail, metric: &str, instance: &str) -> Option<f64> {
    let found =
        |view: &&sickbay_wire::v1::ReadingView| view.metric == metric && view.instance == instance;
    detail.readings.iter().find(found).map(|view| view.value)
}

/// A check with its instance.
pub(crate) fn check_name(check: &Check) -> String {
    match check.instance.as_str() {
        "" => check.check.clone(),
        instance => format!("{} {}", check.check, safe(instance)),
    }
}

/// All checks, worst first.
pub(crate) fn checks(terminal: &Terminal, checks: &[Check]) -> String {
    let mut table = Table::new(2, &["STATUS", "CHECK", "WHAT WAS FOUND"]);
    for check in checks {
        table.row(vec![
            Cell::text(check.status.as_str()).paint(check.status),
            Cell::text(check_name(check)),
            Cell::text(safe(&check.message)),
        ]);
    }
    table.render(terminal)
}

/// What hangs together, as a person would tell it: what happened, then what came of it.
pub(crate) fn incidents(terminal: &Terminal, detail: &ResourceDetail, now: Timestamp) -> String {
    let mut text = String::new();
    let find = |wanted: &CheckRef| {
        let same = |it: &&Check| it.check == wanted.check && it.instance == wanted.instance;
        detail.checks.iter().find(same)
    };
    for incident in &detail.incidents {
        let title = terminal.paint(Paint::Bold, &safe(&incident.title));
        let _ = writeln!(text, "  {title}, {}", format::age(incident.since, now));
        let mut table = Table::new(4, &[]);
        let root = find(&incident.root).map(|check| ("because", check));
        let evidence = incident.evidence.iter().filter_map(find).map(|check| ("explains", check));
        for (word, check) in root.into_iter().chain(evidence) {
            table.row(vec![
                Cell::text(word).paint(Paint::Dim),
                Cell::text(format::time(check.since, now)),
                Cell::text(format::age(check.since, now)).paint(Paint::Dim),
                Cell::text(safe(&check.message)),
            ]);
        }
        table.row(vec![
            Cell::text("do").paint(Paint::Dim),
            Cell::text(""),
            Cell::text(""),
            Cell::text(safe(&incident.advice)),
        ]);
        text.push_str(&table.render(terminal));
    }
    text
}

/// How many checks that cannot be judged are told one by one: a driver that does not answer leaves
/// dozens, all for one reason. `--json` has them all.
const UNKNOWN_TOLD: usize = 4;

/// The checks that are not healthy, each with its evidence, since when, and what to do.
pub(crate) fn findings(terminal: &Terminal, checks: &[Check], now: Timestamp) -> String {
    let mut text = String::new();
    let mut unknown = 0;
    for check in checks.iter().filter(|check| check.status != Status::Healthy) {
        if check.status == Status::Unknown {
            unknown += 1;
            if unknown > UNKNOWN_TOLD {
                continue;
            }
        }
        let _ = writeln!(
            text,
            "  {}  {}{}",
            terminal.paint(check.status.into(), check.status.as_str()),
            terminal.paint(Paint::Bold, &check_name(check)),
            if check.hard { "" } else { "  (not confirmed yet)" }
        );
        let mut table = Table::new(4, &[]);
        table.row(vec![Cell::text("found").paint(Paint::Dim), Cell::text(safe(&check.message))]);
        for evidence in &check.evidence {
            let against = evidence.threshold.as_ref();
            let against = against.map(|line| format!(" (line: {line})")).unwrap_or_default();
            let fact = format!("{}: {}{against}", evidence.what, evidence.value);
            table.row(vec![Cell::text("evidence").paint(Paint::Dim), Cell::text(safe(&fact))]);
        }
        let since =
            format!("{} ({})", format::time(check.since, now), format::age(check.since, now));
        table.row(vec![Cell::text("since").paint(Paint::Dim), Cell::text(since)]);
        if let Some(advice) = &check.advice {
            table.row(vec![Cell::text("do").paint(Paint::Dim), Cell::text(safe(advice))]);
        }
        text.push_str(&table.render(terminal));
    }
    if unknown > UNKNOWN_TOLD {
        let more = format::count(unknown - UNKNOWN_TOLD, "more check");
        let word = terminal.paint(Status::Unknown.into(), Status::Unknown.as_str());
        let _ = writeln!(text, "  {word}  and {more} that cannot be judged; `--json` lists all");
    }
    text
}

/// The score's arithmetic: parts that add up, then the caps.
pub(crate) fn score(terminal: &Terminal, detail: &ResourceDetail) -> String {
    let card = &detail.score_card;
    let mut table = Table::new(2, &["PART", "POINTS", "", "WEIGHT", "", "ADDS", "WHY"]);
    for part in &card.contributions {
        let (points, weight, adds) = match part.points {
            Some(points) => (
                format!("{points:.1}"),
                format!("{:.1} %", part.weight),
                format!("{:.1}", part.contribution),
            ),
            None => ("–".to_owned(), "–".to_owned(), "–".to_owned()),
        };
        let applies = part.points.is_some();
        table.row(vec![
            Cell::text(part.component.as_str()),
            Cell::number(points),
            Cell::text(if applies { "×" } else { "" }).paint(Paint::Dim),
            Cell::number(weight),
            Cell::text(if applies { "=" } else { "" }).paint(Paint::Dim),
            Cell::number(adds),
            Cell::text(safe(&part.note)).paint(Paint::Dim),
        ]);
    }
    let total = |name: &str, value: String, why: String| {
        let mut cells = vec![Cell::text(name)];
        cells.extend((0..4).map(|_| Cell::text("")));
        cells.push(Cell::number(value));
        cells.push(Cell::text(why).paint(Paint::Dim));
        cells
    };
    let parts = card.contributions.len();
    if parts > 0 {
        table.row(total("sum", format!("{:.1}", card.uncapped), String::new()));
    }
    for cap in &card.caps {
        let instance = if cap.instance.is_empty() {
            String::new()
        } else {
            format!(" {}", safe(&cap.instance))
        };
        let why = format!("at most, because {}{instance} is {}", cap.check, cap.status);
        table.row(total("cap", format!("{:.1}", cap.limit), why));
    }
    let shown = card.score.map_or_else(|| "none".to_owned(), |score| format!("{score:.1}"));
    let why = card
        .unknown_reason
        .as_deref()
        .map_or_else(|| card.level.to_string(), |why| safe(why).into_owned());
    let mut cells = total("score", shown, why);
    for cell in &mut cells {
        *cell = cell.clone().paint(if card.level == Level::Unknown {
            Paint::Unsure
        } else {
            card.level.into()
        });
    }
    table.row(cells);
    table.render(terminal)
}

/// The readiness checks.
pub(crate) fn readiness(terminal: &Terminal, detail: &ResourceDetail) -> String {
    let Some(readiness) = &detail.readiness else { return String::new() };
    let verdict = match readiness.ready {
        true => terminal.paint(Paint::Good, "ready"),
        false => terminal.paint(Paint::Warning, "not ready"),
    };
    let mut text = format!(
        "  {verdict}: {} % of the checks that apply pass, {} % are needed\n",
        format::number(readiness.pass_rate_percent),
        format::number(readiness.required_percent)
    );
    let mut table = Table::new(2, &[]);
    for check in &readiness.checks {
        let (word, paint) = match check.outcome {
            ReadinessOutcome::Passed => ("passed", Paint::Good),
            ReadinessOutcome::Failed => ("failed", Paint::Bad),
            ReadinessOutcome::NotApplicable => ("not here", Paint::Dim),
        };
        table.row(vec![
            Cell::text(word).paint(paint),
            Cell::text(check.check.as_str()),
            Cell::text(safe(&check.message)).paint(Paint::Dim),
        ]);
    }
    text.push_str(&table.render(terminal));
    text
}

/// The GPUs of a node, a line each.
pub(crate) fn gpus(terminal: &Terminal, details: &[ResourceDetail]) -> String {
    if details.is_empty() {
        return String::new();
    }
    let heading = ["GPU", "LEVEL", "SCORE", "USED", "MEMORY", "TEMP", "POWER", "MODEL"];
    let mut table = Table::new(2, &heading);
    for gpu in details {
        let instance = gpu.summary.id.rsplit('/').next().unwrap_or("");
        let of = |metric: &str| reading(gpu, metric, instance);
        let shown = |value: Option<f64>, unit: &str| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}{unit}"))
        };
        let memory = match (of("gpu_memory_used_bytes"), of("gpu_memory_total_bytes")) {
            (Some(used), Some(total)) => {
                format!("{:.0}/{:.0} GiB", used / GIB, total / GIB)
            }
            _ => "–".to_owned(),
        };
        let name = &gpu.summary.display_name;
        let model = name.split_once(" · ").map_or(name.as_str(), |(_, model)| model);
        table.row(vec![
            Cell::number(instance),
            Cell::text(gpu.summary.level.as_str()).paint(gpu.summary.level),
            Cell::number(
                gpu.summary.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}")),
            ),
            Cell::number(shown(of("gpu_utilization_percent"), " %")),
            Cell::number(memory),
            Cell::number(shown(of("gpu_temperature_celsius"), " °C")),
            Cell::number(shown(of("gpu_power_watts"), " W")),
            Cell::text(safe(model)),
        ]);
    }
    table.render(terminal)
}

const GIB: f64 = 1_073_741_824.0;

/// A list of resources, a line each.
pub(crate) fn resources(terminal: &Terminal, list: &[ResourceSummary], now: Timestamp) -> String {
    let mut table = Table::new(0, &["RESOURCE", "LEVEL", "SCORE", "SEEN", "WHAT"]);
    for summary in list {
        let seen = summary.last_check.map_or_else(|| "never".to_owned(), |at| format::age(at, now));
        let what = match &summary.stale {
            Some(stale) => format!("{} (not fresh: {stale})", summary.headline),
            None => summary.headline.clone(),
        };
        table.row(vec![
            Cell::text(safe(&summary.id)),
            Cell::text(summary.level.as_str()).paint(summary.level),
            Cell::number(
                summary.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}")),
            ),
            Cell::text(seen).paint(Paint::Dim),
            Cell::text(safe(&what)),
        ]);
    }
    table.render(terminal)
}

/// A heading above a part.
pub(crate) fn heading(terminal: &Terminal, text: &str) -> String {
    format!("\n{}\n", terminal.paint(Paint::Bold, text))
}

/// A node with its GPUs as `check` and `health` show it.
pub(crate) fn node_report(
    terminal: &Terminal,
    node: &ResourceDetail,
    gpu_details: &[ResourceDetail],
    all_checks: bool,
    now: Timestamp,
) -> String {
    let mut text = title(terminal, &node.summary);
    text.push('\n');
    if let Some(inventory) = &node.inventory {
        let _ = writeln!(text, "{}", machine(terminal, inventory, node));
    }
    if !gpu_details.is_empty() {
        text.push('\n');
        text.push_str(&gpus(terminal, gpu_details));
    }
    if all_checks {
        text.push('\n');
        text.push_str(&checks(terminal, &node.checks));
    } else {
        let healthy = node.checks.iter().filter(|check| check.status == Status::Healthy).count();
        let bad = node.checks.len() - healthy;
        let _ = match bad {
            0 => writeln!(text, "\nAll {} are healthy.", format::count(healthy, "check")),
            _ => writeln!(
                text,
                "\n{} of {} not healthy:",
                bad,
                format::count(node.checks.len(), "check")
            ),
        };
        text.push_str(&findings(terminal, &node.checks, now));
    }
    text
}
