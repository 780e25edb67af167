//! The fault catalogue: what is known of each fault that a kernel reports, as data.
//!
//! The data is `faults.json` beside this crate's manifest, embedded; a user's configuration may change
//! or add entries. What must hold: a code stands for one entry; every entry names its sources, and
//! where public sources disagree the entry says how and what was chosen. Lines are recognised by
//! *families*, each a pattern with a literal that any matching line holds, so that a log full of other
//! lines costs a search for a few words each.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::check::Status;
use crate::fault::FaultCode;

/// What kind of trouble a fault is: what is done about it follows from that.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The application did something wrong; the hardware is well.
    Application,
    /// Says more about another fault, or is worth knowing and no more.
    Information,
    /// The GPU must be reset.
    GpuReset,
    /// The link between GPUs, or the switch behind it.
    NvLink,
    /// Only a reboot brings it back.
    Reboot,
    /// Cabling or power of a GPU.
    GpuPower,
    /// The fabric manager's switches (SXid).
    Fabric,
    /// PCI Express errors.
    Pcie,
    /// InfiniBand or Ethernet adapters.
    Network,
    /// Disks: NVMe, SATA, SCSI.
    Disk,
    /// Filesystems, local or over a network.
    Filesystem,
    /// The host's memory: ECC, killed processes.
    Memory,
    /// The host's processors: machine checks, lockups, thermal trips.
    Cpu,
    /// The kernel itself: panics, oopses, hung tasks.
    Kernel,
}

/// When a fault that was seen is over.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clears {
    /// When it was not seen again for so many seconds.
    AfterSeconds(u64),
    /// When the device was reset or the machine was booted again.
    Reset,
    /// When the machine was booted again.
    Reboot,
}

/// What changes when a fault comes again.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// From how many sightings on, this one included.
    pub count: u32,
    /// Within how many seconds.
    pub within_seconds: u64,
    /// What it is then.
    pub status: Status,
    /// What to do then.
    pub advice: String,
}

/// On some hardware or drivers a fault means something else.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Words of which one must be in the GPU's model, in any case (`B200`, `GB200`); empty: any.
    #[serde(default)]
    pub models: Vec<String>,
    /// The oldest major version of the driver that is meant; none: any.
    #[serde(default)]
    pub driver_from: Option<u32>,
    /// The first major version of the driver that is not meant any more; none: any.
    #[serde(default)]
    pub driver_before: Option<u32>,
    /// What the line must say, by the names of the family's pattern (`sub_code`: `0x15`).
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// What it is then; none: as otherwise.
    #[serde(default)]
    pub status: Option<Status>,
    /// What it means then; none: as otherwise.
    #[serde(default)]
    pub meaning: Option<String>,
    /// What to do then; none: as otherwise.
    #[serde(default)]
    pub advice: Option<String>,
}

/// Who says so.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The document or project, by name ("NVIDIA XID catalog", "gpud", "NVSentinel").
    pub name: String,
    /// What it says, in our words, in a few of them.
    pub says: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEntry {
    /// Its code.
    pub code: FaultCode,
    /// What it is called, in a few words: "GPU fell off the bus".
    pub title: String,
    /// What it means, in our own words.
    pub meaning: String,
    /// What kind of trouble it is.
    pub class: FaultClass,
    /// What a sighting makes of the device. `healthy`: worth an event, and no finding.
    pub status: Status,
    /// What to do.
    pub advice: String,
    /// When it is over.
    pub clears: Clears,
    /// What changes when it comes again, the worst last.
    #[serde(default)]
    pub repeated: Vec<Repeated>,
    /// Where it means something else; the first that fits holds.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Whether it comes beside another fault of the same device, which explains it.
    #[serde(default)]
    pub follows: bool,
    /// Whether a single sighting is shown and told, and lowers no score and no level: an application
    /// failed on a machine that is well. What `repeated` makes of it counts.
    #[serde(default)]
    pub advisory: bool,
    /// Faults of the same device that are over when this is seen: the kernel says that something is
    /// well again.
    #[serde(default)]
    pub ends: Vec<FaultCode>,
    /// Who says so.
    pub sources: Vec<Source>,
    /// Where they disagree, and what was chosen and why; empty where they agree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub conflict: String,
}

