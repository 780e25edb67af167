//! A server that records what it is asked and answers as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What it does with one connection.
#[derive(Clone)]
pub(crate) enum Act {
    /// Answers.
    Say(String),
    /// Says nothing, and holds the connection until the other side goes.
    Hang,
    /// Ends the connection in the middle of its answer's head.
    BreakOff,
    /// Speaks first, and not TLS.
    Interrupt,
    /// Sends an answer of 100 MB.
    Flood,
}

/// One request.
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Receiver<Asked>,
    thread: JoinHandle<usize>,
}

/// An answer without a body.
pub(crate) fn status(line: &str) -> Act {
    Act::Say(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
}

/// An answer with a body.
pub(crate) fn says(line: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {line}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

impl Server {
    /// Takes one connection for each act, in this order.
    pub(crate) fn start(acts: Vec<Act>) -> Self {
        Self::with(acts, None)
    }

    pub(crate) fn with(acts: Vec<Act>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let (sender, asked) = sync_channel(64);
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            for act in acts {
                let (stream, _) = listener.accept().expect("accept");
                sent = match &tls {
                    None => serve(stream, &act, &sender),
                    Some(config) => {
                        let config = Arc::clone(config);
                        let session = rustls::ServerConnection::new(config).expect("session");
                        serve(rustls::StreamOwned::new(session, stream), &act, &sender)
                    }
                };
            }
            sent
        });
        Self { address, asked, thread }
    }

    /// What it was asked, once it is through with its acts, and how many bytes it could send of its last
    /// answer. The runtime goes on meanwhile: it is what closes connections.
    pub(crate) async fn end(self) -> (Vec<Asked>, usize) {
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        let sent = joined.expect("joined").expect("server");
        (self.asked.try_iter().collect(), sent)
    }
}

fn serve(mut stream: impl Read + Write, act: &Act, asked: &SyncSender<Asked>) -> usize {
    if matches!(act, Act::Interrupt) {
        let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
        return stream.read(&mut [0; 4096]).unwrap_or(0);
    }
    let Some(request) = read(&mut stream) else { return 0 };
    asked.send(request).expect("test waits");
    match act {
        Act::Say(answer) => {
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
            answer.len()
        }
        Act::Hang => stream.read(&mut [0]).unwrap_or(0),
        Act::BreakOff | Act::Interrupt => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
            0
        }
        Act::Flood => flood(&mut stream),
    }
}

fn flood(stream: &mut impl Write) -> usize {
    let whole = 100_000_000;
    let _ = write!(stream, "HTTP/1.1 500 Oops\r\ncontent-length: {whole}\r\n\r\n");
    let chunk = [b'x'; 10_000];
    let mut sent = 0;
    while sent < whole && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    sent
}

/// A request; none if the other side went first.
fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let asked = Asked { head: head.to_owned(), body: body.to_owned() };
        let length: usize =
            asked.header("content-length").map_or(0, |it| it.parse().expect("length"));
        if body.len() >= length {
            return Some(asked);
        }
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("address")
}

/// Only so that a listener that was never asked can be left.
pub(crate) fn knock(address: SocketAddr) {
    drop(TcpStream::connect(address));
}
