//! What the SSH client needs to know.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sickbay_collect::remote::RemoteSettings;

/// Settings that all nodes share.
#[derive(Clone, Debug, PartialEq)]
pub struct SshSettings {
    /// Config files of OpenSSH, in order; the first value found holds. Default `~/.ssh/config`,
    /// `/etc/ssh/ssh_config`.
    pub config_files: Vec<PathBuf>,
    /// Known hosts, in order. An accepted new key is written to the first. Default
    /// `~/.ssh/known_hosts`, `/etc/ssh/ssh_known_hosts`. `UserKnownHostsFile` of the config comes
    /// before these.
    pub known_hosts: Vec<PathBuf>,
    /// The agent's socket; `None` for no agent. Default `$SSH_AUTH_SOCK`, given by the binary.
    pub agent_socket: Option<PathBuf>,
    /// The user's home, for `~` and default keys.
    pub home: Option<PathBuf>,
    /// The local user's name, for hosts without `User`.
    pub user: String,
    /// Whether the key of a host that was never seen is accepted and written down. A changed key
    /// never is.
    pub accept_new: bool,
    /// How long a session may take to open. Default 5 s (the health model's timeout).
    pub connect_timeout: Duration,
    /// How often an idle session is kept alive. Default 30 s.
    pub keepalive_interval: Duration,
    /// How many sessions are opened at once: key exchange is CPU work. Default 64.
    pub opening_at_once: usize,
    /// What is asked of the nodes.
    pub remote: Arc<RemoteSettings>,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self {
            config_files: Vec::new(),
            known_hosts: Vec::new(),
            agent_socket: None,
            home: None,
            user: String::new(),
            accept_new: false,
            connect_timeout: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(30),
            opening_at_once: 64,
            remote: Arc::default(),
        }
    }
}
