//! NVIDIA's GPUs on the node, through its `nvidia-smi`.
//!
//! What must hold: fields are asked for that this driver knows, found out once; one that hangs is
//! asked with growing pauses and is waited for by nobody.

use std::borrow::Cow;
use std::time::Duration;

use sickbay_model::{ProbeError, ProbeOutcome, ProbeReport, Timestamp, probe};

use super::late_on_node;
use super::reader::Reader;
use super::tree;
use crate::asked::{Asked, Ended, Kept};
use crate::gpu::NvidiaPresence;
use crate::gpu::nvidia_smi::{Answers, NvidiaSmi, needs_remapped_rows, wanted_fields};
use crate::{Fetched, Roots, Sample};

/// The most bytes of an answer: what a driver in trouble says of sixty-four GPUs.
pub(super) const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How often rows of memory that were remapped are asked for where that takes a question of its own.
const REMAPPED_ROWS_INTERVAL: Duration = Duration::from_secs(600);

/// How often what only `nvidia-smi -q` tells is asked for.
const DETAILS_INTERVAL: Duration = Duration::from_secs(600);

/// What `nvidia-smi` ends with, in our program, when it was late.
const LATE: &[u8] = b"124";

/// How it says that it does not know a field.
const UNKNOWN_FIELD: &[u8] = b"not a valid field";

/// The lane.
pub(super) struct Nvidia {
    asked: Asked,
    /// Whether there is something to ask about, once somebody looked.
    present: Option<bool>,
    looked_at: Timestamp,
    /// What this driver knows of what is wanted; `None` before it was asked.
    fields: Option<Vec<&'static str>>,
    driver_version: String,
    smi: NvidiaSmi,
    remapped_rows: Option<Vec<u8>>,
    remapped_rows_due: Duration,
    details: Option<Vec<u8>>,
    details_due: Duration,
    asked_for_details: bool,
    asked_for_help: bool,
}

/// What an answer holds.
#[derive(Default)]
struct Printed<'a> {
    absent: bool,
    help: Option<&'a [u8]>,
    gpus: Option<&'a [u8]>,
    apps: Option<&'a [u8]>,
    remapped_rows: Option<&'a [u8]>,
    details: Option<&'a [u8]>,
    late: Vec<&'a [u8]>,
}

impl<'a> Printed<'a> {
    fn of(reader: &'a Reader) -> Self {
        let mut printed = Self::default();
        for section in reader.sections() {
            match section.words() {
                (b"absent", _) => printed.absent = true,
                (b"help", _) => printed.help = Some(section.content),
                (b"query", _) => printed.gpus = Some(section.content),
                (b"apps", _) => printed.apps = Some(section.content),
                (b"rows", _) => printed.remapped_rows = Some(section.content),
                (b"details", _) => printed.details = Some(section.content),
                (b"status", ended) => {
                    if let Some(what) = ended.strip_suffix(LATE) {
                        printed.late.push(what.trim_ascii_end());
                    }
                }
                _ => {}
            }
        }
        if printed.is_late(b"apps") {
            printed.apps = None;
        }
        if printed.is_late(b"rows") {
            printed.remapped_rows = None;
        }
        if printed.is_late(b"details") {
            printed.details = None;
        }
        printed
    }

    fn is_late(&self, what: &[u8]) -> bool {
        self.late.contains(&what)
    }
}

