use std::collections::BTreeMap;

use sickbay_engine::Policy;
use sickbay_model::{Level, Timestamp};

use super::*;
use crate::api::fleet::RowsKeeper;
use crate::fleet::FleetSnapshot;
use crate::view;

struct Fleet {
    snapshot: FleetSnapshot,
    keeper: RowsKeeper,
}

impl Fleet {
    fn of(nodes: usize) -> Self {
        let snapshot = FleetSnapshot {
            revision: 0,
            resources: BTreeMap::new(),
            system: view::unknown_system(),
            frames: BTreeMap::new(),
            nodes: Arc::default(),
            doubt: None,
            stragglers: Arc::default(),
        };
        let mut fleet = Self { snapshot, keeper: RowsKeeper::default() };
        for node in 0..nodes {
            fleet.judge(node, Level::Healthy, 0);
        }
        fleet
    }

    fn judge(&mut self, node: usize, level: Level, at_ms: i64) {
        let id = id(node);
        let at = Timestamp::EPOCH;
        let mut detail = view::never_collected(&Policy::default(), &id, at, "a test");
        detail.summary.level = level;
        detail.summary.last_check = Some(Timestamp::from_unix_ms(at_ms));
        self.snapshot.resources.insert(id, Arc::new(detail.into()));
        self.snapshot.revision += 1;
    }

    fn rows(&self) -> Arc<Rows> {
        self.keeper.at(&self.snapshot)
    }
}

fn id(node: usize) -> ResourceId {
    ResourceId::node(&format!("n{node:04}")).expect("an id")
}

fn sent(news: &News) -> Vec<usize> {
    let number = |row: &Arc<Row>| row.id.name()[1..].parse().expect("a number");
    news.rows.iter().map(number).collect()
}

#[test]
fn first_all_then_what_changed() {
    let mut fleet = Fleet::of(5);
    let mut client = SentRows::default();
    let news = client.look(&fleet.rows(), usize::MAX);
    assert_eq!((news.head, sent(&news)), (true, vec![0, 1, 2, 3, 4]));
    let news = client.look(&fleet.rows(), 10);
    assert!(!news.head && news.rows.is_empty() && news.removed.is_empty(), "nothing is new");

    fleet.judge(3, Level::Critical, 1);
    fleet.judge(3, Level::Degraded, 2);
    fleet.snapshot.resources.remove(&id(1));
    let news = client.look(&fleet.rows(), 10);
    assert_eq!((news.head, sent(&news), &news.removed), (true, vec![3], &vec![id(1)]));
    assert_eq!(news.rows[0].node.level, Level::Degraded, "the newest alone");

    fleet.judge(0, Level::Healthy, 3);
    fleet.judge(1, Level::Healthy, 3);
    let news = client.look(&fleet.rows(), 10);
    assert_eq!((sent(&news), news.removed.len()), (vec![0, 1], 0), "it came back");
}

#[test]
fn a_flood_is_bounded_verdicts_go_first_and_nobody_starves() {
    const NODES: usize = 100;
    const ROOM: usize = 10;
    let mut fleet = Fleet::of(NODES);
    let mut client = SentRows::default();
    client.look(&fleet.rows(), usize::MAX);
    let mut last_sent = [0; NODES];
    for turn in 1..=40 {
        for node in 0..NODES {
            // Every node is collected between two looks; one of them fell ill.
            let ill = node == 77 && turn >= 5;
            fleet.judge(node, if ill { Level::Critical } else { Level::Healthy }, turn);
        }
        let news = client.look(&fleet.rows(), ROOM);
        assert_eq!(news.rows.len(), ROOM);
        for node in sent(&news) {
            last_sent[node] = turn;
        }
        if turn == 5 {
            assert_eq!(news.rows[0].node.level, Level::Critical, "it waits for nobody");
        }
        if turn >= 12 {
            let longest = last_sent.iter().map(|last| turn - last).max();
            assert!(longest <= Some(11), "turn {turn}: {longest:?}");
        }
    }
    let mut turns = 0;
    while !client.look(&fleet.rows(), ROOM).rows.is_empty() {
        turns += 1;
    }
    assert!(turns <= NODES / ROOM, "all that waited went out: {turns}");
}
