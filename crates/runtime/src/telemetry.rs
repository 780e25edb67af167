//! Logs: to the terminal and to a file, as text or as JSON, at a level that can change while
//! running.
//!
//! The file is rotated daily; a number of days is kept, and a day has a largest size: what is
//! beyond is left out and counted. A full disk or a slow pipe never blocks who logs: lines wait in
//! a bounded queue and are dropped, counted, when it is full. What is secret must not be given to
//! `tracing` at all; secrets have a type of their own whose `Debug` is empty.

mod day_limit;
mod journal;
mod one_line;

use std::path::{Path, PathBuf};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use day_limit::DayLimit;
use one_line::OneLine;

pub use journal::{is_journal, priority};

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Where logs go.
#[derive(Clone, Debug)]
pub struct Options {
    /// A level (`info`), or levels per module (`info,sickbay_hub=debug`).
    pub level: String,
    /// How a line looks.
    pub format: Format,
    /// A file to write to as well; the date is put into its name: `sickbay.log` becomes
    /// `sickbay.2026-11-21.log`.
    pub log_file: Option<PathBuf>,
    /// Whether the terminal's lines go to stderr; else they go to stdout.
    pub stderr: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Text, log_file: None, stderr: false }
    }
}

/// How many days of log files are kept.
pub const KEPT_DAYS: usize = 7;

/// The largest file of one day, in bytes.
pub const MAX_DAY_BYTES: u64 = 64 << 20;

/// How many lines may wait to be written; beyond, lines are dropped and counted.
const MAX_QUEUED_LINES: usize = 8_192;

/// Why logging cannot begin, or its level not change.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none.
    #[error(
        "{level:?} is not a log level ({reason}); use error, warn, info, debug, trace or off, or \
         a list such as info,sickbay_hub=debug"
    )]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The log file cannot be written.
    #[error("cannot write the log file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Logging was begun before.
    #[error("logging was already begun in this process")]
    AlreadyBegun,
}

/// Keeps logging alive; when it is dropped, the lines that wait are written.
#[derive(Debug)]
pub struct Guard {
    filter: reload::Handle<EnvFilter, Registry>,
    dropped: Vec<ErrorCounter>,
    _writers: Vec<WorkerGuard>,
}

impl Guard {
    /// Changes the level at once.
    ///
    /// # Errors
    /// When it is none; the level in force stays.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = parse_level(level)?;
        self.filter.reload(filter).map_err(|error| TelemetryError::Level {
            level: level.to_owned(),
            reason: error.to_string(),
        })
    }

    /// How many lines were dropped because they could not be written fast enough.
    #[must_use]
    pub fn dropped_lines(&self) -> usize {
        self.dropped.iter().map(ErrorCounter::dropped_lines).sum()
    }
}

/// Begins logging for the whole process.
///
/// # Errors
/// When the level is none, the file cannot be written, or logging was begun before.
pub fn init(options: &Options) -> Result<Guard, TelemetryError> {
    let (subscriber, guard) = build(options)?;
    subscriber.try_init().map_err(|_| TelemetryError::AlreadyBegun)?;
    Ok(guard)
}

type AnySubscriber = Box<dyn tracing::Subscriber + Send + Sync>;

fn build(options: &Options) -> Result<(AnySubscriber, Guard), TelemetryError> {
    let (filter, handle) = reload::Layer::new(parse_level(&options.level)?);
    let mut guard = Guard { filter: handle, dropped: Vec::new(), _writers: Vec::new() };
    let mut layers = Vec::new();
    let (terminal, colours) = terminal(options.stderr);
    let journal = options.stderr && is_journal(std::io::stderr());
    let look = Look { format: options.format, colours, journal };
    layers.push(layer(look, queue(terminal, &mut guard)));
    if let Some(path) = &options.log_file {
        let file = DayLimit::new(open_file(path)?, MAX_DAY_BYTES);
        let look = Look { format: options.format, colours: false, journal: false };
        layers.push(layer(look, queue(file, &mut guard)));
    }
    Ok((Box::new(Registry::default().with(filter).with(layers)), guard))
}

fn parse_level(level: &str) -> Result<EnvFilter, TelemetryError> {
    let refuse = |reason: String| TelemetryError::Level { level: level.to_owned(), reason };
    if level.trim().is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    // A bare word that is no level would be taken for a module's name, and silence everything.
    for word in level.split(',').map(str::trim).filter(|word| !word.contains(['=', '['])) {
        word.parse::<tracing_subscriber::filter::LevelFilter>()
            .map_err(|error| refuse(error.to_string()))?;
    }
    EnvFilter::builder().parse(level).map_err(|error| refuse(error.to_string()))
}

fn terminal(stderr: bool) -> (Box<dyn std::io::Write + Send>, bool) {
    use std::io::IsTerminal;
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stderr {
        (Box::new(std::io::stderr()), std::io::stderr().is_terminal() && !no_color)
    } else {
        (Box::new(std::io::stdout()), std::io::stdout().is_terminal() && !no_color)
    }
}

fn queue(writer: impl std::io::Write + Send + 'static, guard: &mut Guard) -> NonBlocking {
    let (queue, writer) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_QUEUED_LINES)
        .lossy(true)
        .thread_name("log writer")
        .finish(writer);
    guard.dropped.push(queue.error_counter());
    guard._writers.push(writer);
    queue
}

type AnyLayer = Box<
    dyn Layer<tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>>
        + Send
        + Sync,
>;

/// How lines are written to one place.
#[derive(Clone, Copy)]
struct Look {
    format: Format,
    colours: bool,
    /// systemd's journal reads them: it has the time and the level for itself.
    journal: bool,
}

fn layer<W>(look: Look, writer: W) -> AnyLayer
where
    W: std::io::Write + Clone + Send + Sync + 'static,
{
    let lines = LinesTo { writer, look };
    let layer = fmt::layer().with_ansi(look.colours).with_writer(lines);
    match look.format {
        Format::Text if look.journal => layer.without_time().boxed(),
        Format::Text => layer.boxed(),
        Format::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    }
}

/// Hands out a writer for each line.
struct LinesTo<W> {
    writer: W,
    look: Look,
}

impl<'a, W: std::io::Write + Clone + 'a> MakeWriter<'a> for LinesTo<W> {
    type Writer = OneLine<W>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine { inner: self.writer.clone(), priority: "" }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        let priority = if self.look.journal { priority(*meta.level()) } else { "" };
        OneLine { inner: self.writer.clone(), priority }
    }
}

fn open_file(path: &Path) -> Result<RollingFileAppender, TelemetryError> {
    let refuse = |reason: String| TelemetryError::File { path: path.to_owned(), reason };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let stem = path.file_stem().and_then(|name| name.to_str());
    let stem = stem.ok_or_else(|| refuse("it has no readable name".to_owned()))?;
    let suffix = path.extension().and_then(|name| name.to_str()).unwrap_or("log");
    std::fs::create_dir_all(directory).map_err(|error| refuse(error.to_string()))?;
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(stem)
        .filename_suffix(suffix)
        .max_log_files(KEPT_DAYS)
        .build(directory)
        .map_err(|error| {
            let source = std::error::Error::source(&error);
            refuse(source.map_or_else(|| error.to_string(), ToString::to_string))
        })
}

#[cfg(test)]
mod tests;
