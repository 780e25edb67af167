//! Ports of InfiniBand and RoCE adapters: link, rate, errors, and whether the adapter is there.
//!
//! A port that was never active is none of our business: on-board ports are often not cabled. Counts
//! are history; their growth is what is judged, and acknowledge timeouts alone are not.

use sickbay_model::catalogue as metric;
use sickbay_model::{MetricId, Status, Timestamp, Unit};

use super::growth;
use crate::checks::CheckKind;
use crate::growth::Grown;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{MAX_PORTS, NodeFacts, PortMemory, adapter_of};
use crate::text;

/// The least state in which a port carries traffic (InfiniBand specification: active).
const ACTIVE: f64 = 4.0;
/// The most flaps whose times are remembered of a port.
const MAX_FLAPS: usize = 32;
/// What two rates may differ by and still be the same: what rounding does.
const RATE_TOLERANCE: f64 = 0.99;

/// Counters any growth of which is a finding, and what it says.
const SERIOUS: [(MetricId, &str, &str); 4] = [
    (metric::INFINIBAND_LINK_DOWNED, "infiniband_link_downed_total", "lost its link"),
    (metric::INFINIBAND_BUFFER_OVERRUNS, "infiniband_buffer_overruns_total", "had buffers overrun"),
    (
        metric::INFINIBAND_INTEGRITY_ERRORS,
        "infiniband_link_integrity_errors_total",
        "had too many errors on its link",
    ),
    (
        metric::INFINIBAND_RETRIES_EXCEEDED,
        "infiniband_rnr_retries_exceeded_total",
        "used up its retries to a receiver that was not ready",
    ),
];

/// Every port that is there, and those that were.
pub(super) fn ports(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let probe = input.probes.at(ProbeSlot::INFINIBAND);
    if !probe.answered() && (probe.applies() || facts.ports.is_empty()) {
        return;
    }
    let states: Vec<(&str, f64)> = if probe.answered() {
        input.frame.instances(metric::INFINIBAND_STATE).collect()
    } else {
        Vec::new()
    };
    if probe.fresh && probe.missed.is_none() {
        recognise(input, &states, &mut facts.ports);
    }
    for (place, &(name, state)) in states.iter().enumerate() {
        let Some(port) = facts.ports.iter_mut().find(|port| port.name == name) else { continue };
        if probe.fresh {
            port.see(state >= ACTIVE, input);
        }
        link(input, port, state, judge);
        rate(input, port, place, state, judge);
        errors(input, facts, name, place, judge);
    }
    gone(input, &facts.ports, judge);
}

/// Brings the list of ports up to date.
fn recognise(input: &Input<'_>, states: &[(&str, f64)], ports: &mut Vec<PortMemory>) {
    let known = ports.len();
    for port in ports.iter_mut() {
        let is_there = states.iter().any(|(name, _)| *name == port.name);
        port.gone_since = if is_there { None } else { port.gone_since.or(Some(input.at)) };
    }
    for (name, _) in states {
        if ports.len() < MAX_PORTS && !ports.iter().any(|port| port.name == *name) {
            ports.push(PortMemory { name: (*name).to_owned(), ..PortMemory::default() });
        }
    }
    // As many as before: they have other names now, or were swapped.
    let swapped = states.len() >= known;
    let missed_for = input.policy.hardware.missed_for;
    ports.retain(|port| {
        port.gone_since.is_none_or(|since| !swapped && input.at.since(since) <= missed_for)
    });
}

impl PortMemory {
    /// What it does for a week is what it does.
    fn learn_rate(&mut self, rate: f64, input: &Input<'_>) {
        if rate >= self.rate * RATE_TOLERANCE {
            self.rate = self.rate.max(rate);
            self.slower_since = None;
            return;
        }
        let since = self.slower_since.map_or(input.at, |since| since.min(input.at));
        self.slower_since = Some(since);
        if input.at.since(since) > input.policy.hardware.missed_for {
            (self.rate, self.slower_since) = (rate, None);
        }
    }

