//! Whether torch can be imported and sees the GPUs.
//!
//! Importing torch takes seconds of CPU, so it is asked rarely and in the background: by a plain
//! interpreter process at the lowest priority, killed at its deadline. A collection waits for it
//! only if it was given as much time as torch may take.

use std::ffi::OsStr;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Deserialize;
use sickbay_model::{
    Advice, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport, Timestamp, TorchReport, probe,
};
use sickbay_runtime::{CallError, ChildCommand, ChildLimits, Clock, OneShot, ProgramOutput};

use crate::settings::{TorchMode, TorchSettings};

/// What comes before the answer: torch and its plugins may print lines of their own.
const MARKER: &str = "sickbay-torch:";

/// The least time between two runs, however often something happens to the GPUs.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);

/// The most output that is read, in bytes.
const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// The longest message of Python that is kept, in characters.
const MAX_MESSAGE_CHARACTERS: usize = 300;

/// The most GPUs that torch can truly see; more is nonsense.
const MAX_GPU_COUNT: u32 = 1024;

/// What the interpreter runs. It imports torch and nothing else, creates no context on a GPU, and
/// writes no file.
pub(crate) const PROGRAM: &str = r#"
import json, os, sys
try:
    os.nice(19)
except OSError:
    pass
answer = {}
try:
    import torch
    answer["version"] = str(torch.__version__)
    answer["cuda_available"] = bool(torch.cuda.is_available())
    answer["gpu_count"] = int(torch.cuda.device_count())
except ImportError as error:
    answer = {"missing": str(error)}
except BaseException as error:
    answer = {"broken": type(error).__name__ + ": " + str(error)}
sys.stdout.write("\nsickbay-torch:" + json.dumps(answer) + "\n")
sys.stdout.flush()
os._exit(0)
"#;

/// What one run ended with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Answered(Arc<TorchReport>),
    /// Torch is not importable, and why.
    Missing(String),
    Failed(ProbeError),
}

type Run = Pin<Box<dyn Future<Output = (OneShot, Result<ProgramOutput, CallError>)> + Send>>;

/// What is known of torch on one node: when it is asked, and how it ended last.
#[derive(Debug)]
pub(crate) struct TorchMemory {
    settings: TorchSettings,
    due: Duration,
    started: Option<Duration>,
    last: Option<(End, Timestamp, Duration)>,
}

impl TorchMemory {
    pub(crate) fn new(settings: TorchSettings) -> Self {
        Self { settings, due: Duration::ZERO, started: None, last: None }
    }

