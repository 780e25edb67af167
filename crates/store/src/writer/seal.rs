//! Sealing: the frames of a resource and hour become one block of readings and two of rollups.
//!
//! What must hold: in one transaction frames go and blocks come, so a reader sees each reading
//! exactly once. An hour can be sealed in parts, and late frames of what is sealed already become
//! another block: whoever reads joins rollups of the same step. A row that stays and stands on one
//! that goes is packed anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Transaction, params};
use sickbay_model::MetricId;

use super::apply::HOUR_MS;
use super::join::join_rollups;
use crate::block::{BlockBuilder, BlockReader, Field, Form, MAX_BLOCK_ROWS, pack_whole};
use crate::open_frames::each_open_frame;
use crate::precision;
use crate::query::Resolution;
use crate::rollup::{Rollup, floor, roll_up};

/// No block is longer than a day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// What sealing added to history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Raw readings.
    pub(super) samples: i64,
    /// Bytes of blocks; joining makes it negative.
    pub(super) bytes: i64,
    /// Values that were packed: what it cost.
    pub(super) values: usize,
}

/// Frames as columns.
struct Columns {
    times: Vec<i64>,
    /// One value per time, by series.
    by_series: BTreeMap<u32, Vec<f64>>,
}

/// Seals what is open of one resource from the start of an hour until `end`: the whole of it, or a
/// part that is finished.
pub(super) fn seal(
    transaction: &Transaction<'_>,
    resource: i64,
    hour: i64,
    end: i64,
    layout_in_use: Option<i64>,
) -> rusqlite::Result<Sealed> {
    let (mut columns, orphans) = read_open(transaction, resource, hour, end)?;
    drop_duplicates(transaction, resource, hour, &mut columns)?;
    let mut sealed = if columns.times.is_empty() {
        Sealed::default()
    } else {
        write_blocks(transaction, resource, hour, columns)?
    };
    transaction
        .prepare_cached("DELETE FROM open_frame WHERE resource = ?1 AND at >= ?2 AND at < ?3")?
        .execute([resource, hour, end])?;
    let mut replace = transaction
        .prepare_cached("UPDATE open_frame SET form = ?2, readings = ?3 WHERE id = ?1")?;
    for orphan in orphans {
        replace.execute(params![orphan.id, orphan.form.code(), orphan.readings])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM layout WHERE resource = ?1 AND id <> ?2
             AND id NOT IN (SELECT layout FROM open_frame WHERE resource = ?1)",
        )?
        .execute([resource, layout_in_use.unwrap_or(-1)])?;
    if end >= hour.saturating_add(HOUR_MS) {
        let joined = join_rollups(transaction, resource, hour)?;
        sealed.bytes += joined.bytes;
        sealed.values += joined.values;
    }
    Ok(sealed)
}

/// A row that stays, packed so that it stands alone: the one it stood on goes.
struct Orphan {
    id: i64,
    form: Form,
    readings: Vec<u8>,
}

fn read_open(
    transaction: &Transaction<'_>,
    resource: i64,
    from: i64,
    to: i64,
) -> rusqlite::Result<(Columns, Vec<Orphan>)> {
    let layouts = layouts_of(transaction, resource)?;
    let mut columns = Columns { times: Vec::new(), by_series: BTreeMap::new() };
    let mut orphans = Vec::new();
    let mut before_goes = false;
    each_open_frame(transaction, resource, |frame| {
        let goes = (from..to).contains(&frame.at);
        if goes && let Some(series) = layouts.get(&frame.layout) {
            columns.push(frame.at, series, frame.values);
        }
        if !goes && before_goes && frame.form == Form::Difference.code() {
            let mut readings = Vec::new();
            let form = pack_whole(&mut readings, frame.values);
            orphans.push(Orphan { id: frame.id, form, readings });
        }
        before_goes = goes;
    })?;
    columns.finish();
    Ok((columns, orphans))
}

impl Columns {
    fn push(&mut self, at: i64, series: &[u32], values: &[f64]) {
        for (id, value) in series.iter().zip(values) {
            if !value.is_nan() {
                let column = self.by_series.entry(*id).or_default();
                column.resize(self.times.len(), f64::NAN);
                column.push(*value);
            }
        }
        self.times.push(at);
    }

    /// Brings the rows into the order of time; they came in the order in which they were written.
    fn finish(&mut self) {
        for column in self.by_series.values_mut() {
            column.resize(self.times.len(), f64::NAN);
        }
        if self.times.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|&row| self.times.get(row));
        let sorted = |column: &[f64]| -> Vec<f64> {
            order.iter().map(|&row| column.get(row).copied().unwrap_or(f64::NAN)).collect()
        };
        for column in self.by_series.values_mut() {
            *column = sorted(column);
        }
        self.times.sort_unstable();
    }
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
    hour: i64,
    columns: &mut Columns,
) -> rusqlite::Result<()> {
    let mut sealed = BTreeSet::new();
    let mut statement = transaction.prepare_cached(
        "SELECT data FROM block WHERE resource = ?1 AND resolution = 0
         AND from_at >= ?2 AND from_at < ?3",
    )?;
    let mut rows = statement.query([resource, hour, hour.saturating_add(HOUR_MS)])?;
    while let Some(row) = rows.next()? {
        match BlockReader::new(row.get_ref(0)?.as_blob()?).and_then(|block| block.times()) {
            Ok(times) => sealed.extend(times),
            Err(error) => tracing::warn!(%error, resource, hour, "a damaged block of history"),
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
    Ok(Sealed { samples: samples as i64, bytes, values: samples })
}

/// Adds the four columns of a series' rollups. Means are rounded, but stay between their extremes.
pub(super) fn put_rollups(
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
pub(super) fn put_block(
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
pub(super) fn metrics_of(
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
