//! Writing a batch: everything in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use rusqlite::{Transaction, params};
use sickbay_model::{Event, Frame, ResourceId, Series, Status, Timestamp};

use super::catalog::{Catalog, series_id};
use super::chain::Chains;
use crate::batch::{CheckChange, MetricJudgement, StoredNode};
use crate::queue::Work;
use crate::rollup::floor;

/// An hour, in milliseconds: what is sealed together.
pub(super) const HOUR_MS: i64 = 3_600_000;
/// `health_metrics` is renewed at most this often per resource, in milliseconds of the frames' own
/// time: it is for people with a `sqlite3` shell, and renewing it costs more than storing the frame.
const NEWEST_INTERVAL_MS: i64 = 15_000;

/// Frames of one resource and hour that are not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenHour {
    pub(super) rows: usize,
    pub(super) values: usize,
    /// Of their readings as they are packed.
    pub(super) bytes: usize,
    /// The times of the first and of the last.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl OpenHour {
    pub(super) const NONE: Self =
        Self { rows: 0, values: 0, bytes: 0, first: i64::MAX, last: i64::MIN };

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.values += other.values;
        self.bytes += other.bytes;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What a batch did, to be remembered once it is committed.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Frames added, by resource and hour.
    pub(super) opened: BTreeMap<(i64, i64), OpenHour>,
    /// When `newest` was renewed, by resource.
    pub(super) renewed: HashMap<i64, Timestamp>,
}

/// Writes everything that a batch holds.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    catalog: &mut Catalog,
    chains: &mut Chains,
    renewed: &HashMap<i64, Timestamp>,
    work: &Work,
) -> rusqlite::Result<Applied> {
    let mut applied = Applied::default();
    let mut newest: HashMap<i64, &Frame> = HashMap::new();
    for (resource, frame) in &work.frames {
        let id = catalog.resource(transaction, resource)?;
        if let Some(bytes) = put_frame(transaction, catalog, chains, id, frame)? {
            let at = frame.at.as_unix_ms();
            let frame =
                OpenHour { rows: 1, values: frame.values.len(), bytes, first: at, last: at };
            let hour = applied.opened.entry((id, floor(at, HOUR_MS))).or_insert(OpenHour::NONE);
            hour.add(frame);
        }
        let due = renewed.get(&id).is_none_or(|last| {
            // Also when the clock was set back.
            !(0..NEWEST_INTERVAL_MS).contains(&(frame.at.as_unix_ms() - last.as_unix_ms()))
        });
        if due {
            newest.insert(id, frame);
        }
    }
    for (id, frame) in newest {
        put_newest(transaction, catalog, id, frame)?;
        applied.renewed.insert(id, frame.at);
    }
    for (resource, state) in &work.states {
        let id = catalog.resource(transaction, resource)?;
        put_state(transaction, id, state.as_ref())?;
    }
    for change in &work.checks {
        let id = catalog.resource(transaction, &change.resource)?;
        put_check(transaction, id, change)?;
    }
    for event in &work.events {
        put_event(transaction, event)?;
    }
    for judgement in &work.judgements {
        let id = catalog.resource(transaction, &judgement.resource)?;
        put_judgement(transaction, id, judgement)?;
    }
    for (key, value) in &work.meta {
        put_meta(transaction, key, value)?;
    }
    for ((kind, key), content) in &work.records {
        put_record(transaction, kind, key, content.as_deref())?;
    }
    for (name, node) in &work.nodes {
        put_node(transaction, name, node.as_ref())?;
    }
    Ok(applied)
}

/// Keeps a small value by name.
pub(crate) fn put_meta(
    connection: &rusqlite::Connection,
    key: &str,
    value: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute([key, value])?;
    Ok(())
}

/// Keeps the newest content of a record, or forgets it.
fn put_record(
    transaction: &Transaction<'_>,
    kind: &str,
    key: &str,
    content: Option<&str>,
) -> rusqlite::Result<()> {
    match content {
        None => transaction
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND key = ?2")?
            .execute([kind, key])?,
        Some(content) => transaction
            .prepare_cached(
                "INSERT INTO record (kind, key, content) VALUES (?1, ?2, ?3)
                 ON CONFLICT (kind, key) DO UPDATE SET content = excluded.content",
            )?
            .execute([kind, key, content])?,
    };
    Ok(())
}

fn put_node(
    transaction: &Transaction<'_>,
    name: &str,
    node: Option<&StoredNode>,
) -> rusqlite::Result<()> {
    let Some(node) = node else {
        transaction.prepare_cached("DELETE FROM nodes WHERE name = ?1")?.execute([name])?;
        return Ok(());
    };
    transaction
        .prepare_cached(
            "INSERT INTO nodes (name, definition, added_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE
             SET definition = excluded.definition, added_at = excluded.added_at",
        )?
        .execute(params![name, node.definition, node.added_at.as_unix_ms()])?;
    Ok(())
}

/// Returns the bytes of a frame that is new; one of the same resource and time is kept as it is.
fn put_frame(
    transaction: &Transaction<'_>,
    catalog: &mut Catalog,
    chains: &mut Chains,
    resource: i64,
    frame: &Frame,
) -> rusqlite::Result<Option<usize>> {
    if frame.is_empty() {
        return Ok(None);
    }
    let layout = catalog.layout(transaction, resource, &frame.layout, frame.at)?.id;
    let at = frame.at.as_unix_ms();
    let (form, packed) = chains.pack(resource, layout, at, &frame.values);
    let bytes = packed.len();
    let rows = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO open_frame (resource, at, layout, form, readings)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![resource, at, layout, form.code(), packed])?;
    if rows == 0 {
        return Ok(None);
    }
    chains.written(resource, layout, at, form, &frame.values);
    Ok(Some(bytes))
}

