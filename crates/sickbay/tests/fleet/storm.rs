//! Three hundred nodes and everything that can go wrong with them at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sickbay_sim_fleet::Behaviour;

use crate::simulated::Hosts;
use crate::site::Site;
use crate::watch::{figure, is_fresh, rows, told, wait};
use crate::world::Hub;

const NODES: usize = 300;

const OF_NODES: &[&str] = &[
    "BREAKER_MOVED",
    "LEVEL_CHANGED",
    "READINESS_CHANGED",
    "HEALTH_CHECK_FAILED",
    "NODE_RECOVERED",
];

const TROUBLE: &[&str] = &["BREAKER_MOVED", "LEVEL_CHANGED", "HEALTH_CHECK_FAILED"];

/// A hub over simulated hosts; which nodes it watches is changed by its config.
struct Storm {
    _alone: MutexGuard<'static, ()>,
    site: Site,
    hosts: Hosts,
    hub: Hub,
    config: String,
}

type Rows = BTreeMap<String, Value>;

/// Levels, each with what the headline tells then.
type Words = &'static [(&'static str, &'static str)];

impl Storm {
    /// `patience`: how long an answer may take; these hosts have no processor of their own.
    fn new(patience: &str) -> Self {
        // Two at once would measure the machine.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let site = Site::new(
            "torch: {mode: never}\nssh: {connect_timeout: 10s, gpu_interval: 2s, \
             filesystem_interval: 2s}\n",
        );
        site.judge_space();
        let file = site.place.config_file();
        let config = std::fs::read_to_string(&file).unwrap();
        // What a machine that also plays the hosts can do without optimisation.
        let config = config
            .replace("interval: 1s", "interval: 4s")
            .replace("timeout: 3s", &format!("timeout: {patience}"));
        std::fs::write(&file, &config).unwrap();
        let hosts = Hosts::known_to(&site, NODES);
        let hub = Hub::start(&site.place);
        Self { _alone: alone, site, hosts, hub, config }
    }

    /// Lets the hub watch all hosts, or none; it notices by itself.
    fn watch(&self, all: bool) {
        let nodes = if all { self.hosts.as_nodes() } else { String::new() };
        let written = self.site.place.dir.path().join("config.new");
        std::fs::write(&written, format!("{}{nodes}", self.config)).unwrap();
        std::fs::rename(written, self.site.place.config_file()).unwrap();
        let total = if all { NODES + 1 } else { 1 };
        self.wait("the config is taken up", |rows| rows.len() == total);
    }

    /// Waits until the nodes are as wanted; says how few are not.
    fn wait(&self, what: &str, holds: impl Fn(&Rows) -> bool) -> Rows {
        let mut last = Rows::new();
        wait(
            &self.hub,
            what,
            || {
                last = rows(&self.hub);
                let mut short = BTreeMap::<_, usize>::new();
                for row in last.values() {
                    let word =
                        |name: &str| row[name].as_str().unwrap_or("-").chars().take(60).collect();
                    let words: [String; 4] = ["level", "breaker", "stale", "headline"].map(word);
                    *short.entry(words).or_default() += 1;
                }
                (short, holds(&last))
            },
            |(_, holds)| *holds,
        );
        last
    }

    fn of<'a>(&self, rows: &'a Rows, which: Range<usize>) -> Vec<&'a Value> {
        which.map(|number| &rows[&self.hosts.name(number)]).collect()
    }

    fn all_fresh(&self) -> Rows {
        self.wait("all are judged", |rows| rows.values().all(is_fresh))
    }

    /// Waits until each of these was looked at again.
    fn again(&self, which: Range<usize>) {
        let last = |rows: &Rows| -> Vec<Value> {
            self.of(rows, which.clone()).iter().map(|row| row["last_check"].clone()).collect()
        };
        let before = last(&rows(&self.hub));
        self.wait("they are looked at again", |rows| {
            last(rows).iter().zip(&before).all(|(now, before)| now != before)
        });
    }

    /// Open files and threads.
    fn held(&self) -> (usize, usize) {
        let count =
            |what| std::fs::read_dir(format!("/proc/{}/{what}", self.hub.pid())).unwrap().count();
        (count("fd"), count("task"))
    }
}

