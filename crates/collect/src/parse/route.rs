//! `/proc/net/route` and `/proc/net/ipv6_route`: through which interface and gateway the default
//! route leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scan::{fields, hexadecimal, lines};
use super::{ParseError, bounded};

const FILE: &str = "/proc/net/route";
const FILE_V6: &str = "/proc/net/ipv6_route";

/// The route is usable (`RTF_UP`).
const FLAG_UP: u64 = 0x0001;
/// The route goes through a gateway (`RTF_GATEWAY`).
const FLAG_GATEWAY: u64 = 0x0002;
/// The route refuses packets (`RTF_REJECT`).
const FLAG_REJECT: u64 = 0x0200;

/// A default route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute<'a> {
    /// The interface it leaves through.
    pub interface: &'a [u8],
    /// The gateway; absent on point-to-point links.
    pub gateway: Option<IpAddr>,
    /// The lowest is used.
    pub metric: u64,
}

/// Parses `/proc/net/route`: the IPv4 default routes, lowest metric first.
///
/// # Errors
/// When the heading is missing or a line has a field that does not fit.
pub fn parse(bytes: &[u8]) -> Result<Vec<DefaultRoute<'_>>, ParseError> {
    let mut routes = Vec::new();
    let mut heading = false;
    for (number, line) in lines(bounded(FILE, bytes)?) {
        if line.starts_with(b"Iface") {
            heading = true;
            continue;
        }
        let mut words = fields(line);
        let Some(interface) = words.next() else { continue };
        let mut hex = |name: &'static str| {
            let field = words.text(FILE, number, name)?;
            hexadecimal(field)
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(|| ParseError::number(FILE, number, name, field))
        };
        let destination = hex("destination")?;
        let gateway = hex("gateway")?;
        let flags = u64::from(hex("flags")?);
        words.number(FILE, number, "reference count")?;
        words.number(FILE, number, "use")?;
        let metric = words.number(FILE, number, "metric")?;
        let mask = words.text(FILE, number, "mask")?;
        let mask =
            hexadecimal(mask).ok_or_else(|| ParseError::number(FILE, number, "mask", mask))?;
        if destination != 0 || mask != 0 || flags & FLAG_UP == 0 || flags & FLAG_REJECT != 0 {
            continue;
        }
        // The kernel prints the address as the machine's own number of its network-order bytes.
        let gateway =
            (flags & FLAG_GATEWAY != 0).then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())));
        routes.push(DefaultRoute { interface, gateway, metric });
    }
    if !heading {
        return Err(ParseError::whole(FILE, "the heading is missing"));
    }
    routes.sort_by_key(|route| route.metric);
    Ok(routes)
}

/// Parses `/proc/net/ipv6_route`: the IPv6 default routes, lowest metric first. An empty file is a
/// machine without IPv6.
///
/// # Errors
/// When a line has a field that does not fit.
pub fn parse_v6(bytes: &[u8]) -> Result<Vec<DefaultRoute<'_>>, ParseError> {
    let mut routes = Vec::new();
    for (number, line) in lines(bounded(FILE_V6, bytes)?) {
        let mut words = fields(line);
        let Some(destination) = words.next() else { continue };
        let destination = address(number, "destination", destination)?;
        let mut text = |name| words.text(FILE_V6, number, name);
        let prefix = text("prefix length")?;
        text("source")?;
        text("source's prefix length")?;
        let next_hop = address(number, "next hop", text("next hop")?)?;
        let metric = hex_field(number, "metric", text("metric")?)?;
        text("reference count")?;
        text("use")?;
        let flags = hex_field(number, "flags", text("flags")?)?;
        let interface = text("interface")?;
        let is_default = destination.is_unspecified() && hexadecimal(prefix) == Some(0);
        if is_default && flags & FLAG_UP != 0 && flags & FLAG_REJECT == 0 {
            let gateway = (flags & FLAG_GATEWAY != 0).then_some(IpAddr::V6(next_hop));
            routes.push(DefaultRoute { interface, gateway, metric });
        }
    }
    routes.sort_by_key(|route| route.metric);
    Ok(routes)
}

fn address(line: usize, name: &str, field: &[u8]) -> Result<Ipv6Addr, ParseError> {
    let halves = field.split_at_checked(16).filter(|_| field.len() == 32);
    halves
        .and_then(|(high, low)| {
            let bits = u128::from(hexadecimal(high)?) << 64 | u128::from(hexadecimal(low)?);
            Some(Ipv6Addr::from(bits))
        })
        .ok_or_else(|| ParseError::number(FILE_V6, line, name, field))
}

fn hex_field(line: usize, name: &str, field: &[u8]) -> Result<u64, ParseError> {
    hexadecimal(field).ok_or_else(|| ParseError::number(FILE_V6, line, name, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &[u8] =
        b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_with_the_lowest_metric_comes_first() {
        let bytes = [
            HEADING,
            b"eth1\t00000000\tFE01A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0   \n",
            b"eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
            b"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
            b"ppp0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n",
            b"eth2\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n",
            b"*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n",
        ]
        .concat();
        let routes = parse(&bytes).unwrap();
        let shown: Vec<_> = routes
            .iter()
            .map(|route| (route.interface, route.gateway.map(|ip| ip.to_string()), route.metric))
            .collect();
        assert_eq!(
            shown,
            [
                (&b"eth0"[..], Some("192.0.2.1".to_owned()), 100),
                (b"eth1", Some("192.168.1.254".to_owned()), 600),
                (b"ppp0", None, 700),
            ]
        );
        assert_eq!(parse(HEADING).unwrap(), []);
    }

    #[test]
    fn version_six() {
        let bytes = b"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n\
            20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n";
        let routes = parse_v6(bytes).unwrap();
        assert_eq!(routes.len(), 1);
        assert_eq!(routes[0].gateway, Some("fe80::1".parse().unwrap()));
        assert_eq!((routes[0].interface, routes[0].metric), (&b"eth0"[..], 1024));
        assert_eq!(parse_v6(b"").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        assert_eq!(parse(b"").unwrap_err().to_string(), "/proc/net/route: the heading is missing");
        for (line, expected) in [
            (&b"eth0"[..], "/proc/net/route, line 2: destination is missing"),
            (
                b"eth0 123456789",
                "/proc/net/route, line 2: destination is not a number that fits: \"123456789\"",
            ),
            (
                b"eth0 0 0 3 0 0 x 0",
                "/proc/net/route, line 2: metric is not a number that fits: \"x\"",
            ),
        ] {
            assert_eq!(parse(&[HEADING, line].concat()).unwrap_err().to_string(), expected);
        }
        for (input, expected) in [
            (
                &b"00"[..],
                "/proc/net/ipv6_route, line 1: destination is not a number that fits: \"00\"",
            ),
            (
                b"00000000000000000000000000000000 00",
                "/proc/net/ipv6_route, line 1: source is missing",
            ),
        ] {
            assert_eq!(parse_v6(input).unwrap_err().to_string(), expected);
        }
    }
}
