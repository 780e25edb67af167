//! The agenda in simulated time.

use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn places(collections: usize, openings: usize) -> Agenda {
    Agenda::new(Places { collections, openings })
}

const fn plan(after: Duration) -> Option<Plan> {
    Some(Plan { after, opens: false })
}

fn taken(agenda: &mut Agenda, now: Duration) -> Vec<TargetIndex> {
    std::iter::from_fn(|| agenda.take_due(now)).map(|due| due.target).collect()
}

#[test]
fn targets_come_in_the_order_of_their_times() {
    let mut agenda = places(8, 8);
    let (late, early) = (agenda.add("", false, s(10)), agenda.add("", false, s(5)));
    assert_eq!(agenda.take_due(s(4)), None);
    assert_eq!(
        agenda.take_due(s(12)),
        Some(DueTarget { target: early, due: s(5), noticed: s(12) })
    );
    assert_eq!(
        agenda.take_due(s(12)),
        Some(DueTarget { target: late, due: s(10), noticed: s(12) })
    );
    assert_eq!(agenda.take_due(s(12)), None);
    agenda.finished(early, s(13), plan(s(7)));
    assert_eq!(agenda.next_due(), Some(s(20)));
}

#[test]
fn intervals_that_passed_while_a_target_was_asked_or_waited_are_counted_not_made_up() {
    let mut agenda = places(1, 1);
    let target = agenda.add("", false, s(0));
    for (starts, ends, skipped) in [
        // Before the first end no interval was planned.
        (s(0), s(12), 0),
        (s(17), s(18), 0),
        // Asked for 11 s at intervals of 5 s: two were missed.
        (s(23), s(34), 2),
        // It waited 6 s for a place.
        (s(45), s(46), 1),
    ] {
        assert_eq!(taken(&mut agenda, starts), [target], "at {starts:?}");
        assert_eq!(taken(&mut agenda, starts), [], "not twice");
        agenda.finished(target, ends, plan(s(5)));
        assert_eq!(agenda.take_skipped(), skipped, "{starts:?} to {ends:?}");
    }
}

#[test]
fn hurrying_moves_what_is_later_and_leaves_what_is_sooner_or_under_way() {
    let mut agenda = places(8, 8);
    let under_way = agenda.add("", false, s(0));
    assert_eq!(taken(&mut agenda, s(0)), [under_way]);
    let (later, sooner) = (agenda.add("", false, s(60)), agenda.add("", false, s(3)));
    agenda.hurry_all(s(5));
    let due = |agenda: &mut Agenda| agenda.take_due(s(100)).map(|due| (due.target, due.due));
    assert_eq!(due(&mut agenda), Some((sooner, s(3))));
    assert_eq!(due(&mut agenda), Some((later, s(5))));
    agenda.finished(under_way, s(100), plan(s(60)));
    assert_eq!(agenda.next_due(), Some(s(160)));
    // `set` while one is asked: again at once.
    agenda.set(sooner, s(500));
    agenda.finished(sooner, s(101), plan(s(60)));
    assert_eq!(agenda.next_due(), Some(s(101)));
}

#[test]
fn what_is_taken_out_leaves_nothing_behind_whatever_it_was_doing() {
    let mut agenda = places(1, 1);
    let (running, waiting, planned) =
        (agenda.add("a", true, s(0)), agenda.add("b", true, s(0)), agenda.add("c", false, s(9)));
    assert_eq!(taken(&mut agenda, s(0)), [running]);
    for target in [running, waiting, planned] {
        agenda.remove(target);
    }
    assert_eq!((agenda.running(), agenda.waiting(), agenda.next_due()), (1, 0, None));
    agenda.finished(running, s(1), None);
    assert_eq!((agenda.running(), agenda.opening, agenda.targets.len()), (0, 0, 0));
    assert!(agenda.names.is_empty() && agenda.turns.is_empty());
    // Places of groups are used again, those of targets are not.
    let next = agenda.add("d", false, s(2));
    assert_eq!((agenda.groups.len(), next), (3, TargetIndex(3)));
    agenda.finished(running, s(3), plan(s(1)));
    agenda.remove(running);
    assert_eq!(taken(&mut agenda, s(2)), [next]);
}