/// How lines are recognised.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultFamily {
    /// Its name: `xid`.
    pub name: String,
    /// Words of which each matching line holds at least one, as they stand: the cheap first look.
    pub literals: Vec<String>,
    /// The pattern, in the syntax of Rust's `regex`, over one line without its prefix. Groups with names are
    /// facts; `device` is the device, `number` stands for `{number}` in the code.
    pub pattern: String,
    /// The code: `xid-{number}`, or a plain one.
    pub code: String,
    /// The code where the catalogue has no entry for that one; none: the line is no fault then.
    #[serde(default)]
    pub otherwise: Option<FaultCode>,
    /// Words that a line of this family never has: benign lines that look alike.
    #[serde(default)]
    pub never: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultCatalogue {
    /// How lines are recognised; the first that matches holds.
    pub families: Vec<FaultFamily>,
    /// What the codes mean.
    pub entries: Vec<FaultEntry>,
}

/// Why a catalogue is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of}: {field}: {problem}")]
pub struct CatalogueMistake {
    /// The code of the entry, or the name of the family.
    pub of: String,
    /// Which part of it.
    pub field: &'static str,
    /// What is wrong, in words that go behind that.
    pub problem: String,
    /// The code that was meant and has no entry.
    pub unknown: Option<FaultCode>,
}

impl CatalogueMistake {
    fn new(of: &str, field: &'static str, problem: impl Into<String>) -> Self {
        Self { of: of.to_owned(), field, problem: problem.into(), unknown: None }
    }

    fn no_entry(of: &str, field: &'static str, code: &FaultCode) -> Self {
        let unknown = Some(code.clone());
        Self { unknown, ..Self::new(of, field, format!("{code} has no entry")) }
    }
}

impl FaultCatalogue {
    /// The one that comes with the program.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: LazyLock<Arc<FaultCatalogue>> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the data is part of the program; a test reads it"
            )]
            let catalogue = serde_json::from_str(include_str!("../faults.json"))
                .expect("the embedded catalogue is valid");
            Arc::new(catalogue)
        });
        Arc::clone(&EMBEDDED)
    }

    /// The same with changes: what has a known name or code takes the place of that one, and new
    /// families come before all others, so that they are asked first.
    #[must_use]
    pub fn changed_by(&self, families: &[FaultFamily], entries: &[FaultEntry]) -> Self {
        let mut all = self.clone();
        let mut new = Vec::new();
        for family in families {
            match all.families.iter_mut().find(|known| known.name == family.name) {
                Some(known) => known.clone_from(family),
                None => new.push(family.clone()),
            }
        }
        all.families.splice(..0, new);
        for entry in entries {
            match all.entries.iter_mut().find(|known| known.code == entry.code) {
                Some(known) => known.clone_from(entry),
                None => all.entries.push(entry.clone()),
            }
        }
        all
    }

    /// What is wrong with it; nothing where it can be used. Whether patterns compile is for whoever
    /// has the library for them.
    #[must_use]
    pub fn validate(&self) -> Vec<CatalogueMistake> {
        let mut mistakes = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            entry.validate(&mut mistakes);
            let code = entry.code.as_str();
            if self.entries.iter().take(place).any(|other| other.code == entry.code) {
                mistakes.push(CatalogueMistake::new(code, "code", "it is listed twice"));
            }
            for ended in &entry.ends {
                if *ended == entry.code {
                    mistakes.push(CatalogueMistake::new(code, "ends", "it ends itself"));
                } else if self.find(ended).is_none() {
                    mistakes.push(CatalogueMistake::no_entry(code, "ends", ended));
                }
            }
        }
        for (place, family) in self.families.iter().enumerate() {
            family.validate(&mut mistakes);
            let name = &family.name;
            if self.families.iter().take(place).any(|other| other.name == *name) {
                mistakes.push(CatalogueMistake::new(name, "name", "it is listed twice"));
            }
            let plain = FaultCode(family.code.clone().into());
            if !family.code.contains("{number}") && self.find(&plain).is_none() {
                mistakes.push(CatalogueMistake::no_entry(name, "code", &plain));
            }
            if let Some(code) = family.otherwise.as_ref().filter(|code| self.find(code).is_none()) {
                mistakes.push(CatalogueMistake::no_entry(name, "otherwise", code));
            }
        }
        mistakes
    }

    /// The entry of a code.
    #[must_use]
    pub fn find(&self, code: &FaultCode) -> Option<&FaultEntry> {
        self.entries.iter().find(|entry| entry.code == *code)
    }
}

impl FaultEntry {
    /// The longest text of an entry, in characters.
    pub const MAX_TEXT: usize = 400;
    /// The longest code, in bytes.
    pub const MAX_CODE: usize = 64;

