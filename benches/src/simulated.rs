//! The simulated fleet, as a process of its own: its cost is not the hub's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A running fleet; ended when dropped.
pub struct Simulated {
    directory: tempfile::TempDir,
    child: Child,
    /// Where it answers: it ends when nobody listens any more.
    _output: BufReader<ChildStdout>,
    nodes: usize,
}

impl Simulated {
    /// Starts so many hosts.
    pub fn start(nodes: usize, options: &[&str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let binary = std::env::current_exe()?.with_file_name("sickbay-sim-fleet");
        let mut child = Command::new(&binary)
            .arg(directory.path())
            .arg(nodes.to_string())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                let shown = binary.display();
                format!("starting {shown}: run `cargo build --release -p sickbay-sim-fleet` first")
            })?;
        let mut line = String::new();
        let output = child.stdout.take().context("the fleet has no output")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut line)?;
        if !line.starts_with("ready ") {
            bail!("the fleet said {line:?}");
        }
        Ok(Self { directory, child, _output: output, nodes })
    }

    /// Gives it a line of its own language.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the fleet has no input")?;
        writeln!(input, "{line}")?;
        Ok(input.flush()?)
    }

    /// The hosts' names, as its `ssh_config` has them.
    pub fn names(&self) -> Vec<String> {
        (0..self.nodes).map(|number| format!("sim-{number:05}")).collect()
    }

    /// An `ssh_config` for all of them.
    pub fn ssh_config(&self) -> PathBuf {
        self.directory.path().join("ssh_config")
    }

    /// A config of Sickbay with all of them.
    pub fn nodes_config(&self) -> PathBuf {
        self.directory.path().join("nodes.yaml")
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
