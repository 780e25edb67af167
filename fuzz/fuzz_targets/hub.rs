//! Fuzzes what reads what was stored, what a client asks, and what is configured.
#![no_main]

mod bounded;
mod family;
mod rules;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sickbay::config::{self, Loaded, Mistakes, Origin, Sources};
use sickbay::environment::Environment;

/// The families; `fuzz/run.sh` has the same list, with the files that each starts from.
const FAMILIES: &[family::Family] = &[
    ("blocks", blocks),
    ("requests", sickbay_hub::api::fuzzing::request),
    ("states", sickbay_hub::api::fuzzing::stored_state),
    ("config", config),
    ("rules", rules::rule),
    ("ssh_config", sickbay_ssh::fuzzing::config),
    ("known_hosts", sickbay_ssh::fuzzing::known_hosts),
];

static FAMILY: LazyLock<fn(&[u8])> = LazyLock::new(|| family::named(FAMILIES));

fuzz_target!(|bytes: &[u8]| bounded::run(*FAMILY, bytes));

fn blocks(bytes: &[u8]) {
    sickbay_store::fuzzing::stored_block(bytes);
    sickbay_store::fuzzing::round_trip(bytes);
}

/// A config file: every mistake has its place, and what is valid is still so after being shown.
fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        check_mistakes(&load_file(bytes).expect_err("not UTF-8"), bytes);
        return;
    };
    match load_text(text) {
        Ok(loaded) => {
            let shown = config::show(&loaded.settings);
            let text = config::commented(&shown).expect("it can be shown");
            let again = load_text(&text).expect("what is shown is valid");
            assert_eq!(config::show(&again.settings), shown);
        }
        Err(mistakes) => check_mistakes(&mistakes, bytes),
    }
}

fn check_mistakes(mistakes: &Mistakes, bytes: &[u8]) {
    assert!(!mistakes.list.is_empty());
    let lines = bytes.iter().filter(|&&byte| matches!(byte, b'\n' | b'\r')).count() as u64 + 1;
    for mistake in &mistakes.list {
        if let Origin::File { line, column } = mistake.origin {
            assert!((1..=lines + 1).contains(&line) && column >= 1, "{mistake:?}");
        }
        assert!(!mistake.problem.is_empty());
    }
    // A file of nonsense gets no endless answer.
    assert!(mistakes.to_string().len() <= 256 << 10);
}

fn sources(file: Option<PathBuf>) -> Sources {
    let environment = Environment::from_pairs([("HOME", "/home/ada")]);
    Sources { file, environment, flags: Vec::new(), root: false }
}

fn load_text(text: &str) -> Result<Loaded, Mistakes> {
    config::load_text(text, None, &sources(None))
}

fn load_file(bytes: &[u8]) -> Result<Loaded, Mistakes> {
    let name = format!("sickbay-fuzz-{}.yaml", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, bytes).expect("a temporary file");
    let loaded = config::load(&sources(Some(file.clone())));
    let _ = std::fs::remove_file(file);
    loaded
}
