//! Which host keys are known (the section on `ssh_known_hosts` of sshd(8)).
//!
//! **For**: [`KnownHosts::parse`] reads one file; [`check`] says whether a host is who it should be.
//! **Must hold**: unknown, changed, revoked are different answers; a host that is known by other
//! keys only is changed, not new; a line that cannot be understood is no permission.
//! **Does not**: read or write files (see [`append`]), nor verify that the host holds the key (the
//! key exchange does).

pub(crate) mod append;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::{
    Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate, ssh_key,
};
use ssh_key::known_hosts::HostPatterns;

use crate::config::pattern;
use crate::route::TrustRules;

/// The longest file that is read, in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 16 << 20;

/// One file of known hosts.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    file: PathBuf,
    lines: Vec<Line>,
    /// Lines for a single host that is written plainly, by that host.
    plain: HashMap<String, Vec<usize>>,
    /// All other lines.
    others: Vec<usize>,
}

#[derive(Debug)]
struct Line {
    number: usize,
    marker: Option<Marker>,
    hosts: Hosts,
    /// The key's type and the key, as written: understood only when the host fits.
    key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Authority,
    Revoked,
}

#[derive(Debug)]
enum Hosts {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: [u8; 20] },
}

/// Where a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    file: PathBuf,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What is known of a host's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the right one.
    Known,
    /// The host was never seen.
    Unknown,
    /// Another key is known.
    Changed {
        /// Where.
        place: Place,
        /// Its fingerprint.
        known: String,
    },
    /// The key must not be accepted any more.
    Revoked(Place),
    /// An authority is known for the host, but the certificate is not good.
    BadCertificate(String),
}

impl KnownHosts {
    /// Reads one file. Lines that cannot be understood are left out, as OpenSSH does.
    pub(crate) fn parse(file: PathBuf, bytes: &[u8]) -> Self {
        let mut known = Self { file, ..Self::default() };
        let text = String::from_utf8_lossy(bytes);
        for (index, text) in text.lines().enumerate() {
            let Some(line) = Line::parse(index + 1, text) else { continue };
            let position = known.lines.len();
            match line.single_host() {
                Some(host) => known.plain.entry(host.to_owned()).or_default().push(position),
                None => known.others.push(position),
            }
            known.lines.push(line);
        }
        known
    }

    /// Lines that are for a host, in the file's order.
    fn for_host<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        let plain = self.plain.get(name).into_iter().flatten();
        let others = self
            .others
            .iter()
            .filter(|&&index| self.lines.get(index).is_some_and(|line| line.hosts.fit(name)));
        plain.chain(others).filter_map(|&index| self.lines.get(index))
    }

    fn place(&self, line: &Line) -> Place {
        Place { file: self.file.clone(), line: line.number }
    }
}

impl Line {
    fn parse(number: usize, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with('#') {
            return None;
        }
        let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
        let mut word = words.next()?;
        let marker = match word {
            "@cert-authority" => Some(Marker::Authority),
            "@revoked" => Some(Marker::Revoked),
            word if word.starts_with('@') => return None,
            _ => None,
        };
        if marker.is_some() {
            word = words.next()?;
        }
        let hosts = match word.starts_with('|') {
            true => match word.parse().ok()? {
                HostPatterns::HashedName { salt, hash } => Hosts::Hashed { salt, hash },
                HostPatterns::Patterns(_) => return None,
            },
            false => Hosts::Patterns(word.to_ascii_lowercase()),
        };
        let key = format!("{} {}", words.next()?, words.next()?);
        Some(Self { number, marker, hosts, key })
    }

    fn single_host(&self) -> Option<&str> {
        match &self.hosts {
            Hosts::Patterns(host) => {
                Some(host.as_str()).filter(|h| !h.contains(['*', '?', '!', ',']))
            }
            Hosts::Hashed { .. } => None,
        }
    }

    fn key(&self) -> Option<PublicKey> {
        PublicKey::from_openssh(&self.key).ok()
    }

    fn kind(&self) -> &str {
        self.key.split(' ').next().unwrap_or_default()
    }
}

impl Hosts {
    fn fit(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => pattern::list_fits(patterns.split(','), name),
            Self::Hashed { salt, hash } => hashed(salt, name) == *hash,
        }
    }
}

/// HMAC-SHA1 of a name, as `ssh-keygen -H` makes it.
fn hashed(salt: &[u8], name: &str) -> [u8; 20] {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    let tag = ring::hmac::sign(&key, name.as_bytes());
    let mut hash = [0; 20];
    for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    hash
}

/// Says what is known of the key that a host offers.
pub(crate) fn check(
    files: &[Arc<KnownHosts>],
    rules: &TrustRules,
    offered: &PublicKeyOrCertificate,
    now_unix_s: u64,
) -> Verdict {
    if let Some(place) = revoked(files, rules, offered) {
        return Verdict::Revoked(place);
    }
    let key = offered.public_key();
    let key = key.key_data();
    let mut other: Option<(Place, String)> = None;
    let mut known = false;
    let mut authorities = Vec::new();
    for file in files {
        for line in file.for_host(&rules.name) {
            let Some(stored) = line.key() else { continue };
            match line.marker {
                Some(Marker::Revoked) => {}
                Some(Marker::Authority) => authorities.push(stored.fingerprint(HashAlg::Sha256)),
                None if stored.key_data() == key => known = true,
                None => {
                    // Of several, that of the same type says most.
                    let same = stored.algorithm() == key.algorithm();
                    if other.is_none() || same {
                        other = Some((file.place(line), fingerprint(&stored)));
                    }
                }
            }
        }
    }
    if let Some(certificate) = offered.certificate()
        && !authorities.is_empty()
    {
        match certified(certificate, &authorities, rules, now_unix_s) {
            Ok(()) => return Verdict::Known,
            Err(reason) if !known => return Verdict::BadCertificate(reason),
            Err(_) => {}
        }
    }
    let without_port = rules.name_without_port.as_deref();
    match other {
        _ if known => Verdict::Known,
        Some((place, known)) => Verdict::Changed { place, known },
        // A key that is known without the port counts, as in OpenSSH; another one says nothing.
        None if without_port.is_some_and(|name| holds(files, name, key)) => Verdict::Known,
        None => Verdict::Unknown,
    }
}

