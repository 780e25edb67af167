//! From a file, the environment and flags to valid settings.
//!
//! Raw → valid: a [`tree`] with positions is read from YAML, variables and flags are laid over it,
//! the whole is held against the [`schema()`] and the rules between fields, and only if nothing is
//! wrong [`Settings`] come out. All mistakes are reported at once, each with its place.
//!
//! What it does not do: hold defaults (they belong to the parts), read the environment (it is an
//! argument), or start anything.

pub mod units;

pub mod raw;
mod raw_faults;
mod raw_fleet;
mod raw_outlier;
mod raw_policy;

mod schema;
pub use schema::{faults_schema, schema};

mod tree;
pub(crate) use tree::most_values;

mod mistake;
pub use mistake::{Mistake, Mistakes, nearest};
pub use tree::Origin;

mod check;

mod environment_overlay;
pub use environment_overlay::{FlagValue, OTHER_VARIABLES, VARIABLES, Variable};

mod settings;
pub use settings::{LogSettings, Settings, WorkerSettings};

mod bind;
mod bind_fleet;
mod bind_policy;
mod fault_rules;
mod node_rules;
mod rules;

mod ssh_defaults;

mod locate;
pub use locate::{default_config_file, default_data_dir, is_root};

mod reference;
pub use reference::{commented, starter_file, variables_reference};

pub mod reload;
pub use reload::{Changes, compare, watch};

use std::path::{Path, PathBuf};

use sickbay_hub::Secret;

use crate::environment::Environment;
use raw::RawConfig;
use schema::{Rule, Shape};
use tree::{Tree, Value};

/// The longest token file that is read, in bytes.
const MAX_TOKEN_FILE_BYTES: u64 = 16 * 1024;

/// What a config is made of.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file named by `--config`. It must exist; a file at a default place need not.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Environment,
    /// Flags that set fields.
    pub flags: Vec<FlagValue>,
    /// Whether to act as a system service.
    pub root: bool,
}

/// A valid config.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is not wrong, but worth a word: variables that mean nothing, fields not used yet.
    pub remarks: Vec<String>,
}

impl Sources {
    /// The file to read: named by flag or variable, or at the default place if it is there.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        let named = self.file.clone().or_else(|| self.environment.path("SICKBAY_CONFIG"));
        named.or_else(|| {
            default_config_file(&self.environment, self.root).filter(|file| file.exists())
        })
    }
}

/// Reads and checks a config.
///
/// # Errors
/// Every mistake in it.
pub fn load(sources: &Sources) -> Result<Loaded, Mistakes> {
    let (loaded, mistakes) = load_leniently(sources);
    if mistakes.is_empty() { Ok(loaded) } else { Err(Mistakes::new(loaded.file, mistakes)) }
}

/// Reads a config for somebody who only wants to find the hub: what is right in it holds, and the
/// mistakes come beside it.
#[must_use]
pub fn load_leniently(sources: &Sources) -> (Loaded, Vec<Mistake>) {
    let file = sources.config_file();
    let (text, unreadable) = match file.as_deref().map(read_file) {
        Some(Ok(text)) => (text, None),
        Some(Err(mistake)) => (String::new(), Some(mistake)),
        None => (String::new(), None),
    };
    let (loaded, mut mistakes) = build(&text, file, sources);
    mistakes.extend(unreadable.map(|mistake| *mistake));
    (loaded, mistakes)
}

/// Checks a config whose file was read already.
///
/// # Errors
/// Every mistake in it.
pub fn load_text(text: &str, file: Option<PathBuf>, sources: &Sources) -> Result<Loaded, Mistakes> {
    let (loaded, mistakes) = build(text, file, sources);
    if mistakes.is_empty() { Ok(loaded) } else { Err(Mistakes::new(loaded.file, mistakes)) }
}

fn build(text: &str, file: Option<PathBuf>, sources: &Sources) -> (Loaded, Vec<Mistake>) {
    let schema = schema();
    let rule = Rule::of(&schema);
    let mut settings = Settings::defaults(&sources.environment, sources.root);
    settings.hub.config_file.clone_from(&file);
    let mut mistakes = Vec::new();

    // A file that cannot be read as YAML still lets the environment's mistakes be found.
    let mut tree = Tree::parse(text).unwrap_or_else(|mistake| {
        mistakes.push(*mistake);
        Tree::empty()
    });
    let Some(rule) = rule else {
        mistakes.push(Mistake::new(Origin::Default, "", "the schema is broken"));
        return (Loaded { settings, file, remarks: Vec::new() }, mistakes);
    };
    // Before anything is laid over it: what is laid over would hide it.
    mistakes.extend(check::check_sections(&mut tree, rule));
    let address = settings.hub.listen.addr.to_string();
    let environment = &sources.environment;
    let mut remarks = environment_overlay::overlay(
        &mut tree,
        rule,
        &address,
        environment,
        &sources.flags,
        &mut mistakes,
    );
    mistakes.extend(check::check(&mut tree, rule));
    let directory = file.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new(""));
    resolve_paths(&mut tree, rule, directory, environment.path("HOME").as_deref());

    match serde_json::from_value::<RawConfig>(tree.to_json()) {
        Ok(raw) => {
            bind::apply(&raw, &mut settings);
            mistakes.extend(rules::check(&raw, &settings, &tree));
            let token = read_token(&raw, &tree, &mut settings);
            mistakes.extend(token.err().map(|mistake| *mistake));
            remarks.extend(unused(&raw));
        }
        // The check lets nothing through that the types refuse; should it, say so.
        Err(error) => mistakes.push(Mistake::new(Origin::WholeFile, "", error.to_string())),
    }
    (Loaded { settings, file, remarks }, mistakes)
}

