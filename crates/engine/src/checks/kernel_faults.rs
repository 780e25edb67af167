//! Faults that the kernel reported: each of each device is a check of its own, for as long as it
//! stands and until its end is confirmed. That the log can no longer be read ends none of them.

use std::collections::BTreeMap;
use std::time::Duration;

use sickbay_model::{
    Event, EventId, EventKind, FaultClass, FaultEntry, Inventory, Status, Timestamp,
};

use crate::checks::CheckKind;
use crate::checks::file_servers::mounts_of;
use crate::faults::{Fault, Meaning, News};
use crate::input::{Input, ProbeSlot, ProbeState};
use crate::judge::{Answer, Judge, NO_GPU};
use crate::memory::{GpuMemory, NodeFacts};
use crate::text;

/// For how long the check of a fault that is over is answered: its recovery is confirmed by then.
const RECOVERY_SHOWN: Duration = Duration::from_secs(600);

/// How many mounts of a server that does not answer are named.
const NAMED_MOUNTS: usize = 3;

/// Judges what the kernel's log says.
pub(super) fn kernel_faults(input: &Input<'_>, facts: &mut NodeFacts, judge: &mut Judge<'_>) {
    let log = input.observation.kernel_log.as_deref();
    if log.is_none() && facts.faults.known().is_empty() {
        return;
    }
    let catalogue = &*input.policy.faults.0;
    let news = log.map(|log| facts.faults.take_in(log)).unwrap_or_default();
    facts.faults.end_by_word(catalogue, input.at);
    facts.faults.pass(catalogue, &input.inventory.host.boot_id, input.at);
    for News(fault) in &news {
        if let Some(entry) = catalogue.find(&fault.code) {
            tell(fault, entry, card(facts, fault), input, judge);
        }
    }
    for fault in facts.faults.known() {
        if let Some(entry) = catalogue.find(&fault.code) {
            answer(fault, entry, card(facts, fault), input, judge);
        }
    }
}

/// The GPU that a fault is about, if it is about one that is known.
fn card<'a>(facts: &'a NodeFacts, fault: &Fault) -> Option<&'a GpuMemory> {
    if fault.device.is_empty() {
        return None;
    }
    let of = |gpu: &&GpuMemory| gpu.pci_address.eq_ignore_ascii_case(&fault.device);
    facts.gpus.iter().find(of)
}

/// Which check it is.
fn kind(entry: &FaultEntry, card: Option<&GpuMemory>) -> CheckKind {
    match entry.class {
        _ if card.is_some() => CheckKind::GpuFault,
        FaultClass::GpuReset
        | FaultClass::NvLink
        | FaultClass::Reboot
        | FaultClass::GpuPower
        | FaultClass::Fabric => CheckKind::GpuFault,
        FaultClass::Network => CheckKind::NetworkFault,
        _ if entry.code.as_str().starts_with("xid-") => CheckKind::GpuFault,
        _ => CheckKind::KernelFault,
    }
}

/// What it is about, in words.
fn subject(fault: &Fault, card: Option<&GpuMemory>, inventory: &Inventory) -> String {
    if let Some(card) = card {
        return format!("GPU {}", card.index);
    }
    let mounts = mounts_of(fault, inventory).map(|mount| mount.mount_point.as_str());
    let mounts: Vec<_> = mounts.take(NAMED_MOUNTS).collect();
    if mounts.is_empty() {
        fault.device.clone()
    } else {
        format!("{} ({})", mounts.join(", "), fault.device)
    }
}

/// The instance of its check: the device and the code, so that both sort together. What is said of a
/// file server is of the first of its mounts.
fn instance(fault: &Fault, card: Option<&GpuMemory>, inventory: &Inventory) -> String {
    let mount = mounts_of(fault, inventory).next().map(|mount| mount.mount_point.as_str());
    match (card, mount.unwrap_or(fault.device.as_str())) {
        (Some(card), _) => format!("{} {}", card.index, fault.code),
        (None, "") => fault.code.to_string(),
        (None, device) => format!("{device} {}", fault.code),
    }
}

fn answer(
    fault: &Fault,
    entry: &FaultEntry,
    card: Option<&GpuMemory>,
    input: &Input<'_>,
    judge: &mut Judge<'_>,
) {
    let (kind, instance) = (kind(entry, card), instance(fault, card, input.inventory));
    let model = card.map_or("", |card| card.model.as_str());
    let driver = card.and_then(|card| {
        let device = input.inventory.gpus.iter().find(|device| device.index == card.index)?;
        Some(device.driver_version.as_str())
    });
    let meaning = fault.meaning(entry, model, driver.unwrap_or_default(), input.at);
    let stands = fault.ended.is_none() && meaning.status != Status::Healthy;
    if !stands {
        let just_ended = fault.ended.is_some_and(|at| input.at.since(at) <= RECOVERY_SHOWN);
        if !just_ended || !judge.remembers(kind, &instance) {
            return;
        }
    }
    let gpu = card.filter(|card| card.missing_since.is_none());
    let gpu = gpu.and_then(|card| u16::try_from(card.index).ok()).unwrap_or(NO_GPU);
    let log = input.probes.at(ProbeSlot::KERNEL_LOG);
    let unread = unread(input);
    if !stands && unread.is_some() && log.applies() {
        // It may have come again; the sweep says that this is not known.
        return;
    }
    let Some(slot) = judge.open_always(kind, &instance, ProbeSlot::KERNEL_LOG, gpu) else { return };
    if !stands {
        judge.close(slot, over().advisory(meaning.advisory));
        return;
    }
    let advisory = meaning.advisory;
    let answer = finding(fault, entry, card, meaning, input).advisory(advisory);
    judge.close(
        slot,
        match unread {
            Some(why) => answer.evidence("kernel log", format!("cannot be read now: {why}"), None),
            None => answer,
        },
    );
}

