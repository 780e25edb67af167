//! Round-trip times to the configured targets, else to the default gateway.
//!
//! One round trip per target and round; the median of the last five is the reading. A gateway that
//! nobody configured and that never answered proves nothing (many answer no echo requests): it is
//! not applicable. One that answered before and stopped is a failure, as is any configured target
//! that does not answer.

mod echo;
mod measure;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use echo::any_packet;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use futures_util::future::join_all;
use sickbay_model::catalogue::{LATENCY, LATENCY_LOSS};
use sickbay_model::{
    Advice, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport, Timestamp, probe,
};
use sickbay_runtime::Clock;

use crate::parse::route;
use crate::settings::LatencyTarget;
use crate::{Roots, Sample};
use measure::Lost;

/// How many round trips the median is taken of.
const KEPT_ROUND_TRIPS: usize = 5;
/// How long a configured target may take to answer.
const TARGET_LIMIT: Duration = Duration::from_secs(1);
/// How long a gateway may take: it is one hop away, and the first collection waits for it.
const GATEWAY_LIMIT: Duration = Duration::from_millis(300);
/// How long a name may take to be resolved.
const RESOLVE_LIMIT: Duration = Duration::from_secs(2);
/// How long a resolved name is good for.
const RESOLVED_FOR: Duration = Duration::from_secs(60);
/// How often a gateway is asked that never answered.
const SILENT_GATEWAY_INTERVAL: Duration = Duration::from_secs(60);
/// The most targets that are asked.
const MAX_TARGETS: usize = 32;

/// Measures round trips on its own clock.
pub(crate) struct Latency {
    roots: Roots,
    interval: Duration,
    configured: bool,
    targets: Vec<Target>,
    due: Duration,
    sequence: u16,
    last: Option<(ProbeReport, Sample)>,
}

impl Latency {
    pub(crate) fn new(roots: Roots, targets: &[LatencyTarget], interval: Duration) -> Self {
        Self {
            roots,
            interval,
            configured: !targets.is_empty(),
            targets: targets.iter().take(MAX_TARGETS).cloned().map(Target::configured).collect(),
            due: Duration::ZERO,
            sequence: 0,
            last: None,
        }
    }

    /// Measures if it is time to.
    pub(crate) async fn run(&mut self, clock: &Clock) {
        let now = clock.monotonic();
        if self.due > now {
            return;
        }
        self.due = now + self.interval.mul_f64(0.9);
        let mut outcome = None;
        if !self.configured
            && let Err(no_gateway) = self.find_gateway()
        {
            self.targets.clear();
            outcome = Some(no_gateway);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        join_all(self.targets.iter_mut().map(|target| target.measure(sequence, clock))).await;
        let silent_gateway = |target: &Target| !self.configured && !target.ever_answered;
        if self.targets.iter().any(silent_gateway) {
            self.due = now + SILENT_GATEWAY_INTERVAL;
        }
        let mut sample = Sample::default();
        for target in self.targets.iter().filter(|&target| !silent_gateway(target)) {
            target.put(&mut sample);
        }
        let report = ProbeReport {
            probe: probe::LATENCY,
            outcome: outcome.unwrap_or_else(|| judge(&self.targets, self.configured)),
            at: Timestamp::from_unix_ms(clock.now_ms()),
            took: clock.monotonic().saturating_sub(now),
        };
        self.last = Some((report, sample));
    }

    /// The last report and its readings.
    pub(crate) fn last(&self) -> Option<&(ProbeReport, Sample)> {
        self.last.as_ref()
    }

    /// The gateway that is measured, if it is one.
    pub(crate) fn gateway(&self) -> Option<&str> {
        self.targets.first().filter(|_| !self.configured).map(|target| target.name.as_str())
    }

    /// Makes the default gateway the one target; another gateway is another target.
    fn find_gateway(&mut self) -> Result<(), ProbeOutcome> {
        let Some(address) = default_gateway(&self.roots)? else {
            return Err(ProbeOutcome::NotApplicable(
                "there is no default gateway; set latency.targets".into(),
            ));
        };
        if self.targets.first().and_then(|target| target.address()) != Some(address) {
            self.targets = vec![Target::gateway(address)];
        }
        Ok(())
    }
}

fn judge(targets: &[Target], configured: bool) -> ProbeOutcome {
    let mut failed = targets.iter().filter_map(|target| Some((target, target.lost.as_ref()?)));
    let Some((target, lost)) = failed.next() else { return ProbeOutcome::Answered };
    let name = &target.name;
    if !configured && !target.ever_answered {
        let reason = match lost {
            Lost::Silent => "does not answer echo requests".to_owned(),
            Lost::Forbidden => "cannot be asked: echo requests are not permitted here".to_owned(),
            Lost::Refused(why) => format!("cannot be asked ({why})"),
        };
        let reason = format!("the gateway {name} {reason}; set latency.targets");
        return ProbeOutcome::NotApplicable(reason.into());
    }
    let what = if configured { "the latency target" } else { "the gateway" };
    let (kind, message) = match lost {
        Lost::Silent => (ProbeErrorKind::Unreachable, format!("{what} {name} does not answer")),
        Lost::Forbidden => {
            (ProbeErrorKind::Denied, format!("may not send echo requests to {what} {name}"))
        }
        Lost::Refused(why) => (ProbeErrorKind::Unreachable, format!("{what} {name}: {why}")),
    };
    let more = failed.count();
    let message = if more > 0 { format!("{message}; and {more} more") } else { message };
    let advice = (*lost == Lost::Forbidden).then(|| {
        Advice(
            "widen net.ipv4.ping_group_range, grant CAP_NET_RAW, or give the target as \
             tcp:HOST:PORT"
                .into(),
        )
    });
    ProbeOutcome::Failed(ProbeError { kind, message, advice })
}

/// One target and its last round trips.
struct Target {
    name: String,
    host: String,
    port: Option<u16>,
    may_echo: bool,
    limit: Duration,
    resolved: Option<(SocketAddr, Duration)>,
    /// `None` for one that was lost.
    round_trips: VecDeque<Option<Duration>>,
    ever_answered: bool,
    /// Why the last one was lost, if it was.
    lost: Option<Lost>,
}

impl Target {
    fn configured(target: LatencyTarget) -> Self {
        Self {
            name: target.as_str().to_owned(),
            host: target.host().to_owned(),
            port: target.port(),
            may_echo: target.may_echo(),
            limit: TARGET_LIMIT,
            resolved: None,
            round_trips: VecDeque::new(),
            ever_answered: false,
            lost: None,
        }
    }

