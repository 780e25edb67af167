//! `sickbay daemon`: the hub as a service.

use std::process::{Child, ExitCode};
use std::time::Duration;

use clap::{Args, Subcommand};
use rustix::process::Signal;
use sickbay_wire::v1::{HealthDocument, HubStatus};

use super::client::{AskError, Client};
use super::table::{Cell, Table};
use super::{Context, Failure, Outcome, Paint, block_on, exit_code, format, print_json, safe};
use crate::config::{Loaded, is_root};
use crate::daemon::background;
use crate::daemon::pidfile::{self, ProcessIdentity};
use crate::daemon::systemd::{self, Manager, Scope, UNIT, UnitStatus};

/// How long a start may take until the hub is ready.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long a stop may take before the process is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How often it is looked whether something happened.
const POLL: Duration = Duration::from_millis(50);
/// What `status` returns while nothing runs; the number is the Linux Standard Base's.
const NOT_RUNNING: u8 = 3;

/// Run the hub as a service: by systemd, or in the background where there is none
#[derive(Debug, Args)]
pub(crate) struct DaemonOptions {
    /// The machine's service manager (the default for root)
    #[arg(long, global = true, conflicts_with = "user")]
    system: bool,
    /// Your own service manager (the default for everybody else)
    #[arg(long, global = true)]
    user: bool,
    #[command(subcommand)]
    command: DaemonCommand,
}

#[derive(Debug, Subcommand)]
enum DaemonCommand {
    /// Start the hub and wait until it is ready
    #[command(after_help = "\
Examples:
  sickbay daemon start
  sickbay daemon start --background
  sickbay daemon start --config /etc/sickbay/config.yaml")]
    Start {
        /// Not by systemd, even where it runs
        #[arg(long)]
        background: bool,
    },
    /// Stop the hub cleanly
    #[command(after_help = "\
Examples:
  sickbay daemon stop")]
    Stop,
    /// Stop the hub and start it again
    #[command(after_help = "\
Examples:
  sickbay daemon restart")]
    Restart,
    /// Say whether the hub runs, since when, and where
    #[command(after_help = "\
Examples:
  sickbay daemon status
  sickbay daemon status --json

Exit codes: 0 it runs, 3 it does not.")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the systemd unit, start it, and start it at every boot
    #[command(after_help = "\
Examples:
  sickbay daemon install            as yourself, or for the machine as root
  sudo sickbay daemon install --config /etc/sickbay/config.yaml
  sickbay daemon install --print    only show the unit")]
    Install {
        /// Print the unit instead
        #[arg(long)]
        print: bool,
    },
    /// Stop the service and remove the systemd unit; the data stays
    #[command(after_help = "\
Examples:
  sickbay daemon uninstall")]
    Uninstall,
}

pub(crate) fn run(context: &Context, options: DaemonOptions) -> Outcome {
    let system = options.system || (is_root() && !options.user);
    let scope = if system { Scope::System } else { Scope::User };
    let asks = matches!(options.command, DaemonCommand::Status { .. } | DaemonCommand::Stop);
    let loaded =
        if asks { context.load_config_to_ask() } else { context.load_config(Vec::new())? };
    let manager = Manager::new(scope, &context.environment);
    let service = Service { context, loaded, scope, manager };
    match options.command {
        DaemonCommand::Start { background } => service.start(background),
        DaemonCommand::Stop => service.stop(),
        DaemonCommand::Restart => service.restart(),
        DaemonCommand::Status { json } => service.status(json),
        DaemonCommand::Install { print } => service.install(print),
        DaemonCommand::Uninstall => service.uninstall(),
    }
}

struct Service<'a> {
    context: &'a Context,
    loaded: Loaded,
    scope: Scope,
    manager: Manager,
}

/// Who keeps the hub running.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keeper {
    Systemd(UnitStatus),
    Background(ProcessIdentity),
    Nobody,
    /// systemd runs and does not answer; why.
    Unanswered(String),
}

