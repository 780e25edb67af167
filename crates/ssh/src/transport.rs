//! What a session runs over: a TCP connection, or a channel of the session that is jumped over.
//!
//! **Must hold**: the identification of the other side (RFC 4253, 4.2) is read before any
//! cryptography, bounded in time and size; a [`Transport`] fails as soon as its [`Owner`] is
//! dropped, so that no task of the protocol library outlives the session that it belongs to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::ChannelStream;
use russh::client::Msg;
use sickbay_model::ProbeError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::trouble;

/// The longest identification line, in bytes (RFC 4253: 255).
const MAX_IDENTIFICATION_BYTES: usize = 255;
/// How much may come before the identification line, in bytes. Some servers greet.
const MAX_GREETING_BYTES: usize = 4 << 10;
/// How many lines may come before it, which is what the protocol library takes.
const MAX_GREETING_LINES: usize = 20;
/// How much is read at once when the protocol asks for less.
const READ_AHEAD_BYTES: usize = 4 << 10;

/// The connection underneath.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Jump(Box<ChannelStream<Msg>>),
}

/// A connection with what was read of it in advance.
pub(crate) struct Transport {
    wire: Wire,
    ahead: Vec<u8>,
    /// How much of `ahead` was handed on.
    taken: usize,
    owner: oneshot::Receiver<()>,
    disowned: bool,
}

/// Keeps a transport alive.
pub(crate) struct Owner {
    _alive: oneshot::Sender<()>,
}

/// Why the other side did not say who it is.
pub(crate) enum Unidentified {
    /// It closed the connection, which a busy server does: worth another try.
    Closed(ProbeError),
    /// It is no SSH server, or a silent one.
    Other(ProbeError),
}

impl Transport {
    /// Waits for the other side's identification.
    pub(crate) async fn identify(
        mut wire: Wire,
        place: &str,
        limit: Duration,
    ) -> Result<(Self, Owner), Unidentified> {
        let mut ahead = Vec::new();
        match tokio::time::timeout(limit, read_identification(&mut wire, &mut ahead)).await {
            Ok(Ok(Identified::Yes)) => {}
            Ok(Ok(Identified::No(why))) => {
                let said = quoted(&ahead);
                return Err(Unidentified::Other(trouble::advise(
                    trouble::unreachable(format!("{place} is no SSH server: {why}{said}")),
                    "check the host and the port",
                )));
            }
            Ok(Ok(Identified::Closed)) => {
                return Err(Unidentified::Closed(trouble::advise(
                    trouble::unreachable(format!(
                        "{place} closed the connection at once{}",
                        quoted(&ahead)
                    )),
                    "sshd may be busy (MaxStartups), or does not let this machine in",
                )));
            }
            Ok(Err(error)) => {
                let message = format!("{place} ended the connection: {error}{}", quoted(&ahead));
                return Err(Unidentified::Closed(trouble::unreachable(message)));
            }
            Err(_) => {
                return Err(Unidentified::Other(trouble::unreachable(format!(
                    "{place} takes the connection and then says nothing of SSH for {}{}",
                    trouble::spoken(limit),
                    quoted(&ahead)
                ))));
            }
        }
        let (alive, owner) = oneshot::channel();
        let transport = Self { wire, ahead, taken: 0, owner, disowned: false };
        Ok((transport, Owner { _alive: alive }))
    }

    fn is_disowned(&mut self, context: &mut Context<'_>) -> bool {
        self.disowned = self.disowned || Pin::new(&mut self.owner).poll(context).is_ready();
        self.disowned
    }
}

enum Identified {
    Yes,
    No(&'static str),
    Closed,
}

async fn read_identification(wire: &mut Wire, ahead: &mut Vec<u8>) -> io::Result<Identified> {
    let mut buffer = [0; 1024];
    let (mut line_start, mut lines) = (0, 0);
    loop {
        let read = wire.read(&mut buffer).await?;
        let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else {
            return Ok(Identified::Closed);
        };
        ahead.extend_from_slice(read);
        while let Some(line) = ahead.get(line_start..) {
            let Some(end) = line.iter().position(|&byte| byte == b'\n') else { break };
            if end > MAX_IDENTIFICATION_BYTES {
                return Ok(Identified::No("its first line is too long"));
            }
            let line = line.get(..end).unwrap_or_default();
            if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
                return Ok(Identified::Yes);
            }
            if line.starts_with(b"SSH-") {
                return Ok(Identified::No("it speaks another version of the protocol"));
            }
            lines += 1;
            line_start += end + 1;
        }
        if lines > MAX_GREETING_LINES || ahead.len() > MAX_GREETING_BYTES {
            return Ok(Identified::No("it talks without saying which protocol"));
        }
        if ahead.len() - line_start > MAX_IDENTIFICATION_BYTES {
            return Ok(Identified::No("its first line is too long"));
        }
    }
}

fn quoted(ahead: &[u8]) -> String {
    let said = trouble::printable(ahead);
    if said.is_empty() { String::new() } else { format!("; it said {said:?}") }
}

fn disowned() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the session was given up")
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_disowned(context) {
            return Poll::Ready(Err(disowned()));
        }
        if this.taken >= this.ahead.len() {
            if into.remaining() >= READ_AHEAD_BYTES {
                return Pin::new(&mut this.wire).poll_read(context, into);
            }
            // Packets are read in two small steps; the system is asked once.
            let mut buffer = [0; READ_AHEAD_BYTES];
            let mut read = ReadBuf::new(&mut buffer);
            std::task::ready!(Pin::new(&mut this.wire).poll_read(context, &mut read))?;
            let (now, later) = read.filled().split_at(read.filled().len().min(into.remaining()));
            into.put_slice(now);
            // An idle connection keeps no buffer.
            this.ahead = later.to_vec();
            this.taken = 0;
            return Poll::Ready(Ok(()));
        }
        let rest = this.ahead.get(this.taken..).unwrap_or_default();
        let now = rest.get(..rest.len().min(into.remaining())).unwrap_or_default();
        into.put_slice(now);
        this.taken += now.len();
        if this.taken >= this.ahead.len() {
            (this.ahead, this.taken) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_disowned(context) {
            return Poll::Ready(Err(disowned()));
        }
        Pin::new(&mut this.wire).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_disowned(context) {
            return Poll::Ready(Err(disowned()));
        }
        Pin::new(&mut this.wire).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_disowned(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.wire).poll_shutdown(context)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Self::Jump(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Jump(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Jump(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Jump(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
