//! One connection: SSH by the book, the shell played.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use russh::server::{Auth, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::time::Instant;

use crate::behaviour::{Behaviour, Changeable};
use crate::host::Host;
use crate::shell::{Reply, Shell};

/// A host and how it behaves.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) host: Host,
    pub(crate) behaviour: Changeable,
}

/// What the fleet counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) questions: AtomicU64,
}

/// One client of one host.
pub(crate) struct Connection {
    pub(crate) served: Arc<Served>,
    pub(crate) key: russh::keys::PublicKey,
    pub(crate) began: Instant,
    pub(crate) counters: Arc<Counters>,
    pub(crate) shells: HashMap<ChannelId, Shell>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let refuses = self.served.behaviour.get() == Behaviour::Refuses;
        if !refuses && key.public_key.key_data() == self.key.key_data() {
            return Ok(Auth::Accept);
        }
        Ok(Auth::reject())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.shells.insert(channel, Shell::default());
        session.channel_success(channel)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(shell) = self.shells.get_mut(&channel) else { return Ok(()) };
        let behaviour = self.served.behaviour.get();
        for reply in shell.take(data, &self.served.host, behaviour, self.began.elapsed()) {
            self.counters.questions.fetch_add(1, Ordering::Relaxed);
            match reply {
                Reply::Answer(bytes) => session.data(channel, bytes)?,
                Reply::Last(bytes) => {
                    session.data(channel, bytes)?;
                    session.eof(channel)?;
                    session.close(channel)?;
                }
                Reply::HangUp => return Err(russh::Error::Disconnect),
            }
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.shells.remove(&channel);
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.close(channel)
    }
}