#[test]
fn opening_sessions_does_not_hold_up_those_that_are_open() {
    let mut agenda = places(8, 2);
    let opening: Vec<_> = (0..5).map(|_| agenda.add("", true, s(0))).collect();
    let open: Vec<_> = (0..3).map(|_| agenda.add("", false, s(1))).collect();
    let first = taken(&mut agenda, s(1));
    assert_eq!(first, [opening[0], opening[1], open[0], open[1], open[2]]);
    agenda.finished(opening[1], s(2), plan(s(5)));
    assert_eq!(taken(&mut agenda, s(2)), [opening[2]]);
    // Whether it opened is what was counted, not what it says later.
    agenda.finished(opening[0], s(2), Some(Plan { after: s(5), opens: true }));
    assert_eq!(taken(&mut agenda, s(2)), [opening[3]]);
    assert_eq!((agenda.running(), agenda.opening, agenda.waiting()), (5, 2, 1));
}

#[test]
fn groups_are_served_in_turn_and_none_takes_everything() {
    let mut agenda = places(8, 8);
    let slow: Vec<_> = (0..20).map(|_| agenda.add("slow", false, s(0))).collect();
    // Nobody else is there: all places.
    assert_eq!(taken(&mut agenda, s(0)).len(), 8);
    for target in &slow[..8] {
        agenda.finished(*target, s(1), plan(s(100)));
    }
    let late = agenda.add("other", false, s(2));
    // There is another group, though it waits for nothing: one place in eight stays free for it.
    assert_eq!(taken(&mut agenda, s(1)).len(), 7);
    assert_eq!(taken(&mut agenda, s(2)), [late], "at once");
    let more: Vec<_> = (0..9).map(|_| agenda.add("other", false, s(3))).collect();
    assert_eq!(taken(&mut agenda, s(3)), []);
    agenda.finished(slow[8], s(3), plan(s(100)));
    assert_eq!(taken(&mut agenda, s(3)), [more[0]], "the slow group holds more than half");
}

/// A target in simulation: how long it takes to be asked, and how often it is.
#[derive(Clone, Debug)]
struct Sim {
    group: String,
    opens: bool,
    takes: Duration,
    interval: Duration,
}

#[derive(Debug, Default)]
struct Waits {
    /// The longest that each target waited from when it was due, and how often it was asked.
    longest: Vec<Duration>,
    asked: Vec<u64>,
    /// The longest line of all groups together.
    most_waiting: usize,
}

/// Lets the agenda work for a while; checks its limits at each step.
fn simulate(limits: Places, targets: &[Sim], until: Duration) -> Waits {
    let mut agenda = Agenda::new(limits);
    for target in targets {
        agenda.add(&target.group, target.opens, Duration::ZERO);
    }
    let mut waits = Waits {
        longest: vec![Duration::ZERO; targets.len()],
        asked: vec![0; targets.len()],
        most_waiting: 0,
    };
    let mut under_way = BinaryHeap::new();
    let mut now = Duration::ZERO;
    while now <= until {
        while let Some(DueTarget { target, due, .. }) = agenda.take_due(now) {
            let index = usize::try_from(target.0).expect("small");
            waits.longest[index] = waits.longest[index].max(now - due);
            waits.asked[index] += 1;
            under_way.push(Reverse((now + targets[index].takes, index)));
        }
        let opening = |item: &&Reverse<(Duration, usize)>| targets[item.0.1].opens;
        assert!(under_way.len() <= limits.collections, "{now:?}");
        assert!(under_way.iter().filter(opening).count() <= limits.openings, "{now:?}");
        assert_eq!(agenda.running(), under_way.len());
        waits.most_waiting = waits.most_waiting.max(agenda.waiting());
        if under_way.len() < limits.collections && agenda.names.len() == 1 {
            let all_open = targets.iter().all(|target| target.opens);
            let idle = agenda.waiting() > 0 && !targets.iter().any(|target| target.opens);
            assert!(!idle || all_open, "a place is free while somebody waits");
        }
        let ends = under_way.peek().map(|Reverse((at, _))| *at);
        let due = agenda.next_due().filter(|due| *due > now);
        let Some(next) = ends.into_iter().chain(due).min() else { break };
        now = next;
        while let Some(Reverse((_, index))) =
            under_way.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            under_way.pop();
            let Sim { interval, opens, .. } = targets[index];
            let target = TargetIndex(index as u64);
            agenda.finished(target, now, Some(Plan { after: interval, opens }));
        }
    }
    waits
}

