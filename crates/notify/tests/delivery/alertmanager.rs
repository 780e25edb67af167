//! A real Alertmanager, where one is installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use sickbay_alert::{Item, Notice};
use sickbay_model::Timestamp;
use sickbay_notify::receiver::Alertmanager;
use sickbay_notify::{Kind, Outcome, Progress};
use sickbay_runtime::Clock;

use crate::server::nobody;
use crate::{endpoint, notice, receiver, sender};

const PROGRAMS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];
const CONFIG: &str = "route: {receiver: none}\nreceivers: [{name: none}]\n";

/// One that runs until it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    /// Held, so that what it goes on to log has a place.
    _log: BufReader<ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// None if there is no such program here.
fn start(folder: &Path) -> Option<Running> {
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, CONFIG).expect("config");
    let address = nobody();
    let mut child = PROGRAMS.iter().find_map(|program| {
        Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stderr(Stdio::piped())
            .spawn()
            .ok()
    })?;
    let mut log = BufReader::new(child.stderr.take().expect("pipe"));
    let mut line = String::new();
    while !line.contains("Listening on") {
        line.clear();
        assert!(log.read_line(&mut line).expect("log") > 0, "Alertmanager ended");
    }
    Some(Running { child, address, _log: log })
}

impl Running {
    /// The nodes of which it believes that something is wrong.
    fn nodes(&self) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address).expect("connect");
        let request = "GET /api/v2/alerts HTTP/1.0\r\nHost: here\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        let (_, body) = answer.split_once("\r\n\r\n").expect("body");
        let alerts: Vec<Value> = serde_json::from_str(body).expect("JSON");
        let node = |alert: &Value| alert["labels"]["node"].as_str().map(str::to_owned);
        let mut nodes: Vec<String> = alerts.iter().filter_map(node).collect();
        nodes.sort();
        nodes
    }
}

#[tokio::test]
async fn alertmanager_believes_what_it_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(alertmanager) = start(folder.path()) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must be able to test this");
        println!("not tested: none of {PROGRAMS:?} is installed");
        return;
    };
    let url = format!("http://{}", alertmanager.address);
    let receiver = receiver(Kind::Alertmanager(Alertmanager::new(endpoint(&url))));
    let sender = sender();
    let now = Timestamp::from_unix_ms(Clock::system().now_ms());
    let told = Notice { at: now, ..notice() };
    // Twice the same is the same.
    for _ in 0..2 {
        let outcome = sender.deliver(&receiver, &told, &mut Progress::default()).await;
        assert_eq!(outcome, Outcome::Done);
    }
    assert_eq!(alertmanager.nodes(), ["gpu-1", "gpu-2"]);
    let over = told.firing.iter().map(|item| Item { ended: Some(now), ..item.clone() });
    let over = Notice { resolved: over.collect(), firing: Vec::new(), ..told.clone() };
    let outcome = sender.deliver(&receiver, &over, &mut Progress::default()).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(alertmanager.nodes(), [""; 0]);
}
