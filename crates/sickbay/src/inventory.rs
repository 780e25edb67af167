//! Other people's lists of machines, read as nodes to be watched: Ansible inventories.
//!
//! Pure: text in, nodes and remarks out. Nothing is executed (an inventory that is a program is not
//! run), nothing is looked up, and what is not understood is said rather than guessed.
//!
//! What must hold: bad input never panics; every list has a limit; passwords are never taken.

mod ansible_ini;
mod ansible_yaml;
mod groups;
mod host_range;

use sickbay_wire::v1::NodeSpec;

/// The largest inventory that is read, in bytes.
pub const MAX_INVENTORY_BYTES: usize = 16 * 1024 * 1024;

/// The most remarks that are kept; further ones are counted.
pub(crate) const MAX_REMARKS: usize = 50;

/// What was read from an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The nodes: in the order of an INI inventory; of a YAML one, group by group, by name.
    pub nodes: Vec<NodeSpec>,
    /// What was left out or not understood, and why.
    pub remarks: Vec<String>,
}

/// Why an inventory cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryError {
    /// The line, where it is known.
    pub line: Option<u64>,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl InventoryError {
    pub(crate) fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line: Some(line as u64), problem: problem.into() }
    }

    pub(crate) fn whole(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }
}

/// Reads an Ansible inventory, INI or YAML. `yaml` says which; without it, the text itself does.
/// With `group`, only its members.
///
/// # Errors
/// The first thing that keeps it from being read.
pub fn ansible(
    text: &str,
    yaml: Option<bool>,
    group: Option<&str>,
) -> Result<Imported, InventoryError> {
    if text.starts_with("#!") {
        return Err(InventoryError::whole(
            "this is a program that makes an inventory; run `ansible-inventory -i FILE --list -y > \
             inventory.yaml` and import that",
        ));
    }
    let inventory = if yaml.unwrap_or_else(|| looks_like_yaml(text)) {
        ansible_yaml::read(text)?
    } else {
        ansible_ini::read(text)?
    };
    inventory.nodes(group)
}

fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim_end).find(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#') && !line.starts_with(';')
    });
    first.is_some_and(|line| {
        line.starts_with("---")
            || line.starts_with('{')
            || (line.ends_with(':') && !line.starts_with('['))
    })
}

#[cfg(test)]
mod tests;
