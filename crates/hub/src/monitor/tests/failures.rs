//! What fails, and who is blamed.

use super::*;

const QUIET: &[EventKind] = &[
    EventKind::BreakerMoved,
    EventKind::LevelChanged,
    EventKind::ReadinessChanged,
    EventKind::ObserverDoubt,
];

#[tokio::test(start_paused = true)]
async fn a_dead_node_is_not_asked_for_minutes_and_found_again() {
    let play = Play::new(fleet_of(20));
    play.run(async |hub| {
        tokio::time::sleep(s(20)).await;
        hub.stage.set("n0003", Act::Fails(ms(100)));
        tokio::time::sleep(s(90)).await;
        assert_eq!(hub.breaker("n0003"), BreakerState::Open);
        assert_eq!(hub.level("n0003"), Some(Level::Unknown));
        assert_eq!(hub.breaker("n0004"), BreakerState::Closed);
        let entry = hub.entry("n0003");
        let breaker = entry.breaker.as_ref().expect("behind one");
        assert!(breaker.last_failure().is_some_and(|why| why.contains("timed out")));
        let parts = &hub.snapshot().system.parts;
        assert_eq!(parts[1].note, "19 of 20 breakers are closed");
        assert_eq!(parts[3].note, "0 of 1 recoveries succeeded");
        let asked = hub.stage.asked("n0003").len();
        tokio::time::sleep(s(150)).await;
        assert_eq!(hub.stage.asked("n0003").len(), asked, "nobody asks it");
        assert!(hub.stale("n0003").is_none_or(|why| !why.contains("no collection has ended")));

        // The probe comes after five minutes, and fails; then somebody knows better.
        tokio::time::sleep(s(200)).await;
        assert_eq!(hub.stage.asked("n0003").len(), asked + 1);
        hub.stage.set("n0003", Act::Answers(ms(20)));
        let reset = |answer| Command::ResetBreaker(id("n0003"), answer);
        assert_eq!(hub.commands.ask(reset).await, Ok(()));
        tokio::time::sleep(ms(100)).await;
        assert_eq!(hub.stage.asked("n0003").len(), asked + 2, "at once");
        assert_eq!(hub.breaker("n0003"), BreakerState::Closed);
        let moves = hub.events(&[EventKind::BreakerMoved]);
        assert_eq!(moves.len(), 4, "open, half-open, open, closed: {moves:?}");
        assert!(moves.iter().all(|(_, of)| of == "n0003"));
        // To forget asks at once, too.
        let asked = hub.stage.asked("n0003").len();
        let forget = |answer| Command::Forget(id("n0003"), WhatToForget::default(), answer);
        assert_eq!(hub.commands.ask(forget).await, Ok(Vec::new()));
        tokio::time::sleep(ms(100)).await;
        assert_eq!(hub.stage.asked("n0003").len(), asked + 1);
        let forget = |answer| Command::Forget(id("nobody"), WhatToForget::default(), answer);
        assert!(hub.commands.ask(forget).await.is_err());
        for (name, expected) in [("here", "behind no breaker"), ("nobody", "not watched")] {
            let refused = hub.commands.ask(|answer| Command::ResetBreaker(id(name), answer)).await;
            let refused = refused.expect_err("refused").to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_survives_a_restart() {
    let play = Play::new(fleet_of(3));
    play.stage.set("n0001", Act::Fails(ms(100)));
    let (asked, _) = play
        .run(async |hub| {
            tokio::time::sleep(s(60)).await;
            assert_eq!(hub.breaker("n0001"), BreakerState::Open);
            hub.stage.asked("n0001").len()
        })
        .await;
    play.run(async |hub| {
        assert_eq!(hub.breaker("n0001"), BreakerState::Open);
        assert!(hub.stale("n0000").is_some_and(|why| why.contains("before the hub")));
        tokio::time::sleep(s(60)).await;
        assert_eq!(hub.status.readiness(), Ok(()), "a breaker ends the waiting too");
        assert_eq!(hub.stage.asked("n0001").len(), asked, "still not asked");
        assert_eq!(hub.stale("n0000"), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn when_the_hubs_own_link_is_down_nobody_else_is_blamed() {
    let play = Play::new(fleet_of(100));
    play.run(async |hub| {
        tokio::time::sleep(s(60)).await;
        let before = hub.events(QUIET).len();
        for index in 0..100 {
            hub.stage.set(&format!("n{index:04}"), Act::Fails(s(5)));
        }
        tokio::time::sleep(s(180)).await;
        assert!(hub.snapshot().doubt.as_deref().is_some_and(|why| why.contains("fell silent")));
        let open = (0..100)
            .filter(|index| hub.breaker(&format!("n{index:04}")) != BreakerState::Closed)
            .count();
        assert_eq!(open, 0, "we did not stop asking anybody");
        let why = hub.stale("n0042").expect("not fresh");
        assert!(why.contains("(observer)") && why.contains("connection timed out"), "{why}");
        assert_eq!(hub.level("n0042"), Some(Level::Unknown));
        for index in 0..100 {
            hub.stage.set(&format!("n{index:04}"), Act::Answers(ms(20)));
        }
        tokio::time::sleep(s(180)).await;
        assert_eq!(hub.snapshot().doubt, None);
        assert_eq!((hub.stale("n0042"), hub.level("n0042")), (None, Some(Level::Healthy)));
        let told: Vec<_> = hub.events(QUIET).split_off(before);
        let of_the_hub = (EventKind::ObserverDoubt, String::new());
        assert_eq!(told, [of_the_hub.clone(), of_the_hub], "one word at its begin, one at its end");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_behind_a_dead_gate_is_excused_and_asked_as_soon_as_it_is_back() {
    let mut nodes = fleet_of(20);
    nodes.push(node("gate", "x"));
    for index in 0..4 {
        let mut behind = node(&format!("behind{index}"), "x");
        match index % 2 {
            0 => behind.parent = Some("gate".to_owned()),
            _ => behind.target.proxy_jump = Some("me@gate.example:22".to_owned()),
        }
        nodes.push(behind);
    }
    let play = Play::new(nodes);
    play.run(async |hub| {
        tokio::time::sleep(s(30)).await;
        let all = ["gate", "behind0", "behind1", "behind2", "behind3"];
        for name in all {
            hub.stage.set(name, Act::Fails(ms(50)));
        }
        tokio::time::sleep(s(150)).await;
        assert_eq!(hub.breaker("gate"), BreakerState::Open);
        for name in &all[1..] {
            assert_eq!(hub.breaker(name), BreakerState::Closed, "{name}");
            let why = hub.stale(name).expect("not fresh");
            assert!(why.contains("(parent)") && why.contains("gate"), "{name}: {why}");
        }
        let told = hub.events(&[EventKind::BreakerMoved, EventKind::LevelChanged]);
        let of_others = told.iter().filter(|(_, of)| of.starts_with("behind")).count();
        assert_eq!(of_others, 0, "one cause, one story: {told:?}");
        assert_eq!(hub.snapshot().doubt, None);

        for name in all {
            hub.stage.set(name, Act::Answers(ms(20)));
        }
        let reset = |answer| Command::ResetBreaker(id("gate"), answer);
        assert_eq!(hub.commands.ask(reset).await, Ok(()));
        tokio::time::sleep(ms(500)).await;
        assert!(all.iter().all(|name| hub.stale(name).is_none()), "at once");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_panics_costs_its_own_node_one_collection() {
    let play = Play::new(fleet_of(5));
    play.run(async |hub| {
        tokio::time::sleep(s(20)).await;
        let before = hub.stage.asked("n0002").len();
        hub.stage.set("n0001", Act::Panics);
        tokio::time::sleep(s(60)).await;
        hub.stage.set("n0001", Act::Answers(ms(20)));
        tokio::time::sleep(s(30)).await;
        assert_eq!(hub.stale("n0001"), None);
        assert_eq!(hub.breaker("n0001"), BreakerState::Closed, "that is no failure of the node");
        assert!(hub.stage.asked("n0001").len() > 10, "tried again and again");
        assert!(hub.stage.asked("n0002").len() >= before + 2, "the others go on");
        assert_eq!(hub.status.schedule().running.load(Ordering::Relaxed), 0);
        assert_eq!(hub.events(&[EventKind::BreakerMoved]), []);
    })
    .await;
}
