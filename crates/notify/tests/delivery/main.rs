//! Deliveries to real servers, programs, files and logs.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod alertmanager;
mod local;
mod mail;
mod server;
mod tls;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sickbay_alert::{AlertId, Item, Key, Notice, NoticeId, Severity};
use sickbay_model::{ResourceId, Timestamp};
use sickbay_notify::receiver::{
    Alertmanager, Header, Http, Method, Opsgenie, PagerDuty, Preset, SigningSecret, Webhook,
    WebhookFormat,
};
use sickbay_notify::{Endpoint, Kind, Origin, Outcome, Progress, Receiver, Secret, Sender};
use sickbay_runtime::Clock;

use crate::server::{Act, Server, knock, nobody, says, status};

/// 2026-11-21 09:30:00 UTC.
const AT_MS: i64 = 1_795_253_400_000;

fn sender() -> Sender {
    let origin = Origin { hub: "hub-1".into(), url: Some("https://sickbay.example.org".into()) };
    Sender::new(origin, Clock::manual(AT_MS).0, &[]).expect("sender")
}

fn secret(text: &str) -> Secret {
    Secret::literal(text).expect("secret")
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(secret(url), true).expect("endpoint")
}

fn webhook(url: &str) -> Kind {
    let (secrets, headers) = (Vec::new(), Vec::new());
    let format = WebhookFormat::Alertmanager;
    Kind::Webhook(Webhook { endpoint: endpoint(url), secrets, format, headers })
}

fn receiver(kind: Kind) -> Receiver {
    Receiver { name: "on-call".into(), kind, send_resolved: true }
}

fn item(node: &str, ended: Option<i64>) -> Item {
    let resource = ResourceId::node(node).expect("id");
    let key = Key { rule: "disk_full".into(), resource, instance: "/scratch".into() };
    let opened = Timestamp::from_unix_ms(AT_MS - 60_000);
    Item {
        alert: AlertId::new(&key, opened),
        key,
        severity: Severity::Critical,
        labels: [("rule", "disk_full"), ("node", node)].into_iter().collect(),
        summary: "/scratch is full".to_owned(),
        explanation: vec!["free is 0 %, at least 5 % is well".to_owned()],
        advice: None,
        opened,
        ended: ended.map(Timestamp::from_unix_ms),
        why: None,
        again: false,
        flapping: false,
    }
}

fn notice() -> Notice {
    Notice {
        id: NoticeId(7),
        receiver: "on-call".into(),
        groups: vec!["default/on-call/{}".to_owned()],
        labels: [("rule", "disk_full")].into_iter().collect(),
        at: Timestamp::from_unix_ms(AT_MS),
        firing: vec![item("gpu-1", None), item("gpu-2", None)],
        resolved: vec![item("gpu-3", Some(AT_MS))],
        still_firing: 0,
        digest: false,
    }
}

async fn deliver(kind: Kind) -> Outcome {
    sender().deliver(&receiver(kind), &notice(), &mut Progress::default()).await
}

fn retry(after: Option<u64>, why: &str) -> Outcome {
    Outcome::Retry { after: after.map(Duration::from_secs), why: why.to_owned() }
}

fn refused(why: &str) -> Outcome {
    Outcome::Refused { why: why.to_owned() }
}

#[tokio::test]
async fn what_answers_mean() {
    let later = "HTTP/1.1 429 Slow down\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n";
    let at = "HTTP/1.1 503 Service Unavailable\r\nretry-after: Sat, 21 Nov 2026 09:40:00 GMT\r\ncontent-length: 0\r\n\r\n";
    let moved = "HTTP/1.1 301 Moved\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n";
    for (act, outcome) in [
        (status("200 OK"), Outcome::Done),
        (status("204 No Content"), Outcome::Done),
        (
            Act::Say(moved.to_owned()),
            refused(
                "it answers 301 Moved Permanently; a redirect is not followed: write the address that it leads to",
            ),
        ),
        (says("400 Bad", "no\r\nsuch thing"), refused("it answers 400 Bad Request: no such thing")),
        (status("410 Gone"), refused("it answers 410 Gone (it wants no more of this)")),
        (Act::Say(later.to_owned()), retry(Some(90), "it answers 429 Too Many Requests")),
        (Act::Say(at.to_owned()), retry(Some(600), "it answers 503 Service Unavailable")),
        (says("500 Oops", "x"), retry(None, "it answers 500 Internal Server Error: x")),
        (
            Act::BreakOff,
            retry(None, "the connection failed: connection closed before message completed"),
        ),
    ] {
        let server = Server::start(vec![act]);
        let outcome_was = deliver(webhook(&format!("http://{}/hook", server.address))).await;
        assert_eq!(outcome_was, outcome);
        let (asked, _) = server.end().await;
        assert_eq!(asked.len(), 1, "{outcome:?}");
    }
    let outcome = deliver(webhook(&format!("http://{}/", nobody()))).await;
    assert_eq!(outcome, retry(None, "it cannot be reached: Connection refused"));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let server = Server::start(vec![Act::Flood]);
    let outcome = deliver(webhook(&format!("http://{}/hook", server.address))).await;
    let told = "x".repeat(200);
    assert_eq!(outcome, retry(None, &format!("it answers 500 Internal Server Error: {told}")));
    let (_, sent) = server.end().await;
    assert!(sent < 50_000_000, "{sent} bytes were taken");
}

