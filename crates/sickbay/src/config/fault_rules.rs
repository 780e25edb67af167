//! Mistakes in what a config says about faults: codes that nobody knows, patterns that do not compile.

use sickbay_collect::FaultMatcher;
use sickbay_model::{CatalogueMistake, FaultCatalogue};

use super::mistake::Mistake;
use super::raw::RawFaults;
use super::tree::{Origin, Tree};

/// Every mistake, each at its place.
pub(super) fn check(raw: &RawFaults, tree: &Tree) -> Vec<Mistake> {
    let known = FaultCatalogue::embedded();
    let mut mistakes = Vec::new();
    let entries = raw.entries.as_deref().unwrap_or_default();
    for (place, entry) in entries.iter().enumerate() {
        let path = format!("faults.entries.{place}");
        let code = &entry.code;
        if entries.iter().take(place).any(|earlier| earlier.code == *code) {
            let path = format!("{path}.code");
            let problem = format!("`{path}`: {code} stands in an earlier entry already");
            mistakes.push(at(tree, &path, problem));
        }
        if let Err(missing) = entry.complete(&known) {
            let missing: Vec<_> = missing.iter().map(|field| format!("`{field}`")).collect();
            let needed = missing.join(", ");
            let problem =
                format!("`{path}.code`: {code} is not in the catalogue, so it needs {needed}");
            let codes = known.entries.iter().map(|entry| entry.code.as_str());
            mistakes.push(at(tree, &format!("{path}.code"), problem).near(code.as_str(), codes));
        }
    }
    for (place, family) in raw.families.as_deref().unwrap_or_default().iter().enumerate() {
        let is_empty = family.pattern.is_empty() || family.literals.iter().any(String::is_empty);
        if let (false, Err(error)) = (is_empty, FaultMatcher::check(family)) {
            let path = format!("faults.families.{place}.pattern");
            let why = error.why.lines().last().unwrap_or_default().trim().to_owned();
            mistakes.push(at(tree, &path, format!("`{path}` cannot be used: {why}")));
        }
    }
    let catalogue = raw.catalogue();
    mistakes
        .extend(catalogue.validate().iter().map(|mistake| place(mistake, raw, &catalogue, tree)));
    mistakes
}

/// Puts a mistake at the line that it is about.
fn place(
    mistake: &CatalogueMistake,
    raw: &RawFaults,
    catalogue: &FaultCatalogue,
    tree: &Tree,
) -> Mistake {
    let CatalogueMistake { of, field, problem, unknown } = mistake;
    let entries = raw.entries.as_deref().unwrap_or_default();
    let families = raw.families.as_deref().unwrap_or_default();
    let of_entry = entries.iter().position(|entry| entry.code.as_str() == of);
    let of_family = families.iter().position(|family| family.name == *of);
    let path = match (of_entry, of_family) {
        (Some(place), _) => format!("faults.entries.{place}.{field}"),
        (None, Some(place)) => format!("faults.families.{place}.{field}"),
        (None, None) => "faults".to_owned(),
    };
    let mistake = at(tree, &path, format!("`{path}`: {problem}"));
    match unknown {
        Some(code) => {
            mistake.near(code.as_str(), catalogue.entries.iter().map(|entry| entry.code.as_str()))
        }
        None => mistake,
    }
}

/// A mistake at a field, or where the field would be.
fn at(tree: &Tree, path: &str, problem: String) -> Mistake {
    let mut shorter = Some(path);
    while let Some(found) = shorter {
        if let Some(tree) = tree.get(found) {
            return Mistake::new(tree.origin.clone(), path, problem);
        }
        shorter = found.rsplit_once('.').map(|(parent, _)| parent);
    }
    Mistake::new(Origin::Default, path, problem)
}
