//! Answering history queries: which resolution, which blocks, and what is not sealed yet.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::block::{BlockReader, Field};
use crate::open_frames::each_open_frame;
use crate::query::{HistoryAnswer, HistoryQuery, MAX_POINTS, Resolution};
use crate::rollup::{Rollup, floor, roll_up};
use crate::writer::{DAY_MS, layouts_of, rollups_in};

/// Lengths that a step is rounded up to, in seconds: what a person reads off an axis.
const ROUND_STEPS: [i64; 21] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 2_592_000,
];

/// Numbers of what is asked for.
struct Target {
    resource: i64,
    series: u32,
}

/// How a query is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    from: i64,
    to: i64,
    max_points: usize,
    /// The step asked for, made longer if it needs too many points; 0 if none was asked for.
    step_ms: i64,
    resolution: Resolution,
}

/// Answers a query; an unknown resource or series has no points.
pub(crate) fn history(
    connection: &Connection,
    query: &HistoryQuery,
) -> rusqlite::Result<HistoryAnswer> {
    let mut plan = Plan::of(query);
    let Some(target) = find(connection, query)? else { return Ok(plan.answer(Vec::new())) };
    plan.resolution = available(connection, target.resource, &plan)?;
    let mut points = sealed(connection, &target, &plan)?;
    let rest = open(connection, &target, &plan)?;
    points.extend(roll_up(rest, plan.resolution.step_ms()));
    points.sort_by_key(|(at, _)| *at);
    if plan.resolution == Resolution::Raw {
        // The same reading twice is one reading.
        points.dedup_by_key(|(at, _)| *at);
    }
    Ok(plan.answer(points))
}

impl Plan {
    fn of(query: &HistoryQuery) -> Self {
        let (from, to) = (query.from.as_unix_ms(), query.to.as_unix_ms());
        let max_points = query.max_points.clamp(1, MAX_POINTS);
        let least = needed_step(to.saturating_sub(from).max(0), max_points);
        let asked = query.step.map(|step| i64::try_from(step.as_millis()).unwrap_or(i64::MAX));
        let step_ms = match asked {
            Some(asked) if asked >= least => asked.max(1),
            Some(_) => round_up(least),
            None => 0,
        };
        // What a point has to stand for anyway decides what is read.
        let length = if step_ms > 0 { step_ms } else { least };
        let resolution = [Resolution::Hour, Resolution::Minute]
            .into_iter()
            .find(|resolution| length >= resolution.step_ms())
            .unwrap_or(Resolution::Raw);
        Self { from, to, max_points, step_ms, resolution }
    }

    /// Rolls what was read up to the step, and makes points of it.
    fn answer(self, points: Vec<(i64, Rollup)>) -> HistoryAnswer {
        let native = self.resolution.step_ms();
        let mut step_ms = self.step_ms.max(native);
        if self.step_ms == 0 && points.len() > self.max_points {
            let needed = needed_step(self.to.saturating_sub(self.from), self.max_points);
            step_ms = round_up(needed).max(native);
        }
        // Rollups of one step can come from several blocks.
        let points = if step_ms > 0 { roll_up(points, step_ms) } else { points };
        let step = u64::try_from(step_ms).ok().filter(|&ms| ms > 0).map(Duration::from_millis);
        let points = points.into_iter().map(|(at, rollup)| rollup.at(at)).collect();
        HistoryAnswer { resolution: self.resolution, step, points }
    }

    /// Rollups are found by the start of their step.
    fn first(self) -> i64 {
        floor(self.from, self.resolution.step_ms())
    }
}

/// The shortest step that covers a range, cut at two odd ends, with so many points.
fn needed_step(range_ms: i64, max_points: usize) -> i64 {
    let points = i64::try_from(max_points).unwrap_or(i64::MAX);
    // One more step than the range needs can be begun.
    if points > 1 { range_ms.div_euclid(points - 1).max(1) } else { range_ms.max(1) * 2 }
}

fn round_up(ms: i64) -> i64 {
    let fits = ROUND_STEPS.iter().map(|seconds| seconds * 1000).find(|&step| step >= ms);
    fits.unwrap_or_else(|| ms.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS))
}

