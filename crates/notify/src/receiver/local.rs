//! Receivers on this machine, and the log of another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::ReceiverMistake;

fn absolute(path: &Path) -> Result<PathBuf, ReceiverMistake> {
    if path.is_absolute() {
        Ok(path.to_owned())
    } else {
        Err(ReceiverMistake::Relative(path.display().to_string()))
    }
}

/// A program that gets a notice as JSON on its stdin. Started as it is, without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Exec {
    program: PathBuf,
    args: Vec<String>,
}

impl Exec {
    /// The most arguments.
    pub const MAX_ARGS: usize = 64;

    /// A program and its arguments.
    ///
    /// # Errors
    /// If the program's path is not absolute, or there are too many arguments.
    pub fn new(program: &Path, args: Vec<String>) -> Result<Self, ReceiverMistake> {
        if args.len() > Self::MAX_ARGS {
            return Err(ReceiverMistake::TooManyArgs);
        }
        Ok(Self { program: absolute(program)?, args })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its arguments.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.args
    }
}

/// A file that gets a line of JSON for each notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    path: PathBuf,
}

impl File {
    /// A file; it need not be there yet.
    ///
    /// # Errors
    /// If the path is not absolute.
    pub fn new(path: &Path) -> Result<Self, ReceiverMistake> {
        Ok(Self { path: absolute(path)? })
    }

    /// Which.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Syslog {
    facility: u8,
    target: SyslogTarget,
}

/// Whose log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyslogTarget {
    /// This machine's, through its socket, mostly `/dev/log`.
    Local(PathBuf),
    /// Another's, by RFC 5424 over UDP (RFC 5426).
    Udp {
        /// `HOST:PORT`.
        address: Arc<str>,
        /// Whether it may lead to this machine.
        allow_local: bool,
    },
}

impl Syslog {
    /// `daemon`.
    pub const DAEMON: u8 = 3;

    /// A log, and the facility to write as (RFC 5424, section 6.2.1).
    ///
    /// # Errors
    /// If there is no such facility, or the target cannot be meant.
    pub fn new(facility: u8, target: SyslogTarget) -> Result<Self, ReceiverMistake> {
        if facility > 23 {
            return Err(ReceiverMistake::Facility(facility));
        }
        match &target {
            SyslogTarget::Local(path) => drop(absolute(path)?),
            SyslogTarget::Udp { address, allow_local } => check_host_port(address, *allow_local)?,
        }
        Ok(Self { facility, target })
    }

    /// The facility's number.
    #[must_use]
    pub fn facility(&self) -> u8 {
        self.facility
    }

    /// Whose log.
    #[must_use]
    pub fn target(&self) -> &SyslogTarget {
        &self.target
    }
}

pub(super) fn check_host_port(text: &str, allow_local: bool) -> Result<(), ReceiverMistake> {
    let bad = || ReceiverMistake::HostPort(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(bad());
    }
    match host.trim_matches(['[', ']']).parse() {
        Ok(address) if !allow_local => Ok(crate::address::check(address)?),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(Exec::new(Path::new("/bin/true"), vec![]).is_ok());
        assert!(Exec::new(Path::new("true"), vec![]).is_err());
        assert!(Exec::new(Path::new("/bin/true"), vec![String::new(); 65]).is_err());
        assert!(File::new(Path::new("notices.jsonl")).is_err());
        let udp = |address: &str| {
            let target = SyslogTarget::Udp { address: address.into(), allow_local: false };
            Syslog::new(Syslog::DAEMON, target).map(drop)
        };
        for good in ["log.example.org:514", "10.0.0.1:514", "[2001:db8::1]:514"] {
            assert_eq!(udp(good), Ok(()), "{good}");
        }
        for bad in ["log.example.org", ":514", "log:0", "log:x", "127.0.0.1:514", "[::1]:514"] {
            assert!(udp(bad).is_err(), "{bad}");
        }
        let local = SyslogTarget::Local("/dev/log".into());
        assert!(Syslog::new(24, local).is_err());
    }
}