    fn see(&mut self, active: bool, input: &Input<'_>) {
        let policy = &input.policy.hardware;
        if !active {
            self.down_since = Some(self.down_since.map_or(input.at, |since| since.min(input.at)));
            return;
        }
        let down = self.down_since.take().map(|since| input.at.since(since));
        if self.was_active && down.is_some_and(|down| down >= policy.port_flap_down) {
            if self.flaps.len() >= MAX_FLAPS {
                self.flaps.remove(0);
            }
            self.flaps.push(input.at);
        }
        self.was_active = true;
        self.flaps.retain(|at| *at <= input.at && input.at.since(*at) <= policy.port_flap_window);
    }
}

fn link(input: &Input<'_>, port: &PortMemory, state: f64, judge: &mut Judge<'_>) {
    const CABLE: &str =
        "check the cable, the transceiver and the switch port (ibstat, mlxlink -d ADAPTER)";
    let (kind, name) = (CheckKind::InfinibandLink, &*port.name);
    let Some(slot) = judge.open_instance(kind, name, ProbeSlot::INFINIBAND, NO_GPU) else { return };
    let policy = &input.policy.hardware;
    if state < ACTIVE && port.was_active {
        let down = port.down_since.map_or(std::time::Duration::ZERO, |at| input.at.since(at));
        let is_long = down >= policy.port_down;
        if !is_long && input.is_settling() {
            judge.close_well(slot, "the node has just booted; links come up");
            return;
        }
        let physical = input.frame.get_instance(metric::INFINIBAND_PHYSICAL_STATE, name);
        let how = physical.map_or("", physical_state);
        let lasted = text::duration(down);
        let status = if is_long { Status::Critical } else { Status::Degraded };
        let message = format!("port {name} was active and is down{how}, for {lasted}");
        let limit = text::duration(policy.port_down);
        let mut answer = Answer::finding(status, message).advice(CABLE).evidence(
            "infiniband_state",
            text::number(state, Unit::Count),
            Some("4".to_owned()),
        );
        answer = answer.evidence("down for", lasted, Some(limit));
        if is_long {
            answer = answer.points(0.0).proof();
        }
        judge.close(slot, answer);
        return;
    }
    let flaps = port.flaps.len();
    let answer = if state < ACTIVE {
        Answer::healthy("no link was ever seen on it")
    } else if u32::try_from(flaps).unwrap_or(u32::MAX) >= policy.port_flaps {
        let window = text::duration(policy.port_flap_window);
        Answer::finding(
            Status::Degraded,
            format!("port {name} went down and came back {flaps} times within {window}"),
        )
        .proof()
        .advice("clean or replace its cable or transceiver; then look at the switch port")
        .evidence("flaps", flaps.to_string(), Some(policy.port_flaps.to_string()))
    } else {
        Answer::healthy("the port is active")
    };
    judge.close(slot, answer);
}

fn physical_state(number: f64) -> &'static str {
    match number {
        number if number < 1.5 => " (asleep)",
        number if number < 2.5 => " (it looks for a partner)",
        number if number < 3.5 => " (disabled)",
        number if number < 4.5 => " (in training)",
        number if number < 5.5 => " (linked, but not active: is there a subnet manager?)",
        _ => " (it recovers from errors)",
    }
}

/// As fast as its peers, and as it was itself.
fn rate(input: &Input<'_>, port: &mut PortMemory, place: usize, state: f64, judge: &mut Judge<'_>) {
    let kind = CheckKind::InfinibandRate;
    if state < ACTIVE {
        if judge.remembers(kind, &port.name)
            && let Some(slot) = judge.open_instance(kind, &port.name, ProbeSlot::INFINIBAND, NO_GPU)
        {
            // That it is down is told already.
            judge.retire(slot);
        }
        return;
    }
    let get = |metric| input.frame.get_near(metric, &port.name, place);
    let peers = get(metric::INFINIBAND_PEERS_RATE);
    let Some(rate) = get(metric::INFINIBAND_RATE) else { return };
    port.learn_rate(rate, input);
    let name = &*port.name;
    let Some(slot) = judge.open_instance(kind, name, ProbeSlot::INFINIBAND, NO_GPU) else { return };
    let gigabits = |rate: f64| format!("{} Gb/s", text::number(rate / 125e6, Unit::Count));
    let is_slower = |than: &f64| rate < than * RATE_TOLERANCE;
    let (message, limit) = match (peers.filter(is_slower), Some(port.rate).filter(is_slower)) {
        (Some(peers), _) => (
            format!(
                "port {name} runs at {} where its peers run at {}",
                gigabits(rate),
                gigabits(peers)
            ),
            peers,
        ),
        (None, Some(before)) => (
            format!(
                "port {name} runs at {} and ran at {} before",
                gigabits(rate),
                gigabits(before)
            ),
            before,
        ),
        (None, None) => {
            judge.close_well(slot, "as fast as its peers, and as before");
            return;
        }
    };
    let answer = Answer::finding(Status::Degraded, message)
        .advice("reset the port; if it comes up as slow, replace the cable or the transceiver")
        .evidence("infiniband_rate_bytes_per_second", gigabits(rate), Some(gigabits(limit)));
    judge.close(slot, answer);
}

