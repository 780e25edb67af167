//! `sickbay events`: what happened, and what happens.

use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt as _;
use sickbay_model::{EventKind, ResourceId};
use sickbay_wire::v1::{EventView, Page, StreamMessage};

use super::client::{AskError, Client};
use super::table::{Cell, Table};
use super::{Context, Failure, Outcome, Paint, Reader, block_on, format, parse, print_json, safe};
use crate::config::nearest;

/// The longest line of the stream that is taken, in bytes.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// How often a lost stream is opened again before it is given up, with a second between.
const MAX_RECONNECTS: u32 = 30;

/// What happened, newest last; with --follow also what happens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sickbay events
  sickbay events --follow
  sickbay events --kind LEVEL_CHANGED,NODE_REBOOTED --limit 100
  sickbay events --resource gpu-07 --json")]
pub(crate) struct EventsOptions {
    /// Wait for further events and print them as they happen
    #[arg(long, short)]
    follow: bool,
    /// Only these kinds, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    kind: Vec<EventKind>,
    /// Only of this resource
    #[arg(long, value_parser = parse::resource)]
    resource: Option<ResourceId>,
    /// How many of the newest
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Print JSON; with --follow, one event a line
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<EventKind, String> {
    text.parse().map_err(|error: String| {
        let names = EventKind::ALL.iter().map(|kind| kind.as_str());
        match nearest(text, names.clone()) {
            Some(near) => format!("{error}; did you mean {near}?"),
            None => format!("{error}; there are {}", names.collect::<Vec<_>>().join(", ")),
        }
    })
}

pub(crate) fn run(context: &Context, options: &EventsOptions) -> Outcome {
    let loaded = context.load_config_to_ask();
    let client = Client::new(context, &loaded.settings)?;
    block_on(async {
        let page = recent(&client, options).await?;
        if options.json && !options.follow {
            print_json(context, &page)?;
            return Ok(ExitCode::SUCCESS);
        }
        if page.items.is_empty() && !options.follow {
            context.terminal.remark("no events");
            return Ok(ExitCode::SUCCESS);
        }
        let reader = if options.json {
            print_lines(context, &page.items)?
        } else {
            context.terminal.print(&table(context, &page.items))?
        };
        if options.follow && reader == Reader::Listening {
            let last = page.items.last().map(|event| event.id);
            follow(context, &client, options, last).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The newest events, oldest of them first.
async fn recent(client: &Client, options: &EventsOptions) -> Result<Page<EventView>, AskError> {
    let mut query = vec![("limit", options.limit.to_string())];
    if !options.kind.is_empty() {
        let kinds: Vec<_> = options.kind.iter().map(|kind| kind.as_str()).collect();
        query.push(("kind", kinds.join(",")));
    }
    if let Some(resource) = &options.resource {
        query.push(("resource", resource.to_string()));
    }
    let mut page: Page<EventView> = client.get("/api/v1/events", &query).await?;
    page.items.reverse();
    Ok(page)
}

fn table(context: &Context, events: &[EventView]) -> String {
    let mut table = Table::new(0, &[]);
    for event in events {
        table.row(row(context, event));
    }
    table.render(&context.terminal)
}

fn row(context: &Context, event: &EventView) -> Vec<Cell> {
    let at = format::time(event.at, context.now());
    let what = match &event.resource {
        Some(resource) if !event.message.contains(resource.as_str()) => {
            format!("{}: {}", safe(resource), safe(&event.message))
        }
        _ => safe(&event.message).into_owned(),
    };
    vec![
        Cell::text(at).paint(Paint::Dim),
        Cell::text(event.kind.as_str()).paint(paint(event.kind)),
        Cell::text(what),
    ]
}

fn paint(kind: EventKind) -> Paint {
    match kind {
        EventKind::HealthCheckPassed | EventKind::CoordinatorHealthy | EventKind::NodeRecovered => {
            Paint::Good
        }
        EventKind::HealthCheckFailed
        | EventKind::NodeRebooted
        | EventKind::ConfigRejected
        | EventKind::ClockJumped
        | EventKind::HubLagging => Paint::Warning,
        EventKind::CoordinatorUnhealthy | EventKind::HubCrashed => Paint::Bad,
        _ => Paint::Plain,
    }
}

fn print_lines(context: &Context, events: &[EventView]) -> Result<Reader, Failure> {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event).map_err(Failure::internal)?);
        text.push('\n');
    }
    Ok(context.terminal.print(&text)?)
}

/// Prints events as they come. A lost stream is opened again where it ended.
async fn follow(
    context: &Context,
    client: &Client,
    options: &EventsOptions,
    mut last: Option<u64>,
) -> Result<(), Failure> {
    let mut failures = 0;
    loop {
        match listen(context, client, options, &mut last).await {
            Ok(Reader::Gone) => return Ok(()),
            // The hub ended the stream: it stops, or we were too slow.
            Ok(Reader::Listening) => failures = 0,
            Err(AskError::NoHub { .. }) if failures < MAX_RECONNECTS => {
                if failures == 0 {
                    context.terminal.remark("the hub is gone; waiting for it to come back");
                }
                failures += 1;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

async fn listen(
    context: &Context,
    client: &Client,
    options: &EventsOptions,
    last: &mut Option<u64>,
) -> Result<Reader, AskError> {
    let mut chunks = Box::pin(client.stream("/api/v1/stream", *last).await?);
    let mut lines = Lines::default();
    while let Some(chunk) = chunks.next().await {
        for line in lines.push(&chunk?)? {
            // Every message says by its content what it is; only events are of interest.
            let Some(data) = line.strip_prefix("data:") else { continue };
            let Some(event) = read_event(data.trim()) else { continue };
            *last = Some(event.id);
            if !wanted(options, &event) {
                continue;
            }
            let printed = match options.json {
                true => print_lines(context, std::slice::from_ref(&event)),
                false => context.terminal.print(&table(context, &[event])).map_err(Into::into),
            };
            match printed {
                Ok(Reader::Listening) => {}
                Ok(Reader::Gone) => return Ok(Reader::Gone),
                Err(failure) => return Err(AskError::Strange(failure.message)),
            }
        }
    }
    Ok(Reader::Listening)
}

/// The event in a message, if it is one: sent as the value of its variant, or wrapped in it.
fn read_event(data: &str) -> Option<EventView> {
    if let Ok(StreamMessage::Event(event)) = serde_json::from_str(data) {
        return Some(event);
    }
    serde_json::from_str(data).ok()
}

fn wanted(options: &EventsOptions, event: &EventView) -> bool {
    let kind = options.kind.is_empty() || options.kind.contains(&event.kind);
    let resource = options.resource.as_ref();
    kind && resource.is_none_or(|wanted| event.resource.as_deref() == Some(wanted.as_str()))
}

/// Cuts chunks into lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<String>, AskError> {
        self.rest.extend_from_slice(chunk);
        let mut lines = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        if self.rest.len() > MAX_LINE_BYTES {
            return Err(AskError::Strange("the hub sent a line that is too long".to_owned()));
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"event: ev").unwrap_or_default(), Vec::<String>::new());
        assert_eq!(
            lines.push(b"ent\r\ndata: {}\n\nda").unwrap_or_default(),
            ["event: event", "data: {}", ""]
        );
        assert_eq!(lines.push(b"ta: x\n").unwrap_or_default(), ["data: x"]);
        assert!(lines.push(&vec![b'x'; MAX_LINE_BYTES + 1]).is_err());
    }

    #[test]
    fn kinds_are_found_by_nearly_their_name() {
        assert_eq!(kind("level_changed"), Ok(EventKind::LevelChanged));
        assert!(kind("LEVEL_CHANGD").is_err_and(|error| error.contains("LEVEL_CHANGED")));
    }
}
