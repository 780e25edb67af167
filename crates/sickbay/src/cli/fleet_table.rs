//! How a fleet looks on a terminal: the same for what was looked at now and for what the hub knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use sickbay_model::{Level, Timestamp};
use sickbay_wire::v1::{FleetNode, LevelCounts};

use super::format;
use super::table::{Cell, Table};
use super::terminal::{Paint, Terminal, safe};

/// What is said of each node's time.
pub(crate) enum Times<'a> {
    /// How long the look took, by the node's id.
    Took(&'a BTreeMap<String, Duration>),
    /// How old what is shown is.
    Seen(Timestamp),
}

/// The levels from the worst to the best, as people look for trouble.
const WORST_FIRST: [Level; 5] =
    [Level::Critical, Level::Unhealthy, Level::Unknown, Level::Degraded, Level::Healthy];

fn rank(level: Level) -> usize {
    WORST_FIRST.iter().position(|of| *of == level).unwrap_or(WORST_FIRST.len())
}

/// Puts the worst first; of the same level, by name as a person counts: `gpu-9` before `gpu-10`.
pub(crate) fn sort(rows: &mut [FleetNode]) {
    rows.sort_by_cached_key(|row| (rank(row.level), natural(&row.id)));
}

/// A name in parts, numbers as numbers.
fn natural(name: &str) -> Vec<(String, u128)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(text);
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(digits);
        // A number too long to be one is compared by its length, which orders it well enough.
        parts.push((word.to_owned(), number.parse().unwrap_or(digits as u128)));
        rest = tail;
    }
    parts
}

/// A line for each node.
pub(crate) fn table(terminal: &Terminal, rows: &[FleetNode], times: &Times<'_>) -> String {
    let time = match times {
        Times::Took(_) => "TOOK",
        Times::Seen(_) => "SEEN",
    };
    // Breakers are worth a column only where one is open.
    let breakers = rows.iter().any(|row| open_breaker(row).is_some());
    let mut heading = vec!["NODE", "LEVEL", "SCORE", "READY", "GPUS", time];
    heading.extend(breakers.then_some("BREAKER"));
    heading.push("WHAT");
    let mut table = Table::new(0, &heading);
    for row in rows {
        let score = row.score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}"));
        let (ready, paint) = if row.ready { ("yes", Paint::Good) } else { ("no", Paint::Warning) };
        let what = match &row.stale {
            Some(stale) if !row.headline.contains(stale.as_str()) => {
                format!("{} (not fresh: {stale})", row.headline)
            }
            _ => row.headline.clone(),
        };
        let mut cells = vec![
            Cell::text(safe(name(&row.id))),
            Cell::text(row.level.as_str()).paint(row.level),
            Cell::number(score),
            Cell::text(ready).paint(paint),
            Cell::number(if row.gpus == 0 { "–".to_owned() } else { row.gpus.to_string() }),
            Cell::number(time_of(row, times)).paint(Paint::Dim),
        ];
        if breakers {
            cells.push(Cell::text(open_breaker(row).unwrap_or_default()).paint(Paint::Unsure));
        }
        cells.push(Cell::text(safe(&what)));
        table.row(cells);
    }
    table.render(terminal)
}

fn open_breaker(row: &FleetNode) -> Option<String> {
    row.breaker.as_deref().filter(|state| *state != "closed").map(|state| state.replace('_', "-"))
}

fn time_of(row: &FleetNode, times: &Times<'_>) -> String {
    match times {
        Times::Took(took) => {
            took.get(&row.id).map_or_else(|| "–".to_owned(), |took| format::duration(*took))
        }
        Times::Seen(now) => {
            row.last_check.map_or_else(|| "never".to_owned(), |at| format::age(at, *now))
        }
    }
}

/// A node's name without its kind.
pub(crate) fn name(id: &str) -> &str {
    id.strip_prefix("node/").unwrap_or(id)
}

/// `200 nodes: 2 unknown · 1 degraded · 197 healthy; 197 ready for work`.
pub(crate) fn summary(terminal: &Terminal, counts: &LevelCounts, ready: u32) -> String {
    let of = |level| match level {
        Level::Healthy => counts.healthy,
        Level::Degraded => counts.degraded,
        Level::Unhealthy => counts.unhealthy,
        Level::Critical => counts.critical,
        Level::Unknown => counts.unknown,
    };
    let total: u32 = WORST_FIRST.into_iter().map(of).sum();
    let parts: Vec<_> = WORST_FIRST
        .into_iter()
        .filter(|level| of(*level) > 0)
        .map(|level| format!("{} {}", of(level), terminal.paint(level.into(), level.as_str())))
        .collect();
    let mut text = format::count(total as usize, "node");
    if !parts.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {}; {ready} ready for work", parts.join(" · "));
    }
    text
}

/// How many nodes have each level, and how many are ready.
pub(crate) fn counts(rows: &[FleetNode]) -> (LevelCounts, u32) {
    let mut counts = LevelCounts::default();
    let mut ready = 0;
    for row in rows {
        ready += u32::from(row.ready);
        *match row.level {
            Level::Healthy => &mut counts.healthy,
            Level::Degraded => &mut counts.degraded,
            Level::Unhealthy => &mut counts.unhealthy,
            Level::Critical => &mut counts.critical,
            Level::Unknown => &mut counts.unknown,
        } += 1;
    }
    (counts, ready)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn row(name: &str, level: Level, change: impl FnOnce(&mut FleetNode)) -> FleetNode {
        let mut row = FleetNode {
            id: format!("node/{name}"),
            display_name: name.to_owned(),
            level,
            since: Timestamp::from_unix_ms(0),
            score: (level != Level::Unknown).then_some(98.5),
            ready: level == Level::Healthy,
            finding_count: 0,
            headline: "All 40 checks are well.".to_owned(),
            last_check: Some(Timestamp::from_unix_ms(55_000)),
            stale: None,
            labels: std::sync::Arc::default(),
            parent: None,
            breaker: Some("closed".to_owned()),
            gpus: 8,
            active: false,
        };
        change(&mut row);
        row
    }

    #[test]
    fn the_worst_come_first_and_numbers_count_as_numbers() {
        let mut rows = vec![
            row("gpu-10", Level::Healthy, |_| {}),
            row("gpu-9", Level::Healthy, |row| row.gpus = 0),
            row("gpu-2", Level::Unknown, |row| {
                row.headline = "Cannot be judged: connection refused.".to_owned();
                row.stale = Some("connection refused".to_owned());
                row.breaker = Some("half_open".to_owned());
                row.last_check = None;
            }),
            row("evil\x1b[31m", Level::Critical, |_| {}),
        ];
        sort(&mut rows);
        let terminal = Terminal { colour: false, width: 100, interactive: false, quiet: false };
        let now = Timestamp::from_unix_ms(60_000);
        let text = table(&terminal, &rows, &Times::Seen(now));
        expect![[r#"
            NODE          LEVEL     SCORE  READY  GPUS     SEEN  BREAKER    WHAT
            evil\x1b[31m  critical   98.5  no        8  5 s ago             All 40 checks are well.
            gpu-2         unknown       –  no        8    never  half-open  Cannot be judged: connection
                                                                            refused.
            gpu-9         healthy    98.5  yes       –  5 s ago             All 40 checks are well.
            gpu-10        healthy    98.5  yes       8  5 s ago             All 40 checks are well.
        "#]].assert_eq(&text);
        let (counts, ready) = counts(&rows);
        assert_eq!(
            summary(&terminal, &counts, ready),
            "4 nodes: 1 critical · 1 unknown · 2 healthy; 2 ready for work"
        );
    }
}
