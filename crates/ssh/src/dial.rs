//! From a name to a TCP connection.
//!
//! **Must hold**: every wait ends; name servers that hang take a bounded number of threads; one
//! address that swallows packets does not keep the others waiting.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sickbay_model::ProbeError;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::trouble;

/// How many names are looked up at once: each takes a thread until the system answers.
pub(crate) const MAX_LOOKUPS: usize = 32;
/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 4;
/// How long one address is waited for before the next is tried beside it (RFC 8305: 250 ms).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects to a host by name or address.
///
/// # Errors
/// When the name cannot be resolved, or no address answers within the limit.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    limit: Duration,
    lookups: &Arc<Semaphore>,
) -> Result<TcpStream, ProbeError> {
    let end = tokio::time::Instant::now() + limit;
    let addresses = resolve(host, port, limit, lookups).await?;
    let connecting = connect(&addresses);
    match tokio::time::timeout_at(end, connecting).await {
        Ok(Ok(stream)) => {
            // Questions are small and wait for nothing.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err((address, error))) => Err(refused(address, &error)),
        Err(_) => Err(trouble::unreachable(format!(
            "no answer from {} within {}",
            shown(&addresses),
            trouble::spoken(limit)
        ))),
    }
}

async fn resolve(
    host: &str,
    port: u16,
    limit: Duration,
    lookups: &Arc<Semaphore>,
) -> Result<Vec<SocketAddr>, ProbeError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let looked_up = async {
        let permit = Arc::clone(lookups).acquire_owned().await.ok()?;
        // The thread holds its permit until the system answers, whoever still waits for it.
        let lookup = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (name.as_str(), port).to_socket_addrs().map(|found| found.take(MAX_ADDRESSES).collect())
        });
        lookup.await.ok()
    };
    let found: std::io::Result<Vec<SocketAddr>> = match tokio::time::timeout(limit, looked_up).await
    {
        Ok(Some(found)) => found,
        Ok(None) => Err(std::io::Error::other("the lookup was interrupted")),
        Err(_) => {
            let message =
                format!("the name {host} was not resolved within {}", trouble::spoken(limit));
            return Err(trouble::advise(
                trouble::unreachable(message),
                "check the name server of the machine that watches, or use an address",
            ));
        }
    };
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(trouble::unreachable(format!("the name {host} has no address"))),
        Err(error) => {
            let message = format!("the name {host} cannot be resolved: {error}");
            Err(trouble::unreachable(message))
        }
    }
}

/// The first address that answers; the last error if none does.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, (SocketAddr, std::io::Error)> {
    let mut waiting = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let mut last = None;
    loop {
        if let Some(address) = waiting.next() {
            trying.push(async move {
                TcpStream::connect(address).await.map_err(|error| (address, error))
            });
        } else if trying.is_empty() {
            return Err(last.unwrap_or_else(|| {
                let nowhere = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
                (nowhere, std::io::Error::other("there is no address"))
            }));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(ended) = trying.next() => match ended {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
}

fn refused(address: SocketAddr, error: &std::io::Error) -> ProbeError {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => trouble::advise(
            trouble::unreachable(format!("{address} refuses the connection")),
            "check that sshd runs there and listens on this port",
        ),
        _ => trouble::unreachable(format!("cannot connect to {address}: {error}")),
    }
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
