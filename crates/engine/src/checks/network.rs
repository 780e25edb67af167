//! Network: round trips, links, errors.

use sickbay_model::catalogue as metric;
use sickbay_model::{NetworkInterface, Status, Unit};

use crate::checks::CheckKind;
use crate::input::{Input, ProbeSlot};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::NodeFacts;
use crate::text::Quantity;

/// Round trips and losses per target.
pub(super) fn latency(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    for (target, milliseconds) in input.frame.instances(metric::LATENCY) {
        let quantity = Quantity {
            subject: "median round trip to",
            of: target,
            metric: "latency_ms",
            unit: Unit::Milliseconds,
            far_end: 10_000.0,
            well: "round trips are short",
            advice: Some("check the path to the target for load and faults (mtr)"),
        };
        close_named(judge, CheckKind::Latency, milliseconds, &quantity);
    }
    for (target, percent) in input.frame.instances(metric::LATENCY_LOSS) {
        let quantity = Quantity {
            subject: "unanswered round trips to",
            of: target,
            metric: "latency_loss_percent",
            unit: Unit::Percent,
            far_end: 100.0,
            well: "round trips are answered",
            advice: Some("check that the target is up and the path to it (mtr)"),
        };
        close_named(judge, CheckKind::LatencyLoss, percent, &quantity);
    }
}

/// Judges a value of a named thing.
fn close_named(judge: &mut Judge<'_>, kind: CheckKind, value: f64, quantity: &Quantity<'_>) {
    let Some(slot) = judge.open_instance(kind, quantity.of, kind.probe(), NO_GPU) else { return };
    judge.close_threshold(slot, value, quantity);
}

/// Links, errors and drops of interfaces with a device behind them, and of the default route's.
pub(super) fn interfaces(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let links = input.probes.links();
    for interface in &input.inventory.interfaces {
        if !interface.physical && !interface.default_route {
            continue;
        }
        if input.probes.at(links).answered() {
            link(input, interface, links, judge);
        }
        if input.probes.at(ProbeSlot::NETWORK).answered() {
            rates(input, interface, judge);
        }
    }
}

/// A link that was seen up must stay up. A port that never had a cable is none of our business,
/// though it may be administratively up.
fn link(input: &Input<'_>, interface: &NetworkInterface, feed: ProbeSlot, judge: &mut Judge<'_>) {
    let (kind, name) = (CheckKind::InterfaceLink, &*interface.name);
    if !interface.administratively_up {
        if judge.remembers(kind, name)
            && let Some(slot) = judge.open_instance(kind, name, feed, NO_GPU)
        {
            judge.retire(slot);
        }
        return;
    }
    let Some(up) = input.frame.get_instance(metric::NETWORK_LINK_UP, name) else { return };
    let Some(slot) = judge.open_instance(kind, name, feed, NO_GPU) else { return };
    let seen_up = judge.note(slot, up > 0.0);
    let answer = if up > 0.0 {
        Answer::healthy("the link is up")
    } else if !seen_up && !interface.default_route {
        Answer::healthy("no link was ever seen on it")
    } else {
        Answer::finding(Status::Unhealthy, format!("{name} has lost its link"))
            .advice("check the cable, the transceiver and the switch port")
            .evidence("network_link_up", "0".to_owned(), Some("1".to_owned()))
    };
    judge.close(slot, answer);
}

/// Packets with errors and packets dropped, both ways together.
fn rates(input: &Input<'_>, interface: &NetworkInterface, judge: &mut Judge<'_>) {
    let name = &*interface.name;
    let both = |receive, transmit| {
        let receive = input.frame.get_instance(receive, name)?;
        Some(receive + input.frame.get_instance(transmit, name)?)
    };
    if let Some(rate) = both(metric::NETWORK_RECEIVE_ERRORS, metric::NETWORK_TRANSMIT_ERRORS) {
        let quantity = Quantity {
            subject: "packets with errors on",
            of: name,
            metric: "network_errors_per_second",
            unit: Unit::PerSecond,
            far_end: 100_000.0,
            well: "packets arrive without errors",
            advice: Some("check the cable and the transceiver (ethtool -S)"),
        };
        close_named(judge, CheckKind::InterfaceErrors, rate, &quantity);
    }
    if let Some(rate) = both(metric::NETWORK_RECEIVE_DROPS, metric::NETWORK_TRANSMIT_DROPS) {
        let quantity = Quantity {
            subject: "packets dropped on",
            of: name,
            metric: "network_drops_per_second",
            unit: Unit::PerSecond,
            far_end: 100_000.0,
            well: "packets are hardly dropped",
            advice: Some("raise the ring buffer (ethtool -G) or spread interrupts over more cores"),
        };
        close_named(judge, CheckKind::InterfaceDrops, rate, &quantity);
    }
}

/// A default route that was there is still there, and its interface has a link.
pub(super) fn default_route(input: &Input<'_>, _facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let kind = CheckKind::DefaultRoute;
    let feed = input.probes.links();
    if !input.probes.at(feed).answered() {
        return;
    }
    let interface = input.inventory.interfaces.iter().find(|interface| interface.default_route);
    let Some(interface) = interface else {
        if judge.remembers(kind, "")
            && let Some(slot) = judge.open_instance(kind, "", feed, NO_GPU)
        {
            let answer = Answer::finding(Status::Critical, "the default route is gone")
                .points(0.0)
                .advice("check the interface that it went through, and DHCP");
            judge.close(slot, answer);
        }
        return;
    };
    let Some(up) = input.frame.get_instance(metric::NETWORK_LINK_UP, &interface.name) else {
        return;
    };
    let Some(slot) = judge.open_instance(kind, "", feed, NO_GPU) else { return };
    let answer = if up > 0.0 {
        Answer::healthy("the default route's link is up")
    } else {
        let name = &interface.name;
        Answer::finding(
            Status::Critical,
            format!("the default route leaves through {name}, which has no link"),
        )
        .points(0.0)
        .advice("check the cable, the transceiver and the switch port")
        .evidence("network_link_up", "0".to_owned(), Some("1".to_owned()))
    };
    judge.close(slot, answer);
}
