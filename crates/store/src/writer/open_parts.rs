//! What is open, by resource and hour, and what of it is to be sealed next.
//!
//! An hour is sealed when it is over. Where much is open, minutes that are finished are sealed before:
//! of a resource with many frames, and of the largest while all together need too much room.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use sickbay_model::Timestamp;

use super::apply::{HOUR_MS, OpenHour};
use crate::query::Resolution;
use crate::rollup::floor;

/// An hour is sealed this long after its end: frames in flight still arrive.
const SEAL_GRACE_MS: i64 = 60_000;
/// Late frames are sealed when none came for this long.
const SEAL_QUIET_MS: i64 = 30_000;
/// An hour that lies in the future (the clock was set back) is sealed when untouched for this long.
const SEAL_STRANDED_MS: i64 = HOUR_MS;
/// An hour is sealed in parts of this many values (8 MiB), so that sealing needs little memory.
const MAX_OPEN_VALUES: usize = 1 << 20;
/// An hour is sealed in parts of this many frames.
const MAX_OPEN_ROWS: usize = 8_192;
/// From this many values on, the finished minutes of an hour are sealed before it is over: sealing
/// takes a fraction of a second, and a machine with eight GPUs makes two parts of an hour at 5 s.
/// More parts need more bytes per sample: a tenth more with four.
const EARLY_VALUES: usize = 320_000;
/// The same for frames with few values, so that what is open is read quickly.
const EARLY_ROWS: usize = 1_024;
/// Bytes that all open frames may have as they are packed; above, the finished minutes of the
/// largest are sealed.
const MAX_OPEN_BYTES: usize = 256 << 20;

/// What is to be sealed of a resource: an hour from its start until `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) resource: i64,
    pub(super) hour: i64,
    pub(super) end: i64,
}

/// Frames of an hour that is not sealed, and when the last one came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    frames: OpenHour,
    touched: Timestamp,
}

impl Open {
    /// The same with other frames.
    pub(super) fn with(self, frames: OpenHour) -> Self {
        Self { frames, ..self }
    }

    /// The end of the minutes that are finished, if a frame lies in one.
    fn finished(&self) -> Option<i64> {
        let end = floor(self.frames.last, Resolution::Minute.step_ms());
        (self.frames.first < end).then_some(end)
    }

