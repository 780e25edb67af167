//! Taking over a changed config while running: on SIGHUP and when the file changes.
//!
//! What must hold: a bad file leaves the old settings in force and is reported; of a good one the
//! names of the changed fields are known, and which of them wait for a restart.
//!
//! The *directory* is watched, because editors write a new file and rename it over the old one.

use std::path::Path;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::settings::Settings;

/// How long a file must be left alone before it is read: an editor writes in several steps.
pub const DEBOUNCE: Duration = Duration::from_millis(300);

/// Fields that take effect at the next start only, by their first names.
const NEEDS_RESTART: &[&str] =
    &["listen", "data_dir", "log.file", "log.format", "store.commit_interval"];

/// What changed between two configs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of the fields whose values differ.
    pub changed: Vec<String>,
    /// Those among them that take effect at the next start only.
    pub needs_restart: Vec<String>,
}

/// Compares two configs field by field.
#[must_use]
pub fn compare(old: &Settings, new: &Settings) -> Changes {
    let json =
        |settings: &Settings| serde_json::to_value(super::show(settings)).unwrap_or_default();
    let mut changed = Vec::new();
    differences(&json(old), &json(new), "", &mut changed);
    // Shown as *** on both sides, a changed secret would look the same.
    if old.hub.listen.token != new.hub.listen.token
        && !changed.iter().any(|name| name == "listen.token")
    {
        changed.push("listen.token".to_owned());
    }
    let waits = |name: &&String| {
        NEEDS_RESTART
            .iter()
            .any(|field| name.as_str() == *field || name.starts_with(&format!("{field}.")))
    };
    let needs_restart = changed.iter().filter(waits).cloned().collect();
    Changes { changed, needs_restart }
}

fn differences(old: &Json, new: &Json, path: &str, changed: &mut Vec<String>) {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => {
            let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let side = |map: &serde_json::Map<String, Json>| map.get(key).cloned();
                let (old, new) = (side(old).unwrap_or(Json::Null), side(new).unwrap_or(Json::Null));
                differences(&old, &new, &path, changed);
            }
        }
        _ if old == new => {}
        _ => changed.push(path.to_owned()),
    }
}

/// Watches a config file; the receiver gets a message after each change, once things are calm. Drop
/// the watcher to stop.
///
/// # Errors
/// When the system has no more watches to give; then only SIGHUP reloads.
pub fn watch(
    file: &Path,
) -> Result<(notify::RecommendedWatcher, mpsc::Receiver<()>), notify::Error> {
    // One waiting message says it all: "look again".
    let (tell, told) = mpsc::channel(1);
    let file = std::path::absolute(file).map_err(notify::Error::io)?;
    let name = file.file_name().map(std::ffi::OsStr::to_owned);
    let directory = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let touches = match &event {
            Ok(event) if event.kind.is_access() => false,
            Ok(event) => event.paths.iter().any(|path| path.file_name() == name.as_deref()),
            // Events were lost: look to be sure.
            Err(_) => true,
        };
        if touches {
            // Full means that a look is owed already.
            let _ = tell.try_send(());
        }
    })?;
    watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    Ok((watcher, told))
}
