//! Sealing: the frames of a resource and hour become one block of readings and two of rollups.
//!
//! What must hold: in one transaction frames go and blocks come, so a reader sees each reading
//! exactly once. Late frames of an hour that is sealed already become another block.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{OptionalExtension, Transaction, params};
use sickbay_model::MetricId;

use super::apply::HOUR_MS;
use crate::block::{BlockBuilder, BlockReader, Field, MAX_BLOCK_ROWS, MAX_BLOCK_VALUES};
use crate::precision;
use crate::query::Resolution;
use crate::rollup::{Rollup, floor, roll_up};

/// Blocks of rollups are joined per day, to compress better and to be read in fewer pieces.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// What sealing added to history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Raw readings.
    pub(super) samples: i64,
    /// Bytes of blocks; joining makes it negative.
    pub(super) bytes: i64,
}

/// Frames as columns.
struct Columns {
    times: Vec<i64>,
    /// One value per time, by series.
    by_series: BTreeMap<u32, Vec<f64>>,
}

/// Seals what is open of one resource and hour.
pub(super) fn seal_hour(
    transaction: &Transaction<'_>,
    resource: i64,
    hour: i64,
    layout_in_use: Option<i64>,
) -> rusqlite::Result<Sealed> {
    let end = hour.saturating_add(HOUR_MS);
    let mut columns = read_open(transaction, resource, hour, end)?;
    drop_duplicates(transaction, resource, hour, end, &mut columns)?;
    let sealed = if columns.times.is_empty() {
        Sealed::default()
    } else {
        write_blocks(transaction, resource, hour, columns)?
    };
    transaction
        .prepare_cached("DELETE FROM open_frame WHERE resource = ?1 AND at >= ?2 AND at < ?3")?
        .execute([resource, hour, end])?;
    transaction
        .prepare_cached(
            "DELETE FROM layout WHERE resource = ?1 AND id <> ?2
             AND id NOT IN (SELECT layout FROM open_frame WHERE resource = ?1)",
        )?
        .execute([resource, layout_in_use.unwrap_or(-1)])?;
    let mut bytes = sealed.bytes;
    for resolution in [Resolution::Minute, Resolution::Hour] {
        bytes += join_day_before(transaction, resource, resolution, hour)?;
    }
    Ok(Sealed { bytes, ..sealed })
}

fn read_open(
    transaction: &Transaction<'_>,
    resource: i64,
    from: i64,
    to: i64,
) -> rusqlite::Result<Columns> {
    let layouts = layouts_of(transaction, resource)?;
    let mut times = Vec::new();
    let mut by_series: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let mut statement = transaction.prepare_cached(
        "SELECT at, layout, readings FROM open_frame
         WHERE resource = ?1 AND at >= ?2 AND at < ?3 ORDER BY at",
    )?;
    let mut rows = statement.query([resource, from, to])?;
    while let Some(row) = rows.next()? {
        let Some(series) = layouts.get(&row.get::<_, i64>(1)?) else { continue };
        let (chunks, _) = row.get_ref(2)?.as_blob()?.as_chunks::<8>();
        for (id, chunk) in series.iter().zip(chunks) {
            let value = f64::from_le_bytes(*chunk);
            if !value.is_nan() {
                let column = by_series.entry(*id).or_default();
                column.resize(times.len(), f64::NAN);
                column.push(value);
            }
        }
        times.push(row.get(0)?);
    }
    for column in by_series.values_mut() {
        column.resize(times.len(), f64::NAN);
    }
    Ok(Columns { times, by_series })
}

/// The series of each layout of a resource.
pub(crate) fn layouts_of(
    connection: &rusqlite::Connection,
    resource: i64,
) -> rusqlite::Result<HashMap<i64, Vec<u32>>> {
    connection
        .prepare_cached("SELECT id, series FROM layout WHERE resource = ?1")?
        .query_map([resource], |row| {
            let (ids, _) = row.get_ref(1)?.as_blob()?.as_chunks::<4>();
            Ok((row.get(0)?, ids.iter().map(|id| u32::from_le_bytes(*id)).collect()))
        })?
        .collect()
}

