//! A few connections that read, opened when needed and kept for the next reader.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::connection::Place;

/// Readers at one time; more wait for their turn.
const MAX_READERS: usize = 4;
/// Readers kept open while nobody reads.
const IDLE_READERS: usize = 2;

#[derive(Debug)]
struct Inner {
    place: Place,
    /// Grows when the database is replaced by another: older connections are not kept.
    generation: u64,
    idle: Vec<Connection>,
    busy: usize,
}

#[derive(Debug)]
pub(crate) struct Readers {
    inner: Mutex<Inner>,
    free: Condvar,
}

impl Readers {
    pub(crate) fn new(place: Place) -> Self {
        let inner = Inner { place, generation: 0, idle: Vec::new(), busy: 0 };
        Self { inner: Mutex::new(inner), free: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads by one connection, inside one transaction: one state of the database.
    pub(crate) fn read<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut inner = self
            .free
            .wait_while(self.lock(), |inner| inner.busy >= MAX_READERS)
            .unwrap_or_else(PoisonError::into_inner);
        inner.busy += 1;
        let (generation, place, idle) = (inner.generation, inner.place.clone(), inner.idle.pop());
        drop(inner);
        // Gives the turn back on every way out, a panic in the question included.
        let turn = Turn { readers: self };
        let connection = match idle {
            Some(connection) => connection,
            None => place.reader()?,
        };
        let answer = {
            let transaction = connection.unchecked_transaction()?;
            question(&transaction)?
        };
        let mut inner = self.lock();
        if inner.generation == generation && inner.idle.len() < IDLE_READERS {
            inner.idle.push(connection);
        }
        drop(inner);
        drop(turn);
        Ok(answer)
    }

    /// From now on readers open another database.
    pub(crate) fn switch(&self, place: Place) {
        let mut inner = self.lock();
        inner.place = place;
        inner.generation += 1;
        inner.idle.clear();
    }

    /// Closes the connections that nobody uses.
    pub(crate) fn close_idle(&self) {
        self.lock().idle.clear();
    }

    pub(crate) fn place(&self) -> Place {
        self.lock().place.clone()
    }
}

struct Turn<'a> {
    readers: &'a Readers,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.readers.lock().busy -= 1;
        self.readers.free.notify_one();
    }
}
