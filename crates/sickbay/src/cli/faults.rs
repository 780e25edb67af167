//! `sickbay faults`: what is known of the faults that a kernel reports.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use sickbay_model::{Clears, FaultCatalogue, FaultEntry};

use super::failure::{Failure, exit_code};
use super::table::{Cell, Table};
use super::terminal::{Terminal, wrap};
use super::{Context, Outcome, Paint, print_json};

/// How like two codes must be for one to be proposed for the other.
const ALIKE: f64 = 0.7;
/// How many codes are proposed.
const MOST_PROPOSED: usize = 4;

/// Say what a fault that the kernel reports means, and what to do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay faults                 all that are known
  sickbay faults 79              Xid 79
  sickbay faults sxid-22003
  sickbay faults --class disk
  sickbay faults xid-94 --json")]
pub(crate) struct FaultsOptions {
    /// Which one: a code (xid-79, nvme-timeout), or the number of an Xid
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Only those of this class: gpu_reset, nv_link, pcie, disk, …
    #[arg(long, value_name = "CLASS", conflicts_with = "code")]
    class: Option<String>,
    /// Print JSON: the catalogue's own form
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, options: &FaultsOptions) -> Outcome {
    let catalogue = context.load_config_to_ask().settings.hub.policy.faults.0;
    if let Some(wanted) = &options.code {
        let entry = find(&catalogue, wanted).ok_or_else(|| unknown(&catalogue, wanted))?;
        if options.json {
            print_json(context, entry)?;
        } else {
            context.terminal.print(&describe(&context.terminal, entry))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let entries: Vec<&FaultEntry> = match &options.class {
        None => catalogue.entries.iter().collect(),
        Some(class) => of_class(&catalogue, class)?,
    };
    if options.json {
        print_json(context, &entries)?;
    } else {
        context.terminal.print(&list(&context.terminal, &entries))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A code as people write it: `79`, `xid79`, `Xid 79`, `XID-79`.
fn find<'a>(catalogue: &'a FaultCatalogue, wanted: &str) -> Option<&'a FaultEntry> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
    };
    let wanted = plain(wanted);
    let of = |code: &str| catalogue.entries.iter().find(|it| plain(it.code.as_str()) == code);
    of(&wanted).or_else(|| of(&format!("xid{wanted}")))
}

fn unknown(catalogue: &FaultCatalogue, wanted: &str) -> Failure {
    let wanted_lower = wanted.to_lowercase();
    let mut near: Vec<_> = catalogue
        .entries
        .iter()
        .map(|entry| (strsim::jaro_winkler(entry.code.as_str(), &wanted_lower), &entry.code))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<_> = near.iter().take(MOST_PROPOSED).map(|(_, code)| code.as_str()).collect();
    let failure =
        Failure::new(exit_code::NOT_FOUND, format!("the catalogue has no fault {wanted:?}"));
    match near.as_slice() {
        [] => failure.hint("`sickbay faults` lists all of them"),
        near => failure.hint(format!("there is {}", near.join(", "))),
    }
}

fn of_class<'a>(
    catalogue: &'a FaultCatalogue,
    class: &str,
) -> Result<Vec<&'a FaultEntry>, Failure> {
    let word = |entry: &FaultEntry| {
        serde_json::to_value(entry.class).ok().and_then(|word| Some(word.as_str()?.to_owned()))
    };
    let wanted = class.to_lowercase().replace([' ', '-'], "_");
    let entries = catalogue.entries.iter();
    let found: Vec<_> = entries.filter(|it| word(it).as_ref() == Some(&wanted)).collect();
    if found.is_empty() {
        let mut words: Vec<_> = catalogue.entries.iter().filter_map(word).collect();
        words.sort();
        words.dedup();
        let failure = Failure::new(exit_code::USAGE, format!("{class:?} is no class of faults"));
        return Err(failure.hint(format!("there are {}", words.join(", "))));
    }
    Ok(found)
}

fn list(terminal: &Terminal, entries: &[&FaultEntry]) -> String {
    let mut table = Table::new(0, &["CODE", "CLASS", "MAKES IT", "WHAT"]);
    for entry in entries {
        table.row(vec![
            Cell::text(entry.code.to_string()),
            Cell::text(entry.class.to_string()).paint(Paint::Dim),
            Cell::text(effect(entry)).paint(entry.status),
            Cell::text(entry.title.clone()),
        ]);
    }
    table.render(terminal)
}

