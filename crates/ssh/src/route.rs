//! From a target and the config to the hops of a connection.
//!
//! **Must hold**: what the target says comes before what the config says; chains of jumps end.
//! **Does not**: connect, resolve names, read files.

use std::path::{Path, PathBuf};

use sickbay_model::{ProbeError, SshTarget};

use crate::SshSettings;
use crate::config::{Asked, Config, ConfigError, HostConfig, Strict};
use crate::trouble;

/// The port of SSH.
pub(crate) const DEFAULT_PORT: u16 = 22;

/// How many hosts are jumped over at most.
const MAX_JUMPS: usize = 8;

/// The private keys that are tried when none is named: those of OpenSSH, the cheapest first.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// One host to which a session is opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hop {
    /// As it is written in the target or in `ProxyJump`.
    pub(crate) written: String,
    /// What is connected to.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) keys: KeyRules,
    pub(crate) trust: TrustRules,
}

/// With which keys one logs in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyRules {
    /// Private keys, in order.
    pub(crate) files: Vec<PathBuf>,
    /// Whether somebody named them (a default one that is not there is not worth a word).
    pub(crate) named: bool,
    /// Keys of the agent count only if they are among the files.
    pub(crate) only: bool,
    /// The agent.
    pub(crate) agent: Option<PathBuf>,
}

/// Which host key is right.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TrustRules {
    /// Under which name the key is kept: `host`, or `[host]:port`.
    pub(crate) name: String,
    /// The name without its port, where an equal key also counts.
    pub(crate) name_without_port: Option<String>,
    /// Where it is looked for, in order.
    pub(crate) files: Vec<PathBuf>,
    /// Where an accepted one is written.
    pub(crate) writable: Option<PathBuf>,
    /// Whether a new one is accepted.
    pub(crate) accept_new: bool,
    /// The config forbids it, whatever the settings say.
    pub(crate) strict: bool,
    /// Whether the name is written hashed.
    pub(crate) hash: bool,
}

impl Hop {
    /// `user@host:port`, for a person: names of one address may differ in whom they trust.
    pub(crate) fn address(&self) -> String {
        format!("{}@{}", self.user, self.place())
    }

    /// `host:port`.
    pub(crate) fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The hosts to jump over, in order, and the host itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) jumps: Vec<Hop>,
    pub(crate) target: Hop,
}

/// Finds the way to a target.
///
/// # Errors
/// When the config has a mistake that concerns it, wants a command to be executed, or jumps in
/// circles.
pub(crate) fn resolve(
    target: &SshTarget,
    config: &Config,
    settings: &SshSettings,
) -> Result<Route, ProbeError> {
    let resolver = Resolver { config, settings };
    let wanted = Wanted { host: target.host.clone(), user: target.user.clone(), port: target.port };
    let (mut hop, found) = resolver.hop(&wanted)?;
    if let Some(file) = &target.identity_file {
        let path = under_home(file, settings.home.as_deref());
        let found = std::mem::take(&mut hop.keys.files);
        let named = hop.keys.named;
        hop.keys.files = std::iter::once(path).chain(found.into_iter().filter(|_| named)).collect();
        hop.keys.named = true;
    }
    let jump = target.proxy_jump.as_deref().or(found.proxy_jump.as_deref());
    let mut jumps = Vec::new();
    resolver.jumps(jump, &found, &hop, &mut jumps, 0)?;
    Ok(Route { jumps, target: hop })
}

struct Wanted {
    host: String,
    user: Option<String>,
    port: Option<u16>,
}

struct Resolver<'a> {
    config: &'a Config,
    settings: &'a SshSettings,
}

