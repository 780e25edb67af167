//! A driver that hangs, and the killable child that stands between it and us.
//!
//! Its own `main` (no test harness): the program starts itself again as the probe child, whose
//! stdout must hold nothing but answers.
#![expect(clippy::expect_used, clippy::panic, reason = "a test without the harness")]

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use sickbay_collect::{
    CollectContext, LocalNode, LocalSettings, NodeSource, TorchMode, probe_main,
};
use sickbay_model::{Observation, ProbeErrorKind, ProbeOutcome, catalogue, probe};
use sickbay_runtime::{ChildCommand, Clock, ManualClock};
use sickbay_sim_nvml::{FakeNvml, fixture};

const TESTS: &[(&str, fn())] = &[
    ("a_driver_that_hangs_is_late_and_stops_nothing_else", hang),
    ("a_driver_that_hangs_from_the_start_is_late", hang_at_once),
    ("a_lie_does_not_break_the_pipe", lies),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["__probe", ..] => return probe_main(args.get(1..).unwrap_or_default()),
        // What test runners ask before they run a test by its name.
        [.., "--ignored"] => return ExitCode::SUCCESS,
        list if list.contains(&"--list") => {
            for (name, _) in TESTS {
                let _ = writeln!(out, "{name}: test");
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, test) in TESTS {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
            test();
            let _ = writeln!(out, "test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

/// How long the probe may take here: short, for the test waits for it in earnest.
const PROBE_TIMEOUT: Duration = Duration::from_millis(700);

struct World {
    node: LocalNode,
    fake: FakeNvml,
    clock: (Clock, ManualClock),
    runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

impl World {
    fn with(scenario: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let fake = FakeNvml::install(directory.path(), &fixture(scenario)).expect("installed");
        let mut settings = LocalSettings {
            child: Some(ChildCommand {
                program: std::env::current_exe().expect("this program"),
                args: vec!["__probe".to_owned()],
                env: Vec::new(),
            }),
            nvml_library: Some(fake.library()),
            probe_timeout: PROBE_TIMEOUT,
            ..LocalSettings::default()
        };
        settings.torch.mode = TorchMode::Never;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let clock = Clock::manual(1_795_253_400_000);
        Self { node: LocalNode::new(settings), fake, clock, runtime, _directory: directory }
    }

    fn collect(&mut self) -> Observation {
        let context = CollectContext {
            clock: self.clock.0.clone(),
            deadline: Duration::from_secs(30),
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        self.runtime.block_on(self.node.collect(&context))
    }

    /// Collects every five seconds of the hub's clock until the probe ends as wanted: after a hang
    /// the probe is left alone for a while.
    fn collect_until(&mut self, wanted: impl Fn(&ProbeOutcome) -> bool) -> Observation {
        let mut last = None;
        for _ in 0..20 {
            let observation = self.collect();
            let outcome = observation.probe(&probe::NVIDIA).map(|report| report.outcome.clone());
            if outcome.as_ref().is_some_and(&wanted) {
                return observation;
            }
            last = outcome;
            self.clock.1.advance(Duration::from_secs(5));
        }
        panic!("the probe never ended as wanted; the last: {last:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.runtime.block_on(self.node.shutdown());
    }
}

fn is_late(outcome: &ProbeOutcome) -> bool {
    matches!(outcome, ProbeOutcome::Failed(error) if error.kind == ProbeErrorKind::Late)
}

fn is_answered(outcome: &ProbeOutcome) -> bool {
    matches!(outcome, ProbeOutcome::Answered)
}

fn hang() {
    let mut world = World::with("h100x8");
    let well = world.collect_until(is_answered);
    assert_eq!(well.frame.instances(catalogue::GPU_TEMPERATURE).count(), 8);

    world.fake.set(&fixture("fault-hang")).expect("written");
    let hung = world.collect_until(is_late);
    let cpu = hung.probe(&probe::CPU).map(|report| report.outcome.clone());
    assert_eq!(cpu, Some(ProbeOutcome::Answered));

    // The child was killed; a fresh one sees the mended world.
    world.fake.set(&fixture("h100x8")).expect("written");
    let again = world.collect_until(is_answered);
    assert_eq!(again.frame.instances(catalogue::GPU_TEMPERATURE).count(), 8);
    assert_eq!(again.inventory.gpus.len(), 8);
}

fn hang_at_once() {
    let mut world = World::with("fault-hang-init");
    world.collect_until(is_late);
}

fn lies() {
    let mut world = World::with("fault-lies");
    let observation = world.collect_until(is_answered);
    assert!(observation.refused_readings > 0);
    assert_eq!(observation.frame.instances(catalogue::GPU_UTILIZATION).count(), 7);
}
