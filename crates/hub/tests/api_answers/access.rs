use sickbay_hub::{Limits, ListenSettings, Secret};

use crate::client::{ask, get, get_with};
use crate::hub::{self, TestHub, wide};

async fn with_token() -> TestHub {
    let token = Some(Secret::new("s3cret".to_owned()));
    hub::start_with(ListenSettings { token, limits: wide(), ..ListenSettings::default() }).await
}

#[tokio::test]
async fn a_token_guards_everything_but_liveness_and_the_way_in() {
    let hub = with_token().await;
    let right = ("Authorization", "Bearer s3cret");
    for (path, open) in [
        ("/livez", true),
        ("/health", true),
        ("/ready", true),
        ("/readyz", true),
        ("/", true),
        ("/api/v1/session", true),
        ("/status", false),
        ("/metrics", false),
        ("/api/v1/resources", false),
        ("/api/v1/resources/node/calm", false),
        ("/api/v1/hub", false),
        ("/api/v1/stream", false),
        ("/api/openapi.json", false),
        ("/no/such/path", false),
        ("//status", false),
        ("/livez/../status", false),
    ] {
        let reply = get(hub.addr, path).await;
        assert_eq!(reply.status, if open { 200 } else { 401 }, "{path}");
        if !open {
            reply.problem();
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"sickbay\""));
            let wrong = get_with(hub.addr, path, &[("Authorization", "Bearer s3cre")]).await;
            assert_eq!(wrong.status, 401, "{path}");
        }
    }
    for path in ["/status", "/metrics", "/api/v1/hub"] {
        assert_eq!(get_with(hub.addr, path, &[right]).await.status, 200, "{path}");
    }
    assert_eq!(get_with(hub.addr, "/no/such/path", &[right]).await.status, 404);
}

#[tokio::test]
async fn the_page_signs_in_with_a_cookie() {
    let hub = with_token().await;
    let json = ("Content-Type", "application/json");
    let session = "/api/v1/session";
    for (kind, body, status) in [
        ("application/json", "{\"token\":\"wrong\"}", 401),
        ("application/json", "{\"token\":", 400),
        ("application/json", "{\"token\":\"s3cret\",\"admin\":true}", 400),
        ("application/json", "[[[[", 400),
        ("text/plain", "{\"token\":\"s3cret\"}", 415),
    ] {
        let reply =
            ask(hub.addr, "POST", session, &[("Content-Type", kind)], body.as_bytes()).await;
        assert_eq!(reply.status, status, "{body}");
        assert!(!reply.problem().detail.contains("s3cret"), "the token is not repeated");
        assert_eq!(reply.header("set-cookie"), None);
    }
    let signed_in = ask(hub.addr, "POST", session, &[json], b"{\"token\":\"s3cret\"}").await;
    assert_eq!(signed_in.status, 204);
    let cookie = signed_in.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair");
    assert_eq!(get_with(hub.addr, "/status", &[("Cookie", cookie)]).await.status, 200);
    let view = get_with(hub.addr, session, &[("Cookie", cookie)]).await.json();
    assert_eq!(view, serde_json::json!({ "token_required": true, "signed_in": true }));

    let out = ask(hub.addr, "DELETE", session, &[("Cookie", cookie)], b"").await;
    assert_eq!(out.status, 204);
    assert_eq!(get_with(hub.addr, "/status", &[("Cookie", cookie)]).await.status, 401);
    let forged = "sickbay_session=0000000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(get_with(hub.addr, "/status", &[("Cookie", forged)]).await.status, 401);
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_sign_in_to() {
    let hub = hub::start().await;
    let view = get(hub.addr, "/api/v1/session").await.json();
    assert_eq!(view, serde_json::json!({ "token_required": false, "signed_in": true }));
}

#[tokio::test]
async fn foreign_names_and_pages_are_refused() {
    let listen = ListenSettings {
        host_names: vec!["gpu-box.example".to_owned()],
        limits: wide(),
        ..ListenSettings::default()
    };
    let hub = hub::start_with(listen).await;
    let own = hub.addr.to_string();
    let own_origin = format!("http://{own}");
    for (host, origin, status) in [
        (own.as_str(), None, 200),
        ("localhost", None, 200),
        ("gpu-box.example:8790", None, 200),
        ("evil.example", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        (own.as_str(), Some(own_origin.as_str()), 200),
        (own.as_str(), Some("https://evil.example"), 403),
        (own.as_str(), Some("null"), 403),
    ] {
        let mut headers = vec![("Host", host)];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        let reply = get_with(hub.addr, "/status", &headers).await;
        assert_eq!(reply.status, status, "{host} {origin:?}");
        assert_eq!(reply.header("access-control-allow-origin"), None);
        if status == 403 {
            reply.problem();
        }
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let limits = Limits { burst_requests: 5, requests_per_second: 1, ..Limits::default() };
    let hub = hub::start_with(ListenSettings { limits, ..ListenSettings::default() }).await;
    let mut refused = 0;
    for _ in 0..8 {
        let reply = get(hub.addr, "/livez").await;
        if reply.status == 429 {
            refused += 1;
            reply.problem();
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
    }
    assert!((2..=3).contains(&refused), "{refused}");
}

#[tokio::test]
async fn every_other_refusal_is_a_problem_too() {
    let hub = hub::start().await;
    for (method, path, accept, status) in [
        ("GET", "/nothing", "*/*", 404),
        ("GET", "/api/v1/nothing", "*/*", 404),
        ("GET", "/api/v2/resources", "*/*", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd", "*/*", 404),
        ("GET", "/status/", "*/*", 404),
        ("POST", "/status", "*/*", 405),
        ("DELETE", "/api/v1/resources", "*/*", 405),
        ("PUT", "/", "*/*", 405),
        ("BREW", "/api/v1/hub", "*/*", 405),
        ("GET", "/status", "text/html", 406),
        ("GET", "/api/v1/events", "application/json;q=0", 406),
        ("GET", "/metrics", "image/png", 406),
        ("GET", "/api/v1/stream", "application/json", 406),
        ("GET", "/status?pretty", "*/*", 400),
    ] {
        let reply = ask(hub.addr, method, path, &[("Accept", accept)], b"").await;
        assert_eq!(reply.status, status, "{method} {path}");
        reply.problem();
        assert_eq!(status == 405, reply.header("allow").is_some(), "{method} {path}: {reply:?}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        assert!(reply.header("content-security-policy").is_some(), "{method} {path}");
    }
    let head = ask(hub.addr, "HEAD", "/status", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn guessing_the_token_is_slow() {
    let limits = Limits { burst_requests: 100, requests_per_second: 1, ..Limits::default() };
    let token = Some(Secret::new("s3cret".to_owned()));
    let hub = hub::start_with(ListenSettings { token, limits, ..ListenSettings::default() }).await;
    let json = [("Content-Type", "application/json")];
    let mut statuses = Vec::new();
    for guess in 0..8 {
        let reply = if guess % 2 == 0 {
            let shown = format!("Bearer {guess}");
            get_with(hub.addr, "/status", &[("Authorization", &shown)]).await
        } else {
            let body = format!("{{\"token\":\"{guess}\"}}");
            ask(hub.addr, "POST", "/api/v1/session", &json, body.as_bytes()).await
        };
        statuses.push(reply.status);
    }
    assert_eq!(statuses[..4], [401; 4]);
    assert_eq!(statuses[4..], [429; 4]);
}
