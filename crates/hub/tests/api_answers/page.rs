use crate::client::{ask, get, get_with};
use crate::hub;

#[tokio::test]
async fn the_page_comes_from_the_binary_under_a_strict_policy() {
    let hub = hub::start().await;
    let index = get(hub.addr, "/").await;
    assert_eq!(index.status, 200);
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = index.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(index.header("x-frame-options"), Some("DENY"));
    assert_eq!(get(hub.addr, "/index.html").await.body, index.body);

    let etag = index.header("etag").expect("an ETag");
    let again = get_with(hub.addr, "/", &[("If-None-Match", etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert!(again.header("content-security-policy").is_some());
    let head = ask(hub.addr, "HEAD", "/", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there() {
    let hub = hub::start().await;
    let index = get(hub.addr, "/").await;
    let mut named = 0;
    for part in index.text().split(['"', '\'']).filter(|part| !part.contains("//")) {
        let kind = match part.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => continue,
        };
        let reply = get(hub.addr, &format!("/{}", part.trim_start_matches('/'))).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{part}");
        named += 1;
    }
    assert!(named >= 3, "{named} files");
    assert_eq!(get(hub.addr, "/favicon.ico").await.header("content-type"), Some("image/svg+xml"));
}

#[tokio::test]
async fn nothing_but_the_page_is_served() {
    let hub = hub::start().await;
    for path in
        ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "//index.html", "/vendor", "/vendor/", "/x.js"]
    {
        let reply = get(hub.addr, path).await;
        assert_eq!(reply.status, 404, "{path}");
        reply.problem();
    }
}
