//! `/proc/net/snmp`: TCP's own counters. Columns are found by their names.

use super::scan::{fields, lines, unsigned};
use super::{ParseError, bounded};

const FILE: &str = "/proc/net/snmp";

/// TCP of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections established now.
    pub established: u64,
    /// Segments sent again since boot.
    pub retransmitted_segments: u64,
}

/// Parses `/proc/net/snmp`.
///
/// # Errors
/// When the two `Tcp:` lines, or one of their two columns that we need, are missing or no numbers.
pub fn parse(bytes: &[u8]) -> Result<TcpCounters, ParseError> {
    let mut names = None;
    for (number, line) in lines(bounded(FILE, bytes)?) {
        let Some(columns) = line.strip_prefix(b"Tcp:") else { continue };
        match names {
            None => names = Some(columns),
            Some(names) => return tcp(number, names, columns),
        }
    }
    Err(ParseError::whole(FILE, "the two lines that start with \"Tcp:\" are missing"))
}

fn tcp(number: usize, names: &[u8], values: &[u8]) -> Result<TcpCounters, ParseError> {
    let (mut established, mut retransmitted) = (None, None);
    for (name, value) in fields(names).zip(fields(values)) {
        let column = match name {
            b"CurrEstab" => &mut established,
            b"RetransSegs" => &mut retransmitted,
            _ => continue,
        };
        *column = match unsigned(value) {
            Some(value) => Some(value),
            None => return Err(ParseError::number(FILE, number, "a TCP counter", value)),
        };
    }
    match (established, retransmitted) {
        (Some(established), Some(retransmitted_segments)) => {
            Ok(TcpCounters { established, retransmitted_segments })
        }
        _ => Err(ParseError::line(FILE, number, "CurrEstab or RetransSegs is missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let tcp = parse(
            b"Ip: Forwarding\nIp: 1\nTcp: RtoMin MaxConn CurrEstab New RetransSegs More\n\
              Tcp: 200 -1 7 9 42\nUdp: x\n",
        )
        .unwrap();
        assert_eq!((tcp.established, tcp.retransmitted_segments), (7, 42));
        for (input, expected) in [
            (&b""[..], "/proc/net/snmp: the two lines that start with \"Tcp:\" are missing"),
            (
                b"Tcp: CurrEstab RetransSegs\n",
                "/proc/net/snmp: the two lines that start with \"Tcp:\" are missing",
            ),
            (
                b"Tcp: CurrEstab RetransSegs\nTcp: 1\n",
                "/proc/net/snmp, line 2: CurrEstab or RetransSegs is missing",
            ),
            (
                b"Tcp: CurrEstab RetransSegs\nTcp: 1 -2\n",
                "/proc/net/snmp, line 2: a TCP counter is not a number that fits: \"-2\"",
            ),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), expected);
        }
    }
}
