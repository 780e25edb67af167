//! The test command: everything that must pass, from a fresh Debian with Rust and a C compiler.
//!
//! Installs what the tests need and says so; stops what it started (each test stops its own).
//! A step that cannot run fails; nothing is skipped in silence.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::hub::Hub;
use crate::{edges, shell, tidy};

/// Debian packages that tests use, and the program by which we see that one is there.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("chromium", "chromium", "a real browser for the page's tests"),
    ("nodejs", "node", "drives the browser and checks the page's types"),
    ("npm", "npm", "installs the browser tests' pinned packages"),
    ("prometheus", "promtool", "checks /metrics with Prometheus's own tool"),
    ("prometheus-alertmanager", "prometheus-alertmanager", "takes the alerts that are sent to it"),
    ("sqlite3", "sqlite3", "reads the store as a user would"),
    ("g++", "g++", "builds libFuzzer for the fuzz targets"),
    ("procps", "pgrep", "finds processes that a test must not leave behind"),
    ("openssh-server", "/usr/sbin/sshd", "the nodes of a fleet are real servers"),
    ("zstd", "/usr/bin/zstd", "support bundles are read with it"),
    ("openssh-client", "ssh-keygen", "keys, certificates and agents of the fleet's tests"),
    ("iproute2", "/bin/ip", "networks that fall apart, in namespaces"),
    ("busybox", "busybox", "a node's shell and tools may be busybox"),
    ("dash", "dash", "a node's shell may be dash"),
    ("fish", "fish", "a user's shell on a node may be fish"),
    ("tcsh", "tcsh", "a user's shell on a node may be tcsh"),
    ("ksh", "ksh", "a node's shell may be ksh"),
    ("mksh", "mksh", "a node's shell may be mksh"),
    ("zsh", "zsh", "a user's shell on a node may be zsh"),
];

/// The fuzzer that is installed, pinned so that a run can be repeated.
const CARGO_FUZZ: &str = "0.13.2";

/// How long each family of readers of foreign bytes is fuzzed here; `fuzz/run.sh 600` goes deeper.
const FUZZ_SECONDS: &str = "5";

type Step = (&'static str, &'static str, fn(&Path) -> Result<()>);

const STEPS: &[Step] = &[
    ("install", "Debian packages that the tests use", install),
    ("format", "cargo fmt --check", format),
    ("edges", "crates depend only on what they may", edges::check),
    ("tidy", "file sizes, names, leftovers", tidy::check),
    ("lint", "clippy, warnings are errors", lint),
    ("unit", "all tests of all crates, documentation examples included", unit),
    ("faults", "the fault corpus: no less is found than before, and no more is cried", faults),
    ("portable", "the collectors for systems other than Linux compile and work here too", portable),
    ("docs", "cargo doc, warnings are errors", docs),
    ("browser", "the page in a real Chromium, against a real hub", browser),
    ("fuzz", "every reader of foreign bytes fuzzed for a few seconds", fuzz),
];

/// Runs all steps, or those named.
pub fn run(root: &Path, names: &[String]) -> Result<()> {
    if names.iter().any(|name| name == "--list") {
        for (name, what, _) in STEPS {
            println!("{name:10} {what}");
        }
        return Ok(());
    }
    for name in names {
        if !STEPS.iter().any(|(step, ..)| step == name) {
            bail!("there is no step {name:?}; `cargo xtask test --list` lists them");
        }
    }
    let chosen = |step: &str| names.is_empty() || names.iter().any(|name| name == step);
    let mut passed = 0;
    for (name, what, step) in STEPS.iter().filter(|(name, ..)| chosen(name)) {
        println!("\n== {name}: {what}");
        let started = Instant::now();
        step(root).with_context(|| {
            format!("step {name} failed ({what}); `cargo xtask test {name}` runs it alone")
        })?;
        println!("== {name}: passed in {:.0} s", started.elapsed().as_secs_f64());
        passed += 1;
    }
    println!("\n{passed} passed, 0 failed");
    Ok(())
}

fn install(root: &Path) -> Result<()> {
    let missing: Vec<_> = PACKAGES.iter().filter(|(_, program, _)| !shell::has(program)).collect();
    if missing.is_empty() {
        println!("  everything is there");
        return Ok(());
    }
    for (package, _, why) in &missing {
        println!("  {package}: {why}");
    }
    if !shell::has("apt-get") {
        let names: Vec<_> = missing.iter().map(|(package, ..)| *package).collect();
        bail!("this is no Debian; install {} yourself and run this again", names.join(", "));
    }
    let root_user = shell::output(root, "id", &["-u"])?.trim() == "0";
    let apt = |arguments: &[&str]| {
        let environment = [("DEBIAN_FRONTEND", "noninteractive")];
        if root_user {
            shell::run(root, "apt-get", arguments, &environment)
        } else {
            let mut with_sudo = vec!["apt-get"];
            with_sudo.extend_from_slice(arguments);
            shell::run(root, "sudo", &with_sudo, &environment)
        }
    };
    apt(&["update", "-q"])?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(missing.iter().map(|(package, ..)| *package));
    apt(&arguments)
}

fn format(root: &Path) -> Result<()> {
    shell::run(root, "cargo", &["fmt", "--all", "--check"], &[])
}

fn lint(root: &Path) -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    shell::run(root, "cargo", &arguments, &[])
}

fn unit(root: &Path) -> Result<()> {
    shell::run(root, "cargo", &["build", "--workspace", "--locked"], &[])?;
    shell::run(root, "cargo", &["test", "--workspace", "--locked", "--no-fail-fast"], &[])
}

fn faults(root: &Path) -> Result<()> {
    replay_faults(root, &[])
}

/// Replays the fault corpus through the real parsers and the engine.
pub fn replay_faults(root: &Path, arguments: &[String]) -> Result<()> {
    let mut all = vec!["run", "--quiet", "--locked", "-p", "sickbay-sim-faults", "--"];
    all.extend(arguments.iter().map(String::as_str));
    shell::run(root, "cargo", &all, &[])
}

fn portable(root: &Path) -> Result<()> {
    let arguments = [
        "test",
        "--locked",
        "-p",
        "sickbay-collect",
        "--features",
        "portable",
        "--lib",
        "portable",
    ];
    shell::run(root, "cargo", &arguments, &[])
}

fn docs(root: &Path) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--locked", "--lib"];
    shell::run(root, "cargo", &arguments, &[("RUSTDOCFLAGS", "-D warnings")])
}

fn browser(root: &Path) -> Result<()> {
    let hub = Hub::start(root)?;
    shell::run(root, "sh", &["tests/browser/run.sh"], &[("SICKBAY_URL", &hub.url())])
}

/// cargo-fuzz is installed beside the build, not into the user's own cargo.
fn fuzz(root: &Path) -> Result<()> {
    let tools = root.join("target/tools");
    let tools_text = tools.to_str().context("the repository's path is not UTF-8")?;
    if !tools.join("bin/cargo-fuzz").is_file() {
        println!("  installing cargo-fuzz {CARGO_FUZZ} into {tools_text}");
        let arguments =
            ["install", "cargo-fuzz", "--version", CARGO_FUZZ, "--locked", "--root", tools_text];
        shell::run(root, "cargo", &arguments, &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")])?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{tools_text}/bin:{path}");
    shell::run(root, "sh", &["fuzz/run.sh", FUZZ_SECONDS], &[("PATH", &path)])
}