impl Service<'_> {
    fn data_dir(&self) -> &std::path::Path {
        &self.loaded.settings.hub.data_dir
    }

    fn keeper(&self) -> Keeper {
        if let Some(process) = pidfile::running(self.data_dir()) {
            return Keeper::Background(process);
        }
        if !systemd::is_running() {
            return Keeper::Nobody;
        }
        match self.manager.unit() {
            Ok(Some(unit)) => Keeper::Systemd(unit),
            Ok(None) => Keeper::Nobody,
            Err(why) => Keeper::Unanswered(why),
        }
    }

    fn unanswered(&self, why: &str) -> Failure {
        let whose = match self.scope {
            Scope::System => "systemd",
            Scope::User => "your own systemd",
        };
        let failure =
            Failure::new(exit_code::UNAVAILABLE, format!("{whose} does not answer: {why}"));
        match self.scope {
            Scope::System => failure,
            Scope::User => failure.hint(
                "it runs while you are logged in, or always after `loginctl enable-linger`; \
                 `sickbay daemon start --background` starts the hub without it",
            ),
        }
    }

    fn start(&self, background: bool) -> Outcome {
        match self.keeper() {
            Keeper::Background(process) => {
                let pid = process.pid;
                Err(Failure::new(
                    exit_code::HELD,
                    format!("the hub runs already, as process {pid}"),
                )
                .hint("`sickbay daemon status` tells more"))
            }
            Keeper::Systemd(unit) if !background && unit.state == "active" => {
                let text = format!("the hub runs already, by systemd ({})\n", self.scope.as_str());
                self.context.terminal.print(&text)?;
                Ok(ExitCode::SUCCESS)
            }
            Keeper::Systemd(_) if !background => self.ask_systemd("start", "started"),
            Keeper::Unanswered(why) if !background => Err(self.unanswered(&why)),
            _ if !background && systemd::is_running() => {
                Err(Failure::new(exit_code::NOT_FOUND, "the service is not installed").hint(
                    "`sickbay daemon install` installs and starts it; `sickbay daemon start \
                     --background` starts it without systemd",
                ))
            }
            _ => self.start_background(),
        }
    }

    fn ask_systemd(&self, verb: &str, done: &str) -> Outcome {
        self.change_unit(verb)?;
        self.context.terminal.print(&format!("{done} by systemd ({})\n", self.scope.as_str()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Has systemd start, stop or restart the unit; a failure says what the hub said.
    fn change_unit(&self, verb: &str) -> Result<(), Failure> {
        if verb != "stop" {
            // What failed too often is not started before; where nothing failed this does nothing.
            let _ = self.manager.systemctl(&["reset-failed", UNIT])?;
        }
        let output = self.manager.systemctl(&[verb, UNIT])?;
        if output.status.success() {
            return Ok(());
        }
        let unit = self.manager.unit().ok().flatten().unwrap_or_default();
        let said = unit.invocation.as_deref().map(|run| self.manager.logged(run));
        let why = match said.filter(|said| !said.is_empty()) {
            Some(said) => format!("\n{said}"),
            None => format!(" {}", String::from_utf8_lossy(&output.stderr).trim()),
        };
        let code = unit.exit_status.filter(|&code| code != 0).unwrap_or(exit_code::UNAVAILABLE);
        let user = if self.scope == Scope::User { "--user " } else { "" };
        Err(Failure::new(code, format!("systemd did not {verb} {UNIT}:{why}"))
            .hint(format!("`journalctl {user}-u {UNIT} -n 50` shows its log")))
    }

    /// What the started process is told: as this command was told.
    fn arguments(&self) -> Result<Vec<String>, Failure> {
        let Some(file) = &self.loaded.file else { return Ok(Vec::new()) };
        let file = std::path::absolute(file)?;
        Ok(vec!["--config".to_owned(), file.display().to_string()])
    }

    fn start_background(&self) -> Outcome {
        let client = Client::new(self.context, &self.loaded.settings)?;
        let (arguments, now) = (self.arguments()?, self.context.now());
        let mut child = background::start(self.data_dir(), &arguments, now).map_err(|error| {
            let dir = self.data_dir().display();
            Failure::new(
                exit_code::FILE,
                format!("cannot start a hub with its data in {dir}: {error}"),
            )
        })?;
        let pid = child.id();
        block_on(self.wait_ready(&client, &mut child))?;
        let text = format!("started as process {pid}; the page is at {}/\n", client.address());
        self.context.terminal.print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn wait_ready(&self, client: &Client, child: &mut Child) -> Result<(), Failure> {
        let began = self.context.clock.monotonic();
        loop {
            if let Some(status) = child.try_wait()? {
                pidfile::remove(self.data_dir());
                let said = background::tail(self.data_dir());
                let said = if said.is_empty() { String::new() } else { format!("\n{said}") };
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                let message = format!("the hub did not start ({status}){said}");
                return Err(Failure::new(code.unwrap_or(exit_code::INTERNAL), message));
            }
            // Another hub on this address would answer too: it must be ours.
            let ours = client.get::<HubStatus>("/api/v1/hub", &[]).await;
            if ours.is_ok_and(|hub| hub.pid == child.id() && hub.ready) {
                return Ok(());
            }
            if self.context.clock.monotonic().saturating_sub(began) > START_DEADLINE {
                let message = format!("the hub is not ready after {} s", START_DEADLINE.as_secs());
                let why = not_ready_reason(client).await;
                let log = self.loaded.settings.log_file();
                return Err(Failure::new(exit_code::UNAVAILABLE, format!("{message}{why}"))
                    .hint(format!("it goes on trying; its log is {}", log.display())));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn stop(&self) -> Outcome {
        match self.keeper() {
            Keeper::Systemd(unit) if matches!(unit.state.as_str(), "inactive" | "failed") => {
                self.context.terminal.print("the hub does not run\n")?;
                Ok(ExitCode::SUCCESS)
            }
            Keeper::Systemd(_) => self.ask_systemd("stop", "stopped"),
            Keeper::Unanswered(why) => Err(self.unanswered(&why)),
            Keeper::Background(process) => {
                self.stop_background(&process)?;
                self.context.terminal.print("stopped\n")?;
                Ok(ExitCode::SUCCESS)
            }
            Keeper::Nobody => {
                self.context.terminal.print("the hub does not run as a service\n")?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    fn stop_background(&self, process: &ProcessIdentity) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(exit_code::DENIED, format!("cannot stop process {}: {error}", process.pid))
        };
        process.signal(Signal::TERM).map_err(failed)?;
        if !self.wait_gone(process, STOP_DEADLINE) {
            self.context.terminal.remark("it did not stop in time and is killed");
            // Gone in the meantime is as good.
            let _ = process.signal(Signal::KILL);
            if !self.wait_gone(process, STOP_DEADLINE) {
                let message =
                    format!("process {} cannot be killed: it hangs in the kernel", process.pid);
                return Err(Failure::new(exit_code::INTERNAL, message));
            }
        }
        pidfile::remove(self.data_dir());
        Ok(())
    }

    fn wait_gone(&self, process: &ProcessIdentity, deadline: Duration) -> bool {
        let began = self.context.clock.monotonic();
        while process.is_alive() {
            if self.context.clock.monotonic().saturating_sub(began) > deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    fn restart(&self) -> Outcome {
        match self.keeper() {
            Keeper::Systemd(_) => self.ask_systemd("restart", "restarted"),
            Keeper::Background(process) => {
                self.stop_background(&process)?;
                self.start_background()
            }
            Keeper::Nobody | Keeper::Unanswered(_) => self.start(false),
        }
    }

    fn status(&self, json: bool) -> Outcome {
        let keeper = self.keeper();
        let client = Client::new(self.context, &self.loaded.settings)?;
        let hub = block_on(async { Ok(client.get::<HubStatus>("/api/v1/hub", &[]).await) })?;
        let (manager, state) = match &keeper {
            Keeper::Systemd(unit) => {
                let other = hub.as_ref().ok().filter(|hub| unit.pid != Some(hub.pid));
                let other = other.map(|hub| format!("; process {} is another hub", hub.pid));
                let state = format!("{}{}", unit.state, other.unwrap_or_default());
                (format!("systemd ({})", self.scope.as_str()), state)
            }
            Keeper::Background(process) => {
                ("none, in the background".to_owned(), format!("process {} runs", process.pid))
            }
            Keeper::Nobody if hub.is_ok() => {
                ("none, started by hand".to_owned(), "runs".to_owned())
            }
            Keeper::Nobody => ("none".to_owned(), "not running".to_owned()),
            Keeper::Unanswered(why) => {
                (format!("systemd ({})", self.scope.as_str()), format!("does not answer: {why}"))
            }
        };
        let kept = match &keeper {
            Keeper::Systemd(unit) => unit.state == "active",
            Keeper::Background(_) => true,
            Keeper::Nobody | Keeper::Unanswered(_) => false,
        };
        let running = hub.is_ok() || kept;
        let code = if running { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) };
        if json {
            let answer = serde_json::json!({
                "running": running, "manager": manager, "state": state,
                "address": client.address(), "hub": hub.as_ref().ok(),
            });
            print_json(self.context, &answer)?;
            return Ok(code);
        }
        let text = self.status_text(&manager, &state, running, client.address(), &hub);
        self.context.terminal.print(&text)?;
        Ok(code)
    }

    fn status_text(
        &self,
        manager: &str,
        state: &str,
        running: bool,
        address: &str,
        hub: &Result<HubStatus, AskError>,
    ) -> String {
        let terminal = &self.context.terminal;
        let mut table = Table::new(0, &[]);
        let mut row = |name: &str, value: String, paint: Paint| {
            table.row(vec![Cell::text(name).paint(Paint::Dim), Cell::text(value).paint(paint)]);
        };
        let word = if running { "running" } else { "not running" };
        row("hub", word.to_owned(), if running { Paint::Good } else { Paint::Warning });
        row("manager", format!("{manager}: {}", safe(state)), Paint::Plain);
        match hub {
            Ok(hub) => {
                let uptime = Duration::try_from_secs_f64(hub.uptime_seconds).unwrap_or_default();
                row("version", safe(&hub.version).into_owned(), Paint::Plain);
                row("process", hub.pid.to_string(), Paint::Plain);
                row("uptime", format::duration(uptime), Paint::Plain);
                row("address", format!("{address}/"), Paint::Plain);
                row("data", safe(&hub.data_dir).into_owned(), Paint::Plain);
                let config = hub.config_file.as_deref().unwrap_or("none, the defaults hold");
                row("config", safe(config).into_owned(), Paint::Plain);
                if let Some(error) = &hub.config_error {
                    let first = error.lines().next().unwrap_or(error);
                    row(
                        "refused",
                        format!("{}; `sickbay config check` tells more", safe(first)),
                        Paint::Warning,
                    );
                }
                let ready = match hub.ready {
                    true => "yes".to_owned(),
                    false => format!("no: {}", safe(&hub.not_ready_reasons.join("; "))),
                };
                row("ready", ready, if hub.ready { Paint::Plain } else { Paint::Warning });
                row("store", safe(&hub.store.message).into_owned(), hub.store.status.into());
                row(
                    "cost",
                    format!(
                        "{:.2} % of a core, {} memory, {} in its probes",
                        hub.cost.cpu_percent,
                        format::byte_count(hub.cost.resident_bytes),
                        format::byte_count(hub.cost.children_resident_bytes)
                    ),
                    Paint::Plain,
                );
            }
            Err(error) => {
                row(
                    "data",
                    safe(&self.data_dir().display().to_string()).into_owned(),
                    Paint::Plain,
                );
                row(
                    "answer",
                    match error {
                        AskError::NoHub { address, reason } => {
                            format!("none at {}: {}", safe(address), safe(reason))
                        }
                        AskError::Problem(problem) => safe(&problem.detail).into_owned(),
                        AskError::Strange(what) => safe(what).into_owned(),
                    },
                    Paint::Plain,
                );
            }
        }
        table.render(terminal)
    }

    fn install(&self, print: bool) -> Outcome {
        let program = std::env::current_exe()?;
        let text = systemd::unit_text(self.scope, &program, &self.arguments()?);
        if print {
            self.context.terminal.print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        if !systemd::is_running() {
            return Err(Failure::new(
                exit_code::UNAVAILABLE,
                "systemd does not run on this machine",
            )
            .hint(
                "`sickbay daemon start` runs the hub in the background; `--print` shows the unit",
            ));
        }
        let before = match self.keeper() {
            Keeper::Background(process) => {
                let message = format!("the hub runs in the background, as process {}", process.pid);
                return Err(
                    Failure::new(exit_code::HELD, message).hint("`sickbay daemon stop` stops it")
                );
            }
            Keeper::Unanswered(why) => return Err(self.unanswered(&why)),
            Keeper::Systemd(unit) => Some(unit),
            Keeper::Nobody => None,
        };
        let file = self.unit_file()?;
        let failed = |error: std::io::Error| {
            let code = match error.kind() {
                std::io::ErrorKind::PermissionDenied => exit_code::DENIED,
                _ => exit_code::FILE,
            };
            Failure::new(code, format!("cannot write {}: {error}", file.display()))
        };
        let same_text = std::fs::read_to_string(&file).is_ok_and(|old| old == text);
        let same_program = before.and_then(|unit| unit.pid);
        let same_program = same_program.is_some_and(|pid| systemd::runs_file(pid, &program));
        if !same_text {
            if let Some(directory) = file.parent() {
                std::fs::create_dir_all(directory).map_err(failed)?;
            }
            std::fs::write(&file, text).map_err(failed)?;
        }
        self.must(&["daemon-reload"])?;
        self.must(&["enable", UNIT])?;
        let mut said = if same_text && same_program {
            format!("{} is installed and runs already\n", file.display())
        } else {
            // A hub that runs would go on as it was installed before.
            self.change_unit("restart")?;
            format!("installed {} and started it\n", file.display())
        };
        if self.scope == Scope::User && !systemd::lingers(&self.context.environment) {
            said.push_str("it stops when you log out, unless you run: loginctl enable-linger\n");
        }
        self.context.terminal.print(&said)?;
        Ok(ExitCode::SUCCESS)
    }

    fn uninstall(&self) -> Outcome {
        let file = self.unit_file()?;
        if !file.exists() {
            return Err(Failure::new(
                exit_code::NOT_FOUND,
                format!("{} is not there", file.display()),
            ));
        }
        if systemd::is_running() {
            self.must(&["disable", "--now", UNIT])?;
        }
        std::fs::remove_file(&file).map_err(|error| {
            Failure::new(exit_code::FILE, format!("cannot remove {}: {error}", file.display()))
        })?;
        if systemd::is_running() {
            self.must(&["daemon-reload"])?;
            // A failure is not remembered for a unit that is gone.
            let _ = self.manager.systemctl(&["reset-failed", UNIT])?;
        }
        let text = format!(
            "removed {}; the data in {} stays\n",
            file.display(),
            self.data_dir().display()
        );
        self.context.terminal.print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn unit_file(&self) -> Result<std::path::PathBuf, Failure> {
        self.scope.unit_file(&self.context.environment).ok_or_else(|| {
            Failure::new(
                exit_code::USAGE,
                "HOME is not set, so there is no place for a user's unit",
            )
        })
    }

    fn must(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = self.manager.systemctl(arguments)?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Failure::new(
            exit_code::UNAVAILABLE,
            format!("systemctl {} failed: {why}", arguments.join(" ")),
        ))
    }
}

async fn not_ready_reason(client: &Client) -> String {
    match client.get::<HealthDocument>("/readyz", &[]).await {
        Ok(document) => format!(": {}", document.output),
        Err(AskError::Problem(problem)) => format!(": {}", problem.detail),
        Err(AskError::NoHub { reason, .. }) => format!(": {reason}"),
        Err(AskError::Strange(what)) => format!(": {what}"),
    }
}
