//! `sickbay db`: look after the database by hand.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use sickbay_model::Timestamp;
use sickbay_store::admin::{self, AdminError};
use sickbay_store::{OpenError, WallClock};

use super::table::{Cell, Table};
use super::{Context, Failure, Outcome, Paint, exit_code, format, print_json, safe};
use crate::config::FlagValue;

/// Look after the database by hand; the hub does this by itself
#[derive(Debug, Args)]
pub(crate) struct DbOptions {
    /// The data directory, if not the configured one
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// What the database holds and how large it is; works while the hub runs
    #[command(after_help = "\
Examples:
  sickbay db stats
  sickbay db stats --json")]
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete now what is too old or too much; the hub does this by itself while it runs
    #[command(after_help = "\
Examples:
  sickbay db cleanup")]
    Cleanup,
    /// Copy the database to a new file; works while the hub runs
    #[command(after_help = "\
Examples:
  sickbay db backup /backup/sickbay-2026-11-21.db")]
    Backup {
        /// The file to write; it must not exist
        to: PathBuf,
    },
    /// Replace the database with a backup; the hub must not run
    #[command(after_help = "\
Examples:
  sickbay db restore /backup/sickbay-2026-11-21.db

The backup is checked first, and the old database is kept beside the new one.")]
    Restore {
        /// The backup
        from: PathBuf,
    },
    /// Give free space back to the file system and refresh the statistics
    #[command(after_help = "\
Examples:
  sickbay db optimize")]
    Optimize,
}

