//! The generated parts of docs/: metric, event, config, command and API references.
//!
//! Each is written by the test that also checks it (`expect_file!`), so that there is one way to
//! make it and CI fails when it is not what the code says.

use std::path::Path;

use anyhow::Result;

use crate::shell;

/// The packages with such tests. The tests' names hold `generated_`.
pub const PACKAGES: &[&str] = &["sickbay-model", "sickbay-hub", "sickbay"];

/// Rewrites what is generated.
pub fn run(root: &Path) -> Result<()> {
    let mut arguments = vec!["test", "--locked"];
    for package in PACKAGES {
        arguments.extend(["-p", package]);
    }
    arguments.push("generated_");
    shell::run(root, "cargo", &arguments, &[("UPDATE_EXPECT", "1")])
}
