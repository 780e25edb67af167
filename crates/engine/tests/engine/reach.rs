//! A node that cannot be reached: lost collections, outages, excuses, the way back.

use std::time::Duration;

use sickbay_engine::PaceMemory;
use sickbay_engine::{Assessment, Excuse, assess, excuse, next_interval};
use sickbay_model::catalogue as metric;
use sickbay_model::{EventKind, Level, ProbeErrorKind, ResourceId, Status, probe};

use crate::node::Node;
use crate::scenarios::{Story, find};

use EventKind::{
    HealthCheckFailed, HealthCheckPassed, LevelChanged, NodeRecovered, ReadinessChanged,
};

/// How a failed collection looks: it says that it failed, and nothing else at all.
fn lost() -> Node {
    let mut node = Node::well(0);
    node.probes.clear();
    node.readings.clear();
    node.inventory = sickbay_model::Inventory::default();
    node.fail(probe::REACHABLE, ProbeErrorKind::Unreachable, "no answer for 5 s");
    node
}

/// The same with the last known readings and reports in it.
fn lost_with_the_past(well: &Node) -> Node {
    let mut node = well.clone();
    node.fail(probe::REACHABLE, ProbeErrorKind::Unreachable, "no answer for 5 s");
    node
}

/// A node with GPUs and a finding, well known by now.
fn known() -> Story {
    let mut node = Node::well(2);
    node.set_of(metric::FILESYSTEM_USED, "/data", 90.0);
    let mut story = Story::of(node);
    story.steps(5);
    story.told();
    story
}

/// Goes through collections: `.` is one that came, `x` one that did not.
fn run(story: &mut Story, collections: &str) -> Vec<Assessment> {
    let well = story.node.clone();
    let verdicts = collections.chars().map(|collection| {
        story.node = if collection == 'x' { lost() } else { well.clone() };
        story.step()
    });
    let verdicts = verdicts.collect();
    story.node = well;
    verdicts
}

fn restart(story: &mut Story) {
    let json = serde_json::to_string(&story.memory).expect("serialises");
    story.memory = serde_json::from_str(&json).expect("reads back");
}

#[test]
fn a_lost_collection_is_soft_and_three_are_hard() {
    for restarts in [false, true] {
        let mut story = known();
        if restarts {
            restart(&mut story);
        }
        let before = run(&mut story, ".").remove(0);
        assert_eq!(before.level, Level::Degraded, "the disk");
        let verdicts = run(&mut story, "xx");
        for verdict in &verdicts {
            let reachable = find(verdict, "reachable", "").expect("judged");
            assert_eq!((reachable.status, reachable.hard), (Status::Critical, false));
            assert_eq!((verdict.level, verdict.level_since), (before.level, before.level_since));
            assert_eq!(verdict.gpus[0].level, Level::Healthy);
            assert_eq!(verdict.checks.len(), before.checks.len(), "all else stands");
            assert!(!verdict.readiness.ready, "nobody can start anything there now");
            // The retry comes at the short interval.
            let busy = verdict.busy(false);
            let interval =
                next_interval(&story.policy.schedule, &mut PaceMemory::default(), busy, 1);
            assert!(interval < Duration::from_secs(6));
        }
        assert!(!story.memory.unreachable());
        assert_eq!(story.told(), []);
        let verdict = run(&mut story, "x").remove(0);
        assert!(story.memory.unreachable());
        assert_eq!((verdict.level, verdict.score.score), (Level::Unknown, None));
        assert_eq!(verdict.headline, "Cannot be judged: no answer for 5 s.");
        assert_eq!(verdict.gpus.len(), 2);
        for gpu in &verdict.gpus {
            assert_eq!((gpu.level, gpu.level_since), (Level::Unknown, verdict.level_since));
        }
        assert_eq!(story.told(), [HealthCheckFailed, LevelChanged, ReadinessChanged]);
        // An hour later: nothing more was said, of the node or its parts.
        assert_eq!(run(&mut story, &"x".repeat(720))[719].level, Level::Unknown);
        assert_eq!(story.told(), []);
        // Back: confirmed by two, one level event, the disk as it was.
        let verdicts = run(&mut story, "...");
        let levels: Vec<_> = verdicts.iter().map(|verdict| verdict.level).collect();
        assert_eq!(levels, [Level::Unknown, Level::Degraded, Level::Degraded]);
        assert_eq!(story.told(), [HealthCheckPassed, LevelChanged, ReadinessChanged]);
    }
}

