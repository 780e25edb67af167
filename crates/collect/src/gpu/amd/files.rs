//! Reading the small files of one device, and remembering which of them failed.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::Files;

/// The most that is read of a file: sysfs gives a page at most.
pub(super) const MAX_FILE_BYTES: usize = 4096;

/// The most remarks about one device.
const MAX_REMARKS: usize = 16;

/// The files of one device during one round.
#[derive(Debug)]
pub(super) struct DeviceFiles<'a> {
    files: &'a Files,
    directory: &'a Path,
    buffer: Vec<u8>,
    answered: u32,
    remarks: Vec<String>,
}

impl<'a> DeviceFiles<'a> {
    /// Begins a round over the files below this directory.
    pub(super) fn of(files: &'a Files, directory: &'a Path) -> Self {
        Self { files, directory, buffer: Vec::new(), answered: 0, remarks: Vec::new() }
    }

    /// The content of a file; `None` where there is none, the driver does not support it, or it
    /// failed, which is then remarked.
    pub(super) fn read(&mut self, name: &Path) -> Option<&[u8]> {
        let path = self.directory.join(name);
        match self.files.read_start(&path, &mut self.buffer, MAX_FILE_BYTES) {
            Ok(content) => {
                self.answered += 1;
                Some(content)
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

    /// The names in a directory of the device; none where it cannot be listed.
    pub(super) fn list(&self, directory: &str) -> Vec<OsString> {
        self.files.list(&self.directory.join(directory)).unwrap_or_default()
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
pub(super) fn hwmon(files: &DeviceFiles<'_>) -> Option<PathBuf> {
    let first = files.list("hwmon").into_iter().min()?;
    Some(Path::new("hwmon").join(first))
}
