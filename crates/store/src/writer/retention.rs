//! Retention by age and by size, in small steps, so that writing never waits long.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use sickbay_model::Timestamp;

use super::apply::put_meta;
use crate::options::Retention;
use crate::query::Resolution;

/// Blocks that one step deletes at most: some megabytes.
const BLOCKS_PER_STEP: i64 = 64;
/// Rows of logs that one step deletes at most.
const ROWS_PER_STEP: i64 = 1_000;
/// Free pages that stay in the file, to be used again: 1 MiB.
const FREE_PAGES_KEPT: i64 = 256;
/// Pages that one step gives back to the file system: 4 MiB.
const PAGES_PER_STEP: i64 = 1_024;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a step, or a whole sweep, removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) blocks: i64,
    pub(crate) samples: i64,
    pub(crate) bytes: i64,
    pub(crate) events: i64,
    pub(crate) checks: i64,
    pub(crate) series: i64,
    pub(crate) pages: i64,
}

impl Swept {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.events += other.events;
        self.checks += other.checks;
        self.series += other.series;
        self.pages += other.pages;
    }
}

/// One step of a sweep. Nothing was removed: the sweep is done.
pub(crate) fn sweep_step(
    connection: &mut Connection,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<Swept> {
    let mut swept = Swept::default();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (resolution, age) in [
        (Resolution::Raw, retention.raw_age),
        (Resolution::Minute, retention.minute_age),
        (Resolution::Hour, retention.hour_age),
    ] {
        swept.add(delete_blocks(&transaction, resolution, now.minus(age).as_unix_ms(), i64::MAX)?);
    }
    swept.events += delete_events(&transaction, now.minus(retention.event_age).as_unix_ms())?;
    let alerts_before = now.minus(retention.event_age).to_string();
    swept.checks +=
        delete_checks(&transaction, now.minus(retention.check_age).as_unix_ms(), &alerts_before)?;
    let oldest = now.minus(retention.hour_age.max(retention.raw_age));
    swept.series += delete_series(&transaction, oldest.as_unix_ms())?;
    let excess = used_bytes(&transaction)?.saturating_sub(retention.max_bytes);
    if excess > 0 {
        let excess = i64::try_from(excess).unwrap_or(i64::MAX);
        swept.add(delete_oldest(&transaction, now, excess)?);
    }
    if swept.is_nothing() {
        transaction.rollback()?;
    } else {
        add_history(&transaction, -swept.samples, -swept.bytes)?;
        transaction.commit()?;
    }
    swept.pages = give_back(connection)?;
    Ok(swept)
}

/// Keeps count of sealed history.
pub(super) fn add_history(
    connection: &Connection,
    samples: i64,
    bytes: i64,
) -> rusqlite::Result<()> {
    for (key, change) in [("history_samples", samples), ("history_bytes", bytes)] {
        if change != 0 {
            connection
                .prepare_cached(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE
                     SET value = CAST(CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER) AS TEXT)",
                )?
                .execute(params![key, change.to_string()])?;
        }
    }
    Ok(())
}

/// Bytes in use inside the file.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    Ok(u64::try_from(pages.saturating_mul(number("PRAGMA page_size")?)).unwrap_or(0))
}

