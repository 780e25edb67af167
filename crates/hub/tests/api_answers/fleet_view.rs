use sickbay_model::{Level, Timestamp};
use sickbay_wire::v1::{FleetView, StragglersView};

use crate::client::{get, get_with};
use crate::hub::TestHub;
use crate::{fleet, hub};

/// The example (calm: healthy in zone a; gpu-07: degraded, silent: unknown in zone "b c"; rack r12),
/// gpu-07 behind an open breaker, and rack-9 that was never collected.
async fn start() -> TestHub {
    let hub = hub::start().await;
    hub.put_node("calm", Some(fleet::watched("calm", &[], 0)));
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    hub.put_node("rack-9", Some(fleet::watched("rack-9", &[("rack", "r9"), ("os", "Ünix")], 0)));
    let mut critical = fleet::detail("node/zero", Level::Critical, Some(3.0));
    critical.summary.since = Timestamp::EPOCH;
    critical.summary.last_check = None;
    hub.put(critical);
    hub
}

async fn view(hub: &TestHub, query: &str) -> FleetView {
    let reply = get(hub.addr, &format!("/api/v1/fleet{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    serde_json::from_slice(&reply.body).expect("a fleet")
}

fn names(view: &FleetView) -> Vec<&str> {
    view.nodes.iter().map(|node| node.id.strip_prefix("node/").expect("a node")).collect()
}

#[tokio::test]
async fn filters_and_orders() {
    let hub = start().await;
    for (query, expected) in [
        ("", &["zero", "rack-9", "silent", "gpu-07", "calm"][..]),
        ("?sort=level", &["zero", "rack-9", "silent", "gpu-07", "calm"]),
        ("?sort=-level", &["calm", "gpu-07", "silent", "rack-9", "zero"]),
        ("?sort=name", &["calm", "gpu-07", "rack-9", "silent", "zero"]),
        ("?sort=-name", &["zero", "silent", "rack-9", "gpu-07", "calm"]),
        ("?sort=score", &["rack-9", "silent", "zero", "gpu-07", "calm"]),
        ("?sort=-score", &["calm", "gpu-07", "zero", "silent", "rack-9"]),
        ("?sort=since", &["rack-9", "zero", "calm", "gpu-07", "silent"]),
        ("?sort=last_check", &["rack-9", "zero", "calm", "gpu-07", "silent"]),
        ("?level=unknown,critical", &["zero", "rack-9", "silent"]),
        ("?level=healthy&level=degraded", &["gpu-07", "calm"]),
        ("?ready=true", &["calm"]),
        ("?ready=false&level=degraded", &["gpu-07"]),
        ("?breaker=open", &["gpu-07"]),
        ("?breaker=closed,half_open", &["rack-9", "calm"]),
        ("?label=rack%3Dr9", &["rack-9"]),
        ("?label=rack=r9&label=rack=r12&label=zone=a", &["calm"]),
        ("?label=zone&sort=name", &["calm", "gpu-07", "silent", "zero"]),
        ("?label=zone=b+c&sort=name", &["gpu-07", "silent", "zero"]),
        ("?label=nobody", &[]),
        ("?search=GPU", &["gpu-07"]),
        ("?search=91+full+R12&sort=name", &["gpu-07", "silent", "zero"]),
        ("?search=%C3%BCNIX", &["rack-9"]),
        ("?search=zone=a", &["calm"]),
        ("?search=nothing+like+it", &[]),
        ("?limit=2", &["zero", "rack-9"]),
    ] {
        let view = view(&hub, query).await;
        assert_eq!(names(&view), expected, "{query}");
        let levels = view.levels;
        assert_eq!(
            (levels.healthy, levels.degraded, levels.critical, levels.unknown, view.total),
            (1, 1, 1, 2, 5),
            "{query}: of all nodes, whatever the filter"
        );
        assert_eq!((view.ready, view.breakers.closed, view.breakers.open), (1, 2, 1), "{query}");
        assert_eq!(view.labels["rack"]["r12"], 4, "{query}");
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let hub = start().await;
    for (query, said) in [
        ("?colour=red", "`label`, `level`, `ready`, `breaker`, `search`, `sort`"),
        ("?level=fine", "parameter `level`"),
        ("?ready=maybe", "parameter `ready`"),
        ("?ready=true&ready=false", "more than once"),
        ("?breaker=ajar", "closed, open or half_open"),
        ("?label=%3Dx", "parameter `label`"),
        ("?sort=colour", "name, score, level, since or last_check"),
        ("?sort=--name", "parameter `sort`"),
        ("?limit=10001", "1 to 10000"),
        ("?limit=0", "parameter `limit`"),
        ("?cursor=gpu-07", "parameter `cursor`"),
        ("?cursor=name.0.gpu-07", "parameter `cursor`"),
        ("?cursor=level.zz.gpu-07", "parameter `cursor`"),
        ("?search=%ff", "percent-encoding"),
    ] {
        let reply = get(hub.addr, &format!("/api/v1/fleet{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said), "{query}: {detail}");
    }
    let long = format!("/api/v1/fleet?search={}", "x".repeat(201));
    assert_eq!(get(hub.addr, &long).await.status, 400);
}

#[tokio::test]
async fn pages_follow_each_other_in_every_order() {
    let hub = start().await;
    for sort in ["name", "-name", "level", "-level", "score", "-score", "since", "-last_check"] {
        let whole = view(&hub, &format!("?sort={sort}")).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = view(&hub, &format!("?sort={sort}&limit=2&cursor={cursor}")).await;
            seen.extend(names(&page).into_iter().map(str::to_owned));
            match page.next_cursor {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(seen, names(&whole), "{sort}");
    }
    // What the cursor names may be gone by the time that it is used.
    for (sort, expected) in [("name", "silent"), ("-name", "rack-9")] {
        let page = view(&hub, &format!("?sort={sort}&limit=1&cursor=name.0.s")).await;
        assert_eq!(names(&page), [expected], "{sort}");
    }
}

#[tokio::test]
async fn an_etag_is_good_until_something_changes() {
    let hub = start().await;
    let ask = async |query: &str, etag: &str| {
        let headers = [("If-None-Match", etag)];
        get_with(hub.addr, &format!("/api/v1/fleet{query}"), &headers).await
    };
    let first = get(hub.addr, "/api/v1/fleet").await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = ask("", &etag).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(etag.as_str()));
    assert_eq!(ask("?level=healthy", &etag).await.status, 200, "another question");
    hub.edit(|next| next.doubt = Some("its own line is down".to_owned()));
    let after = ask("", &etag).await;
    assert_eq!((after.status, after.json()["doubt"].as_str()), (200, Some("its own line is down")));
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 0)));
    assert_eq!(view(&hub, "").await.breakers.open, 0, "a breaker alone moved");
    hub.remove("node/zero");
    hub.put_node("rack-9", None);
    let view = view(&hub, "").await;
    assert_eq!((view.total, view.labels["rack"].len()), (3, 1), "what is gone is gone");
}

#[tokio::test]
async fn the_fleet_shows_in_status_and_details_too() {
    let hub = start().await;
    let status = get(hub.addr, "/status").await.json();
    assert_eq!(status["fleet"]["total"], 5);
    assert_eq!(status["fleet"]["levels"]["unknown"], 2);
    assert_eq!(status["fleet"]["breakers"]["open"], 1);
    let open = get(hub.addr, "/api/v1/resources/node/gpu-07").await.json();
    assert_eq!(open["breaker"]["state"], "open");
    assert_eq!(open["breaker"]["failures"], 3);
    assert_eq!(open["breaker"]["last_failure"], "connection refused");
    assert!(open["breaker"]["probe_at"].is_string(), "{open}");
    for path in ["node/silent", "gpu/gpu-07/0"] {
        let detail = get(hub.addr, &format!("/api/v1/resources/{path}")).await.json();
        assert_eq!(detail.get("breaker"), None, "{path} is behind none");
    }
}

#[tokio::test]
async fn stragglers_are_told_and_their_absence_too() {
    let hub = start().await;
    let path = "/api/v1/stragglers";
    let reply = get(hub.addr, path).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let view: StragglersView = serde_json::from_slice(&reply.body).expect("the view");
    assert_eq!((view.at, view.groups.len(), view.straggler_count), (None, 0, 0));
    assert!(view.note.is_some_and(|note| note.starts_with("Nobody was compared yet")));
    let etag = reply.header("etag").expect("a tag").to_owned();
    assert_eq!(get_with(hub.addr, path, &[("If-None-Match", &etag)]).await.status, 304);
    assert_eq!(get(hub.addr, "/api/v1/stragglers?limit=3").await.status, 400);
}
