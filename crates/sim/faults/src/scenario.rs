//! A scenario: a machine, what happens to it, and what is truly wrong with it.
//!
//! A file is YAML and reads as a story: where it comes from, which machine, what changes at which
//! second, and the truth. What must hold: the truth is named by the *problem*, never by a check or a
//! fault code of the product, so that it does not follow the code; what is not given is as the
//! machine's template has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use sickbay_model::Status;

use crate::problem::Problem;

/// The largest scenario file that is read, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// How a machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By the collectors that run on it.
    Local,
    /// Over a session, by what its shell answers.
    Ssh,
}

impl Form {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Local, Self::Ssh];

    /// The word used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ssh => "SSH",
        }
    }
}

/// One file of the corpus.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `CLASS/NAME`.
    pub name: String,
    /// The folder: which kind of trouble, or what the healthy ones look like.
    pub class: String,
    /// What the file says.
    pub told: Told,
}

/// What a file says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// What happens, in one sentence.
    pub title: String,
    /// The documents and reports that it comes from, by name.
    pub sources: Vec<String>,
    /// Which machine, of `machines.yaml`.
    pub machine: String,
    /// How it is asked; both ways if not said.
    #[serde(default)]
    pub forms: Option<Vec<Form>>,
    /// How long it is watched.
    #[serde(default = "default_minutes")]
    pub minutes: u64,
    /// How often it is asked, in seconds.
    #[serde(default = "default_step")]
    pub step: u64,
    /// How the machine differs from its template from the beginning.
    #[serde(default)]
    pub set: Change,
    /// What changes, by the second. Kernel lines may be older than the watch: negative seconds.
    #[serde(default)]
    pub at: BTreeMap<i64, Change>,
    /// What is wrong, and must be found. Nothing: the machine is well.
    #[serde(default)]
    pub truth: Vec<Truth>,
    /// What is true beside it and need not be found: naming it is no false alarm.
    #[serde(default)]
    pub also: Vec<Also>,
}

const fn default_minutes() -> u64 {
    20
}

const fn default_step() -> u64 {
    10
}

/// One problem that is there and must be found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truth {
    /// What it is.
    pub problem: Problem,
    /// Of what: `gpu3`, `mlx5_0`, `nvme1n1`, `/data`, a process; the machine itself if not said.
    #[serde(default)]
    pub device: String,
    /// From which second on.
    pub from: i64,
    /// Until when; still there at the end if not said.
    #[serde(default)]
    pub until: Option<i64>,
    /// Within how many seconds from its beginning it must be found.
    pub within: u64,
    /// The least that it must be called.
    #[serde(default = "degraded")]
    pub at_least: Status,
}

const fn degraded() -> Status {
    Status::Degraded
}

/// Something that is true too.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// What it is.
    pub problem: Problem,
    /// Of what; of anything if not said.
    #[serde(default)]
    pub device: String,
}

/// What changes at one time. Everything that is not given stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Lines that the kernel writes, without time; `<4>` in front is a level. `{gpu3}` is its PCI
    /// address, `{xid3}` the same without the function.
    pub kernel: Vec<String>,
    /// Files as the kernel would show them, by path below the root; null removes one. `ib:mlx5_0/NAME`
    /// and `pci:gpu3/NAME` are short for their places.
    pub files: BTreeMap<String, Option<String>>,
    /// Files that hold a number which grows by so much a second; 0 stops it.
    pub grow: BTreeMap<String, f64>,
    /// GPUs, by number or `all`: a merge patch upon their state in the words of the fake NVML, or
    /// one of `lost`, `gone`, `reset_required`, `back`.
    pub gpu: BTreeMap<String, Value>,
    /// GPU counters that grow by so much a second: GPU → place in its state (`ecc/corrected_volatile`).
    pub gpu_grow: BTreeMap<String, BTreeMap<String, f64>>,
    /// How the driver as a whole is.
    pub nvidia: Option<Driver>,
    /// What `nvidia-smi` prints instead of its rows; an empty text ends that.
    pub smi: Option<String>,
    /// Another driver.
    pub driver: Option<String>,
    /// Whether the training job runs on the GPUs.
    pub job: Option<bool>,
    /// CPU use, in percent.
    pub cpu: Option<f64>,
    /// Memory in use, in percent.
    pub memory: Option<f64>,
    /// Swap in use, in percent.
    pub swap: Option<f64>,
    /// Installed memory that the kernel sees, in GiB.
    pub memory_gib: Option<u64>,
    /// Pressure stalls (`avg10`, in percent): `cpu_some`, `memory_some`, `memory_full`, `io_some`, `io_full`.
    pub pressure: BTreeMap<String, f64>,
    /// Open file handles.
    pub file_handles: Option<u64>,
    /// Processes that the kernel killed for lack of memory, more than before.
    pub oom_kills: u64,
    /// Space used, by mount point, in percent.
    pub space: BTreeMap<String, f64>,
    /// Inodes used, by mount point, in percent.
    pub inodes: BTreeMap<String, f64>,
    /// Mounts, by mount point.
    pub mounts: BTreeMap<String, MountState>,
    /// Links of network interfaces: `up`, `down`, `off` (by the administrator).
    pub links: BTreeMap<String, String>,
    /// Errors a second, by interface.
    pub net_errors: BTreeMap<String, f64>,
    /// Drops a second, by interface.
    pub net_drops: BTreeMap<String, f64>,
    /// InfiniBand ports, by device: `active`, `init`, `down`, `polling`, `disabled`.
    pub infiniband: BTreeMap<String, String>,
    /// Processes, by number: `NAME STATE [COMMAND LINE]`; null ends one.
    pub processes: BTreeMap<u32, Option<String>>,
    /// How many zombies there are.
    pub zombies: Option<u32>,
    /// Uncorrected and corrected memory errors (EDAC), more than before.
    pub edac_ue: u64,
    /// See `edac_ue`.
    pub edac_ce: u64,
    /// The machine boots: a new boot id, all counters from zero, an empty log.
    pub boot: bool,
    /// The session is lost (`lost`) or opens again (`back`).
    pub session: Option<Session>,
    /// Round trip of the session.
    pub round_trip_ms: Option<f64>,
    /// Training processes that the configuration expects, by a part of their command line.
    pub expect_process: Option<String>,
}