fn errors(
    input: &Input<'_>,
    facts: &mut NodeFacts,
    name: &str,
    place: usize,
    judge: &mut Judge<'_>,
) {
    let mut settled = |counter| growth::settled(input, &mut facts.growths, counter, name, place);
    let serious = SERIOUS.map(|(counter, ..)| settled(counter));
    let symbols = settled(metric::INFINIBAND_SYMBOL_ERRORS);
    if symbols.is_none() && serious.iter().all(Option::is_none) {
        return;
    }
    let kind = CheckKind::InfinibandErrors;
    let Some(slot) = judge.open_instance(kind, name, ProbeSlot::INFINIBAND, NO_GPU) else { return };
    let told = SERIOUS.iter().zip(serious);
    let told: Vec<_> = told
        .filter_map(|((_, what, says), grown)| Some((*what, *says, grown?.by)))
        .filter(|(.., by)| *by > 0.0)
        .collect();
    let steady = |symbols: Grown| {
        growth::steady(input, symbols, "infiniband_symbol_errors_total", |count, window| {
            format!("port {name} had {count} symbol errors within {window}")
        })
    };
    let finding = match told.first() {
        Some((_, says, _)) => {
            let window = text::duration(input.policy.hardware.error_window);
            let message = format!("port {name} {says}, within the last {window}");
            Some(Answer::finding(Status::Unhealthy, message).proof())
        }
        None => symbols.and_then(steady),
    };
    let Some(mut finding) = finding else {
        judge.close_well(slot, "its error counters stand still");
        return;
    };
    for (what, _, by) in told {
        let by = text::number(by, Unit::Count);
        finding = finding.evidence(what, format!("+{by}"), Some("0".to_owned()));
    }
    judge.close(
        slot,
        finding.advice("check the cable, the transceiver and the switch port (perfquery, mlxlink)"),
    );
}

/// Adapters that were there and are gone.
fn gone(input: &Input<'_>, ports: &[PortMemory], judge: &mut Judge<'_>) {
    let answered = input.probes.at(ProbeSlot::INFINIBAND).answered();
    let feed = if answered { ProbeSlot::INFINIBAND } else { ProbeSlot::HOST };
    let kind = CheckKind::HardwareChanged;
    let was_gone = judge.remembers_any(kind);
    for port in ports {
        let adapter = adapter_of(&port.name);
        let Some(since) = port.gone_since else {
            if was_gone
                && judge.remembers(kind, adapter)
                && let Some(slot) = judge.open_always(kind, adapter, feed, NO_GPU)
            {
                judge.close_well(slot, "the adapter is there");
            }
            continue;
        };
        if input.is_settling() && !judge.remembers(kind, adapter) {
            continue;
        }
        if let Some(slot) = judge.open_always(kind, adapter, feed, NO_GPU) {
            judge.close(slot, adapter_gone(adapter, since, input.at));
        }
    }
}

fn adapter_gone(adapter: &str, since: Timestamp, now: Timestamp) -> Answer {
    let ago = text::duration(now.since(since));
    Answer::finding(
        Status::Critical,
        format!("network adapter {adapter} was there and is gone, for {ago}"),
    )
    .points(0.0)
    .proof()
    .advice("compare with lspci; look for PCIe and mlx5 lines in dmesg; reboot; gone again → reseat or replace it")
    .evidence("adapter", adapter.to_owned(), None)
}