/// Leaves out times that an earlier block of the hour holds already.
fn drop_duplicates(
    transaction: &Transaction<'_>,
    resource: i64,
    from: i64,
    to: i64,
    columns: &mut Columns,
) -> rusqlite::Result<()> {
    let mut sealed = BTreeSet::new();
    let mut statement = transaction.prepare_cached(
        "SELECT data FROM block WHERE resource = ?1 AND resolution = 0
         AND from_at >= ?2 AND from_at < ?3",
    )?;
    let mut rows = statement.query([resource, from, to])?;
    while let Some(row) = rows.next()? {
        match BlockReader::new(row.get_ref(0)?.as_blob()?).and_then(|block| block.times()) {
            Ok(times) => sealed.extend(times),
            Err(error) => tracing::warn!(%error, resource, from, "a damaged block of history"),
        }
    }
    if sealed.is_empty() {
        return Ok(());
    }
    let keep: Vec<bool> = columns.times.iter().map(|at| !sealed.contains(at)).collect();
    let kept = |index: &mut usize| {
        let keep = keep.get(*index).copied().unwrap_or(false);
        *index += 1;
        keep
    };
    let mut index = 0;
    columns.times.retain(|_| kept(&mut index));
    for values in columns.by_series.values_mut() {
        let mut index = 0;
        values.retain(|_| kept(&mut index));
    }
    Ok(())
}

fn write_blocks(
    transaction: &Transaction<'_>,
    resource: i64,
    hour: i64,
    mut columns: Columns,
) -> rusqlite::Result<Sealed> {
    let metrics = metrics_of(transaction, resource)?;
    let metric_of = |series: u32| metrics.get(&series).copied().unwrap_or(MetricId(0));
    let samples: usize = columns
        .by_series
        .values()
        .map(|values| values.iter().filter(|value| !value.is_nan()).count())
        .sum();
    let mut bytes = 0;
    for (series, values) in &mut columns.by_series {
        let kept = precision::of(metric_of(*series));
        values.iter_mut().for_each(|value| *value = kept.round(*value));
    }
    // Parts, because the limit of rows holds for every block.
    for (part, times) in columns.times.chunks(MAX_BLOCK_ROWS).enumerate() {
        let start = part * MAX_BLOCK_ROWS;
        let mut raw = BlockBuilder::new(times.to_vec());
        for (series, values) in &columns.by_series {
            let values = values.get(start..start + times.len()).unwrap_or_default();
            raw.column(*series, Field::Value, values);
        }
        let samples = if part == 0 { samples } else { 0 };
        bytes += put_block(transaction, resource, Resolution::Raw, times, samples, raw)?;
    }
    for resolution in [Resolution::Minute, Resolution::Hour] {
        let steps: BTreeSet<i64> =
            columns.times.iter().map(|at| floor(*at, resolution.step_ms())).collect();
        let times: Vec<i64> = steps.into_iter().collect();
        let mut builder = BlockBuilder::new(times.clone());
        for (series, values) in &columns.by_series {
            let readings = columns.times.iter().copied().zip(values.iter().copied());
            let present = readings
                .filter(|(_, value)| !value.is_nan())
                .map(|(at, value)| (at, Rollup::of(value)));
            let steps = roll_up(present, resolution.step_ms());
            put_rollups(&mut builder, *series, metric_of(*series), &times, &steps);
        }
        bytes += put_block(transaction, resource, resolution, &times, 0, builder)?;
    }
    touch_series(transaction, hour, &columns)?;
    Ok(Sealed { samples: samples as i64, bytes })
}

/// Adds the four columns of a series' rollups. Means are rounded, but stay between their extremes.
fn put_rollups(
    builder: &mut BlockBuilder,
    series: u32,
    metric: MetricId,
    times: &[i64],
    steps: &[(i64, Rollup)],
) {
    let rounded = precision::of_mean(metric);
    let column = |field: &dyn Fn(&Rollup) -> f64| -> Vec<f64> {
        let mut steps = steps.iter().peekable();
        times
            .iter()
            .map(|at| match steps.next_if(|(step, _)| step == at) {
                Some((_, rollup)) => field(rollup),
                None => f64::NAN,
            })
            .collect()
    };
    builder.column(series, Field::Min, &column(&|rollup| rollup.min));
    let mean = |rollup: &Rollup| rounded.round(rollup.mean).max(rollup.min).min(rollup.max);
    builder.column(series, Field::Mean, &column(&mean));
    builder.column(series, Field::Max, &column(&|rollup| rollup.max));
    builder.column(series, Field::Count, &column(&|rollup| f64::from(rollup.count)));
}

