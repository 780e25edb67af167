//! A hub in a world that is broken on purpose: its process, its HTTP answers, its end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, until};

/// What a stop may take.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(2);

/// What an answer may take while the hub is mistreated.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_millis(100);

/// Looks every second, so that a test need not wait long, and leaves Python alone.
pub(crate) const FAST: &str =
    "torch: {mode: never}\nschedule: {active_interval: 1s, idle_interval: 1s}\n";

/// A place whose config is [`FAST`] and what else is given.
pub(crate) fn place(more: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.dir.path().join("config.yaml"), format!("{FAST}{more}")).unwrap();
    place
}

/// The program in a mount and host name namespace of its own, after a shell script has spoiled that
/// world. Nothing outside it is touched, and it ends with the program.
pub(crate) fn in_own_world(place: &Place, script: &str, arguments: &[&str]) -> Command {
    let plain = place.command(arguments);
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--uts", "sh", "-euc", &format!("{script}\nexec \"$0\" \"$@\"")]);
    command.arg(plain.get_program()).args(plain.get_args()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(place.dir.path());
    command
}

/// Whether this machine lets a test have such a world. Where it does not, that is said, and in CI
/// it is a failure.
pub(crate) fn own_worlds_work() -> bool {
    let place = Place::new();
    let script = "mount -t tmpfs -o size=64k none /mnt; printf x > /proc/sys/kernel/hostname";
    let tried = in_own_world(&place, script, &["--version"]).output().unwrap();
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        eprintln!("NOT TESTED: this machine allows no mount namespace of one's own: {why}");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must be able to test this");
    }
    tried.status.success()
}

/// A running hub whose output goes to files.
pub(crate) struct Hub {
    child: Child,
    pub(crate) address: String,
    dir: PathBuf,
    data: PathBuf,
}

impl Hub {
    /// Starts `up` and waits until it is ready.
    pub(crate) fn start(place: &Place) -> Self {
        Self::start_by(place, place.command(&["up"]))
    }

    pub(crate) fn start_by(place: &Place, command: Command) -> Self {
        let mut hub = Self::begin(place, command);
        hub.await_ready();
        hub
    }

    /// Starts `up` and waits until it listens.
    pub(crate) fn begin(place: &Place, mut command: Command) -> Self {
        let dir = place.dir.path().to_owned();
        let open = |name| File::create(dir.join(name)).unwrap();
        // The system chooses the port: nobody else can have it.
        command.env("SICKBAY_LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(open("out")).stderr(open("err"));
        let child = command.spawn().unwrap();
        let data = place.data_dir();
        let mut hub = Self { child, address: String::new(), dir, data };
        let listens = until(|| {
            hub.assert_alive();
            let said = hub.read("out");
            let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next());
            hub.address = address.unwrap_or_default().to_owned();
            !hub.address.is_empty()
        });
        assert!(listens, "it does not listen: {}", hub.said());
        hub
    }

    pub(crate) fn await_ready(&mut self) {
        let ready = until(|| {
            self.assert_alive();
            self.get("/readyz").status == 200
        });
        assert!(ready, "not ready: {}", self.said());
    }

