//! Reading the kernel's files: bounded, into buffers that are used again, or where copies lie.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sickbay_model::{Advice, ProbeError, ProbeErrorKind};

use crate::parse::{INPUT_LIMIT, ParseError};
use crate::{Files, Roots};

/// How much a buffer grows at once.
const CHUNK_BYTES: usize = 4096;

/// The most that is read of a file that holds one value or a few lines: `/sys` gives a page at most.
pub(super) const SMALL_LIMIT: usize = 4096;

/// A file of `/proc` that is asked again and again: kept open, and read from its start each time,
/// which makes the kernel write it anew.
#[derive(Debug)]
pub(super) struct KernelFile {
    below_root: &'static str,
    opened: Option<(PathBuf, File)>,
    buffer: Vec<u8>,
}

impl KernelFile {
    /// The file at this path below the root.
    pub(super) const fn new(below_root: &'static str) -> Self {
        Self { below_root, opened: None, buffer: Vec::new() }
    }

    /// Its content now.
    pub(super) fn read<'a>(&'a mut self, roots: &'a Roots) -> Result<&'a [u8], ProbeError> {
        let below_root = self.below_root;
        self.read_raw(roots).map_err(|error| read_error(&roots.proc.join(below_root), &error))
    }

    /// Its content now; `None` where there is no such file.
    pub(super) fn read_if_there<'a>(
        &'a mut self,
        roots: &'a Roots,
    ) -> Result<Option<&'a [u8]>, ProbeError> {
        let below_root = self.below_root;
        match self.read_raw(roots) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(read_error(&roots.proc.join(below_root), &error)),
        }
    }

    /// The error for a content that its parser refused.
    pub(super) fn malformed(&self, roots: &Roots, error: &ParseError) -> ProbeError {
        malformed(&roots.proc.join(self.below_root), error)
    }

    fn read_raw<'a>(&'a mut self, roots: &'a Roots) -> io::Result<&'a [u8]> {
        if let Files::Fetched(fetched) = &roots.files {
            let content = fetched.content(&roots.proc.join(self.below_root))?;
            return if content.len() > INPUT_LIMIT { Err(too_large()) } else { Ok(content) };
        }
        let root = &roots.proc;
        if self.opened.as_ref().is_none_or(|(opened_root, _)| opened_root != root) {
            let file = File::open(root.join(self.below_root))?;
            self.opened = Some((root.clone(), file));
        }
        let Some((_, file)) = &self.opened else { return Ok(&[]) };
        match read_whole(file, &mut self.buffer) {
            Ok(length) => Ok(self.buffer.get(..length).unwrap_or_default()),
            Err(error) => {
                // Opened anew next time: the thing behind it may have come back.
                self.opened = None;
                Err(error)
            }
        }
    }
}

/// Reads a file from its start; one above [`INPUT_LIMIT`] is an error.
fn read_whole(file: &File, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        if buffer.len() - filled < CHUNK_BYTES / 4 {
            // Doubled, so that a large file settles after a few reads; never shrunk.
            let length = (buffer.len() * 2).clamp(CHUNK_BYTES, INPUT_LIMIT + CHUNK_BYTES);
            buffer.resize(length, 0);
        }
        let Some(room) = buffer.get_mut(filled..) else { return Ok(filled) };
        match file.read_at(room, filled as u64) {
            Ok(0) => return Ok(filled),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled > INPUT_LIMIT {
            return Err(too_large());
        }
    }
}

fn too_large() -> io::Error {
    let message = format!("it is larger than {INPUT_LIMIT} bytes");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads a small file for a fact that may be missing without harm.
pub(super) fn small_fact<T>(
    files: &Files,
    path: &Path,
    buffer: &mut Vec<u8>,
    understand: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    files.read_start(path, buffer, SMALL_LIMIT).ok().map(understand)
}

/// Whether an error says that the thing is not there, or that the kernel lacks the feature.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported)
}

/// Whether there is something, which may not be read.
pub(super) fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The error for a file that could not be read.
pub(super) fn read_error(path: &Path, error: &io::Error) -> ProbeError {
    let shown = path.display();
    let (kind, advice) = match error.kind() {
        io::ErrorKind::NotFound => (ProbeErrorKind::Absent, None),
        io::ErrorKind::PermissionDenied => (
            ProbeErrorKind::Denied,
            Some("Run Sickbay as a user that may read it, or mount /proc without hidepid."),
        ),
        io::ErrorKind::InvalidData => (ProbeErrorKind::Malformed, None),
        _ => (ProbeErrorKind::Failed, None),
    };
    ProbeError {
        kind,
        message: format!("cannot read {shown}: {error}"),
        advice: advice.map(|text| Advice(text.into())),
    }
}

/// The error for a content that its parser refused.
pub(super) fn malformed(path: &Path, error: &ParseError) -> ProbeError {
    // The path that was read says more than the parser's usual name of the file.
    let place = if error.line > 0 { format!(", line {}", error.line) } else { String::new() };
    ProbeError {
        kind: ProbeErrorKind::Malformed,
        message: format!("cannot understand {}{place}: {}", path.display(), error.what),
        advice: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_and_whole_each_time() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots { proc: root.path().to_owned(), ..Roots::default() };
        let path = root.path().join("stat");
        let mut file = KernelFile::new("stat");
        for content in [vec![b'a'; 10], vec![b'b'; 100_000], Vec::new(), vec![b'c'; 4096]] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(file.read(&roots).unwrap(), content);
        }
    }

    #[test]
    fn errors_have_their_kind() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots { proc: root.path().to_owned(), ..Roots::default() };
        let error = KernelFile::new("none").read(&roots).unwrap_err();
        assert_eq!(error.kind, ProbeErrorKind::Absent);
        assert!(error.message.starts_with("cannot read /"), "{}", error.message);
        assert_eq!(KernelFile::new("none").read_if_there(&roots).unwrap(), None);

        std::fs::write(root.path().join("large"), vec![b'x'; INPUT_LIMIT + 1]).unwrap();
        let error = KernelFile::new("large").read(&roots).unwrap_err();
        assert_eq!(error.kind, ProbeErrorKind::Malformed);
        assert!(error.message.ends_with("it is larger than 4194304 bytes"), "{}", error.message);

        std::fs::create_dir(root.path().join("directory")).unwrap();
        let error = KernelFile::new("directory").read(&roots).unwrap_err();
        assert_eq!(error.kind, ProbeErrorKind::Failed);
    }
}
