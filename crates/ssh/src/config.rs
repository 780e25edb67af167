//! The client config of OpenSSH (ssh_config(5)), as far as it says where and as whom to connect.
//!
//! **For**: [`Config::parse`] reads files once; [`Config::host`] says what holds for one host.
//! **Must hold**: the first value found holds; nothing is executed (`Match exec` and
//! `ProxyCommand` are not, and that is said); a mistake is told with file and line, and one that
//! concerns some hosts only does not blind the others; size, depth and number of files are bounded.
//! **Does not**: touch the filesystem (it is given a [`ConfigFiles`]), resolve names, know keywords
//! that do not concern us (they are ignored, as `IgnoreUnknown *` would).

mod evaluate;
mod lex;
mod parse;
pub(crate) mod pattern;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use evaluate::Asked;

/// The longest config file, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;
/// How many files are read at most, those that are included among them.
const MAX_FILES: usize = 256;
/// How deep files include each other, as in OpenSSH.
const MAX_DEPTH: usize = 16;

/// How files are looked at, so that the parser itself is pure.
pub(crate) struct ConfigFiles<'a> {
    /// A file's content; `None` if there is no such file.
    pub(crate) read: &'a dyn Fn(&Path) -> std::io::Result<Option<Vec<u8>>>,
    /// The names in a directory; empty if there is none.
    pub(crate) list: &'a dyn Fn(&Path) -> Vec<OsString>,
    /// The user's home.
    pub(crate) home: Option<&'a Path>,
}

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) file: std::sync::Arc<Path>,
    pub(crate) line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why a config cannot be used, in one sentence with file and line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

impl ConfigError {
    fn at(position: &Position, what: impl fmt::Display) -> Self {
        Self(format!("{position}: {what}"))
    }
}

/// All config files, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    statements: Vec<Statement>,
    /// What was skipped though it may matter, each told once.
    pub(crate) notices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Statement {
    /// What follows is for these hosts.
    Host(Vec<String>),
    /// What follows is for what meets all of these.
    Match(Vec<Criterion>),
    /// A file's content; blocks within it end with it.
    Included(Vec<Statement>),
    /// A setting.
    Set(Keyword, Vec<String>, Position),
    /// A mistake, which matters to the hosts that it is for.
    Mistake(ConfigError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Criterion {
    All,
    /// Never executed, or not ours to know: the block is skipped.
    Skipped,
    On {
        subject: Subject,
        patterns: String,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Host,
    OriginalHost,
    User,
    LocalUser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyword {
    HostName,
    User,
    Port,
    IdentityFile,
    IdentitiesOnly,
    IdentityAgent,
    ProxyJump,
    ProxyCommand,
    UserKnownHostsFile,
    GlobalKnownHostsFile,
    HostKeyAlias,
    StrictHostKeyChecking,
    HashKnownHosts,
}

/// What is done about a host key that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strict {
    /// Refused.
    Yes,
    /// Refused, as nobody can be asked, unless the settings accept new keys.
    Ask,
    /// Written down and accepted.
    AcceptNew,
}

/// What the config says of one host; what it does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostConfig {
    pub(crate) hostname: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) identity_files: Vec<PathBuf>,
    /// `IdentityFile none` was said: not even the default ones are tried.
    pub(crate) no_identity_files: bool,
    pub(crate) identities_only: Option<bool>,
    pub(crate) identity_agent: Option<String>,
    pub(crate) proxy_jump: Option<String>,
    /// Where a `ProxyCommand` stands, which is not executed.
    pub(crate) proxy_command: Option<Position>,
    pub(crate) user_known_hosts: Option<Vec<PathBuf>>,
    pub(crate) global_known_hosts: Option<Vec<PathBuf>>,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) strict: Option<Strict>,
    pub(crate) hash_known_hosts: Option<bool>,
}

/// Any bytes as a config that includes itself: what holds whatever they are.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    let read = |path: &Path| Ok(path.ends_with("config").then(|| bytes.to_vec()));
    let list = |_: &Path| vec![OsString::from("config")];
    let home = Path::new("/home/me");
    let files = ConfigFiles { read: &read, list: &list, home: Some(home) };
    let Ok(config) = Config::parse(&[home.join(".ssh/config")], &files) else { return };
    let mut hosts = config.named_hosts();
    assert!(hosts.iter().all(|host| !host.contains(['*', '?'])), "{hosts:?}");
    hosts.truncate(16);
    hosts.push("host".to_owned());
    for host in &hosts {
        let asked = Asked { host, user: None, port: None, local_user: "me", home: Some(home) };
        if let Ok(found) = config.host(&asked) {
            assert!(found.port != Some(0), "{found:?}");
            assert_eq!(config.host(&asked).as_ref(), Ok(&found));
        }
    }
}
