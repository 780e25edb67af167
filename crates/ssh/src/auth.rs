//! Logging in, with keys only.
//!
//! **Must hold**: no password is used or asked for; keys that somebody named come before those that
//! only happen to be in the agent, so that a full agent does not use up the server's patience; what
//! was tried is told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use sickbay_model::ProbeError;
use tokio::net::UnixStream;

use crate::client::{Client, Fate};
use crate::files::PreparedHop;
use crate::keys::{self, KeyFile};
use crate::known_hosts::fingerprint;
use crate::trouble;

/// How many keys one server is shown at most: OpenSSH ends the connection after six (`MaxAuthTries`).
const MAX_TRIES: usize = 6;
/// How long the agent may take to say what it holds.
const AGENT_LIMIT: Duration = Duration::from_secs(2);
/// How many keys of an agent are looked at.
const MAX_AGENT_KEYS: usize = 64;

/// The key that worked the last time, by its fingerprint: it is tried first.
pub(crate) type Remembered = Option<String>;

/// Who is logged in with what.
pub(crate) struct Login<'a> {
    pub(crate) hop: &'a PreparedHop,
    pub(crate) home: Option<&'a std::path::PathBuf>,
    pub(crate) fate: &'a Fate,
}

enum Key {
    File { key: Arc<PrivateKey>, certificate: Option<Box<Certificate>> },
    Agent(Box<AgentIdentity>),
}

struct Candidate {
    key: Key,
    fingerprint: String,
    /// For a person.
    label: String,
    /// Somebody named it.
    named: bool,
}

enum Attempt {
    Success,
    Refused,
    /// No further key would help.
    End(ProbeError),
}

