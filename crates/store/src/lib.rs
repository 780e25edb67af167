//! What Sickbay remembers: current state, check results on change, events, and readings.
//!
//! One SQLite file (write-ahead log, one writer thread, a few readers). Readings arrive as frames,
//! are committed to an open table within a second as what changed since the frame before, and are
//! sealed per resource and hour (in parts, where much is open) into compressed blocks with
//! one-minute and one-hour rollups. Age and size limits keep the footprint constant.
//!
//! What must hold:
//! - [`Store::submit`] never blocks and never fails the caller: a full disk, a damaged file or a
//!   slow one shows in [`Store::health`], and what had to be dropped is counted.
//! - What was committed survives `kill -9`.
//! - Stored bytes are never trusted: decoding is pure, bounded and returns errors.
//!
//! What it does not do: it judges nothing, reads no clock (time is given), and knows no network.

mod options;
pub use options::{DATABASE_FILE, Retention, StoreOptions, WallClock};

mod batch;
pub use batch::{CheckChange, Dropped, MetricJudgement, Record, StoredNode, WriteBatch};

mod query;
pub use query::{
    CheckQuery, EventQuery, HistoryAnswer, HistoryPoint, HistoryQuery, MAX_POINTS, MAX_ROWS,
    ReadError, Resolution, SeriesSpan,
};

mod health;
pub use health::StoreHealth;

pub mod precision;

mod block;
pub use block::{
    Block, Column, DecodeError, Field, MAX_BLOCK_COLUMNS, MAX_BLOCK_ROWS, MAX_BLOCK_VALUES,
    decode_block,
};

mod filesystem;

mod lock;

mod connection;

mod schema;

mod open;
pub use open::{DamagedFile, Integrity, OpenError, OpenReport, open};

mod store;
pub use store::Store;

mod queue;

mod writer;

mod rollup;

mod readers;

mod read;

mod open_frames;

mod history;

pub mod admin;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