#[test]
fn it_makes_no_difference_what_else_a_failed_collection_carries() {
    let (mut bare, mut full) = (known(), known());
    let well = bare.node.clone();
    for collection in "x.xxxxx..".chars() {
        let is_lost = collection == 'x';
        bare.node = if is_lost { lost() } else { well.clone() };
        full.node = if is_lost { lost_with_the_past(&well) } else { well.clone() };
        let (bare, full) = (bare.step(), full.step());
        assert_eq!((bare.level, &bare.headline), (full.level, &full.headline));
        assert_eq!(bare.gpus, full.gpus);
        assert_eq!(bare.events, full.events);
    }
}

#[test]
fn what_is_known_stands_only_while_it_is_not_too_old() {
    let mut story = known();
    story.at = story.at.plus(Duration::from_secs(3600));
    restart(&mut story);
    let verdict = run(&mut story, "x").remove(0);
    assert_eq!(verdict.level, Level::Unknown, "nothing was heard for an hour");
    assert_eq!(story.told(), [], "but one failure is no news yet");
    assert_eq!(run(&mut story, "..")[1].level, Level::Degraded);
    assert_eq!(story.told(), []);
}

#[test]
fn a_node_that_was_never_reached_is_unknown_with_one_finding() {
    let mut story = Story::of(lost());
    let verdict = story.step();
    assert_eq!((verdict.level, verdict.findings().count()), (Level::Unknown, 1));
    assert_eq!(story.told(), []);
    story.steps(10);
    assert_eq!(story.told(), [HealthCheckFailed]);
    story.node = Node::well(1);
    assert_eq!(story.steps(2).level, Level::Healthy);
    assert_eq!(story.steps(2).level, Level::Healthy);
    assert_eq!(story.told(), [HealthCheckPassed, LevelChanged, ReadinessChanged, NodeRecovered]);
}

#[test]
fn a_node_that_comes_and_goes_is_told_of_once() {
    // With how many outages that are confirmed before it is found to flap.
    for (pattern, outages) in [("x.", 0), ("xx.", 0), ("xx..", 0), ("xxx..", 1), ("xxxx..", 2)] {
        let mut story = Story::of(Node::well(1));
        story.steps(25);
        run(&mut story, &pattern.repeat(120));
        let told = story.told();
        let count = |kind| told.iter().filter(|it| **it == kind).count();
        assert_eq!(count(HealthCheckFailed), outages + 1, "{pattern}: {told:?}");
        assert!(count(LevelChanged) <= 2 * outages + 1, "{pattern}: {told:?}");
        assert!(count(ReadinessChanged) <= 2 * outages + 1, "{pattern}: {told:?}");
        assert!(count(NodeRecovered) <= outages, "{pattern}: {told:?}");
        // It stays: all is over, once.
        run(&mut story, &".".repeat(30));
        let told = story.told();
        let count = |kind| told.iter().filter(|it| **it == kind).count();
        assert_eq!((count(HealthCheckPassed), count(NodeRecovered)), (1, 1), "{pattern}: {told:?}");
    }
}

#[test]
fn a_node_that_came_and_went_and_then_stays_away_is_down() {
    let mut story = Story::of(Node::well(1));
    story.steps(25);
    run(&mut story, &"x.".repeat(60));
    story.told();
    // Three failures, then the breaker lets a probe through after five minutes.
    run(&mut story, "xxx");
    story.at = story.at.plus(Duration::from_secs(295));
    run(&mut story, "x");
    assert_eq!(story.told(), [LevelChanged]);
}