impl Nvidia {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            asked: Asked::new(probe::NVIDIA, interval),
            present: None,
            looked_at: Timestamp::EPOCH,
            fields: None,
            driver_version: String::new(),
            smi: NvidiaSmi::default(),
            remapped_rows: None,
            remapped_rows_due: Duration::ZERO,
            details: None,
            details_due: Duration::ZERO,
            asked_for_details: false,
            asked_for_help: false,
        }
    }

    /// Takes in what was seen of the hardware. Once there was a GPU it is asked for ever: that it
    /// is gone is the finding.
    pub(super) fn look(&mut self, presence: NvidiaPresence, at: Timestamp) {
        self.looked_at = at;
        self.present = Some(self.present == Some(true) || presence.any());
    }

    /// The words of a question, if it is due.
    pub(super) fn words(&mut self, now: Duration) -> Option<Cow<'static, str>> {
        if self.present != Some(true) || self.asked.due > now {
            return None;
        }
        let Some(fields) = &self.fields else {
            self.asked_for_help = true;
            return Some("help".into());
        };
        self.asked_for_help = false;
        let rows = needs_remapped_rows(fields) && self.remapped_rows_due <= now;
        let rows = if rows { " rows" } else { "" };
        self.asked_for_details = self.details_due <= now;
        let details = if self.asked_for_details { " details" } else { "" };
        Some(format!("{}{rows}{details}", fields.join(",")).into())
    }

    /// How many times as long as others it may take.
    pub(super) fn patience(&self) -> u32 {
        self.asked.patience()
    }

    /// Whether a collection waits for the answer.
    pub(super) fn awaited(&self) -> bool {
        self.asked.hangs == 0
    }

    /// Takes in how the question ended.
    pub(super) fn take(
        &mut self,
        ended: Result<Reader, ProbeError>,
        took: Duration,
        now: Duration,
        at: Timestamp,
    ) {
        let reader = match ended {
            Ok(reader) => reader,
            Err(error) => {
                self.asked.end(Ended { result: Err(error), hung: true, took }, now, at);
                return;
            }
        };
        let printed = Printed::of(&reader);
        let asked_for = if self.asked_for_help { &b"help"[..] } else { b"query" };
        if printed.is_late(asked_for) {
            let result = Err(late_on_node("nvidia-smi", took));
            self.asked.end(Ended { result, hung: true, took }, now, at);
            return;
        }
        if let Some(help) = printed.help {
            let fields = wanted_fields(help);
            if !fields.is_empty() {
                // The question that matters follows at once.
                self.fields = Some(fields);
                return;
            }
        }
        let mut files = Fetched::new();
        tree::load(reader.sections(), &mut files);
        let result = self.understand(&printed, &Roots::fetched(files), now);
        self.asked.end(Ended { result, hung: false, took }, now, at);
    }

    fn understand(
        &mut self,
        printed: &Printed<'_>,
        roots: &Roots,
        now: Duration,
    ) -> Result<Sample, ProbeError> {
        let mut sample = Sample::default();
        if printed.absent {
            self.smi.without_program(roots, &mut sample)?;
            return Ok(sample);
        }
        // A program that knows no field is broken, and says why where it should list them.
        let gpus = printed.gpus.or(printed.help).unwrap_or_default();
        if gpus.windows(UNKNOWN_FIELD.len()).any(|part| part == UNKNOWN_FIELD) {
            self.fields = None;
        }
        if let Some(rows) = printed.remapped_rows {
            self.remapped_rows = Some(rows.to_vec());
            self.remapped_rows_due = now + REMAPPED_ROWS_INTERVAL;
        }
        if self.asked_for_details {
            // Whatever came of it: one that hangs is not asked each time.
            self.details_due = now + DETAILS_INTERVAL;
        }
        if let Some(details) = printed.details {
            self.details = Some(details.to_vec());
        }
        let answers = Answers {
            fields: self.fields.as_deref().unwrap_or_default(),
            gpus,
            apps: printed.apps,
            remapped_rows: self.remapped_rows.as_deref(),
            details: self.details.as_deref(),
        };
        self.smi.sample(roots, &answers, &mut sample)?;
        let gpus = sample.facts.gpus.iter().flatten();
        if let Some(version) = gpus.map(|gpu| &gpu.driver_version).find(|text| !text.is_empty())
            && *version != self.driver_version
        {
            // Another driver may know other fields: it is asked anew for the next time.
            if !self.driver_version.is_empty() {
                self.fields = None;
            }
            self.driver_version.clone_from(version);
        }
        Ok(sample)
    }

    /// The last end.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.asked.last.as_ref()
    }

    /// What is reported where there is nothing to ask.
    pub(super) fn absent(&self) -> Option<ProbeReport> {
        (self.present == Some(false)).then(|| ProbeReport {
            probe: probe::NVIDIA,
            outcome: ProbeOutcome::NotApplicable("there is no NVIDIA GPU".into()),
            at: self.looked_at,
            took: Duration::ZERO,
        })
    }
}
