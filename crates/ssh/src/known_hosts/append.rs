//! Writing an accepted key down.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::HostPatterns;

use super::{KnownHosts, Verdict, check, hashed};
use crate::route::TrustRules;

/// How often another program's lock is tried, and the pause between: 3 s in all.
const LOCK_TRIES: u32 = 600;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Adds a host's key to a file: one line, in one write, under a lock, so that neither another
/// session of ours nor an `ssh` beside us tears it.
///
/// Nothing is added if the file knows the host by now, and what it says is the answer: of two new
/// keys that one host shows at the same time, the second is a changed one. Blocks.
///
/// # Errors
/// When the name would stand for other hosts too; when the file, or the directory that it is in,
/// cannot be made or written, or is kept locked.
pub(crate) fn append(file: &Path, rules: &TrustRules, key: &PublicKey) -> std::io::Result<Verdict> {
    let name = rules.name.as_str();
    if !is_one_host(name) {
        let what = format!("{name:?} would stand for other hosts too");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
    }
    if let Some(directory) = file.parent()
        && !directory.exists()
    {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut open =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    lock(&open)?;
    let regular = open.metadata()?.is_file();
    if regular {
        let known = [Arc::new(read(&mut open, file)?)];
        match check(&known, rules, &key.clone().into(), 0) {
            Verdict::Unknown => {}
            verdict => return Ok(verdict),
        }
    }
    let name = if rules.hash { hashed_name(name)? } else { name.to_owned() };
    let key = key.to_openssh().map_err(std::io::Error::other)?;
    // The comment is the other side's, or nobody's: it is left out.
    let mut words = key.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let newline = if regular && lacks_newline(&mut open)? { "\n" } else { "" };
    open.write_all(format!("{newline}{name} {kind} {blob}\n").as_bytes())?;
    Ok(Verdict::Known)
}

/// Whether a name is a host's, and neither a pattern nor a list nor more than one word.
fn is_one_host(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "*?!,|".contains(c);
    !name.is_empty() && !name.starts_with(['#', '@']) && !name.contains(odd)
}

/// Waits for the lock, but not for ever: each wait holds a thread.
fn lock(open: &File) -> std::io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(open, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                std::thread::sleep(LOCK_PAUSE);
            }
            ended => return ended.map_err(Into::into),
        }
    }
    Err(std::io::Error::other("another program keeps it locked"))
}

fn read(open: &mut File, file: &Path) -> std::io::Result<KnownHosts> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(super::MAX_FILE_BYTES).unwrap_or(u64::MAX);
    Read::take(&mut *open, limit).read_to_end(&mut bytes)?;
    Ok(KnownHosts::parse(file.to_owned(), &bytes))
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
