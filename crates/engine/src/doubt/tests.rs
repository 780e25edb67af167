use super::*;

const START: i64 = 1_800_000_000_000;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_unix_ms(START).plus(Duration::from_secs_f64(seconds))
}

/// A fleet that is asked in turn, one after the other.
struct Fleet {
    doubt: Doubt,
    policy: DoubtPolicy,
    nodes: u32,
    /// Seconds between two collections of the same node.
    interval: f64,
    now: f64,
    next: u32,
    moves: Vec<(f64, bool)>,
}

impl Fleet {
    fn of(nodes: u32, interval: f64) -> Self {
        let policy = DoubtPolicy::default();
        let (doubt, moves) = (Doubt::default(), Vec::new());
        Self { doubt, policy, nodes, interval, now: 0.0, next: 0, moves }
    }

    /// Goes on for a while; a node is reached or not.
    fn go(&mut self, seconds: f64, reached: impl Fn(u32) -> bool) -> &mut Self {
        let end = self.now + seconds;
        while self.now < end {
            let node = self.next % self.nodes;
            self.doubt.note(u64::from(node), at(self.now), reached(node));
            self.look(Duration::ZERO);
            self.next += 1;
            self.now += self.interval / f64::from(self.nodes);
        }
        self
    }

    fn look(&mut self, lag: Duration) {
        let moved = self.doubt.look(&self.policy, at(self.now), self.nodes, lag);
        if let Some(moved) = moved {
            assert_eq!(moved.doubting, self.doubt.reason().is_some());
            self.moves.push((self.now, moved.doubting));
        }
    }

    /// How many moves there were, and whether it doubts now.
    fn told(&mut self) -> (usize, bool) {
        (std::mem::take(&mut self.moves).len(), self.doubt.reason().is_some())
    }
}

#[test]
fn most_of_a_fleet_at_once_is_doubt_and_a_rack_is_not() {
    for (nodes, interval, silent, doubts) in [
        (200, 5.0, 200, true),
        (200, 60.0, 200, true),
        (1000, 60.0, 1000, true),
        (200, 60.0, 120, true),
        (200, 60.0, 60, false),
        (200, 60.0, 1, false),
        (5, 5.0, 5, true),
        (5, 5.0, 2, false),
        // No fleet to compare with.
        (4, 5.0, 4, false),
    ] {
        let mut fleet = Fleet::of(nodes, interval);
        fleet.go(120.0, |_| true);
        assert_eq!(fleet.told(), (0, false));
        // Every second, third … node, so that order decides nothing.
        let silent = |node: u32| node * 7919 % nodes < silent;
        fleet.go(59.0, |node| !silent(node));
        assert_eq!(fleet.told(), (usize::from(doubts), doubts), "{nodes} every {interval} s");
        fleet.go(120.0, |_| true);
        assert_eq!(fleet.told(), (usize::from(doubts), false), "{nodes} every {interval} s");
    }
}

/// Three failures of the same node take at least nine seconds.
#[test]
fn doubt_comes_before_the_first_node_is_confirmed_down() {
    for nodes in [200, 500, 1000, 4000] {
        let mut fleet = Fleet::of(nodes, 60.0);
        fleet.go(90.0, |_| true);
        let began = fleet.now;
        fleet.go(30.0, |_| false);
        let (found, doubting) = fleet.moves.first().copied().expect("doubts");
        assert!(doubting && found - began < 9.0, "{nodes}: {} s", found - began);
    }
}

#[test]
fn what_is_down_for_long_is_not_counted() {
    let mut fleet = Fleet::of(100, 5.0);
    // 60 of 100 are down from the start on: a doubt that finds out within minutes.
    let dead = |node: u32| node < 60;
    fleet.go(400.0, |node| !dead(node));
    assert_eq!(fleet.told(), (2, false), "began and ended");
    // Never again, for days.
    fleet.go(3600.0, |node| !dead(node));
    assert_eq!(fleet.told(), (0, false));
    // The rest falls silent: that is news.
    fleet.go(10.0, |_| false);
    assert_eq!(fleet.told(), (1, true));
    // Nobody at all is reached: the observer stays the suspect.
    fleet.go(7200.0, |_| false);
    assert_eq!(fleet.told(), (0, true));
    fleet.go(30.0, |node| !dead(node));
    assert_eq!(fleet.told(), (1, false));
}

