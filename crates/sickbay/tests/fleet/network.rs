//! Networks that lose, delay, and fall apart.
//!
//! A node stands in a network namespace of its own, behind a pair of virtual interfaces. Loss and
//! delay are the kernel's where it has them (`tc netem`); elsewhere a proxy delays what passes as a
//! network that loses packets does, since TCP turns loss into delay.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::site::Site;
use crate::watch::{detail, is_fresh, row, told, wait, wait_fresh, wait_row};
use crate::world::Hub;

/// The round trip of the far node, and the share of what passes that is lost, in percent.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const LOSS_PERCENT: u64 = 5;

/// What a lost packet costs: the sender waits this long before it sends again.
const SENT_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The most packets under way in one direction.
const UNDER_WAY: usize = 1024;

/// A network namespace, and a pair of interfaces between it and this one. Both end with it.
struct Island {
    name: String,
    link: String,
    address: Ipv4Addr,
}

impl Island {
    /// None where this machine allows none, which is said; in CI that is a failure.
    fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = format!("{}-{count}", std::process::id());
        let name = format!("sickbay-{own}");
        // Of the block for benchmarks of networks (RFC 2544), which nobody routes.
        let [.., high, low] = (std::process::id() * 8 + count * 4).to_be_bytes();
        let (here, address) = (
            Ipv4Addr::new(198, 18, high, low & !3 | 1),
            Ipv4Addr::new(198, 18, high, low & !3 | 2),
        );
        let island = Self { link: format!("sb-{own}"), name, address };
        let (link, name) = (&island.link, &island.name);
        let steps = [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name inside netns {name}"),
            format!("addr add {here}/30 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add {address}/30 dev inside"),
            format!("-n {name} link set inside up"),
            format!("-n {name} link set lo up"),
        ];
        for step in steps {
            let ran = Command::new("ip").args(step.split(' ')).output();
            let why = match &ran {
                Ok(ran) if ran.status.success() => continue,
                Ok(ran) => String::from_utf8_lossy(&ran.stderr).into_owned(),
                Err(error) => format!("{error}: install iproute2"),
            };
            eprintln!("NOT TESTED: this machine allows no network namespace: ip {step}: {why}");
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must be able to test this");
            return None;
        }
        Some(island)
    }

    /// Cuts the far end off, or joins it again. Nobody hears of it: packets go nowhere.
    fn set_link(&self, state: &str) {
        let step = format!("-n {} link set inside {state}", self.name);
        assert!(Command::new("ip").args(step.split(' ')).status().unwrap().success(), "{step}");
    }

    /// Lets the kernel delay and lose what passes, if it can.
    fn worsen(&self) -> bool {
        let half = ROUND_TRIP.as_millis() / 2;
        let netem = format!("root netem delay {half}ms loss {LOSS_PERCENT}%");
        let ends = [format!("qdisc add dev {} {netem}", self.link), {
            format!("-n {} qdisc add dev inside {netem}", self.name)
        }];
        ends.iter().all(|end| {
            let ran = Command::new("tc").args(end.split(' ')).output();
            ran.is_ok_and(|ran| ran.status.success())
        })
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.link]).output();
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

#[test]
fn a_partition_is_silence_with_a_deadline_and_heals_by_itself() {
    let Some(island) = Island::new() else { return };
    let site = Site::new("torch: {mode: never}\nssh: {connect_timeout: 3s}\n");
    let near = site.lab.sshd("");
    let far = site.lab.sshd_within(&island.name, island.address);
    site.knows("near", "127.0.0.1", &near);
    site.knows("far", &island.address.to_string(), &far);
    // So that it comes back by itself while the test looks on.
    let config = site.place.config_file();
    let text = std::fs::read_to_string(&config).unwrap().replace("open_for: 20m", "open_for: 1s");
    std::fs::write(&config, text).unwrap();
    site.configure("nodes: [{name: near}, {name: far}]\n");
    let hub = Hub::start(&site.place);
    for name in ["near", "far"] {
        wait_row(&hub, name, "is judged", is_fresh);
    }
    let sessions = far.sessions().len();
    assert!(sessions > 0, "there is a session to be cut");

    island.set_link("down");
    let cut = wait_row(&hub, "far", "is unknown", |row| row["level"] == "unknown");
    assert_ne!(cut["breaker"], "closed", "{cut:#}");
    let reachable = wait(
        &hub,
        "the probe says so",
        || {
            let probes = detail(&hub, "far")["probes"].clone();
            let all = probes.as_array().cloned().unwrap_or_default();
            all.into_iter().find(|probe| probe["probe"] == "reachable").unwrap_or_default()
        },
        |probe| probe["outcome"] != "answered",
    );
    assert_eq!(reachable["outcome"], "unreachable", "{reachable:#}");
    wait_fresh(&hub, "near");
    hub.assert_quick("while a node is cut off");

    island.set_link("up");
    wait_row(&hub, "far", "is back", |row| is_fresh(row) && row["breaker"] == "closed");
    let recovered = |all: &Vec<(String, String, String)>| all.iter().any(|(_, of, _)| of == "far");
    wait(&hub, "it is told", || told(&hub, &["NODE_RECOVERED"]), recovered);
    hub.stop();
}