/// Why the log cannot be read now. A fault stands all the same: what was said was said.
fn unread(input: &Input<'_>) -> Option<String> {
    let log = input.probes.at(ProbeSlot::KERNEL_LOG);
    match log.state {
        ProbeState::NotApplicable(why) => Some(why.to_owned()),
        _ => log.no_answer_reason(ProbeSlot::KERNEL_LOG),
    }
}

fn over() -> Answer {
    Answer::healthy("the fault is over")
}

fn finding(
    fault: &Fault,
    entry: &FaultEntry,
    card: Option<&GpuMemory>,
    meaning: Meaning,
    input: &Input<'_>,
) -> Answer {
    let now = input.at;
    let Fault { code, count, first, last, line, .. } = fault;
    let headline = headline(fault, entry, card, input.inventory);
    let message = format!("{headline}{}{}", times(*count), by_process(fault, entry));
    let mut answer = Answer::finding(meaning.status, message).proof().advice(meaning.advice);
    if meaning.status == Status::Critical {
        answer = answer.points(0.0);
    }
    let ago = |at: Timestamp| format!("{} ago", text::duration(now.since(at)));
    answer = answer.evidence("code", code.to_string(), None);
    if fault.before_watched {
        answer = answer.evidence("seen", format!("{}, before it was watched", ago(*last)), None);
    } else {
        answer = answer.evidence("seen", ago(*last), None);
    }
    if *count > 1 {
        answer = answer.evidence("first seen", ago(*first), None);
        answer = answer.evidence("count", count.to_string(), None);
    }
    answer = answer.evidence("kernel", line.clone(), None);
    if meaning.advisory {
        answer = answer.evidence("counts", "lowers no score: the machine is well".into(), None);
    }
    answer.evidence("means", meaning.meaning, None)
}

/// Whose doing it was, where it was an application's and the kernel names it: " by python (pid 4711)".
fn by_process(fault: &Fault, entry: &FaultEntry) -> String {
    let fact = |name| fault.facts.get(name).map(|text| text.trim_matches(['\'', '<', '>', ' ']));
    let known = |text: &&str| !text.is_empty() && *text != "unknown";
    match (fact("process").filter(known), fact("pid").filter(known)) {
        _ if entry.class != FaultClass::Application => String::new(),
        (Some(process), Some(pid)) => format!(", by {process} (pid {pid})"),
        (Some(process), None) => format!(", by {process}"),
        (None, Some(pid)) => format!(", by pid {pid}"),
        (None, None) => String::new(),
    }
}

/// "GPU 3: GPU fell off the bus (Xid 79)".
fn headline(
    fault: &Fault,
    entry: &FaultEntry,
    card: Option<&GpuMemory>,
    inventory: &Inventory,
) -> String {
    let subject = subject(fault, card, inventory);
    let title = &entry.title;
    let number = fault.code.as_str().split_once("xid-").map(|(family, number)| {
        if family.is_empty() { format!(" (Xid {number})") } else { format!(" (SXid {number})") }
    });
    let number = number.filter(|number| !number.contains("unknown")).unwrap_or_default();
    if subject.is_empty() {
        format!("{title}{number}")
    } else {
        format!("{subject}: {title}{number}")
    }
}

fn times(count: u32) -> String {
    if count > 1 { format!(", {count} times") } else { String::new() }
}

/// One event when it is first seen, and one each time that it was seen ten times as often.
fn tell(
    fault: &Fault,
    entry: &FaultEntry,
    card: Option<&GpuMemory>,
    input: &Input<'_>,
    judge: &mut Judge<'_>,
) {
    let is_gpu = kind(entry, card) == CheckKind::GpuFault;
    let event = if is_gpu { EventKind::GpuFault } else { EventKind::KernelFault };
    let when = if fault.before_watched { " (before it was watched)" } else { "" };
    let headline = headline(fault, entry, card, input.inventory);
    let message = text::sentence(&format!(
        "{headline}{}{}{when}",
        times(fault.count),
        by_process(fault, entry)
    ));
    let mut details = BTreeMap::from([
        ("code".to_owned(), fault.code.to_string()),
        ("count".to_owned(), fault.count.to_string()),
        ("first".to_owned(), fault.first.to_string()),
        ("last".to_owned(), fault.last.to_string()),
        ("line".to_owned(), fault.line.clone()),
    ]);
    // By the name that the catalogue writes.
    if let Ok(serde_json::Value::String(class)) = serde_json::to_value(entry.class) {
        details.insert("class".to_owned(), class);
    }
    if !fault.device.is_empty() {
        details.insert("device".to_owned(), fault.device.clone());
    }
    for name in ["process", "pid"] {
        if let Some(value) = fault.facts.get(name) {
            details.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(card) = card {
        details.insert("gpu".to_owned(), card.index.to_string());
        details.insert("gpu_key".to_owned(), card.key.clone());
    }
    let resource = Some(judge.resource.clone());
    judge.events.push(Event {
        id: EventId(0),
        at: input.at,
        kind: event,
        resource,
        message,
        details,
    });
}
