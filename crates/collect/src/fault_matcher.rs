//! Finds the faults of the catalogue in lines of a kernel's log.
//!
//! What must hold: a line that is no fault costs a search for a few words and nothing else; what is
//! taken from a line is printable and bounded; a PCI address has one form, however it was written.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use regex_lite::{Captures, Regex};
use sickbay_model::{FaultCatalogue, FaultCode, FaultFamily, FaultSighting, LogPosition};

use crate::parse::printable;

/// The longest fact that is kept, in characters.
const MAX_FACT_CHARACTERS: usize = 80;

/// The longest name of a device, in characters.
const MAX_DEVICE_CHARACTERS: usize = 128;

/// Recognises lines.
#[derive(Debug)]
pub struct FaultMatcher {
    catalogue: Arc<FaultCatalogue>,
    families: Vec<Family>,
    /// What is sent to machines over SSH with these words in it.
    pub(crate) remote_program: OnceLock<Arc<[u8]>>,
}

impl PartialEq for FaultMatcher {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.catalogue, &other.catalogue) || self.catalogue == other.catalogue
    }
}

#[derive(Debug)]
struct Family {
    literals: Vec<Vec<u8>>,
    never: Vec<String>,
    pattern: Regex,
    /// Names of the groups that are facts.
    facts: Vec<String>,
    code: String,
    otherwise: Option<FaultCode>,
}

/// A pattern of the catalogue that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern of the fault family {family}: {why}")]
pub struct PatternError {
    /// Of which family.
    pub family: String,
    /// What is wrong with it.
    pub why: String,
}

impl FaultMatcher {
    /// For the catalogue that comes with the program, made once.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: LazyLock<Arc<FaultMatcher>> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the data is part of the program; a test reads it"
            )]
            let matcher = FaultMatcher::new(&FaultCatalogue::embedded())
                .expect("the embedded patterns are valid");
            Arc::new(matcher)
        });
        Arc::clone(&EMBEDDED)
    }

    /// For a catalogue.
    ///
    /// # Errors
    /// When a pattern cannot be compiled, or a family has no literal.
    pub fn new(catalogue: &Arc<FaultCatalogue>) -> Result<Self, PatternError> {
        let families = catalogue.families.iter().map(Family::new).collect::<Result<_, _>>()?;
        let remote_program = OnceLock::new();
        Ok(Self { catalogue: Arc::clone(catalogue), families, remote_program })
    }

    /// Whether a family's pattern can be used.
    ///
    /// # Errors
    /// When it cannot be compiled, or there is no literal.
    pub fn check(family: &FaultFamily) -> Result<(), PatternError> {
        Family::new(family).map(drop)
    }

    /// What it recognises.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<FaultCatalogue> {
        &self.catalogue
    }

    /// The fault in a message, if it holds one.
    #[must_use]
    pub fn find(
        &self,
        message: &[u8],
        since_boot_us: u64,
        position: LogPosition,
    ) -> Option<FaultSighting> {
        let family =
            self.families.iter().filter(|family| family.may_be_in(message)).find_map(|family| {
                let text = printable(message, FaultSighting::MAX_LINE * 2);
                family.read(&text, &self.catalogue)
            })?;
        let (code, device, facts) = family;
        Some(FaultSighting {
            code,
            device,
            since_boot_ms: since_boot_us / 1000,
            at: sickbay_model::Timestamp::EPOCH,
            position,
            line: printable(message, FaultSighting::MAX_LINE),
            facts,
        })
    }

    /// The words of which every line of a fault holds at least one: for whoever sends lines.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.families.iter().flat_map(|family| family.literals.iter().map(Vec::as_slice))
    }
}

type Found = (FaultCode, String, BTreeMap<String, String>);

impl Family {
    fn new(family: &FaultFamily) -> Result<Self, PatternError> {
        let refuse = |why: String| PatternError { family: family.name.clone(), why };
        let pattern = Regex::new(&family.pattern).map_err(|error| refuse(error.to_string()))?;
        if family.literals.is_empty() || family.literals.iter().any(String::is_empty) {
            return Err(refuse("it needs words that every matching line holds".to_owned()));
        }
        let names = pattern.capture_names().flatten();
        let facts = names.filter(|name| !["device", "number"].contains(name));
        Ok(Self {
            literals: family.literals.iter().map(|literal| literal.clone().into_bytes()).collect(),
            never: family.never.clone(),
            facts: facts.map(str::to_owned).collect(),
            code: family.code.clone(),
            otherwise: family.otherwise.clone(),
            pattern,
        })
    }

    fn may_be_in(&self, message: &[u8]) -> bool {
        self.literals.iter().any(|literal| holds(message, literal))
    }