fn find(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<Option<Target>> {
    connection
        .prepare_cached(
            "SELECT r.id, s.id FROM resource r JOIN series s ON s.resource = r.id
             WHERE r.name = ?1 AND s.metric = ?2 AND s.instance = ?3",
        )?
        .query_row(params![query.resource.as_str(), query.metric.0, query.instance], |row| {
            Ok(Target { resource: row.get(0)?, series: row.get(1)? })
        })
        .optional()
}

/// The planned resolution, or a coarser one where the planned one does not reach back far enough
/// and the coarser one reaches further.
fn available(connection: &Connection, resource: i64, plan: &Plan) -> rusqlite::Result<Resolution> {
    let mut oldest = connection
        .prepare_cached("SELECT min(from_at) FROM block WHERE resource = ?1 AND resolution = ?2")?;
    let mut best = (plan.resolution, i64::MAX);
    for resolution in [Resolution::Raw, Resolution::Minute, Resolution::Hour] {
        if resolution < plan.resolution {
            continue;
        }
        let reach: Option<i64> =
            oldest.query_row([resource, resolution.code()], |row| row.get(0))?;
        let reach = reach.unwrap_or(i64::MAX);
        // A rollup's start lies up to one step before its first reading: that is no more history.
        if reach.saturating_add(resolution.step_ms()) <= best.1 || best.1 == i64::MAX {
            best = if best.1 == i64::MAX && reach == i64::MAX { best } else { (resolution, reach) };
        }
        if best.1 <= plan.from {
            break;
        }
    }
    Ok(best.0)
}

fn sealed(
    connection: &Connection,
    target: &Target,
    plan: &Plan,
) -> rusqlite::Result<Vec<(i64, Rollup)>> {
    // No block is longer than a day, so the index is entered one day before the range.
    let mut statement = connection.prepare_cached(
        "SELECT data FROM block WHERE resource = ?1 AND resolution = ?2
         AND from_at > ?3 AND from_at < ?4 AND to_at >= ?5 ORDER BY from_at",
    )?;
    let first = plan.first();
    let code = plan.resolution.code();
    let mut rows = statement.query(params![
        target.resource,
        code,
        first.saturating_sub(DAY_MS),
        plan.to,
        first
    ])?;
    let mut points = Vec::new();
    while let Some(row) = rows.next()? {
        let data = row.get_ref(0)?.as_blob()?;
        let read = BlockReader::new(data).and_then(|block| match plan.resolution {
            Resolution::Raw => readings_in(&block, target.series),
            Resolution::Minute | Resolution::Hour => rollups_in(&block, target.series),
        });
        match read {
            Ok(read) => {
                points.extend(read.into_iter().filter(|(at, _)| (first..plan.to).contains(at)));
            }
            // The rest of history is still worth showing.
            Err(error) => tracing::warn!(%error, "a damaged block of history was left out"),
        }
    }
    Ok(points)
}

fn readings_in(
    block: &BlockReader<'_>,
    series: u32,
) -> Result<Vec<(i64, Rollup)>, crate::block::DecodeError> {
    let Some(values) = block.column(series, Field::Value)? else { return Ok(Vec::new()) };
    let readings = block.times()?.into_iter().zip(values);
    Ok(readings
        .filter(|(_, value)| !value.is_nan())
        .map(|(at, value)| (at, Rollup::of(value)))
        .collect())
}

/// Readings that are not sealed yet.
fn open(
    connection: &Connection,
    target: &Target,
    plan: &Plan,
) -> rusqlite::Result<Vec<(i64, Rollup)>> {
    let (from, to) = (plan.first(), plan.to);
    let any: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM open_frame WHERE resource = ?1 AND at >= ?2 AND at < ?3)",
        )?
        .query_row([target.resource, from, to], |row| row.get(0))?;
    if !any {
        return Ok(Vec::new());
    }
    let slots: HashMap<i64, usize> = layouts_of(connection, target.resource)?
        .into_iter()
        .filter_map(|(layout, series)| {
            Some((layout, series.iter().position(|&id| id == target.series)?))
        })
        .collect();
    let mut points = Vec::new();
    each_open_frame(connection, target.resource, |frame| {
        // Shorter where the frame ends before this column.
        let slot = slots.get(&frame.layout);
        if let Some(value) = slot.and_then(|slot| frame.values.get(*slot))
            && !value.is_nan()
            && (from..to).contains(&frame.at)
        {
            points.push((frame.at, Rollup::of(*value)));
        }
    })?;
    points.sort_by_key(|(at, _)| *at);
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sickbay_model::{ResourceId, Timestamp, catalogue};

    #[test]
    fn the_length_of_a_point_decides_what_is_read() {
        let (hour, day) = (3_600, 86_400);
        for (range_s, step_s, max_points, resolution, step_ms) in [
            (hour, None, 1_000, Resolution::Raw, 0),
            (hour, Some(10), 1_000, Resolution::Raw, 10_000),
            (hour, Some(60), 1_000, Resolution::Minute, 60_000),
            (hour, Some(1), 100, Resolution::Raw, 60_000),
            (day, None, 1_000, Resolution::Minute, 0),
            (day, Some(5), 1_000, Resolution::Minute, 120_000),
            (365 * day, None, 1_000, Resolution::Hour, 0),
            (365 * day, Some(7 * day), 1_000, Resolution::Hour, 7 * day * 1_000),
            (hour, None, 0, Resolution::Hour, 0),
        ] {
            let query = HistoryQuery {
                resource: ResourceId::node("a").expect("id"),
                metric: catalogue::CPU_USED,
                instance: String::new(),
                from: Timestamp::EPOCH,
                to: Timestamp::from_unix_ms(range_s * 1_000),
                step: step_s.map(|s: i64| Duration::from_secs(s.unsigned_abs())),
                max_points,
            };
            let plan = Plan::of(&query);
            let expected = if step_ms == 60_000 { Resolution::Minute } else { resolution };
            assert_eq!(
                (plan.resolution, plan.step_ms),
                (expected, step_ms),
                "{range_s} s, step {step_s:?}, {max_points} points"
            );
        }
    }
}
