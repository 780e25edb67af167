//! Programs, files and logs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::PoisonError;

use sickbay_alert::Notice;
use sickbay_runtime::{CallError, ChildCommand, ChildLimits, OneShot, ProgramOutput};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UdpSocket, UnixDatagram};
use tokio::time::timeout;

use super::{MAX_ANSWER, Outcome, Sender, TIMEOUT};
use crate::address::{Forbidden, allowed};
use crate::payload::{self, words::line};
use crate::receiver::{Exec, File, Syslog, SyslogTarget};

impl Sender {
    /// Runs a program with the notice on its stdin.
    pub(super) async fn run(&self, exec: &Exec, notice: &Notice) -> Outcome {
        let input = payload::webhook::part(&self.origin, notice).body;
        let mut program = self.take_stuck(exec).unwrap_or_else(|| one_shot(exec));
        let ended = program.run_with(input.as_bytes(), TIMEOUT).await;
        if program.stuck_pid().is_some() {
            self.keep_stuck(exec, program);
        }
        judge(ended)
    }

    fn take_stuck(&self, exec: &Exec) -> Option<OneShot> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).remove(exec)
    }

    fn keep_stuck(&self, exec: &Exec, program: OneShot) {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(exec.clone(), program);
    }

    /// Appends the notice to a file.
    pub(super) async fn append(&self, file: &File, notice: &Notice) -> Outcome {
        let line = payload::webhook::part(&self.origin, notice).body + "\n";
        match timeout(TIMEOUT, append(file.path(), line.as_bytes())).await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(error)) => {
                Outcome::retry(format!("cannot write to {}: {error}", file.path().display()))
            }
            Err(_) => Outcome::retry(format!("writing to {} hangs", file.path().display())),
        }
    }

    /// Writes the notice to a log, a line an alert.
    pub(super) async fn log(&self, syslog: &Syslog, notice: &Notice) -> Outcome {
        let facility = syslog.facility();
        let sent = async {
            match syslog.target() {
                SyslogTarget::Local(path) => {
                    let lines = payload::syslog::local_lines(notice, facility);
                    log_here(path, &lines).await.map_err(LogError::Io)
                }
                SyslogTarget::Udp { address, allow_local } => {
                    let lines = payload::syslog::lines(&self.origin, notice, facility);
                    log_there(address, *allow_local, &lines).await
                }
            }
        };
        match timeout(TIMEOUT, sent).await {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(LogError::Io(error))) => Outcome::retry(format!("cannot write to it: {error}")),
            Ok(Err(LogError::Forbidden(forbidden))) => Outcome::refused(forbidden.to_string()),
            Err(_) => Outcome::retry(format!("it takes nothing for {} s", TIMEOUT.as_secs())),
        }
    }
}

fn one_shot(exec: &Exec) -> OneShot {
    let (program, args) = (exec.program().to_owned(), exec.args().to_vec());
    let limits = ChildLimits { max_line_bytes: MAX_ANSWER, ..ChildLimits::default() };
    OneShot::new(ChildCommand { program, args, env: Vec::new() }, limits)
}

fn judge(ended: Result<ProgramOutput, CallError>) -> Outcome {
    match ended {
        Ok(output) if output.status.success() => Outcome::Done,
        Ok(output) => {
            let said: String = line(&output.stderr_tail).chars().take(200).collect();
            let said = if said.is_empty() { said } else { format!("; it said: {said}") };
            Outcome::retry(format!("it ended with {}{said}", output.status))
        }
        Err(error) => Outcome::retry(error.to_string()),
    }
}

/// Does not wait for the disk: a line that a crash of the machine takes away is no alert that was missed.
async fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    // The opening of a pipe would wait for its reader.
    if tokio::fs::metadata(path).await.is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is not a file"));
    }
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o640).open(path).await?;
    file.write_all(line).await?;
    file.flush().await
}

enum LogError {
    Io(io::Error),
    Forbidden(Forbidden),
}

async fn log_here(path: &Path, lines: &[String]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    for line in lines {
        socket.send_to(line.as_bytes(), path).await?;
    }
    Ok(())
}

async fn log_there(address: &str, allow_local: bool, lines: &[String]) -> Result<(), LogError> {
    let found = tokio::net::lookup_host(address).await.map_err(LogError::Io)?;
    let mut all: Vec<SocketAddr> = found.collect();
    if !allow_local {
        all = allowed(all).map_err(LogError::Forbidden)?;
    }
    let none = || LogError::Io(io::Error::other("its name has no address"));
    let to = *all.first().ok_or_else(none)?;
    send_datagrams(to, lines).await.map_err(LogError::Io)
}

async fn send_datagrams(to: SocketAddr, lines: &[String]) -> io::Result<()> {
    let socket = match to {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
    };
    for line in lines {
        socket.send_to(line.as_bytes(), to).await?;
    }
    Ok(())
}
