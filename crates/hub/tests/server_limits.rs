//! The server against clients that misbehave, and its end. Real sockets on loopback.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what does not hold fails the test"
)]

#[path = "support/client.rs"]
mod client;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/hub.rs"]
mod hub;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::get as route;
use client::{Live, PATIENCE, Reply, ask, ask_over, exchange, get};
use hub::wide;
use sickbay_hub::{Limits, ListenSettings, TlsSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

fn listen(limits: Limits) -> ListenSettings {
    ListenSettings { limits, ..ListenSettings::default() }
}

#[tokio::test]
async fn ten_megabytes_are_refused_however_they_come() {
    let hub = hub::start().await;
    let body = vec![b'x'; 10 * 1024 * 1024];
    let json = [("Content-Type", "application/json")];
    let declared = ask(hub.addr, "POST", "/api/v1/session", &json, &body).await;
    assert_eq!(declared.status, 413);
    assert!(declared.problem().detail.contains("1048576"));

    let mut chunked = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        hub.addr,
        body.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let reply = Reply::parse(&exchange(hub.addr, &chunked).await);
    assert_eq!(reply.status, 413);
    reply.problem();
    assert_eq!(get(hub.addr, "/livez").await.status, 200, "the hub goes on");
}

#[tokio::test]
async fn addresses_and_headers_have_an_end() {
    let hub = hub::start().await;
    let long = "a".repeat(100 * 1024);
    let many = "X-Many: 1\r\n".repeat(200);
    for (request, expected) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr), [414, 431]),
        (format!("GET /status?{long} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr), [414, 431]),
        (format!("GET /livez HTTP/1.1\r\nHost: {}\r\nX: {long}\r\n\r\n", hub.addr), [431, 431]),
        (format!("GET /livez HTTP/1.1\r\nHost: {}\r\n{many}\r\n", hub.addr), [431, 431]),
    ] {
        let reply = Reply::parse(&exchange(hub.addr, request.as_bytes()).await);
        assert!(expected.contains(&reply.status), "{}: {}", &request[..20], reply.status);
    }
    let long_but_fine = "a".repeat(8 * 1024);
    let reply = get(hub.addr, &format!("/{long_but_fine}")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.problem().detail.len() < 500, "what came is not repeated whole");
}

#[tokio::test]
async fn noise_is_answered_or_closed_and_harms_nobody() {
    let hub = hub::start().await;
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let raw: Vec<u8> = (0..=255).cycle().take(4096).collect();
    for (name, noise) in [
        ("HTTP/0.9", &b"GET /\r\n\r\n"[..]),
        ("no method", b" / HTTP/1.1\r\n\r\n"),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
        ("TLS", tls_hello),
        ("HTTP/2", http2),
        ("every byte", &raw),
        ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        ("odd length", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        ("NUL in a header", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
        ("line feed in a target", b"GET /a\nb HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (
            "smuggling",
            b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\
            Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /status HTTP/1.1\r\n\r\n",
        ),
    ] {
        let mut stream = TcpStream::connect(hub.addr).await.expect("a connection");
        stream.write_all(noise).await.expect("sent");
        stream.shutdown().await.expect("no more to say");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "{name}: the connection is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.0 4"),
            "{name}: {answer}"
        );
    }
    for target in ["/%", "/%zz", "/%00", "/api/v1/resources/%ff/%fe", "/api/v1/history?%=%&&&==%"] {
        let status = get(hub.addr, target).await.status;
        assert!((400..500).contains(&status), "{target}: {status}");
    }
    assert_eq!(get(hub.addr, "/livez").await.status, 200, "the hub goes on");
}

#[tokio::test]
async fn a_header_that_never_ends_is_given_up() {
    let header_time = Duration::from_millis(300);
    let hub = hub::start_with(listen(Limits { header_time, ..wide() })).await;
    let mut stream = TcpStream::connect(hub.addr).await.expect("a connection");
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.expect("sent");
    let before = Instant::now();
    let drip = async {
        let (mut reader, mut writer) = stream.split();
        let dripping = async {
            loop {
                if writer.write_all(b"X-Slow: 1\r\n").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = dripping => {}
            _ = reader.read_to_end(&mut answer) => {}
        }
    };
    tokio::time::timeout(PATIENCE, drip).await.expect("the server closes");
    assert!(before.elapsed() < header_time * 10, "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let request_time = Duration::from_millis(300);
    let hub = hub::start_with(listen(Limits { request_time, ..wide() })).await;
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        hub.addr
    );
    let mut stream = TcpStream::connect(hub.addr).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await;
    let read = read.expect("an answer in time").expect("an answer");
    let reply = Reply::parse(&answer[..read]);
    assert_eq!(reply.status, 503);
    assert!(reply.problem().detail.contains("0.3 s"));
}

/// Two thousand, or as many as this process may open files, with some to spare.
fn idle_connections() -> usize {
    const WANTED: usize = 2_000;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open_files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next())
        .and_then(|soft| soft.parse().ok())
        .unwrap_or(1_024_usize);
    WANTED.min(open_files.saturating_sub(400))
}