#[test]
fn when_all_fall_silent_at_once_it_is_the_hub_and_when_they_leave_nothing_stays() {
    let storm = Storm::new("20s");
    let idle = storm.held();
    storm.watch(true);
    storm.all_fresh();
    // What the start brought is told by now.
    storm.again(0..NODES);
    storm.again(0..NODES);
    let before = told(&storm.hub, OF_NODES).len();
    assert_eq!(storm.hosts.open(), NODES as u64, "one session a node");
    assert!(storm.held().0 > NODES, "{:?}", storm.held());

    storm.hosts.behave(storm.hosts.all(), Behaviour::Gone);
    let observer = |row: &Value| {
        row["stale"].as_str().is_some_and(|why| why.contains("(observer)"))
            && row["level"] == "unknown"
    };
    let rows = storm.wait("nobody is blamed", |rows| {
        rows.values().filter(|row| observer(row)).count() == NODES
    });
    assert!(storm.of(&rows, 0..NODES).iter().all(|row| row["breaker"] == "closed"));
    assert_eq!(figure(&storm.hub, "sickbay_fleet_doubt"), Some(1.0));
    let doubt = rows[&storm.hosts.name(7)]["stale"].as_str().unwrap();
    assert!(doubt.contains("closed the connection"), "also says what was seen: {doubt}");

    storm.hosts.behave(storm.hosts.all(), Behaviour::Well);
    storm.all_fresh();
    wait(
        &storm.hub,
        "it trusts itself",
        || told(&storm.hub, &["OBSERVER_DOUBT"]),
        |all| all.len() == 2,
    );
    let events = told(&storm.hub, OF_NODES).split_off(before);
    assert!(events.is_empty(), "{} events: {:#?}", events.len(), events.iter().take(20));

    storm.watch(false);
    wait(&storm.hub, "their sessions are gone", || storm.hosts.open(), |open| *open == 0);
    let few = |held: &(usize, usize)| held.0 <= idle.0 + 8;
    wait(&storm.hub, &format!("as before: {idle:?}"), || storm.held(), few);

    storm.watch(true);
    wait(&storm.hub, "all sessions are open", || storm.hosts.open(), |open| *open == NODES as u64);
    // Within 2 s, which is checked there.
    storm.hub.stop();
}

#[test]
fn each_kind_of_trouble_has_its_own_state_and_the_rest_is_well() {
    let storm = Storm::new("5s");
    // Those that will not be let in; the others have a session when their trouble begins.
    storm.hosts.behave(30..40, Behaviour::Refuses);
    storm.watch(true);
    storm.wait("all others are judged", |rows| {
        rows.values().filter(|row| is_fresh(row)).count() > NODES - 10
    });
    storm.again(70..NODES);
    let before = told(&storm.hub, TROUBLE).len();
    storm.hosts.behave(0..30, Behaviour::Silent);
    storm.hosts.behave(40..50, Behaviour::GpuHangs);
    storm.hosts.behave(50..60, Behaviour::Cut);
    storm.hosts.behave(60..70, Behaviour::DiskFull);
    // Which they are; what may be said of them: the level, and what the headline tells. Of a silent
    // host nothing is known: its shell or, once its session is given up, its server says nothing.
    let words: [(Range<usize>, Words); 5] = [
        (0..30, &[("unknown", "did not answer within"), ("unknown", "then says nothing")]),
        (30..40, &[("unknown", "does not let us in")]),
        (40..50, &[("critical", "The nvidia driver does not answer")]),
        (50..60, &[("unknown", "its shell ended")]),
        (60..70, &[("critical", "Space used on /: 100 %")]),
    ];
    let is_one_of = |row: &Value, words: Words| {
        let headline = row["headline"].as_str().unwrap_or_default();
        words.iter().any(|(level, word)| row["level"] == *level && headline.contains(word))
    };
    let rows = storm.wait("each has its state", |rows| {
        words.iter().all(|(which, words)| {
            storm.of(rows, which.clone()).iter().all(|row| is_one_of(row, words))
        })
    });
    for which in [30..40, 50..60] {
        assert!(storm.of(&rows, which).iter().all(|row| row["breaker"] == "open"));
    }
    assert_eq!(storm.hub.json("/api/v1/fleet")["doubt"], Value::Null);
    // The rest is well, and is looked at as often as before.
    let rest = 70..NODES;
    storm.again(rest.clone());
    let names: Vec<_> = rest.map(|number| storm.hosts.name(number)).collect();
    let events = told(&storm.hub, TROUBLE).split_off(before);
    let of_rest = |(_, of, _): &&(String, String, String)| names.contains(of);
    assert_eq!(events.iter().find(of_rest), None);
    storm.hub.stop();
}