#[test]
fn where_collections_get_lost_it_is_believed_later() {
    let mut story = Story::of(Node::well(1));
    story.steps(25);
    run(&mut story, "x......x........xxxx");
    assert_eq!(story.told(), [], "two were lost lately: four in a row are no proof");
    run(&mut story, "x");
    assert_eq!(story.told(), [HealthCheckFailed, LevelChanged, ReadinessChanged]);
}

fn excused(story: &mut Story, why: &Excuse, times: usize) -> Vec<String> {
    let node = story.node.observe(story.at).resource;
    let reasons = (0..times).map(|_| {
        story.at = story.at.plus(Duration::from_secs(5));
        let silenced = excuse(&mut story.memory, &node, story.at, why);
        assert_eq!(silenced.events, []);
        silenced.reason
    });
    reasons.collect()
}

#[test]
fn an_excused_node_is_not_blamed_and_comes_back_quietly() {
    let parent = Excuse::Parent(ResourceId::node("switch-3").expect("valid"));
    let observer = Excuse::Observer("187 of 200 nodes fell silent".to_owned());
    for (why, reason) in [
        (&parent, "(parent) node/switch-3 cannot be reached"),
        (&observer, "(observer) 187 of 200 nodes fell silent"),
    ] {
        for (before, restarts) in [("", false), ("xx", false), ("xx", true)] {
            let mut story = known();
            run(&mut story, before);
            let since = story.at;
            assert!(excused(&mut story, why, 200).iter().all(|it| it == reason));
            if restarts {
                restart(&mut story);
            }
            excused(&mut story, why, 20);
            let node = story.node.observe(story.at).resource;
            let silenced = excuse(&mut story.memory, &node, story.at, why);
            assert_eq!(silenced.since, since.plus(Duration::from_secs(5)), "since the first time");
            assert!(!story.memory.unreachable());
            // The cause is over, and two more collections are lost: the count starts anew.
            let verdicts = run(&mut story, "xx...");
            assert_eq!(verdicts[4].level, Level::Degraded);
            assert_eq!(story.told(), [], "{before} {restarts}");
        }
    }
}

#[test]
fn what_is_worse_after_an_excuse_is_told() {
    let why = Excuse::Observer("the hub runs 12 s late".to_owned());
    let mut story = known();
    excused(&mut story, &why, 50);
    story.node.lose_gpu(1);
    let verdict = story.step();
    assert_eq!(verdict.level, Level::Critical);
    let told = story.told();
    assert!(told.contains(&HealthCheckFailed) && told.contains(&LevelChanged), "{told:?}");
    // Down by itself: told too, after as many failures as ever.
    let mut story = known();
    excused(&mut story, &why, 50);
    run(&mut story, "xxx");
    assert_eq!(story.told(), [HealthCheckFailed, LevelChanged, ReadinessChanged]);
    // Down before, and excused meanwhile: it stays told.
    excused(&mut story, &why, 50);
    assert!(story.memory.unreachable());
    run(&mut story, "xxx");
    assert_eq!(story.told(), []);
    run(&mut story, "...");
    assert_eq!(story.told(), [HealthCheckPassed, LevelChanged, ReadinessChanged]);
}

#[test]
fn a_repeated_report_without_its_readings_changes_nothing() {
    let mut story = known();
    let before = story.step();
    let mut without = story.node.clone();
    without.unset_of(metric::CPU_USED, "").unset_of(metric::MEMORY_USED, "");
    let mut repeated = without.observe(story.at.plus(Duration::from_secs(5)));
    for report in &mut repeated.probes {
        report.at = if report.probe == probe::REACHABLE { report.at } else { story.at };
    }
    let verdict = assess(&story.policy, &mut story.memory, &repeated);
    assert_eq!((verdict.level, verdict.score.score), (before.level, before.score.score));
    assert_eq!(verdict.events, []);
}
