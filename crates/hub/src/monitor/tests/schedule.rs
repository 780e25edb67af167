//! Who is asked when.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_first_sweep_opens_as_many_sessions_at_once_as_it_may() {
    let mut play = Play::new(fleet_of(300));
    play.settings.concurrent_collections = 40;
    play.settings.ssh.opening_at_once = 16;
    let ((), _) = play
        .run(async |hub| {
            assert!(hub.status.readiness().is_err(), "nobody was tried yet");
            // 300 in places of 16, 20 ms each (and a tick of the hub's clock): half a second.
            tokio::time::sleep(ms(900)).await;
            assert_eq!(hub.stage.asked_nodes(), 301);
            assert_eq!(hub.status.readiness(), Ok(()));
            tokio::time::sleep(s(30)).await;
            let (running, opening) = hub.stage.most();
            assert!(running <= 40 && opening == 16, "{running} at once, {opening} opening");
            let snapshot = hub.snapshot();
            assert_eq!((snapshot.nodes.len(), snapshot.resources.len()), (301, 301));
            assert!(snapshot.nodes[&id("here")].breaker.is_none());
            let status = hub.status.status();
            assert_eq!((status.schedule.targets, status.schedule.waiting), (301, 0));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_fleet_that_cannot_be_reached_keeps_the_hub_unready_no_longer_than_one_connect() {
    let play = Play::new(fleet_of(300));
    for index in 0..300 {
        play.stage.set(&format!("n{index:04}"), Act::Hangs);
    }
    play.run(async |hub| {
        tokio::time::sleep(play.settings.ssh.connect_timeout - ms(100)).await;
        assert!(hub.status.readiness().is_err());
        tokio::time::sleep(ms(200)).await;
        assert_eq!(hub.status.readiness(), Ok(()));
        // The hub's own machine did not have to wait for them.
        assert!(hub.stage.asked("here").len() >= 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_rack_does_not_hold_up_the_others() {
    let play = {
        let mut nodes: Vec<_> = (0..200).map(|index| node(&format!("slow{index}"), "a")).collect();
        nodes.extend((0..20).map(|index| node(&format!("well{index}"), "b")));
        let mut play = Play::new(nodes);
        play.settings.concurrent_collections = 32;
        play.settings.ssh.opening_at_once = 32;
        let schedule = &mut play.settings.policy.schedule;
        schedule.idle_interval = schedule.active_interval;
        play
    };
    for index in 0..200 {
        play.stage.set(&format!("slow{index}"), Act::Answers(s(6)));
    }
    play.run(async |hub| {
        tokio::time::sleep(s(120)).await;
        for index in 0..20 {
            let asked = hub.stage.asked(&format!("well{index}"));
            let gaps = asked.windows(2).map(|pair| pair[1] - pair[0]);
            // At most 5.5 s by the schedule, the collection itself, and no waiting.
            let longest = gaps.max().expect("asked often");
            assert!(longest < 5_700, "well{index}: {longest} ms between {asked:?}");
        }
        assert!((0..200).all(|index| !hub.stage.asked(&format!("slow{index}")).is_empty()));
        let schedule = hub.status.status().schedule;
        assert!(schedule.waiting > 0 && schedule.skipped_total > 0, "{schedule:?}");
        assert!(schedule.lag_ms < 100.0, "waiting for a place is no lag: {schedule:?}");
        assert_eq!(hub.events(&[EventKind::HubLagging, EventKind::ObserverDoubt]), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn looking_at_a_large_fleet_hurries_only_what_is_looked_at() {
    for (count, all_are_fast) in [(60, true), (200, false)] {
        let play = Play::new(fleet_of(count));
        play.run(async |hub| {
            // Long enough to be idle.
            tokio::time::sleep(s(240)).await;
            let before: Vec<_> =
                ["n0001", "n0002"].map(|name| hub.stage.asked(name).len()).to_vec();
            let _viewer = hub.fleet.watch_viewer();
            let _looks = hub.fleet.watch_node(&id("n0002"));
            tokio::time::sleep(s(60)).await;
            let asked = |name: &str, before: usize| hub.stage.asked(name).len() - before;
            assert!(asked("n0002", before[1]) >= 10, "somebody looks at it");
            assert_eq!(asked("n0001", before[0]) >= 10, all_are_fast, "of {count}");
            // Coming and going does not drive the schedule.
            let before = hub.stage.asked("n0002").len();
            for _ in 0..50 {
                drop(hub.fleet.watch_node(&id("n0002")));
                tokio::time::sleep(ms(100)).await;
            }
            assert!(hub.stage.asked("n0002").len() - before <= 2);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sessions_are_let_go_of_in_time() {
    let play = Play::new(fleet_of(1_000));
    for index in 0..50 {
        // These are being asked when the hub stops.
        play.stage.set(&format!("n{index:04}"), Act::Answers(s(60)));
    }
    let ((), took) = play
        .run(async |hub| {
            tokio::time::sleep(s(20)).await;
            let reached = (50..1_000).all(|index| hub.level(&format!("n{index:04}")).is_some());
            assert!(reached, "all were asked");
        })
        .await;
    assert!(took <= s(1), "{took:?}");
    assert!((50..1_000).all(|index| play.stage.ended(&format!("n{index:04}")) == 1));
}
