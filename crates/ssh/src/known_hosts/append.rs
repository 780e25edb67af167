//! Writing an accepted key down.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;

use super::{KnownHosts, hashed};

/// Adds a host's key to a file: one line, in one write, under a lock, so that neither another
/// session of ours nor an `ssh` beside us tears it. Nothing is added if the very line is there.
///
/// # Errors
/// When the file, or the directory that it is in, cannot be made or written.
pub(crate) fn append(file: &Path, name: &str, key: &PublicKey, hash: bool) -> std::io::Result<()> {
    if let Some(directory) = file.parent()
        && !directory.exists()
    {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut open =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    rustix::fs::flock(&open, rustix::fs::FlockOperation::LockExclusive)?;
    let regular = open.metadata()?.is_file();
    if regular && is_there(&mut open, file, name, key)? {
        return Ok(());
    }
    let name = if hash { hashed_name(name)? } else { name.to_owned() };
    let key = key.to_openssh().map_err(std::io::Error::other)?;
    // The comment is the other side's, or nobody's: it is left out.
    let mut words = key.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let newline = if regular && lacks_newline(&mut open)? { "\n" } else { "" };
    open.write_all(format!("{newline}{name} {kind} {blob}\n").as_bytes())
}

fn is_there(open: &mut File, file: &Path, name: &str, key: &PublicKey) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(super::MAX_FILE_BYTES).unwrap_or(u64::MAX);
    Read::take(&mut *open, limit).read_to_end(&mut bytes)?;
    let known = KnownHosts::parse(file.to_owned(), &bytes);
    Ok(known.for_host(name).any(|line| {
        line.marker.is_none()
            && line.key().is_some_and(|stored| stored.key_data() == key.key_data())
    }))
}

fn lacks_newline(open: &mut File) -> std::io::Result<bool> {
    if open.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    open.seek(SeekFrom::End(-1))?;
    open.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn hashed_name(name: &str) -> std::io::Result<String> {
    let mut salt = vec![0; 20];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| std::io::Error::other("the system has no random numbers"))?;
    let hash = hashed(&salt, name);
    Ok(HostPatterns::HashedName { salt, hash }.to_string())
}
