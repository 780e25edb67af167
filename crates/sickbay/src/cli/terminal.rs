//! Writing to a person's terminal: colour only where it is wanted, nothing that could do harm.
//!
//! What must hold: text that came from elsewhere (host names, command lines, messages) passes
//! [`safe`] before it is printed, so that no control sequence reaches the terminal; a closed pipe is
//! no error.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use sickbay_model::{Level, Status};
use sickbay_runtime::telemetry::{is_journal, priority};

use crate::environment::Environment;

/// The narrowest output that is still laid out.
const MIN_WIDTH: usize = 40;
/// The widest output: longer lines are hard to read.
const MAX_WIDTH: usize = 120;
/// The width where there is no terminal.
const DEFAULT_WIDTH: usize = 80;

/// Where a command writes to, and what that can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether colours are shown.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// Whether standard output is a terminal.
    pub interactive: bool,
    /// Whether everything but the asked-for data and failures is left out.
    pub quiet: bool,
}

/// Whether the reader is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// It reads.
    Listening,
    /// It closed the pipe: stop quietly.
    Gone,
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// A heading.
    Bold,
    /// An aside.
    Dim,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Bad.
    Bad,
    /// Cannot be judged.
    Unsure,
    /// As it is.
    Plain,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "1;31",
            Self::Unsure => "35",
            Self::Plain => "0",
        }
    }
}

impl From<Level> for Paint {
    fn from(level: Level) -> Self {
        match level {
            Level::Healthy => Self::Good,
            Level::Degraded => Self::Warning,
            Level::Unhealthy | Level::Critical => Self::Bad,
            Level::Unknown => Self::Unsure,
        }
    }
}

impl From<Status> for Paint {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Good,
            Status::Degraded => Self::Warning,
            Status::Unhealthy | Status::Critical => Self::Bad,
            Status::Unknown => Self::Unsure,
        }
    }
}

impl Terminal {
    /// Standard output as it is.
    #[must_use]
    pub fn detect(environment: &Environment, quiet: bool) -> Self {
        let interactive = io::stdout().is_terminal();
        let refused = environment.is_set("NO_COLOR") || environment.get("TERM") == Some("dumb");
        Self {
            colour: interactive && !refused,
            width: width(environment, interactive),
            interactive,
            quiet,
        }
    }

    /// Text in a colour, where colours are shown.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.colour && paint != Paint::Plain && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", paint.code())
        } else {
            text.to_owned()
        }
    }

    /// Text in a colour, filled up with spaces to a width; the spaces stay uncoloured.
    #[must_use]
    pub fn paint_padded(&self, paint: Paint, text: &str, width: usize) -> String {
        let fill = width.saturating_sub(columns(text));
        format!("{}{}", self.paint(paint, text), " ".repeat(fill))
    }

    /// Writes text to standard output.
    ///
    /// # Errors
    /// When it cannot be written, other than because nobody reads any more.
    pub fn print(&self, text: &str) -> io::Result<Reader> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(Reader::Listening),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error),
        }
    }

    /// Writes a remark to standard error, unless quiet was asked for.
    pub fn remark(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }
}

/// Writes to standard error; where that fails there is nobody to tell.
pub fn complain(text: &str) {
    let mut stderr = io::stderr().lock();
    let failed = text.starts_with("error:");
    let level = if failed { tracing::Level::ERROR } else { tracing::Level::WARN };
    let priority = if is_journal(&stderr) { priority(level) } else { "" };
    for line in text.lines() {
        let _ = writeln!(stderr, "{priority}{line}");
    }
}

fn width(environment: &Environment, interactive: bool) -> usize {
    let told = environment.get("COLUMNS").and_then(|text| text.parse().ok());
    let asked = || {
        let size = interactive.then(|| rustix::termios::tcgetwinsize(io::stdout()).ok())??;
        Some(usize::from(size.ws_col))
    };
    told.or_else(asked)
        .filter(|&columns| columns > 0)
        .map_or(DEFAULT_WIDTH, |columns| columns.clamp(MIN_WIDTH, MAX_WIDTH))
}

/// Text from elsewhere, made harmless: control characters and those that turn the direction of
/// writing are shown as escapes.
#[must_use]
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_dangerous(c) {
            // Writing to a String cannot fail.
            let _ = match u32::from(c) {
                code @ 0..=0xff => write!(shown, "\\x{code:02x}"),
                code => write!(shown, "\\u{{{code:x}}}"),
            };
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How many columns a text takes. Every character counts as one, which holds for what we print;
/// wide characters in foreign names cost only alignment.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Cuts a text to a width, with an ellipsis where something was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut shown: String = text.chars().take(width.saturating_sub(1)).collect();
    shown.push('…');
    shown
}

/// Breaks a text into lines of a width, at spaces where there are any.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        let used = lines.last().map_or(0, |line| columns(line));
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + columns(&word) > width {
            lines.push(String::new());
        } else if gap == 1
            && let Some(line) = lines.last_mut()
        {
            line.push(' ');
        }
        loop {
            let room = width - lines.last().map_or(0, |line| columns(line)).min(width);
            if columns(&word) <= room {
                break;
            }
            let head: String = word.chars().take(room).collect();
            word = word.chars().skip(room).collect();
            if let Some(line) = lines.last_mut() {
                line.push_str(&head);
            }
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_controls_the_terminal() {
        for (text, shown) in [
            ("gpu-07", "gpu-07"),
            ("rot\x1b[31m", "rot\\x1b[31m"),
            ("a\nb\r\t\x07\x7f", "a\\x0ab\\x0d\\x09\\x07\\x7f"),
            ("\u{9b}2J", "\\x9b2J"),
            ("abc\u{202e}cba", "abc\\u{202e}cba"),
            ("Zürich 東京", "Zürich 東京"),
        ] {
            assert_eq!(safe(text), shown, "{text:?}");
        }
    }

    #[test]
    fn lines_keep_their_width() {
        assert_eq!(wrap("one two three four", 10), ["one two", "three four"]);
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("0123456789abcdef", 10), ["0123456789", "abcdef"]);
        assert_eq!(wrap("ab 0123456789abcdef", 10), ["ab", "0123456789", "abcdef"]);
        for width in [10, 17, 40] {
            for line in wrap("the disk /data is 97 % full; free some space or grow it", width) {
                assert!(columns(&line) <= width, "{line:?}");
            }
        }
        assert_eq!(cut("0123456789", 5), "0123…");
        assert_eq!(cut("01234", 5), "01234");
    }

    #[test]
    fn colours_only_where_wanted() {
        let plain = Terminal { colour: false, width: 80, interactive: false, quiet: false };
        let bright = Terminal { colour: true, ..plain };
        assert_eq!(plain.paint(Paint::Bad, "x"), "x");
        assert_eq!(bright.paint(Paint::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(bright.paint_padded(Paint::Good, "x", 3), "\x1b[32mx\x1b[0m  ");
    }
}
