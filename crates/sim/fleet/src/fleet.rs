//! All hosts behind one listener.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::behaviour::Behaviour;
use crate::delay::delayed;
use crate::host::Host;
use crate::server::{Connection, Counters, Served};

/// The most hosts: addresses of one /16, without the first and the last.
const MAX_NODES: usize = 65_534;

/// The window of a channel: a host's largest answer fits.
const WINDOW_BYTES: u32 = 256 << 10;

/// What a fleet is to be.
#[derive(Clone, Copy, Debug)]
pub struct FleetOptions {
    /// How many hosts.
    pub nodes: usize,
    /// The port of all of them; 0 lets the system choose.
    pub port: u16,
    /// How far away they are: the round trip on the wire, handshakes included.
    pub round_trip: Duration,
}

/// A running fleet. It ends when it is dropped.
pub struct SimFleet {
    port: u16,
    served: Arc<Vec<Arc<Served>>>,
    counters: Arc<Counters>,
    host_key: PublicKey,
    client_key: PrivateKey,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for SimFleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimFleet").field("port", &self.port).finish_non_exhaustive()
    }
}

impl SimFleet {
    /// Starts all hosts.
    ///
    /// # Errors
    /// When the port is taken, or there are more hosts than addresses.
    pub async fn start(options: FleetOptions) -> io::Result<Self> {
        if options.nodes > MAX_NODES {
            let what = format!("{} hosts are more than {MAX_NODES}", options.nodes);
            return Err(io::Error::other(what));
        }
        let (host_key, client_key) = (new_key()?, new_key()?);
        // All of 127.0.0.0/8 is this machine; one listener on any address serves every host of it.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port)).await?;
        let port = listener.local_addr()?.port();
        let served: Vec<_> = (0..options.nodes)
            .map(|number| {
                Arc::new(Served {
                    host: Host::new(number),
                    behaviour: crate::behaviour::Changeable::default(),
                })
            })
            .collect();
        let fleet_host_key = host_key.public_key().clone();
        let config = Arc::new(russh::server::Config {
            keys: vec![host_key],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            window_size: WINDOW_BYTES,
            inactivity_timeout: None,
            nodelay: true,
            ..russh::server::Config::default()
        });
        let mut fleet = Self {
            port,
            served: Arc::new(served),
            counters: Arc::default(),
            host_key: fleet_host_key,
            client_key,
            tasks: JoinSet::new(),
        };
        let accepting = Accepting {
            config,
            served: Arc::clone(&fleet.served),
            counters: Arc::clone(&fleet.counters),
            key: fleet.client_key.public_key().clone(),
            began: Instant::now(),
            round_trip: options.round_trip,
        };
        fleet.tasks.spawn(accepting.run(listener));
        Ok(fleet)
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, number: usize) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(address(number)), self.port)
    }

    /// The names of the hosts, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.served.iter().map(|served| served.host.name.as_str())
    }

    /// Changes how a host behaves from now on.
    pub fn behave(&self, number: usize, behaviour: Behaviour) {
        if let Some(served) = self.served.get(number) {
            served.behaviour.set(behaviour);
        }
    }

    /// Connections accepted, connections open now, questions answered.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let Counters { connections, open, questions } = &*self.counters;
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        (read(connections), read(open), read(questions))
    }

    /// A `known_hosts` file for all of them.
    #[must_use]
    pub fn known_hosts(&self) -> String {
        let key = self.host_key.to_openssh().unwrap_or_default();
        format!("[127.77.*]:{} {key}\n", self.port)
    }

    /// The only key that is let in, as a private key file.
    #[must_use]
    pub fn client_key(&self) -> String {
        let pem = self.client_key.to_openssh(russh::keys::ssh_key::LineEnding::LF);
        pem.map(|text| text.to_string()).unwrap_or_default()
    }

    /// An `ssh_config` that knows every host by its name; key and known hosts lie where they are
    /// said to lie.
    #[must_use]
    pub fn ssh_config(&self, key_file: &str, known_hosts_file: &str) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (number, name) in self.names().enumerate() {
            let _ = writeln!(text, "Host {name}\n  HostName {}", address(number));
        }
        let _ = writeln!(
            text,
            "Host sim-*\n  Port {}\n  User sim\n  IdentityFile {key_file}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {known_hosts_file}",
            self.port
        );
        text
    }
}

fn address(number: usize) -> Ipv4Addr {
    let place = u16::try_from(number + 1).unwrap_or(u16::MAX);
    let [high, low] = place.to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

fn number(address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [127, 77, high, low] => usize::from(u16::from_be_bytes([high, low])).checked_sub(1),
            _ => None,
        },
        IpAddr::V6(_) => None,
    }
}

struct Accepting {
    config: Arc<russh::server::Config>,
    served: Arc<Vec<Arc<Served>>>,
    counters: Arc<Counters>,
    key: PublicKey,
    began: Instant,
    round_trip: Duration,
}

impl Accepting {
    async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        // Connections of silent hosts are held, and never answered.
        let mut held: HashMap<u64, TcpStream> = HashMap::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((socket, from)) = accepted else { continue };
                    let host = socket.local_addr().ok().and_then(|local| number(local.ip()));
                    let host = host.and_then(|number| self.served.get(number));
                    let Some(host) = host.filter(|_| from.ip().is_loopback()) else { continue };
                    let count = self.counters.connections.fetch_add(1, Ordering::Relaxed);
                    match host.behaviour.get() {
                        Behaviour::Gone => {}
                        Behaviour::Silent => {
                            held.insert(count, socket);
                        }
                        _ => {
                            connections.spawn(self.serve(socket, Arc::clone(host)));
                        }
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn serve(
        &self,
        socket: TcpStream,
        served: Arc<Served>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let handler = Connection {
            served,
            key: self.key.clone(),
            began: self.began,
            counters: Arc::clone(&self.counters),
            shells: HashMap::new(),
        };
        let (config, counters) = (Arc::clone(&self.config), Arc::clone(&self.counters));
        let round_trip = self.round_trip;
        async move {
            counters.open.fetch_add(1, Ordering::Relaxed);
            let _ = socket.set_nodelay(true);
            if round_trip.is_zero() {
                if let Ok(session) = russh::server::run_stream(config, socket, handler).await {
                    let _ = session.await;
                }
            } else {
                let (far, carried) = delayed(socket, round_trip);
                let session = async {
                    if let Ok(session) = russh::server::run_stream(config, far, handler).await {
                        let _ = session.await;
                    }
                };
                tokio::join!(session, carried);
            }
            counters.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn new_key() -> io::Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}
