//! Real OpenSSH servers and agents for tests.
//!
//! Everything lies in a directory of its own: host keys, authorised keys, config, logs, agent. The
//! user's `~/.ssh` is neither read nor written, and what was started is ended, with all that it
//! started itself. Needs the Debian packages openssh-server and openssh-client.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it, at its own place")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Keys and files of one test.
pub struct Lab {
    directory: tempfile::TempDir,
}

/// How long a server or an agent may take to be there.
const START_LIMIT: Duration = Duration::from_secs(20);

impl Lab {
    /// A directory with a host key, and the key of a user who may log in.
    pub fn new() -> Self {
        let lab = Self { directory: tempfile::tempdir().expect("a directory") };
        lab.key("host", "ed25519", "");
        lab.key("user", "ed25519", "");
        lab.authorise(&["user"]);
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a key; returns the private half's path.
    pub fn key(&self, name: &str, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.path(name);
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-C", name, "-N", passphrase, "-f"])
            .arg(&path));
        path
    }

    pub fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("set");
        path
    }

    /// Whose keys may log in.
    pub fn authorise(&self, names: &[&str]) {
        let lines: String = names.iter().map(|name| self.public(name)).collect();
        self.write("authorized_keys", &lines);
    }

    /// Signs the host key for some names; returns the certificate's path.
    pub fn certify_host(&self, authority: &str, names: &str, validity: &str) -> PathBuf {
        run(Command::new("ssh-keygen")
            .args(["-q", "-h", "-I", "host", "-n", names, "-V", validity, "-s"])
            .arg(self.path(authority))
            .arg(self.path("host.pub")));
        self.path("host-cert.pub")
    }

    /// Who the tests are.
    pub fn user(&self) -> String {
        let output = Command::new("id").arg("-un").output().expect("id runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A server on a free port of all addresses of this machine, with further lines of config.
    pub fn sshd(&self, options: &str) -> Sshd {
        self.sshd_at(options, Ipv4Addr::LOCALHOST, None)
    }

    /// A server in a network namespace that `ip netns` knows, which is reached by an address.
    pub fn sshd_within(&self, namespace: &str, address: Ipv4Addr) -> Sshd {
        self.sshd_at("", address, Some(namespace.to_owned()))
    }

    fn sshd_at(&self, options: &str, address: Ipv4Addr, namespace: Option<String>) -> Sshd {
        // As root, sshd wants a place for its unprivileged part; elsewhere it needs none.
        if self.user() == "root" {
            let _ = std::fs::create_dir_all("/run/sshd");
        }
        let port = free_port();
        let mut config = String::new();
        // The first value holds: what a test asks for comes first.
        let _ = writeln!(config, "{options}\nPort {port}\nListenAddress 0.0.0.0\nUsePAM no");
        let _ = writeln!(config, "HostKey {}", self.path("host").display());
        let _ = writeln!(config, "AuthorizedKeysFile {}", self.path("authorized_keys").display());
        let _ = writeln!(config, "PidFile none\nStrictModes no\nPermitRootLogin yes");
        let _ = writeln!(config, "PasswordAuthentication no\nKbdInteractiveAuthentication no");
        // The shell's files of whoever runs the tests are none of the tests' business.
        let home = self.path("node-home");
        let _ = std::fs::create_dir_all(&home);
        let _ = writeln!(config, "SetEnv HOME={}", home.display());
        let _ = writeln!(config, "PrintMotd no\nMaxStartups 500\nLogLevel ERROR");
        let config = self.write(&format!("sshd_config-{port}"), &config);
        let log = self.path(&format!("sshd_log-{port}"));
        let mut sshd = Sshd { port, address, namespace, config, log, child: None };
        sshd.start();
        sshd
    }

    /// A line for known_hosts with the server's key.
    pub fn known(&self, host: &str, sshd: &Sshd) -> String {
        format!("[{host}]:{} {}", sshd.port, self.public("host"))
    }

    /// An agent without keys.
    pub fn agent(&self) -> Agent {
        let socket = self.path("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ssh-agent runs: install openssh-client");
        wait_until("the agent is there", || socket.exists());
        Agent { socket, child }
    }
}

/// A server, ended with all its sessions when dropped.
pub struct Sshd {
    pub port: u16,
    address: Ipv4Addr,
    namespace: Option<String>,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Sshd {
    pub fn start(&mut self) {
        let log = std::fs::File::create(&self.log).expect("a log");
        let server = "/usr/sbin/sshd";
        let mut command = match &self.namespace {
            None => Command::new(server),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, server]);
                command
            }
        };
        let child = command
            .args(["-D", "-e", "-f"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("sshd runs: install openssh-server");
        self.child = Some(child);
        let address = SocketAddr::from((self.address, self.port));
        wait_until("sshd listens", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "sshd ended: {}", self.said());
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
        });
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processes of its sessions.
    pub fn sessions(&self) -> Vec<u32> {
        self.child.as_ref().map_or_else(Vec::new, |child| descendants(child.id()))
    }

    pub fn signal_sessions(&self, signal: &str) {
        send(signal, &self.sessions());
    }

    /// Ends the server and all its sessions at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let sessions = descendants(child.id());
            send("KILL", &[child.id()]);
            send("KILL", &sessions);
            let _ = child.wait();
        }
    }

    /// CPU time of the server and of its sessions, living and ended, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let Some(child) = &self.child else { return 0.0 };
        let mut all = descendants(child.id());
        all.push(child.id());
        let ticks: f64 = all.iter().filter_map(|pid| cpu_ticks(*pid)).sum();
        ticks / 100.0
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An agent, ended when dropped.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    pub fn add(&self, key: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }

    /// Adds a key that is encrypted, by a script that says the passphrase.
    pub fn add_encrypted(&self, key: &Path, askpass: &Path) {
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null()));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let done = command.output().expect("it runs: install openssh-client");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let step = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !is_so() {
        assert!(waited < START_LIMIT, "not within {START_LIMIT:?}: {what}");
        std::thread::sleep(step);
        waited += step;
    }
}

fn send(signal: &str, pids: &[u32]) {
    if !pids.is_empty() {
        let pids = pids.iter().map(ToString::to_string);
        let _ = Command::new("kill").arg(format!("-{signal}")).args(pids).output();
    }
}

/// All processes that a process started, and those that they started.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = stat_field(pid, 4) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        next.extend(below);
    }
    found
}

fn stat_field<T: std::str::FromStr>(pid: u32, number: usize) -> Option<T> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    rest.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// Own time and that of children that are gone, in ticks.
fn cpu_ticks(pid: u32) -> Option<f64> {
    (14..=17).map(|number| stat_field::<f64>(pid, number)).sum()
}
