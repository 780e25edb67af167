//! The fleet in a few numbers: never cut, however many nodes there are.

use sickbay_model::Level;
use sickbay_wire::v1::{BreakerCounts, LevelCounts};

use super::encoder::{Encoder, Family, Type};
use super::verdicts::flag;
use crate::fleet::FleetSnapshot;
use crate::view;

/// Writes the system's score, and how many nodes are how.
pub(super) fn write(out: &mut Encoder, snapshot: &FleetSnapshot) {
    write_system(out, snapshot);
    let (mut levels, mut breakers) = (LevelCounts::default(), BreakerCounts::default());
    let mut ready = 0_u32;
    for (_, detail) in view::shown_nodes(snapshot) {
        view::count_level(&mut levels, detail.summary.level);
        ready += u32::from(detail.summary.ready == Some(true));
    }
    // Of what was never collected nothing is known.
    let unseen = snapshot.nodes.keys().filter(|id| !snapshot.resources.contains_key(*id));
    levels.unknown += u32::try_from(unseen.count()).unwrap_or(u32::MAX);
    for entry in snapshot.nodes.values() {
        if let Some(breaker) = &entry.breaker {
            view::count_breaker(&mut breakers, breaker.state());
        }
    }
    let LevelCounts { healthy, degraded, unhealthy, critical, unknown } = levels;
    let counts = [healthy, degraded, unhealthy, critical, unknown];
    let counts: Vec<_> = Level::ALL.iter().map(|level| level.as_str()).zip(counts).collect();
    by_word(out, "sickbay_fleet_nodes", "Nodes, by level.", "level", &counts);
    let BreakerCounts { closed, half_open, open } = breakers;
    let counts = [("closed", closed), ("half_open", half_open), ("open", open)];
    by_word(out, "sickbay_fleet_breakers", "Breakers of nodes, by state.", "state", &counts);
    for (name, help, value) in [
        ("sickbay_fleet_ready_nodes", "Nodes on which work may be started.", f64::from(ready)),
        (
            "sickbay_fleet_doubt",
            "1 while the hub doubts that it sees the fleet as it is.",
            flag(snapshot.doubt.is_some()),
        ),
    ] {
        out.family(&Family { name, kind: Type::Gauge, unit: None, help });
        out.sample(&[], value);
    }
}

fn by_word(out: &mut Encoder, name: &str, help: &str, label: &str, counts: &[(&str, u32)]) {
    out.family(&Family { name, kind: Type::Gauge, unit: None, help });
    for (word, count) in counts {
        out.sample(&[(label, word)], f64::from(*count));
    }
}

fn write_system(out: &mut Encoder, snapshot: &FleetSnapshot) {
    out.family(&Family {
        name: "sickbay_system_score",
        kind: Type::Gauge,
        unit: None,
        help: "Health score of the whole system, 0 to 100; absent while unknown.",
    });
    if let Some(score) = snapshot.system.score {
        out.sample(&[], score);
    }
    out.family(&Family {
        name: "sickbay_system_level",
        kind: Type::StateSet,
        unit: None,
        help: "How well the whole system is.",
    });
    out.states(&[], &Level::ALL.map(Level::as_str), snapshot.system.level.as_str());
    out.family(&Family {
        name: "sickbay_system_part_points",
        kind: Type::Gauge,
        unit: None,
        help: "How well a part of the system's score is, 0 to 100; absent where it does not apply.",
    });
    for part in &snapshot.system.parts {
        if let Some(points) = part.points {
            out.sample(&[("part", &part.name)], points);
        }
    }
}
