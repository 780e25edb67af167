//! What no compiler checks: file sizes, file names, words.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// A file of code above this many lines is a design question.
const MAX_LINES: usize = 600;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "misc", "manager"];

/// Marks of unfinished work, spelt apart so that this file does not trip over itself.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Checks every tracked file.
pub fn check(root: &Path) -> Result<()> {
    let listed =
        shell::output(root, "git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let mut mistakes = Vec::new();
    let mut files = 0;
    for name in listed.lines().filter(|name| is_ours(name)) {
        let Ok(bytes) = fs::read(root.join(name)) else { continue };
        let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
        files += 1;
        mistakes.extend(mistakes_in(name, &text));
    }
    if mistakes.is_empty() {
        println!("tidy: {files} files");
        return Ok(());
    }
    bail!("{} untidy places:\n  {}", mistakes.len(), mistakes.join("\n  "))
}

fn is_ours(name: &str) -> bool {
    let code =
        [".rs", ".js", ".mjs", ".ts", ".css", ".sh"].iter().any(|ending| name.ends_with(ending));
    code && !["vendor/", "fixtures/", "node_modules/"].iter().any(|folder| name.contains(folder))
}

fn mistakes_in(name: &str, text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        mistakes.push(format!(
            "{name}: {lines} lines, more than {MAX_LINES}: is there a second room inside?"
        ));
    }
    let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if stem == "mod" && name.ends_with(".rs") {
        mistakes.push(format!("{name}: modules are files named after themselves, not mod.rs"));
    }
    if EMPTY_NAMES.contains(&stem) {
        mistakes.push(format!("{name}: a name that says nothing"));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(mark) = UNFINISHED.iter().find(|mark| line.contains(**mark)) {
            mistakes
                .push(format!("{name}:{}: {mark}: finish it, or say it in an issue", number + 1));
        }
        // rustfmt looks after Rust, and snapshots in its tests may end in spaces.
        if !name.ends_with(".rs") && (line.ends_with(' ') || line.ends_with('\t')) {
            mistakes.push(format!("{name}:{}: space at the end of the line", number + 1));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untidy_places_are_named() {
        let long = "x\n".repeat(MAX_LINES + 1);
        for (name, text, expected) in [
            ("a/b.rs", "fn main() {}\n", None),
            ("a/b.rs", long.as_str(), Some("601 lines")),
            ("a/mod.rs", "", Some("named after themselves")),
            ("a/utils.rs", "", Some("says nothing")),
            ("a/b.rs", concat!("// TO", "DO later\n"), Some("a/b.rs:1")),
            ("a/b.js", "let x = 1; \n", Some("space at the end")),
            ("a/b.rs", "let x = \"1 \n2\";\n", None),
        ] {
            let found = mistakes_in(name, text).join("\n");
            match expected {
                None => assert_eq!(found, ""),
                Some(part) => assert!(found.contains(part), "{found:?} should hold {part:?}"),
            }
        }
    }
}
