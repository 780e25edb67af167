//! Starting a hub and stopping it: the order in which its parts come and go.
//!
//! Up: refuse an unsafe address → open the store (and hold the data directory) → bind the port →
//! restore what was known → start the loop and the server. Down, within two seconds: stop taking
//! requests → end collections → save state → write what is queued → let go of the store.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sickbay_engine::sentence;
use sickbay_model::{Event, EventId, EventKind, Status, Timestamp};
use sickbay_runtime::{Clock, OnEnd, Shutdown, Supervisor, TaskSpec, TaskState};
use sickbay_store::{OpenError, OpenReport, Store, WallClock, WriteBatch};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::api::{self, ApiContext};
use crate::command::Commands;
use crate::fleet::{Fleet, FleetPublisher};
use crate::hub_status::{ConfigState, HubStatusSource};
use crate::judge::Judge;
use crate::monitor::{Inbox, Monitor, Restored};
use crate::server::{self, tls::TlsError};
use crate::settings::{HubSettings, ListenSettings};
use crate::source::Sources;

/// How long tasks may take to end after a stop was requested.
const STOP_DEADLINE: Duration = Duration::from_millis(1500);

/// What the binary gives a hub besides its settings.
pub struct HubEnvironment {
    /// Time.
    pub clock: Clock,
    /// The signal to stop.
    pub shutdown: Shutdown,
    /// Who starts the hub's tasks.
    pub supervisor: Supervisor,
    /// New settings, or why they were refused.
    pub updates: mpsc::Receiver<SettingsUpdate>,
    /// Told once, when the hub listens.
    pub on_listening: oneshot::Sender<Listening>,
}

/// What is known once the hub listens.
pub struct Listening {
    /// The address; with the port that the system chose, if 0 was asked for.
    pub addr: SocketAddr,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// The live state.
    pub fleet: Fleet,
    /// The hub's own status.
    pub status: HubStatusSource,
    /// The way to the monitor loop.
    pub commands: Commands,
}

/// A change of configuration while the hub runs.
#[derive(Debug)]
pub enum SettingsUpdate {
    /// New settings are in force.
    Reloaded {
        /// All settings.
        settings: Box<HubSettings>,
        /// Names of the keys that changed.
        changed: Vec<String>,
        /// Names of the changed keys that take effect at the next start only.
        needs_restart: Vec<String>,
    },
    /// The new configuration was refused.
    Rejected {
        /// Every mistake.
        error: String,
    },
}

/// Why a hub could not run.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The address is not loopback, and there is no token.
    #[error(
        "refusing to listen on {0} without a token: anyone who can reach this address could read \
         everything. Set listen.token_file in the config (or SICKBAY_TOKEN_FILE, SICKBAY_TOKEN), or \
         listen on 127.0.0.1:{port}", port = .0.port()
    )]
    TokenRequired(SocketAddr),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Something else listens there.
    #[error(
        "{addr} is in use by another program. Choose another port with --listen 127.0.0.1:{next}, or \
         stop what uses it (`ss -ltnp 'sport = :{port}'` shows it)",
        port = .addr.port(), next = .addr.port().wrapping_add(1).max(1024)
    )]
    PortInUse {
        /// The address.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// A part of the hub that cannot be replaced ended.
    #[error("the hub stopped because {0}")]
    PartEnded(String),
}

/// Refuses an address that others could reach without a token.
///
/// # Errors
/// [`HubError::TokenRequired`].
pub fn check_listen(listen: &ListenSettings) -> Result<(), HubError> {
    if listen.addr.ip().is_loopback() || listen.token.is_some() {
        Ok(())
    } else {
        Err(HubError::TokenRequired(listen.addr))
    }
}