/// Deletes the oldest blocks of a resolution that end before a time, until `enough` bytes are gone.
fn delete_blocks(
    connection: &Connection,
    resolution: Resolution,
    before: i64,
    enough: i64,
) -> rusqlite::Result<Swept> {
    let oldest: Vec<(i64, i64, i64)> = connection
        .prepare_cached(
            "SELECT id, samples, length(data) FROM block
             WHERE resolution = ?1 AND to_at < ?2 ORDER BY to_at LIMIT ?3",
        )?
        .query_map([resolution.code(), before, BLOCKS_PER_STEP], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut swept = Swept::default();
    let mut delete = connection.prepare_cached("DELETE FROM block WHERE id = ?1")?;
    for (id, samples, bytes) in oldest {
        if swept.bytes >= enough {
            break;
        }
        delete.execute([id])?;
        swept.add(Swept { blocks: 1, samples, bytes, ..Swept::default() });
    }
    Ok(swept)
}

/// Moves the line of the append-only log, then deletes below it.
fn delete_events(connection: &Connection, before: i64) -> rusqlite::Result<i64> {
    let found: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM event WHERE at < ?1)")?
        .query_row([before], |row| row.get(0))?;
    if !found {
        return Ok(0);
    }
    put_meta(connection, "event_retention_line", &before.to_string())?;
    let rows = connection
        .prepare_cached(
            "DELETE FROM event WHERE id IN
               (SELECT id FROM event WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute([before, ROWS_PER_STEP])?;
    Ok(rows as i64)
}

fn delete_checks(
    connection: &Connection,
    before: i64,
    alerts_before: &str,
) -> rusqlite::Result<i64> {
    let changes = connection
        .prepare_cached(
            "DELETE FROM check_change WHERE id IN
               (SELECT id FROM check_change WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute([before, ROWS_PER_STEP])?;
    let alerts = connection
        .prepare_cached(
            "DELETE FROM health_alerts WHERE id IN
               (SELECT id FROM health_alerts WHERE timestamp < ?1 AND resolved = 1 LIMIT ?2)",
        )?
        .execute(params![alerts_before, ROWS_PER_STEP])?;
    Ok((changes + alerts) as i64)
}

/// Series whose last reading is older than any history.
fn delete_series(connection: &Connection, before: i64) -> rusqlite::Result<i64> {
    let rows = connection
        .prepare_cached(
            "DELETE FROM series WHERE id IN (
               SELECT s.id FROM series s WHERE s.last_at < ?1
               AND NOT EXISTS (SELECT 1 FROM open_frame o WHERE o.resource = s.resource)
               AND NOT EXISTS (SELECT 1 FROM block b WHERE b.resource = s.resource
                               AND b.to_at >= ?1 AND b.from_at <= s.last_at)
               LIMIT ?2)",
        )?
        .execute([before, ROWS_PER_STEP])?;
    Ok(rows as i64)
}

/// For size: the oldest raw readings, else the oldest rollups, else the oldest of the logs. The
/// newest of each goes only when nothing older of any is left.
fn delete_oldest(connection: &Connection, now: Timestamp, excess: i64) -> rusqlite::Result<Swept> {
    let older_than = |days: u32| now.minus(DAY * days).as_unix_ms();
    for (resolution, before) in [
        (Resolution::Raw, older_than(1)),
        (Resolution::Minute, older_than(7)),
        (Resolution::Hour, older_than(30)),
        (Resolution::Raw, i64::MAX),
        (Resolution::Minute, i64::MAX),
        (Resolution::Hour, i64::MAX),
    ] {
        let swept = delete_blocks(connection, resolution, before, excess)?;
        if swept.blocks > 0 {
            return Ok(swept);
        }
    }
    let oldest =
        |sql: &str| connection.query_row(sql, [ROWS_PER_STEP], |row| row.get::<_, Option<i64>>(0));
    let upto = oldest("SELECT max(at) FROM (SELECT at FROM check_change ORDER BY at LIMIT ?1)")?;
    if let Some(upto) = upto {
        let checks = delete_checks(connection, upto.saturating_add(1), "")?;
        return Ok(Swept { checks, ..Swept::default() });
    }
    let upto = oldest("SELECT max(at) FROM (SELECT at FROM event ORDER BY at LIMIT ?1)")?;
    let events = match upto {
        Some(upto) => delete_events(connection, upto.saturating_add(1))?,
        None => 0,
    };
    Ok(Swept { events, ..Swept::default() })
}

/// Gives free pages back to the file system; returns how many.
fn give_back(connection: &Connection) -> rusqlite::Result<i64> {
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free <= FREE_PAGES_KEPT {
        return Ok(0);
    }
    let pages = (free - FREE_PAGES_KEPT / 2).min(PAGES_PER_STEP);
    vacuum(connection, pages)
}

/// Gives up to this many free pages back; returns how many.
pub(crate) fn vacuum(connection: &Connection, pages: i64) -> rusqlite::Result<i64> {
    let count = || connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0));
    let before = count()?;
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // The pragma works one page per step.
    while rows.next()?.is_some() {}
    Ok(before - count()?)
}
