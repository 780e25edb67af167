//! What all nodes share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use russh::client::Config as Protocol;
use russh::{Preferred, SshId};
use sickbay_model::{ProbeError, Resource, SharedLayouts, SshTarget};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::auth::Remembered;
use crate::dial::MAX_LOOKUPS;
use crate::files::{KeptFiles, Prepared, PreparedHop};
use crate::known_hosts::{self, HOST_KEY_TYPES, KnownTypes};
use crate::route::Hop;
use crate::session::Session;
use crate::{SshNode, SshSettings, trouble};

/// The window of a channel, in bytes: how much a node may send before we agree to more.
const WINDOW_BYTES: u32 = 64 << 10;
/// The largest packet that a node may send, in bytes: the protocol library keeps a buffer of that
/// size for each session.
const PACKET_BYTES: u32 = 8 << 10;
/// How many messages of a tunnelled session wait between two sessions.
const TUNNEL_MESSAGES: usize = 16;
/// How many signs of life may fail to come before a session is given up.
const MAX_MISSED_KEEPALIVES: usize = 3;
/// How many threads read config, known hosts and keys at once.
const MAX_READERS: usize = 2;
/// How long reading them may take: the home may lie on a network.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The shared part of all sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ssh {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: SshSettings,
    pub(crate) files: Arc<KeptFiles>,
    /// Turns for key exchanges.
    pub(crate) opening: Semaphore,
    /// Turns for name servers.
    pub(crate) lookups: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    /// What the columns of frames mean, once for equal nodes.
    pub(crate) layouts: Arc<SharedLayouts>,
    protocols: Mutex<HashMap<KnownTypes, Arc<Protocol>>>,
    /// By the whole way there: who trusts other keys, or logs in otherwise, has another session.
    jumps: Mutex<HashMap<Vec<Hop>, Weak<Jump>>>,
}

/// A session that others are tunnelled through.
#[derive(Debug, Default)]
pub(crate) struct Jump {
    state: tokio::sync::Mutex<JumpState>,
}

#[derive(Debug, Default)]
struct JumpState {
    session: Option<Arc<Session>>,
    remembered: Remembered,
    /// When it failed the last time, and why: those who waited meanwhile need not try again.
    failed: Option<(Instant, ProbeError)>,
}

/// The session that one is tunnelled through; whoever holds it keeps it open for the others too.
#[derive(Clone, Debug)]
pub(crate) struct Through {
    pub(crate) session: Arc<Session>,
    #[expect(dead_code, reason = "held so that others find it")]
    jump: Arc<Jump>,
}

/// An open session with a machine.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) session: Arc<Session>,
    /// For error messages.
    pub(crate) who: Arc<str>,
    /// Held as long as the session is.
    pub(crate) through: Option<Through>,
}

