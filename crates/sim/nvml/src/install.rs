//! Finding the built library and placing it where a test wants it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// File name of the built library.
const LIBRARY_NAME: &str = "libsickbay_sim_nvml.so";

/// A fake NVML in a directory of its own: a copy of the library, and the scenario beside it.
///
/// The copy matters: the loader keeps one instance per file, so two worlds in one process need two
/// files.
#[derive(Clone, Debug)]
pub struct FakeNvml {
    directory: PathBuf,
}

/// Why a fake NVML could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file could not be written or copied.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The library was not there and could not be built.
    #[error("cannot build {LIBRARY_NAME}: {0}; try `cargo build -p sickbay-sim-nvml`")]
    Build(String),
}

impl FakeNvml {
    /// Places the library and a scenario into a directory.
    ///
    /// # Errors
    /// When the library can be neither found nor built, or a file cannot be written.
    pub fn install(directory: &Path, scenario: &Path) -> Result<Self, InstallError> {
        let fake = Self { directory: directory.to_owned() };
        let from = library_path()?;
        std::fs::copy(&from, fake.library()).map_err(|source| InstallError::File {
            action: "copy",
            path: from,
            source,
        })?;
        fake.set(scenario)?;
        Ok(fake)
    }

    /// The library's path, for `LocalSettings::nvml_library`.
    #[must_use]
    pub fn library(&self) -> PathBuf {
        self.directory.join("libnvidia-ml.so.1")
    }

    /// Replaces the world by another scenario file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, scenario: &Path) -> Result<(), InstallError> {
        self.patch(scenario, Value::Object(serde_json::Map::new()))
    }

    /// Replaces the world by a scenario file with changes upon it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn patch(&self, scenario: &Path, mut changes: Value) -> Result<(), InstallError> {
        let base = std::path::absolute(scenario).map_err(|source| InstallError::File {
            action: "resolve",
            path: scenario.to_owned(),
            source,
        })?;
        if let Some(object) = changes.as_object_mut() {
            object.insert("base".to_owned(), Value::String(base.to_string_lossy().into_owned()));
        }
        // Written beside and renamed, so that the library never sees half of it.
        let new = self.directory.join("scenario.json.new");
        let failed = |source| InstallError::File { action: "write", path: new.clone(), source };
        std::fs::write(&new, changes.to_string()).map_err(failed)?;
        std::fs::rename(&new, self.directory.join("scenario.json")).map_err(failed)
    }
}

/// The path of a scenario in this repository, by name without extension.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.join("../../../fixtures/gpu/nvml").join(name).with_extension("json")
}

/// The path of the built library.
///
/// Whatever depends on this crate has had the library built with it, into a directory above the
/// running program; only where that is not so, `cargo build` is run.
///
/// # Errors
/// When it is not there and cannot be built.
pub fn library_path() -> Result<PathBuf, InstallError> {
    let program = std::env::current_exe().map_err(|source| InstallError::File {
        action: "find",
        path: PathBuf::from("the running program"),
        source,
    })?;
    // `target/debug/deps/test-…`, `target/debug/examples/…`, `target/debug/sickbay`.
    for above in program.ancestors().skip(1).take(3) {
        for directory in [above.join("deps"), above.to_owned()] {
            let library = directory.join(LIBRARY_NAME);
            if library.is_file() {
                return Ok(library);
            }
        }
    }
    build()
}

fn build() -> Result<PathBuf, InstallError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--package", "sickbay-sim-nvml"])
        .output()
        .map_err(|error| InstallError::Build(error.to_string()))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(InstallError::Build(reason));
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let library = target.join("debug").join(LIBRARY_NAME);
    if library.is_file() {
        Ok(library)
    } else {
        Err(InstallError::Build(format!("{} is not there after the build", library.display())))
    }
}
