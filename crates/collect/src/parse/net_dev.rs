//! `/proc/net/dev`: traffic counters per interface.

use super::scan::{fields, lines, trim};
use super::{ParseError, bounded};

const FILE: &str = "/proc/net/dev";

/// The most interfaces that are believed.
pub const MAX_INTERFACES: usize = 16_384;

/// One interface's counters since it appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceCounters<'a> {
    /// Name.
    pub name: &'a [u8],
    /// Bytes received.
    pub receive_bytes: u64,
    /// Packets received with errors.
    pub receive_errors: u64,
    /// Received packets dropped.
    pub receive_drops: u64,
    /// Bytes sent.
    pub transmit_bytes: u64,
    /// Packets not sent because of errors.
    pub transmit_errors: u64,
    /// Packets dropped before sending.
    pub transmit_drops: u64,
}

/// Parses `/proc/net/dev`.
///
/// # Errors
/// When the heading is missing, a line has fewer than 16 columns or one that is no number that
/// fits, or there are more than [`MAX_INTERFACES`] lines.
pub fn parse(bytes: &[u8]) -> Result<Vec<InterfaceCounters<'_>>, ParseError> {
    let mut interfaces = Vec::with_capacity(16);
    let mut heading = false;
    for (number, line) in lines(bounded(FILE, bytes)?) {
        if number <= 2 && line.contains(&b'|') {
            heading = true;
        } else if !line.is_empty() {
            if interfaces.len() == MAX_INTERFACES {
                let what = format!("more than {MAX_INTERFACES} interfaces");
                return Err(ParseError::line(FILE, number, what));
            }
            interfaces.push(interface(number, line)?);
        }
    }
    if !heading {
        return Err(ParseError::whole(FILE, "the heading is missing"));
    }
    Ok(interfaces)
}

fn interface(number: usize, line: &[u8]) -> Result<InterfaceCounters<'_>, ParseError> {
    // No blank need follow the colon, and an alias has a colon in its name.
    let (name, columns) = line
        .iter()
        .rposition(|&byte| byte == b':')
        .and_then(|colon| Some((line.get(..colon)?, line.get(colon + 1..)?)))
        .ok_or_else(|| ParseError::line(FILE, number, "there is no \":\" behind a name"))?;
    let mut words = fields(columns);
    let mut counters = [0_u64; 16];
    for counter in &mut counters {
        *counter = words.number(FILE, number, "a column")?;
    }
    let [
        receive_bytes,
        _,
        receive_errors,
        receive_drops,
        _,
        _,
        _,
        _,
        transmit_bytes,
        _,
        transmit_errors,
        transmit_drops,
        _,
        _,
        _,
        _,
    ] = counters;
    Ok(InterfaceCounters {
        name: trim(name),
        receive_bytes,
        receive_errors,
        receive_drops,
        transmit_bytes,
        transmit_errors,
        transmit_drops,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &[u8] = b"Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n";

    fn with_heading(line: &[u8]) -> Vec<u8> {
        [HEADING, line].concat()
    }

    #[test]
    fn names_and_columns() {
        for (line, name) in [
            (&b"  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"[..], &b"eth0"[..]),
            (b"eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 new", b"eth0"),
            (b"eth0:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", b"eth0:1"),
            (b" \xff|x: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", b"\xff|x"),
        ] {
            let bytes = with_heading(line);
            let got = parse(&bytes).unwrap()[0];
            assert_eq!(got.name, name);
            assert_eq!((got.receive_bytes, got.receive_errors, got.receive_drops), (1, 3, 4));
            assert_eq!((got.transmit_bytes, got.transmit_errors, got.transmit_drops), (9, 11, 12));
        }
        assert_eq!(parse(HEADING).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        assert_eq!(parse(b"").unwrap_err().to_string(), "/proc/net/dev: the heading is missing");
        for (line, expected) in [
            (&b"eth0 1 2"[..], "/proc/net/dev, line 3: there is no \":\" behind a name"),
            (b"eth0: 1 2", "/proc/net/dev, line 3: a column is missing"),
            (b"eth0: 1 2 x", "/proc/net/dev, line 3: a column is not a number that fits: \"x\""),
        ] {
            assert_eq!(parse(&with_heading(line)).unwrap_err().to_string(), expected);
        }
    }
}