/// Runs a hub until its shutdown is requested.
///
/// # Errors
/// When it cannot start, or a part that cannot be replaced ended.
pub async fn run(settings: HubSettings, environment: HubEnvironment) -> Result<(), HubError> {
    let HubEnvironment { clock, shutdown, supervisor, updates, on_listening } = environment;
    check_listen(&settings.listen)?;
    let (store, report) = open_store(&settings, &clock).await?;
    let tls = match load_tls(&settings) {
        Ok(tls) => tls,
        Err(error) => {
            close_store(store).await;
            return Err(error);
        }
    };
    let listener = match bind(settings.listen.addr).await {
        Ok(listener) => listener,
        Err(error) => {
            close_store(store).await;
            return Err(error);
        }
    };
    let addr = listener.local_addr().unwrap_or(settings.listen.addr);

    let config = ConfigState { file: settings.config_file.clone(), error: None };
    let status = HubStatusSource::new(
        clock.clone(),
        settings.data_dir.clone(),
        supervisor.clone(),
        store.clone(),
        config,
    );
    let restored = restore(&store).await;
    let (publisher, fleet) =
        FleetPublisher::new(crate::view::unknown_system(), settings.listen.limits.stream_backlog);
    let mut judge = Judge::new(settings.policy.clone(), clock.clone(), publisher, store.clone());
    store.note_listen(&addr.to_string());
    judge.record(start_events(&report, addr, now(&clock)));

    let counters = server::HttpCounters::default();
    let (commands, asked) = Commands::queue();
    let context = ApiContext::new(
        fleet.clone(),
        store.clone(),
        status.clone(),
        clock.clone(),
        &settings.listen,
        counters.clone(),
        commands.clone(),
    );
    let options =
        server::ServeOptions { limits: settings.listen.limits.clone(), tls: tls.clone(), counters };
    let server = Part::new((listener, api::router(context), options));
    let sources = Sources::new(&settings);
    let monitor = Part::new(Monitor::new(
        clock.clone(),
        settings,
        sources,
        store.clone(),
        restored,
        judge,
        fleet.clone(),
        status.clone(),
        Inbox { updates, commands: asked },
    ));
    supervisor.spawn(TaskSpec::new("server", OnEnd::StopAll), move |stop| {
        let server = server.take();
        async move {
            match server {
                Some((listener, router, options)) => {
                    server::serve(listener, router, options, stop).await.map_err(Into::into)
                }
                None => Err("the server cannot be started twice".into()),
            }
        }
    });
    supervisor.spawn(TaskSpec::new("monitor", OnEnd::StopAll), move |stop| {
        let monitor = monitor.take();
        async move {
            match monitor {
                Some(monitor) => {
                    Box::pin(monitor.run(stop)).await;
                    Ok(())
                }
                None => Err("the monitor loop cannot be started twice".into()),
            }
        }
    });
    // The binary may have gone on without waiting.
    let _ = on_listening.send(Listening { addr, tls: tls.is_some(), fleet, status, commands });

    shutdown.requested().await;
    let failed = failed_part(&supervisor);
    for task in supervisor.join(STOP_DEADLINE).await {
        tracing::warn!(task, "did not end in time and was aborted");
    }
    let reason = shutdown.reason().unwrap_or_default();
    finish_store(store, &reason, failed.as_deref(), now(&clock)).await;
    failed.map_or(Ok(()), |why| Err(HubError::PartEnded(why)))
}

/// Something that a task takes along once; the supervisor's factories may be called again.
struct Part<T>(Arc<Mutex<Option<T>>>);

impl<T> Part<T> {
    fn new(part: T) -> Self {
        Self(Arc::new(Mutex::new(Some(part))))
    }

    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn now(clock: &Clock) -> Timestamp {
    Timestamp::from_unix_ms(clock.now_ms())
}

/// Why the hub stops by itself, if a part ended.
fn failed_part(supervisor: &Supervisor) -> Option<String> {
    supervisor.statuses().into_iter().find(|task| task.state == TaskState::Failed).map(|task| {
        format!(
            "its {} failed: {}",
            task.name,
            task.last_error.unwrap_or_else(|| "it ended".to_owned())
        )
    })
}

async fn open_store(
    settings: &HubSettings,
    clock: &Clock,
) -> Result<(Store, OpenReport), HubError> {
    let (options, clock) = (settings.store.clone(), clock.clone());
    let wall_clock: WallClock = Arc::new(move || now(&clock));
    let opened =
        tokio::task::spawn_blocking(move || sickbay_store::open(options, wall_clock)).await;
    let (store, report) = opened.map_err(|error| HubError::PartEnded(error.to_string()))??;
    if let Some(damaged) = &report.damaged {
        tracing::error!(
            reason = damaged.reason,
            moved_to = %damaged.moved_to.display(),
            "the database was damaged; it was moved aside and a fresh one is in use"
        );
    }
    if let Some(reason) = &report.memory_only {
        tracing::error!(reason, "nothing is kept on disk");
    }
    Ok((store, report))
}

fn load_tls(settings: &HubSettings) -> Result<Option<Arc<rustls::ServerConfig>>, HubError> {
    let listen = &settings.listen;
    let load = |tls| server::tls::load(tls, &settings.data_dir, &listen.host_names);
    Ok(listen.tls.as_ref().map(load).transpose()?)
}

async fn bind(addr: SocketAddr) -> Result<TcpListener, HubError> {
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => HubError::PortInUse { addr },
        _ => HubError::Bind { addr, source },
    })
}

