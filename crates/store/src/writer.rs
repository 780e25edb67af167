//! The one thread that writes.
//!
//! It is a loop: take what waits, write it in one transaction, seal a little of what is finished,
//! remove a little that is too old. What fails is classed once (try later, damaged, refused) and the loop
//! goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use sickbay_model::Timestamp;

mod catalog;

mod apply;
pub(crate) use apply::put_meta;
use apply::{OpenHour, apply};

mod chain;

mod join;

mod open_parts;
use open_parts::{OpenParts, Part};

mod seal;
use seal::seal;
pub(crate) use seal::{DAY_MS, layouts_of, rollups_in};

mod retention;
use retention::add_history;
pub(crate) use retention::{Swept, sweep_step, vacuum};

use crate::connection::{Place, move_aside};
use crate::open::quick_check;
use crate::options::Retention;
use crate::queue::Work;
use crate::read::meta_number;
use crate::schema;
use crate::store::Shared;

/// How often the writer looks around while nothing comes in.
const IDLE_TICK: Duration = Duration::from_secs(10);
/// The longest pause between two attempts to write.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Values that are sealed beside one commit, so that writing never waits long: what is due then
/// waits for the next. At least one part is sealed.
const SEAL_VALUES_PER_TURN: usize = 1 << 19;
/// A step of the wall clock by more than this, between two looks at it, is a jump.
const CLOCK_JUMP: Duration = Duration::from_secs(600);
/// After a start or a jump the clock is believed when it ran evenly for this long. Until then
/// nothing is deleted for its age: a wrong clock must not cost the history.
const CLOCK_TRUST: Duration = Duration::from_secs(3_600);
/// Steps of a sweep that are done when somebody waits for it.
const MAX_SWEEP_STEPS: usize = 100_000;

const FOR_EVER: Retention = Retention {
    raw_age: Duration::MAX,
    minute_age: Duration::MAX,
    hour_age: Duration::MAX,
    event_age: Duration::MAX,
    check_age: Duration::MAX,
    max_bytes: u64::MAX,
};

/// The name of the clean-shutdown marker.
pub(crate) const CLEAN_SHUTDOWN: &str = "clean_shutdown";

/// What is to be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// No space, no permission, locked: it may work later.
    Later,
    /// The file is not sound.
    Damaged,
    /// The database refuses this work and always will.
    Refused,
}

