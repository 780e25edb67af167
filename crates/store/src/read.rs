//! Reading everything but history: states, events, check changes, series, small values.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use sickbay_model::{CheckId, Event, EventId, MetricId, ResourceId, Status, Timestamp};

use crate::batch::{CheckChange, StoredNode};
use crate::query::{CheckQuery, EventQuery, MAX_ROWS, SeriesSpan};

/// The newest state of every resource.
pub(crate) fn states(
    connection: &Connection,
) -> rusqlite::Result<Vec<(ResourceId, Timestamp, Vec<u8>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT r.name, s.at, s.state FROM resource_state s JOIN resource r ON r.id = s.resource
         ORDER BY r.name",
    )?;
    let mut rows = statement.query([])?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(resource) = resource_at(row, 0)? else { continue };
        states.push((resource, Timestamp::from_unix_ms(row.get(1)?), row.get(2)?));
    }
    Ok(states)
}

/// The newest event's id.
pub(crate) fn last_event_id(connection: &Connection) -> rusqlite::Result<EventId> {
    let id: Option<i64> =
        connection.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
    Ok(EventId(id.map_or(0, i64::cast_unsigned)))
}

/// Conditions of a query, collected one by one.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which `?` stands for the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.values.push(value.into());
    }
}

fn limit_of(limit: usize) -> i64 {
    let limit = if limit == 0 { MAX_ROWS } else { limit.min(MAX_ROWS) };
    limit as i64
}

/// Events.
pub(crate) fn events(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<Event>> {
    let mut conditions = Conditions::default();
    let id = |id: EventId| i64::try_from(id.0).unwrap_or(i64::MAX);
    if let Some(after) = query.after {
        conditions.and("id > ?", id(after));
    }
    if let Some(before) = query.before {
        conditions.and("id < ?", id(before));
    }
    if let Some(from) = query.from {
        conditions.and("at >= ?", from.as_unix_ms());
    }
    if let Some(to) = query.to {
        conditions.and("at < ?", to.as_unix_ms());
    }
    if let Some(resource) = &query.resource {
        conditions.and("resource = ?", resource.as_str().to_owned());
    }
    if !query.kinds.is_empty() {
        let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.as_str()).collect();
        let list = serde_json::Value::from(kinds).to_string();
        conditions.and("kind IN (SELECT value FROM json_each(?))", list);
    }
    conditions.values.push(Value::from(limit_of(query.limit)));
    let sql = format!(
        "SELECT id, at, kind, resource, message, details FROM event{} ORDER BY id {} LIMIT ?",
        conditions.sql,
        if query.newest_first { "DESC" } else { "ASC" }
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        // A kind that only a newer version knows is left out.
        let Ok(kind) = row.get_ref(2)?.as_str()?.parse() else { continue };
        events.push(Event {
            id: EventId(row.get::<_, i64>(0)?.cast_unsigned()),
            at: Timestamp::from_unix_ms(row.get(1)?),
            kind,
            resource: resource_at(row, 3)?,
            message: row.get(4)?,
            details: serde_json::from_str(row.get_ref(5)?.as_str()?).unwrap_or_default(),
        });
    }
    Ok(events)
}

/// Check changes, newest first.
pub(crate) fn check_changes(
    connection: &Connection,
    query: &CheckQuery,
) -> rusqlite::Result<Vec<CheckChange>> {
    let mut conditions = Conditions::default();
    if let Some(resource) = &query.resource {
        let known = "c.resource = (SELECT id FROM resource WHERE name = ?)";
        conditions.and(known, resource.as_str().to_owned());
    }
    if let Some(check) = &query.check {
        conditions.and("c.\"check\" = ?", check.clone());
    }
    if let Some(from) = query.from {
        conditions.and("c.at >= ?", from.as_unix_ms());
    }
    if let Some(to) = query.to {
        conditions.and("c.at < ?", to.as_unix_ms());
    }
    conditions.values.push(Value::from(limit_of(query.limit)));
    let sql = format!(
        "SELECT r.name, c.\"check\", c.instance, c.status, c.hard, c.message, c.at, c.details
         FROM check_change c JOIN resource r ON r.id = c.resource{}
         ORDER BY c.at DESC, c.id DESC LIMIT ?",
        conditions.sql
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.values))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(resource) = resource_at(row, 0)? else { continue };
        changes.push(CheckChange {
            resource,
            check: CheckId(row.get::<_, String>(1)?.into()),
            instance: row.get(2)?,
            status: status_of(row.get_ref(3)?.as_str()?),
            hard: row.get(4)?,
            message: row.get(5)?,
            at: Timestamp::from_unix_ms(row.get(6)?),
            details: row.get(7)?,
        });
    }
    Ok(changes)
}

/// The series of a resource that have history.
pub(crate) fn series(
    connection: &Connection,
    resource: &ResourceId,
) -> rusqlite::Result<Vec<SeriesSpan>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.metric, s.instance, CASE WHEN s.last_at = 0 THEN n.at ELSE s.first_at END, max(s.last_at, coalesce(n.at, s.last_at))
         FROM resource r JOIN series s ON s.resource = r.id
         LEFT JOIN (SELECT n.resource, n.at, CAST(v.key AS INTEGER) AS series
                    FROM newest n JOIN json_each(n.readings) v) n
           ON n.resource = r.id AND n.series = s.id
         WHERE r.name = ?1 AND (n.at IS NOT NULL OR s.last_at > 0)
         ORDER BY s.metric, s.instance",
    )?;
    statement
        .query_map(params![resource.as_str()], |row| {
            Ok(SeriesSpan {
                metric: MetricId(row.get(0)?),
                instance: row.get(1)?,
                first: Timestamp::from_unix_ms(row.get(2)?),
                last: Timestamp::from_unix_ms(row.get(3)?),
            })
        })?
        .collect()
}

/// All records of one kind: their keys and what they hold, by key.
pub(crate) fn records(
    connection: &Connection,
    kind: &str,
) -> rusqlite::Result<Vec<(String, String)>> {
    connection
        .prepare_cached("SELECT key, content FROM record WHERE kind = ?1 ORDER BY key")?
        .query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// The nodes that were added at run time, by name.
pub(crate) fn nodes(connection: &Connection) -> rusqlite::Result<Vec<StoredNode>> {
    connection
        .prepare_cached("SELECT name, definition, added_at FROM nodes ORDER BY name")?
        .query_map([], |row| {
            Ok(StoredNode {
                name: row.get(0)?,
                definition: row.get(1)?,
                added_at: Timestamp::from_unix_ms(row.get(2)?),
            })
        })?
        .collect()
}

/// A small value by name.
pub(crate) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

/// A number kept by name; 0 if there is none.
pub(crate) fn meta_number(connection: &Connection, key: &str) -> rusqlite::Result<u64> {
    Ok(meta(connection, key)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// A resource id; none if the column is null or not an id (somebody wrote into the file).
fn resource_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ResourceId>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn status_of(word: &str) -> Status {
    [Status::Healthy, Status::Degraded, Status::Unhealthy, Status::Critical]
        .into_iter()
        .find(|status| status.as_str() == word)
        .unwrap_or(Status::Unknown)
}