    /// Where it means something else on this GPU, with this driver, or by what the line says: the
    /// first variant that fits.
    #[must_use]
    pub fn variant(
        &self,
        model: &str,
        driver_major: Option<u32>,
        facts: &BTreeMap<String, String>,
    ) -> Option<&Variant> {
        let model = model.to_lowercase();
        self.variants.iter().find(|variant| {
            let models = &variant.models;
            let of_model =
                models.is_empty() || models.iter().any(|word| model.contains(&word.to_lowercase()));
            let from =
                variant.driver_from.is_none_or(|from| driver_major.is_some_and(|it| it >= from));
            let before =
                variant.driver_before.is_none_or(|end| driver_major.is_some_and(|it| it < end));
            let said = variant.facts.iter().all(|(name, value)| facts.get(name) == Some(value));
            of_model && from && before && said
        })
    }

    fn validate(&self, mistakes: &mut Vec<CatalogueMistake>) {
        let Self { code, title, meaning, advice, sources, repeated, variants, .. } = self;
        let code = code.as_str();
        let mut refuse =
            |field, what: &str| mistakes.push(CatalogueMistake::new(code, field, what));
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let plain = code.chars().all(|letter| is_plain(letter) || matches!(letter, '-' | '_'));
        if code.is_empty() || code.len() > Self::MAX_CODE || !plain {
            refuse("code", "it is not of at most 64 small letters, digits and hyphens");
        }
        let is_long = |text: &String| text.chars().count() > Self::MAX_TEXT;
        for (name, text) in [("title", title), ("meaning", meaning), ("advice", advice)] {
            if text.is_empty() || is_long(text) {
                refuse(name, "it is empty or longer than 400 characters");
            }
        }
        if sources.is_empty() || sources.iter().any(|it| it.name.is_empty() || it.says.is_empty()) {
            refuse("sources", "it names no source");
        }
        if repeated.iter().any(|it| it.count < 2 || it.within_seconds == 0 || is_long(&it.advice)) {
            refuse("repeated", "it needs at least two sightings, a time, and a short advice");
        }
        if !repeated.is_sorted_by_key(|it| it.status.severity()) {
            refuse("repeated", "it is not in the order of badness");
        }
        let texts = variants.iter().flat_map(|it| it.meaning.iter().chain(&it.advice));
        if texts.into_iter().any(is_long) {
            refuse("variants", "a text is longer than 400 characters");
        }
        let is_bad = matches!(self.status, Status::Unhealthy | Status::Critical | Status::Unknown);
        if self.advisory && is_bad {
            refuse("advisory", "what lowers no level can be degraded at most");
        }
    }
}

impl FaultFamily {
    /// The longest pattern, in bytes.
    pub const MAX_PATTERN: usize = 1000;
    /// The most words of which a line holds one; a machine over SSH is told all of them.
    pub const MAX_LITERALS: usize = 16;
    /// The least and the most letters of such a word: a short one is in every line.
    pub const LITERAL_LENGTHS: std::ops::RangeInclusive<usize> = 3..=80;

    fn validate(&self, mistakes: &mut Vec<CatalogueMistake>) {
        let Self { name, literals, pattern, .. } = self;
        let mut refuse = |field, what| mistakes.push(CatalogueMistake::new(name, field, what));
        if pattern.is_empty() || pattern.len() > Self::MAX_PATTERN {
            refuse("pattern", format!("it is empty or longer than {} bytes", Self::MAX_PATTERN));
        }
        if literals.is_empty() || literals.len() > Self::MAX_LITERALS {
            refuse("literals", format!("1 to {} are needed", Self::MAX_LITERALS));
        }
        for literal in literals {
            let is_plain = literal.chars().all(|letter| (' '..='~').contains(&letter));
            if !is_plain || !Self::LITERAL_LENGTHS.contains(&literal.len()) {
                let (least, most) = (Self::LITERAL_LENGTHS.start(), Self::LITERAL_LENGTHS.end());
                refuse(
                    "literals",
                    format!("{literal:?} is not {least} to {most} plain ASCII characters"),
                );
            }
        }
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application => "application",
            Self::Information => "information",
            Self::GpuReset => "GPU reset",
            Self::NvLink => "NVLink",
            Self::Reboot => "reboot",
            Self::GpuPower => "GPU power",
            Self::Fabric => "fabric",
            Self::Pcie => "PCIe",
            Self::Network => "network",
            Self::Disk => "disk",
            Self::Filesystem => "filesystem",
            Self::Memory => "memory",
            Self::Cpu => "CPU",
            Self::Kernel => "kernel",
        })
    }
}