fn holds(files: &[Arc<KnownHosts>], name: &str, key: &ssh_key::public::KeyData) -> bool {
    files.iter().flat_map(|file| file.for_host(name)).any(|line| {
        line.marker.is_none() && line.key().is_some_and(|stored| stored.key_data() == key)
    })
}

/// Where a key is revoked, for the host with its port or without: what counts without the port as
/// known counts so as revoked.
fn revoked(
    files: &[Arc<KnownHosts>],
    rules: &TrustRules,
    offered: &PublicKeyOrCertificate,
) -> Option<Place> {
    let names = [Some(rules.name.as_str()), rules.name_without_port.as_deref()];
    files.iter().find_map(|file| {
        let mut lines = names.into_iter().flatten().flat_map(|name| file.for_host(name));
        let is_it = |line: &&Line| {
            line.marker == Some(Marker::Revoked)
                && line.key().is_some_and(|stored| is_revoked(&stored, offered))
        };
        lines.find(is_it).map(|line| file.place(line))
    })
}

fn is_revoked(revoked: &PublicKey, offered: &PublicKeyOrCertificate) -> bool {
    let revoked = revoked.key_data();
    offered.public_key().key_data() == revoked
        || offered.certificate().is_some_and(|certificate| certificate.signature_key() == revoked)
}

/// Whether a host certificate is good for a host (PROTOCOL.certkeys of OpenSSH).
fn certified(
    certificate: &Certificate,
    authorities: &[ssh_key::Fingerprint],
    rules: &TrustRules,
    now_unix_s: u64,
) -> Result<(), String> {
    let signer = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if !authorities.contains(&signer) {
        return Err(format!("it is signed by {signer}, which is no known authority for this host"));
    }
    if !certificate.cert_type().is_host() {
        return Err("it is no certificate for a host".to_owned());
    }
    if certificate.critical_options().iter().next().is_some() {
        return Err("it has critical options, and a host certificate has none".to_owned());
    }
    let name = rules.name_without_port.as_deref().unwrap_or(&rules.name);
    let principals = certificate.valid_principals();
    let named = principals.iter().any(|principal| {
        let principal = principal.to_ascii_lowercase();
        pattern::fits(&principal, name) || pattern::fits(&principal, &rules.name)
    });
    if !principals.is_empty() && !named {
        return Err(format!("it is for {}, not for {name}", principals.join(", ")));
    }
    if now_unix_s < certificate.valid_after() {
        return Err("it is not valid yet".to_owned());
    }
    if certificate.valid_before() <= now_unix_s {
        return Err("it has expired".to_owned());
    }
    certificate
        .validate_at(now_unix_s, authorities)
        .map_err(|error| format!("its signature is wrong: {error}"))
}

/// What a person compares: `SHA256:…`.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Which types of keys a host is known by, so that it is asked for one of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct KnownTypes {
    ed25519: bool,
    ecdsa: bool,
    rsa: bool,
    /// An authority is known for it: certificates are asked for.
    pub(crate) authority: bool,
}

/// What a host is known by.
pub(crate) fn known_types(files: &[Arc<KnownHosts>], rules: &TrustRules) -> KnownTypes {
    let mut known = KnownTypes::default();
    let names = [Some(rules.name.as_str()), rules.name_without_port.as_deref()];
    for name in names.into_iter().flatten() {
        for line in files.iter().flat_map(|file| file.for_host(name)) {
            match (line.marker, line.kind()) {
                (Some(Marker::Authority), _) => known.authority = true,
                (Some(Marker::Revoked), _) => {}
                (None, "ssh-ed25519") => known.ed25519 = true,
                (None, "ssh-rsa") => known.rsa = true,
                (None, kind) => known.ecdsa |= kind.starts_with("ecdsa-"),
            }
        }
        if known != KnownTypes::default() {
            break;
        }
    }
    known
}

/// The types of host keys in the order of OpenSSH; signatures with SHA-1 are not accepted.
pub(crate) const HOST_KEY_TYPES: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

impl KnownTypes {
    /// All types, the known ones first.
    pub(crate) fn order(self) -> Vec<Algorithm> {
        let mut types = HOST_KEY_TYPES.to_vec();
        types.sort_by_key(|algorithm| !match algorithm {
            Algorithm::Ed25519 => self.ed25519,
            Algorithm::Ecdsa { .. } => self.ecdsa,
            _ => self.rsa,
        });
        types
    }
}

/// Any bytes as a file of known hosts: what holds whatever they are.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
    let Ok(key) = PublicKey::from_openssh(KEY) else { return };
    let files = [Arc::new(KnownHosts::parse("known_hosts".into(), bytes))];
    let rules = TrustRules {
        name: "[host]:7".to_owned(),
        name_without_port: Some("host".to_owned()),
        files: Vec::new(),
        writable: None,
        accept_new: false,
        strict: false,
        hash: false,
    };
    known_types(&files, &rules);
    let blob = KEY.split(' ').nth(1).unwrap_or_default();
    if check(&files, &rules, &key.into(), 0) == Verdict::Known {
        // Nobody is known by a key that is not in the file.
        let text = String::from_utf8_lossy(bytes);
        assert!(text.contains(blob.trim_end_matches('=')), "{text}");
    }
}
