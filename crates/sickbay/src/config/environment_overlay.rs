//! Environment variables and flags as a layer over the file.
//!
//! Every variable is a name for one field; its text becomes a value of the tree, so it is held
//! against the same rules as the file and its mistakes name the variable.

use super::mistake::{Mistake, nearest};
use super::schema::{Rule, Shape};
use super::tree::{Origin, Tree, Value};
use crate::environment::Environment;

/// What all our variables begin with.
pub(super) const PREFIX: &str = "SICKBAY_";

/// A variable that sets a field.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The field.
    pub path: &'static str,
}

const fn variable(name: &'static str, path: &'static str) -> Variable {
    Variable { name, path }
}

/// Every variable that sets a field, the seeds' ones under our prefix included. A later one wins
/// over an earlier one of the same field.
pub const VARIABLES: &[Variable] = &[
    variable("SICKBAY_HEALTH_SERVER_PORT", PORT),
    variable("SICKBAY_LISTEN", "listen.address"),
    variable("SICKBAY_TOKEN", "listen.token"),
    variable("SICKBAY_TOKEN_FILE", "listen.token_file"),
    variable("SICKBAY_DATA_DIR", "data_dir"),
    variable("SICKBAY_LOG_LEVEL", "log.level"),
    variable("SICKBAY_LOG_FORMAT", "log.format"),
    variable("SICKBAY_NVML_LIBRARY", "probes.nvml_library"),
    variable("SICKBAY_HEALTH_CHECK_INTERVAL", "schedule.idle_interval"),
    variable("SICKBAY_HEALTH_CHECK_TIMEOUT", "probes.timeout"),
    variable("SICKBAY_ERROR_RATE_THRESHOLD", "thresholds.error_rate.critical"),
    variable("SICKBAY_WORKER_MONITORING_ENABLED", "workers.monitoring"),
    variable("SICKBAY_WORKER_METRICS_POLL_INTERVAL", "workers.poll_interval"),
    variable("SICKBAY_WORKER_NOTIFICATION_WEBHOOKS", "workers.webhooks"),
];

/// Stands for the port alone: seed 3 had one variable for it.
const PORT: &str = "listen.address:port";

/// Variables that are ours, but no fields: where the config is, and what the client asks.
pub const OTHER_VARIABLES: &[&str] = &["SICKBAY_CONFIG", "SICKBAY_SERVER", "SICKBAY_CA_FILE"];

/// A flag that sets a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag, `--listen`.
    pub flag: &'static str,
    /// The field.
    pub path: &'static str,
    /// What was given.
    pub text: String,
}

/// Lays variables, then flags, over a tree. Returns remarks on variables that nobody reads.
pub(super) fn overlay(
    tree: &mut Tree,
    rule: Rule<'_>,
    default_address: &str,
    environment: &Environment,
    flags: &[FlagValue],
    mistakes: &mut Vec<Mistake>,
) -> Vec<String> {
    for Variable { name, path } in VARIABLES {
        let Some(text) = environment.get(name) else { continue };
        let origin = Origin::Variable((*name).to_owned());
        if *path == PORT {
            match set_port(tree, default_address, text) {
                Some(address) => tree.set("listen.address", Value::Text(address), &origin),
                None => mistakes.push(
                    Mistake::new(origin, "listen.address", format!("{text:?} is not a port"))
                        .allowing("a whole number from 0 to 65535"),
                ),
            }
            continue;
        }
        if let Some(rule) = rule.at(path) {
            tree.set(path, read(text, rule), &origin);
        }
    }
    for FlagValue { flag, path, text } in flags {
        if let Some(rule) = rule.at(path) {
            tree.set(path, read(text, rule), &Origin::Flag((*flag).to_owned()));
        }
    }
    unknown_variables(environment)
}

/// The text of a variable as the kind of value that its field holds. What does not fit stays a
/// text, and the check says what is wrong with it.
fn read(text: &str, rule: Rule<'_>) -> Value {
    match rule.shape() {
        Shape::Integer | Shape::Number => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Integer(number),
            (_, Ok(number)) => Value::Number(number),
            _ => Value::Text(text.to_owned()),
        },
        Shape::Switch => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Value::Bool(true),
            "false" | "0" | "no" | "off" => Value::Bool(false),
            _ => Value::Text(text.to_owned()),
        },
        Shape::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let tree = |item: &str| Tree {
                value: rule.items().map_or(Value::Null, |rule| read(item, rule)),
                origin: Origin::Default,
            };
            Value::List(items.map(tree).collect())
        }
        // The seeds' variables are plain seconds.
        Shape::Text if rule.format() == "duration" && text.parse::<f64>().is_ok() => {
            Value::Text(format!("{text}s"))
        }
        Shape::Text | Shape::Section => Value::Text(text.to_owned()),
    }
}

fn set_port(tree: &Tree, default_address: &str, text: &str) -> Option<String> {
    let port: u16 = text.trim().parse().ok()?;
    let address = match tree.get("listen.address").map(|tree| &tree.value) {
        Some(Value::Text(address)) => address.as_str(),
        _ => default_address,
    };
    let mut address: std::net::SocketAddr = address.parse().ok()?;
    address.set_port(port);
    Some(address.to_string())
}

fn unknown_variables(environment: &Environment) -> Vec<String> {
    let known =
        || VARIABLES.iter().map(|variable| variable.name).chain(OTHER_VARIABLES.iter().copied());
    environment
        .with_prefix(PREFIX)
        .filter(|(name, _)| !known().any(|known| known == *name))
        .map(|(name, _)| match nearest(name, known()) {
            Some(near) => {
                format!("the environment variable {name} means nothing; did you mean {near}?")
            }
            None => format!("the environment variable {name} means nothing to sickbay"),
        })
        .collect()
}
