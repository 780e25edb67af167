//! Takes an answer in as it arrives, and cuts it into its sections.
//!
//! What must hold: only lines that carry this question's number begin a section, and nobody on the
//! node who is not asked knows the number; what comes before the first one is noise and is bounded,
//! as is the whole.

use std::io::BufRead;

use sickbay_model::{ProbeError, ProbeErrorKind};

use super::Progress;
use crate::parse::printable;

/// The most bytes before the first section: messages of login shells.
const MAX_NOISE_BYTES: usize = 64 << 10;

/// How much of the noise is kept, in bytes, and shown, in characters.
const SHOWN_NOISE: usize = 300;

/// What begins the line of a section.
const MARK: u8 = 0x1e;

/// The longest name of a section: the one that lists what may not be read.
const MAX_NAME_BYTES: usize = 8 << 10;

/// Takes an answer in as it arrives. Bounded: an answer beyond the limit is refused.
#[derive(Debug, Default)]
pub struct Reader {
    /// The mark, the question's number and a blank. Empty for a reader that belongs to no question.
    mark: Vec<u8>,
    limit: usize,
    buffer: Vec<u8>,
    /// Where the search for the end goes on.
    searched: usize,
    begun: bool,
    /// Where the answer ends in the buffer.
    complete: Option<usize>,
    noise: Vec<u8>,
}

/// One part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section<'a> {
    /// What it is, and words about it.
    pub(super) name: &'a [u8],
    pub(super) content: &'a [u8],
}

impl<'a> Section<'a> {
    /// The word before the first blank, and what is behind it.
    pub(super) fn words(self) -> (&'a [u8], &'a [u8]) {
        let blank = self.name.iter().position(|&byte| byte == b' ').unwrap_or(self.name.len());
        let (kind, rest) = self.name.split_at(blank);
        (kind, rest.get(1..).unwrap_or_default())
    }
}

impl Reader {
    /// For the answer to the question with this number, which may have so many bytes.
    pub(super) fn new(number: &str, limit: usize) -> Self {
        let mut mark = vec![MARK];
        mark.extend_from_slice(number.as_bytes());
        mark.push(b' ');
        Self { mark, limit, ..Self::default() }
    }

    /// Takes in the next bytes from the node's standard output.
    pub fn feed(&mut self, bytes: &[u8]) -> Progress {
        if self.complete.is_some() {
            // Something that was late, or forged: it belongs to no question.
            return Progress::Complete;
        }
        if self.mark.is_empty() {
            return Progress::Refused(malformed("an answer that nobody asked for".to_owned()));
        }
        self.buffer.extend_from_slice(bytes);
        if !self.begun
            && let Err(refused) = self.begin()
        {
            return Progress::Refused(refused);
        }
        if self.begun
            && let Some(end) = self.find_end()
        {
            self.complete = Some(end);
            return Progress::Complete;
        }
        if self.buffer.len() > self.limit {
            let message = format!("the node's answer has more than {} bytes", self.limit);
            self.buffer = Vec::new();
            return Progress::Refused(malformed(message));
        }
        Progress::More
    }

    /// What came before anything of ours (a message of the login shell), made printable and
    /// bounded: it says why there is no shell.
    #[must_use]
    pub fn noise(&self) -> String {
        let noise = if self.begun { &self.noise } else { &self.buffer };
        let start = noise.get(..SHOWN_NOISE.min(noise.len())).unwrap_or_default();
        printable(start.trim_ascii(), SHOWN_NOISE)
    }

    /// The sections, once the answer is complete.
    pub(super) fn sections(&self) -> Sections<'_> {
        let end = self.complete.unwrap_or(0);
        Sections { mark: &self.mark, rest: self.buffer.get(..end).unwrap_or_default() }
    }

    /// Looks for the first section and throws away what is before it.
    fn begin(&mut self) -> Result<(), ProbeError> {
        match find(&self.buffer, self.searched, &self.mark) {
            Some(at) => {
                self.noise = self.buffer.drain(..at).take(SHOWN_NOISE).collect();
                (self.begun, self.searched) = (true, 0);
                Ok(())
            }
            None if self.buffer.len() > MAX_NOISE_BYTES => {
                let noise = self.noise();
                self.buffer = Vec::new();
                Err(malformed(format!(
                    "the node's login shell writes more than {MAX_NOISE_BYTES} bytes before it runs \
                     anything; they begin with: {noise}"
                )))
            }
            None => {
                self.searched = self.buffer.len().saturating_sub(self.mark.len());
                Ok(())
            }
        }
    }

    fn find_end(&mut self) -> Option<usize> {
        loop {
            let Some(at) = find(&self.buffer, self.searched, &self.mark) else {
                self.searched = self.buffer.len().saturating_sub(self.mark.len());
                return None;
            };
            let behind = self.buffer.get(at + self.mark.len()..).unwrap_or_default();
            if behind.starts_with(b"end\n") {
                return Some(at);
            }
            if behind.len() < 4 && b"end\n".starts_with(behind) {
                self.searched = at;
                return None;
            }
            self.searched = at + self.mark.len();
        }
    }
}

