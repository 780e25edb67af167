//! What a diagnosis found, for people.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use sickbay_diagnose::{End, Outcome, Part, Test};

use super::Found;
use crate::cli::table::{Cell, Table};
use crate::cli::terminal::Paint;
use crate::cli::{Context, format, render, safe};

/// What was asked, without the answer.
#[derive(Serialize)]
pub(super) struct Asked {
    id: &'static str,
    group: &'static str,
    end: End,
    bytes: usize,
    truncated: bool,
}

pub(super) fn asked(parts: &[Part]) -> Vec<Asked> {
    let view = |part: &Part| Asked {
        id: part.question.id,
        group: part.question.group.as_str(),
        end: part.end,
        bytes: part.content.len(),
        truncated: part.truncated,
    };
    parts.iter().map(view).collect()
}

/// The worst of the verdict and of the tests.
pub(super) fn exit_code(found: &Found) -> u8 {
    let verdict = found.details.first().map_or(3, |detail| detail.summary.level.exit_code());
    let worst = found.tests.iter().map(|test| test.outcome).max();
    let hangs = found.parts.iter().any(|part| part.end == End::Late);
    match (worst, verdict) {
        (Some(Outcome::Fail), _) | (_, 2) => 2,
        (Some(Outcome::Warn), 0 | 1) => 1,
        (_, 0) if hangs => 1,
        (_, verdict) => verdict,
    }
}

pub(super) fn text(context: &Context, found: &Found) -> String {
    let terminal = &context.terminal;
    let mut text = String::new();
    if let Some((node, gpus)) = found.details.split_first() {
        text.push_str(&render::node_report(terminal, node, gpus, false, context.now()));
    }
    if !found.tests.is_empty() {
        text.push_str(&render::heading(terminal, "Tests"));
        let mut table = Table::new(2, &[]);
        for test in &found.tests {
            table.row(row(test));
        }
        text.push_str(&table.render(terminal));
    }
    text.push_str(&render::heading(terminal, "Questions"));
    let _ = writeln!(text, "  {}", summary(&found.parts));
    for part in found.parts.iter().filter(|part| matches!(part.end, End::Late | End::Skipped)) {
        let (group, id) = (part.question.group.as_str(), part.question.id);
        let why = match part.end {
            End::Late => format!("hangs: no end after {} s", part.question.seconds),
            _ => "not asked, because another of its kind hangs".to_owned(),
        };
        let _ = writeln!(text, "  {} {group}/{id}: {why}", terminal.paint(Paint::Bad, "!"));
    }
    if let Some(cut) = &found.cut {
        let _ = writeln!(
            text,
            "  {} not all was asked: {}",
            terminal.paint(Paint::Bad, "!"),
            safe(cut)
        );
    }
    text
}

fn row(test: &Test) -> Vec<Cell> {
    let paint = match test.outcome {
        Outcome::Pass => Paint::Good,
        Outcome::Skip => Paint::Dim,
        Outcome::Unknown => Paint::Unsure,
        Outcome::Warn => Paint::Warning,
        Outcome::Fail => Paint::Bad,
    };
    vec![
        Cell::text(test.outcome.as_str()).paint(paint),
        Cell::text(test.tool),
        Cell::text(safe(&test.name).into_owned()),
        Cell::text(safe(&test.subject).into_owned()),
        Cell::text(safe(&test.message).into_owned()),
    ]
}

fn summary(parts: &[Part]) -> String {
    let count = |is: fn(End) -> bool| parts.iter().filter(|part| is(part.end)).count();
    let answered = count(|end| end == End::Exited(0));
    let failed = count(|end| matches!(end, End::Exited(1..)));
    let absent = count(|end| end == End::Absent);
    format!(
        "{} asked: {answered} answered, {failed} not there or not permitted, {absent} without a tool",
        parts.len()
    )
}

/// Where the bundle lies.
pub(super) fn bundle(context: &Context, path: &Path, bytes: usize, removed: usize) -> String {
    let secrets = match removed {
        0 => "no secret was found in it".to_owned(),
        _ => format!("{} removed", format::count(removed, "secret")),
    };
    let heading = render::heading(&context.terminal, "Bundle");
    let name = path.display().to_string();
    format!(
        "{heading}  {} \n  {} kB, {secrets}; look through it before it leaves the house\n",
        safe(&name),
        bytes.div_ceil(1000),
    )
}
