//! Private keys in files.
//!
//! **Must hold**: what is encrypted stays so (the agent may hold it); a key that others can read is
//! not used, as with `ssh`; nothing of a private key is ever shown.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Certificate, PrivateKey, PublicKey};

/// The longest key file, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// What files beside a key's are called: its public half, its certificate.
pub(crate) const BESIDE: [&str; 2] = [".pub", "-cert.pub"];

/// A file beside a key's.
pub(crate) fn beside(key: &Path, suffix: &str) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What a key file holds.
#[derive(Debug)]
pub(crate) enum KeyFile {
    /// There is none.
    Absent,
    /// A key, and the certificate beside it (`-cert.pub`).
    Ready { key: Arc<PrivateKey>, certificate: Option<Box<Certificate>> },
    /// A key that is encrypted, or only a public key: the agent may hold it.
    Locked { public: Option<PublicKey> },
    /// Why it cannot be used.
    Unusable(String),
}

impl KeyFile {
    /// Reads one.
    pub(crate) fn load(path: &Path) -> Self {
        let [public_half, certificate] = BESIDE;
        let read = |suffix| read_text(&beside(path, suffix)).ok().map(|(text, _)| text);
        let public = || {
            let text = read(public_half)?;
            PublicKey::from_openssh(text.trim()).ok()
        };
        let (text, mode) = match read_text(path) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match public() {
                    Some(public) => Self::Locked { public: Some(public) },
                    None => Self::Absent,
                };
            }
            Err(error) => return Self::Unusable(format!("it cannot be read: {error}")),
        };
        // A public key where a private one is asked for names a key of the agent.
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            return Self::Locked { public: Some(public) };
        }
        if mode & 0o077 != 0 {
            return Self::Unusable(format!(
                "others may read it (mode {:04o}): chmod 600 it",
                mode & 0o7777
            ));
        }
        match russh::keys::decode_secret_key(&text, None) {
            Ok(key) if key.is_encrypted() => {
                Self::Locked { public: Some(key.public_key().clone()) }
            }
            Ok(key) => {
                let certificate = read(certificate)
                    .and_then(|text| Certificate::from_openssh(text.trim()).ok())
                    .filter(|found| found.public_key() == key.public_key().key_data());
                Self::Ready { key: Arc::new(key), certificate: certificate.map(Box::new) }
            }
            Err(russh::keys::Error::KeyIsEncrypted) => {
                let inside = PrivateKey::from_openssh(&text).ok();
                let public = inside.map(|key| key.public_key().clone()).or_else(public);
                Self::Locked { public }
            }
            Err(error) => Self::Unusable(format!("it holds no key that is understood: {error}")),
        }
    }

    /// The public half, where it is known.
    pub(crate) fn public(&self) -> Option<&PublicKey> {
        match self {
            Self::Ready { key, .. } => Some(key.public_key()),
            Self::Locked { public } => public.as_ref(),
            Self::Absent | Self::Unusable(_) => None,
        }
    }
}

/// A file's text and mode. What belongs to root may be readable by a group on purpose (a secret
/// that is mounted into a container), so only our own files are held to their mode.
fn read_text(path: &Path) -> std::io::Result<(String, u32)> {
    let file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    let mode = if own { metadata.permissions().mode() } else { 0 };
    let mut text = String::new();
    file.take(MAX_KEY_BYTES).read_to_string(&mut text)?;
    Ok((text, mode))
}

/// A path, short for a person.
pub(crate) fn shown(path: &Path, home: Option<&PathBuf>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    fn make(directory: &Path, name: &str, arguments: &[&str]) -> PathBuf {
        let path = directory.join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-C", "test", "-f"])
            .arg(&path)
            .args(arguments)
            .output()
            .expect("ssh-keygen runs: install openssh-client");
        assert!(made.status.success(), "{made:?}");
        path
    }

    fn show(file: &KeyFile) -> String {
        match file {
            KeyFile::Absent => "absent".to_owned(),
            KeyFile::Ready { key, certificate } => {
                format!("{} certificate={}", key.algorithm(), certificate.is_some())
            }
            KeyFile::Locked { public } => format!("locked public={}", public.is_some()),
            KeyFile::Unusable(why) => why.clone(),
        }
    }

    #[test]
    fn keys_as_openssh_makes_them() {
        let directory = tempfile::tempdir().expect("directory");
        let at = directory.path();
        let open = make(at, "open", &["-t", "ed25519", "-N", ""]);
        let authority = make(at, "authority", &["-t", "ed25519", "-N", ""]);
        make(at, "rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
        make(at, "pem", &["-t", "rsa", "-b", "2048", "-N", "", "-m", "PEM"]);
        make(at, "ecdsa", &["-t", "ecdsa", "-N", ""]);
        make(at, "locked", &["-t", "ed25519", "-N", "secret"]);
        make(at, "locked-pem", &["-t", "rsa", "-b", "2048", "-N", "secret", "-m", "PEM"]);
        make(at, "certified", &["-t", "ed25519", "-N", ""]);
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-s"])
            .arg(&authority)
            .args(["-I", "id", "-n", "me"])
            .arg(at.join("certified.pub"))
            .status()
            .expect("ssh-keygen runs");
        assert!(signed.success());
        std::fs::copy(&open, at.join("wide")).expect("copied");
        std::fs::set_permissions(at.join("wide"), std::fs::Permissions::from_mode(0o644))
            .expect("set");
        std::fs::write(at.join("odd"), "no key").expect("written");
        std::fs::set_permissions(at.join("odd"), std::fs::Permissions::from_mode(0o600))
            .expect("set");
        make(at, "agent-only", &["-t", "ed25519", "-N", ""]);
        std::fs::remove_file(at.join("agent-only")).expect("removed");
        for (name, expected) in [
            ("open", "ssh-ed25519 certificate=false"),
            ("rsa", "ssh-rsa certificate=false"),
            ("pem", "ssh-rsa certificate=false"),
            ("ecdsa", "ecdsa-sha2-nistp256 certificate=false"),
            ("certified", "ssh-ed25519 certificate=true"),
            ("locked", "locked public=true"),
            ("locked-pem", "locked public=true"),
            ("open.pub", "locked public=true"),
            ("agent-only", "locked public=true"),
            ("missing", "absent"),
            ("wide", "others may read it (mode 0644): chmod 600 it"),
            ("odd", "it holds no key that is understood: Could not read key"),
            ("", "it cannot be read: Is a directory (os error 21)"),
        ] {
            assert_eq!(show(&KeyFile::load(&at.join(name))), expected, "{name}");
        }
    }
}
