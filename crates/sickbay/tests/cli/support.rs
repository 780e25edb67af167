//! A place of its own for each test: home, data, port.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long anything may take that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) address: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { dir: tempfile::tempdir().unwrap(), address }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The program with this place's environment and nothing else of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sickbay"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("SICKBAY_DATA_DIR", self.data_dir())
            .env("SICKBAY_LISTEN", &self.address)
            .env("SICKBAY_CONFIG", self.config_file())
            .current_dir(self.dir.path());
        command
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        let file = self.dir.path().join("config.yaml");
        // Whatever a test put there stays, be it a link that leads nowhere.
        if file.symlink_metadata().is_err() {
            std::fs::write(&file, "torch: {mode: never}\n").unwrap();
        }
        file
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts `up` and waits until it is ready.
    pub(crate) fn up(&self) -> Hub<'_> {
        let child =
            self.command(&["up"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut hub = Hub { place: self, child };
        let ready = until(|| {
            assert!(hub.child.try_wait().unwrap().is_none(), "it ended: {}", hub.said());
            let status = self.run(&["daemon", "status", "--json"]);
            text(&status).contains("\"ready\": true")
        });
        assert!(ready, "not ready");
        hub
    }
}

pub(crate) struct Hub<'a> {
    pub(crate) place: &'a Place,
    pub(crate) child: Child,
}

impl Hub<'_> {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// What it wrote, once it has ended.
    pub(crate) fn said(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut said).unwrap();
        }
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut said).unwrap();
        }
        said
    }
}

impl Drop for Hub<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something with a deadline; returns whether it came.
#[expect(clippy::disallowed_methods, reason = "a test waits in earnest")]
pub(crate) fn until(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + DEADLINE;
    while std::time::Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    false
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(output: &Output) -> T {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", text(output), errors(output)))
}
