//! What the tools that test hardware say, in one form.
//!
//! A word that is not known is never taken for a pass: a tool that invents one must not make a
//! broken part look well.

use serde::Serialize;
use serde_json::Value;

use crate::transcript::{End, Part};

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It passed.
    Pass,
    /// It was not done, because it does not apply there.
    Skip,
    /// Nobody can tell: it did not come to an end, or said what is not understood.
    Unknown,
    /// Something is to be looked at.
    Warn,
    /// It failed.
    Fail,
}

impl Outcome {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Skip => "SKIP",
            Self::Unknown => "UNKNOWN",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One test's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Test {
    /// The tool that did it, as the question is called.
    pub tool: &'static str,
    /// What was tested.
    pub name: String,
    /// Of which part; empty for the machine as a whole.
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What the tool says of it.
    pub message: String,
}

/// Links that move less than this share of what the others move are worth a look.
const SLOW_SHARE: f64 = 0.75;

/// How many links there must be for one of them to be compared with the others.
const COMPARED: usize = 3;

/// The most characters of what a tool says.
const MAX_MESSAGE_CHARS: usize = 400;

/// The results of all tests among the answers.
#[must_use]
pub fn outcomes(parts: &[Part]) -> Vec<Test> {
    let mut tests = Vec::new();
    for part in parts {
        let tool = part.question.id;
        let read: Option<fn(&Part) -> Vec<Test>> = match tool {
            "dcgm-diag" => Some(dcgm),
            "nvbandwidth" => Some(bandwidth),
            "ibdiagnet" => Some(fabric),
            "memtester" => Some(memory),
            "smart" => Some(disks),
            _ => None,
        };
        let Some(read) = read else { continue };
        match part.end {
            End::Absent => {}
            End::Late => {
                tests.push(unknown(tool, format!("no end after {} s", part.question.seconds)))
            }
            End::Skipped => {
                tests.push(unknown(tool, "not asked: another of its kind hangs".to_owned()))
            }
            End::Cut => tests.push(unknown(tool, "the connection ended before it did".to_owned())),
            End::Exited(_) => tests.extend(read(part)),
        }
    }
    tests
}

fn unknown(tool: &'static str, message: String) -> Test {
    let (name, subject) = (tool.to_owned(), String::new());
    Test { tool, name, subject, outcome: Outcome::Unknown, message }
}

fn shortened(text: &str) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    let text: String = text.trim().chars().map(printable).collect();
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// `dcgmi diag -j`: version 3 names GPUs by `gpu_id` or `gpu_ids`, version 4 by entity. Around the
/// document there may be lines of text.
fn dcgm(part: &Part) -> Vec<Test> {
    let tool = part.question.id;
    let text = part.text();
    let json = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from..=to));
    let document = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
    let Some(document) = document else {
        let said = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let message =
            format!("no result{}{}", if said.is_empty() { "" } else { ": " }, shortened(said));
        return vec![unknown(tool, message)];
    };
    let root = ["DCGM Diagnostic", "DCGM GPU Diagnostic"]
        .into_iter()
        .find_map(|key| document.get(key))
        .unwrap_or(&document);
    let mut tests = Vec::new();
    if let Some(error) = root.get("runtime_error").and_then(Value::as_str) {
        tests.push(unknown(tool, shortened(error)));
    }
    for category in list(root, "test_categories") {
        for test in list(category, "tests") {
            let name = test.get("name").and_then(Value::as_str).unwrap_or("unnamed");
            for result in list(test, "results") {
                tests.push(dcgm_result(tool, name, result));
            }
        }
    }
    if tests.is_empty() {
        tests.push(unknown(tool, "it names no test".to_owned()));
    }
    tests
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten().filter(|entry| entry.is_object())
}

/// Of DCGM's severities of an error: a setting, and no fault of the hardware.
const SEVERITY_CONFIGURATION: u64 = 5;

fn dcgm_result(tool: &'static str, name: &str, result: &Value) -> Test {
    let status = result.get("status").and_then(Value::as_str).unwrap_or_default();
    let warnings: Vec<&Value> = match result.get("warnings") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let words = warnings.iter().filter_map(|warning| {
        warning.as_str().or_else(|| warning.get("warning").and_then(Value::as_str))
    });
    let severity = |warning: &&Value| warning.get("error_severity").and_then(Value::as_u64);
    let settings = !warnings.is_empty()
        && warnings.iter().all(|warning| severity(warning) == Some(SEVERITY_CONFIGURATION));
    let outcome = match status.to_ascii_lowercase().as_str() {
        "pass" | "passed" => Outcome::Pass,
        "skip" | "skipped" => Outcome::Skip,
        "warn" | "warning" => Outcome::Warn,
        "fail" | "failed" if settings => Outcome::Warn,
        "fail" | "failed" => Outcome::Fail,
        _ => Outcome::Unknown,
    };
    let mut message = shortened(&words.collect::<Vec<_>>().join("; "));
    if message.is_empty() && outcome == Outcome::Unknown {
        message = format!("it says {:?}", shortened(status));
    }
    Test { tool, name: name.to_owned(), subject: dcgm_subject(result), outcome, message }
}