/// The settings as a file, with every field.
#[must_use]
pub fn show(settings: &Settings) -> RawConfig {
    bind::show(settings)
}

fn read_file(file: &Path) -> Result<String, Box<Mistake>> {
    let refuse = |why: String| {
        Box::new(Mistake::new(Origin::WholeFile, "", format!("cannot be read: {why}")))
    };
    let facts = std::fs::metadata(file).map_err(|error| refuse(error.to_string()))?;
    // A pipe would be waited for, and a device may have no end.
    if !facts.is_file() {
        let what = if facts.is_dir() { "it is a directory" } else { "it is not a file" };
        return Err(refuse(what.to_owned()));
    }
    let size = facts.len();
    if size > tree::MAX_FILE_BYTES as u64 {
        return Err(refuse(format!(
            "it has {size} bytes; at most {} are read",
            tree::MAX_FILE_BYTES
        )));
    }
    let bytes = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line =
            error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count() as u64;
        let origin = Origin::File { line: line + 1, column: 1 };
        Box::new(Mistake::new(origin, "", "this line is not UTF-8 text"))
    })
}

/// Makes paths absolute: `~/` by the home directory, relative ones by the file's directory. Those
/// of variables and flags stay relative to the working directory.
fn resolve_paths(tree: &mut Tree, rule: Rule<'_>, directory: &Path, home: Option<&Path>) {
    match &mut tree.value {
        Value::Map(entries) => {
            for entry in entries {
                if let Some(rule) = rule.property(&entry.key) {
                    resolve_paths(&mut entry.value, rule, directory, home);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                if let Some(rule) = rule.items() {
                    resolve_paths(item, rule, directory, home);
                }
            }
        }
        Value::Text(text) if rule.shape() == Shape::Text => {
            let bare = !text.contains('/');
            let is_path = rule.format() == "path" || (rule.format() == "program" && !bare);
            let from_file = matches!(tree.origin, Origin::File { .. });
            if let (true, Some(rest), Some(home)) = (is_path, text.strip_prefix("~/"), home) {
                *text = home.join(rest).display().to_string();
            } else if is_path && from_file && Path::new(text.as_str()).is_relative() {
                *text = directory.join(text.as_str()).display().to_string();
            }
        }
        _ => {}
    }
}

/// Reads the token's file. What others can read is no secret, and is refused.
fn read_token(raw: &RawConfig, tree: &Tree, settings: &mut Settings) -> Result<(), Box<Mistake>> {
    let Some(file) = raw.listen.as_ref().and_then(|listen| listen.token_file.as_ref()) else {
        return Ok(());
    };
    let path = "listen.token_file";
    let origin = tree.get(path).map_or(Origin::Default, |tree| tree.origin.clone());
    let refuse = |why: String| {
        let problem = format!("`{path}`: {} {why}", file.0.display());
        Box::new(Mistake::new(origin.clone(), path, problem))
    };
    let text = read_secret_file(&file.0).map_err(refuse)?;
    settings.hub.listen.token = Some(Secret::new(text));
    Ok(())
}

/// The first line of a file that only its owner can read.
///
/// # Errors
/// Why it is not used, to be read after the file's name.
pub fn read_secret_file(file: &Path) -> Result<String, String> {
    use std::os::unix::fs::MetadataExt as _;
    let facts = std::fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !facts.is_file() {
        return Err("is not a file".to_owned());
    }
    if facts.mode() & 0o077 != 0 {
        return Err("can be read by others; run chmod 600 on it".to_owned());
    }
    if facts.len() > MAX_TOKEN_FILE_BYTES {
        return Err(format!("is larger than {MAX_TOKEN_FILE_BYTES} bytes: not a token"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    let token = text.lines().next().unwrap_or("").trim();
    if token.len() < check::MIN_SECRET_BYTES {
        return Err(format!("holds no token of at least {} characters", check::MIN_SECRET_BYTES));
    }
    Ok(token.to_owned())
}

/// What is accepted, but does nothing yet.
fn unused(raw: &RawConfig) -> Vec<String> {
    let Some(workers) = &raw.workers else { return Vec::new() };
    let set: Vec<_> = [
        ("workers.monitoring", workers.monitoring.is_some()),
        ("workers.poll_interval", workers.poll_interval.is_some()),
        ("workers.webhooks", workers.webhooks.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect();
    if set.is_empty() {
        return Vec::new();
    }
    vec![format!("{} set, but this version does not watch cloud workers yet", set.join(", "))]
}

#[cfg(test)]
mod tests;
