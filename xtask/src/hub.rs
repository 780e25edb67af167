//! A real hub for the tests that need one: started on a free port, stopped when done.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How long a hub may take to be ready; it needs under a second on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running hub.
pub struct Hub {
    child: Child,
    addr: SocketAddr,
    data: PathBuf,
}

impl Hub {
    /// Builds the binary, starts `sickbay up` and waits until it is ready.
    pub fn start(root: &Path) -> Result<Self> {
        crate::shell::run(root, "cargo", &["build", "--locked", "-p", "sickbay"], &[])?;
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let data = std::env::temp_dir().join(format!("sickbay-xtask-{}", std::process::id()));
        let binary = target_directory(root).join("debug/sickbay");
        println!("  $ {} up --listen {addr} --data-dir {}", binary.display(), data.display());
        let child = Command::new(&binary)
            .args(["up", "--listen", &addr.to_string(), "--data-dir"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let hub = Self { child, addr, data };
        let started = Instant::now();
        while !hub.is_ready() {
            if started.elapsed() > PATIENCE {
                bail!("the hub on {addr} was not ready within {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(hub)
    }

    /// Where its page is.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.addr)?;
            write!(
                stream,
                "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.addr
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // SIGTERM through the shell's own tool: it stops cleanly, and its probe children with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Where cargo builds.
fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path))
}