fn dcgm_subject(result: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => Some(shortened(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Some(id) = result.get("entity_id").and_then(plain) {
        let group = result.get("entity_group").and_then(Value::as_str).unwrap_or("entity");
        return format!("{} {id}", shortened(group));
    }
    let ids = ["gpu_id", "gpu_ids"].into_iter().find_map(|key| result.get(key)).and_then(plain);
    match ids {
        None => String::new(),
        Some(ids) if ids.contains(',') => format!("GPUs {ids}"),
        Some(id) => format!("GPU {id}"),
    }
}

/// `nvbandwidth`: a matrix for each test, GPUs across; a link that moves far less than the others is
/// worth a look. What a link should move depends on the machine, so few links are only reported.
fn bandwidth(part: &Part) -> Vec<Test> {
    let tool = part.question.id;
    let text = part.text();
    let mut tests = Vec::new();
    let mut lines = text.lines().map(str::trim);
    let mut name = "";
    while let Some(line) = lines.next() {
        if let Some(begun) = line.strip_prefix("Running ") {
            name = begun.trim_end_matches('.');
        } else if line.starts_with("memcpy ") && line.ends_with("(GB/s)") {
            let columns: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
            let rows = lines.by_ref().take_while(|row| !row.is_empty());
            let cells: Vec<(String, f64)> =
                rows.flat_map(|row| row_cells(row, &columns, line)).collect();
            tests.extend(slow_links(tool, name, &cells));
        } else if line.starts_with("ERROR") || line.starts_with("[ERROR]") {
            let (name, subject) = (name.to_owned(), String::new());
            tests.push(Test {
                tool,
                name,
                subject,
                outcome: Outcome::Fail,
                message: shortened(line),
            });
        }
    }
    if tests.is_empty() {
        let said = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        tests.push(unknown(tool, format!("no result: {}", shortened(said.unwrap_or("no word")))));
    }
    tests
}

/// One row: its number and a value for each column. Where the processor is a side, it is no name.
fn row_cells(row: &str, columns: &[&str], header: &str) -> Vec<(String, f64)> {
    let mut words = row.split_whitespace();
    let from = words.next().unwrap_or_default();
    let cell = |(column, value): (&&str, &str)| {
        let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
        let link = match header.contains("CPU") {
            true => format!("GPU {column}"),
            false => format!("GPU {from} to {column}"),
        };
        Some((link, value))
    };
    columns.iter().zip(words).filter_map(cell).collect()
}

fn slow_links(tool: &'static str, name: &str, cells: &[(String, f64)]) -> Vec<Test> {
    let mut sorted: Vec<f64> = cells.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&median) = sorted.get(sorted.len() / 2) else { return Vec::new() };
    let mut tests = Vec::new();
    if cells.len() >= COMPARED {
        for (link, value) in cells.iter().filter(|(_, value)| *value < SLOW_SHARE * median) {
            let message = format!("{value:.1} GB/s, where the others move {median:.1} GB/s");
            let (name, subject) = (name.to_owned(), link.clone());
            tests.push(Test { tool, name, subject, outcome: Outcome::Warn, message });
        }
    }
    if tests.is_empty() {
        let lowest = sorted.first().copied().unwrap_or(median);
        let message =
            format!("{lowest:.1} to {:.1} GB/s", sorted.last().copied().unwrap_or(median));
        let (name, subject) = (name.to_owned(), String::new());
        tests.push(Test { tool, name, subject, outcome: Outcome::Pass, message });
    }
    tests
}

/// `ibdiagnet`: lines that begin with `-E-` are errors, with `-W-` warnings.
fn fabric(part: &Part) -> Vec<Test> {
    let tool = part.question.id;
    let text = part.text();
    let of = |mark: &str| {
        let found: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix(mark)).collect();
        (found.len(), found.first().map_or_else(String::new, |line| shortened(line)))
    };
    let ((errors, error), (warnings, warning)) = (of("-E-"), of("-W-"));
    let (outcome, message) = match (errors, warnings, part.end) {
        (1.., _, _) => (Outcome::Fail, format!("{errors} errors; the first: {error}")),
        (0, 1.., _) => (Outcome::Warn, format!("{warnings} warnings; the first: {warning}")),
        (_, _, End::Exited(0)) => (Outcome::Pass, String::new()),
        _ => (Outcome::Unknown, "it failed and names no error".to_owned()),
    };
    vec![Test { tool, name: "fabric".to_owned(), subject: String::new(), outcome, message }]
}

/// `memtester`: 1 is a mistake in the call, bit 2 the stuck address test, bit 4 one of the others.
fn memory(part: &Part) -> Vec<Test> {
    let (outcome, message) = match part.end {
        End::Exited(0) => (Outcome::Pass, "256 MB, once".to_owned()),
        End::Exited(code) if code & 6 != 0 && code < 8 => {
            let text = part.text();
            let failure = text.lines().find(|line| line.contains("FAILURE")).unwrap_or_default();
            (Outcome::Fail, shortened(failure))
        }
        _ => (Outcome::Unknown, "it could not be run".to_owned()),
    };
    let (name, subject) = ("memory".to_owned(), String::new());
    vec![Test { tool: part.question.id, name, subject, outcome, message }]
}

/// `smartctl -H` of each disk.
fn disks(part: &Part) -> Vec<Test> {
    let text = part.text();
    let mut tests = Vec::new();
    let mut disk = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            disk = name.trim();
        }
        let verdict = ["SMART overall-health self-assessment test result:", "SMART Health Status:"];
        let Some(said) = verdict.iter().find_map(|start| line.trim().strip_prefix(start)) else {
            continue;
        };
        let said = said.trim();
        let outcome = match said {
            "PASSED" | "OK" => Outcome::Pass,
            _ => Outcome::Fail,
        };
        let (name, subject) = ("self-assessment".to_owned(), disk.to_owned());
        let message = if outcome == Outcome::Pass { String::new() } else { shortened(said) };
        tests.push(Test { tool: part.question.id, name, subject, outcome, message });
    }
    tests
}