impl Jump {
    /// The session, opened by whoever comes first; who came before it failed shares the error.
    async fn session(
        &self,
        hop: &PreparedHop,
        via: Option<Arc<Session>>,
        shared: &Arc<Shared>,
    ) -> Result<Arc<Session>, ProbeError> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(session) = state.session.as_ref().filter(|session| session.is_alive()) {
            return Ok(Arc::clone(session));
        }
        state.session = None;
        if let Some((at, error)) = &state.failed
            && *at >= came
        {
            return Err(error.clone());
        }
        let mut remembered = state.remembered.take();
        let opened = Session::open(hop, via, shared, &mut remembered).await;
        state.remembered = remembered;
        match opened {
            Ok(session) => {
                let session = Arc::new(session);
                (state.session, state.failed) = (Some(Arc::clone(&session)), None);
                Ok(session)
            }
            Err(mut error) => {
                error.message = format!("the host to jump over: {}", error.message);
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl Ssh {
    /// Nothing is read or opened before the first collection.
    #[must_use]
    pub fn new(settings: SshSettings) -> Self {
        let opening = Semaphore::new(settings.opening_at_once.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            shared: Arc::new(Shared {
                settings,
                files: Arc::new(KeptFiles::new()),
                opening,
                lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
                readers: Arc::new(Semaphore::new(MAX_READERS)),
                layouts: Arc::default(),
                protocols: Mutex::default(),
                jumps: Mutex::default(),
            }),
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &SshSettings {
        &self.shared.settings
    }

    /// A node; no session is opened before the first collection.
    #[must_use]
    pub fn node(&self, resource: Resource, target: SshTarget) -> SshNode {
        SshNode::new(self.clone(), resource, target)
    }

    /// The watched hosts behind which a target is, by its `ProxyJump` as the config resolves it:
    /// host names as they are written there. Reads the config if it was not read lately.
    #[must_use]
    pub fn jumps_of(&self, target: &SshTarget) -> Vec<String> {
        let route = self.shared.files.route(target, &self.shared.settings);
        let jumps = route.map(|route| route.jumps).unwrap_or_default();
        jumps.into_iter().map(|hop| hop.written).collect()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    /// Reads what a connection needs, on a thread that may block.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        target: &SshTarget,
    ) -> Result<Prepared, ProbeError> {
        let (this, target) = (Arc::clone(self), target.clone());
        let reading = async {
            // The thread holds its turn until the disk answers, whoever still waits for it.
            let turn = Arc::clone(&self.readers).acquire_owned().await.ok()?;
            let work = move || {
                let _turn = turn;
                this.files.prepare(&target, &this.settings)
            };
            tokio::task::spawn_blocking(work).await.ok()
        };
        match tokio::time::timeout(READ_LIMIT, reading).await {
            Ok(Some(prepared)) => prepared,
            Ok(None) => Err(trouble::failed("the SSH config was not read: we are shutting down")),
            Err(_) => Err(trouble::failed(format!(
                "the SSH config, known hosts and keys were not read within {READ_LIMIT:?}: does the \
                 home directory hang?"
            ))),
        }
    }

    /// Opens a session with a machine, over the hosts to jump over.
    pub(crate) async fn open(
        self: &Arc<Self>,
        target: &SshTarget,
        remembered: &mut Remembered,
    ) -> Result<Way, ProbeError> {
        let prepared = self.prepare(target).await?;
        let through = self.through(&prepared.jumps).await?;
        let via = through.as_ref().map(|through| Arc::clone(&through.session));
        let who: Arc<str> = prepared.target.hop.address().into();
        let session = Session::open(&prepared.target, via, self, remembered).await?;
        Ok(Way { session: Arc::new(session), who, through })
    }

    /// How the protocol is spoken with a host: it is asked for a key of a type that is known.
    pub(crate) fn protocol(&self, hop: &PreparedHop) -> Arc<Protocol> {
        let known = known_hosts::known_types(&hop.known_hosts, &hop.hop.trust);
        let mut kept = self.protocols.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(kept.entry(known).or_insert_with(|| Arc::new(self.make_protocol(known))))
    }

    fn make_protocol(&self, known: KnownTypes) -> Protocol {
        let certificates = if known.authority { HOST_KEY_TYPES.to_vec() } else { Vec::new() };
        Protocol {
            client_id: SshId::Standard(
                concat!("SSH-2.0-Sickbay_", env!("CARGO_PKG_VERSION")).into(),
            ),
            window_size: WINDOW_BYTES,
            maximum_packet_size: PACKET_BYTES,
            channel_buffer_size: TUNNEL_MESSAGES,
            keepalive_interval: Some(self.settings.keepalive_interval),
            keepalive_max: MAX_MISSED_KEEPALIVES,
            preferred: Preferred {
                key: known.order().into(),
                host_key_certificates: certificates.into(),
                ..Preferred::DEFAULT
            },
            ..Protocol::default()
        }
    }

    /// The session to tunnel through, opened if it is not: one for all nodes behind it.
    pub(crate) async fn through(
        self: &Arc<Self>,
        jumps: &[PreparedHop],
    ) -> Result<Option<Through>, ProbeError> {
        let mut chain = Vec::new();
        let mut through: Option<Through> = None;
        for hop in jumps {
            chain.push(hop.hop.clone());
            let jump = self.jump(&chain);
            let via = through.take().map(|through| through.session);
            let session = jump.session(hop, via, self).await?;
            through = Some(Through { session, jump });
        }
        Ok(through)
    }

    fn jump(&self, chain: &[Hop]) -> Arc<Jump> {
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jump) = jumps.get(chain).and_then(Weak::upgrade) {
            return jump;
        }
        jumps.retain(|_, jump| jump.strong_count() > 0);
        let jump = Arc::new(Jump::default());
        jumps.insert(chain.to_vec(), Arc::downgrade(&jump));
        jump
    }
}
