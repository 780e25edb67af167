//! `cargo xtask faults`: replays the corpus and says how well its problems are found.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use sickbay_sim_faults::{Form, Outcome, Replayer, Scenario, Tallies, Templates, report};

const HELP: &str = "\
Usage: cargo xtask faults [NAME …] [--write] [--list] [--seen]

Replays the scenarios of fixtures/faults/ whose names begin so (CLASS/NAME), or all.

  --write  writes docs/accuracy.md
  --list   lists scenarios and runs nothing
  --seen   prints every confirmed finding of every scenario

Fails where less is found than must be, or than was found before.
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let (flags, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    if has("--help") {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) =
        flags.iter().find(|flag| !["--write", "--list", "--seen"].contains(&flag.as_str()))
    {
        bail!("there is no option {unknown}\n\n{HELP}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let corpus = root.join("fixtures/faults");
    let scenarios = Scenario::load_all(&corpus, &names)?;
    if has("--list") {
        for scenario in &scenarios {
            println!("{:44} {}", scenario.name, scenario.told.title);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let outcomes = replay(&scenarios, &Templates::load(&corpus)?)?;
    let tallies = Tallies::of(&outcomes);
    if has("--seen") {
        for outcome in &outcomes {
            println!("{} ({}): {:?}", outcome.scenario, outcome.form.as_str(), outcome.verdicts);
            for seen in &outcome.seen {
                println!("    {seen}");
            }
        }
    }
    print!("{}", report::mistakes(&outcomes));
    println!("\n{}", report::table(&tallies));
    println!("{} findings were told as consequences of a true one", tallies.overall.explained);
    if has("--write") {
        ensure!(names.is_empty(), "docs/accuracy.md is of the whole corpus");
        let path: PathBuf = root.join("docs/accuracy.md");
        std::fs::write(&path, report::document(&tallies, &outcomes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let short = tallies.shortfalls();
    for line in &short {
        println!("below what must be reached: {line}");
    }
    let lost = tallies.losses();
    for line in &lost {
        println!("less than before: {line}");
    }
    let is_well = short.is_empty() && lost.is_empty();
    // Probes that hang for ever still have their threads.
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replays everything in both forms, on as many threads as there are processors.
fn replay(scenarios: &[Scenario], templates: &Templates) -> Result<Vec<Outcome>> {
    let work: Vec<(&Scenario, Form)> =
        scenarios.iter().flat_map(|one| one.forms().iter().map(move |form| (one, *form))).collect();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Outcome>)>> = Mutex::new(Vec::with_capacity(work.len()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let run = || -> Result<()> {
            let mut replayer = Replayer::new(templates.clone())?;
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some((scenario, form)) = work.get(place) else { break };
                let outcome = replayer.run(scenario, *form);
                done.lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push((place, outcome));
            }
            replayer.end();
            Ok(())
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for handle in handles {
            match handle.join() {
                Ok(ended) => ended?,
                Err(_) => bail!("a replay panicked"),
            }
        }
        Ok(())
    })?;
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