impl Login<'_> {
    /// Logs in.
    ///
    /// # Errors
    /// When no key is accepted: which were tried, and what could be done.
    pub(crate) async fn run(
        &self,
        handle: &mut Handle<Client>,
        remembered: &mut Remembered,
    ) -> Result<(), ProbeError> {
        let mut tried = Vec::new();
        let mut files = self.key_files();
        let mut hashes = Hashes::default();
        // What worked before needs no agent if it is a file.
        let before = files.iter().position(|it| Some(&it.fingerprint) == remembered.as_ref());
        if let Some(index) = before {
            let candidate = files.remove(index);
            match self.attempt(handle, &candidate, None, &mut hashes, &mut tried).await {
                Attempt::Success => return Ok(()),
                Attempt::End(error) => return Err(error),
                Attempt::Refused => {}
            }
        }
        let mut notes = Vec::new();
        let mut agent = self.agent(handle, &mut notes).await;
        let candidates =
            self.in_order(files, agent.as_mut(), remembered.as_deref(), &mut notes).await;
        for candidate in &candidates {
            if tried.len() >= MAX_TRIES {
                notes.push(format!("{} more were not tried", candidates.len() - tried.len()));
                break;
            }
            match self.attempt(handle, candidate, agent.as_mut(), &mut hashes, &mut tried).await {
                Attempt::Success => {
                    *remembered = Some(candidate.fingerprint.clone());
                    return Ok(());
                }
                Attempt::End(error) => return Err(error),
                Attempt::Refused => {}
            }
        }
        Err(self.denied(&tried, notes))
    }

    fn key_files(&self) -> Vec<Candidate> {
        let files = self.hop.keys.iter().filter_map(|(path, file)| match &**file {
            KeyFile::Ready { key, certificate } => Some(Candidate {
                fingerprint: fingerprint(key.public_key()),
                key: Key::File { key: Arc::clone(key), certificate: certificate.clone() },
                label: self.shown(path),
                named: self.hop.hop.keys.named,
            }),
            _ => None,
        });
        files.collect()
    }

    async fn agent(
        &self,
        handle: &Handle<Client>,
        notes: &mut Vec<String>,
    ) -> Option<AgentClient<UnixStream>> {
        let socket = self.hop.hop.keys.agent.as_ref()?;
        let connected = async {
            let stream = UnixStream::connect(socket).await?;
            let mut agent = AgentClient::connect(stream);
            if let Some(binding) = handle.agent_session_binding() {
                // Agents that do not know it say so; keys that are bound to hosts need it.
                let _ = agent.bind_session(binding, false).await;
            }
            Ok::<_, std::io::Error>(agent)
        };
        match tokio::time::timeout(AGENT_LIMIT, connected).await {
            Ok(Ok(agent)) => Some(agent),
            Ok(Err(error)) => {
                notes.push(format!("no agent at {}: {error}", socket.display()));
                None
            }
            Err(_) => {
                notes.push(format!("the agent at {} does not answer", socket.display()));
                None
            }
        }
    }

    /// What is tried, in order: what worked before, what was named, the agent's, the default files.
    async fn in_order(
        &self,
        files: Vec<Candidate>,
        agent: Option<&mut AgentClient<UnixStream>>,
        remembered: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Vec<Candidate> {
        let rules = &self.hop.hop.keys;
        let listed: Vec<&PublicKey> =
            self.hop.keys.iter().filter_map(|(_, file)| file.public()).collect();
        let is_listed = |key: &PublicKey| listed.iter().any(|one| one.key_data() == key.key_data());
        let mut candidates = Vec::new();
        if let Some(agent) = agent {
            let asked = tokio::time::timeout(AGENT_LIMIT, agent.request_identities()).await;
            let identities = match asked {
                Ok(Ok(identities)) => identities,
                Ok(Err(error)) => {
                    notes.push(format!("the agent does not say what it holds: {error}"));
                    Vec::new()
                }
                Err(_) => {
                    notes.push("the agent does not say what it holds".to_owned());
                    Vec::new()
                }
            };
            if identities.is_empty() && notes.is_empty() {
                notes.push("the agent holds no key".to_owned());
            }
            for identity in identities.into_iter().take(MAX_AGENT_KEYS) {
                let (public, comment) = match &identity {
                    AgentIdentity::PublicKey { key, comment } => (key.clone(), comment),
                    AgentIdentity::Certificate { certificate, comment } => {
                        (PublicKey::new(certificate.public_key().clone(), ""), comment)
                    }
                };
                let listed = is_listed(&public);
                if rules.only && !listed {
                    continue;
                }
                candidates.push(Candidate {
                    fingerprint: fingerprint(&public),
                    label: format!("{} of the agent", trouble::printable(comment.as_bytes())),
                    named: listed && rules.named,
                    key: Key::Agent(Box::new(identity)),
                });
            }
        }
        // The agent has them in memory: no need to try them twice.
        let in_agent: Vec<String> = candidates.iter().map(|it| it.fingerprint.clone()).collect();
        let from_files = files.into_iter().filter(|file| {
            let certified = matches!(&file.key, Key::File { certificate: Some(_), .. });
            certified || !in_agent.contains(&file.fingerprint)
        });
        candidates.extend(from_files);
        candidates.sort_by_key(|candidate| {
            let worked = remembered == Some(candidate.fingerprint.as_str());
            (!worked, !candidate.named)
        });
        candidates
    }

    async fn attempt(
        &self,
        handle: &mut Handle<Client>,
        candidate: &Candidate,
        agent: Option<&mut AgentClient<UnixStream>>,
        hashes: &mut Hashes,
        tried: &mut Vec<String>,
    ) -> Attempt {
        tried.push(format!("{} ({})", candidate.label, candidate.fingerprint));
        let user = self.hop.hop.user.clone();
        let result = match (&candidate.key, agent) {
            (Key::File { key, certificate: Some(certificate) }, _) => {
                let (key, certificate) = (Arc::clone(key), (**certificate).clone());
                handle
                    .authenticate_openssh_cert(user, key, certificate)
                    .await
                    .map_err(|e| e.to_string())
            }
            (Key::File { key, certificate: None }, _) => {
                let hash = match hashes.for_key(handle, &key.algorithm()).await {
                    Ok(hash) => hash,
                    Err(why) => return Self::skip(why, tried),
                };
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                handle.authenticate_publickey(user, key).await.map_err(|e| e.to_string())
            }
            (Key::Agent(identity), Some(agent)) => {
                let algorithm = match &**identity {
                    AgentIdentity::PublicKey { key, .. } => key.algorithm(),
                    AgentIdentity::Certificate { certificate, .. } => certificate.algorithm(),
                };
                let hash = match hashes.for_key(handle, &algorithm).await {
                    Ok(hash) => hash,
                    Err(why) => return Self::skip(why, tried),
                };
                let asked = match &**identity {
                    AgentIdentity::PublicKey { key, .. } => {
                        handle.authenticate_publickey_with(user, key.clone(), hash, agent).await
                    }
                    AgentIdentity::Certificate { certificate, .. } => {
                        let certificate = certificate.clone();
                        handle.authenticate_certificate_with(user, certificate, hash, agent).await
                    }
                };
                asked.map_err(|error| error.to_string())
            }
            (Key::Agent(_), None) => Err("there is no agent any more".to_owned()),
        };
        self.judge(handle, result, tried)
    }

    fn skip(why: &str, tried: &mut [String]) -> Attempt {
        if let Some(last) = tried.last_mut() {
            last.push_str(", which ");
            last.push_str(why);
        }
        Attempt::Refused
    }

    fn judge(
        &self,
        handle: &Handle<Client>,
        result: Result<AuthResult, String>,
        tried: &mut [String],
    ) -> Attempt {
        let address = self.hop.hop.address();
        match result {
            Ok(AuthResult::Success) => Attempt::Success,
            Ok(AuthResult::Failure { partial_success: true, remaining_methods }) => {
                Attempt::End(trouble::denied(format!(
                    "{address} accepts the key and wants more: {}",
                    named(&remaining_methods)
                )))
            }
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                if handle.is_closed() {
                    return Attempt::End(self.denied(tried, Vec::new()));
                }
                let keys = remaining_methods.contains(&MethodKind::PublicKey);
                if keys || remaining_methods.is_empty() {
                    return Attempt::Refused;
                }
                Attempt::End(trouble::advise(
                    trouble::denied(format!(
                        "{address} takes no keys, only {}, which is never used here",
                        named(&remaining_methods)
                    )),
                    "allow PubkeyAuthentication in sshd_config there",
                ))
            }
            Err(error) if handle.is_closed() => {
                let why = self.fate.ended().unwrap_or(error);
                Attempt::End(self.denied(tried, vec![format!("the connection ended: {why}")]))
            }
            Err(error) => {
                if let Some(last) = tried.last_mut() {
                    *last = format!("{last}: {error}");
                }
                Attempt::Refused
            }
        }
    }

    fn denied(&self, tried: &[String], mut notes: Vec<String>) -> ProbeError {
        let hop = &self.hop.hop;
        let mut locked = None;
        for (path, file) in &self.hop.keys {
            match &**file {
                KeyFile::Locked { .. } => {
                    let shown = self.shown(path);
                    notes.push(format!("{shown} is encrypted, or its private half is elsewhere"));
                    locked.get_or_insert(shown);
                }
                KeyFile::Unusable(why) => notes.push(format!("{}: {why}", self.shown(path))),
                KeyFile::Absent if hop.keys.named => {
                    notes.push(format!("{} is not there", self.shown(path)));
                }
                KeyFile::Absent | KeyFile::Ready { .. } => {}
            }
        }
        if let Some(why) = self.fate.ended() {
            notes.push(format!("the server said: {why}"));
        }
        if let Some(banner) = self.fate.banner() {
            notes.push(format!("it shows: {banner:?}"));
        }
        let what = match tried {
            [] => "no key to try".to_owned(),
            tried => format!("tried {}", tried.join(", ")),
        };
        notes.insert(0, what);
        let address = hop.address();
        let error = trouble::denied(format!("{address} does not let us in: {}", notes.join("; ")));
        match (locked, tried) {
            (Some(path), _) => {
                trouble::advise(error, format!("add the key to the agent: ssh-add {path}"))
            }
            (None, []) => trouble::advise(
                error,
                "name a private key (identity_file, or IdentityFile in ~/.ssh/config), or run an agent",
            ),
            (None, _) => trouble::advise(
                error,
                format!("add the public key to authorized_keys of {} there", hop.user),
            ),
        }
    }

    fn shown(&self, path: &Path) -> String {
        keys::shown(path, self.home)
    }
}

fn named(methods: &[MethodKind]) -> String {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    names.join(", ")
}

/// With which hash a key of RSA signs, asked of the server at the first such key.
#[derive(Default)]
struct Hashes {
    rsa: Option<Option<HashAlg>>,
}

impl Hashes {
    async fn for_key(
        &mut self,
        handle: &Handle<Client>,
        algorithm: &Algorithm,
    ) -> Result<Option<HashAlg>, &'static str> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(None);
        }
        let hash = match self.rsa {
            Some(hash) => hash,
            None => {
                // A server that does not say takes SHA-2 nowadays.
                let said = handle.best_supported_rsa_hash().await.ok().flatten();
                *self.rsa.insert(said.unwrap_or(Some(HashAlg::Sha512)))
            }
        };
        hash.map(Some).ok_or("the server would take with SHA-1 signatures only")
    }
}
