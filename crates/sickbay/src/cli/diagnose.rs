//! `sickbay diagnose`: a machine looked at thoroughly, once, and a bundle for who is to help.
//!
//! What must hold: level 1 changes nothing on the machine; level 2 is asked for twice (by the flag,
//! and by a question or `--yes`) and does not run beside a job unless told so; a bundle is readable
//! by nobody else and never replaces a file.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sickbay_diagnose::{Bundle, Level as Depth, Manifest, Part, Test, longest, outcomes};
use sickbay_wire::v1::{EventView, Page, ResourceDetail};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::sweep::{self, Sweep, Target};
use super::sweep_progress::Progress;
use super::{Context, Failure, Outcome, check_fleet, exit_code, live, print_json, safe};
use crate::config::Settings;

mod ask;
mod file;
mod report;

/// Examine one machine thoroughly and pack a support bundle
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay diagnose                    this machine: seconds, reads only
  sickbay diagnose gpu-07             another over SSH, watched or not
  sickbay diagnose gpu-07 --level 2   also test its GPUs, links and memory: minutes; asks first
  sickbay diagnose --output case-4711.tar.zst
  sickbay diagnose --json --no-bundle | jq '.tests[] | select(.outcome == \"fail\")'

Level 1 looks at the machine as `sickbay check` does, and reads what its kernel, drivers and
tools say. Level 2 also runs the vendors' tests that are installed there: dcgmi diag -r 2,
nvbandwidth, ibdiagnet, memtester, nvidia-bug-report.sh, rocm-bandwidth-test. Secrets are
removed from everything in the bundle; look through it before it leaves the house.

The exit code is the worst verdict: 0 healthy, 1 degraded or a test warns, 2 unhealthy,
critical or a test fails, 3 unknown.")]
pub(crate) struct DiagnoseOptions {
    /// The node; without it, this machine
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// 1: look, seconds; 2: also test, minutes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    level: u8,
    /// Do not ask before level 2
    #[arg(long)]
    yes: bool,
    /// Run level 2 even while a job is active on the machine
    #[arg(long)]
    despite_job: bool,
    /// Where to put the bundle; without it, sickbay-NODE-TIME.tar.zst here
    #[arg(long, value_name = "FILE", conflicts_with = "no_bundle")]
    output: Option<std::path::PathBuf>,
    /// Do not write a bundle
    #[arg(long)]
    no_bundle: bool,
    /// How long the questions may take in all; without it, 3 min, and as long as the tests at level 2
    #[arg(long, value_name = "DURATION", value_parser = super::parse::duration)]
    timeout: Option<Duration>,
    /// Print JSON: the verdict, the tests and what was asked
    #[arg(long)]
    json: bool,
}

/// How long looking may take in all.
const LOOK_LIMIT: Duration = Duration::from_secs(180);

/// How many of the hub's events go into a bundle.
const EVENTS: u32 = 500;

/// How long a hub may take to tell them.
const HUB_PATIENCE: Duration = Duration::from_secs(3);

/// Everything that was found.
pub(crate) struct Found {
    /// The verdict on the node, then those on its GPUs.
    pub(crate) details: Vec<ResourceDetail>,
    /// The answers.
    pub(crate) parts: Vec<Part>,
    /// What the tests among them say.
    pub(crate) tests: Vec<Test>,
    /// Why there are no more answers, if something ended it early.
    pub(crate) cut: Option<String>,
    /// What the hub knows of the node's past; none if there is no hub.
    pub(crate) events: Option<Vec<EventView>>,
}

/// As JSON.
#[derive(Serialize)]
struct View<'a> {
    node: &'a str,
    resources: &'a [ResourceDetail],
    tests: &'a [Test],
    questions: Vec<report::Asked>,
    cut: Option<&'a str>,
    bundle: Option<String>,
    secrets_removed: usize,
}

pub(crate) fn run(context: &Context, options: &DiagnoseOptions) -> Outcome {
    let loaded = context.load_config(Vec::new())?;
    let settings = &loaded.settings;
    let depth = if options.level >= 2 { Depth::Test } else { Depth::Look };
    if let Some(path) = &options.output {
        file::refuse_existing(path)?;
    }
    let (target, found) = sweep::block_on_all(async {
        let target = target(context, settings, options).await?;
        let stop = CancellationToken::new();
        tokio::select! {
            found = examine(context, settings, options, depth, &target, &stop) => {
                found.map(|found| (target.clone(), found))
            }
            () = sweep::until_interrupted(stop.clone()) => Err(Failure::internal("interrupted")),
        }
    })?;
    let name = target.resource.id.name();
    let code = report::exit_code(&found);
    let text = report::text(context, &found);
    let (bundle, removed) = match options.no_bundle {
        true => (None, 0),
        false => {
            let (path, removed) = pack(context, options, depth, name, &text, &found)?;
            (Some(path), removed)
        }
    };
    if options.json {
        let view = View {
            node: target.resource.id.name(),
            resources: &found.details,
            tests: &found.tests,
            questions: report::asked(&found.parts),
            cut: found.cut.as_deref(),
            bundle: bundle.map(|(path, _)| path.display().to_string()),
            secrets_removed: removed,
        };
        print_json(context, &view)?;
    } else {
        let bundle = bundle.map(|(path, bytes)| report::bundle(context, &path, bytes, removed));
        context.terminal.print(&format!("{text}{}", bundle.unwrap_or_default()))?;
    }
    Ok(ExitCode::from(code))
}

