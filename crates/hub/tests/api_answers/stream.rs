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