    /// Until when this is to be sealed now, if it is.
    fn due(&self, hour: i64, now: i64, settling: bool) -> Option<i64> {
        let untouched = now.saturating_sub(self.touched.as_unix_ms()).saturating_abs();
        let over = now.saturating_sub(hour.saturating_add(HOUR_MS));
        let whole = self.frames.rows >= MAX_OPEN_ROWS
            || self.frames.values >= MAX_OPEN_VALUES
            || (settling && over >= 0)
            || (over >= SEAL_GRACE_MS && untouched >= SEAL_QUIET_MS)
            || (over < -HOUR_MS && untouched >= SEAL_STRANDED_MS);
        if whole {
            return Some(hour.saturating_add(HOUR_MS));
        }
        let many = self.frames.rows >= EARLY_ROWS || self.frames.values >= EARLY_VALUES;
        self.finished().filter(|_| many)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenParts {
    open: BTreeMap<(i64, i64), Open>,
    /// Of all together.
    bytes: usize,
}

impl OpenParts {
    /// Frames were written.
    pub(super) fn add(&mut self, key: (i64, i64), frames: OpenHour, now: Timestamp) {
        let open = self.open.entry(key).or_insert(Open { frames: OpenHour::NONE, touched: now });
        open.frames.add(frames);
        open.touched = now;
        self.bytes += frames.bytes;
    }

    /// Takes out what a part belongs to, while it is being sealed.
    pub(super) fn take(&mut self, part: Part) -> Option<Open> {
        let open = self.open.remove(&(part.resource, part.hour))?;
        self.bytes = self.bytes.saturating_sub(open.frames.bytes);
        Some(open)
    }

    /// Puts what is left back.
    pub(super) fn put_back(&mut self, part: Part, open: Open) {
        if open.frames.rows > 0 {
            self.bytes += open.frames.bytes;
            self.open.insert((part.resource, part.hour), open);
        }
    }

    /// What is to be sealed now: the oldest first, and of the same hour the largest. `settling`: every
    /// hour that is over, at once.
    pub(super) fn due(&self, now: Timestamp, settling: bool) -> Option<Part> {
        let now = now.as_unix_ms();
        let due = self.open.iter().filter_map(|(&(resource, hour), open)| {
            let end = open.due(hour, now, settling)?;
            Some((Part { resource, hour, end }, open.frames.values))
        });
        let oldest = due.min_by_key(|&(part, values)| (part.hour, usize::MAX - values));
        oldest
            .map(|(part, _)| part)
            .or_else(|| (self.bytes > MAX_OPEN_BYTES).then(|| self.largest_finished()).flatten())
    }

    fn largest_finished(&self) -> Option<Part> {
        let finished = self.open.iter().filter_map(|(&(resource, hour), open)| {
            Some((Part { resource, hour, end: open.finished()? }, open.frames.bytes))
        });
        finished.max_by_key(|&(_, bytes)| bytes).map(|(part, _)| part)
    }
}

/// What is open in the database.
pub(super) fn find(connection: &Connection) -> rusqlite::Result<Vec<((i64, i64), OpenHour)>> {
    connection
        .prepare(
            "SELECT count(*), total(length(l.series) / 4), total(length(o.readings)),
                    min(o.at), max(o.at), o.resource,
                    o.at - ((o.at % 3600000) + 3600000) % 3600000 AS hour
             FROM open_frame o LEFT JOIN layout l ON l.id = o.layout GROUP BY o.resource, hour",
        )?
        .query_map([], |row| Ok(((row.get(5)?, row.get(6)?), open_hour(row)?)))?
        .collect()
}

/// What is open of an hour after a part of it was sealed.
pub(super) fn left(connection: &Connection, part: Part) -> rusqlite::Result<OpenHour> {
    connection
        .prepare_cached(
            "SELECT count(*), total(length(l.series) / 4), total(length(o.readings)),
                    min(o.at), max(o.at)
             FROM open_frame o LEFT JOIN layout l ON l.id = o.layout
             WHERE o.resource = ?1 AND o.at >= ?2 AND o.at < ?3",
        )?
        .query_row(params![part.resource, part.hour, part.hour.saturating_add(HOUR_MS)], open_hour)
}

fn open_hour(row: &Row<'_>) -> rusqlite::Result<OpenHour> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    let count = |column| row.get(column).map(|total: f64| total as usize);
    Ok(OpenHour {
        rows: row.get::<_, i64>(0).map(|rows| usize::try_from(rows).unwrap_or(0))?,
        values: count(1)?,
        bytes: count(2)?,
        first: row.get::<_, Option<i64>>(3)?.unwrap_or(i64::MAX),
        last: row.get::<_, Option<i64>>(4)?.unwrap_or(i64::MIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn open(rows: usize, values: usize, bytes: usize, first: i64, last: i64) -> OpenHour {
        OpenHour { rows, values, bytes, first, last }
    }

    #[test]
    fn parts_are_due_when_the_table_says() {
        let hour = 10 * HOUR_MS;
        let (running, over) = (hour + 30 * MINUTE_MS, hour + HOUR_MS + 2 * MINUTE_MS);
        let end = hour + 20 * MINUTE_MS;
        let last = end + 5_000;
        let whole = Some(hour + HOUR_MS);
        for (name, frames, now, settling, expected) in [
            ("few", open(10, 10, 80, hour, last), running, true, None),
            ("many frames", open(EARLY_ROWS, 1, 80, hour, last), running, false, Some(end)),
            ("many values", open(10, EARLY_VALUES, 80, hour, last), running, false, Some(end)),
            ("none finished", open(EARLY_ROWS, 1, 80, end, last), running, false, None),
            ("far too many", open(MAX_OPEN_ROWS, 1, 80, end, last), running, false, whole),
            ("over", open(10, 10, 80, hour, last), over, false, whole),
            ("just over", open(10, 10, 80, hour, last), hour + HOUR_MS, false, None),
            ("just over, asked for", open(10, 10, 80, hour, last), hour + HOUR_MS, true, whole),
            ("stranded", open(10, 10, 80, hour, last), hour - 2 * HOUR_MS, false, whole),
        ] {
            let mut parts = OpenParts::default();
            parts.add((1, hour), frames, Timestamp::EPOCH);
            let due = parts.due(Timestamp::from_unix_ms(now), settling).map(|part| part.end);
            assert_eq!(due, expected, "{name}");
        }
    }

    #[test]
    fn too_many_bytes_make_the_largest_finished_part_due() {
        let now = Timestamp::from_unix_ms(HOUR_MS / 2);
        let mut parts = OpenParts::default();
        let (mib, minute) = (1 << 20, MINUTE_MS);
        parts.add((1, 0), open(9, 9, 150 * mib, 0, minute - 1), now);
        parts.add((2, 0), open(9, 9, 60 * mib, 0, minute + 1), now);
        parts.add((3, 0), open(9, 9, 46 * mib, 0, 2 * minute + 1), now);
        assert_eq!(parts.due(now, false), None, "the limit is not exceeded");
        parts.add((3, 0), open(1, 1, mib, minute, minute), now);
        let due = Part { resource: 2, hour: 0, end: minute };
        assert_eq!(parts.due(now, false), Some(due), "the largest has no finished minute");
        let taken = parts.take(due).expect("it is there");
        parts.put_back(due, taken.with(open(1, 1, mib, minute + 1, minute + 1)));
        assert_eq!(parts.due(now, false), None);
        assert_eq!(parts.bytes, 198 * mib);
    }
}
