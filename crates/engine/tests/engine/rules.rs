//! Each rule for hardware names its tests: `docs/rules.md` is held to what there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sickbay_engine::CHECKS;
use sickbay_model::Component;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands between backquotes in each column of the table.
fn columns() -> [BTreeSet<String>; 3] {
    let text = std::fs::read_to_string(root().join("docs/rules.md")).expect("there is a list");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut columns: [BTreeSet<String>; 3] = Default::default();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "a rule, its checks, tests and stories: {row}");
        for (column, cell) in columns.iter_mut().zip(&cells[1..]) {
            column.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
        }
        assert!(cells[1].contains('`') && cells[2].contains('`'), "no check or no test: {row}");
    }
    columns
}

#[test]
fn each_names_tests_and_stories_that_there_are() {
    let [checks, tests, stories] = columns();
    let known: BTreeSet<&str> = CHECKS.iter().map(|check| check.id.as_str()).collect();
    for check in &checks {
        assert!(known.contains(&**check), "there is no check {check}");
    }
    let sources = std::fs::read_dir(root().join("crates/engine/tests/engine")).expect("a folder");
    let sources: String = sources
        .map(|file| file.expect("a file").path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).expect("a source"))
        .collect();
    for test in &tests {
        assert!(sources.contains(&format!("#[test]\nfn {test}() {{")), "there is no test {test}");
    }
    for story in &stories {
        let file = root().join("fixtures/faults").join(format!("{story}.yaml"));
        assert!(file.is_file(), "there is no story {story}");
    }
}

#[test]
fn no_check_of_a_gpu_or_a_link_is_without_one() {
    let [checks, ..] = columns();
    let of_hardware = CHECKS.iter().filter(|check| {
        let name = check.id.as_str();
        let is_link = ["pcie_", "infiniband_"].iter().any(|start| name.starts_with(start));
        is_link || check.component == Component::Gpu
    });
    let missing: Vec<&str> = of_hardware
        .map(|check| check.id.as_str())
        .filter(|check| !checks.contains(*check))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
