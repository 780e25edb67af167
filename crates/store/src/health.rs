//! How the store itself is.

use sickbay_model::{Status, Timestamp};

use crate::batch::Dropped;

/// How the store is: shown in the hub's own status.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreHealth {
    /// Healthy: everything is written. Degraded: nothing is lost yet, but writing is behind or the
    /// store lives in memory. Critical: readings are being lost, or the file was damaged.
    pub status: Status,
    /// One sentence: what is wrong and what to do; what is stored, when healthy.
    pub message: String,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// Whether nothing is kept on disk.
    pub memory_only: bool,
    /// Bytes of the database file and its log.
    pub file_bytes: u64,
    /// Bytes that wait for the writer.
    pub queued_bytes: u64,
    /// Frames that wait for the writer.
    pub queued_frames: u64,
    /// What was dropped since the start because the queue was full or the data refused.
    pub dropped: Dropped,
    /// Raw readings kept in sealed history.
    pub samples: u64,
    /// Bytes of sealed history, rollups included.
    pub history_bytes: u64,
    /// When writing last failed.
    pub last_error_at: Option<Timestamp>,
    /// How writing last failed.
    pub last_error: Option<String>,
}
