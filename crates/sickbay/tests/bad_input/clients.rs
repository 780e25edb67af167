//! Clients that are slow, greedy, lost or hostile: others are answered meanwhile.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::support::until;
use crate::world::{Hub, place};

/// How many connections do nothing at once.
const IDLE: usize = 500;
/// How many send their request a byte at a time.
const SLOW: usize = 50;

#[test]
fn greedy_and_garbled_requests_are_refused_and_harm_nobody() {
    let place = place("");
    let hub = Hub::start(&place);
    let body = vec![b'x'; 10 << 20];
    let head = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        hub.address,
        body.len()
    );
    let reply = hub.exchange(&[head.as_bytes(), &body].concat());
    assert_eq!(reply.status, 413, "{reply:?}");
    assert!(reply.body.contains("1048576"), "says the limit: {}", reply.body);
    hub.assert_quick("after 10 MB");

    let long = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(100 * 1024), hub.address);
    let reply = hub.exchange(long.as_bytes());
    assert!([414, 431].contains(&reply.status), "{reply:?}");

    let every_byte: Vec<u8> = (0..=255).cycle().take(8192).collect();
    for (name, garbage) in [
        ("TLS", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..]),
        ("every byte", &every_byte),
        ("no HTTP", b"HELO example.org\r\n\r\n"),
        ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
    ] {
        let mut stream = hub.connect();
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // Closed at once or refused: both are an end.
        let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
        let refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(refused, "{name}: {}", String::from_utf8_lossy(&answer));
    }
    for host in ["evil.example", "127.0.0.1.evil.example:80", ""] {
        let request = format!("GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = hub.exchange(request.as_bytes());
        assert!([400, 403].contains(&reply.status), "{host:?}: {reply:?}");
        assert!(!reply.body.contains("node/"), "{host:?}: {}", reply.body);
    }
    let reply =
        hub.exchange(b"GET /status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(reply.body.contains("listen.host_names"), "what to do: {}", reply.body);
    hub.assert_quick("after all that");
    hub.stop();
}

#[test]
fn the_wrong_token_opens_nothing() {
    let place = place("");
    let token = place.dir.path().join("token");
    std::fs::write(&token, "a-good-long-token\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = place.command(&["up"]);
    command.env("SICKBAY_TOKEN_FILE", &token);
    let hub = Hub::begin(&place, command);
    let ask = |header: &str| {
        let request = format!(
            "GET /status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{header}\r\n",
            hub.address
        );
        hub.exchange(request.as_bytes())
    };
    for header in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Bearer a-good-long-toke\r\n",
        "Authorization: Bearer a-good-long-token-and-more\r\n",
        "Authorization: Basic YTpi\r\n",
        "Authorization: Bearer \r\n",
    ] {
        let reply = ask(header);
        assert_eq!(reply.status, 401, "{header:?}: {reply:?}");
        assert!(!reply.body.contains("a-good-long"), "{header:?}: {}", reply.body);
    }
    let right = || ask("Authorization: Bearer a-good-long-token\r\n").status == 200;
    assert!(until(right), "the right one does");
    let said = hub.stop();
    assert!(!said.contains("a-good-long-token"), "it is never written down: {said}");
}

#[test]
fn idle_and_slow_clients_cost_themselves_only() {
    let place = place("");
    let hub = Hub::start(&place);
    let idle: Vec<_> = (0..IDLE - SLOW).map(|_| hub.connect()).collect();
    let mut slow: Vec<_> = (0..SLOW).map(|_| hub.connect()).collect();
    let request = format!("GET /status HTTP/1.1\r\nHost: {}\r\nX-Slow: ", hub.address);
    let mut bytes = request.into_bytes().into_iter().chain(std::iter::repeat(b'a'));
    let closed = |stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let mut byte = [0; 1024];
        match std::io::Read::read(&mut { stream }, &mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    hub.assert_quick("with 500 connections open");
    let let_go = until(|| {
        let byte = bytes.next().unwrap();
        for stream in &mut slow {
            let _ = stream.write_all(&[byte]);
        }
        std::thread::sleep(Duration::from_millis(50));
        slow.iter().all(closed)
    });
    assert!(let_go, "a header that never ends is given up");
    hub.assert_quick("while others idle");
    hub.await_look();
    let closed_idle = until(|| idle.iter().all(closed));
    assert!(closed_idle, "those who say nothing are let go");
    hub.stop();
}
