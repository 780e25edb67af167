//! One round trip: an echo request and its reply, or a TCP connection.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketType, ipproto};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::echo::{self, Family, Token};

/// Why there is no round-trip time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nothing came back in time.
    Silent,
    /// This process may not send echo requests.
    Forbidden,
    /// Refused, no route, and the like.
    Refused(String),
}

/// Sends one echo request and waits for its reply.
pub(super) async fn echo(
    address: SocketAddr,
    sequence: u16,
    token: Token,
    limit: Duration,
) -> Result<Duration, Lost> {
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = open(family).map_err(|errno| match errno {
        Errno::ACCESS | Errno::PERM | Errno::PROTONOSUPPORT | Errno::PROTOTYPE => Lost::Forbidden,
        errno => refused(errno),
    })?;
    let target = SocketAddr::new(address.ip(), 0);
    rustix::net::connect(&socket, &keep_scope(target, address)).map_err(refused)?;
    // Tokio knows no ICMP sockets; sending and receiving on a connected one is what UDP does too.
    let failed = |error: std::io::Error| Lost::Refused(error.to_string());
    let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket)).map_err(failed)?;
    let identifier = u16::try_from(std::process::id() & 0xffff).unwrap_or(0);
    let packet = echo::request(family, identifier, sequence, token);
    let sent = Instant::now();
    socket.send(&packet).await.map_err(|error| match error.kind() {
        // Netfilter's refusal to send is EPERM.
        ErrorKind::PermissionDenied => Lost::Refused("a firewall here refuses it".to_owned()),
        _ => failed(error),
    })?;
    timeout(limit, receive(&socket, family, sequence, token)).await.unwrap_or(Err(Lost::Silent))?;
    let took = sent.elapsed();
    // If nobody looked in time, the reply is older than it seems: no measurement.
    if took > limit { Err(Lost::Silent) } else { Ok(took) }
}

async fn receive(
    socket: &UdpSocket,
    family: Family,
    sequence: u16,
    token: Token,
) -> Result<(), Lost> {
    let mut packet = [0; 256];
    loop {
        match socket.recv(&mut packet).await {
            Ok(count) => {
                let received = packet.get(..count).unwrap_or_default();
                if echo::is_reply(family, received, sequence, token) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Lost::Refused(error.to_string())),
        }
    }
}

/// An unprivileged datagram socket, else a raw one.
fn open(family: Family) -> Result<OwnedFd, Errno> {
    let (domain, protocol) = match family {
        Family::V4 => (AddressFamily::INET, ipproto::ICMP),
        Family::V6 => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let open = |kind| nonblocking_socket(domain, kind, protocol);
    open(SocketType::DGRAM).or_else(|_| open(SocketType::RAW))
}

#[cfg(target_os = "linux")]
fn nonblocking_socket(
    domain: AddressFamily,
    kind: SocketType,
    protocol: Protocol,
) -> Result<OwnedFd, Errno> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(domain, kind, flags, Some(protocol))
}

#[cfg(not(target_os = "linux"))]
fn nonblocking_socket(
    domain: AddressFamily,
    kind: SocketType,
    protocol: Protocol,
) -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket(domain, kind, Some(protocol))?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

fn keep_scope(target: SocketAddr, resolved: SocketAddr) -> SocketAddr {
    match (target, resolved) {
        (SocketAddr::V6(mut target), SocketAddr::V6(resolved)) => {
            target.set_scope_id(resolved.scope_id());
            SocketAddr::V6(target)
        }
        (target, _) => target,
    }
}

/// Opens a TCP connection and closes it.
pub(super) async fn connect(address: SocketAddr, limit: Duration) -> Result<Duration, Lost> {
    let began = Instant::now();
    match timeout(limit, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) if began.elapsed() <= limit => Ok(began.elapsed()),
        Ok(Ok(_)) | Err(_) => Err(Lost::Silent),
        Ok(Err(error)) => Err(Lost::Refused(error.to_string())),
    }
}

/// Resolves a name on a thread of tokio's pool; an address is itself.
pub(super) async fn resolve(host: &str, port: u16, limit: Duration) -> Result<SocketAddr, Lost> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    match timeout(limit, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut addresses)) => {
            addresses.next().ok_or_else(|| Lost::Refused("its name has no address".to_owned()))
        }
        Ok(Err(error)) => Err(Lost::Refused(format!("its name cannot be resolved: {error}"))),
        Err(_) => Err(Lost::Refused(format!("its name was not resolved within {limit:?}"))),
    }
}

fn refused(errno: Errno) -> Lost {
    Lost::Refused(std::io::Error::from(errno).to_string())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn this_machine_answers_echo_requests_where_they_are_permitted() {
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let answer = echo(SocketAddr::new(address, 0), 1, *b"abcdefgh", LIMIT).await;
            match answer {
                Ok(took) => assert!(took < LIMIT),
                // A sandbox may lack the permission or the protocol, and nothing else.
                Err(Lost::Forbidden | Lost::Refused(_)) => {}
                Err(Lost::Silent) => panic!("{address} is silent"),
            }
        }
    }

    #[tokio::test]
    async fn a_connection_is_a_round_trip_and_a_closed_port_is_none() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        assert!(connect(address, LIMIT).await.expect("connects") < LIMIT);
        drop(listener);
        assert!(matches!(connect(address, LIMIT).await, Err(Lost::Refused(_))));
    }

    #[tokio::test]
    async fn names_are_resolved() {
        let address = resolve("localhost", 7, LIMIT).await.expect("resolves");
        assert!(address.ip().is_loopback() && address.port() == 7);
        assert_eq!(resolve("10.1.2.3", 7, LIMIT).await, Ok(([10, 1, 2, 3], 7).into()));
        assert!(resolve("no-such-name.invalid", 7, LIMIT).await.is_err());
    }
}
