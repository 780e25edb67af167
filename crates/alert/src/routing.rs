//! Who is told of which alert, when, and how often.
//!
//! A tree as Alertmanager's: an alert goes down into every child that matches it, in order, up to and
//! including the first that does not say `continue`; where none matches, the node itself tells. What a
//! node does not say it takes from its parent.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Labels, Matchers};

/// When more people are told of an alert that nobody acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// This long after it began to fire.
    pub after: Duration,
    /// Who.
    pub receivers: Vec<Arc<str>>,
}

/// One node of the tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name, unique in the tree: part of what is stored.
    pub name: Arc<str>,
    /// What goes here.
    #[serde(default)]
    pub matchers: Matchers,
    /// Whether the nodes after it are tried too.
    #[serde(default)]
    pub goes_on: bool,
    /// By which labels alerts are told together.
    pub group_by: Vec<String>,
    /// Who is told, in which order; empty: nobody.
    pub steps: Vec<Step>,
    /// How long the first notice of a group waits for company.
    pub wait: Duration,
    /// The least time between two notices of a group.
    pub interval: Duration,
    /// After which time a group that still fires is told again; zero: never.
    pub repeat: Duration,
    /// The nodes below it.
    #[serde(default)]
    pub routes: Vec<Self>,
}

impl Default for Route {
    /// Everything to nobody: what is there without a config.
    fn default() -> Self {
        Self {
            name: "default".into(),
            matchers: Matchers::default(),
            goes_on: false,
            group_by: vec!["rule".to_owned()],
            steps: Vec::new(),
            wait: Duration::from_millis(100),
            interval: Duration::from_millis(500),
            repeat: Duration::from_secs(4 * 3600),
            routes: Vec::new(),
        }
    }
}

impl Route {
    /// The deepest that a tree may be.
    const MAX_DEPTH: usize = 16;

    /// The nodes that tell of an alert with these labels.
    #[must_use]
    pub fn leaves(&self, labels: &Labels) -> Vec<&Self> {
        let mut leaves = Vec::new();
        self.descend(labels, Self::MAX_DEPTH, &mut leaves);
        leaves
    }

    fn descend<'a>(&'a self, labels: &Labels, depth: usize, leaves: &mut Vec<&'a Self>) {
        let before = leaves.len();
        if depth > 0 {
            for route in self.routes.iter().filter(|route| route.matchers.matches(labels)) {
                route.descend(labels, depth - 1, leaves);
                if !route.goes_on {
                    break;
                }
            }
        }
        if leaves.len() == before {
            leaves.push(self);
        }
    }

    /// The node of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Self> {
        if *self.name == *name {
            return Some(self);
        }
        self.routes.iter().find_map(|route| route.find(name))
    }
}

/// How much a receiver bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How many notices may come at once.
    pub burst: u32,
    /// How long it takes until one more may.
    pub per: Duration,
}

impl Default for Budget {
    /// What a person reads: five at once, two a minute for long.
    fn default() -> Self {
        Self { burst: 5, per: Duration::from_secs(30) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, matchers: &str, routes: Vec<Route>) -> Route {
        let matchers = Matchers::parse(matchers).expect("matchers");
        Route { name: name.into(), matchers, routes, ..Route::default() }
    }

    #[test]
    fn an_alert_finds_its_way() {
        let tree = route(
            "root",
            "",
            vec![
                Route { goes_on: true, ..route("log", "severity!=info", vec![]) },
                route("gpu", "rule=~\"gpu_.*\"", vec![route("night", "severity=critical", vec![])]),
                route("late", "node=gpu-1", vec![]),
            ],
        );
        for (labels, names) in [
            (&[("rule", "gpu_ecc"), ("severity", "critical")][..], &["log", "night"][..]),
            (&[("rule", "gpu_ecc"), ("severity", "info")], &["gpu"]),
            (&[("rule", "disk"), ("severity", "info")], &["root"]),
            (&[("rule", "disk"), ("severity", "info"), ("node", "gpu-1")], &["late"]),
            (&[("rule", "disk"), ("severity", "warning")], &["log"]),
        ] {
            let labels: Labels = labels.iter().copied().collect();
            let leaves = tree.leaves(&labels);
            let found: Vec<&str> = leaves.iter().map(|leaf| &*leaf.name).collect();
            assert_eq!(found, names, "{labels}");
        }
        assert_eq!(tree.find("night").map(|it| &*it.name), Some("night"));
    }
}
