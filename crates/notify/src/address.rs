//! Which addresses are never called.
//!
//! A receiver's address comes from a config that someone else than the machine's owner may write, and a
//! name resolves to what its owner wishes. So what leads to this machine, to its link, or to the metadata
//! of its cloud is refused unless the receiver says that it is meant. It is checked where a name is
//! resolved for the connection that follows, so that there is no second answer to fall for. Private
//! networks are where most fleets live and are not refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// An address that must not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}; say `allow_local: true` if that is meant")]
pub struct Forbidden {
    /// Which.
    pub address: IpAddr,
    /// What it is.
    pub what: &'static str,
}

/// Where clouds answer with a machine's credentials, beyond the link-local addresses: EC2 over IPv6,
/// Azure, Alibaba, Oracle's first.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Whether an address may be called.
///
/// # Errors
/// If it is not one of another machine that can be meant.
pub fn check(address: IpAddr) -> Result<(), Forbidden> {
    let inner = match address {
        IpAddr::V6(v6) => within(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    match forbidden(inner) {
        Some(what) => Err(Forbidden { address, what }),
        None => Ok(()),
    }
}

fn forbidden(address: IpAddr) -> Option<&'static str> {
    let (this_host, link) = match address {
        IpAddr::V4(v4) => (v4.octets()[0] == 0, v4.is_link_local()),
        IpAddr::V6(v6) => (v6.is_unspecified(), v6.is_unicast_link_local()),
    };
    Some(match () {
        () if address.is_loopback() || this_host => "this machine itself",
        () if METADATA.contains(&address) => "where a cloud keeps its machines' secrets",
        () if link => "on this machine's own link",
        () if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) => {
            "many machines at once"
        }
        () => return None,
    })
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 (RFC 6052), 6to4.
fn within(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => Some(v4(g, h)),
        (0, 0, 0, 0, 0, 0) if g != 0 => Some(v4(g, h)),
        (0x2002, ..) => Some(v4(b, c)),
        _ => None,
    }
}

/// Resolves names as the system does, without the addresses that must not be called.
#[derive(Debug)]
pub(crate) struct CheckedResolver;

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(allowed(all)?.into_iter()) as Addrs)
        })
    }
}

/// Those that may be called. If there is none, why not.
pub(crate) fn allowed(all: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
    let refused = all.iter().find_map(|address| check(address.ip()).err());
    let good: Vec<SocketAddr> =
        all.into_iter().filter(|address| check(address.ip()).is_ok()).collect();
    match refused {
        Some(refused) if good.is_empty() => Err(refused),
        _ => Ok(good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_machines_are_called() {
        for (text, what) in [
            ("127.0.0.1", "this machine itself"),
            ("127.8.9.1", "this machine itself"),
            ("0.0.0.0", "this machine itself"),
            ("0.1.2.3", "this machine itself"),
            ("::1", "this machine itself"),
            ("::", "this machine itself"),
            ("::ffff:127.0.0.1", "this machine itself"),
            ("::127.0.0.1", "this machine itself"),
            ("64:ff9b::7f00:1", "this machine itself"),
            ("2002:7f00:1::", "this machine itself"),
            ("169.254.1.2", "on this machine's own link"),
            ("169.254.169.254", "on this machine's own link"),
            ("::ffff:169.254.169.254", "on this machine's own link"),
            ("fe80::1", "on this machine's own link"),
            ("fd00:ec2::254", "where a cloud keeps its machines' secrets"),
            ("168.63.129.16", "where a cloud keeps its machines' secrets"),
            ("224.0.0.1", "many machines at once"),
            ("ff02::1", "many machines at once"),
            ("255.255.255.255", "many machines at once"),
            ("10.0.0.1", ""),
            ("172.16.3.4", ""),
            ("192.168.1.1", ""),
            ("fd12::1", ""),
            ("8.8.8.8", ""),
            ("2001:db8::1", ""),
        ] {
            let address: IpAddr = text.parse().expect(text);
            assert_eq!(check(address).err().map_or("", |it| it.what), what, "{text}");
        }
    }

    #[test]
    fn of_a_names_addresses_only_the_good_are_kept() {
        let at = |text: &str| SocketAddr::new(text.parse().expect(text), 80);
        let kept = allowed(vec![at("127.0.0.1"), at("10.0.0.1"), at("::1")]);
        assert_eq!(kept, Ok(vec![at("10.0.0.1")]));
        assert!(allowed(vec![at("127.0.0.1"), at("::1")]).is_err());
        assert_eq!(allowed(vec![]), Ok(vec![]));
    }
}
