//! A whole hub on a real port with a real store: started, asked, stopped, started again.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sickbay_hub::{HubEnvironment, HubError, HubSettings, Listening, SettingsUpdate, run};
use sickbay_model::EventKind;
use sickbay_runtime::{Clock, ManualClock, Shutdown, Supervisor};
use sickbay_wire::v1::{EventView, Page, ResourceSummary, StatusReport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Long enough for a loaded machine; nothing waits this long when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    addr: SocketAddr,
    shutdown: Shutdown,
    updates: mpsc::Sender<SettingsUpdate>,
    hub: JoinHandle<Result<(), HubError>>,
}

fn settings(data: &Path) -> HubSettings {
    let mut settings = HubSettings::new(data.to_path_buf());
    settings.listen.addr = "127.0.0.1:0".parse().expect("an address");
    settings
}

#[expect(clippy::disallowed_methods, reason = "the test stands where the binary stands")]
async fn start(settings: HubSettings, clock: Clock) -> Result<Running, HubError> {
    let shutdown = Shutdown::new();
    let supervisor = Supervisor::new(shutdown.clone(), clock.clone());
    let (updates, updates_in) = mpsc::channel(4);
    let (on_listening, listening) = oneshot::channel();
    let environment = HubEnvironment {
        clock,
        shutdown: shutdown.clone(),
        supervisor,
        updates: updates_in,
        on_listening,
    };
    let hub = tokio::spawn(run(settings, environment));
    match listening.await {
        Ok(Listening { addr, .. }) => Ok(Running { addr, shutdown, updates, hub }),
        Err(_) => match hub.await.expect("no panic") {
            Ok(()) => panic!("the hub ended without having listened"),
            Err(error) => Err(error),
        },
    }
}

impl Running {
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.expect("the hub listens");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("read");
        let answer = String::from_utf8(answer).expect("UTF-8");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    /// Asks until the answer satisfies, or fails with the last answer.
    async fn until<T>(&self, path: &str, satisfied: impl Fn(u16, &str) -> Option<T>) -> T {
        let mut last = (0, String::new());
        for _ in 0..PATIENCE.as_millis() / 20 {
            last = self.get(path).await;
            if let Some(found) = satisfied(last.0, &last.1) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} never answered as expected; last: {last:?}");
    }

    async fn event(&self, kind: EventKind) -> EventView {
        self.until("/api/v1/events?limit=100", |_, body| {
            let page: Page<EventView> = serde_json::from_str(body).ok()?;
            page.items.into_iter().find(|event| event.kind == kind)
        })
        .await
    }