/// What a sighting makes of a device.
fn effect(entry: &FaultEntry) -> &'static str {
    match entry.status {
        sickbay_model::Status::Healthy => "an event",
        _ if entry.advisory => "a notice",
        status => status.as_str(),
    }
}

fn describe(terminal: &Terminal, entry: &FaultEntry) -> String {
    let mut text = String::new();
    let title = terminal.paint(Paint::Bold, entry.code.as_str());
    let status = terminal.paint(entry.status.into(), effect(entry));
    let _ = writeln!(text, "{title}  {status}  {}", entry.title);
    let mut part = |name: &str, content: &str| {
        let lines = wrap(content, terminal.width.saturating_sub(12).max(20));
        let _ = writeln!(text, "  {name:<9} {}", lines.join("\n            "));
    };
    part("means", &entry.meaning);
    part("do", &entry.advice);
    part("class", &entry.class.to_string());
    part("over", &ends(&entry.clears));
    for repeated in &entry.repeated {
        let (count, within) = (repeated.count, span(repeated.within_seconds));
        part("again", &format!("{count} in {within}: {}, {}", repeated.status, repeated.advice));
    }
    for variant in &entry.variants {
        let when: Vec<_> =
            variant.facts.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        let models = (!variant.models.is_empty()).then(|| variant.models.join(" or "));
        let when = when.into_iter().chain(models).collect::<Vec<_>>().join(", ");
        let status = variant.status.map(|status| status.to_string());
        let then: Vec<_> = [status, variant.meaning.clone(), variant.advice.clone()]
            .into_iter()
            .flatten()
            .collect();
        part("where", &format!("{when}: {}", then.join("; ")));
    }
    for source in &entry.sources {
        part("says", &format!("{}: {}", source.name, source.says));
    }
    if !entry.conflict.is_empty() {
        part("conflict", &entry.conflict);
    }
    text
}

fn ends(clears: &Clears) -> String {
    match clears {
        Clears::AfterSeconds(seconds) => format!("when not seen again for {}", span(*seconds)),
        Clears::Reset => "after a reset or a reboot, or a day without it".to_owned(),
        Clears::Reboot => "after a reboot".to_owned(),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        seconds if seconds % 86_400 == 0 => format!("{} d", seconds / 86_400),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// The reference of all faults, as Markdown.
#[must_use]
pub fn faults_reference() -> String {
    let catalogue: Arc<FaultCatalogue> = FaultCatalogue::embedded();
    let mut text = String::from(
        "# Faults\n\nGenerated from the fault catalogue by `cargo xtask generate`. Public sources \
         disagree with each other; where they do, the entry says how, and what was chosen. An event is \
         told and no more; a notice is shown as a finding too, and lowers no score.\n\n\
         | code | class | makes it | what |\n|---|---|---|---|\n",
    );
    for entry in &catalogue.entries {
        let (class, effect) = (entry.class, effect(entry));
        let _ = writeln!(text, "| `{}` | {class} | {effect} | {} |", entry.code, entry.title);
    }
    let plain = Terminal { colour: false, width: 100, interactive: false, quiet: false };
    for entry in &catalogue.entries {
        let described = describe(&plain, entry);
        let (_, parts) = described.split_once('\n').unwrap_or_default();
        let _ = writeln!(text, "\n## {}: {}\n\n```text\n{}```", entry.code, entry.title, parts);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_as_people_write_them() {
        let catalogue = FaultCatalogue::embedded();
        for (wanted, expected) in [
            ("79", Some("xid-79")),
            ("xid79", Some("xid-79")),
            ("XID 79", Some("xid-79")),
            ("xid-79", Some("xid-79")),
            ("sxid-22003", Some("sxid-22003")),
            ("NVMe timeout", Some("nvme-timeout")),
            ("nothing", None),
            ("", None),
        ] {
            let found = find(&catalogue, wanted).map(|entry| entry.code.as_str());
            assert_eq!(found, expected, "{wanted}");
        }
        let hint = unknown(&catalogue, "nvme-timeuot").hint.unwrap_or_default();
        assert!(hint.contains("nvme-timeout"), "{hint}");
    }
}
