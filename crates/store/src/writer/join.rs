//! Joining the blocks of rollups: of an hour that was sealed in parts, and of a span that is over.
//! Larger blocks compress better and are read in fewer pieces.
//!
//! What must hold: in one transaction the parts go and the whole comes, so a reader sees each
//! rollup once.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};
use sickbay_model::MetricId;

use super::apply::HOUR_MS;
use super::seal::{DAY_MS, metrics_of, put_block, put_rollups, rollups_in};
use crate::block::{BlockBuilder, BlockReader, MAX_BLOCK_ROWS, MAX_BLOCK_VALUES};
use crate::query::Resolution;
use crate::rollup::{floor, roll_up};

/// Values that are joined at once, so that a commit does not wait long: a day of minutes of a small
/// machine, an hour of a large one.
const MAX_JOINED_VALUES: i64 = 1 << 20;

/// What joining did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    /// By how many bytes history grew, which is negative.
    pub(super) bytes: i64,
    /// Values that were packed anew.
    pub(super) values: usize,
}

impl Joined {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.values += other.values;
    }
}

/// Joins the rollups of an hour that is over, and of the newest span before the one it lies in.
pub(super) fn join_rollups(
    transaction: &Transaction<'_>,
    resource: i64,
    hour: i64,
) -> rusqlite::Result<Joined> {
    let series: i64 = transaction
        .prepare_cached("SELECT count(*) FROM series WHERE resource = ?1")?
        .query_row([resource], |row| row.get(0))?;
    let mut joined = Joined::default();
    for resolution in [Resolution::Minute, Resolution::Hour] {
        joined.add(join_span(transaction, resource, resolution, hour, HOUR_MS)?);
        let span = span_of(resolution, series);
        let newest: Option<i64> = transaction
            .prepare_cached(
                "SELECT max(from_at) FROM block
                 WHERE resource = ?1 AND resolution = ?2 AND from_at < ?3",
            )?
            .query_row(params![resource, resolution.code(), floor(hour, span)], |row| row.get(0))
            .optional()?
            .flatten();
        if let Some(newest) = newest {
            let from = floor(newest, span);
            joined.add(join_span(transaction, resource, resolution, from, span)?);
        }
    }
    Ok(joined)
}

/// The longest span whose rollups are not too many to be joined at once; none is longer than a day.
fn span_of(resolution: Resolution, series: i64) -> i64 {
    let values = |span: i64| (span / resolution.step_ms().max(1)) * series.saturating_mul(4);
    [DAY_MS, DAY_MS / 4]
        .into_iter()
        .find(|&span| values(span) <= MAX_JOINED_VALUES)
        .unwrap_or(HOUR_MS)
}

/// Joins the blocks that begin in a span, once there are several.
fn join_span(
    transaction: &Transaction<'_>,
    resource: i64,
    resolution: Resolution,
    from: i64,
    span: i64,
) -> rusqlite::Result<Joined> {
    let within = params![resource, resolution.code(), from, from.saturating_add(span)];
    let several: bool = transaction
        .prepare_cached(
            "SELECT count(*) > 1 FROM block
             WHERE resource = ?1 AND resolution = ?2 AND from_at >= ?3 AND from_at < ?4",
        )?
        .query_row(within, |row| row.get(0))?;
    if !several {
        return Ok(Joined::default());
    }
    let parts: Vec<(i64, Vec<u8>)> = transaction
        .prepare_cached(
            "SELECT id, data FROM block
             WHERE resource = ?1 AND resolution = ?2 AND from_at >= ?3 AND from_at < ?4
             ORDER BY from_at, id",
        )?
        .query_map(within, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let Some((times, builder)) = join(transaction, resource, &parts)? else {
        return Ok(Joined::default());
    };
    let mut delete = transaction.prepare_cached("DELETE FROM block WHERE id = ?1")?;
    for (id, _) in &parts {
        delete.execute([id])?;
    }
    let before: usize = parts.iter().map(|(_, data)| data.len()).sum();
    let values = times.len() * builder.columns();
    let after = put_block(transaction, resource, resolution, &times, 0, builder)?;
    Ok(Joined { bytes: after - before as i64, values })
}

/// One block out of several; none if a part is damaged or the whole would be too large.
fn join(
    transaction: &Transaction<'_>,
    resource: i64,
    parts: &[(i64, Vec<u8>)],
) -> rusqlite::Result<Option<(Vec<i64>, BlockBuilder)>> {
    let metrics = metrics_of(transaction, resource)?;
    let readers: Result<Vec<_>, _> = parts.iter().map(|(_, data)| BlockReader::new(data)).collect();
    let Ok(readers) = readers else { return Ok(None) };
    let mut times = BTreeSet::new();
    let mut all_series = BTreeSet::new();
    for reader in &readers {
        let Ok(part) = reader.times() else { return Ok(None) };
        times.extend(part);
        all_series.extend(reader.series());
    }
    let times: Vec<i64> = times.into_iter().collect();
    let values = times.len().saturating_mul(all_series.len()).saturating_mul(4);
    if times.len() > MAX_BLOCK_ROWS || values > MAX_BLOCK_VALUES {
        return Ok(None);
    }
    let mut builder = BlockBuilder::new(times.clone());
    for series in all_series {
        let mut steps = Vec::new();
        for reader in &readers {
            let Ok(part) = rollups_in(reader, series) else { return Ok(None) };
            steps.extend(part);
        }
        steps.sort_by_key(|(at, _)| *at);
        let steps = roll_up(steps, 0);
        let metric = metrics.get(&series).copied().unwrap_or(MetricId(0));
        put_rollups(&mut builder, series, metric, &times, &steps);
    }
    Ok(Some((times, builder)))
}