#[tokio::test]
async fn thousands_of_idle_connections_do_not_lock_others_out() {
    let limits = Limits { connections: 64, header_time: Duration::from_millis(500), ..wide() };
    let hub = hub::start_with(listen(limits)).await;
    // Beyond the limit they wait in the kernel; a full queue there refuses, which is fine too.
    let mut connecting = tokio::task::JoinSet::new();
    for _ in 0..idle_connections() {
        let connect = TcpStream::connect(hub.addr);
        connecting.spawn(tokio::time::timeout(Duration::from_millis(300), connect));
    }
    let tried = connecting.join_all().await;
    let idle: Vec<TcpStream> = tried.into_iter().flatten().flatten().collect();
    assert!(idle.len() >= 64, "{}", idle.len());
    let reply = tokio::time::timeout(PATIENCE, get(hub.addr, "/metrics")).await;
    let metrics = reply.expect("a turn comes");
    assert_eq!(metrics.status, 200);
    let reached = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("sickbay_http_connection_limit_reached_total "))
        .expect("the count");
    assert_ne!(reached, "0", "meeting the limit shows");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let hub = hub::start().await;
    let mut stream = TcpStream::connect(hub.addr).await.expect("a connection");
    let request = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr);
    let mut buffer = vec![0; 4096];
    for _ in 0..20 {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let read = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn a_reader_that_stops_costs_one_bounded_connection() {
    let hub = hub::start().await;
    let mut deaf = TcpStream::connect(hub.addr).await.expect("a connection");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr).repeat(2_000);
    // It asks and asks and never reads: the server stops reading from it.
    let asked = async {
        for part in request.as_bytes().chunks(16 * 1024) {
            let write = tokio::time::timeout(Duration::from_millis(300), deaf.write_all(part));
            if !matches!(write.await, Ok(Ok(()))) {
                break;
            }
        }
    };
    asked.await;
    for _ in 0..10 {
        let reply = tokio::time::timeout(PATIENCE, get(hub.addr, "/livez")).await;
        assert_eq!(reply.expect("others are answered").status, 200);
    }
    drop(deaf);
}

#[tokio::test]
async fn a_panic_in_one_request_is_a_problem_for_it_alone() {
    let hub = hub::start().await;
    let guarded = sickbay_hub::api::guarded(
        &hub.context,
        axum::Router::new().route("/livez", route(|| async { boom() })),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(sickbay_hub::server::serve(
        listener,
        guarded,
        sickbay_hub::server::ServeOptions { limits: wide(), ..Default::default() },
        hub.stop.clone(),
    ));
    let reply = get(addr, "/livez").await;
    assert_eq!(reply.status, 500);
    assert!(!reply.problem().detail.contains("a secret"), "the log says more than the answer");
    assert_eq!(get(addr, "/livez").await.status, 500);
}

fn boom() -> &'static str {
    panic!("a secret")
}

#[tokio::test]
async fn the_end_comes_within_a_second_whatever_is_open() {
    let mut hub = hub::start().await;
    let mut live = Live::open(hub.addr, &[]).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(hub.addr).await.expect("a connection"));
    }
    let mut half = TcpStream::connect(hub.addr).await.expect("a connection");
    half.write_all(b"GET /livez HTTP/1.1\r\nHost: loc").await.expect("sent");
    let took = hub.shut_down().await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    while live.next().await.is_some() {}
    assert!(TcpStream::connect(hub.addr).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn with_its_own_certificate() {
    let listen =
        ListenSettings { tls: Some(TlsSettings::SelfSigned), limits: wide(), ..Default::default() };
    let mut hub = hub::start_with(listen).await;
    let reply = ask_over(
        encrypted(hub.addr, hub.data_dir.path()).await,
        &hub.addr.to_string(),
        "GET",
        "/status",
        &[],
        b"",
    )
    .await;
    assert_eq!((reply.status, reply.json()["hub"]["ready"].as_bool()), (200, Some(true)));

    // Plain HTTP on the encrypted port ends; it does not hang.
    let plain = exchange(hub.addr, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!plain.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&plain));
    // Nor does a client that says nothing hold up the end.
    let _silent = TcpStream::connect(hub.addr).await.expect("a connection");
    assert!(hub.shut_down().await < Duration::from_secs(1));
}

async fn encrypted(
    addr: SocketAddr,
    data_dir: &std::path::Path,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};

    let file = data_dir.join(sickbay_hub::server::tls::CERTIFICATE_FILE);
    let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
}