pub(crate) fn run(context: &Context, options: DbOptions) -> Outcome {
    let flags = options.data_dir.map(|dir| FlagValue {
        flag: "--data-dir",
        path: "data_dir",
        text: dir.display().to_string(),
    });
    let settings = context.load_config(flags.into_iter().collect())?.settings;
    let dir = settings.hub.data_dir.clone();
    let clock = context.clock.clone();
    let wall: WallClock = Arc::new(move || Timestamp::from_unix_ms(clock.now_ms()));
    match options.command {
        DbCommand::Stats { json } => {
            let stats = admin::stats(&dir).map_err(failure)?;
            if json {
                print_json(context, &stats_json(&stats))?;
            } else {
                context.terminal.print(&stats_text(context, &stats))?;
            }
        }
        DbCommand::Cleanup => {
            let spinner = spinner(context, "deleting what is too old or too much");
            let kept = &settings.hub.store.retention;
            let cleaned = admin::cleanup(&dir, kept, &wall).map_err(failure)?;
            spinner.finish_and_clear();
            context.terminal.print(&format!(
                "deleted {}, {} and {}; the file is {} smaller\n",
                format::count(
                    usize::try_from(cleaned.blocks).unwrap_or(usize::MAX),
                    "block of history"
                )
                .replace("block of historys", "blocks of history"),
                format::count(usize::try_from(cleaned.events).unwrap_or(usize::MAX), "event"),
                format::count(
                    usize::try_from(cleaned.checks).unwrap_or(usize::MAX),
                    "check change"
                ),
                format::byte_count(cleaned.freed_bytes)
            ))?;
        }
        DbCommand::Backup { to } => {
            let bar = bar(context);
            let bytes = admin::backup(&dir, &to, &mut |progress| {
                bar.set_length(progress.total_pages);
                bar.set_position(progress.done_pages);
            })
            .map_err(failure)?;
            bar.finish_and_clear();
            let to = to.display().to_string();
            context.terminal.print(&format!(
                "wrote {} to {}\n",
                format::byte_count(bytes),
                safe(&to)
            ))?;
        }
        DbCommand::Restore { from } => {
            let spinner = spinner(context, "checking the backup and putting it in place");
            let old = admin::restore(&from, &dir, &wall).map_err(failure)?;
            spinner.finish_and_clear();
            let kept = old.map(|old| format!("; the old one is kept as {}", old.display()));
            let from = from.display().to_string();
            let kept = kept.unwrap_or_default();
            context.terminal.print(&format!(
                "the database is now {}{}\n",
                safe(&from),
                safe(&kept)
            ))?;
        }
        DbCommand::Optimize => {
            let spinner = spinner(context, "giving free space back");
            let freed = admin::optimize(&dir).map_err(failure)?;
            spinner.finish_and_clear();
            context
                .terminal
                .print(&format!("the files are {} smaller\n", format::byte_count(freed)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn failure(error: AdminError) -> Failure {
    use std::error::Error as _;
    let code = match &error {
        AdminError::Open(OpenError::HeldBy { .. }) => exit_code::HELD,
        AdminError::Open(_)
        | AdminError::Database { .. }
        | AdminError::File { .. }
        | AdminError::Refused(_) => exit_code::FILE,
    };
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(&format!(": {text}"));
        }
        source = cause.source();
    }
    Failure::new(code, message)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(context: &Context) -> ProgressBar {
    if !context.terminal.interactive || context.terminal.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn spinner(context: &Context, what: &'static str) -> ProgressBar {
    if !context.terminal.interactive || context.terminal.quiet {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}

const RESOLUTIONS: [&str; 3] = ["raw readings", "minute means", "hour means"];

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn stats_text(context: &Context, stats: &admin::Stats) -> String {
    let terminal = &context.terminal;
    let now = context.now();
    let whole = |count: u64| format::number(count as f64);
    let mut table = Table::new(0, &[]);
    let mut row = |name: &str, value: String| {
        table.row(vec![Cell::text(name).paint(Paint::Dim), Cell::text(value)]);
    };
    row("file", safe(&stats.path.display().to_string()).into_owned());
    row("in use", if stats.in_use { "yes, by a hub" } else { "no" }.to_owned());
    row(
        "size",
        format!(
            "{} ({} free inside), log {}",
            format::byte_count(stats.file_bytes),
            format::byte_count(stats.free_bytes),
            format::byte_count(stats.log_bytes)
        ),
    );
    row("schema", format!("version {}", stats.schema_version));
    row("resources", whole(stats.resources));
    row("series", whole(stats.series));
    let per_sample = match stats.samples {
        0 => String::new(),
        samples => format!(
            ", {} bytes each with rollups",
            format::number(stats.history_bytes as f64 / samples as f64)
        ),
    };
    row(
        "readings",
        format!(
            "{} packed{per_sample}; {} frames not yet packed",
            whole(stats.samples),
            whole(stats.open_frames)
        ),
    );
    row("events", whole(stats.events));
    row("check changes", whole(stats.check_changes));
    row("open alerts", whole(stats.open_alerts));
    let mut text = table.render(terminal);
    let mut blocks = Table::new(0, &["HISTORY", "BLOCKS", "SIZE", "OLDEST", "NEWEST"]);
    for (name, block) in RESOLUTIONS.iter().zip(&stats.blocks) {
        let at =
            |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), |at| format::time(at, now));
        blocks.row(vec![
            Cell::text(*name),
            Cell::number(whole(block.count)),
            Cell::number(format::byte_count(block.bytes)),
            Cell::text(at(block.oldest)),
            Cell::text(at(block.newest)),
        ]);
    }
    text.push('\n');
    text.push_str(&blocks.render(terminal));
    text
}

fn stats_json(stats: &admin::Stats) -> serde_json::Value {
    let blocks: Vec<_> = ["raw", "minute", "hour"]
        .iter()
        .zip(&stats.blocks)
        .map(|(resolution, block)| {
            serde_json::json!({
                "resolution": resolution, "count": block.count, "bytes": block.bytes,
                "oldest": block.oldest, "newest": block.newest,
            })
        })
        .collect();
    serde_json::json!({
        "path": stats.path.display().to_string(),
        "schema_version": stats.schema_version,
        "in_use": stats.in_use,
        "file_bytes": stats.file_bytes,
        "log_bytes": stats.log_bytes,
        "free_bytes": stats.free_bytes,
        "resources": stats.resources,
        "series": stats.series,
        "samples": stats.samples,
        "history_bytes": stats.history_bytes,
        "open_frames": stats.open_frames,
        "blocks": blocks,
        "events": stats.events,
        "check_changes": stats.check_changes,
        "open_alerts": stats.open_alerts,
    })
}
