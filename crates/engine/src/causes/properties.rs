//! What must hold of incidents, whatever was found.

use proptest::prelude::*;
use sickbay_model::{CheckId, Component};

use super::*;
use crate::memory::GpuMemory;

const START: i64 = 1_800_000_000_000;

/// Four cards: the last is gone, and the one before it has its index.
fn cards() -> NodeFacts {
    let card = |number: u32, index: u32| GpuMemory {
        key: format!("GPU-{number}"),
        index,
        vendor: sickbay_model::GpuVendor::Nvidia,
        model: "H100".to_owned(),
        pci_address: format!("0000:{:02x}:00.0", 0x10 + number),
        slowdown_limit: None,
        shutdown_limit: None,
        margin_limit: None,
        most_links: 0.0,
        hang_since: None,
        slowed: crate::window::MinuteMarks::default(),
        slow_link_since: None,
        missing_since: (number == 3).then_some(Timestamp::from_unix_ms(START)),
        was_missing: false,
        level: None,
        level_since: Timestamp::EPOCH,
    };
    NodeFacts { gpus: vec![card(0, 0), card(1, 1), card(2, 2), card(3, 2)], ..NodeFacts::default() }
}

/// Every check and code that a rule names, on some device.
fn found() -> impl Strategy<Value = Found> {
    let patterns: Vec<(String, String)> = RULES
        .iter()
        .flat_map(|rule| rule.root.iter().chain(&rule.explains).chain(&rule.also))
        .flat_map(|pattern| {
            let codes =
                if pattern.codes.is_empty() { vec![String::new()] } else { pattern.codes.clone() };
            codes.into_iter().map(|code| (pattern.check.clone(), code))
        })
        .collect();
    let device = prop::sample::select(vec![
        "",
        "0",
        "1",
        "2",
        "0000:11:00.1",
        "0000:99:00.0",
        "eth0",
        "mlx5_0/1",
        "mlx5_0",
        "memory",
    ]);
    let status = prop::sample::select(vec![
        Status::Healthy,
        Status::Degraded,
        Status::Unknown,
        Status::Unhealthy,
        Status::Critical,
    ]);
    let shown = status.clone().prop_filter("a finding is not healthy", |it| *it != Status::Healthy);
    (prop::sample::select(patterns), device, shown, status, 0..1200_i64).prop_map(
        |((check, code), device, status, confirmed, second)| {
            let instance = format!("{device} {code}").trim().to_owned();
            let since = Timestamp::from_unix_ms(START + second * 1000);
            let gpu =
                device.parse().ok().filter(|_| !check.starts_with("kernel")).unwrap_or(NO_GPU);
            let result = CheckResult {
                check: CheckId(check.into()),
                instance: instance.into(),
                component: Component::Gpu,
                status,
                points: 0.0,
                message: "found".into(),
                evidence: Vec::new(),
                advice: None,
                since,
                at: since,
                took: Duration::ZERO,
                hard: confirmed.severity() >= status.severity(),
            };
            Found { result, gpu, confirmed, problem_since: since }
        },
    )
}

fn findings() -> impl Strategy<Value = Vec<Found>> {
    prop::collection::vec(found(), 0..24).prop_map(|mut findings| {
        let name = |it: &Found| (it.result.check.clone(), it.result.instance.clone());
        findings.sort_by_key(name);
        findings.dedup_by_key(|it| name(it));
        findings
    })
}

/// An incident without places: its rule, title, time, and its members by name, the root first.
type Named = (&'static str, String, Timestamp, Vec<String>);

fn named(findings: &[Found], facts: &NodeFacts) -> Vec<Named> {
    let name = |place: &usize| {
        let result = &findings[*place].result;
        format!("{} {}", result.check, result.instance)
    };
    let incidents = incidents(facts, findings).into_iter();
    let mut named: Vec<_> = incidents
        .map(|it| {
            let members = std::iter::once(&it.root).chain(&it.evidence).map(name).collect();
            (it.rule, it.title, it.since, members)
        })
        .collect();
    named.sort();
    named
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Causes and what they explain are confirmed problems, and each belongs to one incident at most.
    #[test]
    fn members_are_confirmed_problems_of_one_incident(findings in findings()) {
        let mut members = Vec::new();
        for incident in incidents(&cards(), &findings) {
            prop_assert!(!incident.evidence.is_empty());
            let places = || std::iter::once(incident.root).chain(incident.evidence.iter().copied());
            for place in places() {
                let Found { result, confirmed, .. } = &findings[place];
                for status in [result.status, *confirmed] {
                    prop_assert!(!matches!(status, Status::Healthy | Status::Unknown), "{result:?}");
                }
            }
            let first = places().map(|place| findings[place].problem_since).min();
            prop_assert_eq!(Some(incident.since), first);
            members.extend(places());
        }
        let count = members.len();
        members.sort_unstable();
        members.dedup();
        prop_assert_eq!(members.len(), count);
    }

    /// The order in which findings are listed decides nothing.
    #[test]
    fn the_order_of_findings_does_not_matter(
        (findings, shuffled) in findings().prop_flat_map(|findings| {
            let order: Vec<usize> = (0..findings.len()).collect();
            (Just(findings), Just(order).prop_shuffle())
        })
    ) {
        let facts = cards();
        let expected = named(&findings, &facts);
        let mut findings: Vec<_> = findings.into_iter().map(Some).collect();
        let shuffled: Vec<_> = shuffled.iter().filter_map(|it| findings[*it].take()).collect();
        prop_assert_eq!(named(&shuffled, &facts), expected);
    }

    /// What a status becomes while the problem lasts changes no incident.
    #[test]
    fn a_status_that_changes_moves_nobody(findings in findings(), worse in any::<usize>()) {
        // By themselves, rules that ask for a status may begin or end to apply.
        prop_assume!(!findings.iter().any(|it| it.result.check.as_str() == "process_blocked"));
        let facts = cards();
        let members = |findings: &[Found]| -> Vec<Vec<String>> {
            let sorted = |(_, _, _, mut members): Named| { members.sort(); members };
            named(findings, &facts).into_iter().map(sorted).collect()
        };
        let mut before = findings;
        // Each began at a time of its own, as two findings of one moment have no first.
        for (place, found) in before.iter_mut().enumerate() {
            found.problem_since = Timestamp::from_unix_ms(START + place as i64 * 20_000);
        }
        let expected = members(&before);
        let place = worse % before.len().max(1);
        if let Some(found) = before.get_mut(place)
            && !matches!(found.confirmed, Status::Healthy | Status::Unknown)
            && found.result.status != Status::Unknown
        {
            found.confirmed = Status::Critical;
            found.result.status = Status::Critical;
        }
        prop_assert_eq!(members(&before), expected);
    }
}
