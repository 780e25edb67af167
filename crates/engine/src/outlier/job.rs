//! Whose work is done on a node: what its members are grouped by.
//!
//! A label says it best. Without one, nodes that run the same command are taken to do the same work:
//! the program and its script, digits left out, so that ranks, ports and the numbers of runs do not
//! tell them apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use sickbay_model::{GpuCondition, Inventory, ProcessInfo, ProcessSummary};

use super::OutlierPolicy;
use super::minutes::{MAX_GPUS_COMPARED, Minute};

/// The longest name of a job, in characters.
const MAX_NAME_CHARS: usize = 96;

/// The most different jobs of a node that are told apart.
const MAX_PARTS: usize = 8;

/// How it is known whose work it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupedBy {
    /// The node has a label for it.
    Label,
    /// The command of the training process.
    Command,
}

/// A node's part in a job, on GPUs of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPart {
    /// The job, as a person reads it: `job=llm-70b`, `python train.py`.
    pub job: Arc<str>,
    /// How that is known.
    pub by: GroupedBy,
    /// The GPUs' model.
    pub model: Arc<str>,
    /// The GPUs that work for it, by the driver's index, ascending.
    pub gpus: Vec<u16>,
    /// The minute in which it was first seen here.
    pub started: Minute,
}

impl JobPart {
    /// Whether it is a part of the same job on the same model.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.by == other.by && self.job == other.job && self.model == other.model
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.job.len()
            + self.model.len()
            + self.gpus.capacity() * size_of::<u16>()
            + 4 * size_of::<usize>()
    }
}

/// Whose work is done on a node, by what was last seen of its processes. Empty where no training
/// process is on a GPU. Which minute a part started in is not known here.
#[must_use]
pub fn job_parts(
    policy: &OutlierPolicy,
    labels: &BTreeMap<String, String>,
    inventory: &Inventory,
    processes: &ProcessSummary,
) -> Vec<JobPart> {
    let label = policy.group_by.iter().find_map(|key| Some((key, labels.get(key)?)));
    let label: Option<Arc<str>> = label.map(|(key, value)| cut(&format!("{key}={value}")).into());
    let mut training: Vec<&ProcessInfo> = processes.training.iter().collect();
    // Whoever holds most of a card works on it; others look.
    training.sort_by_key(|it| (std::cmp::Reverse(it.gpu_memory_bytes), it.pid));
    let on_gpus: Vec<_> = training.iter().copied().filter(|it| !it.gpus.is_empty()).collect();
    let mut parts = Vec::new();
    // A driver that does not say who is on which card: all of them are the job's.
    let claims = if on_gpus.is_empty() { &training[..training.len().min(1)] } else { &on_gpus[..] };
    let listed = inventory.gpus.iter().filter(|gpu| {
        gpu.condition == GpuCondition::Answering
            && !gpu.mig_enabled
            && gpu.index < u32::from(u16::MAX)
    });
    for gpu in listed.take(MAX_GPUS_COMPARED) {
        let owner = claims.iter().find(|it| it.gpus.is_empty() || it.gpus.contains(&gpu.index));
        let (Some(owner), Ok(index)) = (owner, u16::try_from(gpu.index)) else { continue };
        put(&mut parts, label.as_ref(), owner, &gpu.model, index);
    }
    if parts.is_empty()
        && let Some(first) = training.first()
    {
        // A job without GPUs is one all the same: its nodes can be compared.
        let (job, by) = named(label.as_ref(), first);
        parts.push(JobPart { job, by, model: "".into(), gpus: Vec::new(), started: Minute(0) });
    }
    parts
}

fn put(
    parts: &mut Vec<JobPart>,
    label: Option<&Arc<str>>,
    owner: &ProcessInfo,
    model: &str,
    index: u16,
) {
    let (job, by) = named(label, owner);
    let same = |part: &&mut JobPart| part.job == job && part.by == by && *part.model == *model;
    if let Some(part) = parts.iter_mut().find(same) {
        part.gpus.push(index);
    } else if parts.len() < MAX_PARTS {
        parts.push(JobPart { job, by, model: model.into(), gpus: vec![index], started: Minute(0) });
    }
}

fn named(label: Option<&Arc<str>>, process: &ProcessInfo) -> (Arc<str>, GroupedBy) {
    match label {
        Some(label) => (Arc::clone(label), GroupedBy::Label),
        None => (signature(process).into(), GroupedBy::Command),
    }
}

/// A process's program and script, without directories and digits.
fn signature(process: &ProcessInfo) -> String {
    let mut words = process.command.split_ascii_whitespace();
    let program = match words.next() {
        None | Some("") => return cut(&without_digits(&process.name)),
        Some(program) => without_digits(file_name(program)),
    };
    let script = script(words).map(|script| without_digits(file_name(script)));
    match script.filter(|script| !script.is_empty()) {
        Some(script) => cut(&format!("{program} {script}")),
        None => cut(&program),
    }
}

/// The first word that is no option, nor an interpreter's option's value.
fn script<'a>(words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut is_value = false;
    for word in words {
        if std::mem::take(&mut is_value) {
            continue;
        }
        match word {
            "-W" | "-X" | "-Q" => is_value = true,
            // What a program is told on the line itself has no name.
            "-c" => return Some("-c"),
            _ if word.starts_with('-') => {}
            _ => return Some(word),
        }
    }
    None
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

/// Without digits, and without the dots that stood between them.
fn without_digits(text: &str) -> String {
    let bare: String = text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    bare.trim_end_matches(['.', '-', '_']).to_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARS).collect()
}
