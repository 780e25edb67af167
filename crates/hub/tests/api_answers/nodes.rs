use sickbay_hub::{CommandError, ListenSettings, NodeEntry, Secret};
use sickbay_model::ResourceId;
use sickbay_wire::v1::{NodeView, Page};

use crate::client::{Reply, ask, get};
use crate::hub::TestHub;
use crate::{fleet, hub};

const NODES: &str = "/api/v1/nodes";
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn post(hub: &TestHub, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    ask(hub.addr, "POST", path, headers, body.as_bytes()).await
}

#[tokio::test]
async fn a_node_is_added_by_the_loop_and_shown() {
    let hub = hub::start().await;
    let body = "{\"name\": \"gpu-08\", \"host\": \"10.0.0.8\", \"labels\": {\"rack\": \"r1\"}}";
    let (reply, done) = tokio::join!(post(&hub, NODES, &[JSON], body), hub.obey(Ok(())));
    assert_eq!(done, "add gpu-08 at 10.0.0.8");
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.header("location"), Some("/api/v1/nodes/gpu-08"));
    let added: NodeView = serde_json::from_slice(&reply.body).expect("a node");
    assert_eq!((added.id.as_str(), added.origin.as_str()), ("node/gpu-08", "added"));
    assert_eq!(added.breaker.as_ref().map(|it| it.state.as_str()), Some("closed"));
    let shown = get(hub.addr, "/api/v1/nodes/gpu-08").await;
    assert_eq!(shown.json(), serde_json::to_value(&added).expect("JSON"));
    let fleet = get(hub.addr, "/api/v1/fleet?label=rack=r1").await.json();
    assert_eq!(fleet["nodes"][0]["id"], "node/gpu-08");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let hub = hub::start().await;
    hub.put_node("here", Some(NodeEntry { definition: None, breaker: None }));
    let id = || ResourceId::node("gpu-08").expect("an id");
    let refused = || CommandError::Refused("gpu-08 is in the config; take it out there".to_owned());
    let lost = || CommandError::NotKept("the disk is full".to_owned());
    let one = "/api/v1/nodes/gpu-08";
    let reset = "/api/v1/nodes/gpu-08/breaker/reset";
    for (method, path, answer, status, said) in [
        ("POST", NODES, CommandError::Exists(id()), 409, "watched already"),
        ("POST", NODES, refused(), 422, "take it out there"),
        ("POST", NODES, CommandError::Busy, 503, "try again"),
        ("POST", NODES, lost(), 503, "the disk is full; /api/v1/hub"),
        ("DELETE", one, CommandError::Unknown(id()), 404, "/api/v1/nodes lists"),
        ("DELETE", one, refused(), 409, "take it out there"),
        ("DELETE", one, CommandError::Busy, 503, "try again"),
        ("DELETE", one, lost(), 503, "the disk is full"),
        ("POST", reset, CommandError::Unknown(id()), 404, "gpu-08"),
        ("POST", reset, refused(), 409, "take it out there"),
    ] {
        let body = if path == NODES { "{\"name\": \"gpu-08\"}" } else { "" };
        let request = ask(hub.addr, method, path, &[JSON], body.as_bytes());
        let (reply, _) = tokio::join!(request, hub.obey(Err(answer.clone())));
        assert_eq!(reply.status, status, "{method} {path} {answer:?}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said), "{method} {path} {answer:?}: {detail}");
        assert_eq!(
            reply.header("retry-after").is_some(),
            answer == CommandError::Busy,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn removing_and_resetting() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    let reset = "/api/v1/nodes/gpu-07/breaker/reset";
    for (headers, body) in [(&[][..], ""), (&[JSON], "{}"), (&[JSON], " null\n")] {
        let (reply, done) = tokio::join!(post(&hub, reset, headers, body), hub.obey(Ok(())));
        assert_eq!((reply.status, done.as_str()), (200, "reset node/gpu-07"), "{reply:?}");
        assert_eq!(reply.json()["id"], "node/gpu-07");
    }
    let request = ask(hub.addr, "DELETE", "/api/v1/nodes/gpu-07", &[], b"");
    let (reply, done) = tokio::join!(request, hub.obey(Ok(())));
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(done, "remove node/gpu-07");
}

#[tokio::test]
async fn forgetting_says_what_was_forgotten() {
    let hub = hub::start().await;
    let forget = "/api/v1/nodes/gpu-07/forget";
    for (query, asked, instance) in [
        ("", "forget None None of node/gpu-07", "mlx5_1"),
        (
            "?check=gpu_fault&instance=3%20xid-48",
            "forget Some(\"gpu_fault\") Some(\"3 xid-48\") of node/gpu-07",
            "3 xid-48",
        ),
    ] {
        let path = format!("{forget}{query}");
        let (reply, done) = tokio::join!(post(&hub, &path, &[], ""), hub.obey(Ok(())));
        assert_eq!((reply.status, done.as_str()), (200, asked), "{reply:?}");
        let json = reply.json();
        assert_eq!(json["id"], "node/gpu-07");
        assert_eq!(json["forgotten"][0]["check"], "hardware_changed");
        assert_eq!(json["forgotten"][0]["instance"], instance);
    }
    for (query, said) in [
        ("?check=nonsense", "nonsense"),
        ("?instance=3", "name it, too"),
        ("?chekc=gpu_fault", "chekc"),
    ] {
        let reply = post(&hub, &format!("{forget}{query}"), &[], "").await;
        assert_eq!(reply.status, 400, "{query}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said), "{query}: {detail}");
    }
    let unknown = CommandError::Unknown(ResourceId::node("gpu-07").expect("an id"));
    let (reply, _) = tokio::join!(post(&hub, forget, &[], ""), hub.obey(Err(unknown)));
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn every_mistake_is_named_at_once_and_nothing_is_asked_of_the_loop() {
    let hub = hub::start().await;
    let body = "{\"name\": \"a b\", \"host\": \"-oProxyCommand=x\", \"port\": 0, \
                \"labels\": {\"Rack\": \"\"}, \"expected_gpus\": 5000}";
    let reply = post(&hub, NODES, &[JSON], body).await;
    assert_eq!(reply.status, 422);
    let problem = reply.problem();
    let fields: Vec<_> = problem.mistakes.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["name", "host", "port", "labels.Rack", "labels.Rack", "expected.gpus"]);
    assert!(problem.detail.contains("allowed: a whole number from 1 to 65535"), "{problem:?}");

    for (headers, body, status, said) in [
        (&[JSON][..], "", 400, "the body is no node"),
        (&[JSON], "[]", 400, "the body is no node"),
        (&[JSON], "{\"name\": \"a\"", 400, "line 1 column"),
        (&[JSON], "{\"name\": \"a\", \"nmae\": 1}", 400, "unknown field `nmae`"),
        (&[JSON], "{\"host\": \"a\"}", 400, "missing field `name`"),
        (&[JSON], "{\"name\": \"a\", \"port\": 65536}", 400, "the body is no node"),
        (&[JSON], "{\"name\": \"a\", \"password\": \"x\"}", 400, "unknown field"),
        (&[JSON], "\u{0}\u{1f4a9}", 400, "the body is no node"),
        (&[("Content-Type", "text/plain")], "{\"name\": \"a\"}", 415, "application/json"),
        (
            &[("Content-Type", "application/x-www-form-urlencoded")],
            "name=a",
            415,
            "application/json",
        ),
        (&[("Content-Type", "application/jsonp")], "{}", 415, "application/json"),
        (&[JSON, ("Content-Type", "text/plain")], "{\"name\": \"a\"}", 415, "application/json"),
        (&[], "{\"name\": \"a\"}", 415, "application/json"),
    ] {
        let reply = post(&hub, NODES, headers, body).await;
        assert_eq!(reply.status, status, "{body}");
        let detail = reply.problem().detail;
        assert!(detail.contains(said) && detail.len() < 1_000, "{body}: {detail}");
    }
    for body in ["{\"now\": true}", "x", &"x".repeat(100)] {
        let reply = post(&hub, "/api/v1/nodes/calm/breaker/reset", &[JSON], body).await;
        assert_eq!(reply.status, 400, "{body}");
    }
    let nothing = hub.asked.lock().expect("no panic").as_mut().expect("there").try_recv();
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_not() {
    let hub = hub::start().await;
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(10 * 1024 * 1024));
    assert_eq!(post(&hub, NODES, &[JSON], &large).await.status, 413);
    let medium = format!("{{\"name\": \"{}\"}}", "x".repeat(100 * 1024));
    let reply = post(&hub, NODES, &[JSON], &medium).await;
    assert_eq!(reply.status, 413);
    assert!(reply.problem().detail.contains("65536 bytes"), "{reply:?}");
    let chunked = format!(
        "POST {NODES} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        hub.addr,
        large.len()
    );
    let reply = Reply::parse(&crate::client::exchange(hub.addr, chunked.as_bytes()).await);
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn no_page_elsewhere_changes_anything() {
    let hub = hub::start().await;
    hub.put_node("gpu-07", Some(fleet::watched("gpu-07", &[], 3)));
    let own = format!("http://{}", hub.addr);
    let one = "/api/v1/nodes/gpu-07";
    let reset = "/api/v1/nodes/gpu-07/breaker/reset";
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for (method, path, headers, status) in [
        ("POST", NODES, &[JSON, ("Origin", "https://evil.example")][..], 403),
        ("POST", NODES, &[JSON, ("Origin", "null")], 403),
        ("POST", NODES, &[JSON, ("Sec-Fetch-Site", "cross-site")], 403),
        ("POST", NODES, &[JSON, ("Sec-Fetch-Site", "same-site")], 403),
        ("POST", NODES, &[JSON, ("Host", "evil.example")], 403),
        ("DELETE", one, &[("Origin", "https://evil.example")], 403),
        ("DELETE", one, &[("Sec-Fetch-Site", "cross-site")], 403),
        ("POST", reset, &[("Origin", "https://evil.example")], 403),
        ("POST", reset, &[("Sec-Fetch-Site", "cross-site")], 403),
        ("POST", reset, &[form], 415),
        ("POST", reset, &[("Content-Type", "text/plain")], 415),
    ] {
        let body = if path == NODES { "{\"name\": \"gpu-08\"}" } else { "" };
        let reply = ask(hub.addr, method, path, headers, body.as_bytes()).await;
        assert_eq!(reply.status, status, "{method} {path} {headers:?}");
        reply.problem();
    }
    for headers in [
        &[JSON][..],
        &[JSON, ("Origin", &own), ("Sec-Fetch-Site", "same-origin")],
        &[("Content-Type", "application/json; charset=utf-8"), ("Sec-Fetch-Site", "none")],
    ] {
        let request = post(&hub, NODES, headers, "{\"name\": \"gpu-08\"}");
        let (reply, _) = tokio::join!(request, hub.obey(Ok(())));
        assert_eq!(reply.status, 201, "{headers:?}: {reply:?}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_every_change() {
    let token = Some(Secret::new("s3cret".to_owned()));
    let limits = hub::wide();
    let hub = hub::start_with(ListenSettings { token, limits, ..ListenSettings::default() }).await;
    for (method, path) in [
        ("GET", "/api/v1/fleet"),
        ("GET", NODES),
        ("POST", NODES),
        ("GET", "/api/v1/nodes/calm"),
        ("DELETE", "/api/v1/nodes/calm"),
        ("POST", "/api/v1/nodes/calm/breaker/reset"),
        ("POST", "/api/v1/nodes/calm/forget"),
    ] {
        let reply = ask(hub.addr, method, path, &[JSON], b"{\"name\": \"gpu-08\"}").await;
        assert_eq!(reply.status, 401, "{method} {path}");
        reply.problem();
    }
    let right = [JSON, ("Authorization", "Bearer s3cret")];
    let request = post(&hub, NODES, &right, "{\"name\": \"gpu-08\"}");
    let (reply, _) = tokio::join!(request, hub.obey(Ok(())));
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn the_list_goes_page_by_page() {
    let hub = hub::start().await;
    hub.put_node("here", Some(NodeEntry { definition: None, breaker: None }));
    for node in 0..5 {
        let name = format!("n{node}");
        hub.put_node(&name, Some(fleet::watched(&name, &[("rack", "r1")], node)));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = get(hub.addr, &format!("{NODES}?limit=2&cursor={cursor}")).await;
        let page: Page<NodeView> = serde_json::from_slice(&reply.body).expect("a page");
        seen.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    let ids: Vec<_> = seen.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["node/here", "node/n0", "node/n1", "node/n2", "node/n3", "node/n4"]);
    assert_eq!((seen[0].origin.as_str(), seen[0].spec.is_none()), ("local", true));
    assert_eq!(seen[1].origin, "config");
    let states: Vec<_> =
        seen[1..].iter().map(|node| node.breaker.as_ref().expect("one").state.as_str()).collect();
    assert_eq!(states, ["closed", "closed", "closed", "open", "open"]);
    for (path, status) in [
        ("/api/v1/nodes?limit=0", 400),
        ("/api/v1/nodes?cursor=%20", 400),
        ("/api/v1/nodes?colour=red", 400),
        ("/api/v1/nodes/nobody", 404),
        ("/api/v1/nodes/a%20b", 404),
        ("/api/v1/nodes/%ff", 400),
    ] {
        let reply = get(hub.addr, path).await;
        assert_eq!(reply.status, status, "{path}");
        reply.problem();
    }
}
