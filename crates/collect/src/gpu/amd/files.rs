//! Reading the small files of one device, and remembering which of them failed.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// The most that is read of a file: sysfs gives a page at most.
const MAX_FILE_BYTES: u64 = 4096;

/// The most remarks about one device.
const MAX_REMARKS: usize = 16;

/// The files of one device during one round.
#[derive(Debug)]
pub(super) struct Files<'a> {
    directory: &'a Path,
    buffer: Vec<u8>,
    answered: u32,
    remarks: Vec<String>,
}

impl<'a> Files<'a> {
    /// Begins a round over the files below this directory.
    pub(super) fn of(directory: &'a Path) -> Self {
        Self { directory, buffer: Vec::new(), answered: 0, remarks: Vec::new() }
    }

    /// The content of a file; `None` where there is none, the driver does not support it, or it
    /// failed, which is then remarked.
    pub(super) fn read(&mut self, name: &Path) -> Option<&[u8]> {
        self.buffer.clear();
        let path = self.directory.join(name);
        let result = File::open(&path)
            .and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut self.buffer));
        match result {
            Ok(_) => {
                self.answered += 1;
                Some(&self.buffer)
            }
            Err(error) if is_unsupported(&error) => None,
            Err(error) => {
                if self.remarks.len() < MAX_REMARKS {
                    self.remarks.push(format!("{}: {error}", name.display()));
                }
                None
            }
        }
    }

    /// What failed, and whether anything answered at all.
    pub(super) fn end(self) -> (Vec<String>, bool) {
        (self.remarks, self.answered > 0)
    }
}

/// Absent files, and what amdgpu answers for a sensor that the chip does not have.
fn is_unsupported(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
        || Errno::from_io_error(error)
            .is_some_and(|errno| [Errno::OPNOTSUPP, Errno::INVAL, Errno::NODATA].contains(&errno))
}

/// The device's first hwmon directory, below the device's.
pub(super) fn hwmon(directory: &Path) -> Option<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(directory.join("hwmon"))
        .ok()?
        .flatten()
        .map(|entry| Path::new("hwmon").join(entry.file_name()))
        .collect();
    found.sort();
    found.into_iter().next()
}
