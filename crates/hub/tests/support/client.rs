//! A small HTTP client that can also misbehave.

#![allow(dead_code, reason = "each suite uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use sickbay_wire::problem::Problem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Parses a whole answer as it came over the wire.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = find(bytes, b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no HTTP answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).expect("a text head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let body = &bytes[end + 4..];
        let body = if chunked { unchunk(body) } else { body.to_vec() };
        Self { status: status.parse().expect("a status"), headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The problem details; panics if this is no well-formed problem of this status.
    pub(crate) fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Problem = serde_json::from_slice(&self.body).expect("a problem");
        assert_eq!(problem.status, self.status);
        assert!(problem.kind.starts_with("urn:sickbay:problem:"), "{problem:?}");
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        problem
    }
}

/// GET.
pub(crate) async fn get(addr: SocketAddr, target: &str) -> Reply {
    ask(addr, "GET", target, &[], b"").await
}

/// GET with headers.
pub(crate) async fn get_with(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Reply {
    ask(addr, "GET", target, headers, b"").await
}

/// Any request, on a connection of its own.
pub(crate) async fn ask(
    addr: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let stream = TcpStream::connect(addr).await.expect("a connection");
    ask_over(stream, &addr.to_string(), method, target, headers, body).await
}

/// Any request over any stream.
pub(crate) async fn ask_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {host}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    Reply::parse(&exchange_over(stream, &bytes).await)
}

/// Sends raw bytes on a connection of its own; everything that came back until the end.
pub(crate) async fn exchange(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    exchange_over(TcpStream::connect(addr).await.expect("a connection"), bytes).await
}

async fn exchange_over<S: AsyncRead + AsyncWrite + Unpin>(stream: S, bytes: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut answer = Vec::new();
    let talk = async {
        // A server that has heard enough closes: a failed write is no failed test.
        let write = async {
            let _ = writer.write_all(bytes).await;
            let _ = writer.flush().await;
        };
        let read = async {
            let mut buffer = vec![0_u8; 16 * 1024];
            while let Ok(read) = reader.read(&mut buffer).await {
                if read == 0 {
                    break;
                }
                answer.extend_from_slice(&buffer[..read]);
            }
        };
        tokio::join!(write, read);
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("the server ends the connection");
    answer
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// A live stream: messages as they come.
pub(crate) struct Live {
    stream: TcpStream,
    bytes: Vec<u8>,
    /// The decoded text that was not consumed yet.
    text: String,
}

/// One message of a live stream.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: serde_json::Value,
}

impl Live {
    /// Opens the stream; panics unless it is one.
    pub(crate) async fn open(addr: SocketAddr, headers: &[(&str, &str)]) -> Self {
        Self::open_at(addr, "/api/v1/stream", headers).await
    }

    /// [`Self::open`] with a query.
    pub(crate) async fn open_at(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(addr).await.expect("a connection");
        let mut request = format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut live = Self { stream, bytes: Vec::new(), text: String::new() };
        let end = loop {
            if let Some(end) = find(&live.bytes, b"\r\n\r\n") {
                break end;
            }
            assert!(live.receive().await, "the stream begins");
        };
        let head = String::from_utf8(live.bytes.drain(..end + 4).collect()).expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        live
    }

    async fn receive(&mut self) -> bool {
        let mut buffer = vec![0_u8; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer))
            .await
            .expect("a message in time")
            .unwrap_or(0);
        self.bytes.extend_from_slice(&buffer[..read]);
        read > 0
    }

    fn decode(&mut self) {
        while let Some(end) = find(&self.bytes, b"\r\n") {
            let size = std::str::from_utf8(&self.bytes[..end]).expect("a chunk's size");
            let size = usize::from_str_radix(size, 16).expect("a chunk's size");
            if self.bytes.len() < end + 2 + size + 2 {
                return;
            }
            let chunk = self.bytes[end + 2..end + 2 + size].to_vec();
            self.text.push_str(&String::from_utf8(chunk).expect("UTF-8"));
            self.bytes.drain(..end + 2 + size + 2);
        }
    }

    /// The next message, comments left out; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            self.decode();
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(message) = parse_message(&block) {
                    return Some(message);
                }
            }
            if !self.receive().await {
                return None;
            }
        }
    }

    /// The next message that is not the hub's status.
    pub(crate) async fn news(&mut self) -> Message {
        loop {
            let message = self.next().await.expect("the stream goes on");
            if message.event != "hub" {
                return message;
            }
        }
    }
}

fn parse_message(block: &str) -> Option<Message> {
    let field = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    Some(Message {
        data: serde_json::from_str(field("data")?).expect("JSON data"),
        event: field("event").expect("a named message").to_owned(),
        id: field("id").map(|id| id.parse().expect("a numeric id")),
    })
}