/// The one machine that is meant.
async fn target(
    context: &Context,
    settings: &Settings,
    options: &DiagnoseOptions,
) -> Result<Target, Failure> {
    let Some(word) = &options.node else { return Target::here(settings) };
    let mut targets =
        check_fleet::targets(context, settings, std::slice::from_ref(word), false).await?;
    match (targets.pop(), targets.len()) {
        (Some(target), 0) => Ok(target),
        (_, more) => {
            let message =
                format!("{} means {} nodes; one is diagnosed at a time", safe(word), more + 1);
            Err(Failure::new(exit_code::USAGE, message))
        }
    }
}

async fn examine(
    context: &Context,
    settings: &Settings,
    options: &DiagnoseOptions,
    depth: Depth,
    target: &Target,
    stop: &CancellationToken,
) -> Result<Found, Failure> {
    let mut progress = Progress::new(context, 1);
    let sweep = Sweep::new(context, settings, live::PATIENCE);
    let mut swept = sweep.run(vec![target.clone()], &mut progress, stop).await;
    let answer = swept.answers.pop().ok_or_else(|| Failure::internal("nothing was looked at"))?;
    let (node, details) = (target.resource.id.name(), answer.details);
    if let Some(unreached) = answer.unreached {
        let message = format!("{node} cannot be looked at: {}", safe(&unreached.reason));
        let failure = Failure::new(sickbay_model::Level::Unknown.exit_code(), message);
        return Err(match unreached.advice {
            Some(advice) => failure.hint(advice),
            None => failure,
        });
    }
    if depth == Depth::Test {
        allow(context, options, node, &details)?;
    }
    let limit = options.timeout.unwrap_or(match depth {
        Depth::Look => LOOK_LIMIT,
        Depth::Test => Duration::from_secs(longest(depth)),
    });
    let asking = ask::questions(context, settings, target, depth, limit, stop);
    let (asked, events) = tokio::join!(asking, events(context, settings, target));
    let (parts, cut) = asked?;
    let tests = outcomes(&parts);
    Ok(Found { details, parts, tests, cut, events })
}

/// Whether the machine may be loaded with tests.
fn allow(
    context: &Context,
    options: &DiagnoseOptions,
    node: &str,
    details: &[ResourceDetail],
) -> Result<(), Failure> {
    use std::io::IsTerminal as _;
    if details.first().is_some_and(|detail| detail.active) && !options.despite_job {
        let message = format!("a job is active on {node}; tests would disturb it, and it them");
        return Err(Failure::new(exit_code::HELD, message)
            .hint("drain the node first; --despite-job runs them all the same"));
    }
    if options.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let message = "level 2 loads the machine for minutes, and nobody is there to be asked";
        return Err(Failure::new(exit_code::USAGE, message).hint("--yes says that it may"));
    }
    context.terminal.remark(&format!(
        "This tests the GPUs, links and memory of {node} with the tools that are installed there,\n\
         for some minutes, and nothing else should run on it meanwhile. Go on? [y/N]"
    ));
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(exit_code::DENIED, "nothing was tested")),
    }
}

/// What the hub remembers of the node, if there is a hub. A bundle is complete without it.
async fn events(context: &Context, settings: &Settings, target: &Target) -> Option<Vec<EventView>> {
    let client = Client::new(context, settings).ok()?;
    let query = [("limit", EVENTS.to_string()), ("resource", target.resource.id.to_string())];
    let asked = client.get::<Page<EventView>>("/api/v1/events", &query);
    let page = tokio::time::timeout(HUB_PATIENCE, asked).await.ok()?.ok()?;
    Some(page.items)
}

/// Writes the bundle: where it lies, how large it is, how many secrets were removed.
fn pack(
    context: &Context,
    options: &DiagnoseOptions,
    depth: Depth,
    node: &str,
    text: &str,
    found: &Found,
) -> Result<((std::path::PathBuf, usize), usize), Failure> {
    let at = context.now();
    let stamp = file::stamp(at);
    let folder = format!("sickbay-{node}-{stamp}");
    let mut bundle = Bundle::new(&folder, u64::try_from(at.as_unix_ms() / 1000).unwrap_or(0));
    let json = |value: serde_json::Result<String>| value.map_err(Failure::internal);
    bundle.text("report.txt", text).map_err(Failure::internal)?;
    let resources = json(serde_json::to_string_pretty(&found.details))?;
    bundle.text("verdict.json", &resources).map_err(Failure::internal)?;
    if let Some(events) = &found.events {
        let events = json(serde_json::to_string_pretty(events))?;
        bundle.text("events.json", &events).map_err(Failure::internal)?;
    }
    let manifest =
        Manifest { sickbay: env!("CARGO_PKG_VERSION"), node, at: &at.to_string(), level: depth };
    let packed = bundle.finish(&manifest, &found.parts, &found.tests).map_err(Failure::internal)?;
    let path = options.output.clone().unwrap_or_else(|| format!("{folder}.tar.zst").into());
    file::write(&path, &packed.bytes)?;
    Ok(((path, packed.bytes.len()), packed.removed))
}
