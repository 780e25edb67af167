use proptest::prelude::*;

use super::*;

const START: i64 = 1_800_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms(START + seconds * 1000)
}

fn steady() -> BreakerPolicy {
    BreakerPolicy { jitter_percent: 0.0, ..BreakerPolicy::default() }
}

/// A breaker that was opened by three failures at second 0.
fn opened(policy: &BreakerPolicy) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..policy.failures {
        breaker.failed(policy, at(0), "refused", 1);
    }
    breaker
}

#[test]
fn a_life() {
    let policy = steady();
    let mut breaker = Breaker::default();
    // Second, what happens (a: asked, f: failed, s: succeeded, r: reset, x: excused), whether it
    // may be asked, and the state after.
    for (second, what, may, state) in [
        (0, 'a', true, "closed"),
        (0, 'f', true, "closed"),
        (5, 'f', true, "closed"),
        // A success in between starts the count anew.
        (6, 's', true, "closed"),
        (10, 'f', true, "closed"),
        (15, 'f', true, "closed"),
        (20, 'f', true, "open"),
        (20, 'a', false, "open"),
        // A late result of before changes nothing.
        (25, 'f', true, "open"),
        (319, 'a', false, "open"),
        (320, 'a', true, "half_open"),
        (321, 'a', false, "half_open"),
        (325, 'f', true, "open"),
        // Twice as long.
        (924, 'a', false, "open"),
        (925, 'a', true, "half_open"),
        // The hub's own link was down: no longer wait for that.
        (926, 'x', true, "open"),
        (1525, 'a', false, "open"),
        (1526, 'a', true, "half_open"),
        (1527, 's', true, "closed"),
        (1530, 'f', true, "closed"),
        (1530, 'f', true, "closed"),
        (1530, 'f', true, "open"),
        // The back-off began anew.
        (1830, 'a', true, "half_open"),
        (1831, 'f', true, "open"),
        (1832, 'r', true, "closed"),
        (1832, 'a', true, "closed"),
    ] {
        let now = at(second);
        let mut allowed = true;
        let before = breaker.state();
        let moved = match what {
            'a' => {
                let (may, moved) = breaker.ask(&policy, now);
                allowed = may;
                moved
            }
            'f' => breaker.failed(&policy, now, "refused", 1),
            's' => breaker.succeeded(now),
            'x' => breaker.excused(&policy, now, 1),
            _ => breaker.reset(now),
        };
        assert_eq!((allowed, breaker.state().as_str()), (may, state), "{what} at {second}");
        assert_eq!(moved.is_some(), before != breaker.state(), "{what} at {second}");
        assert!(moved.is_none_or(|it| it.from == before && it.to == breaker.state()));
        assert_eq!(breaker.probe_at().is_some(), breaker.state() == BreakerState::Open);
    }
}

#[test]
fn a_soft_failure_never_opens_it_and_counts() {
    let mut breaker = Breaker::default();
    for _ in 0..5 {
        breaker.failed_softly("no answer");
    }
    assert_eq!((breaker.state(), breaker.failures()), (BreakerState::Closed, 5));
    let moved = breaker.failed(&steady(), at(0), "no answer", 1).expect("opens");
    assert_eq!(moved.reason, "6 failures in a row, the last: no answer");
}