    fn gateway(address: SocketAddr) -> Self {
        Self {
            name: address.ip().to_string(),
            host: String::new(),
            port: None,
            may_echo: true,
            limit: GATEWAY_LIMIT,
            resolved: Some((address, Duration::MAX)),
            round_trips: VecDeque::new(),
            ever_answered: false,
            lost: None,
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.resolved.map(|(address, _)| address)
    }

    async fn measure(&mut self, sequence: u16, clock: &Clock) {
        let ended = self.round_trip(sequence, clock).await;
        if self.round_trips.len() >= KEPT_ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.ever_answered |= ended.is_ok();
        self.round_trips.push_back(ended.as_ref().ok().copied());
        self.lost = ended.err();
    }

    async fn round_trip(&mut self, sequence: u16, clock: &Clock) -> Result<Duration, Lost> {
        let address = self.resolve(clock).await?;
        if self.may_echo {
            let token = u64::try_from(clock.monotonic().as_nanos()).unwrap_or(u64::MAX);
            let ended = measure::echo(address, sequence, token.to_be_bytes(), self.limit).await;
            match (ended, self.port) {
                // Echo requests do not work here, but there is a port to try from now on.
                (Err(_), Some(_)) if !self.ever_answered => self.may_echo = false,
                (ended, _) => return ended,
            }
        }
        measure::connect(address, self.limit).await
    }

    async fn resolve(&mut self, clock: &Clock) -> Result<SocketAddr, Lost> {
        let now = clock.monotonic();
        if let Some((address, until)) = self.resolved
            && now < until
        {
            return Ok(address);
        }
        let fresh = measure::resolve(&self.host, self.port.unwrap_or(0), RESOLVE_LIMIT).await;
        match (fresh, self.resolved) {
            (Ok(address), _) => {
                self.resolved = Some((address, now + RESOLVED_FOR));
                Ok(address)
            }
            // A name server that is down says nothing about the target.
            (Err(_), Some((address, _))) => Ok(address),
            (Err(lost), None) => Err(lost),
        }
    }

    fn put(&self, sample: &mut Sample) {
        let mut answered: Vec<_> = self.round_trips.iter().flatten().copied().collect();
        answered.sort_unstable();
        if let Some(median) = median(&answered) {
            sample.put(LATENCY, &self.name, median.as_secs_f64() * 1000.0);
        }
        let all = self.round_trips.len();
        if all > 0 {
            #[expect(clippy::cast_precision_loss, reason = "at most five")]
            let loss = (all - answered.len()) as f64 / all as f64 * 100.0;
            sample.put(LATENCY_LOSS, &self.name, loss);
        }
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(sorted: &[Duration]) -> Option<Duration> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some((lower + upper) / 2)
}

/// The gateway of the default route: IPv4's, else IPv6's.
fn default_gateway(roots: &Roots) -> Result<Option<SocketAddr>, ProbeOutcome> {
    let malformed = |error: crate::parse::ParseError| {
        ProbeOutcome::Failed(ProbeError {
            kind: ProbeErrorKind::Malformed,
            message: error.to_string(),
            advice: None,
        })
    };
    if let Ok(bytes) = std::fs::read(roots.proc.join("net/route")) {
        let routes = route::parse(&bytes).map_err(malformed)?;
        if let Some(gateway) = routes.iter().find_map(|route| route.gateway) {
            return Ok(Some(SocketAddr::new(gateway, 0)));
        }
    }
    let Ok(bytes) = std::fs::read(roots.proc.join("net/ipv6_route")) else { return Ok(None) };
    let routes = route::parse_v6(&bytes).map_err(malformed)?;
    Ok(routes.iter().find_map(|route| match route.gateway? {
        IpAddr::V6(gateway) => {
            // Gateways are link-local: without their interface they cannot be reached.
            let scope = interface_index(roots, route.interface).unwrap_or(0);
            Some(SocketAddr::V6(SocketAddrV6::new(gateway, 0, 0, scope)))
        }
        IpAddr::V4(_) => None,
    }))
}

fn interface_index(roots: &Roots, name: &[u8]) -> Option<u32> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(name);
    let path = roots.sys.join("class/net").join(name).join("ifindex");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
