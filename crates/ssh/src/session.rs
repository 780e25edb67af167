//! One session with one host: opened, kept alive, ended.
//!
//! **Must hold**: opening ends in time; a session that was given up leaves no task and no
//! descriptor behind; a busy server is tried again, a wrong one is not.
//! **Does not**: know what is asked over its channels.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use sickbay_model::ProbeError;
use tokio::time::Instant;

use crate::auth::{Login, Remembered};
use crate::client::{Client, Fate};
use crate::dial;
use crate::files::PreparedHop;
use crate::inbox::{Inbox, Inboxes};
use crate::shared::Shared;
use crate::transport::{Owner, Transport, Unidentified, Wire};
use crate::trouble;

/// How often a server that closes the connection at once is tried, and the first pause between.
const MAX_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A session, logged in.
pub(crate) struct Session {
    handle: Handle<Client>,
    inboxes: Arc<Inboxes>,
    fate: Arc<Fate>,
    place: String,
    _owner: Owner,
    /// The session that it is tunnelled through lives as long.
    _via: Option<Arc<Session>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What is left of the time in which a session has to open; waiting for our own turn is not counted.
struct Budget {
    left: Duration,
}

impl Budget {
    async fn spend<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let done = tokio::time::timeout(self.left, work).await.ok();
        self.left = self.left.saturating_sub(start.elapsed());
        done
    }
}

impl Session {
    /// Opens a session, over another one or directly.
    ///
    /// # Errors
    /// One clear state each: not reached, not trusted, not let in.
    pub(crate) async fn open(
        hop: &PreparedHop,
        via: Option<Arc<Session>>,
        shared: &Arc<Shared>,
        remembered: &mut Remembered,
    ) -> Result<Self, ProbeError> {
        let limit = shared.settings.connect_timeout;
        let mut budget = Budget { left: limit };
        let (transport, owner) = reach(hop, via.as_ref(), shared, &mut budget).await?;
        // Cryptography is what costs: only so many at once.
        let _turn = shared.opening.acquire().await;
        let place = hop.hop.place();
        let inboxes = Arc::new(Inboxes::default());
        let fate = Arc::new(Fate::default());
        let files = Arc::clone(&shared.files);
        let client = Client::new(Arc::clone(&inboxes), Arc::clone(&fate), hop.clone(), files);
        let config = shared.protocol(hop);
        let exchanged =
            budget.spend(russh::client::connect_stream(config, transport, client)).await;
        let mut handle = match exchanged {
            Some(Ok(handle)) => handle,
            Some(Err(error)) => {
                return Err(fate.refused().unwrap_or_else(|| exchange_failed(&place, &error)));
            }
            None => {
                let message = format!(
                    "{place} did not finish the key exchange within {}",
                    trouble::spoken(limit)
                );
                return Err(trouble::unreachable(message));
            }
        };
        let login = Login { hop, home: shared.settings.home.as_ref(), fate: &fate };
        match budget.spend(login.run(&mut handle, remembered)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(error),
            None => {
                let message =
                    format!("{place} did not finish the login within {}", trouble::spoken(limit));
                return Err(trouble::unreachable(message));
            }
        }
        Ok(Self { handle, inboxes, fate, place, _owner: owner, _via: via })
    }

    /// Whether it still stands, as far as is known without asking.
    pub(crate) fn is_alive(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Why it ended.
    pub(crate) fn lost(&self) -> ProbeError {
        let why = self.fate.ended().filter(|why| !why.is_empty());
        let why = why.unwrap_or_else(|| "the connection broke".to_owned());
        trouble::unreachable(format!("the session with {} was lost: {why}", self.place))
    }

    /// Whether the other side's sshd answers, whatever its shells do. Wait for it with a limit.
    pub(crate) async fn ping(&self) -> bool {
        self.handle.send_ping().await.is_ok() && self.is_alive()
    }

    /// Opens a channel and executes a command over it.
    ///
    /// # Errors
    /// What the server, or the broken connection, says.
    pub(crate) async fn execute(&self, command: &str) -> Result<Opened, russh::Error> {
        let start = Instant::now();
        let channel = self.handle.channel_open_session().await?;
        let round_trip = start.elapsed();
        // What comes is taken by the inbox; the library's own queue ends here.
        let (_, write) = channel.split();
        let Some(inbox) = self.inboxes.open(write.id()) else {
            let _ = write.close().await;
            return Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage));
        };
        let opened = Opened { write, inbox, inboxes: Arc::clone(&self.inboxes), round_trip };
        opened.write.exec(true, command).await?;
        Ok(opened)
    }

    /// A way through this host to another.
    async fn tunnel(&self, host: &str, port: u16) -> Result<Channel<Msg>, russh::Error> {
        self.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await
    }

    /// Says goodbye.
    pub(crate) async fn end(&self) {
        let bye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(GOODBYE_LIMIT, bye).await;
    }
}