#[test]
fn the_clock_may_jump_and_a_probe_may_be_lost() {
    let policy = steady();
    // Set back by an hour right after it opened: five minutes from then on.
    let mut breaker = opened(&policy);
    assert!(!breaker.ask(&policy, at(-3600)).0);
    assert!(!breaker.ask(&policy, at(-3301)).0);
    assert!(breaker.ask(&policy, at(-3300)).0);
    // Set back during the probe, whose result is lost: another one five minutes later.
    assert!(!breaker.ask(&policy, at(-9000)).0);
    assert!(!breaker.ask(&policy, at(-8701)).0);
    assert!(breaker.ask(&policy, at(-8700)).0);
    assert!(!breaker.ask(&policy, at(-8699)).0, "and that is again the only one");
    // A leap ahead: asked early, once.
    let mut breaker = opened(&policy);
    assert!(breaker.ask(&policy, at(1_000_000)).0);
    assert!(!breaker.ask(&policy, at(1_000_001)).0);
    // A stored state that makes no sense.
    let odd = r#"{"state": "open", "probe_at": "9999-01-01T00:00:00Z"}"#;
    let mut breaker: Breaker = serde_json::from_str(odd).expect("reads");
    assert!(!breaker.ask(&policy, at(0)).0);
    assert!(breaker.ask(&policy, at(1800)).0);
    let mut breaker: Breaker = serde_json::from_str(r#"{"state": "open"}"#).expect("reads");
    assert!(breaker.ask(&policy, at(0)).0);
}

#[test]
fn waits_are_bounded_whatever_the_policy_says() {
    let least = Duration::from_secs(1);
    for (growth, jitter_percent, open_for, longest) in [
        (f64::NAN, f64::NAN, 300, 1800),
        (f64::INFINITY, 1e9, 300, 1800),
        (-3.0, -20.0, 300, 1800),
        (2.0, 10.0, 0, 0),
        (2.0, 10.0, u64::MAX, u64::MAX),
        (1e300, 10.0, 300, 1),
    ] {
        let policy = BreakerPolicy {
            failures: 0,
            open_for: Duration::from_secs(open_for),
            growth,
            longest: Duration::from_secs(longest),
            jitter_percent,
        };
        for openings in [0, 1, 2, 40, u32::MAX] {
            for jitter in [-1.0, 0.0, 1.0] {
                let wait = policy.wait(openings, jitter);
                assert!(wait >= least && wait <= policy.longest_wait(), "{policy:?}: {wait:?}");
            }
        }
    }
    let wait = |openings| steady().wait(openings, 0.0).as_secs();
    assert_eq!([1, 2, 3, 4, 5].map(wait), [300, 600, 1200, 1800, 1800]);
}

#[test]
fn a_reason_is_kept_up_to_a_limit() {
    let mut breaker = Breaker::default();
    breaker.failed(&steady(), at(0), &"ä".repeat(1000), 1);
    assert_eq!(breaker.last_failure().map(str::len), Some(MAX_REASON));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens and however the clock jumps.
    #[test]
    fn asks_not_before_its_time_and_always_some_time(
        story in prop::collection::vec((0..5_u8, -4000_i64..4000, any::<u64>()), 1..80),
        jitter_percent in 0.0..50.0_f64,
    ) {
        let policy = BreakerPolicy { jitter_percent, ..BreakerPolicy::default() };
        let mut breaker = Breaker::default();
        let mut now = at(0);
        let mut probes = 0;
        for (what, step, seed) in story {
            now = Timestamp::from_unix_ms(now.as_unix_ms() + step * 1000);
            let due = breaker.probe_at().is_none_or(|probe_at| now >= probe_at);
            let before = breaker.clone();
            match what {
                0 | 1 => {
                    let (may, _) = breaker.ask(&policy, now);
                    prop_assert!(before.state() != BreakerState::Open || !may || due);
                    if before.state() == BreakerState::HalfOpen && may {
                        prop_assert!(now.since(before.since()) >= policy.open_for);
                        probes = 0;
                    }
                    probes += u32::from(may && breaker.state() == BreakerState::HalfOpen);
                    prop_assert!(probes <= 1, "exactly one probe");
                }
                2 => _ = breaker.failed(&policy, now, "refused", seed),
                3 => _ = breaker.excused(&policy, now, seed),
                _ => _ = breaker.succeeded(now),
            }
            if breaker.state() != BreakerState::HalfOpen {
                probes = 0;
            }
            if let Some(probe_at) = breaker.probe_at() && what > 1 {
                prop_assert!(probe_at.since(breaker.since()) <= policy.longest_wait());
            }
            // A restart keeps it, and within the longest wait it is asked.
            let json = serde_json::to_string(&breaker).expect("serialises");
            let mut later: Breaker = serde_json::from_str(&json).expect("reads back");
            prop_assert_eq!(&later, &breaker);
            let first = later.ask(&policy, now).0;
            let then = now.plus(policy.longest_wait());
            prop_assert!(first || later.ask(&policy, then).0, "{breaker:?}");
        }
    }
}
