//! How a departure is worded, and what to do about it.

use std::fmt::Write as _;

use sickbay_model::Evidence;

use super::cause::Cause;
use super::compare::{Departure, Outlier};
use super::metric::PeerMetric;
use crate::text;

/// What a finding says of a member: `GPU 3 is slower than its 15 peers: SM clock 1155 MHz, theirs
/// 1980 MHz (1965–1980), for 12 min`.
pub(crate) fn sentence(
    subject: &str,
    cause: Cause,
    departures: &[Departure],
    throttled_percent: f64,
) -> String {
    let verb = match cause {
        Cause::HotAndSlow => "is hotter and slower than",
        Cause::SlowGpu => "is slower than",
        Cause::Waits => "does less work than",
        Cause::Hot => "is hotter than",
        Cause::Network => "has less traffic than",
        Cause::SlowStep => "takes longer for a step than",
    };
    let peers = departures.first().map_or(0, |it| it.peers);
    let mut text =
        format!("{subject} {verb} its {} of the same job: ", text::count(peers as usize, "peer"));
    for (place, departure) in departures.iter().enumerate() {
        let between = if place == 0 { "" } else { "; " };
        let (words, value, theirs) =
            (departure.metric.words(), value(departure), theirs(departure));
        let _ = write!(text, "{between}{words} {value}, theirs {theirs}");
    }
    if let Some(longest) = departures.iter().map(|it| it.minutes).max() {
        let _ = write!(text, ", for {longest} min");
    }
    if throttled_percent >= 1.0 {
        let _ = write!(text, "; it slowed itself down in {throttled_percent:.0} % of the looks");
    }
    text
}

/// The evidence of one departure: `1155 MHz` against `15 peers: 1980 MHz (1965–1980) for 12 min`.
pub(crate) fn evidence(departure: &Departure) -> Evidence {
    let peers = text::count(departure.peers as usize, "peer");
    let (theirs, minutes) = (theirs(departure), departure.minutes);
    Evidence {
        what: departure.metric.words().into(),
        value: value(departure),
        threshold: Some(format!("{peers}: {theirs} for {minutes} min")),
    }
}

impl Cause {
    /// What to do about it, in one sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::HotAndSlow => {
                "look at its cooling: fans, airflow, dust, the seat of the heatsink; take it out of the job if the job waits for it"
            }
            Self::SlowGpu => {
                "compare its clocks and power limit with a peer's (nvidia-smi -q -d CLOCK,POWER,PERFORMANCE); reset locked clocks and limits; if that is not it, drain and reset the GPU, then run diagnostics"
            }
            Self::Waits => {
                "look at what its process waits for: the data loader, the host's CPU and disks, a collective that hangs (py-spy dump, NCCL_DEBUG=INFO)"
            }
            Self::Hot => {
                "look at its cooling before it slows down: fans, airflow, dust, the seat of the heatsink"
            }
            Self::Network => {
                "look at its links: speed, width and errors of its PCIe slot and network ports, cables, the switch's counters"
            }
            Self::SlowStep => {
                "profile a step there and on a peer: nothing that is measured of the machine says why"
            }
        }
    }
}

impl Outlier {
    /// What is found, as a fragment that begins with what the member is called.
    #[must_use]
    pub fn message(&self, subject: &str) -> String {
        sentence(subject, self.cause, &self.departures, self.throttled_percent)
    }
}

fn value(departure: &Departure) -> String {
    text::number(rounded(departure.metric, departure.value), departure.metric.unit())
}

/// `1980 MHz (1965–1980)`.
fn theirs(departure: &Departure) -> String {
    let Departure { metric, median, low, high, .. } = *departure;
    let show = |value| text::number(rounded(metric, value), metric.unit());
    let (median, low, high) = (show(median), show(low), show(high));
    if low == high {
        return median;
    }
    // The unit once is enough, where it is the same.
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    let low = match unit(&low) == unit(&high) {
        true => low.split(' ').next().unwrap_or_default(),
        false => &low,
    };
    let high = match unit(&high) == unit(&median) && !low.contains(' ') {
        true => high.split(' ').next().unwrap_or_default(),
        false => &high,
    };
    format!("{median} ({low}–{high})")
}

/// What is measured in large numbers needs no decimal.
fn rounded(metric: PeerMetric, value: f64) -> f64 {
    match metric {
        PeerMetric::Clock | PeerMetric::Power | PeerMetric::Utilization => value.round(),
        _ => value,
    }
}
