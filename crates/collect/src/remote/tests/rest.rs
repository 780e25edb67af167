//! On a node that is polled rarely, what is slow to ask is asked at every third poll.

use super::*;
use sickbay_model::probe;

use crate::ProcessPattern;

/// How old a probe's answer is in an observation, in seconds.
fn age_seconds(observation: &Observation, id: &ProbeId) -> i64 {
    let report = observation.probe(id).unwrap_or_else(|| panic!("{id} is missing"));
    (observation.at.as_unix_ms() - report.at.as_unix_ms()) / 1000
}

fn ages(settings: RemoteSettings, pauses: &[u64], id: &ProbeId) -> Vec<i64> {
    let mut talk = Talk::new(settings, || Node::start("dash", program(), |_| {}));
    let first = talk.collect();
    assert_eq!(outcome(&first, id), &ProbeOutcome::Answered);
    let after = |pause: &u64| age_seconds(&talk.collect_after(Duration::from_secs(*pause)), id);
    pauses.iter().map(after).collect()
}

#[test]
fn slow_parts_rest_with_the_node_and_are_asked_soon_when_it_wakes() {
    let polls = [60, 60, 60, 60, 60, 60, 60, 5, 5];
    // Awake, each is asked as often as the settings say.
    let awake = [10, 10, 10, 10, 10, 10];
    for (id, at_rest, when_awake) in [
        (probe::CPU, [0; 9], [0; 6]),
        (probe::FILESYSTEM, [60, 120, 0, 60, 120, 0, 60, 0, 5], [10, 20, 0, 10, 20, 0]),
        (probe::PROCESSES, [60, 120, 0, 60, 120, 0, 60, 0, 5], [10, 20, 0, 10, 20, 0]),
    ] {
        assert_eq!(ages(settings(), &polls, &id), at_rest, "{id}");
        assert_eq!(ages(settings(), &awake, &id), when_awake, "{id}");
    }
}

#[test]
fn rest_has_its_limits() {
    // However rare the polls, nothing gets older than this.
    let settings_of =
        |seconds| RemoteSettings { longest_interval: Duration::from_secs(seconds), ..settings() };
    let polls = [60, 60, 60, 60];
    for (longest, expected) in [(120, [60, 0, 60, 0]), (60, [0, 0, 0, 0]), (0, [0, 0, 0, 0])] {
        let found = ages(settings_of(longest), &polls, &probe::FILESYSTEM);
        assert_eq!(found, expected, "{longest}");
    }
    // Processes that are looked for tell of jobs, which end the rest.
    let text = || "sh".to_owned();
    let pattern = ProcessPattern { name: text(), pattern: text(), expected: false };
    let looking = RemoteSettings { process_patterns: vec![pattern], ..settings() };
    assert_eq!(ages(looking, &polls, &probe::PROCESSES), [0, 0, 0, 0]);
}