    async fn stop(self) {
        self.shutdown.request("the test is over");
        let ended = tokio::time::timeout(Duration::from_secs(2), self.hub).await;
        ended.expect("stops within two seconds").expect("no panic").expect("stops cleanly");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_this_machine_judges_it_and_remembers_it() {
    let data = tempfile::tempdir().expect("a folder");
    let hub = start(settings(data.path()), Clock::system()).await.expect("starts");
    assert_eq!(hub.get("/livez").await.0, 200);
    hub.until("/readyz", |status, _| (status == 200).then_some(())).await;

    let status: StatusReport =
        hub.until("/status", |_, body| serde_json::from_str(body).ok()).await;
    let node = status.resources.first().expect("this machine").clone();
    assert!(node.id.starts_with("node/"), "{node:?}");
    assert_eq!(node.stale, None);
    assert!(node.score.is_some(), "{node:?}");
    hub.event(EventKind::HubStarted).await;

    // A second hub on the same data says who holds it.
    let refused = start(settings(data.path()), Clock::system()).await.err().expect("refused");
    let message = refused.to_string();
    assert!(message.contains(&std::process::id().to_string()), "{message}");
    hub.stop().await;

    // What was known is there again, marked as old until it is collected anew.
    let hub = start(settings(data.path()), Clock::system()).await.expect("starts again");
    let page: Page<ResourceSummary> =
        serde_json::from_str(&hub.get("/api/v1/resources").await.1).expect("a page");
    assert!(page.items.iter().any(|item| item.id == node.id), "{page:?}");
    hub.event(EventKind::HubStopped).await;
    hub.until("/api/v1/resources", |_, body| {
        let page: Page<ResourceSummary> = serde_json::from_str(body).ok()?;
        page.items.iter().all(|item| item.stale.is_none()).then_some(())
    })
    .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_said_and_the_data_is_let_go() {
    let data = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut wanted = settings(data.path());
    wanted.listen.addr = taken.local_addr().expect("an address");
    let error = start(wanted, Clock::system()).await.err().expect("refused");
    assert!(matches!(error, HubError::PortInUse { .. }), "{error}");
    assert!(error.to_string().contains("--listen"), "says what to do: {error}");
    start(settings(data.path()), Clock::system()).await.expect("the data is free").stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_cannot_keep_anything_judges_serves_and_says_so() {
    let data = tempfile::tempdir().expect("a folder");
    let blocked = data.path().join("file");
    std::fs::write(&blocked, b"").expect("written");
    let hub = start(settings(&blocked.join("data")), Clock::system()).await.expect("starts");
    let ready =
        hub.until("/readyz?verbose", |status, body| (status == 200).then(|| body.to_owned())).await;
    assert!(ready.contains("[!]store: nothing is kept on disk"), "{ready}");
    let status: StatusReport =
        hub.until("/status", |_, body| serde_json::from_str(body).ok()).await;
    assert_eq!(status.hub.store.status.as_str(), "degraded");
    assert!(status.resources.iter().any(|node| node.score.is_some()), "{:?}", status.resources);
    let told = hub.event(EventKind::CoordinatorUnhealthy).await.message;
    assert!(told.starts_with("Nothing is kept on disk") && told.ends_with('.'), "{told}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_changes_and_clock_jumps_are_events() {
    let data = tempfile::tempdir().expect("a folder");
    let (clock, hands): (Clock, ManualClock) = Clock::manual(1_800_000_000_000);
    let hub = start(settings(data.path()), clock).await.expect("starts");
    hub.until("/readyz", |status, _| (status == 200).then_some(())).await;

    let error = "config.yaml:3:5: unknown key".to_owned();
    hub.updates.send(SettingsUpdate::Rejected { error: error.clone() }).await.expect("taken");
    assert!(hub.event(EventKind::ConfigRejected).await.message.contains(&error));
    hub.until("/api/v1/hub", |_, body| body.contains("unknown key").then_some(())).await;

    let update = SettingsUpdate::Reloaded {
        settings: Box::new(settings(data.path())),
        changed: vec!["thresholds.disk".to_owned()],
        needs_restart: vec!["listen.address".to_owned()],
    };
    hub.updates.send(update).await.expect("taken");
    let reloaded = hub.event(EventKind::ConfigReloaded).await.message;
    assert!(
        reloaded.contains("thresholds.disk") && reloaded.contains("listen.address"),
        "{reloaded}"
    );
    hub.until("/api/v1/hub", |_, body| (!body.contains("unknown key")).then_some(())).await;

    hands.set_wall(1_800_000_000_000 - 3_600_000);
    let update = SettingsUpdate::Rejected { error: "wakes the loop".to_owned() };
    hub.updates.send(update).await.expect("taken");
    assert!(hub.event(EventKind::ClockJumped).await.message.contains("back by 36"));
    hub.stop().await;
}

/// Moves time on so that the node is due, wakes the loop, and waits for the fresh verdict.
async fn look(hub: &Running, hands: &ManualClock) {
    let last_check = |body: &str| {
        let page: Page<ResourceSummary> = serde_json::from_str(body).ok()?;
        page.items.first().map(|node| node.last_check)
    };
    let before = last_check(&hub.get("/api/v1/resources?kind=node").await.1);
    hands.advance(Duration::from_secs(90));
    let update = SettingsUpdate::Rejected { error: "wakes the loop".to_owned() };
    hub.updates.send(update).await.expect("taken");
    hub.until("/api/v1/resources?kind=node", |_, body| (last_check(body) != before).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_both_ways_costs_nothing_that_was_known() {
    const START: i64 = 1_800_000_000_000;
    const DAY: i64 = 86_400_000;
    let data = tempfile::tempdir().expect("a folder");
    let (clock, hands): (Clock, ManualClock) = Clock::manual(START);
    let patient = || {
        let mut settings = settings(data.path());
        // The clock that counts requests by the second stands still in between.
        settings.listen.limits.burst_requests = u32::MAX;
        settings
    };
    let hub = start(patient(), clock.clone()).await.expect("starts");
    hub.until("/readyz", |status, _| (status == 200).then_some(())).await;
    for _ in 0..4 {
        look(&hub, &hands).await;
    }
    let first = hub.event(EventKind::HubStarted).await;
    let page: Page<ResourceSummary> =
        serde_json::from_str(&hub.get("/api/v1/resources?kind=node").await.1).expect("a page");
    let node = page.items.first().expect("this machine").id.clone();
    let at = |ms: i64| sickbay_model::Timestamp::from_unix_ms(ms).to_string();
    let path = format!(
        "/api/v1/history?resource={node}&metric=memory_used_percent&from={}&to={}",
        at(START - 1000),
        at(START + 600_000)
    );
    let points = |_: u16, body: &str| {
        let history: sickbay_wire::v1::History = serde_json::from_str(body).ok()?;
        (history.points.len() >= 3).then_some(history.points.len())
    };
    let known = hub.until(&path, points).await;

    for jump in [3652 * DAY, -DAY] {
        hands.set_wall(START + jump);
        for _ in 0..3 {
            look(&hub, &hands).await;
        }
        let word = if jump > 0 { "forward" } else { "back" };
        hub.until("/api/v1/events?limit=500", |_, body| {
            let page: Page<EventView> = serde_json::from_str(body).ok()?;
            let jumped = |event: &EventView| {
                event.kind == EventKind::ClockJumped && event.message.contains(word)
            };
            (page.items.iter().any(jumped) && page.items.contains(&first)).then_some(())
        })
        .await;
        assert!(hub.until(&path, points).await >= known, "{word}: history is kept");
    }
    hub.stop().await;
    // The clock still stands a day back: nothing is thrown away at the start either.
    let hub = start(patient(), clock).await.expect("starts again");
    assert!(hub.until(&path, points).await >= known);
    hub.stop().await;
}

#[test]
fn what_is_not_loopback_needs_a_token() {
    let mut open = settings(Path::new("/nowhere"));
    open.listen.addr = "0.0.0.0:8790".parse().expect("an address");
    let error = sickbay_hub::check_listen(&open.listen).expect_err("refused");
    assert!(matches!(error, HubError::TokenRequired(_)));
}