    /// Asks again soon: something happened to the GPUs.
    pub(crate) fn ask_again(&mut self) {
        let soon = self.started.map_or(Duration::ZERO, |started| started + SHORTEST_PAUSE);
        self.due = self.due.min(soon);
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Whether to ask now; then it is asked, and due again when the answer is too old.
    pub(crate) fn starts(&mut self, now: Duration) -> bool {
        let starts = self.settings.mode != TorchMode::Never && self.due <= now;
        if starts {
            self.due = now + self.settings.refresh;
            self.started = Some(now);
        }
        starts
    }

    pub(crate) fn end(&mut self, end: End, at: Timestamp, took: Duration) {
        self.last = Some((end, at, took));
    }

    /// The last end, if there was one. A node without a GPU and without torch has nothing to ask.
    /// `interpreter` says whether there is one at all; `now` is when that was last known.
    pub(crate) fn report(
        &self,
        has_gpu: bool,
        interpreter: bool,
        now: Timestamp,
    ) -> Option<ProbeReport> {
        let optional = self.settings.mode == TorchMode::Auto && !has_gpu;
        let absent = |message: String| {
            ProbeOutcome::Failed(ProbeError {
                kind: ProbeErrorKind::Absent,
                message,
                advice: Some(Advice(
                    "install torch for that interpreter, set torch.interpreter to the one that \
                     training uses, or set torch.mode to never"
                        .into(),
                )),
            })
        };
        let known_now = |outcome| {
            Some(ProbeReport { probe: probe::TORCH, outcome, at: now, took: Duration::ZERO })
        };
        if self.settings.mode == TorchMode::Never {
            return known_now(ProbeOutcome::NotApplicable("torch.mode is never".into()));
        }
        if !interpreter {
            return known_now(if optional {
                ProbeOutcome::NotApplicable("there is no GPU and no Python interpreter".into())
            } else {
                absent("there is no python3 in PATH to import torch with".to_owned())
            });
        }
        let (end, at, took) = self.last.as_ref()?;
        let outcome = match end {
            End::Answered(_) => ProbeOutcome::Answered,
            End::Missing(_) if optional => {
                ProbeOutcome::NotApplicable("there is no GPU and torch is not installed".into())
            }
            End::Missing(message) => absent(message.clone()),
            End::Failed(error) => ProbeOutcome::Failed(error.clone()),
        };
        Some(ProbeReport { probe: probe::TORCH, outcome, at: *at, took: *took })
    }

    /// What torch said, if its last run was answered.
    pub(crate) fn answer(&self) -> Option<Arc<TorchReport>> {
        match &self.last {
            Some((End::Answered(report), ..)) => Some(Arc::clone(report)),
            _ => None,
        }
    }
}

/// Asks torch on its own slow clock.
pub(crate) struct Torch {
    memory: TorchMemory,
    interpreter: Option<PathBuf>,
    program: Option<OneShot>,
    run: Option<(Run, Duration)>,
}

impl Torch {
    /// Nothing is asked yet. `virtual_env` and `path` are the environment's `VIRTUAL_ENV` and
    /// `PATH`.
    pub(crate) fn new(
        settings: TorchSettings,
        virtual_env: Option<&OsStr>,
        path: Option<&OsStr>,
    ) -> Self {
        let interpreter = find_interpreter(&settings, virtual_env, path);
        let program = interpreter.as_ref().map(|interpreter| {
            let command = ChildCommand {
                program: interpreter.clone(),
                args: vec!["-c".to_owned(), PROGRAM.to_owned()],
                env: vec![("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())],
            };
            let limits = ChildLimits { max_line_bytes: MAX_OUTPUT_BYTES, ..ChildLimits::default() };
            OneShot::new(command, limits)
        });
        Self { memory: TorchMemory::new(settings), interpreter, program, run: None }
    }

    /// Asks again soon: something happened to the GPUs.
    pub(crate) fn ask_again(&mut self) {
        self.memory.ask_again();
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.memory.timeout()
    }

    /// Starts a run if one is due, and takes its end if it is there. Ready while none is under way.
    pub(crate) fn poll(&mut self, clock: &Clock, context: &mut Context<'_>) -> Poll<()> {
        let now = clock.monotonic();
        if self.program.is_some()
            && self.memory.starts(now)
            && let Some(mut program) = self.program.take()
        {
            let timeout = self.timeout();
            let run = async move {
                let ended = program.run(timeout).await;
                (program, ended)
            };
            self.run = Some((Box::pin(run), now));
        }
        let Some((run, since)) = &mut self.run else { return Poll::Ready(()) };
        let Poll::Ready((program, ended)) = run.as_mut().poll(context) else {
            return Poll::Pending;
        };
        let took = now.saturating_sub(*since);
        self.run = None;
        self.program = Some(program);
        let end = self.judge(ended);
        self.memory.end(end, Timestamp::from_unix_ms(clock.now_ms()), took);
        Poll::Ready(())
    }

    fn judge(&self, ended: Result<ProgramOutput, CallError>) -> End {
        let interpreter = self.interpreter.as_ref().map(|path| path.display().to_string());
        let interpreter = interpreter.unwrap_or_default();
        match ended {
            Ok(output) => parse(&output, interpreter),
            Err(error) => {
                let mut failed = crate::local_node::probe_error(&error);
                failed.message = format!("import torch with {interpreter}: {error}");
                End::Failed(failed)
            }
        }
    }

    /// The last end, if there was one. A node without a GPU and without torch has nothing to ask.
    pub(crate) fn report(&self, has_gpu: bool, clock: &Clock) -> Option<ProbeReport> {
        let now = Timestamp::from_unix_ms(clock.now_ms());
        self.memory.report(has_gpu, self.interpreter.is_some(), now)
    }

    /// What torch said, if its last run was answered.
    pub(crate) fn answer(&self) -> Option<Arc<TorchReport>> {
        self.memory.answer()
    }
}

/// The configured interpreter, else the virtual environment's, else `python3` in the path.
fn find_interpreter(
    settings: &TorchSettings,
    virtual_env: Option<&OsStr>,
    path: Option<&OsStr>,
) -> Option<PathBuf> {
    if let Some(configured) = &settings.interpreter {
        // Even if it is not there: then that is what is reported.
        return Some(configured.clone());
    }
    let environment = virtual_env.map(|root| PathBuf::from(root).join("bin/python"));
    let in_path = path.into_iter().flat_map(std::env::split_paths);
    let in_path = in_path.filter(|directory| directory.is_absolute());
    environment
        .into_iter()
        .chain(in_path.map(|directory| directory.join("python3")))
        .find(|candidate| candidate.is_file())
}

/// The program's answer, strictly.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Answer {
    Present { version: String, cuda_available: bool, gpu_count: u32 },
    Missing { missing: String },
    Broken { broken: String },
}

/// What one run of the interpreter means.
pub(crate) fn parse(output: &ProgramOutput, interpreter: String) -> End {
    let failed = |kind, message| End::Failed(ProbeError { kind, message, advice: None });
    if !output.status.success() {
        let said = cut(&output.stderr_tail);
        let message = format!("{interpreter} ended with {}: {said}", output.status);
        return failed(ProbeErrorKind::Failed, message);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answers = text.lines().filter_map(|line| line.strip_prefix(MARKER));
    let answer = match (answers.next(), answers.next()) {
        (Some(answer), None) => serde_json::from_str(answer).ok(),
        _ => None,
    };
    match answer {
        Some(Answer::Present { version, cuda_available, gpu_count })
            if gpu_count <= MAX_GPU_COUNT =>
        {
            let version = cut(&version);
            let report = TorchReport { version, cuda_available, gpu_count, interpreter };
            End::Answered(Arc::new(report))
        }
        Some(Answer::Missing { missing }) => {
            End::Missing(format!("{interpreter} cannot import torch: {}", cut(&missing)))
        }
        Some(Answer::Broken { broken }) => {
            let message = format!("torch is broken for {interpreter}: {}", cut(&broken));
            failed(ProbeErrorKind::Failed, message)
        }
        _ => {
            let message = format!("{interpreter} gave an answer about torch that makes no sense");
            failed(ProbeErrorKind::Malformed, message)
        }
    }
}

/// Printable, one line, and not too long.
fn cut(text: &str) -> String {
    let one_line = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    one_line.take(MAX_MESSAGE_CHARACTERS).collect::<String>().trim().to_owned()
}

/// Holds whatever an interpreter writes; for fuzzing.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_answer(bytes: &[u8]) {
    let output = ProgramOutput {
        status: std::process::ExitStatus::default(),
        stdout: [MARKER.as_bytes(), bytes].concat(),
        stderr_tail: String::new(),
    };
    let short = |text: &str| {
        assert!(text.chars().count() <= MAX_MESSAGE_CHARACTERS + 100);
        assert!(!text.chars().any(char::is_control));
    };
    match parse(&output, "python3".to_owned()) {
        End::Answered(report) => {
            assert!(report.gpu_count <= MAX_GPU_COUNT);
            short(&report.version);
        }
        End::Missing(why) => short(&why),
        End::Failed(error) => short(&error.message),
    }
}

#[cfg(test)]
mod tests;
