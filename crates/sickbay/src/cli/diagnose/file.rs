//! The bundle's file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sickbay_model::Timestamp;

use crate::cli::{Failure, exit_code};

/// A time as a part of a file's name: 20261128T040501Z.
pub(super) fn stamp(at: Timestamp) -> String {
    let seconds = at.to_string();
    let seconds = seconds.split('.').next().unwrap_or_default();
    format!("{}Z", seconds.replace(['-', ':'], "").trim_end_matches('Z'))
}

/// Says before all the work that a file would be replaced.
pub(super) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    match path.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(taken(path)),
        Err(error) => {
            let message = format!("{} cannot be looked for: {error}", path.display());
            Err(Failure::new(exit_code::FILE, message))
        }
    }
}

fn taken(path: &Path) -> Failure {
    let message = format!("{} is there already, and is not replaced", path.display());
    Failure::new(exit_code::FILE, message).hint("name another file with --output")
}

/// Writes a new file that only we may read, or leaves none.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| {
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = std::fs::remove_file(path);
        }
        written
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => {
            let message = format!("the bundle cannot be written to {}: {error}", path.display());
            Failure::new(exit_code::FILE, message).hint("name another place with --output")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_fit_for_a_file_name() {
        assert_eq!(stamp(Timestamp::from_unix_ms(1_800_000_000_123)), "20270115T080000Z");
        assert_eq!(stamp(Timestamp::from_unix_ms(1_800_000_000_000)), "20270115T080000Z");
    }
}
