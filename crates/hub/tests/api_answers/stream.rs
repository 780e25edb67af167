use std::time::Duration;

use sickbay_hub::{Limits, ListenSettings};
use sickbay_model::Level;

use crate::client::{Live, Message, PATIENCE, get};
use crate::{fleet, hub};

async fn ids(live: &mut Live, event: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let message = live.news().await;
        assert_eq!(message.event, event, "{message:?}");
        assert_eq!(message.id.is_some(), event == "event", "only events carry an id");
        ids.push(match event {
            "resource" => message.data["id"].as_str().expect("an id").to_owned(),
            "event" => message.data["id"].to_string(),
            _ => message.data.as_str().expect("an id").to_owned(),
        });
    }
    ids
}

const ALL: [&str; 5] = ["gpu/gpu-07/0", "gpu/gpu-07/1", "node/calm", "node/gpu-07", "node/silent"];

#[tokio::test]
async fn first_everything_then_what_changes() {
    let hub = hub::start().await;
    let mut live = Live::open(hub.addr, &[]).await;
    assert_eq!(ids(&mut live, "resource", 5).await, ALL);
    assert_eq!(hub.fleet.viewers(), 1, "someone is looking");

    hub.put(fleet::detail("node/calm", Level::Critical, Some(3.0)));
    let change = live.news().await;
    assert_eq!((change.event.as_str(), &change.data["level"]), ("resource", &"critical".into()));
    hub.add_events(7..=8, true);
    assert_eq!(ids(&mut live, "event", 2).await, ["7", "8"]);
    hub.remove("node/silent");
    assert_eq!(ids(&mut live, "removed", 1).await, ["node/silent"]);

    drop(live);
    let gone = async {
        while hub.fleet.viewers() > 0 {
            // The server notices at its next write.
            hub.put(fleet::detail("node/calm", Level::Healthy, Some(99.0)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("nobody looks any more");
}

#[tokio::test]
async fn the_hubs_status_comes_at_once() {
    let hub = hub::start().await;
    let mut live = Live::open(hub.addr, &[]).await;
    ids(&mut live, "resource", 5).await;
    let status: Message = live.next().await.expect("a message");
    assert_eq!((status.event.as_str(), &status.data["ready"]), ("hub", &true.into()));
}

#[tokio::test]
async fn a_client_that_comes_back_gets_what_it_missed() {
    let hub = hub::start().await;
    hub.add_events(1..=450, false);
    for (last, first_missed) in [("40", 41_u64), ("449", 450), ("0", 1)] {
        let mut live = Live::open(hub.addr, &[("Last-Event-ID", last)]).await;
        ids(&mut live, "resource", 5).await;
        let missed: Vec<String> = (first_missed..=450).map(|id| id.to_string()).collect();
        assert_eq!(ids(&mut live, "event", missed.len()).await, missed, "after {last}");
    }
    // Up to date already; then an event that is stored but that no broadcast told of.
    let mut live = Live::open(hub.addr, &[("Last-Event-ID", "450")]).await;
    ids(&mut live, "resource", 5).await;
    live.next().await.expect("the hub's status");
    hub.add_events(451..=452, false);
    hub.add_events(453..=453, true);
    assert_eq!(ids(&mut live, "event", 3).await, ["451", "452", "453"], "no gap");

    let wrong = crate::client::get_with(hub.addr, "/api/v1/stream", &[("Last-Event-ID", "x")]);
    assert_eq!(wrong.await.status, 400);
}

#[tokio::test]
async fn who_falls_behind_gets_a_fresh_snapshot() {
    for headers in [&[("Last-Event-ID", "0")][..], &[]] {
        let limits = Limits { stream_backlog: 8, ..hub::wide() };
        let hub = hub::start_with(ListenSettings { limits, ..ListenSettings::default() }).await;
        let mut live = Live::open(hub.addr, headers).await;
        ids(&mut live, "resource", 5).await;
        live.next().await.expect("the hub's status");
        // One burst, larger than the backlog, while the stream has no chance to read.
        hub.remove("node/silent");
        hub.submit_events(1..=3);
        for score in 0..50_u32 {
            hub.put(fleet::detail("node/calm", Level::Healthy, Some(f64::from(score))));
        }
        let (mut removed, mut events, mut score) = (Vec::new(), Vec::new(), None);
        while removed.is_empty() || events.len() < 3 || score != Some(49.0) {
            let message = live.news().await;
            match message.event.as_str() {
                "removed" => removed.push(message.data),
                "event" => events.push(message.id.expect("an id")),
                _ if message.data["id"] == "node/calm" => score = message.data["score"].as_f64(),
                _ => {}
            }
        }
        assert_eq!((removed, events), (vec!["node/silent".into()], vec![1, 2, 3]));
        let metrics = get(hub.addr, "/metrics").await;
        assert!(metrics.text().contains("\nsickbay_http_streams_lagged_total 1\n"));
    }
}

#[tokio::test]
async fn streams_are_limited_and_places_come_free() {
    let limits = Limits { streams: 2, ..hub::wide() };
    let hub = hub::start_with(ListenSettings { limits, ..ListenSettings::default() }).await;
    let first = Live::open(hub.addr, &[]).await;
    let _second = Live::open(hub.addr, &[]).await;
    let third = get(hub.addr, "/api/v1/stream").await;
    assert_eq!(third.status, 503);
    assert!(third.problem().detail.contains("2 streams"));
    assert!(third.header("retry-after").is_some());
    drop(first);
    let free = async {
        while hub.fleet.viewers() > 1 {
            hub.put(fleet::detail("node/calm", Level::Healthy, Some(99.0)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("the place comes free");
    Live::open(hub.addr, &[]).await;
}

async fn until(live: &mut Live, wanted: impl Fn(&Message) -> bool) -> Message {
    loop {
        let message = live.news().await;
        if wanted(&message) {
            return message;
        }
    }
}

#[tokio::test]
async fn a_map_gets_lines_not_details() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 0)));
    let mut live = Live::open_at(hub.addr, "/api/v1/stream?fleet", &[]).await;
    let first = live.news().await;
    assert_eq!((first.event.as_str(), &first.data["total"]), ("fleet", &3.into()));
    assert_eq!(first.data["nodes"], serde_json::json!([]), "the totals alone");
    let mut lines = Vec::new();
    for _ in 0..3 {
        let message = live.news().await;
        assert_eq!(message.event, "fleet_node");
        lines.push(message.data["id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(lines, ["node/calm", "node/gpu-07", "node/silent"]);

    for score in 1..=30_u32 {
        hub.put(fleet::detail("node/calm", Level::Critical, Some(f64::from(score))));
    }
    let line = until(&mut live, |message| message.event == "fleet_node").await;
    assert_eq!((&line.data["id"], &line.data["level"]), (&"node/calm".into(), &"critical".into()));
    let newest = if line.data["score"] == 30.0 {
        line
    } else {
        until(&mut live, |message| message.data["score"] == 30.0).await
    };
    assert_eq!(newest.data["id"], "node/calm", "as it is newest, in one or two lines");

    // Only its breaker moved: nothing was judged.
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    let totals = until(&mut live, |message| message.event == "fleet").await;
    let totals = if totals.data["breakers"]["open"] == 1 {
        totals
    } else {
        until(&mut live, |message| message.data["breakers"]["open"] == 1).await
    };
    assert_eq!(totals.data["levels"]["critical"], 1);
    let line = until(&mut live, |message| message.event == "fleet_node").await;
    assert_eq!(line.data["breaker"], "open");
    hub.add_events(7..=8, true);
    assert_eq!(until(&mut live, |message| message.event == "event").await.id, Some(7));
    hub.remove("node/silent");
    let gone = until(&mut live, |message| message.event == "removed").await;
    assert_eq!(gone.data, "node/silent");
}

#[tokio::test]
async fn a_nodes_page_gets_that_node_and_makes_it_fast() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    let target = "/api/v1/stream?resource=node/gpu-07";
    let mut live = Live::open_at(hub.addr, target, &[]).await;
    let parts = ["gpu/gpu-07/0", "gpu/gpu-07/1", "node/gpu-07"];
    assert_eq!(ids(&mut live, "resource", 3).await, parts);
    let node = "node/gpu-07".parse().expect("an id");
    assert!(hub.fleet.is_looked_at(&node), "it is polled fast");
    hub.put(fleet::detail("node/calm", Level::Critical, Some(3.0)));
    hub.put(fleet::detail("node/gpu-07", Level::Critical, Some(4.0)));
    let change = live.news().await;
    assert_eq!((&change.data["id"], &change.data["score"]), (&"node/gpu-07".into(), &4.0.into()));
    assert_eq!(change.data["breaker"]["state"], "open");
    hub.remove("node/silent");
    hub.remove("gpu/gpu-07/1");
    assert_eq!(ids(&mut live, "removed", 1).await, ["gpu/gpu-07/1"]);
    drop(live);

    let target = "/api/v1/stream?fleet&resource=node/calm";
    let mut both = Live::open_at(hub.addr, target, &[]).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(both.news().await.event);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["fleet", "fleet_node", "fleet_node", "resource"]);
    for (query, said) in [
        ("?resource=planet/mars/%20", "parameter `resource`"),
        ("?fleet=maybe", "parameter `fleet`"),
        ("?colour", "`last_event_id`, `fleet`, `resource`"),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/stream{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        assert!(reply.problem().detail.contains(said), "{query}");
    }
}

#[tokio::test]
async fn a_thousand_nodes_do_not_flood_a_map() {
    let hub = hub::start().await;
    let name = |node: u32| format!("node/n{node:04}");
    for node in 0..1_000 {
        hub.put(fleet::detail(&name(node), Level::Healthy, Some(99.0)));
    }
    let mut live = Live::open_at(hub.addr, "/api/v1/stream?fleet", &[]).await;
    for _ in 0..1 + 1_003 {
        live.news().await;
    }
    for turn in 1..=5 {
        for node in 0..1_000 {
            hub.put(fleet::detail(&name(node), Level::Degraded, Some(60.0 + f64::from(turn))));
        }
    }
    let (mut lines, mut newest) = (0, std::collections::BTreeSet::new());
    let began = tokio::time::Instant::now();
    while newest.len() < 1_000 {
        let message = live.news().await;
        if message.event == "fleet_node" {
            lines += 1;
            if message.data["score"] == 65.0 {
                newest.insert(message.data["id"].as_str().expect("an id").to_owned());
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!(lines < 3_000, "{lines} lines for 5000 changes");
    assert!(f64::from(lines) <= 1_000.0 * (seconds + 1.0), "{lines} lines in {seconds} s");
}
