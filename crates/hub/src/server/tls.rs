//! Encryption: the certificate from files, or one that the hub makes for itself.
//!
//! A self-made certificate is kept in the data directory, so that a client that accepted it once
//! meets the same one after a restart. It is made anew when the names it is for have changed.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::TlsSettings;

/// The file of the self-made certificate, in the data directory.
pub const CERTIFICATE_FILE: &str = "tls-certificate.pem";
/// The file of its private key; readable by its owner alone.
pub const KEY_FILE: &str = "tls-key.pem";
/// Which names the self-made certificate is for, one per line.
const NAMES_FILE: &str = "tls-names";

/// Why there is no encryption.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("cannot {operation} {path}: {source}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no usable {what}: {reason}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not fit, or the library refuses them.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(rcgen::Error),
}

/// Loads (or makes) the certificate and says how to serve with it. `names` are host names and
/// addresses that a self-made certificate is for. Blocking: call it while starting.
///
/// # Errors
/// When files are missing, unreadable or do not fit.
pub fn load(
    settings: &TlsSettings,
    data_dir: &Path,
    names: &[String],
) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = match settings {
        TlsSettings::Files { certificate, key } => (certificate.clone(), key.clone()),
        TlsSettings::SelfSigned => self_signed(data_dir, names)?,
    };
    let chain = read_chain(&certificate)?;
    let key = read_key(&key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content =
        |reason: String| TlsError::Content { path: path.to_owned(), what: "certificate", reason };
    let bytes = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| content(error.to_string()))?;
    if chain.is_empty() {
        return Err(content("there is no BEGIN CERTIFICATE in it".to_owned()));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| TlsError::Content {
        path: path.to_owned(),
        what: "private key",
        reason: error.to_string(),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File {
        operation: "read",
        path: path.to_owned(),
        source,
    })
}

/// The files of the self-made certificate, made if they are missing or for other names.
fn self_signed(data_dir: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (data_dir.join(CERTIFICATE_FILE), data_dir.join(KEY_FILE));
    let names_file = data_dir.join(NAMES_FILE);
    let names = all_names(names);
    let wanted = names.join("\n");
    let kept = fs::read_to_string(&names_file).is_ok_and(|kept| kept == wanted);
    if kept && certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(TlsError::Make)?;
    write_private(&key, &made.signing_key.serialize_pem())?;
    write_private(&certificate, &made.cert.pem())?;
    write_private(&names_file, &wanted)?;
    tracing::info!(certificate = %certificate.display(), "made a certificate");
    Ok((certificate, key))
}

fn all_names(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> =
        ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).collect();
    all.extend(names.iter().filter(|name| !name.is_empty()).cloned());
    all.sort_unstable();
    all.dedup();
    all
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let failed = |operation, path: &Path, source| TlsError::File {
        operation,
        path: path.to_owned(),
        source,
    };
    let part = path.with_extension("part");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| failed("write", &part, source))?;
    fs::rename(&part, path).map_err(|source| failed("rename to", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_self_made_certificate_is_kept_and_follows_its_names() {
        let dir = tempfile::tempdir().expect("a directory");
        let pem = || fs::read(dir.path().join(CERTIFICATE_FILE)).expect("a certificate");
        let load = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            load(&TlsSettings::SelfSigned, dir.path(), &names).expect("TLS")
        };
        load(&["gpu-box"]);
        let first = pem();
        load(&["gpu-box"]);
        assert_eq!(pem(), first, "kept over a restart");
        load(&["gpu-box", "10.0.0.7"]);
        assert_ne!(pem(), first, "made anew for other names");
        let mode = fs::metadata(dir.path().join(KEY_FILE)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_mistake_names_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let (missing, noise) = (dir.path().join("missing.pem"), dir.path().join("noise.pem"));
        fs::write(&noise, "no PEM here").expect("a file");
        for (certificate, key, said) in
            [(&missing, &noise, "missing.pem"), (&noise, &noise, "BEGIN CERTIFICATE")]
        {
            let settings =
                TlsSettings::Files { certificate: certificate.clone(), key: key.clone() };
            let error = load(&settings, dir.path(), &[]).expect_err("no certificate").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