#[tokio::test]
async fn who_says_nothing_is_waited_for_15_s() {
    let server = Server::start(vec![Act::Hang]);
    let (sender, receiver) = (sender(), receiver(webhook(&format!("http://{}/", server.address))));
    let (notice, mut progress) = (notice(), Progress::default());
    let mut delivery = Box::pin(sender.deliver(&receiver, &notice, &mut progress));
    // Until the request is there time goes on, so that what is waited for is the answer.
    let asked = loop {
        tokio::select! {
            biased;
            outcome = &mut delivery => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
        if let Ok(asked) = server.asked.try_recv() {
            break asked;
        }
    };
    assert!(asked.head.starts_with("POST / HTTP/1.1"), "{}", asked.head);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(delivery.await, retry(None, "no answer within 15 s"));
    assert!(began.elapsed() <= Duration::from_secs(16));
    drop(sender);
    server.end().await;
}

#[tokio::test]
async fn this_machine_is_not_called_unless_it_is_meant() {
    let server = Server::start(vec![status("200 OK")]);
    let port = server.address.port();
    // A name that resolves to this machine, by the system's own answer.
    let slack = Endpoint::new(secret(&format!("http://localhost:{port}/")), false);
    let slack = slack.expect("a name is not known yet");
    let Outcome::Refused { why } = deliver(Kind::Slack(slack)).await else { panic!("called") };
    assert!(why.contains("is this machine itself; say `allow_local: true`"), "{why}");
    assert!(server.asked.try_recv().is_err());
    // An address in a file is checked when it is read.
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("url");
    std::fs::write(&file, format!("http://127.0.0.1:{port}/\n")).expect("write");
    let in_file = |allow_local| {
        Kind::Slack(
            Endpoint::new(Secret::in_file(&file).expect("path"), allow_local).expect("endpoint"),
        )
    };
    assert!(matches!(deliver(in_file(false)).await, Outcome::Refused { .. }));
    assert!(server.asked.try_recv().is_err());
    assert_eq!(deliver(in_file(true)).await, Outcome::Done);
    assert_eq!(server.end().await.0.len(), 1);
}

#[tokio::test]
async fn a_webhook_is_signed_and_named_the_same_at_each_try() {
    let server = Server::start(vec![status("503 Busy"), status("200 OK")]);
    let key = |text: &str| SigningSecret::new(secret(text)).expect("secret");
    let kind = Kind::Webhook(Webhook {
        endpoint: endpoint(&format!("http://{}/hook", server.address)),
        secrets: vec![key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), key("the old one")],
        format: WebhookFormat::Alertmanager,
        headers: vec![Header::new("Authorization", secret("Bearer abc")).expect("header")],
    });
    let (sender, receiver, mut progress) = (sender(), receiver(kind), Progress::default());
    for done in [false, true] {
        let outcome = sender.deliver(&receiver, &notice(), &mut progress).await;
        assert_eq!(outcome == Outcome::Done, done, "{outcome:?}");
    }
    let (asked, _) = server.end().await;
    let [first, second] = asked.as_slice() else { panic!("{} requests", asked.len()) };
    for name in ["webhook-id", "webhook-signature", "webhook-timestamp", "content-type"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!(first.header("webhook-timestamp"), Some("1795253400"));
    assert_eq!(first.header("authorization"), Some("Bearer abc"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    let agent = first.header("user-agent").expect("agent");
    assert!(agent.starts_with("sickbay/"), "{agent}");
    let signatures = first.header("webhook-signature").expect("signature");
    assert_eq!(signatures.split(' ').filter(|it| it.starts_with("v1,")).count(), 2);
    assert_eq!(first.json()["alerts"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn what_arrived_is_not_sent_again() {
    let acts = ["202 Accepted", "500 Oops", "400 Bad", "202 Accepted"];
    let server = Server::start(acts.map(status).to_vec());
    let url = format!("http://{}/v2/enqueue", server.address);
    let kind = Kind::PagerDuty(PagerDuty { routing_key: secret("R0"), endpoint: endpoint(&url) });
    let (sender, receiver, mut progress) = (sender(), receiver(kind), Progress::default());
    let first = sender.deliver(&receiver, &notice(), &mut progress).await;
    assert_eq!(first, retry(None, "it answers 500 Internal Server Error"));
    // How far it is survives a restart.
    let kept = serde_json::to_string(&progress).expect("JSON");
    let mut progress: Progress = serde_json::from_str(&kept).expect("progress");
    let second = sender.deliver(&receiver, &notice(), &mut progress).await;
    assert_eq!(second, refused("1 of 3 requests: it answers 400 Bad Request"));
    let (asked, _) = server.end().await;
    let told = asked.iter().map(|it| {
        let body = it.json();
        (body["dedup_key"].as_str().map(str::to_owned), body["event_action"].clone())
    });
    let told: Vec<(Option<String>, Value)> = told.collect();
    assert_eq!(told[1], told[2], "the one that failed is sent again under the same name");
    assert!(told[0] != told[1] && told[2] != told[3]);
    assert_eq!(told[3].1, "resolve");
}

#[tokio::test]
async fn services_are_asked_where_they_listen() {
    let server = Server::start(vec![status("202 Accepted"); 8]);
    let base = format!("http://{}", server.address);
    let (key, ops) = (secret("the-key"), endpoint(&format!("{base}/v2/alerts")));
    let ntfy = Http {
        method: Method::Put,
        endpoint: endpoint(&base),
        headers: Vec::new(),
        preset: Preset::Ntfy { topic: "gpus".to_owned() },
    };
    for kind in [
        Kind::Slack(endpoint(&format!("{base}/services/T0/B0/xyz"))),
        Kind::Opsgenie(Opsgenie { key, endpoint: ops }),
        Kind::Http(ntfy),
        Kind::Alertmanager(Alertmanager::new(endpoint(&base))),
    ] {
        assert_eq!(deliver(kind).await, Outcome::Done);
    }
    // Those who do not want to hear of ends.
    let quiet = Receiver { send_resolved: false, ..receiver(webhook(&base)) };
    let mut over = notice();
    assert_eq!(sender().deliver(&quiet, &over, &mut Progress::default()).await, Outcome::Done);
    over.firing.clear();
    assert_eq!(sender().deliver(&quiet, &over, &mut Progress::default()).await, Outcome::Done);
    knock(server.address);
    let (asked, _) = server.end().await;
    let lines: Vec<&str> = asked.iter().filter_map(|it| it.head.lines().next()).collect();
    let close = format!(
        "POST /v2/alerts/{}/close?identifierType=alias HTTP/1.1",
        notice().resolved[0].alert
    );
    assert_eq!(
        lines,
        [
            "POST /services/T0/B0/xyz HTTP/1.1",
            "POST /v2/alerts HTTP/1.1",
            "POST /v2/alerts HTTP/1.1",
            &close,
            "PUT / HTTP/1.1",
            "POST /api/v2/alerts HTTP/1.1",
            "POST / HTTP/1.1",
        ]
    );
    assert_eq!(asked[1].header("authorization"), Some("GenieKey the-key"));
    assert_eq!(asked[6].json()["alerts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn no_secret_is_told() {
    let token = "123456:telegram-token";
    let act =
        says("404 Not Found", &format!("no such bot: bot{token}, Bearer of-bad-news, of-bad-news"));
    let server = Server::start(vec![act]);
    let header = Header::new("authorization", secret("Bearer of-bad-news")).expect("header");
    let kind = |address| {
        Kind::Http(Http {
            method: Method::Post,
            endpoint: endpoint(&format!("http://{address}/bot{token}/sendMessage")),
            headers: vec![header.clone()],
            preset: Preset::Telegram { chat_id: "1".to_owned() },
        })
    };
    let told = deliver(kind(server.address)).await;
    assert_eq!(told, refused("it answers 404 Not Found: no such bot: ***, Bearer ***, ***"));
    for outcome in [deliver(kind(nobody())).await, told] {
        assert!(!format!("{outcome:?}").contains("token"), "{outcome:?}");
    }
    let shown = receiver(kind(server.address));
    let json = serde_json::to_string(&shown).expect("JSON");
    assert!(!format!("{shown:?} {json}").contains("telegram-token"), "{json}");
    let missing = Secret::in_file(Path::new("/nonexistent/key")).expect("path");
    let kind = Kind::PagerDuty(PagerDuty {
        routing_key: missing,
        endpoint: endpoint("http://127.0.0.1:9/"),
    });
    let Outcome::Retry { why, .. } = deliver(kind).await else { panic!("a file can be put right") };
    assert!(why.starts_with("cannot read the secret in /nonexistent/key"), "{why}");
}
