//! Our side of the protocol: what is done with what a server sends.
//!
//! **Must hold**: a server opens no channel to us; nothing that it says is kept without a limit.

use std::sync::{Arc, Mutex, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};
use sickbay_model::ProbeError;

use crate::files::{KeptFiles, PreparedHop};
use crate::inbox::{Delivered, End, Inboxes};
use crate::known_hosts::{self, Verdict, append};
use crate::route::TrustRules;
use crate::trouble;

/// What became of a session, for its error messages.
#[derive(Debug, Default)]
pub(crate) struct Fate(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    refused: Option<ProbeError>,
    ended: Option<String>,
    banner: Option<String>,
}

impl Fate {
    fn set(&self, set: impl FnOnce(&mut Known)) {
        set(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Why we refused the server's key.
    pub(crate) fn refused(&self) -> Option<ProbeError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    /// Why the session ended: what the server said, or what happened to the connection.
    pub(crate) fn ended(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended.clone()
    }

    /// What the server showed before the login.
    pub(crate) fn banner(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).banner.clone()
    }
}

/// Who answers the protocol library's calls, within the session's task.
pub(crate) struct Client {
    inboxes: Arc<Inboxes>,
    fate: Arc<Fate>,
    /// Until the server's key was seen.
    trust: Option<Box<(PreparedHop, Arc<KeptFiles>)>>,
}

impl Client {
    pub(crate) fn new(
        inboxes: Arc<Inboxes>,
        fate: Arc<Fate>,
        hop: PreparedHop,
        files: Arc<KeptFiles>,
    ) -> Self {
        Self { inboxes, fate, trust: Some(Box::new((hop, files))) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.inboxes.lose_all();
    }
}

async fn is_trusted(
    hop: PreparedHop,
    files: Arc<KeptFiles>,
    offered: &PublicKeyOrCertificate,
) -> Result<(), ProbeError> {
    let rules = &hop.hop.trust;
    let mut verdict = known_hosts::check(&hop.known_hosts, rules, offered, files.now_unix_s());
    let place = hop.hop.place();
    let key = offered.public_key();
    let offer = format!("{} {}", key.algorithm(), known_hosts::fingerprint(&key));
    if verdict == Verdict::Unknown && rules.accept_new {
        verdict = accept(rules, &files, key, &place, &offer).await?;
    }
    match verdict {
        Verdict::Known => Ok(()),
        Verdict::Unknown => {
            let by_config = if rules.strict { " (StrictHostKeyChecking yes)" } else { "" };
            Err(trouble::advise(
                trouble::untrusted(format!(
                    "the host key of {place} is not known: {offer}{by_config}"
                )),
                format!(
                    "compare the fingerprint with the machine's own, then run `ssh {}` once, or \
                     use --accept-new to accept the keys of new hosts",
                    hop.hop.written
                ),
            ))
        }
        Verdict::Changed { place: line, known } => Err(trouble::advise(
            trouble::untrusted(format!(
                "the host key of {place} has changed: it shows {offer}, but {line} says {known}"
            )),
            format!(
                "somebody may be in between; if the machine was installed anew, remove that line \
                 (`ssh-keygen -R '{}'`)",
                rules.name
            ),
        )),
        Verdict::Revoked(line) => Err(trouble::untrusted(format!(
            "the host key of {place} ({offer}) is revoked by {line}"
        ))),
        Verdict::BadCertificate(why) => {
            Err(trouble::untrusted(format!("the host certificate of {place} is not good: {why}")))
        }
    }
}

/// Writes a new key down, unless the file says something else of the host by now.
async fn accept(
    rules: &TrustRules,
    files: &KeptFiles,
    key: PublicKey,
    place: &str,
    offer: &str,
) -> Result<Verdict, ProbeError> {
    let Some(file) = rules.writable.clone() else {
        return Err(trouble::untrusted(format!(
            "the key of {place} is new and there is no file of known hosts to write it to"
        )));
    };
    let (rules, written_to) = (rules.clone(), file.clone());
    let written = tokio::task::spawn_blocking(move || append::append(&written_to, &rules, &key));
    match written.await {
        Ok(Ok(verdict)) => {
            files.forget_known_hosts(&file);
            if verdict == Verdict::Known {
                tracing::info!("accepted the new host key of {place}: {offer}");
            }
            Ok(verdict)
        }
        Ok(Err(error)) => Err(trouble::untrusted(format!(
            "the new key of {place} ({offer}) cannot be written to {}: {error}",
            file.display()
        ))),
        Err(_) => Err(trouble::untrusted(format!(
            "the new key of {place} ({offer}) was not written: we are shutting down"
        ))),
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        offered: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let Some(trust) = self.trust.take() else { return Ok(false) };
        match is_trusted(trust.0, trust.1, offered).await {
            Ok(()) => Ok(true),
            Err(error) => {
                self.fate.set(|known| known.refused = Some(error));
                Ok(false)
            }
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Self::Error> {
        let banner = trouble::printable(banner.as_bytes());
        self.fate.set(|known| known.banner = Some(banner).filter(|text| !text.is_empty()));
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.inboxes.deliver(channel, data) {
            Delivered::Yes | Delivered::Unwanted => Ok(()),
            Delivered::Flooded => session.close(channel),
        }
    }

    async fn extended_data(
        &mut self,
        channel: ChannelId,
        _: u32,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inboxes.deliver_error(channel, data);
        Ok(())
    }

    async fn exit_status(
        &mut self,
        channel: ChannelId,
        status: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inboxes.exited(channel, status);
        Ok(())
    }

    async fn channel_failure(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inboxes.end(channel, End::Refused);
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.inboxes.end(channel, End::Closed);
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<Self::Error>,
    ) -> Result<(), Self::Error> {
        let why = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                trouble::printable(info.message.as_bytes())
            }
            DisconnectReason::Error(russh::Error::KeepaliveTimeout) => {
                "it no longer answered".to_owned()
            }
            DisconnectReason::Error(error) => trouble::printable(error.to_string().as_bytes()),
        };
        self.fate.set(|known| known.ended = Some(why));
        Ok(())
    }

    // What a server may ask to open towards us is refused by dropping the handle.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
