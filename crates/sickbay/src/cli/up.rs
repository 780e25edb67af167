//! `sickbay up`: the hub in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sickbay_hub::{HubEnvironment, HubError, HubSettings, Listening};
use sickbay_runtime::{OnEnd, Shutdown, Supervisor, TaskSpec, telemetry};
use sickbay_store::OpenError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Context, Failure, Outcome, complain, exit_code, live, up_reload, up_summary};
use crate::config::raw::{RawLogFormat, RawLogLevel};
use crate::config::{FlagValue, Loaded, Settings};
use crate::daemon::{background, notify};

/// Threads for the hub's work: it waits most of the time.
const WORKER_THREADS: usize = 2;

/// How long the summary waits until everything has been looked at, and how often it looks.
const SUMMARY_PATIENCE: Duration = Duration::from_secs(6);
const SUMMARY_POLL: Duration = Duration::from_millis(100);

/// How many settings may wait for the hub.
const UPDATES_LIMIT: usize = 4;

/// Watch this machine and serve the page, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay up
  sickbay up --listen 127.0.0.1:9000 --data-dir ./data
  sickbay up --config hub.yaml --log-format json
  SICKBAY_TOKEN_FILE=/etc/sickbay/token sickbay up --listen 0.0.0.0:8790

Ctrl-C or SIGTERM stops it cleanly; SIGHUP reads the config again (as a change of
the file does). To run it as a service: sickbay daemon install, or daemon start.")]
pub(crate) struct UpOptions {
    /// Serve on this address; one that others can reach needs a token
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Keep history and state here
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The least severity that is logged
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<RawLogLevel>,
    /// How a line of the log looks
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<RawLogFormat>,
    /// Leave the terminal: how `sickbay daemon start` begins it
    #[arg(long, hide = true)]
    detached: bool,
}

impl UpOptions {
    fn flags(&self) -> Vec<FlagValue> {
        [
            ("--listen", "listen.address", self.listen.clone()),
            ("--data-dir", "data_dir", self.data_dir.as_ref().map(|dir| dir.display().to_string())),
            ("--log-level", "log.level", self.log_level.map(|level| level.as_str().to_owned())),
            (
                "--log-format",
                "log.format",
                self.log_format.map(|format| format.as_str().to_owned()),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, path, text)| Some(FlagValue { flag, path, text: text? }))
        .collect()
    }
}

pub(crate) fn run(context: &Context, options: UpOptions) -> Outcome {
    // Relative paths are those of the directory that the command was started in.
    let loaded = context.load_config(options.flags())?;
    let mut settings = loaded.settings.clone();
    settings.hub.data_dir = absolute(&settings.hub.data_dir)?;
    settings.hub.store.path.clone_from(&settings.hub.data_dir);
    settings.hub.local.child = Some(live::probe_child()?);
    if options.detached {
        background::detach()
            .map_err(|error| Failure::internal(format!("cannot leave the terminal: {error}")))?;
    }
    let log = begin_log(&settings, options.detached);
    // One TLS provider for the whole program; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start: {error}")))?;
    let loaded = Loaded { settings, ..loaded };
    let quiet = context.terminal.quiet || options.detached;
    let ended = runtime.block_on(run_hub(context, loaded, options.flags(), log, quiet));
    // A task that does not end must not hold up the exit.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS).map_err(failure)
}

fn absolute(path: &std::path::Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::new(exit_code::FILE, format!("{} is no usable path: {error}", path.display()))
    })
}

/// Begins logging. Where the file cannot be written the log goes to standard error alone: a full
/// disk must not keep the monitor from starting.
fn begin_log(settings: &Settings, detached: bool) -> Option<telemetry::Guard> {
    let mut options = telemetry::Options {
        level: settings.log.level.as_str().to_owned(),
        format: match settings.log.format {
            RawLogFormat::Text => telemetry::Format::Text,
            RawLogFormat::Json => telemetry::Format::Json,
        },
        log_file: Some(settings.log_file()),
        // In the background standard output goes nowhere and the file has it all.
        stderr: !detached,
    };
    match telemetry::init(&options) {
        Ok(guard) => Some(guard),
        Err(error) => {
            complain(&format!("note: {error}; logging to the terminal only"));
            options.log_file = None;
            telemetry::init(&options).inspect_err(|error| complain(&format!("note: {error}"))).ok()
        }
    }
}

