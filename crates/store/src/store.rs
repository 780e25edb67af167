//! The handle that everything else in the hub holds.

use sickbay_model::{Event, EventId, ResourceId, Timestamp};

use crate::batch::{CheckChange, Dropped, WriteBatch};
use crate::health::StoreHealth;
use crate::open::{OpenError, OpenReport};
use crate::options::{StoreOptions, WallClock};
use crate::query::{CheckQuery, EventQuery, HistoryAnswer, HistoryQuery, ReadError, SeriesSpan};

/// Opens the store in a data directory.
///
/// # Errors
/// See [`OpenError`]. No space, no permission and a damaged file are no errors: the report says so.
pub fn open(_options: StoreOptions, _clock: WallClock) -> Result<(Store, OpenReport), OpenError> {
    unimplemented!()
}

/// The store. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Hands work to the writer. Never blocks on the disk.
    ///
    /// # Errors
    /// When the queue is full: says what was dropped for it. The batch itself is taken.
    pub fn submit(&self, _batch: WriteBatch) -> Result<(), Dropped> {
        unimplemented!()
    }

    /// Waits until everything submitted before is committed, or writing it has failed. Returns
    /// whether it is committed.
    pub fn flush(&self) -> bool {
        unimplemented!()
    }

    /// Waits until everything submitted before is committed, every hour that is over is sealed, and
    /// retention has been enforced. The writer does all this by itself; this is for tests and for
    /// the command line.
    pub fn settle(&self) -> bool {
        unimplemented!()
    }

    /// Commits what waits, marks the shutdown as clean, and stops the writer. Later submits are
    /// dropped and counted.
    pub fn close(&self) {
        unimplemented!()
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        unimplemented!()
    }

    /// Writes the address that this process serves on into the lock file.
    pub fn note_listen(&self, _listen: &str) {
        unimplemented!()
    }

    /// The newest event's id; zero before the first one. Also counts ids that wait to be written.
    #[must_use]
    pub fn last_event_id(&self) -> EventId {
        unimplemented!()
    }

    /// The newest state of every resource: id, when it was judged, the hub's JSON.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn states(&self) -> Result<Vec<(ResourceId, Timestamp, Vec<u8>)>, ReadError> {
        unimplemented!()
    }

    /// Events.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn events(&self, _query: &EventQuery) -> Result<Vec<Event>, ReadError> {
        unimplemented!()
    }

    /// Check changes, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn check_changes(&self, _query: &CheckQuery) -> Result<Vec<CheckChange>, ReadError> {
        unimplemented!()
    }

    /// The history of one series.
    ///
    /// # Errors
    /// When the database does not answer, or the query asks for nothing (an empty range, no points).
    pub fn history(&self, _query: &HistoryQuery) -> Result<HistoryAnswer, ReadError> {
        unimplemented!()
    }

    /// The series of a resource that have history.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn series(&self, _resource: &ResourceId) -> Result<Vec<SeriesSpan>, ReadError> {
        unimplemented!()
    }

    /// A small value kept by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn meta_get(&self, _key: &str) -> Result<Option<String>, ReadError> {
        unimplemented!()
    }

    /// Keeps a small value by name; written with the next commit.
    pub fn meta_put(&self, _key: &str, _value: &str) {
        unimplemented!()
    }
}
