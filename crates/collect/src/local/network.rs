//! Network traffic per interface, and TCP.
//!
//! What a driver must be asked for (carrier, speed) is in [`super::links`], because that can hang.

use std::collections::HashMap;
use std::time::Duration;

use sickbay_model::catalogue::{
    NETWORK_RECEIVE, NETWORK_RECEIVE_DROPS, NETWORK_RECEIVE_ERRORS, NETWORK_TRANSMIT,
    NETWORK_TRANSMIT_DROPS, NETWORK_TRANSMIT_ERRORS, TCP_ESTABLISHED, TCP_RETRANSMITS,
};
use sickbay_model::{ProbeError, ProbeId, probe};

use super::LocalCollector;
use super::rate::{Previous, per_second, seconds_between};
use super::read::KernelFile;
use crate::parse::net_dev::InterfaceCounters;
use crate::parse::{net_dev, printable, snmp};
use crate::{Roots, Sample};

/// The most interfaces that are reported; more are left out, and said so in the log.
pub(super) const MAX_INTERFACES: usize = 512;

/// The longest interface name that is kept, in characters; the kernel's limit is 15 bytes.
pub(super) const MAX_NAME_CHARACTERS: usize = 32;

/// Interfaces that come and go with containers and virtual machines. Reporting them would give the
/// node ever new series, and what goes through them is counted at the devices behind them.
pub(crate) const PASSING: [&[u8]; 6] = [b"veth", b"cali", b"lxc", b"tap", b"vnet", b"ifb"];

/// Whether an interface is reported: not the loopback, and none that comes and goes.
pub(super) fn is_reported(name: &[u8]) -> bool {
    name != b"lo" && !PASSING.iter().any(|prefix| name.starts_with(prefix))
}

/// Collects traffic counters.
#[derive(Debug)]
pub(super) struct Network {
    dev_file: KernelFile,
    snmp_file: KernelFile,
    known: HashMap<Box<[u8]>, Known>,
    previous_at: Option<Duration>,
    previous_retransmits: Option<Previous<u64>>,
    overflow_said: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            dev_file: KernelFile::new("net/dev"),
            snmp_file: KernelFile::new("net/snmp"),
            known: HashMap::new(),
            previous_at: None,
            previous_retransmits: None,
            overflow_said: false,
        }
    }
}

/// What is remembered of an interface.
#[derive(Debug)]
struct Known {
    shown: Box<str>,
    /// In the order of [`METRICS`].
    counters: [u64; 6],
    seen: bool,
}

const METRICS: [sickbay_model::MetricId; 6] = [
    NETWORK_RECEIVE,
    NETWORK_TRANSMIT,
    NETWORK_RECEIVE_ERRORS,
    NETWORK_TRANSMIT_ERRORS,
    NETWORK_RECEIVE_DROPS,
    NETWORK_TRANSMIT_DROPS,
];

fn counters(line: &InterfaceCounters<'_>) -> [u64; 6] {
    [
        line.receive_bytes,
        line.transmit_bytes,
        line.receive_errors,
        line.transmit_errors,
        line.receive_drops,
        line.transmit_drops,
    ]
}

impl LocalCollector for Network {
    fn probe(&self) -> ProbeId {
        probe::NETWORK
    }

    fn collect(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        let parsed = net_dev::parse(self.dev_file.read(roots)?);
        let lines = match parsed {
            Ok(lines) => lines,
            Err(error) => return Err(self.dev_file.malformed(roots, &error)),
        };
        let seconds = self.previous_at.and_then(|at| seconds_between(at, monotonic));
        for line in lines.iter().filter(|line| is_reported(line.name)) {
            let now = counters(line);
            if let Some(known) = self.known.get_mut(line.name) {
                known.seen = true;
                let earlier = std::mem::replace(&mut known.counters, now);
                for ((metric, earlier), later) in METRICS.into_iter().zip(earlier).zip(now) {
                    out.put_some(metric, &known.shown, per_second(earlier, later, seconds));
                }
            } else if self.known.len() < MAX_INTERFACES {
                let shown = printable(line.name, MAX_NAME_CHARACTERS).into();
                let known = Known { shown, counters: now, seen: true };
                self.known.insert(line.name.into(), known);
            } else if !std::mem::replace(&mut self.overflow_said, true) {
                tracing::warn!(limit = MAX_INTERFACES, "more network interfaces than are reported");
            }
        }
        self.known.retain(|_, known| std::mem::take(&mut known.seen));
        self.previous_at = Some(monotonic);
        let ended = self.collect_tcp(roots, monotonic, out);
        out.part(ended);
        Ok(())
    }
}

impl Network {
    fn collect_tcp(
        &mut self,
        roots: &Roots,
        monotonic: Duration,
        out: &mut Sample,
    ) -> Result<(), ProbeError> {
        // A kernel without IPv4 has no such file.
        let Some(bytes) = self.snmp_file.read_if_there(roots)? else { return Ok(()) };
        let parsed = snmp::parse(bytes);
        let tcp = parsed.map_err(|error| self.snmp_file.malformed(roots, &error))?;
        out.put(TCP_ESTABLISHED, "", tcp.established as f64);
        let counters = tcp.retransmitted_segments;
        if let Some(previous) = self.previous_retransmits {
            let seconds = seconds_between(previous.at, monotonic);
            out.put_some(TCP_RETRANSMITS, "", per_second(previous.counters, counters, seconds));
        }
        self.previous_retransmits = Some(Previous { at: monotonic, counters });
        Ok(())
    }
}
