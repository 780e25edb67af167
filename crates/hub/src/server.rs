//! The HTTP server: accepts connections, bounds what each may use, and ends them in time.
//!
//! What must hold: a slow, silent or noisy client costs one bounded connection and never delays
//! another; every limit is one of [`Limits`] or a constant here; within
//! [`SHUTDOWN_GRACE`] of the shutdown every connection is closed, live streams included.
//!
//! What it does not do: know any route (the [`api`](crate::api) does), or spawn a task that
//! outlives [`serve`] (all live in its own set).

mod connection;
mod guard;
mod io;
mod origin;
mod rate;
mod session;
pub mod tls;

use std::io as std_io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::settings::Limits;

pub(crate) use guard::{Guard, protect};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use origin::check as check_origin;
pub(crate) use session::Sessions;

/// How long open connections may take to finish after the shutdown was requested.
pub const SHUTDOWN_GRACE: Duration = Duration::from_millis(900);
/// How long the accept loop rests after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server counts about itself; shown in `/metrics`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct HttpCounters(Arc<Counts>);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections accepted.
    pub(crate) connections: AtomicU64,
    /// Times that the limit of open connections was met.
    pub(crate) connection_limit: AtomicU64,
    /// Connections that failed: noise instead of HTTP, a header that never ended, a slow reader.
    pub(crate) connection_errors: AtomicU64,
    /// Times that accepting failed (too many open files).
    pub(crate) accept_errors: AtomicU64,
    /// Answers by class: 1xx to 5xx.
    pub(crate) answers: [AtomicU64; 5],
    /// Requests refused because their client asked too often.
    pub(crate) rate_limited: AtomicU64,
    /// Requests refused for want of the token.
    pub(crate) unauthorised: AtomicU64,
    /// Live streams now open.
    pub(crate) streams: AtomicU64,
    /// Times that a live stream was too slow and got a fresh snapshot.
    pub(crate) streams_lagged: AtomicU64,
}

impl HttpCounters {
    /// The counts.
    pub(crate) fn counts(&self) -> &Counts {
        &self.0
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: axum::http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = self.0.answers.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a handler may know of the connection that its request came on.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The server's address.
    pub(crate) local: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) encrypted: bool,
    /// Set when the server stops: endless answers must end.
    pub(crate) stopping: CancellationToken,
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// What a client may use.
    pub limits: Limits,
    /// Encryption; none means plain HTTP. See [`tls::load`].
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Where to count; share it with the [`ApiContext`](crate::api::ApiContext).
    pub counters: HttpCounters,
}

/// Serves until `shutdown` is cancelled, then lets open requests finish for [`SHUTDOWN_GRACE`].
///
/// # Errors
/// When the listener's own address cannot be read. A failing connection or accept is counted,
/// logged and survived.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) -> std_io::Result<()> {
    let local = listener.local_addr()?;
    let slots = Arc::new(Semaphore::new(options.limits.connections.max(1)));
    let server = connection::Server::new(router, &options, local, shutdown.clone());
    let mut connections = JoinSet::new();
    loop {
        let slot = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                options.counters.0.connection_limit.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(limit = options.limits.connections, "connection limit met");
                tokio::select! {
                    slot = Arc::clone(&slots).acquire_owned() => match slot {
                        Ok(slot) => slot,
                        Err(_) => break,
                    },
                    () = shutdown.cancelled() => break,
                }
            }
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                note_end(ended);
                continue;
            }
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                options.counters.0.connections.fetch_add(1, Ordering::Relaxed);
                let server = Arc::clone(&server);
                connections.spawn(async move {
                    server.connection(stream, peer).await;
                    drop(slot);
                });
            }
            Err(error) => {
                // The first is worth a line; a storm of them is a number.
                if options.counters.0.accept_errors.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    finish(connections).await;
    Ok(())
}

/// Lets connections end by themselves, then ends them.
async fn finish(mut connections: JoinSet<()>) {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    if tokio::time::timeout(SHUTDOWN_GRACE, all_ended).await.is_err() {
        tracing::debug!(open = connections.len(), "closing connections that did not end");
        connections.shutdown().await;
    }
}

fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// The acceptor and a stream, encrypted or not.
type Acceptor = Option<TlsAcceptor>;

/// Small answers leave at once.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
