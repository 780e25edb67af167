//! Where collectors read the kernel's files: this machine, or copies of another's.
//!
//! For: one set of collectors for both. What must hold: a collector that reads copies says of them
//! exactly what it would say on the machine that they were made of, errors included; reading the
//! files of this machine costs what it costs without this. Nothing here asks another machine for
//! anything.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod fetched;
pub use fetched::Fetched;
mod recorded;

/// The most entries of one directory that are listed; more are left out, and said so in the log.
const MAX_LISTED: usize = 1 << 16;

/// Where files are read.
#[derive(Clone, Debug, Default)]
pub enum Files {
    /// From the kernel that this process runs on.
    #[default]
    Here,
    /// From copies of another machine's files.
    Fetched(Arc<Fetched>),
}

/// Copies are equal when they are the same copies.
impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here, Self::Here) => true,
            (Self::Fetched(one), Self::Fetched(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Files {}

impl Files {
    /// The copies, to be changed; `None` when files are read from this machine. Copies that somebody
    /// else holds too are copied first.
    pub fn fetched_mut(&mut self) -> Option<&mut Fetched> {
        match self {
            Self::Here => None,
            Self::Fetched(fetched) => Some(Arc::make_mut(fetched)),
        }
    }

    /// At most the first `limit` bytes of a file, whatever its size. The buffer is used where there
    /// is no copy to look at.
    ///
    /// # Errors
    /// What opening or reading the file answers.
    pub fn read_start<'a>(
        &'a self,
        path: &Path,
        buffer: &'a mut Vec<u8>,
        limit: usize,
    ) -> io::Result<&'a [u8]> {
        match self {
            Self::Here => {
                let file = File::open(path)?;
                if buffer.len() < limit {
                    buffer.resize(limit, 0);
                }
                let mut filled = 0;
                while let Some(room) = buffer.get_mut(filled..limit).filter(|room| !room.is_empty())
                {
                    match file.read_at(room, filled as u64) {
                        Ok(0) => break,
                        Ok(count) => filled += count,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(buffer.get(..filled).unwrap_or_default())
            }
            Self::Fetched(fetched) => {
                let content = fetched.content(path)?;
                Ok(content.get(..limit).unwrap_or(content))
            }
        }
    }

    /// The start of a small file for a fact that may be missing without harm: empty where it cannot
    /// be read.
    #[must_use]
    pub fn read_small(&self, path: &Path, limit: usize) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.read_start(path, &mut buffer, limit).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// The names in a directory, in no particular order.
    ///
    /// # Errors
    /// What opening the directory answers.
    pub fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names: Vec<OsString> = match self {
            Self::Here => std::fs::read_dir(path)?
                .filter_map(|entry| Some(entry.ok()?.file_name()))
                .take(MAX_LISTED + 1)
                .collect(),
            Self::Fetched(fetched) => fetched.list(path, MAX_LISTED + 1)?,
        };
        if names.len() > MAX_LISTED {
            names.truncate(MAX_LISTED);
            tracing::warn!(path = %path.display(), limit = MAX_LISTED, "more entries than are listed");
        }
        Ok(names)
    }

    /// What a symbolic link names.
    ///
    /// # Errors
    /// What reading the link answers.
    pub fn link(&self, path: &Path) -> io::Result<PathBuf> {
        match self {
            Self::Here => std::fs::read_link(path),
            Self::Fetched(fetched) => fetched.link(path),
        }
    }

    /// Whether there is anything at this path.
    #[must_use]
    pub fn exists(&self, path: &Path) -> bool {
        match self {
            Self::Here => path.exists(),
            Self::Fetched(fetched) => fetched.exists(path),
        }
    }

    /// Whether a directory is at this path, be it through a link.
    #[must_use]
    pub fn is_dir(&self, path: &Path) -> bool {
        match self {
            Self::Here => path.is_dir(),
            Self::Fetched(fetched) => fetched.is_dir(path),
        }
    }

    /// What the filesystem on which this path lies says of its space. Can hang where it is asked
    /// on this machine.
    ///
    /// # Errors
    /// What `statvfs` answers.
    pub fn space(&self, path: &Path) -> io::Result<Space> {
        match self {
            Self::Here => Space::ask(path),
            Self::Fetched(fetched) => fetched.space(path),
        }
    }

    /// Bytes per page of memory.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        match self {
            Self::Here => rustix::param::page_size() as u64,
            Self::Fetched(fetched) => fetched.page_bytes(),
        }
    }

    /// The processor's architecture as far as it is known without reading a file: what this program
    /// was built for says it of this machine, and nothing of another.
    #[must_use]
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Here => std::env::consts::ARCH,
            Self::Fetched(_) => "",
        }
    }
}

/// What a filesystem says of its space, in its own units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes per block.
    pub block_bytes: u64,
    /// Blocks altogether.
    pub blocks: u64,
    /// Blocks unused.
    pub free_blocks: u64,
    /// Blocks that an unprivileged program can still use.
    pub available_blocks: u64,
    /// Inodes altogether; 0 where there is no fixed number.
    pub inodes: u64,
    /// Inodes unused.
    pub free_inodes: u64,
    /// Whether it cannot be written, as it says itself.
    pub read_only: bool,
}

impl Space {
    /// Asks the filesystem on which this path lies. Can hang.
    ///
    /// # Errors
    /// What `statvfs` answers.
    pub(crate) fn ask(path: &Path) -> io::Result<Self> {
        let answer = rustix::fs::statvfs(path)?;
        Ok(Self {
            block_bytes: answer.f_frsize,
            blocks: answer.f_blocks,
            free_blocks: answer.f_bfree,
            available_blocks: answer.f_bavail,
            inodes: answer.f_files,
            free_inodes: answer.f_ffree,
            read_only: answer.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }
}

#[cfg(test)]
mod tests;
