//! Which crate may depend on which: the architecture's arrows, enforced.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell;

/// A crate of ours, what of ours it may use, and which outside crates it must never pull in
/// directly (the pure part knows no I/O, no runtime and no clock).
struct Rule {
    name: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

const RUNTIMES: &[&str] = &[
    "tokio",
    "tokio-util",
    "axum",
    "hyper",
    "reqwest",
    "rusqlite",
    "rustix",
    "libc",
    "getrandom",
    "rand",
    "tracing",
];

const RULES: &[Rule] = &[
    Rule { name: "sickbay-model", ours: &[], never: RUNTIMES },
    Rule { name: "sickbay-engine", ours: &["sickbay-model"], never: RUNTIMES },
    Rule { name: "sickbay-alert", ours: &["sickbay-model"], never: RUNTIMES },
    Rule { name: "sickbay-wire", ours: &["sickbay-model"], never: RUNTIMES },
    Rule { name: "sickbay-runtime", ours: &[], never: &["axum", "rusqlite", "reqwest"] },
    Rule {
        name: "sickbay-collect",
        ours: &["sickbay-model", "sickbay-runtime"],
        never: &["axum", "rusqlite"],
    },
    Rule {
        name: "sickbay-ssh",
        ours: &["sickbay-model", "sickbay-runtime", "sickbay-collect"],
        never: &["axum", "rusqlite"],
    },
    Rule { name: "sickbay-diagnose", ours: &["sickbay-collect"], never: RUNTIMES },
    Rule {
        name: "sickbay-notify",
        ours: &["sickbay-model", "sickbay-alert", "sickbay-runtime"],
        never: &["axum", "rusqlite"],
    },
    Rule { name: "sickbay-store", ours: &["sickbay-model"], never: &["axum", "reqwest"] },
    Rule {
        name: "sickbay-hub",
        ours: &[
            "sickbay-model",
            "sickbay-engine",
            "sickbay-wire",
            "sickbay-runtime",
            "sickbay-collect",
            "sickbay-ssh",
            "sickbay-store",
        ],
        never: &["clap", "rusqlite", "russh"],
    },
    Rule { name: "sickbay-sim-fleet", ours: &[], never: &["axum", "rusqlite"] },
    Rule {
        name: "sickbay-sim-faults",
        ours: &[
            "sickbay-model",
            "sickbay-engine",
            "sickbay-collect",
            "sickbay-runtime",
            "sickbay-sim-nvml",
        ],
        never: &["axum", "rusqlite"],
    },
    Rule { name: "sickbay-sim-nvml", ours: &[], never: &["tokio"] },
    Rule {
        name: "sickbay",
        ours: &[
            "sickbay-model",
            "sickbay-engine",
            "sickbay-wire",
            "sickbay-runtime",
            "sickbay-collect",
            "sickbay-ssh",
            "sickbay-diagnose",
            "sickbay-store",
            "sickbay-hub",
        ],
        never: &["rusqlite", "axum", "russh"],
    },
    Rule { name: "xtask", ours: &[], never: &["tokio"] },
];

/// Crates that measure or test the others and may use any of them.
const FREE: &[&str] = &["sickbay-benches"];

/// Checks every crate of the workspace against its rule.
pub fn check(root: &Path) -> Result<()> {
    let text =
        shell::output(root, "cargo", &["metadata", "--format-version=1", "--no-deps", "--locked"])?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
    let mistakes = mistakes(&dependencies(&metadata)?);
    if mistakes.is_empty() {
        println!("edges: {} crates depend only on what they may", RULES.len());
        return Ok(());
    }
    bail!("crates depend on what they must not:\n  {}", mistakes.join("\n  "))
}

/// Each package of the workspace with its normal and build dependencies.
fn dependencies(metadata: &Value) -> Result<BTreeMap<String, Vec<String>>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    Ok(packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().unwrap_or_default().to_owned();
            let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
            let names = dependencies
                .iter()
                .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                .collect();
            (name, names)
        })
        .collect())
}

fn mistakes(packages: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let ours = |name: &str| packages.contains_key(name);
    let mut mistakes = Vec::new();
    for (package, dependencies) in packages {
        if FREE.contains(&package.as_str()) {
            continue;
        }
        let Some(rule) = RULES.iter().find(|rule| rule.name == package) else {
            mistakes.push(format!(
                "{package} has no rule: say in xtask/src/edges.rs what it may use, and why it is a crate"
            ));
            continue;
        };
        for dependency in dependencies {
            if ours(dependency) && !rule.ours.contains(&dependency.as_str()) {
                mistakes.push(format!("{package} → {dependency}: not an allowed edge"));
            }
            if rule.never.contains(&dependency.as_str()) {
                mistakes.push(format!("{package} → {dependency}: banned in this crate"));
            }
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(list: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        list.iter()
            .map(|(name, uses)| ((*name).to_owned(), uses.iter().map(|&u| u.to_owned()).collect()))
            .collect()
    }

    #[test]
    fn wrong_edges_are_named() {
        for (list, expected) in [
            (packages(&[("sickbay-model", &[]), ("sickbay-engine", &["sickbay-model"])]), ""),
            (
                packages(&[("sickbay-model", &["sickbay-store"]), ("sickbay-store", &[])]),
                "sickbay-model → sickbay-store: not an allowed edge",
            ),
            (
                packages(&[("sickbay-engine", &["tokio"])]),
                "sickbay-engine → tokio: banned in this crate",
            ),
            (packages(&[("sickbay-new", &[])]), "sickbay-new has no rule"),
        ] {
            let found = mistakes(&list).join("\n");
            assert!(
                if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
                "{found}"
            );
        }
    }
}
