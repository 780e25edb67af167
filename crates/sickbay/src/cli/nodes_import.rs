//! `sickbay nodes import`: from OpenSSH's client configuration, or an Ansible inventory.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sickbay_model::NodeDefinition;
use sickbay_wire::v1::NodeSpec;

use super::keeper::Keeper;
use super::table::{Cell, Table};
use super::{Context, Failure, Outcome, Paint, block_on, exit_code, format, list, nodes, safe};
use crate::config::Settings;
use crate::inventory::{self, MAX_INVENTORY_BYTES};

/// How many nodes are listed one by one where they are not the answer itself.
const MOST_LISTED: usize = 20;

/// Add the nodes of ~/.ssh/config or of an Ansible inventory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay nodes import --ssh-config --dry-run
  sickbay nodes import --ansible hosts.ini --group gpu
  sickbay nodes import --ansible inventory.yaml --label site=north

From an inventory come hosts (also as ranges), addresses, users, ports, key files and
jump hosts. Its groups become labels: ansible_group=NAME for the one that lists the
host, ansible_group.NAME=yes for each that it is in. Nothing is executed: of a dynamic
inventory, import what `ansible-inventory --list -y` prints. Nodes that are watched
already are left as they are.")]
#[command(group = clap::ArgGroup::new("list").required(true))]
pub(crate) struct ImportOptions {
    /// OpenSSH's client configuration; without FILE, those that the hub reads
    #[arg(long, value_name = "FILE", num_args = 0..=1, group = "list")]
    ssh_config: Option<Option<PathBuf>>,
    /// An Ansible inventory, INI or YAML
    #[arg(long, value_name = "FILE", group = "list")]
    ansible: Option<PathBuf>,
    /// Only the members of this group
    #[arg(long, value_name = "GROUP", requires = "ansible")]
    group: Option<String>,
    /// A label for all of them; can be given often
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::node_arguments::label)]
    label: Vec<(String, String)>,
    /// Print what would be added, and add nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(context: &Context, options: &ImportOptions) -> Outcome {
    let settings = context.load_config(Vec::new())?.settings;
    let (mut specs, remarks) = read(&settings, options)?;
    for spec in &mut specs {
        spec.labels.extend(options.label.iter().cloned());
    }
    for remark in remarks {
        context.terminal.remark(&format!("note: {}", safe(&remark)));
    }
    block_on(add(context, &settings, options, &specs))
}

fn read(
    settings: &Settings,
    options: &ImportOptions,
) -> Result<(Vec<NodeSpec>, Vec<String>), Failure> {
    let Some(file) = &options.ansible else {
        return nodes::from_ssh_config(settings, options.ssh_config.iter().flatten().next());
    };
    let text = read_file(file)?;
    let yaml = file.extension().and_then(|extension| extension.to_str()).and_then(|extension| {
        match extension {
            "yml" | "yaml" | "json" => Some(true),
            "ini" | "cfg" => Some(false),
            _ => None,
        }
    });
    let imported = inventory::ansible(&text, yaml, options.group.as_deref()).map_err(|error| {
        let line = error.line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = format!("{}{line}: {}", file.display(), error.problem);
        Failure::new(exit_code::FILE, message)
    })?;
    let mut remarks = imported.remarks;
    let beside = file.parent().unwrap_or(Path::new(""));
    if ["group_vars", "host_vars"].iter().any(|name| beside.join(name).is_dir()) {
        remarks.push(
            "group_vars and host_vars beside the inventory are not read; to have them, import what \
             `ansible-inventory -i FILE --list -y` prints"
                .to_owned(),
        );
    }
    Ok((imported.nodes, remarks))
}

fn read_file(file: &Path) -> Result<String, Failure> {
    let failed = |why: String| {
        Failure::new(exit_code::FILE, format!("{} cannot be read: {why}", file.display()))
    };
    let facts = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?;
    if !facts.is_file() {
        let what = if facts.is_dir() { "it is a directory" } else { "it is not a file" };
        return Err(failed(what.to_owned()));
    }
    if facts.len() > MAX_INVENTORY_BYTES as u64 {
        let size = facts.len();
        return Err(failed(format!("it has {size} bytes; at most {MAX_INVENTORY_BYTES} are read")));
    }
    let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))
}

async fn add(
    context: &Context,
    settings: &Settings,
    options: &ImportOptions,
    specs: &[NodeSpec],
) -> Outcome {
    let keeper = Keeper::find(context, settings).await?;
    let mut known = 0;
    let mut new: Vec<NodeDefinition> = Vec::new();
    let mut refused = Vec::new();
    for spec in specs {
        if keeper.watched.find(&spec.name).is_some() {
            known += 1;
            continue;
        }
        match keeper.check(spec) {
            Ok(definition) => new.push(definition),
            Err(failure) => refused.push(failure.message),
        }
    }
    for message in refused.iter().take(MOST_LISTED) {
        context.terminal.remark(&format!("note: {}", safe(message)));
    }
    let already = match known {
        0 => String::new(),
        known => format!("; {} watched already", format::count(known, "node")),
    };
    if options.dry_run || new.is_empty() {
        context.terminal.print(&table(context, &new))?;
        let count = format::count(new.len(), "node");
        context.terminal.remark(&format!("{count} would be added{already}"));
        return Ok(ExitCode::SUCCESS);
    }
    let bar = bar(context, new.len());
    let (added, outcome) = keeper.add(&new, |done| bar.set_position(done as u64)).await;
    bar.finish_and_clear();
    if let Err(failure) = outcome {
        let names = format!("{added} of {} were added", format::count(new.len(), "node"));
        return Err(Failure { message: format!("{}; {names}", failure.message), ..failure });
    }
    let count = format::count(added, "node");
    context.terminal.print(&format!("added {count}{already}; {}\n", keeper.when()))?;
    context.terminal.remark("`sickbay check --all` looks at them now");
    Ok(ExitCode::SUCCESS)
}

fn table(context: &Context, new: &[NodeDefinition]) -> String {
    if new.is_empty() {
        return String::new();
    }
    let mut table = Table::new(0, &["NODE", "REACHED BY", "LABELS"]);
    for definition in new {
        let spec = NodeSpec::of(definition);
        let labels: Vec<_> =
            spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        table.row(vec![
            Cell::text(safe(&spec.name)),
            Cell::text(safe(&list::reached_by(&spec))),
            Cell::text(safe(&labels.join(" "))).paint(Paint::Dim),
        ]);
    }
    table.render(&context.terminal)
}

fn bar(context: &Context, total: usize) -> ProgressBar {
    if !context.terminal.interactive || context.terminal.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} nodes added")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style)
}
