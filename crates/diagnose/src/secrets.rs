//! Removes what nobody else may see from text.
//!
//! By shape, line by line: values behind names that say so, credentials in addresses, keys of known
//! services, private keys. What must hold: a line without a hint costs a look and no more; what is
//! removed is counted.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

/// What stands in for a secret.
const REMOVED: &str = "[removed]";

/// Without one of these in it, in small letters, a line holds none of the shapes.
const HINTS: &[&str] = &[
    "pass",
    "secret",
    "token",
    "key",
    "credential",
    "authorization",
    "cookie",
    "bearer",
    "://",
    "akia",
    "asia",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xox",
    "hf_",
    "sk-",
    "eyj",
    "aiza",
    "nvapi-",
    "wandb",
];

/// Shapes that are compiled once. A pattern that did not compile would remove nothing: a test sees
/// to it that all do.
static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    // Names end with the word, so that counts of tokens and "bypass" are no secrets.
    let word = r"(?:pass(?:wor[dt]|wd|phrase)[\w.-]*|secret[\w.-]*|credentials?|token|cookie|(?:api|access|private|account|encryption|signing|luks|ssh|wandb)[._-]?key(?:[._-]?id)?)\d*";
    let name = format!(r"(?:[\w.-]*{word}|(?:[\w.-]*[._-])?pass)");
    let value = r#"\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s,;&"'\\]|\\[^\s"'])+"#;
    let shapes = [
        format!(r#"(?i)((?:\\?["'])?\b{name}(?:\\?["'])?\s*[=:]\s*)({value})"#),
        format!(r#"(?i)(--{name}\s+)({value})"#),
        r#"(?i)(\bauthorization["']?\s*[:=]\s*["']?)[^"'\r\n\\]+"#.to_owned(),
        r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}".to_owned(),
        r"([a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@".to_owned(),
        r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b".to_owned(),
        r"()\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,})".to_owned(),
        r"()\b(?:xox[abeoprs]-[\w-]{10,}|hf_[A-Za-z0-9]{16,}|nvapi-[\w-]{16,})".to_owned(),
        r"()\b(?:sk-[\w-]{16,}|AIza[\w-]{30,})".to_owned(),
        r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*".to_owned(),
    ];
    shapes.into_iter().filter_map(|shape| Regex::new(&shape).ok()).collect()
});

/// The text without secrets, and how many there were.
#[must_use]
pub(crate) fn remove(text: &str) -> (Cow<'_, str>, usize) {
    let mut removed = 0;
    let mut clean = String::new();
    let mut copied = 0;
    let mut at = 0;
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        let (from, to) = (at, at + line.len());
        at = to;
        let begins = line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
        let replaced = if in_key || begins {
            let first = begins && !in_key;
            removed += usize::from(first);
            in_key = !line.contains("-----END ");
            Some(if first { Cow::Borrowed("[removed]\n") } else { Cow::Borrowed("") })
        } else if is_hinted(line) {
            let (line, count) = remove_from(line);
            removed += count;
            (count > 0).then_some(line)
        } else {
            None
        };
        if let Some(replaced) = replaced {
            clean.push_str(text.get(copied..from).unwrap_or_default());
            clean.push_str(&replaced);
            copied = to;
        }
    }
    if copied == 0 && clean.is_empty() {
        return (Cow::Borrowed(text), removed);
    }
    clean.push_str(text.get(copied..).unwrap_or_default());
    (Cow::Owned(clean), removed)
}

fn is_hinted(line: &str) -> bool {
    let small = line.to_ascii_lowercase();
    HINTS.iter().any(|hint| small.contains(hint))
}

fn remove_from(line: &str) -> (Cow<'_, str>, usize) {
    let mut count = 0;
    let mut line = Cow::Borrowed(line);
    for shape in SHAPES.iter() {
        let with = |captures: &Captures<'_>| {
            let whole = captures.get(0).map_or("", |found| found.as_str());
            if whole.contains(REMOVED) {
                return whole.to_owned();
            }
            count += 1;
            let kept = captures.get(1).map_or("", |found| found.as_str());
            let tail = if whole.ends_with('@') { "@" } else { "" };
            let value = captures.get(2).map_or("", |found| found.as_str());
            // A quoted value stays quoted: JSON stays JSON.
            let quote = ["\\\"", "\"", "'"].into_iter().find(|quote| value.starts_with(quote));
            let quote = quote.unwrap_or_default();
            format!("{kept}{quote}{REMOVED}{quote}{tail}")
        };
        if let Cow::Owned(changed) = shape.replace_all(&line, with) {
            line = Cow::Owned(changed);
        }
    }
    (line, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_compiles() {
        assert_eq!(SHAPES.len(), 10);
    }

    #[test]
    fn secrets_are_removed_and_what_helps_is_kept() {
        for (text, clean) in [
            ("password=hunter2 ro quiet", "password=[removed] ro quiet"),
            (
                "/vmlinuz rd.luks.key=abc root=/dev/sda",
                "/vmlinuz rd.luks.key=[removed] root=/dev/sda",
            ),
            ("mount -o name=admin,secret=AQBx==,rw", "mount -o name=admin,secret=[removed],rw"),
            (r#"{"api_key": "abc def", "n": 1}"#, r#"{"api_key": "[removed]", "n": 1}"#),
            ("run --auth-token s3cr3t --n 4", "run --auth-token [removed] --n 4"),
            ("Authorization: Bearer abc.def", "Authorization: [removed]"),
            ("proxy http://me:pw123@proxy:3128/", "proxy http://me:[removed]@proxy:3128/"),
            ("AKIAABCDEFGHIJKLMNOP", "[removed]"),
            ("x hf_abcdefghijklmnopqrstuv y", "x [removed] y"),
        ] {
            assert_eq!(remove(text), (Cow::Borrowed(clean), 1), "{text}");
        }
        for kept in [
            "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.",
            "Key type ed25519 registered",
            "Speculative Store Bypass: Vulnerable",
            "{\"pass_rate_percent\": 100.0, \"tokens_per_second\": 12}",
            "Basic authentication required",
            "https://docs.nvidia.com/deploy/xid-errors",
            "usb 1-1: SerialNumber: 0123456789",
            "GPU UUID : GPU-64c6592e-0317-762b-fb32-0d561ed649ae",
        ] {
            assert_eq!(remove(kept), (Cow::Borrowed(kept), 0), "{kept}");
        }
    }

    #[test]
    fn json_stays_json() {
        let inner = "mount -o secret=ab\\\\cd \"password\": \"x\", Authorization: Basic abc=";
        let value = serde_json::json!({ "password": "a\"b", "n": 1, "message": inner });
        let (clean, removed) = (remove(&value.to_string()).0.into_owned(), 4);
        let _: serde_json::Value = serde_json::from_str(&clean).expect(&clean);
        assert_eq!(remove(&value.to_string()).1, removed, "{clean}");
        for secret in ["a\\\"b", "ab", "cd", "abc="] {
            assert!(!clean.contains(secret), "{secret}: {clean}");
        }
    }

    #[test]
    fn a_private_key_goes_as_a_whole() {
        let text = "a\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\nAAAA\n-----END OPENSSH PRIVATE KEY-----\nz\n";
        assert_eq!(remove(text), (Cow::Borrowed("a\n[removed]\nz\n"), 1));
    }
}
