//! What arrives on the channels of a session, until somebody takes it.
//!
//! **Must hold**: the session's task never waits for who reads a channel, so that a slow reader
//! holds up neither its other channels nor the sessions that are tunnelled through it; what is kept
//! is bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use russh::ChannelId;

/// How much of a channel is kept for its reader, in bytes. Answers are read as they come: more than
/// this waits only where nobody reads, or where somebody floods us.
pub(crate) const MAX_WAITING_BYTES: usize = 1 << 20;
/// How many channels one session has at most: a few lanes, and those being closed.
pub(crate) const MAX_CHANNELS: usize = 64;

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side closed the channel.
    Closed,
    /// The session is gone.
    Lost,
    /// More came than is kept; the channel was closed.
    Flooded,
    /// The other side does not execute commands.
    Refused,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// What came on the error channel, the beginning of it.
    errors: Vec<u8>,
    exit_status: Option<u32>,
    end: Option<End>,
    waker: Option<Waker>,
}

/// How much of the error channel is kept, in bytes: it says why there is no shell.
const MAX_ERROR_BYTES: usize = 1 << 10;

/// One channel's incoming side.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

impl Inbox {
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let waker = {
            let mut waiting = lock(&self.0);
            change(&mut waiting);
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next bytes; `Err` with why there are none any more.
    pub(crate) async fn next(&self) -> Result<Vec<u8>, End> {
        std::future::poll_fn(|context| {
            let mut waiting = lock(&self.0);
            if !waiting.bytes.is_empty() {
                return Poll::Ready(Ok(std::mem::take(&mut waiting.bytes)));
            }
            if let Some(end) = waiting.end {
                return Poll::Ready(Err(end));
            }
            waiting.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Whether it ended, and how.
    pub(crate) fn end(&self) -> Option<End> {
        lock(&self.0).end
    }

    /// What came on the error channel so far, and the exit status if there is one.
    pub(crate) fn last_words(&self) -> (Vec<u8>, Option<u32>) {
        let waiting = lock(&self.0);
        (waiting.errors.clone(), waiting.exit_status)
    }
}

/// The inboxes of one session, by channel.
#[derive(Debug, Default)]
pub(crate) struct Inboxes(Mutex<Vec<(ChannelId, Arc<Inbox>)>>);

/// What became of bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Yes,
    /// Nobody reads that channel any more.
    Unwanted,
    /// Too much waits: the channel is to be closed.
    Flooded,
}

impl Inboxes {
    /// A new channel's inbox; `None` if there are too many.
    pub(crate) fn open(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        let mut all = lock(&self.0);
        if all.len() >= MAX_CHANNELS {
            return None;
        }
        let inbox = Arc::new(Inbox::default());
        all.push((id, Arc::clone(&inbox)));
        Some(inbox)
    }

    /// Nobody reads it any more.
    pub(crate) fn forget(&self, id: ChannelId) {
        lock(&self.0).retain(|(other, _)| *other != id);
    }

    fn find(&self, id: ChannelId) -> Option<Arc<Inbox>> {
        lock(&self.0).iter().find(|(other, _)| *other == id).map(|(_, inbox)| Arc::clone(inbox))
    }

    pub(crate) fn deliver(&self, id: ChannelId, bytes: &[u8]) -> Delivered {
        let Some(inbox) = self.find(id) else { return Delivered::Unwanted };
        let mut delivered = Delivered::Yes;
        inbox.change(|waiting| {
            if waiting.end.is_some() {
                delivered = Delivered::Unwanted;
            } else if waiting.bytes.len() + bytes.len() > MAX_WAITING_BYTES {
                waiting.bytes = Vec::new();
                waiting.end = Some(End::Flooded);
                delivered = Delivered::Flooded;
            } else {
                waiting.bytes.extend_from_slice(bytes);
            }
        });
        delivered
    }

    pub(crate) fn deliver_error(&self, id: ChannelId, bytes: &[u8]) {
        if let Some(inbox) = self.find(id) {
            inbox.change(|waiting| {
                let room = MAX_ERROR_BYTES.saturating_sub(waiting.errors.len());
                waiting.errors.extend(bytes.iter().take(room));
            });
        }
    }

    pub(crate) fn exited(&self, id: ChannelId, status: u32) {
        if let Some(inbox) = self.find(id) {
            inbox.change(|waiting| waiting.exit_status = Some(status));
        }
    }

    pub(crate) fn end(&self, id: ChannelId, end: End) {
        if let Some(inbox) = self.find(id) {
            inbox.change(|waiting| {
                waiting.end.get_or_insert(end);
            });
        }
    }

    /// The session is gone.
    pub(crate) fn lose_all(&self) {
        for (_, inbox) in lock(&self.0).drain(..) {
            inbox.change(|waiting| {
                waiting.end.get_or_insert(End::Lost);
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_before_the_end_and_a_flood_is_cut() {
        let inboxes = Inboxes::default();
        // Ids are the protocol library's to make.
        let id = <ChannelId as russh::keys::ssh_encoding::Decode>::decode(&mut &[0, 0, 0, 7][..])
            .expect("an id");
        assert_eq!(inboxes.deliver(id, b"early"), Delivered::Unwanted);
        let inbox = inboxes.open(id).expect("room");
        assert_eq!(inboxes.deliver(id, b"a"), Delivered::Yes);
        assert_eq!(inboxes.deliver(id, b"b"), Delivered::Yes);
        inboxes.deliver_error(id, &[b'e'; 2 * MAX_ERROR_BYTES]);
        inboxes.exited(id, 3);
        inboxes.end(id, End::Closed);
        inboxes.lose_all();
        assert_eq!(inbox.next().await, Ok(b"ab".to_vec()));
        assert_eq!(inbox.next().await, Err(End::Closed));
        assert_eq!(inbox.last_words(), (vec![b'e'; MAX_ERROR_BYTES], Some(3)));

        let flooded = inboxes.open(id).expect("room");
        let chunk = vec![b'x'; MAX_WAITING_BYTES / 2 + 1];
        assert_eq!(inboxes.deliver(id, &chunk), Delivered::Yes);
        assert_eq!(inboxes.deliver(id, &chunk), Delivered::Flooded);
        assert_eq!(inboxes.deliver(id, b"more"), Delivered::Unwanted);
        assert_eq!(flooded.next().await, Err(End::Flooded));
        inboxes.forget(id);
        for _ in 0..MAX_CHANNELS {
            assert!(inboxes.open(id).is_some());
        }
        assert!(inboxes.open(id).is_none());
    }
}
