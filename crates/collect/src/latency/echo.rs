//! ICMP echo packets (RFC 792, RFC 4443): built and read as bytes, nothing sent.

/// What tells our echoes from everyone else's, beside identifier and sequence number.
pub(super) type Token = [u8; 8];

/// Bytes of a request: the ICMP header and the token.
pub(super) const PACKET_BYTES: usize = 16;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn request_type(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    const fn reply_type(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }
}

/// An echo request. The kernel fills in ICMPv6's checksum, which covers addresses.
pub(super) fn request(
    family: Family,
    identifier: u16,
    sequence: u16,
    token: Token,
) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    let (header, payload) = packet.split_at_mut(8);
    header[0] = family.request_type();
    header[4..6].copy_from_slice(&identifier.to_be_bytes());
    header[6..8].copy_from_slice(&sequence.to_be_bytes());
    payload.copy_from_slice(&token);
    if family == Family::V4 {
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// Whether a packet is the reply to the request with this sequence number and token. Raw IPv4
/// sockets give the IP header too. The identifier is not compared: for datagram sockets the kernel
/// chooses it.
pub(super) fn is_reply(family: Family, packet: &[u8], sequence: u16, token: Token) -> bool {
    let icmp = match (family, packet.first()) {
        (Family::V4, Some(first)) if first >> 4 == 4 => {
            let header = usize::from(first & 0x0f) * 4;
            packet.get(header..)
        }
        _ => Some(packet),
    };
    let Some(icmp) = icmp else { return false };
    icmp.first() == Some(&family.reply_type())
        && icmp.get(1) == Some(&0)
        && icmp.get(6..8) == Some(&sequence.to_be_bytes()[..])
        && icmp.get(8..PACKET_BYTES) == Some(&token[..])
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let word = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            [high] => u16::from_be_bytes([*high, 0]),
            _ => 0,
        };
        sum += u32::from(word);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Holds whatever arrives; for fuzzing. The first bytes say which request was sent.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_packet(bytes: &[u8]) {
    let Some((&[choice, high, low], rest)) = bytes.split_first_chunk::<3>() else { return };
    let Some((&token, packet)) = rest.split_first_chunk::<8>() else { return };
    let family = if choice % 2 == 0 { Family::V4 } else { Family::V6 };
    let sequence = u16::from_be_bytes([high, low]);

    if is_reply(family, packet, sequence, token) {
        assert!(packet.windows(token.len()).any(|part| part == token));
        assert!(!is_reply(family, packet, sequence.wrapping_add(1), token));
        assert!(!is_reply(family, packet, sequence, token.map(|byte| !byte)));
    }
    let request = request(family, sequence, sequence, token);
    assert!(!is_reply(family, &request, sequence, token), "a request is no reply");
    assert!(family == Family::V6 || checksum(&request) == 0);
    let mut reply = request;
    reply[0] = family.reply_type();
    assert!(is_reply(family, &reply, sequence, token));
    // Of a packet that carries its own checksum, at an even place, the sum is zero.
    let mut carrying = packet.to_vec();
    carrying.resize(packet.len().next_multiple_of(2), 0);
    carrying.extend_from_slice(&checksum(packet).to_be_bytes());
    assert_eq!(checksum(&carrying), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = *b"\x00\x01sickba";

    fn reply(family: Family, sequence: u16) -> Vec<u8> {
        let mut packet = request(family, 7, sequence, TOKEN).to_vec();
        packet[0] = family.reply_type();
        packet
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 1071, section 3: the sum is ddf2, the checksum its complement.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), 0x00ff);
        // What carries its own checksum sums to zero.
        assert_eq!(checksum(&request(Family::V4, 1, 2, TOKEN)), 0);
    }

    #[test]
    fn only_our_reply_is_ours() {
        for family in [Family::V4, Family::V6] {
            let good = reply(family, 3);
            assert!(is_reply(family, &good, 3, TOKEN));
            assert!(!is_reply(family, &good, 4, TOKEN), "another sequence number");
            assert!(!is_reply(family, &good, 3, [0; 8]), "another token");
            assert!(!is_reply(family, &request(family, 7, 3, TOKEN), 3, TOKEN), "a request");
            assert!(!is_reply(family, &good[..PACKET_BYTES - 1], 3, TOKEN), "cut");
        }
        let mut raw = vec![0x46; 24];
        raw.extend(reply(Family::V4, 3));
        assert!(is_reply(Family::V4, &raw, 3, TOKEN), "with an IP header of 24 bytes");
    }
}