#[test]
fn loss_and_delay_raise_no_alarm() {
    let site = Site::new("torch: {mode: never}\nssh: {connect_timeout: 5s}\n");
    let island = Island::new().filter(Island::worsen);
    let _proxy;
    let _server;
    if let Some(island) = &island {
        let server = site.lab.sshd_within(&island.name, island.address);
        site.knows("far", &island.address.to_string(), &server);
        _server = server;
    } else {
        eprintln!("this kernel has no netem: a proxy delays what passes instead");
        let server = site.lab.sshd("");
        let proxy = Proxy::before(server.port);
        site.names("far", "127.0.0.1", proxy.port, "");
        let known = site.lab.known("127.0.0.1", &server);
        let known = known.replace(&server.port.to_string(), &proxy.port.to_string());
        std::fs::write(site.file("known_hosts"), known).unwrap();
        (_proxy, _server) = (proxy, server);
    }
    site.configure("nodes: [{name: far}]\n");
    let hub = Hub::start(&site.place);
    wait_row(&hub, "far", "is judged", is_fresh);
    let kinds = &["BREAKER_MOVED", "LEVEL_CHANGED", "HEALTH_CHECK_FAILED", "OBSERVER_DOUBT"];
    let before = told(&hub, kinds).len();
    for _ in 0..6 {
        wait_fresh(&hub, "far");
    }
    let told = told(&hub, kinds).split_off(before);
    assert!(told.iter().all(|(_, of, _)| of != "far"), "{told:#?}");
    let latency = detail(&hub, "far")["readings"].as_array().cloned().unwrap_or_default();
    let latency = latency.into_iter().find(|it| it["metric"] == "latency_ms");
    let latency = latency.and_then(|it| it["value"].as_f64());
    let least = ROUND_TRIP.as_secs_f64() * 1000.0;
    assert!(latency.is_some_and(|ms| ms >= least), "{latency:?}: the distance is measured");
    assert_eq!(row(&hub, "far")["breaker"], "closed");
    hub.stop();
}

/// Passes bytes on to a server of this machine, late, and now and then much later. Ends with the
/// process: its threads wait for connections that nobody makes any more.
struct Proxy {
    port: u16,
}

impl Proxy {
    fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) =
                    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, server)))
                else {
                    continue;
                };
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || carry(client, server, 1));
                std::thread::spawn(move || carry(back, forth, 2));
            }
        });
        Self { port }
    }
}

/// Carries one direction: what comes leaves in its order, each a way's time later.
fn carry(mut from: TcpStream, mut to: TcpStream, seed: u64) {
    let (under_way, arriving) = mpsc::sync_channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let deliver = std::thread::spawn(move || {
        let _ = to.set_nodelay(true);
        for (due, bytes) in arriving {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut chunk, mut random) = ([0; 1400], seed);
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        // A generator of Lehmer's: any spread will do, and each run is the same.
        random = random * 48_271 % 0x7fff_ffff;
        let lost = random % 100 < LOSS_PERCENT;
        let late = if lost { SENT_AGAIN_AFTER } else { Duration::ZERO };
        if under_way
            .send((Instant::now() + ROUND_TRIP / 2 + late, chunk[..count].to_vec()))
            .is_err()
        {
            break;
        }
    }
    drop(under_way);
    let _ = deliver.join();
}
