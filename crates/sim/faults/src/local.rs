//! The local form: the real collectors of a machine over a directory that looks like it.
//!
//! Only three things stand in for the machine: the directory for its `/proc`, `/sys`, `/dev` and `/etc`,
//! a record for what `statvfs` answers, and the fake NVML for the driver's library.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sickbay_collect::{
    CollectContext, LocalNode, LocalSettings, NodeSource, ProcessPattern, Roots, TorchMode,
    TorchSettings,
};
use sickbay_model::Observation;
use sickbay_runtime::{Clock, ManualClock};
use tokio_util::sync::CancellationToken;

use crate::machine::Machine;
use crate::scenario::Driver;
use crate::tree::Tree;

/// How long a collection may take in real time: more than anything but a hang does.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long a probe is waited for that will never answer. Real time: a thread that hangs cannot be told
/// by a clock that stands still.
const HANG_PATIENCE: Duration = Duration::from_millis(400);

/// The fake NVML of a thread: loaded once, its world is another for each scenario.
#[derive(Debug)]
pub struct Library {
    directory: tempfile::TempDir,
    world: String,
}

impl Library {
    /// Places the library.
    ///
    /// # Errors
    /// When it is not there and cannot be built.
    pub fn install() -> Result<Self> {
        let directory = in_memory().context("cannot make a directory for the fake NVML")?;
        let built = sickbay_sim_nvml::library_path()?;
        std::fs::copy(&built, directory.path().join("libnvidia-ml.so.1"))
            .with_context(|| format!("cannot copy {}", built.display()))?;
        Ok(Self { directory, world: String::new() })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("libnvidia-ml.so.1")
    }

    fn set(&mut self, world: String) -> Result<()> {
        if self.world != world {
            let new = self.directory.path().join("scenario.json.new");
            std::fs::write(&new, &world).context("cannot write the fake NVML's world")?;
            std::fs::rename(&new, self.directory.path().join("scenario.json"))
                .context("cannot place the fake NVML's world")?;
            self.world = world;
        }
        Ok(())
    }
}

/// A machine that collects itself.
pub struct Local<'a> {
    root: tempfile::TempDir,
    tree: Tree,
    library: &'a mut Library,
    node: LocalNode,
    context: CollectContext,
    hand: ManualClock,
    boots: u32,
}

impl<'a> Local<'a> {
    /// Before the first collection; `start_ms` is the wall clock then.
    ///
    /// # Errors
    /// When no directory can be made.
    pub fn new(library: &'a mut Library, machine: &Machine, start_ms: i64) -> Result<Self> {
        let root = in_memory().context("cannot make a machine's root")?;
        let (clock, hand) = Clock::manual(start_ms);
        let context =
            CollectContext { clock, deadline: DEADLINE, cancel: CancellationToken::new() };
        let node = LocalNode::new(settings(&root, library, machine));
        Ok(Self { root, tree: Tree::default(), library, node, context, hand, boots: 0 })
    }

    /// Collects, so many seconds after the last time.
    ///
    /// # Errors
    /// When the machine's files cannot be written.
    pub fn collect(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        machine: &Machine,
        seconds: u64,
    ) -> Result<Observation> {
        self.hand.advance(Duration::from_secs(seconds));
        let mut tree = machine.tree();
        if let Some(log) = machine.log.kmsg() {
            tree.put("dev/kmsg", log);
        }
        tree.write(self.root.path(), &self.tree).context("cannot write the machine's files")?;
        self.tree = tree;
        if let Some(gpus) = &machine.gpus {
            self.library.set(gpus.world().to_string())?;
        }
        if machine.boots() != self.boots {
            // Whoever watched it on the machine ended with it.
            self.boots = machine.boots();
            self.node = LocalNode::new(settings(&self.root, self.library, machine));
        }
        Ok(runtime.block_on(self.node.collect(&self.context)))
    }
}

/// A directory that no disk is behind where there is one: a machine's files are written at every step.
fn in_memory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

fn settings(root: &tempfile::TempDir, library: &Library, machine: &Machine) -> LocalSettings {
    let mut roots = Roots::under(root.path());
    roots.recorded_space = Some(root.path().join("statvfs"));
    LocalSettings {
        roots,
        child: None,
        torch: TorchSettings { mode: TorchMode::Never, ..TorchSettings::default() },
        nvml_library: machine.gpus.is_some().then(|| library.path()),
        process_patterns: patterns(machine),
        probe_timeout: if machine.will_hang { HANG_PATIENCE } else { DEADLINE },
        ..LocalSettings::default()
    }
}

/// What the configuration expects to run.
pub(crate) fn patterns(machine: &Machine) -> Vec<ProcessPattern> {
    let expected = machine.expect_process.iter();
    expected
        .map(|pattern| ProcessPattern {
            name: "training".to_owned(),
            pattern: pattern.clone(),
            expected: true,
        })
        .collect()
}

/// Whether a change makes somebody hang who asks.
pub(crate) fn hangs(change: &crate::scenario::Change) -> bool {
    change.nvidia == Some(Driver::Hang)
        || change.mounts.values().any(|state| *state == crate::scenario::MountState::Hang)
}