    fn read(&self, text: &str, catalogue: &FaultCatalogue) -> Option<Found> {
        let captures = self.pattern.captures(text)?;
        if self.never.iter().any(|word| text.contains(word.as_str())) {
            return None;
        }
        let code = self.code(&captures, catalogue)?;
        let device = captures.name("device").map(|it| device(it.as_str())).unwrap_or_default();
        let facts = self.facts.iter().filter_map(|name| {
            let value = captures.name(name)?.as_str().trim();
            let value: String = value.chars().take(MAX_FACT_CHARACTERS).collect();
            (!value.is_empty()).then(|| (name.clone(), value))
        });
        Some((code, device, facts.collect()))
    }

    fn code(&self, captures: &Captures<'_>, catalogue: &FaultCatalogue) -> Option<FaultCode> {
        let number = captures.name("number").map_or("", |number| number.as_str());
        let number = number.trim_start_matches('0');
        let number = if number.is_empty() { "0" } else { number };
        let code = FaultCode(self.code.replace("{number}", number).into());
        if catalogue.find(&code).is_some() { Some(code) } else { self.otherwise.clone() }
    }
}

/// Whether the words stand in the message. Both are short.
fn holds(message: &[u8], literal: &[u8]) -> bool {
    let Some((&first, rest)) = literal.split_first() else { return true };
    let mut from = message;
    while let Some(at) = crate::remote::find_byte(from, first) {
        let Some(behind) = from.get(at + 1..) else { return false };
        if behind.starts_with(rest) {
            return true;
        }
        from = behind;
    }
    false
}

/// A device's name; a PCI address in the form `0000:3b:00.0`.
fn device(text: &str) -> String {
    let text = text.trim().trim_end_matches([':', ',', '.']);
    pci_address(text).unwrap_or_else(|| text.chars().take(MAX_DEVICE_CHARACTERS).collect())
}

/// The one form of `3b:00`, `0000:3B:00.0`, `00000000:3b:00.0`, `GPU-…` is none.
#[must_use]
pub fn pci_address(text: &str) -> Option<String> {
    let text = text.strip_prefix("PCI:").unwrap_or(text);
    let (address, function) = match text.split_once('.') {
        Some((address, function)) => (address, u32::from_str_radix(function, 8).ok()?),
        None => (text, 0),
    };
    let parts: Vec<&str> = address.split(':').collect();
    let (domain, bus, slot) = match parts.as_slice() {
        [bus, slot] => ("0", *bus, *slot),
        [domain, bus, slot] => (*domain, *bus, *slot),
        _ => return None,
    };
    if bus.len() != 2 || slot.len() != 2 || domain.len() > 8 || function > 7 {
        return None;
    }
    let number = |part: &str| u32::from_str_radix(part, 16).ok();
    Some(format!("{:04x}:{:02x}:{:02x}.{function}", number(domain)?, number(bus)?, number(slot)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pci_addresses_have_one_form() {
        for (text, expected) in [
            ("0000:3b:00.0", Some("0000:3b:00.0")),
            ("0000:3B:00", Some("0000:3b:00.0")),
            ("3b:00.1", Some("0000:3b:00.1")),
            ("PCI:0000:3b:00", Some("0000:3b:00.0")),
            ("00000000:C1:00.0", Some("0000:c1:00.0")),
            ("10000:01:00.0", Some("10000:01:00.0")),
            ("sda", None),
            ("1:2", None),
            ("0000:3b:00.9", None),
            ("", None),
        ] {
            assert_eq!(pci_address(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_line_becomes_a_sighting_with_its_facts() {
        let line =
            b"NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, name=python3, GPU has fallen off the bus.";
        let found = FaultMatcher::embedded().find(line, 12_345_678, LogPosition(7));
        let found = found.expect("it is in the catalogue");
        assert_eq!(
            (found.code.as_str(), found.device.as_str(), found.since_boot_ms, found.position),
            ("xid-79", "0000:3b:00.0", 12_345, LogPosition(7))
        );
        assert_eq!(found.facts.get("pid").map(String::as_str), Some("4242"));
        assert_eq!(found.facts.get("process").map(String::as_str), Some("python3"));
        // One that nobody has listed is not taken for harmless.
        let found =
            FaultMatcher::embedded().find(b"NVRM: Xid (PCI:0000:3b:00): 999, x", 0, LogPosition(0));
        assert_eq!(found.map(|found| found.code.to_string()).as_deref(), Some("xid-unknown"));
        assert_eq!(
            FaultMatcher::embedded().find(b"NVRM: loading NVIDIA UNIX", 0, LogPosition(0)),
            None
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_looked_at_all_the_same() {
        let line = b"NVRM: Xid (PCI:0000:3b:00): 79, \xff\xfe\x1b[31m";
        let found = FaultMatcher::embedded().find(line, 0, LogPosition(0)).expect("found");
        assert!(!found.line.chars().any(char::is_control), "{}", found.line);
    }
}
