//! The hub's own figures: what it costs, how its parts are, what it was asked.

use std::sync::atomic::Ordering;

use sickbay_model::Status;
use sickbay_wire::v1::HubStatus;

use super::encoder::{Encoder, Family, Type};
use super::verdicts::flag;
use crate::server::HttpCounters;

const TASK_STATES: [&str; 4] = ["running", "restarting", "finished", "failed"];
const STORE_STATES: [Status; 5] =
    [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical, Status::Unknown];
const ANSWER_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// One family with one sample.
type Single = (&'static str, Type, Option<&'static str>, &'static str, f64);

/// Writes everything about the hub itself.
pub(super) fn write(out: &mut Encoder, hub: &HubStatus, counters: &HttpCounters) {
    out.family(&Family {
        name: "sickbay_build",
        kind: Type::Info,
        unit: None,
        help: "The version that is running.",
    });
    out.sample(&[("version", &hub.version)], 1.0);
    for (name, kind, unit, help, value) in singles(hub).into_iter().chain(counted(counters)) {
        out.family(&Family { name, kind, unit, help });
        out.sample(&[], value);
    }
    write_answers(out, counters);
    write_tasks(out, hub);
    out.family(&Family {
        name: "sickbay_store_status",
        kind: Type::StateSet,
        unit: None,
        help: "Whether what comes in is kept on disk.",
    });
    out.states(&[], &STORE_STATES.map(Status::as_str), hub.store.status.as_str());
}

#[rustfmt::skip]
#[expect(clippy::cast_precision_loss, reason = "sizes and counts fit f64's 53 bits")]
fn singles(hub: &HubStatus) -> Vec<Single> {
    use Type::{Counter, Gauge};
    let (cost, store, schedule) = (&hub.cost, &hub.store, &hub.schedule);
    vec![
        ("sickbay_hub_start_timestamp_seconds", Gauge, Some("seconds"),
            "When the hub started, in seconds since the Unix epoch.", hub.started_at.as_unix_seconds()),
        ("sickbay_hub_ready", Gauge, None,
            "1 while the hub is ready.", flag(hub.ready)),
        ("sickbay_hub_config_accepted", Gauge, None,
            "1 unless the newest config was refused and an older one is in force.", flag(hub.config_error.is_none())),
        ("sickbay_hub_cpu_seconds", Counter, Some("seconds"),
            "CPU time that the hub and its children used.", cost.cpu_seconds_total),
        ("sickbay_hub_resident_memory_bytes", Gauge, Some("bytes"),
            "Resident memory of the hub.", cost.resident_bytes as f64),
        ("sickbay_hub_children_resident_memory_bytes", Gauge, Some("bytes"),
            "Resident memory of the hub's probe children.", cost.children_resident_bytes as f64),
        ("sickbay_hub_open_files", Gauge, None,
            "File descriptors that the hub has open.", cost.open_files as f64),
        ("sickbay_schedule_targets", Gauge, None,
            "Targets watched.", f64::from(schedule.targets)),
        ("sickbay_schedule_collections", Counter, None,
            "Collections started.", schedule.started_total as f64),
        ("sickbay_schedule_collections_skipped", Counter, None,
            "Collections skipped because the last one was still under way.", schedule.skipped_total as f64),
        ("sickbay_schedule_collections_running", Gauge, None,
            "Collections under way.", f64::from(schedule.running)),
        ("sickbay_schedule_targets_waiting", Gauge, None,
            "Targets that are due and wait for a place among the collections under way.", f64::from(schedule.waiting)),
        ("sickbay_schedule_lag_seconds", Gauge, Some("seconds"),
            "How late the last collection started.", schedule.lag_ms / 1000.0),
        ("sickbay_store_file_bytes", Gauge, Some("bytes"),
            "Size of the store's file with its log.", store.file_bytes as f64),
        ("sickbay_store_history_bytes", Gauge, Some("bytes"),
            "Bytes that history takes.", store.history_bytes as f64),
        ("sickbay_store_samples", Gauge, None,
            "Readings kept raw.", store.samples as f64),
        ("sickbay_store_queued_writes", Gauge, None,
            "Writes waiting.", store.queued as f64),
        ("sickbay_store_dropped_writes", Counter, None,
            "Writes given up because the queue was full.", store.dropped as f64),
    ]
}

#[rustfmt::skip]
#[expect(clippy::cast_precision_loss, reason = "counts fit f64's 53 bits")]
fn counted(counters: &HttpCounters) -> Vec<Single> {
    use Type::{Counter, Gauge};
    let counts = counters.counts();
    [
        ("sickbay_http_connections", Counter, "Connections accepted.", &counts.connections),
        ("sickbay_http_connection_limit_reached", Counter,
            "Times that the limit of open connections was met.", &counts.connection_limit),
        ("sickbay_http_connection_errors", Counter,
            "Connections that failed: noise instead of HTTP, a header without end, a slow reader.", &counts.connection_errors),
        ("sickbay_http_accept_errors", Counter, "Times that accepting a connection failed.", &counts.accept_errors),
        ("sickbay_http_rate_limited_requests", Counter,
            "Requests refused because their client asked too often.", &counts.rate_limited),
        ("sickbay_http_unauthorised_requests", Counter,
            "Requests refused for want of the token.", &counts.unauthorised),
        ("sickbay_http_streams", Gauge, "Live streams open.", &counts.streams),
        ("sickbay_http_streams_lagged", Counter,
            "Times that a live stream fell behind and got a fresh snapshot.", &counts.streams_lagged),
    ]
    .into_iter()
    .map(|(name, kind, help, count)| (name, kind, None, help, count.load(Ordering::Relaxed) as f64))
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts fit f64's 53 bits")]
fn write_answers(out: &mut Encoder, counters: &HttpCounters) {
    out.family(&Family {
        name: "sickbay_http_requests",
        kind: Type::Counter,
        unit: None,
        help: "Requests answered, by class of status.",
    });
    for (class, count) in ANSWER_CLASSES.iter().zip(&counters.counts().answers) {
        out.sample(&[("class", class)], count.load(Ordering::Relaxed) as f64);
    }
}

fn write_tasks(out: &mut Encoder, hub: &HubStatus) {
    out.family(&Family {
        name: "sickbay_task_state",
        kind: Type::StateSet,
        unit: None,
        help: "How a task of the hub is.",
    });
    for task in &hub.tasks {
        out.states(&[("task", &task.name)], &TASK_STATES, &task.state);
    }
    out.family(&Family {
        name: "sickbay_task_restarts",
        kind: Type::Counter,
        unit: None,
        help: "How often a task of the hub was started again.",
    });
    for task in &hub.tasks {
        out.sample(&[("task", &task.name)], f64::from(task.restarts));
    }
}