/// The sections of an answer, in their order.
#[derive(Clone, Debug)]
pub(super) struct Sections<'a> {
    mark: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        loop {
            let at = find(self.rest, 0, self.mark)?;
            let behind = self.rest.get(at + self.mark.len()..)?;
            let end = find(behind, 0, self.mark).unwrap_or(behind.len());
            let section = behind.get(..end)?;
            self.rest = behind.get(end..)?;
            let line = find_byte(section, b'\n').filter(|&line| line <= MAX_NAME_BYTES);
            // One whose name does not end is no section of ours.
            let Some(line) = line else { continue };
            let content = section.get(line + 1..)?;
            return Some(Section { name: section.get(..line)?, content });
        }
    }
}

/// Where the needle is, from a place on.
fn find(haystack: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = from;
    loop {
        at += find_byte(haystack.get(at..)?, first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where the byte is. The library's own search, which is many times faster than a loop.
pub(crate) fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut rest = bytes;
    let passed = rest.skip_until(wanted).ok()?;
    (bytes.get(passed.checked_sub(1)?) == Some(&wanted)).then(|| passed - 1)
}

fn malformed(message: String) -> ProbeError {
    ProbeError { kind: ProbeErrorKind::Malformed, message, advice: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reader: &Reader) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        reader.sections().map(|one| (text(one.name), text(one.content))).collect()
    }

    #[test]
    fn an_answer_is_understood_however_it_is_cut() {
        let answer = b"Welcome!\n\x1e not ours\n\x1eN1 files\n==> a <==\nx\n\x1eN2 end\n\x1eN1 space\n\x1eN1 end\nlate";
        let expected = [
            ("files".to_owned(), "==> a <==\nx\n\x1eN2 end\n".to_owned()),
            ("space".to_owned(), String::new()),
        ];
        for step in 1..answer.len() {
            let mut reader = Reader::new("N1", 1 << 20);
            let mut progress = Progress::More;
            for piece in answer.chunks(step) {
                assert!(matches!(progress, Progress::More | Progress::Complete), "{step}");
                progress = reader.feed(piece);
            }
            assert_eq!(progress, Progress::Complete, "{step}");
            assert_eq!(told(&reader), expected, "{step}");
            assert_eq!(reader.noise(), "Welcome!?? not ours", "{step}");
        }
        // Cut off anywhere, it is not complete and shows nothing.
        for end in 0..answer.len() - "\nlate".len() {
            let mut reader = Reader::new("N1", 1 << 20);
            assert_eq!(reader.feed(&answer[..end]), Progress::More, "{end}");
            assert!(told(&reader).is_empty());
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_or_waited_for() {
        let noise = vec![b'x'; MAX_NOISE_BYTES + 1];
        let flood = [b"\x1eN files\n".as_slice(), &vec![b'y'; 2000]].concat();
        for (bytes, refused, noise) in [
            (&b"This account is currently not available.\n"[..], None, "This account is"),
            (b"\xff\x1b[31mred\n", None, "??[31mred"),
            (b"\x1eX end\n\x1eN1 end\n", None, ""),
            (&noise, Some("more than 65536 bytes before"), ""),
            (&flood, Some("more than 1000 bytes"), ""),
        ] {
            let mut reader = Reader::new("N", 1000);
            if noise.len() > 1000 {
                reader.limit = usize::MAX;
            }
            let progress = reader.feed(bytes);
            match (progress, refused) {
                (Progress::More, None) => {}
                (Progress::Refused(error), Some(part)) => {
                    assert!(error.message.contains(part), "{}", error.message);
                    assert_eq!(error.kind, ProbeErrorKind::Malformed);
                }
                (progress, _) => panic!("{progress:?} {refused:?}"),
            }
            assert!(reader.noise().contains(noise), "{:?}", reader.noise());
        }
        assert!(matches!(Reader::default().feed(b"\x1e end\n"), Progress::Refused(_)));
    }
}