impl Resolver<'_> {
    fn hop(&self, wanted: &Wanted) -> Result<(Hop, HostConfig), ProbeError> {
        let settings = self.settings;
        if wanted.host.is_empty() {
            return Err(trouble::failed("the node has no host to connect to"));
        }
        let asked = Asked {
            host: &wanted.host,
            user: wanted.user.as_deref(),
            port: wanted.port,
            local_user: &settings.user,
            home: settings.home.as_deref(),
        };
        let found = self.config.host(&asked).map_err(|error| mistake(&error))?;
        let host = found.hostname.clone().unwrap_or_else(|| wanted.host.clone());
        let port = found.port.unwrap_or(DEFAULT_PORT);
        let hop = Hop {
            written: wanted.host.clone(),
            user: found.user.clone().unwrap_or_else(|| settings.user.clone()),
            keys: key_rules(&found, settings),
            trust: trust_rules(&found, settings, &host, port),
            host,
            port,
        };
        Ok((hop, found))
    }

    /// The jumps before `hop`, first the first.
    fn jumps(
        &self,
        list: Option<&str>,
        found: &HostConfig,
        hop: &Hop,
        into: &mut Vec<Hop>,
        depth: usize,
    ) -> Result<(), ProbeError> {
        let Some(list) = list else {
            return match &found.proxy_command {
                Some(position) => Err(trouble::advise(
                    trouble::failed(format!(
                        "{position} sets a ProxyCommand for {}, which is not executed",
                        hop.written
                    )),
                    "use ProxyJump instead, for this host or in the node's definition",
                )),
                None => Ok(()),
            };
        };
        if list.trim().eq_ignore_ascii_case("none") {
            return Ok(());
        }
        for (index, written) in list.split(',').enumerate() {
            let wanted = parse_jump(written.trim()).ok_or_else(|| {
                trouble::failed(format!(
                    "{written:?} is no host to jump over (ProxyJump of {})",
                    hop.written
                ))
            })?;
            let (jump, jump_found) = self.hop(&wanted)?;
            // The first of a list is reached as its own config says, the others over it.
            if index == 0 {
                if depth >= MAX_JUMPS {
                    return Err(circle(&hop.written));
                }
                let inner = jump_found.proxy_jump.as_deref();
                self.jumps(inner, &jump_found, &jump, into, depth + 1)?;
            }
            into.push(jump);
            if into.len() > MAX_JUMPS {
                return Err(circle(&hop.written));
            }
        }
        Ok(())
    }
}

fn circle(host: &str) -> ProbeError {
    trouble::failed(format!(
        "more than {MAX_JUMPS} hosts to jump over on the way to {host}: does ProxyJump go in a circle?"
    ))
}

fn mistake(error: &ConfigError) -> ProbeError {
    trouble::failed(format!("the SSH config has a mistake: {error}"))
}

/// `[user@]host[:port]`, with `ssh://` before it or not; addresses of IPv6 in brackets.
fn parse_jump(text: &str) -> Option<Wanted> {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, place) = match text.rsplit_once('@') {
        Some(("", _)) => return None,
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match place.split_once(':') {
            // More than one: an address of IPv6 without brackets.
            Some((_, rest)) if rest.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|&port| port > 0)?),
        None => None,
    };
    let host = Some(host).filter(|host| !host.is_empty())?.to_owned();
    Some(Wanted { host, user: user.map(str::to_owned), port })
}

fn key_rules(found: &HostConfig, settings: &SshSettings) -> KeyRules {
    let named = !found.identity_files.is_empty();
    let files = match (named || found.no_identity_files, &settings.home) {
        (false, Some(home)) => DEFAULT_KEYS.map(|name| home.join(".ssh").join(name)).to_vec(),
        _ => found.identity_files.clone(),
    };
    let agent = match found.identity_agent.as_deref() {
        None | Some("SSH_AUTH_SOCK") => settings.agent_socket.clone(),
        Some(agent) if agent.eq_ignore_ascii_case("none") => None,
        Some(agent) => match agent.strip_prefix('$') {
            Some(name) => std::env::var_os(name).map(PathBuf::from),
            None => Some(PathBuf::from(agent)),
        },
    };
    KeyRules { files, named, only: found.identities_only.unwrap_or(false), agent }
}

fn trust_rules(found: &HostConfig, settings: &SshSettings, host: &str, port: u16) -> TrustRules {
    let mut files = found.user_known_hosts.clone().unwrap_or_default();
    let own = files.first().cloned();
    files.extend(found.global_known_hosts.clone().unwrap_or_default());
    for file in &settings.known_hosts {
        if !files.contains(file) {
            files.push(file.clone());
        }
    }
    let (name, name_without_port) = match (&found.host_key_alias, port) {
        (Some(alias), _) => (alias.clone(), None),
        (None, DEFAULT_PORT) => (host.to_ascii_lowercase(), None),
        (None, port) => {
            let host = host.to_ascii_lowercase();
            (format!("[{host}]:{port}"), Some(host))
        }
    };
    let strict = found.strict == Some(Strict::Yes);
    TrustRules {
        name,
        name_without_port,
        writable: own.or_else(|| settings.known_hosts.first().cloned()),
        files,
        accept_new: !strict && (settings.accept_new || found.strict == Some(Strict::AcceptNew)),
        strict,
        hash: found.hash_known_hosts.unwrap_or(false),
    }
}

fn under_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (None, Some(home)) => home.join(path),
        (_, None) => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests;
