//! `sickbay health` of a fleet: every node in a line, with the age of what is known.

use std::fmt::Write as _;

use clap::Args;
use sickbay_model::{Level, Timestamp};
use sickbay_wire::v1::{FleetView, SystemScore};

use super::client::{AskError, Client};
use super::fleet_table::{self, Times};
use super::table::{Cell, Table};
use super::terminal::{Paint, Terminal, safe};
use super::{Context, node_arguments};

/// The most nodes of one page of the answer.
const PAGE_NODES: usize = 1000;

/// The most pages that are read.
const MAX_PAGES: usize = 100;

/// Which nodes, and in which order.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FleetFilter {
    /// Only nodes with this label; can be given often
    #[arg(long, value_name = "KEY=VALUE", value_parser = node_arguments::label, conflicts_with = "resource")]
    label: Vec<(String, String)>,
    /// Only nodes of these levels, separated by commas
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', value_parser = level, conflicts_with = "resource")]
    level: Vec<Level>,
    /// Only nodes whose name, labels or headline hold this
    #[arg(long, value_name = "TEXT", conflicts_with = "resource")]
    search: Option<String>,
}

fn level(text: &str) -> Result<Level, String> {
    let all = [Level::Healthy, Level::Degraded, Level::Unhealthy, Level::Critical, Level::Unknown];
    all.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|level| level.as_str()).collect();
        format!("write one of {}", words.join(", "))
    })
}

impl FleetFilter {
    /// Whether a part of the fleet is meant.
    pub(crate) fn is_set(&self) -> bool {
        !self.label.is_empty() || !self.level.is_empty() || self.search.is_some()
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query: Vec<_> =
            self.label.iter().map(|(key, value)| ("label", format!("{key}={value}"))).collect();
        if !self.level.is_empty() {
            let words: Vec<_> = self.level.iter().map(|level| level.as_str()).collect();
            query.push(("level", words.join(",")));
        }
        query.extend(self.search.clone().map(|text| ("search", text)));
        query
    }
}

/// The fleet as the hub knows it.
pub(crate) async fn ask(client: &Client, filter: &FleetFilter) -> Result<FleetView, AskError> {
    let mut query = filter.query();
    query.push(("limit", PAGE_NODES.to_string()));
    let mut fleet: FleetView = client.get("/api/v1/fleet", &query).await?;
    let mut pages = 1;
    while let Some(cursor) = fleet.next_cursor.take() {
        if pages >= MAX_PAGES {
            break;
        }
        pages += 1;
        let mut query = query.clone();
        query.push(("cursor", cursor));
        let more: FleetView = client.get("/api/v1/fleet", &query).await?;
        fleet.nodes.extend(more.nodes);
        fleet.next_cursor = more.next_cursor;
    }
    Ok(fleet)
}

/// The fleet on a terminal.
pub(crate) fn report(context: &Context, fleet: &FleetView, now: Timestamp) -> String {
    let terminal = &context.terminal;
    let mut text = system(terminal, &fleet.system);
    if let Some(doubt) = &fleet.doubt {
        let word = terminal.paint(Paint::Unsure, "the hub doubts itself:");
        let _ = writeln!(text, "{word} {}", safe(doubt));
    }
    text.push('\n');
    let mut rows = fleet.nodes.clone();
    fleet_table::sort(&mut rows);
    text.push_str(&fleet_table::table(terminal, &rows, &Times::Seen(now)));
    text.push('\n');
    let shown = if rows.len() < fleet.total as usize {
        format!("{} shown; ", rows.len())
    } else {
        String::new()
    };
    let _ = writeln!(text, "{shown}{}", fleet_table::summary(terminal, &fleet.levels, fleet.ready));
    let open = fleet.breakers.open + fleet.breakers.half_open;
    if open > 0 {
        let _ = writeln!(
            text,
            "{open} not asked because they kept failing: `sickbay breaker list` says since when"
        );
    }
    text
}

/// The system's score and the parts that it is the sum of.
fn system(terminal: &Terminal, system: &SystemScore) -> String {
    let score =
        system.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score:.1}"));
    let mut text = format!(
        "{}  {}  {score}\n",
        terminal.paint(Paint::Bold, "system"),
        terminal.paint(system.level.into(), system.level.as_str()),
    );
    let mut table = Table::new(2, &[]);
    for part in &system.parts {
        let points = part.points.map_or_else(|| "–".to_owned(), |points| format!("{points:.1}"));
        table.row(vec![
            Cell::text(part.name.replace('_', " ")),
            Cell::number(points),
            Cell::text("×").paint(Paint::Dim),
            Cell::number(format!("{:.1} %", part.weight)),
            Cell::text("=").paint(Paint::Dim),
            Cell::number(format!("{:.1}", part.contribution)),
            Cell::text(safe(&part.note)).paint(Paint::Dim),
        ]);
    }
    text.push_str(&table.render(terminal));
    text
}
