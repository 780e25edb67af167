//! One signal that ends everything, with the reason of the first who asked.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The signal to stop. All clones are one signal; it is given once and never taken back.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl Shutdown {
    /// A signal that was not given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything to stop. The first reason is kept.
    pub fn request(&self, reason: &str) {
        if self.reason.set(reason.to_owned()).is_ok() {
            tracing::info!(reason, "shutting down");
        }
        self.token.cancel();
    }

    /// Waits until someone asks to stop.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Whether someone asked to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why, once someone asked.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.reason.get().cloned()
    }

    /// The token for code that knows only tokens. Cancelling it stops everything, without a
    /// reason; children of it can be cancelled on their own.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_reason_is_kept_and_all_clones_see_it() {
        let shutdown = Shutdown::new();
        let other = shutdown.clone();
        assert!(!other.is_requested() && other.reason().is_none());
        shutdown.request("SIGTERM");
        shutdown.request("SIGINT");
        other.requested().await;
        assert!(other.is_requested() && other.token().is_cancelled());
        assert_eq!(other.reason().as_deref(), Some("SIGTERM"));
    }

    #[test]
    fn a_child_token_can_be_cancelled_alone() {
        let shutdown = Shutdown::new();
        shutdown.token().child_token().cancel();
        assert!(!shutdown.is_requested());
    }
}