/// How NVIDIA's driver as a whole is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// It answers.
    #[default]
    Ok,
    /// Whoever asks it hangs.
    Hang,
    /// It is not loaded.
    NotLoaded,
    /// The library is of another version.
    Mismatch,
    /// It lists no GPU.
    NoDevices,
    /// It answers that something unknown went wrong.
    Unknown,
}

/// How a mount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountState {
    /// Written and read.
    Rw,
    /// The kernel made the filesystem read-only after an error.
    ErrorRo,
    /// Somebody mounted it read-only.
    MountedRo,
    /// Whoever asks it hangs.
    Hang,
    /// It answers with an error (stale file handle).
    Stale,
    /// It answers with an input/output error.
    IoError,
    /// Unmounted.
    Gone,
}

/// Whether the machine can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// No session opens; the machine itself goes on.
    Lost,
    /// The machine is off: nobody on it collects either.
    Off,
    /// It does again.
    Back,
}

impl Scenario {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.told.truth.is_empty()
    }

    /// The forms in which it is replayed.
    #[must_use]
    pub fn forms(&self) -> &[Form] {
        self.told.forms.as_deref().unwrap_or(&Form::ALL)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read or makes no sense.
    pub fn load(corpus: &Path, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?;
        ensure!(text.len() <= MAX_BYTES, "{} has more than {MAX_BYTES} bytes", path.display());
        let told: Told = serde_saphyr::from_str(&text)
            .with_context(|| format!("the scenario {} is malformed", path.display()))?;
        let relative = path.strip_prefix(corpus).unwrap_or(path).with_extension("");
        let name = relative.to_string_lossy().into_owned();
        let Some((class, _)) = name.split_once('/') else {
            bail!("{} stands in no folder of a class", path.display());
        };
        ensure!(!told.sources.is_empty(), "{name} names no source");
        ensure!(told.step > 0 && told.minutes > 0, "{name} watches for no time");
        for truth in &told.truth {
            let end = i64::try_from(told.minutes * 60).unwrap_or(i64::MAX);
            let by = truth.from.saturating_add_unsigned(truth.within);
            ensure!(by <= end, "{name}: {:?} must be found after the end", truth.problem);
        }
        Ok(Self { class: class.to_owned(), name, told })
    }

    /// All of a corpus, by name; with names or beginnings of names, only those.
    ///
    /// # Errors
    /// When a file cannot be read or makes no sense, or nothing is found.
    pub fn load_all(corpus: &Path, names: &[String]) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        for folder in listed(corpus)? {
            if folder.is_dir() {
                paths.extend(listed(&folder)?.into_iter().filter(|path| is_yaml(path)));
            }
        }
        let mut all = Vec::new();
        for path in paths {
            let relative = path.strip_prefix(corpus).unwrap_or(&path).to_string_lossy();
            if names.is_empty() || names.iter().any(|name| relative.starts_with(name.as_str())) {
                all.push(Self::load(corpus, &path)?);
            }
        }
        ensure!(!all.is_empty(), "no scenario of {} is called {names:?}", corpus.display());
        Ok(all)
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list the corpus {}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}