/// In pieces of how many bytes we send: the protocol library keeps a buffer as large as the most
/// that it ever had to send at once.
const PIECE_BYTES: usize = 4 << 10;

/// How long saying goodbye may take.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);

/// A channel over which a command is executed.
pub(crate) struct Opened {
    write: ChannelWriteHalf<Msg>,
    pub(crate) inbox: Arc<Inbox>,
    inboxes: Arc<Inboxes>,
    /// How long the server took to open it: one round trip.
    pub(crate) round_trip: Duration,
}

impl Opened {
    pub(crate) fn id(&self) -> ChannelId {
        self.write.id()
    }

    /// Sends to the command's input.
    pub(crate) async fn send(&self, bytes: &[u8]) -> Result<(), russh::Error> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.write.data_bytes(piece.to_vec()).await?;
            // The session's task may send this one before the next is there.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Closes it; what still comes is not wanted.
    pub(crate) async fn close(self) {
        self.inboxes.forget(self.id());
        let _ = tokio::time::timeout(GOODBYE_LIMIT, self.write.close()).await;
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.inboxes.forget(self.write.id());
    }
}

/// A connection on which the other side said that it speaks SSH.
async fn reach(
    hop: &PreparedHop,
    via: Option<&Arc<Session>>,
    shared: &Arc<Shared>,
    budget: &mut Budget,
) -> Result<(Transport, Owner), ProbeError> {
    let hop = &hop.hop;
    let place = hop.place();
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        let start = Instant::now();
        let reached = async {
            let wire = match via {
                None => {
                    let dialled = dial::dial(&hop.host, hop.port, budget.left, &shared.lookups);
                    Wire::Tcp(dialled.await.map_err(Unidentified::Other)?)
                }
                Some(via) => Wire::Jump(Box::new(jump(via, hop, budget.left).await?)),
            };
            let left = budget.left.saturating_sub(start.elapsed());
            Transport::identify(wire, &place, left).await
        };
        let reached = reached.await;
        budget.left = budget.left.saturating_sub(start.elapsed());
        match reached {
            Ok(transport) => return Ok(transport),
            Err(Unidentified::Other(error)) => return Err(error),
            Err(Unidentified::Closed(error)) => {
                let pause_now = pause + shared.files.jitter(pause);
                if attempt >= MAX_ATTEMPTS || budget.left <= pause_now {
                    return Err(error);
                }
                budget.spend(tokio::time::sleep(pause_now)).await;
                pause *= 3;
            }
        }
    }
    Err(trouble::unreachable(format!("{place} was not reached")))
}

async fn jump(
    via: &Session,
    hop: &crate::route::Hop,
    limit: Duration,
) -> Result<russh::ChannelStream<Msg>, Unidentified> {
    let place = hop.place();
    let over = &via.place;
    let failed = |error| Err(Unidentified::Other(error));
    match tokio::time::timeout(limit, via.tunnel(&hop.host, hop.port)).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(russh::Error::ChannelOpenFailure(
            ChannelOpenFailure::AdministrativelyProhibited,
        ))) => failed(trouble::advise(
            trouble::denied(format!("{over} does not forward connections, to {place} or at all")),
            "allow AllowTcpForwarding (and PermitOpen) in sshd_config there",
        )),
        Ok(Err(russh::Error::ChannelOpenFailure(_))) => failed(trouble::unreachable(format!(
            "{over}, which is jumped over, cannot connect to {place}"
        ))),
        Ok(Err(_)) => failed(via.lost()),
        Err(_) => failed(trouble::unreachable(format!(
            "{over}, which is jumped over, did not connect to {place} within {limit:.1?}"
        ))),
    }
}

fn exchange_failed(place: &str, error: &russh::Error) -> ProbeError {
    match error {
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_) => trouble::unreachable(
            format!("{place} ended the connection during the key exchange: {error}"),
        ),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => trouble::advise(
            trouble::failed(format!(
                "{place} and we have no {kind:?} algorithm in common; it offers {}",
                trouble::printable(theirs.join(", ").as_bytes())
            )),
            "its sshd is too old, or is set to algorithms that are no longer safe",
        ),
        error => trouble::malformed(format!("the key exchange with {place} failed: {error}")),
    }
}

#[cfg(test)]
pub(crate) mod tests;
