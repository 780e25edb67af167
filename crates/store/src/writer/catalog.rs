//! The database's numbers for resources, series and layouts, remembered between frames.
//!
//! What must hold: after a transaction that did not commit, [`Catalog::forget`] is called, because
//! numbers given in it do not exist.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};
use sickbay_model::{Layout, MetricId, ResourceId, Series, Timestamp, catalogue};

/// Resources and layouts that are remembered; when it is met, all are forgotten and read again.
const MAX_REMEMBERED: usize = 65_536;

/// What the columns of a layout are in the database.
#[derive(Clone, Debug)]
pub(super) struct KnownLayout {
    pub(super) id: i64,
    pub(super) layout: Arc<Layout>,
    /// The series of each column.
    pub(super) series: Arc<[u32]>,
}

#[derive(Debug, Default)]
pub(super) struct Catalog {
    resources: HashMap<ResourceId, i64>,
    layouts: HashMap<i64, KnownLayout>,
}

impl Catalog {
    pub(super) fn forget(&mut self) {
        self.resources.clear();
        self.layouts.clear();
    }

    /// The number of a resource; given now if it has none.
    pub(super) fn resource(
        &mut self,
        transaction: &Transaction<'_>,
        resource: &ResourceId,
    ) -> rusqlite::Result<i64> {
        if let Some(&id) = self.resources.get(resource) {
            return Ok(id);
        }
        if self.resources.len() >= MAX_REMEMBERED {
            self.forget();
        }
        let found = transaction
            .prepare_cached("SELECT id FROM resource WHERE name = ?1")?
            .query_row([resource.as_str()], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => transaction
                .prepare_cached("INSERT INTO resource (name, kind) VALUES (?1, ?2)")?
                .insert(params![resource.as_str(), resource.kind().as_str()])?,
        };
        self.resources.insert(resource.clone(), id);
        Ok(id)
    }

    /// The number of a layout of a resource, and of its series; given now if they have none.
    pub(super) fn layout(
        &mut self,
        transaction: &Transaction<'_>,
        resource: i64,
        layout: &Arc<Layout>,
        at: Timestamp,
    ) -> rusqlite::Result<KnownLayout> {
        if let Some(known) = self.layouts.get(&resource)
            && (Arc::ptr_eq(&known.layout, layout) || known.layout == *layout)
        {
            return Ok(known.clone());
        }
        let series: Arc<[u32]> = layout
            .series()
            .iter()
            .map(|series| series_id(transaction, resource, series, at))
            .collect::<rusqlite::Result<_>>()?;
        let bytes: Vec<u8> = series.iter().flat_map(|id| id.to_le_bytes()).collect();
        let found = transaction
            .prepare_cached("SELECT id FROM layout WHERE resource = ?1 AND series = ?2")?
            .query_row(params![resource, bytes], |row| row.get(0))
            .optional()?;
        let id = match found {
            Some(id) => id,
            None => transaction
                .prepare_cached("INSERT INTO layout (resource, series) VALUES (?1, ?2)")?
                .insert(params![resource, bytes])?,
        };
        if self.layouts.len() >= MAX_REMEMBERED {
            self.layouts.clear();
        }
        let known = KnownLayout { id, layout: Arc::clone(layout), series };
        self.layouts.insert(resource, known.clone());
        Ok(known)
    }

    /// The layout that is in use for a resource.
    pub(super) fn layout_in_use(&self, resource: i64) -> Option<i64> {
        self.layouts.get(&resource).map(|known| known.id)
    }
}

/// The number of a series; given now if it has none.
pub(super) fn series_id(
    transaction: &Transaction<'_>,
    resource: i64,
    series: &Series,
    at: Timestamp,
) -> rusqlite::Result<u32> {
    let found = transaction
        .prepare_cached(
            "SELECT id FROM series WHERE resource = ?1 AND metric = ?2 AND instance = ?3",
        )?
        .query_row(params![resource, series.metric.0, &*series.instance], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let unit = catalogue::find(series.metric).map_or("", |def| def.unit.symbol());
    let id = transaction
        .prepare_cached(
            "INSERT INTO series (resource, metric, instance, name, unit, first_at, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .insert(params![
            resource,
            series.metric.0,
            &*series.instance,
            series_name(series.metric, &series.instance),
            unit,
            at.as_unix_ms(),
        ])?;
    u32::try_from(id).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, id))
}

/// The `metric_name` of `health_metrics`: the catalogue's name, with the instance as a label in
/// Prometheus' notation (`filesystem_used_percent{mountpoint="/data"}`).
fn series_name(metric: MetricId, instance: &str) -> String {
    let Some(def) = catalogue::find(metric) else { return format!("metric_{}", metric.0) };
    match def.instance.label() {
        Some(label) if !instance.is_empty() => {
            let escaped = instance.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{}{{{label}=\"{escaped}\"}}", def.name)
        }
        _ => def.name.to_owned(),
    }
}
