//! Copies of another machine's files, by path.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Space;

/// The most that is kept of one machine, in bytes: paths and contents of some fifty thousand
/// processes. What is put beyond it is refused; a file that is missed then reads as an error that
/// says so, and never as absent.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What an entry costs beside its path and content, in bytes, about.
const ENTRY_BYTES: usize = 64;

/// Bytes per page where nothing else is known: all x86 and most ARM machines.
const USUAL_PAGE_BYTES: u64 = 4096;

/// Copies of a machine's files, by absolute path. Directories exist by what is below them.
///
/// No link is followed: what was read through one is put at the path that it was read by.
#[derive(Clone, Debug)]
pub struct Fetched {
    entries: BTreeMap<Box<[u8]>, Entry>,
    spaces: BTreeMap<Box<[u8]>, Result<Space, i32>>,
    /// Of all entries together.
    bytes: usize,
    refused: u64,
    page_bytes: u64,
}

#[derive(Clone, Debug)]
enum Entry {
    Content(Vec<u8>),
    Link(Box<[u8]>),
    /// Why there is no content, as the machine's kernel said it.
    Error(i32),
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Content(content) => content.capacity(),
            Self::Link(target) => target.len(),
            Self::Error(_) => 0,
        }
    }
}

impl Default for Fetched {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            spaces: BTreeMap::new(),
            bytes: 0,
            refused: 0,
            page_bytes: USUAL_PAGE_BYTES,
        }
    }
}

impl Fetched {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A file's content; replaces what was there.
    pub fn put(&mut self, path: &[u8], content: &[u8]) {
        // The memory of what was there is used again: most files are put at every collection.
        if let Some(Entry::Content(old)) = self.entries.get_mut(path) {
            let before = old.capacity();
            let is_in_reach = self.bytes.saturating_sub(before) + content.len() <= MAX_BYTES;
            // A file that was large once does not keep its memory.
            if is_in_reach && content.len() <= before && before / 4 <= content.len() {
                old.clear();
                old.extend_from_slice(content);
                return;
            }
        }
        self.insert(path, Entry::Content(content.to_vec()));
    }

    /// A symbolic link.
    pub fn put_link(&mut self, path: &[u8], target: &[u8]) {
        self.insert(path, Entry::Link(target.into()));
    }

    /// That reading the file failed with this error number of Linux. A directory without anything
    /// below it is put as `EISDIR`.
    pub fn put_error(&mut self, path: &[u8], raw_os_error: i32) {
        self.insert(path, Entry::Error(raw_os_error));
    }

    /// What the filesystem mounted at this path said of its space, or the error number.
    pub fn put_space(&mut self, path: &[u8], space: Result<Space, i32>) {
        if let Some(old) = self.spaces.get_mut(path) {
            *old = space;
            return;
        }
        if self.admit(path.len() + ENTRY_BYTES) {
            self.spaces.insert(path.into(), space);
        }
    }

    /// Bytes per page of the machine's memory; 4096 until it is said.
    pub fn set_page_bytes(&mut self, bytes: u64) {
        self.page_bytes = bytes;
    }

    /// Removes what is at a path, and everything below it.
    pub fn remove_below(&mut self, prefix: &[u8]) {
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        self.retain(|path| {
            path.strip_prefix(prefix).is_none_or(|rest| !rest.is_empty() && !rest.starts_with(b"/"))
        });
    }

