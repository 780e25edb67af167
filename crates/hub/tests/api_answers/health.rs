use std::sync::atomic::Ordering;

use sickbay_hub::ConfigState;

use crate::client::{get, get_with};
use crate::hub;

#[tokio::test]
async fn alive_always_ready_when_it_is() {
    let hub = hub::start().await;
    for (ready, path, accept, status, kind, said) in [
        (false, "/livez", "*/*", 200, "text/plain; charset=utf-8", "ok\n"),
        (false, "/health", "*/*", 200, "text/plain; charset=utf-8", "ok\n"),
        (false, "/livez?verbose", "*/*", 200, "text/plain; charset=utf-8", "[+]process ok\n"),
        (false, "/readyz", "*/*", 503, "text/plain; charset=utf-8", "first collection"),
        (false, "/ready?verbose", "*/*", 503, "text/plain; charset=utf-8", "[-]readiness failed"),
        (
            false,
            "/readyz",
            "application/health+json",
            503,
            "application/health+json",
            "\"status\":\"fail\"",
        ),
        (true, "/readyz", "*/*", 200, "text/plain; charset=utf-8", "ok\n"),
        (true, "/ready?verbose=1", "*/*", 200, "text/plain; charset=utf-8", "[+]readiness ok\n"),
        (
            true,
            "/ready",
            "application/health+json",
            200,
            "application/health+json",
            "\"status\":\"pass\"",
        ),
        (true, "/health", "application/json", 200, "application/json", "\"status\":\"pass\""),
    ] {
        hub.status.schedule().first_sweep_done.store(ready, Ordering::Release);
        let reply = get_with(hub.addr, path, &[("Accept", accept)]).await;
        assert_eq!(reply.status, status, "{path} {accept}: {reply:?}");
        assert_eq!(reply.header("content-type"), Some(kind), "{path} {accept}");
        assert!(reply.text().contains(said), "{path} {accept}: {}", reply.text());
    }
}

#[tokio::test]
async fn the_hub_tells_of_itself() {
    let hub = hub::start().await;
    let status = get(hub.addr, "/api/v1/hub").await;
    assert_eq!(status.status, 200);
    let status = status.json();
    assert_eq!(status["ready"], true);
    assert_eq!(status["pid"], std::process::id());
    assert!(status["cost"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{status}");
}

#[tokio::test]
async fn ready_with_something_to_be_known_says_so() {
    let hub = hub::start().await;
    let refused = ConfigState { file: None, error: Some("line 3:\nunknown key".to_owned()) };
    hub.status.set_config(refused);
    for (path, accept, said) in [
        ("/readyz", "*/*", "ok\n"),
        ("/readyz?verbose", "*/*", "[!]configuration: line 3: unknown key\n"),
        ("/readyz", "application/health+json", "\"status\":\"warn\""),
        ("/livez", "application/health+json", "\"status\":\"pass\""),
    ] {
        let reply = get_with(hub.addr, path, &[("Accept", accept)]).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert!(reply.text().contains(said), "{path} {accept}: {}", reply.text());
    }
}