/// Reads a series' rollups from a block.
pub(crate) fn rollups_in(
    block: &BlockReader<'_>,
    series: u32,
) -> Result<Vec<(i64, Rollup)>, crate::block::DecodeError> {
    let column = |field| block.column(series, field);
    let (Some(min), Some(mean), Some(max), Some(count)) =
        (column(Field::Min)?, column(Field::Mean)?, column(Field::Max)?, column(Field::Count)?)
    else {
        return Ok(Vec::new());
    };
    let fields = min.into_iter().zip(mean).zip(max.into_iter().zip(count));
    Ok(block
        .times()?
        .into_iter()
        .zip(fields)
        .filter(|(_, ((_, mean), _))| !mean.is_nan())
        .map(|(at, ((min, mean), (max, count)))| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float cast saturates"
            )]
            let count = count as u32;
            (at, Rollup { min, mean, max, count })
        })
        .collect())
}

/// Stores a block; returns its bytes. One without columns is left out.
fn put_block(
    transaction: &Transaction<'_>,
    resource: i64,
    resolution: Resolution,
    times: &[i64],
    samples: usize,
    builder: BlockBuilder,
) -> rusqlite::Result<i64> {
    let (Some(from), Some(to)) = (times.first(), times.last()) else { return Ok(0) };
    if builder.columns() == 0 {
        return Ok(0);
    }
    let data = builder.finish();
    transaction
        .prepare_cached(
            "INSERT INTO block (resource, resolution, from_at, to_at, samples, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![resource, resolution.code(), from, to, samples as i64, data])?;
    Ok(data.len() as i64)
}

/// The metric of each series of a resource.
fn metrics_of(
    transaction: &Transaction<'_>,
    resource: i64,
) -> rusqlite::Result<HashMap<u32, MetricId>> {
    transaction
        .prepare_cached("SELECT id, metric FROM series WHERE resource = ?1")?
        .query_map([resource], |row| Ok((row.get(0)?, MetricId(row.get(1)?))))?
        .collect()
}

/// Notes how far the series' readings reach.
fn touch_series(
    transaction: &Transaction<'_>,
    hour: i64,
    columns: &Columns,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "UPDATE series SET last_at = max(last_at, ?3),
           first_at = CASE WHEN last_at = 0 THEN ?2 ELSE min(first_at, ?2) END
         WHERE id = ?1",
    )?;
    for (series, values) in &columns.by_series {
        let mut present = columns
            .times
            .iter()
            .zip(values)
            .filter(|(_, value)| !value.is_nan())
            .map(|(at, _)| *at);
        let first = present.next().unwrap_or(hour);
        let last = present.next_back().unwrap_or(first);
        statement.execute(params![series, first, last])?;
    }
    Ok(())
}

/// Joins the rollup blocks of the newest day before the one that is being sealed, once there are
/// several. Returns by how many bytes history grew, which is negative.
fn join_day_before(
    transaction: &Transaction<'_>,
    resource: i64,
    resolution: Resolution,
    hour: i64,
) -> rusqlite::Result<i64> {
    let today = floor(hour, DAY_MS);
    let newest: Option<i64> = transaction
        .prepare_cached(
            "SELECT max(from_at) FROM block
             WHERE resource = ?1 AND resolution = ?2 AND from_at < ?3",
        )?
        .query_row([resource, resolution.code(), today], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(day) = newest.map(|at| floor(at, DAY_MS)) else { return Ok(0) };
    let parts: Vec<(i64, Vec<u8>)> = transaction
        .prepare_cached(
            "SELECT id, data FROM block
             WHERE resource = ?1 AND resolution = ?2 AND from_at >= ?3 AND from_at < ?4
             ORDER BY from_at, id",
        )?
        .query_map(params![resource, resolution.code(), day, day + DAY_MS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    if parts.len() < 2 {
        return Ok(0);
    }
    let Some(joined) = join(transaction, resource, &parts)? else { return Ok(0) };
    let mut delete = transaction.prepare_cached("DELETE FROM block WHERE id = ?1")?;
    for (id, _) in &parts {
        delete.execute([id])?;
    }
    let before: usize = parts.iter().map(|(_, data)| data.len()).sum();
    let (times, builder) = joined;
    Ok(put_block(transaction, resource, resolution, &times, 0, builder)? - before as i64)
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
