//! Takes in what the program writes, and cuts it into the answers.

use std::ops::ControlFlow;

use serde::Serialize;

use crate::question::{QUESTIONS, Question};

/// The most bytes of one answer; what is beyond is not kept.
const MAX_PART_BYTES: usize = 8 << 20;

/// The most bytes of all answers.
const MAX_BYTES: usize = 64 << 20;

/// The longest line that may be one of the program's own.
const MAX_MARK_BYTES: usize = 256;

const MARK: u8 = 0x1e;

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Its command ended with this status.
    Exited(u8),
    /// It did not end in time and was killed.
    Late,
    /// There is no such program.
    Absent,
    /// Another of its group did not end in time.
    Skipped,
    /// The connection ended before it did.
    Cut,
}

/// One question's answer.
#[derive(Clone, Debug)]
pub struct Part {
    /// What was asked.
    pub question: &'static Question,
    /// How it ended.
    pub end: End,
    /// What it wrote, errors among it.
    pub content: Vec<u8>,
    /// Whether it wrote more than is kept.
    pub truncated: bool,
}

impl Part {
    /// Its output as text; what is none is replaced.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

/// What the program wrote so far. Bounded; whatever the machine sends is taken.
#[derive(Debug)]
pub struct Transcript {
    /// The mark, the nonce and a blank.
    mark: Vec<u8>,
    /// The line that is not whole yet, or the start of it.
    line: Vec<u8>,
    /// Whether the line is known to be none of the program's own.
    plain: bool,
    open: Option<Part>,
    parts: Vec<Part>,
    kept: usize,
    done: bool,
    noise: Vec<u8>,
}

impl Transcript {
    /// For the program with this nonce.
    #[must_use]
    pub fn new(nonce: &str) -> Self {
        let mut mark = vec![MARK];
        mark.extend(nonce.bytes().filter(u8::is_ascii_alphanumeric));
        mark.push(b' ');
        Self {
            mark,
            line: Vec::new(),
            plain: false,
            open: None,
            parts: Vec::new(),
            kept: 0,
            done: false,
            noise: Vec::new(),
        }
    }

    /// Takes in the next bytes; breaks once there is nothing more to wait for.
    pub fn feed(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.take(piece);
            if self.done {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// What came before the first question: a message of a login shell says why there is no other.
    #[must_use]
    pub fn noise(&self) -> String {
        String::from_utf8_lossy(&self.noise).trim().to_owned()
    }

    /// Whether the program came to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done
    }

    /// What is being asked now.
    #[must_use]
    pub fn under_way(&self) -> Option<&'static Question> {
        self.open.as_ref().map(|part| part.question)
    }

    /// How many questions ended.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.parts.len()
    }

    /// The answers, in the order of the questions.
    #[must_use]
    pub fn finish(mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.line);
        self.keep(&rest);
        self.close(End::Cut);
        self.parts
    }

    /// A line, or a part of one.
    fn take(&mut self, piece: &[u8]) {
        if self.plain {
            self.keep(piece);
            self.plain = !piece.ends_with(b"\n");
            return;
        }
        self.line.extend_from_slice(piece);
        let whole = self.line.ends_with(b"\n");
        let compared = self.line.len().min(self.mark.len());
        let may_be_ours = self.line.get(..compared) == self.mark.get(..compared)
            && self.line.len() <= MAX_MARK_BYTES;
        if !whole && may_be_ours {
            return;
        }
        let line = std::mem::take(&mut self.line);
        match line.strip_prefix(&*self.mark) {
            Some(words) if whole && may_be_ours => self.turn(words.trim_ascii()),
            _ => {
                self.keep(&line);
                self.plain = !whole;
            }
        }
    }

    fn turn(&mut self, words: &[u8]) {
        let words = String::from_utf8_lossy(words);
        match words.split_once(' ') {
            Some(("begin", id)) => {
                self.close(End::Cut);
                self.open = QUESTIONS.iter().find(|question| question.id == id).map(|question| {
                    Part { question, end: End::Cut, content: Vec::new(), truncated: false }
                });
            }
            Some(("end", how)) => self.close(match how {
                "late" => End::Late,
                "absent" => End::Absent,
                "skipped" => End::Skipped,
                status => status.parse().map_or(End::Cut, End::Exited),
            }),
            _ if words == "done" => {
                self.close(End::Cut);
                self.done = true;
            }
            _ => {}
        }
    }

    fn close(&mut self, end: End) {
        if let Some(mut part) = self.open.take() {
            part.end = end;
            // The program's own line begins with a line's end.
            if part.content.ends_with(b"\n") && end != End::Cut {
                part.content.pop();
            }
            self.parts.push(part);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(part) = &mut self.open else {
            let room = 1024_usize.saturating_sub(self.noise.len()).min(bytes.len());
            if self.parts.is_empty() {
                self.noise.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            return;
        };
        let room = MAX_PART_BYTES.saturating_sub(part.content.len());
        let room = room.min(MAX_BYTES.saturating_sub(self.kept)).min(bytes.len());
        part.content.extend_from_slice(bytes.get(..room).unwrap_or_default());
        part.truncated |= room < bytes.len();
        self.kept += room;
    }
}