    /// Removes the entries of which `keep` says no, by their path. What filesystems said of their
    /// space is asked about too.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut freed = 0;
        self.entries.retain(|path, entry| {
            let kept = keep(path);
            freed += if kept { 0 } else { path.len() + entry.bytes() + ENTRY_BYTES };
            kept
        });
        self.spaces.retain(|path, _| {
            let kept = keep(path);
            freed += if kept { 0 } else { path.len() + ENTRY_BYTES };
            kept
        });
        self.bytes = self.bytes.saturating_sub(freed);
        if freed > 0 {
            self.refused = 0;
        }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        let page_bytes = self.page_bytes;
        *self = Self { page_bytes, ..Self::default() };
    }

    /// How many entries were refused because too much was put, since something was last removed.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How much is kept, in bytes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn insert(&mut self, path: &[u8], entry: Entry) {
        let added = entry.bytes();
        if let Some(old) = self.entries.get_mut(path) {
            let others = self.bytes.saturating_sub(old.bytes());
            if others + added <= MAX_BYTES {
                *old = entry;
                self.bytes = others + added;
            } else {
                // What was there is old news.
                self.entries.remove(path);
                self.bytes = others.saturating_sub(path.len() + ENTRY_BYTES);
                self.refused = self.refused.saturating_add(1);
            }
            return;
        }
        if self.admit(path.len() + added + ENTRY_BYTES) {
            self.entries.insert(path.into(), entry);
        }
    }

    fn admit(&mut self, bytes: usize) -> bool {
        if self.bytes + bytes > MAX_BYTES {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.bytes += bytes;
        true
    }

    pub(crate) fn content(&self, path: &Path) -> io::Result<&[u8]> {
        match self.entries.get(key(path)) {
            Some(Entry::Content(content)) => Ok(content),
            Some(Entry::Error(code)) => Err(io::Error::from_raw_os_error(*code)),
            Some(Entry::Link(_)) | None if self.has_children(path) => Err(Errno::ISDIR.into()),
            Some(Entry::Link(_)) | None => Err(self.missing()),
        }
    }

    pub(super) fn link(&self, path: &Path) -> io::Result<PathBuf> {
        match self.entries.get(key(path)) {
            Some(Entry::Link(target)) => Ok(OsString::from_vec(target.to_vec()).into()),
            Some(Entry::Content(_)) => Err(Errno::INVAL.into()),
            Some(Entry::Error(code)) if *code != Errno::ISDIR.raw_os_error() => {
                Err(io::Error::from_raw_os_error(*code))
            }
            Some(Entry::Error(_)) => Err(Errno::INVAL.into()),
            None if self.has_children(path) => Err(Errno::INVAL.into()),
            None => Err(self.missing()),
        }
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        match self.entries.get(key(path)) {
            Some(Entry::Content(_) | Entry::Link(_)) => true,
            Some(Entry::Error(code)) => *code != Errno::NOENT.raw_os_error(),
            None => self.has_children(path),
        }
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        match self.entries.get(key(path)) {
            Some(Entry::Content(_)) => false,
            Some(Entry::Error(code)) if *code == Errno::ISDIR.raw_os_error() => true,
            _ => self.has_children(path),
        }
    }

    pub(crate) fn list(&self, path: &Path, limit: usize) -> io::Result<Vec<OsString>> {
        match self.entries.get(key(path)) {
            Some(Entry::Content(_)) => return Err(Errno::NOTDIR.into()),
            Some(Entry::Error(code)) if *code == Errno::ISDIR.raw_os_error() => {}
            Some(Entry::Error(code)) => return Err(io::Error::from_raw_os_error(*code)),
            _ if self.has_children(path) => {}
            _ => return Err(self.missing()),
        }
        let directory = below(path);
        let mut seek = directory.clone();
        let mut names: Vec<OsString> = Vec::new();
        while names.len() < limit {
            let Some(rest) =
                self.first_from(&seek).and_then(|found| found.strip_prefix(&*directory))
            else {
                break;
            };
            let end = rest.iter().position(|&byte| byte == b'/');
            let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            if !name.is_empty() {
                names.push(OsString::from_vec(name.to_vec()));
            }
            // Behind this one: behind all that is below it, where it was found by that.
            seek.truncate(directory.len());
            seek.extend_from_slice(name);
            seek.push(if end.is_some() { b'/' + 1 } else { 0 });
        }
        // A link with something below it is found by both, and not always side by side.
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    pub(super) fn space(&self, path: &Path) -> io::Result<Space> {
        match self.spaces.get(key(path)) {
            Some(Ok(space)) => Ok(*space),
            Some(Err(code)) => Err(io::Error::from_raw_os_error(*code)),
            None => Err(self.missing()),
        }
    }

    pub(super) fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    fn has_children(&self, path: &Path) -> bool {
        let directory = below(path);
        self.first_from(&directory).is_some_and(|found| found.starts_with(&directory))
    }

    fn first_from(&self, path: &[u8]) -> Option<&[u8]> {
        let from = (Bound::Included(path), Bound::Unbounded);
        self.entries.range::<[u8], _>(from).next().map(|(path, _)| &**path)
    }

    fn missing(&self) -> io::Error {
        if self.refused == 0 {
            return Errno::NOENT.into();
        }
        let megabytes = MAX_BYTES / (1024 * 1024);
        io::Error::other(format!("more than {megabytes} MiB of files came; the rest was left out"))
    }
}

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// A directory's path with a slash at its end.
fn below(path: &Path) -> Vec<u8> {
    let path = key(path);
    let mut directory = Vec::with_capacity(path.len() + 16);
    directory.extend_from_slice(path);
    if !path.ends_with(b"/") {
        directory.push(b'/');
    }
    directory
}