    fn assert_alive(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?}: {}", self.said());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A path as this hub sees it.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid()));
        root.join(path.strip_prefix("/").unwrap())
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join(name)).unwrap_or_default())
            .into_owned()
    }

    /// All that it wrote to its terminal.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.read("out"), self.read("err"))
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        self.exchange(request.as_bytes())
    }

    /// Sends bytes and reads until the hub closes; an answer that never ends fails the test.
    pub(crate) fn exchange(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        // The hub may refuse before it has read everything: what counts is its answer.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(end.is_ok() || !answer.is_empty(), "{end:?}: {}", self.said());
        Reply::parse(&answer)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(crate::support::DEADLINE)).unwrap();
        stream.set_write_timeout(Some(crate::support::DEADLINE)).unwrap();
        stream
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
    }

    /// The node that it watches.
    pub(crate) fn node(&self) -> Value {
        let page = self.json("/api/v1/resources?kind=node");
        let id = page["items"][0]["id"].as_str().unwrap_or_else(|| panic!("no node: {page}"));
        self.json(&format!("/api/v1/resources/{id}"))
    }

    /// Waits until the node is as wanted.
    pub(crate) fn node_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut node = Value::Null;
        let came = until(|| {
            node = self.node();
            wanted(&node)
        });
        assert!(came, "{what}: {node:#}\n{}", self.said());
        node
    }

    /// Waits for a fresh verdict.
    pub(crate) fn await_look(&self) {
        let before = self.node()["last_check"].clone();
        self.node_until("it goes on looking", |node| node["last_check"] != before);
    }

    /// The newest events; none while the store cannot be read (it is being replaced).
    pub(crate) fn events(&self) -> Vec<Value> {
        let reply = self.get("/api/v1/events?limit=500");
        if reply.status == 503 {
            return Vec::new();
        }
        assert_eq!(reply.status, 200, "{}", reply.body);
        let page: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        page["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits for an event of a kind whose message has a word.
    pub(crate) fn await_event(&self, kind: &str, word: &str) -> Value {
        let mut found = None;
        let came = until(|| {
            let mut events = self.events().into_iter();
            found = events.find(|event| {
                event["kind"] == kind
                    && event["message"].as_str().is_some_and(|text| text.contains(word))
            });
            found.is_some()
        });
        let newest: Vec<_> =
            self.events().into_iter().take(20).map(|it| it["message"].clone()).collect();
        assert!(came, "no {kind} with {word:?}: {newest:#?}\n{}", self.said());
        found.unwrap()
    }

    /// It answers others quickly: the median of several questions, since the machine may be busy.
    pub(crate) fn assert_quick(&self, during: &str) {
        let mut times: Vec<_> = (0..15)
            .map(|_| {
                let asked = Instant::now();
                assert_eq!(self.get("/status").status, 200, "{during}");
                asked.elapsed()
            })
            .collect();
        times.sort();
        let median = times[times.len() / 2];
        assert!(median < ANSWER_LIMIT, "{during}: {median:?}, {times:?}");
    }

    /// A command that asks this hub.
    pub(crate) fn ask(&self, place: &Place, arguments: &[&str]) -> Output {
        let server = format!("http://{}", self.address);
        place.command(arguments).env("SICKBAY_SERVER", server).output().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Its children.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let lists = tasks.flatten().map(|task| task.path().join("children"));
        let text: String =
            lists.map(|list| std::fs::read_to_string(list).unwrap_or_default()).collect();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        until(|| {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap_or_else(|| panic!("it does not end: {}", self.said()))
    }

    /// Stops it, and checks what must hold of every end: in time, cleanly, and nothing panicked.
    /// Returns all that it wrote.
    pub(crate) fn stop(self) -> String {
        self.stop_by("-TERM")
    }

    pub(crate) fn stop_by(mut self, signal: &str) -> String {
        let stopping = Instant::now();
        self.signal(signal);
        let ended = self.wait();
        let took = stopping.elapsed();
        let mut said = self.said();
        for file in std::fs::read_dir(self.data.join("log")).into_iter().flatten().flatten() {
            said += &String::from_utf8_lossy(&std::fs::read(file.path()).unwrap());
        }
        assert!(ended.success(), "{ended}: {said}");
        assert!(took < STOP_LIMIT, "stopped after {took:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    /// 0 if the connection was closed without an answer.
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    fn parse(answer: &str) -> Self {
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Self { status, body: body.to_owned() }
    }
}

/// The checks of a node that are of some kind.
pub(crate) fn checks<'a>(node: &'a Value, check: &str) -> Vec<&'a Value> {
    let all = node["checks"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|found| found["check"] == check).collect()
}