fn put_newest(
    transaction: &Transaction<'_>,
    catalog: &mut Catalog,
    resource: i64,
    frame: &Frame,
) -> rusqlite::Result<()> {
    let layout = catalog.layout(transaction, resource, &frame.layout, frame.at)?;
    let mut json = String::with_capacity(frame.values.len() * 16 + 2);
    for (series, value) in layout.series.iter().zip(&frame.values) {
        // JSON knows no infinities; the view shows what it can.
        if value.is_finite() {
            json.push(if json.is_empty() { '{' } else { ',' });
            // Writing to a string cannot fail. `{:?}` gives the shortest text that reads back.
            let _ = write!(json, "\"{series}\":{value:?}");
        }
    }
    json.push_str(if json.is_empty() { "{}" } else { "}" });
    transaction
        .prepare_cached(
            "INSERT INTO newest (resource, at, readings) VALUES (?1, ?2, ?3)
             ON CONFLICT (resource) DO UPDATE SET at = excluded.at, readings = excluded.readings",
        )?
        .execute(params![resource, frame.at.as_unix_ms(), json])?;
    Ok(())
}

fn put_state(
    transaction: &Transaction<'_>,
    resource: i64,
    state: Option<&(Timestamp, Vec<u8>)>,
) -> rusqlite::Result<()> {
    match state {
        Some((at, state)) => transaction
            .prepare_cached(
                "INSERT INTO resource_state (resource, at, state) VALUES (?1, ?2, ?3)
                 ON CONFLICT (resource) DO UPDATE SET at = excluded.at, state = excluded.state",
            )?
            .execute(params![resource, at.as_unix_ms(), state])?,
        None => {
            transaction
                .prepare_cached("DELETE FROM newest WHERE resource = ?1")?
                .execute([resource])?;
            transaction
                .prepare_cached("DELETE FROM resource_state WHERE resource = ?1")?
                .execute([resource])?
        }
    };
    Ok(())
}

fn put_check(
    transaction: &Transaction<'_>,
    resource: i64,
    change: &CheckChange,
) -> rusqlite::Result<()> {
    let details = change.details.as_deref().map(as_json);
    transaction
        .prepare_cached(
            "INSERT INTO check_change
               (resource, \"check\", instance, status, hard, message, at, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            resource,
            change.check.as_str(),
            change.instance,
            change.status.as_str(),
            change.hard,
            change.message,
            change.at.as_unix_ms(),
            details,
        ])?;
    if change.status == Status::Healthy {
        resolve_alert(transaction, &change.resource, &alert_type(change), change.at)
    } else if change.hard {
        open_alert(transaction, change, details.as_deref())
    } else {
        Ok(())
    }
}

/// The check, with its instance in braces where there are several.
fn alert_type(change: &CheckChange) -> String {
    if change.instance.is_empty() {
        change.check.as_str().to_owned()
    } else {
        format!("{}{{{}}}", change.check, change.instance)
    }
}

/// Opens the alert of a check, or renews what it says while it is open.
fn open_alert(
    transaction: &Transaction<'_>,
    change: &CheckChange,
    details: Option<&str>,
) -> rusqlite::Result<()> {
    let severity = match change.status {
        Status::Critical => "critical",
        Status::Unhealthy => "error",
        Status::Degraded | Status::Unknown | Status::Healthy => "warning",
    };
    let metadata = serde_json::json!({
        "check": change.check.as_str(),
        "instance": change.instance,
        "status": change.status.as_str(),
        "details": details.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()),
    });
    transaction
        .prepare_cached(
            "INSERT INTO health_alerts
               (resource_type, resource_id, alert_type, severity, message, timestamp, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (resource_id, alert_type) WHERE resolved = 0
             DO UPDATE SET severity = excluded.severity, message = excluded.message,
                           metadata = excluded.metadata",
        )?
        .execute(params![
            change.resource.kind().as_str(),
            change.resource.as_str(),
            alert_type(change),
            severity,
            change.message,
            change.at.to_string(),
            metadata.to_string(),
        ])?;
    Ok(())
}

fn resolve_alert(
    transaction: &Transaction<'_>,
    resource: &ResourceId,
    alert_type: &str,
    at: Timestamp,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE health_alerts SET resolved = 1, resolved_at = ?3
             WHERE resource_id = ?1 AND alert_type = ?2 AND resolved = 0",
        )?
        .execute(params![resource.as_str(), alert_type, at.to_string()])?;
    Ok(())
}

fn put_event(transaction: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let details = serde_json::to_string(&event.details).unwrap_or_else(|_| "{}".to_owned());
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO event (id, at, kind, resource, message, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            i64::try_from(event.id.0).unwrap_or(i64::MAX),
            event.at.as_unix_ms(),
            event.kind.as_str(),
            event.resource.as_ref().map(ResourceId::as_str),
            event.message,
            details,
        ])?;
    Ok(())
}

fn put_judgement(
    transaction: &Transaction<'_>,
    resource: i64,
    judgement: &MetricJudgement,
) -> rusqlite::Result<()> {
    let series = Series { metric: judgement.metric, instance: judgement.instance.as_str().into() };
    // A judgement may come before the first reading: until then the series was never seen.
    let id = series_id(transaction, resource, &series, Timestamp::EPOCH)?;
    transaction
        .prepare_cached(
            "UPDATE series SET threshold_warning = ?2, threshold_critical = ?3, status = ?4
             WHERE id = ?1",
        )?
        .execute(params![
            id,
            judgement.warning,
            judgement.critical,
            judgement.status.map(Status::as_str),
        ])?;
    Ok(())
}

/// The text, if it is JSON; otherwise the text as a JSON string.
fn as_json(text: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
