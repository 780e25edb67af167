//! One file with everything: a tar archive, compressed with Zstandard.
//!
//! What must hold: every text in it went through [`secrets::remove`]; names in it are ours; it
//! is written whole or not at all by who takes the bytes.

use std::fmt;
use std::io;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde::Serialize;

use crate::outcome::Test;
use crate::question::Level;
use crate::secrets;
use crate::transcript::{End, Part};

/// What a bundle says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest<'a> {
    /// By which version it was made.
    pub sickbay: &'a str,
    /// Of which machine.
    pub node: &'a str,
    /// When, RFC 3339.
    pub at: &'a str,
    /// How deep.
    pub level: Level,
}

#[derive(Serialize)]
struct Contents<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest<'a>,
    secrets_removed: usize,
    questions: Vec<Asked<'a>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    id: &'a str,
    group: &'a str,
    command: &'a str,
    end: End,
    bytes: usize,
    truncated: bool,
}

/// A bundle that is being filled.
pub struct Bundle {
    folder: String,
    seconds: u64,
    archive: tar::Builder<Vec<u8>>,
    removed: usize,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A bundle as it is written to a file.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// How many secrets were removed.
    pub removed: usize,
}

/// Why there is no bundle.
#[derive(Debug)]
pub struct BundleError(io::Error);

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bundle cannot be packed: {}", self.0)
    }
}

impl std::error::Error for BundleError {}

impl Bundle {
    /// An empty one. Everything lies below `folder`; `seconds` since 1970 is the time of its files.
    #[must_use]
    pub fn new(folder: &str, seconds: u64) -> Self {
        let archive = tar::Builder::new(Vec::new());
        Self { folder: folder.to_owned(), seconds, archive, removed: 0 }
    }

    /// Adds a text, without its secrets.
    ///
    /// # Errors
    /// The name does not fit into the archive.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), BundleError> {
        let (text, removed) = secrets::remove(text);
        self.removed += removed;
        self.file(name, text.as_bytes())
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<(), BundleError> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.seconds);
        let path = format!("{}/{name}", self.folder);
        self.archive.append_data(&mut header, path, content).map_err(BundleError)
    }

    /// Adds the answers and the results of the tests among them, and what all of it is; returns the
    /// file's bytes.
    ///
    /// # Errors
    /// As for [`Self::text`].
    pub fn finish(
        mut self,
        manifest: &Manifest<'_>,
        parts: &[Part],
        tests: &[Test],
    ) -> Result<Packed, BundleError> {
        for part in parts.iter().filter(|part| !part.content.is_empty()) {
            let name = format!("{}/{}.txt", part.question.group.as_str(), part.question.id);
            self.text(&name, &part.text())?;
        }
        let json = serde_json::to_string_pretty(tests).unwrap_or_default();
        self.text("tests.json", &json)?;
        let asked = |part: &Part| Asked {
            id: part.question.id,
            group: part.question.group.as_str(),
            command: part.question.command,
            end: part.end,
            bytes: part.content.len(),
            truncated: part.truncated,
        };
        let questions = parts.iter().map(asked).collect();
        let contents = Contents { manifest, secrets_removed: self.removed, questions };
        let json = serde_json::to_string_pretty(&contents).unwrap_or_default();
        self.file("manifest.json", json.as_bytes())?;
        let archive = self.archive.into_inner().map_err(BundleError)?;
        let bytes = compress_to_vec(archive.as_slice(), CompressionLevel::Fastest);
        Ok(Packed { bytes, removed: self.removed })
    }
}
