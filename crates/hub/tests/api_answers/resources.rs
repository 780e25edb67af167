use sickbay_model::Level;

use crate::client::{get, get_with};
use crate::{fleet, hub};

fn ids(page: &serde_json::Value) -> Vec<&str> {
    page["items"].as_array().expect("rows").iter().filter_map(|row| row["id"].as_str()).collect()
}

#[tokio::test]
async fn filters_choose_and_mistakes_are_named() {
    let hub = hub::start().await;
    for (query, expected) in [
        ("", vec!["gpu/gpu-07/0", "gpu/gpu-07/1", "node/calm", "node/gpu-07", "node/silent"]),
        ("?kind=gpu", vec!["gpu/gpu-07/0", "gpu/gpu-07/1"]),
        ("?kind=gpu,node&level=healthy", vec!["gpu/gpu-07/0", "node/calm"]),
        ("?kind=node&kind=gpu&level=critical&level=unknown", vec!["gpu/gpu-07/1", "node/silent"]),
        ("?parent=node/gpu-07", vec!["gpu/gpu-07/0", "gpu/gpu-07/1"]),
        ("?label=zone%3Da&kind=node", vec!["node/calm"]),
        ("?label=zone=b+c&label=rack&kind=node", vec!["node/gpu-07", "node/silent"]),
        ("?label=nobody", vec![]),
        ("?kind=worker", vec![]),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/resources{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        assert_eq!(ids(&reply.json()), expected, "{query}");
    }
    for (query, said) in [
        ("?colour=red", "`kind`, `level`"),
        ("?kind=planet", "parameter `kind`: \"planet\" is not one of node,"),
        ("?level=fine", "parameter `level`"),
        ("?label=%3Dx", "parameter `label`"),
        ("?limit=0", "parameter `limit`: \"0\" is not a whole number from 1 to 1000"),
        ("?limit=ten", "parameter `limit`"),
        ("?limit=1&limit=2", "more than once"),
        ("?cursor=a%20b", "parameter `cursor`"),
        ("?parent=%zz", "percent-encoding"),
        ("?kind=%ff", "percent-encoding"),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/resources{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said), "{query}: {detail}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let hub = hub::start().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for page in 0.. {
        let target = format!("/api/v1/resources?limit=2&cursor={cursor}");
        let reply = get(hub.addr, &target).await.json();
        seen.extend(ids(&reply).into_iter().map(str::to_owned));
        if page == 0 {
            // What is removed between two pages does not break the walk.
            hub.remove("gpu/gpu-07/1");
        }
        match reply["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, ["gpu/gpu-07/0", "gpu/gpu-07/1", "node/calm", "node/gpu-07", "node/silent"]);
}

#[tokio::test]
async fn one_resource_with_its_explanation() {
    let hub = hub::start().await;
    for (path, id) in [
        ("node/gpu-07", "node/gpu-07"),
        ("gpu/gpu-07/1", "gpu/gpu-07/1"),
        ("gpu/gpu-07%2F1", "gpu/gpu-07/1"),
        ("node/gpu%2D07", "node/gpu-07"),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/resources/{path}")).await;
        assert_eq!(reply.status, 200, "{path}");
        let detail = reply.json();
        assert_eq!(detail["id"], id, "{path}");
        assert!(detail["score_card"]["contributions"].is_array());
        assert_eq!(detail["checks"][0]["evidence"][0]["threshold"], "85 %");
    }
    for path in ["node/nobody", "planet/mars", "gpu/gpu-07/7", "node/a%00b", "node/%2e%2e%2fetc"] {
        let reply = get(hub.addr, &format!("/api/v1/resources/{path}")).await;
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.problem().kind, "urn:sickbay:problem:unknown-resource");
    }
    let garbled = get(hub.addr, "/api/v1/resources/node/%ff").await;
    assert_eq!(garbled.status, 400);
    garbled.problem();
}

#[tokio::test]
async fn an_etag_saves_the_body_until_something_changes() {
    let hub = hub::start().await;
    for path in ["/api/v1/resources/node/calm", "/api/v1/resources?kind=node", "/api/openapi.json"]
    {
        let first = get(hub.addr, path).await;
        let etag = first.header("etag").expect("an ETag").to_owned();
        let again = get_with(hub.addr, path, &[("If-None-Match", &etag)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), Some(etag.as_str()));
        let other = get_with(hub.addr, path, &[("If-None-Match", "\"other\"")]).await;
        assert_eq!((other.status, other.body), (200, first.body), "{path}");
    }
    let before = get(hub.addr, "/api/v1/resources/node/calm").await;
    hub.put(fleet::detail("node/calm", Level::Critical, Some(3.0)));
    let etag = before.header("etag").expect("an ETag");
    let after = get_with(hub.addr, "/api/v1/resources/node/calm", &[("If-None-Match", etag)]).await;
    assert_eq!((after.status, after.json()["level"].as_str()), (200, Some("critical")));
}

#[tokio::test]
async fn status_shows_the_whole() {
    let hub = hub::start().await;
    let reply = get(hub.addr, "/status").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let report = reply.json();
    assert_eq!(report["resources"].as_array().map(Vec::len), Some(5));
    for (level, count) in
        [("healthy", 2), ("degraded", 1), ("unhealthy", 0), ("critical", 1), ("unknown", 1)]
    {
        assert_eq!(report["level_counts"][level], count, "{level}");
    }
    assert_eq!(report["hub"]["ready"], true);
    hub.put(fleet::detail("node/calm", Level::Critical, Some(3.0)));
    assert_eq!(get(hub.addr, "/status").await.json()["level_counts"]["critical"], 2);
}