async fn restore(store: &Store) -> Restored {
    let reader = store.clone();
    let read = tokio::task::spawn_blocking(move || {
        let states = reader.states().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot restore what was known; starting afresh");
            Vec::new()
        });
        let nodes = reader.nodes().unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read which nodes were added; they are not watched");
            Vec::new()
        });
        Restored { states, nodes }
    });
    read.await.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot restore what was known; starting afresh");
        Restored::default()
    })
}

/// What the log says of this start.
fn start_events(report: &OpenReport, addr: SocketAddr, at: Timestamp) -> Vec<Event> {
    let event = |kind, message: String, details: &[(&str, String)]| Event {
        id: EventId::default(),
        at,
        kind,
        resource: None,
        message,
        details: details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    };
    let mut events = Vec::new();
    if report.unclean_shutdown {
        let message =
            "The hub had ended without stopping cleanly (killed, or the machine lost power).";
        events.push(event(EventKind::HubCrashed, message.to_owned(), &[]));
    }
    if let Some(damaged) = &report.damaged {
        events.push(event(
            EventKind::CoordinatorUnhealthy,
            format!(
                "The database was damaged ({}). It was moved to {} and a fresh one is in use.",
                damaged.reason,
                damaged.moved_to.display()
            ),
            &[("part", "store".to_owned())],
        ));
    }
    if let Some(reason) = &report.memory_only {
        events.push(event(
            EventKind::CoordinatorUnhealthy,
            sentence(&format!("Nothing is kept on disk: {reason}")),
            &[("part", "store".to_owned())],
        ));
    }
    events.push(event(
        EventKind::HubStarted,
        format!("Sickbay {} started on {addr}.", env!("CARGO_PKG_VERSION")),
        &[
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("pid", std::process::id().to_string()),
        ],
    ));
    events
}

/// Writes the last events and lets go of the data directory.
async fn finish_store(store: Store, reason: &str, failed: Option<&str>, at: Timestamp) {
    let mut id = store.last_event_id();
    let mut event = |kind, message, details| {
        id.0 += 1;
        Event { id, at, kind, resource: None, message, details }
    };
    let part = failed.map(|why| {
        let details = BTreeMap::from([("part".to_owned(), "task".to_owned())]);
        let message = sentence(&format!("The hub cannot go on: {why}"));
        event(EventKind::CoordinatorUnhealthy, message, details)
    });
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let message = sentence(&format!("The hub stopped{because}"));
    let stopped = event(EventKind::HubStopped, message, BTreeMap::new());
    let events = part.into_iter().chain([stopped]).collect();
    // What is dropped here is counted and logged by the store.
    let _ = store.submit(WriteBatch { events, ..WriteBatch::default() });
    close_store(store).await;
}

async fn close_store(store: Store) {
    let closing = store.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || closing.close()).await {
        tracing::error!(%error, "closing the store failed");
    }
    let health = store.health();
    if health.status != Status::Healthy {
        tracing::error!(why = health.message, "not everything was written before the end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    #[test]
    fn only_loopback_may_do_without_a_token() {
        for (addr, token, allowed) in [
            ("127.0.0.1:8790", None, true),
            ("127.0.0.9:8790", None, true),
            ("[::1]:8790", None, true),
            ("0.0.0.0:8790", None, false),
            ("[::]:8790", None, false),
            ("192.0.2.7:8790", None, false),
            ("0.0.0.0:8790", Some("secret"), true),
        ] {
            let listen = ListenSettings {
                addr: addr.parse().expect(addr),
                token: token.map(|text| Secret::new(text.to_owned())),
                ..ListenSettings::default()
            };
            let result = check_listen(&listen);
            assert_eq!(result.is_ok(), allowed, "{addr}");
            if let Err(error) = result {
                assert!(error.to_string().contains("token_file"), "says how: {error}");
            }
        }
    }
}
