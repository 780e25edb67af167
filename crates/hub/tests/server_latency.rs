//! How quickly the API answers: a measurement, run by hand.
//!
//! `cargo test --release -p sickbay-hub --test server_latency -- --ignored --nocapture`

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

use std::time::Duration;

use sickbay_hub::ListenSettings;
use sickbay_model::Level;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Requests per address.
const REQUESTS: usize = 5_000;
/// After how many requests the fleet changes, so that kept answers are made anew.
const CHANGE_EVERY: usize = 50;
/// The goal for one machine.
const GOAL: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; meaningful in release on a quiet machine"]
async fn answers_come_within_two_milliseconds() {
    println!("| nodes | address | p50 µs | p99 µs | max µs | bytes |");
    for nodes in [0_u32, 100] {
        let listen = ListenSettings { limits: hub::wide(), ..ListenSettings::default() };
        let hub = hub::start_with(listen).await;
        for node in 0..nodes {
            let id = format!("node/n{node}");
            hub.put(fleet::detail(&id, Level::Healthy, Some(99.0)));
            hub.put_frame(&id.parse().expect("an id"), fleet::frame(fleet::JUDGED_MS, 1.0));
        }
        for path in [
            "/livez",
            "/status",
            "/api/v1/resources",
            "/api/v1/resources/node/gpu-07",
            "/api/v1/hub",
            "/metrics",
            "/api/v1/events",
            "/",
        ] {
            let (mut times, bytes) = measure(&hub, path, REQUESTS).await;
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
            println!(
                "| {} | {path} | {} | {} | {} | {bytes} |",
                nodes + 3,
                at(50),
                at(99),
                at(100)
            );
            if !cfg!(debug_assertions) && nodes == 0 {
                assert!(at(99) <= GOAL.as_micros(), "{path}");
            }
        }
    }
}

/// Requests per address of a large fleet: its answers have megabytes.
const FLEET_REQUESTS: usize = 1_000;
/// Answers from this size on are measured, not judged.
const LARGE_BYTES: usize = 1024 * 1024;
/// The goal for ten thousand nodes.
const FLEET_GOAL: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; meaningful in release on a quiet machine"]
async fn a_fleet_of_ten_thousand_answers_within_five_milliseconds() {
    println!("| nodes | address | p50 µs | p99 µs | max µs | bytes |");
    for nodes in [1_000_u32, 10_000] {
        let listen = ListenSettings { limits: hub::wide(), ..ListenSettings::default() };
        let hub = hub::start_with(listen).await;
        let levels = [Level::Healthy, Level::Healthy, Level::Degraded, Level::Critical];
        let details: Vec<_> = (0..nodes)
            .map(|node| {
                let level = levels[node as usize % levels.len()];
                fleet::detail(&format!("node/n{node:05}"), level, Some(f64::from(node % 100)))
            })
            .collect();
        hub.edit(|next| {
            for detail in details {
                let id = detail.summary.id.parse().expect("an id");
                next.resources.insert(id, std::sync::Arc::new(detail.into()));
            }
        });
        for path in [
            "/api/v1/fleet",
            "/api/v1/fleet?limit=10000",
            "/api/v1/fleet?limit=10000&sort=-since",
            "/api/v1/fleet?limit=10000&label=zone=a&level=healthy",
            "/api/v1/fleet?search=n0042",
        ] {
            let (mut times, bytes) = measure(&hub, path, FLEET_REQUESTS).await;
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_micros();
            println!("| {nodes} | {path} | {} | {} | {} | {bytes} |", at(50), at(99), at(100));
            // The time of larger answers is that of moving megabytes; shown, and up to the machine.
            if !cfg!(debug_assertions) && bytes < LARGE_BYTES {
                assert!(at(99) <= FLEET_GOAL.as_micros(), "{path}");
            }
        }
    }
}

async fn measure(hub: &hub::TestHub, path: &str, requests: usize) -> (Vec<Duration>, usize) {
    let mut stream = TcpStream::connect(hub.addr).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.addr);
    let mut times = Vec::with_capacity(requests);
    let mut size = 0;
    for turn in 0..requests {
        if turn % CHANGE_EVERY == 0 {
            hub.put(fleet::detail("node/calm", Level::Healthy, Some(99.0)));
        }
        let before = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("sent");
        size = read_answer(&mut stream).await;
        times.push(before.elapsed());
    }
    (times, size)
}

/// Reads one answer with a Content-Length; its body's size.
async fn read_answer(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::with_capacity(8 * 1024 * 1024);
    loop {
        assert!(stream.read_buf(&mut bytes).await.expect("an answer") > 0, "the answer ends early");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&bytes[..end]).expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a length")
            .parse()
            .expect("a number");
        while bytes.len() < end + 4 + length {
            assert!(stream.read_buf(&mut bytes).await.expect("an answer") > 0);
        }
        return length;
    }
}