#[test]
fn it_does_not_chatter() {
    let mut fleet = Fleet::of(100, 5.0);
    fleet.go(60.0, |_| true).go(20.0, |_| false);
    assert_eq!(fleet.told(), (1, true));
    // 40 % still fail: not over before it is below half of the line.
    fleet.go(60.0, |node| node >= 40);
    assert_eq!(fleet.told(), (0, true));
    fleet.go(10.0, |node| node >= 20);
    assert_eq!(fleet.told(), (1, false));
    // Those that are left do not begin it anew.
    fleet.go(60.0, |node| node >= 20);
    assert_eq!(fleet.told(), (0, false));
}

#[test]
fn the_hubs_own_lag_is_doubt_after_two_looks() {
    let mut fleet = Fleet::of(10, 5.0);
    fleet.go(30.0, |_| true);
    let second = Duration::from_secs(1);
    for (lag, told) in [
        (10 * second, (0, false)),
        (9 * second, (0, false)),
        (12 * second, (0, false)),
        (13 * second, (1, true)),
        // Hysteresis: below half of the line.
        (6 * second, (0, true)),
        (4 * second, (1, false)),
    ] {
        fleet.now += 1.0;
        fleet.look(lag);
        assert_eq!(fleet.told(), told, "{lag:?}");
    }
}

#[test]
fn timeouts_stretch_and_shrink_by_steps() {
    let mut fleet = Fleet::of(50, 5.0);
    fleet.go(60.0, |_| true);
    let mut stretched = Vec::new();
    for step in 0..12 {
        fleet.go(10.0, |_| step > 5);
        stretched.push(fleet.doubt.stretch(&fleet.policy));
    }
    stretched.dedup();
    assert_eq!(stretched, [2.0, 4.0, 8.0, 4.0, 2.0, 1.0]);
    let unset = DoubtPolicy { longest_stretch: 0.0, ..DoubtPolicy::default() };
    assert_eq!(fleet.doubt.stretch(&unset), 1.0);
}

#[test]
fn few_idle_nodes_are_told_apart_by_witnesses() {
    let policy = DoubtPolicy::default();
    let mut doubt = Doubt::default();
    for node in 0..8 {
        doubt.note(node, at(node as f64), true);
    }
    assert_eq!(doubt.witnesses(&policy, at(8.0), 8), 0, "nothing is suspected");
    doubt.note(3, at(9.0), false);
    assert_eq!(doubt.witnesses(&policy, at(9.0), 8), 4);
    assert_eq!(doubt.witnesses(&policy, at(9.0), 4), 0, "no fleet to compare with");
    for (node, reached, wanted) in
        [(0, true, 3), (1, true, 2), (2, true, 1), (4, true, 0), (5, false, 4), (5, true, 0)]
    {
        doubt.note(node, at(10.0 + node as f64), reached);
        assert_eq!(doubt.witnesses(&policy, at(16.0), 8), wanted, "{node}");
    }
    assert_eq!(doubt.witnesses(&policy, at(60.0), 8), 0, "an old failure is settled");
}

#[test]
fn memory_is_bounded_and_the_clock_may_jump() {
    let policy = DoubtPolicy::default();
    let mut doubt = Doubt::default();
    for node in 0..40_000_u64 {
        doubt.note(node * 31, at(0.0), node % 2 == 0);
    }
    assert_eq!(doubt.nodes.len(), MAX_NODES);
    for node in 0..40_000_u64 {
        doubt.forget(node * 31);
        if doubt.nodes.is_empty() {
            break;
        }
    }
    assert!(doubt.nodes.is_empty());
    for (step, jump) in [1e6, 0.0, 1e8, 5.0, 1e9].into_iter().enumerate() {
        for node in 0..20 {
            doubt.note(node, at(jump), (node + step as u64).is_multiple_of(3));
            let _ = doubt.look(&policy, at(jump), 20, Duration::MAX);
            let _ = doubt.look(&policy, Timestamp::EPOCH, 20, Duration::ZERO);
            assert!((1.0..=8.0).contains(&doubt.stretch(&policy)));
        }
    }
    // However confused: it ends.
    for second in 0..400 {
        for node in 0..20 {
            doubt.note(node, at(f64::from(second)), true);
        }
        let _ = doubt.look(&policy, at(f64::from(second)), 20, Duration::ZERO);
    }
    assert_eq!(doubt.reason(), None);
    assert!((doubt.stretch(&policy) - 1.0).abs() < f64::EPSILON);
}
