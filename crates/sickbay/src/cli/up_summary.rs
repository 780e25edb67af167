//! What `up` says once it is ready: where it is, and what it found, on one screen.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use sickbay_hub::{FleetSnapshot, view};
use sickbay_model::Kind;
use sickbay_wire::v1::{FleetNode, InventoryView, ResourceDetail};

use super::fleet_table::{self, Times};
use super::table::{Cell, Table};
use super::{Context, Paint, format, render, safe};
use crate::config::Loaded;
pub(crate) use crate::daemon::notify::is_settled;

/// How many filesystems and interfaces are named; the page has them all.
const MAX_NAMED: usize = 4;

/// How many nodes over SSH get a line, the worst first; `sickbay health` has them all.
const MAX_NODES_SHOWN: usize = 10;

/// Where it is: told as soon as the hub listens.
pub(crate) fn places(context: &Context, loaded: &Loaded, addr: SocketAddr, tls: bool) -> String {
    let terminal = &context.terminal;
    let scheme = if tls { "https" } else { "http" };
    let mut text = format!("Sickbay {} watches this machine.\n\n", env!("CARGO_PKG_VERSION"));
    let mut table = Table::new(2, &[]);
    let mut row = |name: &str, value: String, paint: Paint| {
        table.row(vec![Cell::text(name).paint(Paint::Dim), Cell::text(value).paint(paint)]);
    };
    let path = |path: &std::path::Path| safe(&path.display().to_string()).into_owned();
    row("page", format!("{scheme}://{addr}/"), Paint::Bold);
    row("data", path(&loaded.settings.hub.data_dir), Paint::Plain);
    let config = match &loaded.file {
        Some(file) => path(file),
        None => "none, the defaults hold (`sickbay config init` writes one)".to_owned(),
    };
    row("config", config, Paint::Plain);
    row("log", path(&loaded.settings.log_file()), Paint::Plain);
    text.push_str(&table.render(terminal));
    text
}

/// What was found: told once everything has been looked at.
pub(crate) fn findings(context: &Context, snapshot: &FleetSnapshot) -> String {
    let mut text = String::from("\n");
    let mut others = Vec::new();
    for (id, node) in &snapshot.resources {
        if node.summary.kind != Kind::Node {
            continue;
        }
        let entry = snapshot.nodes.get(id).map(|entry| &**entry);
        if entry.is_some_and(|entry| entry.definition.is_some()) {
            others.push(view::fleet_node(id, Some((&**node).into()), entry));
            continue;
        }
        let node = node.detail();
        let gpus: Vec<ResourceDetail> = node
            .children
            .iter()
            .filter_map(|id| snapshot.resources.get(&id.parse().ok()?))
            .map(|known| Arc::unwrap_or_clone(known.detail()))
            .collect();
        text.push_str(&found(context, &node, &gpus));
    }
    if !others.is_empty() {
        text.push_str(&over_ssh(context, others));
    }
    let hint = "\nCtrl-C stops it. `sickbay explain` tells more.\n";
    text.push_str(&context.terminal.paint(Paint::Dim, hint));
    text
}

/// The worst of the other nodes, and how many there are.
fn over_ssh(context: &Context, mut rows: Vec<FleetNode>) -> String {
    let terminal = &context.terminal;
    fleet_table::sort(&mut rows);
    let (counts, ready) = fleet_table::counts(&rows);
    let more = rows.len().saturating_sub(MAX_NODES_SHOWN);
    rows.truncate(MAX_NODES_SHOWN);
    let mut text = render::heading(terminal, "Over SSH");
    text.push_str(&fleet_table::table(terminal, &rows, &Times::Seen(context.now())));
    if more > 0 {
        // Writing to a String cannot fail; so below.
        let _ = writeln!(text, "and {more} more (`sickbay health`)");
    }
    let _ = writeln!(text, "{}", fleet_table::summary(terminal, &counts, ready));
    text
}

fn found(context: &Context, node: &ResourceDetail, gpus: &[ResourceDetail]) -> String {
    let terminal = &context.terminal;
    let mut text = render::title(terminal, &node.summary);
    text.push('\n');
    if let Some(inventory) = &node.inventory {
        let _ = writeln!(text, "{}", render::machine(terminal, inventory, node));
        text.push_str(&parts(context, node, inventory));
    }
    if gpus.is_empty() {
        text.push_str("  no GPU was found\n");
    } else {
        text.push_str(&render::gpus(terminal, gpus));
    }
    let findings = render::findings(terminal, &node.checks, context.now());
    if findings.is_empty() {
        let _ = writeln!(text, "\nAll {} are healthy.", format::count(node.checks.len(), "check"));
    } else {
        text.push('\n');
        text.push_str(&findings);
    }
    text
}

fn parts(context: &Context, node: &ResourceDetail, inventory: &InventoryView) -> String {
    let mut table = Table::new(2, &[]);
    let mut row = |name: &str, named: Vec<String>| {
        if named.is_empty() {
            return;
        }
        let more = named.len().saturating_sub(MAX_NAMED);
        let mut value = named.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            let _ = write!(value, " and {more} more");
        }
        table.row(vec![Cell::text(name).paint(Paint::Dim), Cell::text(value)]);
    };
    let share = |metric: &str, of: &str| {
        render::reading(node, metric, of).map(|used| format!(" {used:.0} %")).unwrap_or_default()
    };
    let filesystems = inventory.filesystems.iter().map(|filesystem| {
        let mount = &filesystem.mount_point;
        format!("{}{}", safe(mount), share("filesystem_used_percent", mount))
    });
    row("filesystems", filesystems.collect());
    row("disks", inventory.disks.iter().map(|disk| safe(&disk.name).into_owned()).collect());
    let interfaces = inventory.interfaces.iter().map(|interface| {
        format!("{} {}", safe(&interface.name), safe(&interface.operational_state))
    });
    row("network", interfaces.collect());
    table.render(&context.terminal)
}