/// The longest that anyone may wait: in the time that the slowest collection takes every place is
/// given out anew, to the groups in turn.
fn bound(limits: Places, targets: &[Sim]) -> Duration {
    let groups: std::collections::BTreeSet<_> = targets.iter().map(|sim| &sim.group).collect();
    let in_group = |group: &String| targets.iter().filter(|sim| sim.group == *group).count();
    let longest_line = groups.iter().map(|group| in_group(group)).max().unwrap_or(0);
    let slowest = targets.iter().map(|sim| sim.takes).max().unwrap_or_default();
    // In one round a group is given its part of the places, and at least one every `groups` places.
    // Who opens a session may wait for a place behind all others, and then for an opening; that one
    // is left unused as long as older ones with a session go first. For each opening before his that
    // is its own time, that of a place, and, where its group holds its share of the places, that of
    // one of them.
    let all = longest_line * groups.len().max(2);
    let for_places = all.div_ceil(limits.collections);
    let for_openings =
        if targets.iter().any(|sim| sim.opens) { all.div_ceil(limits.openings) } else { 0 };
    let rounds = for_places + 3 * for_openings + 2;
    slowest * u32::try_from(rounds).expect("small")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nobody_waits_longer_than_all_before_him_take(
        collections in 1_usize..24,
        openings in 1_usize..24,
        targets in prop::collection::vec(
            (0_usize..6, any::<bool>(), 1_u64..7_000, 500_u64..60_000), 1..120,
        ),
    ) {
        let limits = Places { collections, openings };
        let targets: Vec<_> = targets
            .into_iter()
            .map(|(group, opens, takes, interval)| Sim {
                group: format!("rack {group}"),
                opens,
                takes: ms(takes),
                interval: ms(interval),
            })
            .collect();
        let bound = bound(limits, &targets);
        let waits = simulate(limits, &targets, bound + s(300));
        for (index, target) in targets.iter().enumerate() {
            prop_assert!(
                waits.longest[index] <= bound,
                "{index} {target:?} waited {:?}, more than {bound:?}", waits.longest[index]
            );
            prop_assert!(waits.asked[index] >= 1, "{index} {target:?} was never asked");
        }
    }
}

#[test]
fn a_slow_rack_starves_nobody() {
    let sim = |group: &str, takes, interval| Sim {
        group: group.to_owned(),
        opens: false,
        takes,
        interval,
    };
    // 900 nodes that each run into their deadline, and 100 well ones, at 64 places.
    let mut targets = vec![sim("slow", s(7), s(5)); 900];
    for index in 0..100 {
        targets.push(sim("well", ms(20), s(5) + ms(index * 7)));
    }
    let limits = Places { collections: 64, openings: 64 };
    let waits = simulate(limits, &targets, s(600));
    let (slow, well) = waits.longest.split_at(900);
    let longest = |waits: &[Duration]| waits.iter().max().copied().unwrap_or_default();
    // At the start all are due at once; later one place in eight is there for them.
    assert!(longest(well) <= ms(300), "{:?}", longest(well));
    // 900 of 7 s in 56 places: a round takes 113 s and more, and everybody has his turn.
    assert!(longest(slow) <= s(130), "{:?}", longest(slow));
    let asked = |asked: &[u64]| asked.iter().min().copied().unwrap_or_default();
    assert!(asked(&waits.asked[900..]) >= 104, "all that was planned: {:?}", asked(&waits.asked));
}

#[test]
fn a_thousand_targets_with_one_sleep_between_them() {
    let targets: Vec<_> = (0..1_000)
        .map(|index| Sim {
            group: format!("rack {}", index % 25),
            opens: false,
            takes: ms(30 + index % 50),
            interval: s(5) + ms(index % 977),
        })
        .collect();
    let limits = Places { collections: 256, openings: 64 };
    let waits = simulate(limits, &targets, s(120));
    let longest = waits.longest.iter().max().copied().unwrap_or_default();
    // The first sweep starts all at once: four rounds of at most 80 ms.
    assert!(longest <= ms(320), "{longest:?}");
    assert!(waits.asked.iter().all(|asked| *asked >= 19));
}