async fn run_hub(
    context: &Context,
    loaded: Loaded,
    flags: Vec<FlagValue>,
    log: Option<telemetry::Guard>,
    quiet: bool,
) -> Result<(), HubError> {
    let shutdown = Shutdown::new();
    let supervisor = Supervisor::new(shutdown.clone(), context.clock.clone());
    let (updates_in, updates) = mpsc::channel(UPDATES_LIMIT);
    let (on_listening, listening) = oneshot::channel();
    let hub_settings: HubSettings = loaded.settings.hub.clone();
    let reload = up_reload::Reload::new(context.sources(flags), loaded.clone(), updates_in, log);
    spawn_once(&supervisor, "config", reload, |reload, stop| reload.run(stop));
    let after = AfterListening { context: context.clone(), loaded, listening, quiet };
    spawn_once(&supervisor, "service", after, |after, stop| after.run(stop));
    let environment = HubEnvironment {
        clock: context.clock.clone(),
        shutdown: shutdown.clone(),
        supervisor,
        updates,
        on_listening,
    };
    let hub = Box::pin(sickbay_hub::run(hub_settings, environment));
    tokio::select! {
        ended = hub => ended,
        error = obey_signals(shutdown) => {
            Err(HubError::PartEnded(format!("signals cannot be received: {error}")))
        }
    }
}

/// Spawns a task that takes something along, once.
fn spawn_once<T, Run>(
    supervisor: &Supervisor,
    name: &'static str,
    part: T,
    run: impl Fn(T, CancellationToken) -> Run + Send + Sync + 'static,
) where
    T: Send + 'static,
    Run: Future<Output = ()> + Send + 'static,
{
    let part = std::sync::Mutex::new(Some(part));
    supervisor.spawn(TaskSpec::new(name, OnEnd::Ignore), move |stop| {
        let part = part.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let work = part.map(|part| run(part, stop));
        async move {
            if let Some(work) = work {
                work.await;
            }
            Ok(())
        }
    });
}

/// SIGINT and SIGTERM stop cleanly; a second one stops at once. Runs beside the hub rather than as
/// one of its tasks: a stop waits for tasks, and this one waits until the stop is over.
async fn obey_signals(shutdown: Shutdown) -> std::io::Error {
    let (mut interrupt, mut terminate) =
        match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return error,
        };
    let reason = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    };
    shutdown.request(reason);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    complain("stopping at once");
    std::process::exit(130);
}

/// What is done once the hub listens: the summary for people, the notifications for systemd.
struct AfterListening {
    context: Context,
    loaded: Loaded,
    listening: oneshot::Receiver<Listening>,
    quiet: bool,
}

impl AfterListening {
    async fn run(mut self, stop: CancellationToken) {
        // The hub could not start; its error says why.
        let Ok(Listening { addr, tls, fleet, status, .. }) = (&mut self.listening).await else {
            return;
        };
        if !self.quiet {
            let text = up_summary::places(&self.context, &self.loaded, addr, tls);
            // A closed terminal stops nothing; so below.
            let _ = self.context.terminal.print(&text);
        }
        let told = async {
            if !self.quiet && notify::until_ready(&status, &stop).await {
                self.tell_findings(&fleet, &stop).await;
            }
        };
        // systemd must not wait for what people are told.
        tokio::join!(told, notify::keep_telling(fleet.clone(), status.clone(), stop.clone()));
    }

    /// Says what was found, once it is known or when it takes too long.
    async fn tell_findings(&self, fleet: &sickbay_hub::Fleet, stop: &CancellationToken) {
        let settled = async {
            while !up_summary::is_settled(&fleet.snapshot()) {
                tokio::time::sleep(SUMMARY_POLL).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            // Later than this, what is known is shown.
            _ = tokio::time::timeout(SUMMARY_PATIENCE, settled) => {}
        }
        let text = up_summary::findings(&self.context, &fleet.snapshot());
        let _ = self.context.terminal.print(&text);
    }
}

fn failure(error: HubError) -> Failure {
    let code = match &error {
        HubError::TokenRequired(_) | HubError::Tls(_) => exit_code::CONFIG,
        HubError::Store(OpenError::HeldBy { .. }) | HubError::PortInUse { .. } => exit_code::HELD,
        HubError::Store(_) => exit_code::FILE,
        HubError::Bind { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            exit_code::DENIED
        }
        HubError::Bind { .. } => exit_code::CONFIG,
        HubError::PartEnded(_) => exit_code::INTERNAL,
    };
    let failure = Failure::new(code, error.to_string());
    match &error {
        HubError::PortInUse { addr } => match super::port_owner::find(*addr) {
            Some(owner) => failure.hint(format!("process {owner} listens there")),
            None => failure,
        },
        _ => failure,
    }
}
