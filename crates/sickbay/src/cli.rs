//! The command line: what was asked, and who answers it.
//!
//! One file per command. A command gets the [`Context`] and its own options, and returns an
//! [`Outcome`]: an exit code, or a [`Failure`] that says what failed, on what, why, and what to do.
//! Commands that read are clients of the API; `check` looks for itself and needs no hub.
//!
//! What must hold: nothing but [`terminal`] writes to the terminal; text from elsewhere is made
//! harmless first; exit codes 0 to 3 are verdicts and nothing else.

mod failure;
pub use failure::{Failure, Outcome, exit_code};

mod terminal;
pub use terminal::{Paint, Reader, Terminal, columns, complain, cut, safe, wrap};

mod format;
mod gate;

mod client;
mod fleet_table;
mod keeper;
mod live;
mod node_arguments;
mod parse;
mod plot;
mod render;
mod sweep;
mod sweep_progress;
mod table;
mod watched;

mod add;
mod breaker;
mod check;
mod check_fleet;
mod completions;
mod config;
mod daemon;
mod db;
mod diagnose;
mod events;
mod explain;
mod faults;
pub use faults::faults_reference;
mod health;
mod health_fleet;
mod history;
mod list;
mod man;
mod nodes;
mod nodes_forget;
mod nodes_import;
mod port_owner;
mod remove;
mod stragglers;
mod up;
mod up_reload;
mod up_summary;

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches as _, Parser, Subcommand};
use sickbay_runtime::Clock;

use crate::config::{FlagValue, Loaded, Sources, load, load_leniently};
use crate::environment::Environment;

/// Health monitor for GPU machines: how healthy is it, why, and what to do.
#[derive(Debug, Parser)]
#[command(
    name = "sickbay",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = AFTER_HELP
)]
struct CommandLine {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  sickbay up                        watch this machine and serve the page
  sickbay check                     look at this machine now, without a hub
  sickbay add node gpu-07           watch another machine, over SSH
  sickbay explain                   why is the score what it is?

Exit codes:
  0 healthy or done   1 degraded   2 unhealthy or critical   3 unknown
  64 wrong usage   66 no such thing   69 no hub answers   70 internal error
  74 file trouble   75 held by another process   77 not permitted   78 wrong configuration";

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct GlobalOptions {
    /// Read this config file instead of the one at the default place
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the hub at this address (default: the configured one; also SICKBAY_SERVER)
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Print only what was asked for and failures
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::UpOptions),
    Check(check::CheckOptions),
    Diagnose(diagnose::DiagnoseOptions),
    Health(health::HealthOptions),
    Explain(explain::ExplainOptions),
    Add(add::AddOptions),
    Remove(remove::RemoveOptions),
    List(list::ListOptions),
    Nodes(nodes::NodesOptions),
    Breaker(breaker::BreakerOptions),
    Stragglers(stragglers::StragglersOptions),
    History(history::HistoryOptions),
    Events(events::EventsOptions),
    Faults(faults::FaultsOptions),
    Daemon(daemon::DaemonOptions),
    Config(config::ConfigOptions),
    Db(db::DbOptions),
    Completions(completions::CompletionsOptions),
    Man(man::ManOptions),
}

/// What every command may use.
#[derive(Clone, Debug)]
pub struct Context {
    /// The environment.
    pub environment: Environment,
    /// Where to write to.
    pub terminal: Terminal,
    /// Time.
    pub clock: Clock,
    config_flag: Option<PathBuf>,
    server_flag: Option<String>,
}

impl Context {
    fn sources(&self, flags: Vec<FlagValue>) -> Sources {
        Sources {
            file: self.config_flag.clone(),
            environment: self.environment.clone(),
            flags,
            root: crate::config::is_root(),
        }
    }

    /// Loads the config and says what is worth a word about it.
    fn load_config(&self, flags: Vec<FlagValue>) -> Result<Loaded, Failure> {
        let loaded = load(&self.sources(flags))?;
        for remark in &loaded.remarks {
            self.terminal.remark(&format!("note: {}", safe(remark)));
        }
        Ok(loaded)
    }