impl Class {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(
                ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ApiMisuse
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown,
            )
            | None => Self::Refused,
            Some(_) => Self::Later,
        }
    }
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// None only while it is being replaced.
    connection: Option<Connection>,
    catalog: catalog::Catalog,
    renewed: HashMap<i64, Timestamp>,
    chains: chain::Chains,
    open: OpenParts,
    /// The pause before the next attempt, while writing fails.
    pause: Option<Duration>,
    swept_at: Option<Timestamp>,
    sweeping: bool,
    /// When the clock was last looked at, and since when it runs evenly.
    looked_at: Timestamp,
    even_since: Timestamp,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        let now = (shared.clock)();
        Self {
            shared,
            looked_at: now,
            even_since: now,
            connection: Some(connection),
            catalog: catalog::Catalog::default(),
            renewed: HashMap::new(),
            chains: chain::Chains::default(),
            open: OpenParts::default(),
            pause: None,
            swept_at: None,
            sweeping: false,
        }
    }

    /// Runs until the store is closed.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.find_open_hours() {
            self.failed("looking for readings that are not sealed", &error);
        }
        loop {
            let collect = self.shared.options.commit_interval;
            let (idle, holding) = match self.pause {
                Some(pause) => (pause, true),
                None if self.sweeping || self.open.due((self.shared.clock)(), false).is_some() => {
                    (Duration::ZERO, false)
                }
                None => (IDLE_TICK, false),
            };
            let turn = self.shared.queue.next(idle, collect, holding);
            if let Some(reason) = self.shared.take_damage()
                && self.is_damaged()
            {
                self.replace(&reason);
            }
            let written = self.write(turn.work);
            if written && turn.settle.is_some() {
                self.settle();
            } else if written {
                self.maintain();
            }
            if let Some(number) = turn.settle {
                self.shared.queue.settled(number);
            }
            if turn.close {
                self.finish();
                return;
            }
        }
    }

    /// Writes a batch; whether it is committed. What can be tried later goes back into the queue.
    fn write(&mut self, work: Work) -> bool {
        if work.is_empty() && self.pause.is_none() {
            self.shared.queue.committed(work.upto);
            return true;
        }
        let mut written = self.try_write(&work);
        if let Err(error) = &written
            && error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            && self.shared.readers.place().is_memory()
        {
            self.forget();
            self.make_room();
            written = self.try_write(&work);
        }
        match written {
            Ok(()) => {
                self.pause = None;
                self.shared.recovered();
                self.shared.queue.committed(work.upto);
                true
            }
            Err(error) => {
                if self.failed("writing", &error) == Class::Refused {
                    self.shared.queue.refused(&work);
                } else {
                    self.shared.queue.put_back(work);
                }
                false
            }
        }
    }

    fn try_write(&mut self, work: &Work) -> rusqlite::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied =
            apply(&transaction, &mut self.catalog, &mut self.chains, &self.renewed, work)?;
        transaction.commit()?;
        let now = (self.shared.clock)();
        self.renewed.extend(applied.renewed);
        for (key, frames) in applied.opened {
            self.open.add(key, frames, now);
        }
        Ok(())
    }

    /// Forgets what a transaction that did not commit may have changed.
    fn forget(&mut self) {
        self.catalog.forget();
        self.chains.forget_all();
    }

    /// Takes note of a failure and does what its class asks for.
    fn failed(&mut self, doing: &str, error: &rusqlite::Error) -> Class {
        self.forget();
        let class = Class::of(error);
        match class {
            Class::Later => {
                let first = self.shared.options.commit_interval.max(Duration::from_millis(10));
                let pause = self.pause.map_or(first, |pause| pause.saturating_mul(2));
                self.pause = Some(pause.min(LONGEST_PAUSE));
                self.shared.failing(doing, error);
            }
            Class::Damaged => self.replace(&format!("{doing}: {error}")),
            Class::Refused => self.shared.failed_once(doing, error),
        }
        class
    }

    /// Whether the file is really not sound: a reader may have seen one that was replaced since.
    /// Asked of a fresh connection, because the writer's own may have sound pages in its cache.
    fn is_damaged(&self) -> bool {
        match self.shared.readers.place().reader() {
            Ok(connection) => matches!(quick_check(&connection), Ok(Some(_))),
            Err(error) => Class::of(&error) == Class::Damaged,
        }
    }

    /// In memory nobody else can make room: the older half of what is not sealed goes.
    fn make_room(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        // With them goes what stands on them.
        let gone = connection.execute(
            "WITH line(id) AS (SELECT (min(id) + max(id)) / 2 FROM open_frame)
             DELETE FROM open_frame WHERE id <= (SELECT id FROM line)
             OR id < (SELECT coalesce(min(o.id), 1 << 62) FROM open_frame o
                      WHERE o.resource = open_frame.resource AND o.form <> 2
                      AND o.id > (SELECT id FROM line))",
            [],
        );
        self.chains.forget_all();
        match gone {
            Ok(frames) => {
                self.shared.queue.lost_frames(frames as u64);
                tracing::warn!(
                    frames,
                    "the store in memory is full; its oldest readings were dropped"
                );
            }
            Err(error) => {
                tracing::error!(%error, "the store in memory is full and cannot make room")
            }
        }
        let now = (self.shared.clock)();
        for _ in 0..MAX_SWEEP_STEPS {
            if !self.sweep(now, true) {
                return;
            }
        }
    }

    /// Moves a damaged file aside and goes on with a fresh one, or in memory.
    fn replace(&mut self, reason: &str) {
        self.connection = None;
        self.forget();
        self.renewed.clear();
        self.open = OpenParts::default();
        self.pause = None;
        let now = (self.shared.clock)();
        let database = self.shared.options.database();
        // Readers must let go of the old file before it is renamed under them.
        self.shared.readers.close_idle();
        let moved = move_aside(&database, &damaged_label(now));
        let file = Place::File(database);
        let fresh = moved
            .as_ref()
            .ok()
            .and_then(|_| fresh(&file, self.shared.options.max_pages).ok().map(|c| (file, c)));
        let (place, connection) = match fresh {
            Some((place, connection)) => (place, Some(connection)),
            None => {
                let place = Place::memory();
                let connection = fresh_in_memory(&place);
                (place, connection)
            }
        };
        self.connection = connection;
        self.shared.replaced(place, reason, moved.ok().as_deref());
    }

    /// What was left open by an earlier process.
    fn find_open_hours(&mut self) -> rusqlite::Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        for (key, frames) in open_parts::find(connection)? {
            self.open.add(key, frames, Timestamp::EPOCH);
        }
        Ok(())
    }

    /// Seals a part; returns how many values that was, or nothing if it failed.
    fn seal(&mut self, part: Part) -> Option<usize> {
        // Whatever happens, it is not tried for ever; a restart tries again.
        let open = self.open.take(part);
        match self.try_seal(part) {
            Ok((values, left)) => {
                if let Some(open) = open {
                    self.open.put_back(part, open.with(left));
                }
                Some(values)
            }
            Err(error) => {
                if self.failed("sealing readings", &error) == Class::Later
                    && let Some(open) = open
                {
                    self.open.put_back(part, open);
                }
                None
            }
        }
    }

    /// Returns how many values were sealed, and what is left open of the hour.
    fn try_seal(&mut self, part: Part) -> rusqlite::Result<(usize, OpenHour)> {
        let Some(connection) = &mut self.connection else { return Ok((0, OpenHour::NONE)) };
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let layout = self.catalog.layout_in_use(part.resource);
        let sealed = seal(&transaction, part.resource, part.hour, part.end, layout)?;
        add_history(&transaction, sealed.samples, sealed.bytes)?;
        let left = open_parts::left(&transaction, part)?;
        transaction.commit()?;
        self.chains.forget(part.resource);
        self.count_history()?;
        Ok((sealed.values, left))
    }

    fn count_history(&self) -> rusqlite::Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let samples = meta_number(connection, "history_samples")?;
        self.shared.count_history(samples, meta_number(connection, "history_bytes")?);
        Ok(())
    }

    /// A little of what has to be done beside writing.
    fn maintain(&mut self) {
        let now = (self.shared.clock)();
        let believed = self.believes(now);
        let mut budget = SEAL_VALUES_PER_TURN;
        let mut sealed = false;
        while budget > 0
            && let Some(part) = self.open.due(now, false)
        {
            sealed = true;
            let Some(values) = self.seal(part) else { return };
            budget = budget.saturating_sub(values.max(1));
        }
        if sealed {
            return;
        }
        let interval = self.shared.options.sweep_interval;
        let due = self.swept_at.is_none_or(|at| {
            // Also when the clock was set back.
            now.since(at) >= interval || at.since(now) >= interval
        });
        if due {
            self.swept_at = Some(now);
            self.sweeping = true;
            if self.shared.file_is_gone() {
                self.replace("the database file was removed while it was in use");
            }
        }
        if self.sweeping {
            self.sweeping = self.sweep(now, believed);
        }
    }

    /// Whether the clock has run evenly for long enough to delete by it.
    fn believes(&mut self, now: Timestamp) -> bool {
        let step = now.since(self.looked_at).max(self.looked_at.since(now));
        if step > CLOCK_JUMP {
            self.even_since = now;
        }
        self.looked_at = now;
        now.since(self.even_since) >= CLOCK_TRUST
    }

    /// One step of a sweep; whether there is more to do. Without belief in the clock only size
    /// counts.
    fn sweep(&mut self, now: Timestamp, believed: bool) -> bool {
        let mut retention = self.shared.retention();
        if !believed {
            retention = Retention { max_bytes: retention.max_bytes, ..FOR_EVER };
        }
        let Some(connection) = &mut self.connection else { return false };
        let swept = match sweep_step(connection, &retention, now) {
            Ok(swept) => swept,
            Err(error) => {
                self.failed("removing what is too old", &error);
                return false;
            }
        };
        if swept.series > 0 {
            self.catalog.forget();
        }
        if swept.blocks > 0
            && let Err(error) = self.count_history()
        {
            self.failed("counting history", &error);
        }
        !swept.is_nothing()
    }

    /// Everything that is due, at once.
    fn settle(&mut self) {
        let now = (self.shared.clock)();
        while let Some(part) = self.open.due(now, true) {
            if self.seal(part).is_none() {
                return;
            }
        }
        let now = (self.shared.clock)();
        self.swept_at = Some(now);
        self.sweeping = false;
        for _ in 0..MAX_SWEEP_STEPS {
            if !self.sweep(now, true) {
                return;
            }
        }
    }

    /// Marks the shutdown as clean and lets go of the file.
    fn finish(&mut self) {
        self.shared.readers.close_idle();
        if let Some(connection) = self.connection.take() {
            let marked = put_meta(&connection, CLEAN_SHUTDOWN, "1")
                .and_then(|()| connection.execute_batch("PRAGMA optimize"))
                .and_then(|()| connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
            if let Err(error) = marked {
                tracing::warn!(%error, "the store could not be closed cleanly");
            }
        }
        self.shared.queue.closed();
    }
}

/// The suffix of a damaged file's new name.
pub(crate) fn damaged_label(at: Timestamp) -> String {
    format!("damaged-{}", at.to_string().replace(':', ""))
}

/// Makes a database at a place where none is.
pub(crate) fn fresh(place: &Place, max_pages: Option<u32>) -> rusqlite::Result<Connection> {
    if let Place::File(path) = place {
        crate::open::create_private(path).map_err(|_| {
            rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                None,
            )
        })?;
    }
    let mut connection = place.writer(max_pages)?;
    schema::migrate(&mut connection)?;
    put_meta(&connection, CLEAN_SHUTDOWN, "0")?;
    Ok(connection)
}

fn fresh_in_memory(place: &Place) -> Option<Connection> {
    fresh(place, None)
        .inspect_err(|error| tracing::error!(%error, "not even a store in memory could be made"))
        .ok()
}
