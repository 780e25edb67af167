//! Words that nobody may see.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use tokio::io::AsyncReadExt as _;

/// A password, a key, or an address that is as good as one. Never shown, whole or in part: not by
/// `Debug`, `Display` or `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Text(Arc<str>),
    File(Arc<Path>),
}

/// What is wrong with the definition of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretMistake {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Longer than [`Secret::MAX_BYTES`].
    #[error("it is longer than {} bytes", Secret::MAX_BYTES)]
    TooLong,
    /// The environment has no such variable.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// A relative path: it would mean another file to each process.
    #[error("{} is not an absolute path", .0.display())]
    Relative(PathBuf),
}

/// Why a secret cannot be had now.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What is in the file is no secret.
    #[error("the secret in {} cannot be used: {reason}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Secret {
    /// The longest secret, in bytes.
    pub const MAX_BYTES: usize = 16 << 10;

    /// A secret that is known already.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn literal(text: &str) -> Result<Self, SecretMistake> {
        checked(text).map(|text| Self(Source::Text(text.into())))
    }

    /// What an environment variable holds; the environment is an argument.
    ///
    /// # Errors
    /// If there is no such variable, or it is empty or too long.
    pub fn from_environment(
        name: &str,
        lookup: impl FnOnce(&str) -> Option<String>,
    ) -> Result<Self, SecretMistake> {
        let text = lookup(name).ok_or_else(|| SecretMistake::Unset(name.to_owned()))?;
        Self::literal(&text)
    }

    /// The content of a file without the white space at its ends. It is read each time that it is
    /// needed, so that a new one needs no restart.
    ///
    /// # Errors
    /// If the path is not absolute.
    pub fn in_file(path: &Path) -> Result<Self, SecretMistake> {
        if path.is_absolute() {
            Ok(Self(Source::File(path.into())))
        } else {
            Err(SecretMistake::Relative(path.to_owned()))
        }
    }

    /// The secret itself, if it is known without reading a file.
    pub(crate) fn known(&self) -> Option<&str> {
        match &self.0 {
            Source::Text(text) => Some(text),
            Source::File(_) => None,
        }
    }

    /// The secret itself, for sending only.
    pub(crate) async fn reveal(&self) -> Result<Arc<str>, SecretError> {
        match &self.0 {
            Source::Text(text) => Ok(Arc::clone(text)),
            Source::File(path) => read(path).await,
        }
    }
}

async fn read(path: &Path) -> Result<Arc<str>, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(Secret::MAX_BYTES as u64 + 64);
    bounded.read_to_end(&mut bytes).await.map_err(failed)?;
    let bad = |reason: String| SecretError::Content { path: path.to_owned(), reason };
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    checked(text).map(Arc::from).map_err(|mistake| bad(mistake.to_string()))
}

fn checked(text: &str) -> Result<&str, SecretMistake> {
    match text.trim() {
        "" => Err(SecretMistake::Empty),
        text if text.len() > Secret::MAX_BYTES => Err(SecretMistake::TooLong),
        text => Ok(text),
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Text(_) => f.write_str("***"),
            Source::File(path) => write!(f, "*** (in {})", path.display()),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::literal(" hunter2\n").expect("secret");
        assert_eq!(secret.known(), Some("hunter2"));
        let json = serde_json::to_string(&secret).expect("JSON");
        for shown in [format!("{secret}"), format!("{secret:?}"), format!("{secret:#?}"), json] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert_eq!(Secret::literal(" \n"), Err(SecretMistake::Empty));
        let long = "x".repeat(Secret::MAX_BYTES + 1);
        assert_eq!(Secret::literal(&long), Err(SecretMistake::TooLong));
        let unset = Secret::from_environment("KEY", |_| None);
        assert_eq!(unset, Err(SecretMistake::Unset("KEY".to_owned())));
        let set = Secret::from_environment("KEY", |name| Some(format!("value of {name}")));
        assert_eq!(set.expect("set").known(), Some("value of KEY"));
        assert!(matches!(Secret::in_file(Path::new("key")), Err(SecretMistake::Relative(_))));
    }

    #[tokio::test]
    async fn a_secret_in_a_file_is_read_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("key");
        let secret = Secret::in_file(&path).expect("secret");
        assert!(matches!(secret.reveal().await, Err(SecretError::Read { .. })));
        for text in ["first\n", "second"] {
            std::fs::write(&path, text).expect("write");
            assert_eq!(&*secret.reveal().await.expect("secret"), text.trim());
        }
        for bad in [&b"\n"[..], b"\xff\xfe", &vec![b'x'; Secret::MAX_BYTES + 100]] {
            std::fs::write(&path, bad).expect("write");
            assert!(matches!(secret.reveal().await, Err(SecretError::Content { .. })));
        }
    }
}