    /// Loads the config for a command that only asks a hub: a mistake in the file is worth a word,
    /// but must not keep anybody from asking what is wrong.
    fn load_config_to_ask(&self) -> Loaded {
        let (loaded, mistakes) = load_leniently(&self.sources(Vec::new()));
        if !mistakes.is_empty() {
            let count = format::count(mistakes.len(), "mistake");
            let note =
                format!("note: the configuration has {count}; `sickbay config check` lists them");
            self.terminal.remark(&note);
        }
        loaded
    }

    fn now(&self) -> sickbay_model::Timestamp {
        sickbay_model::Timestamp::from_unix_ms(self.clock.now_ms())
    }
}

/// The hidden command that starts a probe; it must start in a moment.
const PROBE_COMMAND: &str = "__probe";

/// Runs the command line.
#[must_use]
pub fn main(arguments: Vec<OsString>, environment: Environment) -> ExitCode {
    // Before anything else: a probe child pays for nothing but its probe.
    if arguments.get(1).is_some_and(|word| word == PROBE_COMMAND) {
        let words: Vec<String> =
            arguments.iter().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
        return sickbay_collect::probe_main(&words);
    }
    let line = match parse_line(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Nobody to tell if this fails.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(exit_code::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let context = Context {
        terminal: Terminal::detect(&environment, line.global.quiet),
        environment,
        clock: Clock::system(),
        config_flag: line.global.config,
        server_flag: line.global.server,
    };
    match run(line.command, &context) {
        Ok(code) => code,
        Err(failure) => {
            report(&failure, &context.terminal);
            ExitCode::from(failure.code)
        }
    }
}

/// The command line's description; what help, completions, man pages and the reference are made of.
#[must_use]
pub fn command_line() -> clap::Command {
    CommandLine::command()
}

fn parse_line(arguments: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    CommandLine::from_arg_matches(&CommandLine::command().try_get_matches_from(arguments)?)
}

/// The whole command line as a value: completions and man pages come from it.
fn command() -> clap::Command {
    CommandLine::command()
}

fn run(command: Command, context: &Context) -> Outcome {
    match command {
        Command::Up(options) => up::run(context, options),
        Command::Check(options) => check::run(context, &options),
        Command::Diagnose(options) => diagnose::run(context, &options),
        Command::Health(options) => health::run(context, &options),
        Command::Explain(options) => explain::run(context, &options),
        Command::Add(options) => add::run(context, options),
        Command::Remove(options) => remove::run(context, &options),
        Command::List(options) => list::run(context, &options),
        Command::Nodes(options) => nodes::run(context, options),
        Command::Breaker(options) => breaker::run(context, &options),
        Command::Stragglers(options) => stragglers::run(context, &options),
        Command::History(options) => history::run(context, &options),
        Command::Events(options) => events::run(context, &options),
        Command::Faults(options) => faults::run(context, &options),
        Command::Daemon(options) => daemon::run(context, options),
        Command::Config(options) => config::run(context, options),
        Command::Db(options) => db::run(context, options),
        Command::Completions(options) => completions::run(context, &options),
        Command::Man(options) => man::run(context, &options),
    }
}

fn report(failure: &Failure, terminal: &Terminal) {
    use std::io::IsTerminal as _;
    // Colours belong to standard output; failures go to standard error.
    let colour = terminal.colour && std::io::stderr().is_terminal();
    let screen = Terminal { colour, ..*terminal };
    let text = failure.message.lines().map(safe).collect::<Vec<_>>().join("\n");
    complain(&format!("{} {text}", screen.paint(Paint::Bad, "error:")));
    if let Some(hint) = &failure.hint {
        complain(&format!("{} {}", screen.paint(Paint::Bold, " hint:"), safe(hint)));
    }
}

/// Runs a client's work on one thread.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

/// Prints a value as JSON.
fn print_json(context: &Context, value: &impl serde::Serialize) -> Result<Reader, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::internal)?;
    Ok(context.terminal.print(&format!("{text}\n"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for_and_gives_examples() {
        fn walk(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name());
                assert!(sub.get_about().is_some(), "{path} has no description");
                if sub.has_subcommands() {
                    walk(sub, &path);
                } else {
                    let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
                    assert!(help.contains("Example"), "{path} has no example");
                    assert!(help.contains(&path), "{path}: the example is of another command");
                }
                for argument in sub.get_arguments() {
                    assert!(argument.get_help().is_some(), "{path} {}", argument.get_id());
                }
            }
        }
        walk(&command(), "sickbay");
    }
}
