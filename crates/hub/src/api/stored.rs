//! Reads from the store: on blocking threads, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use sickbay_store::{ReadError, Store};

use super::ApiContext;
use super::problem::ProblemResponse;

/// How long a request waits for its turn to read.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// Runs a read on a blocking thread when one of `Limits::store_reads` places is free.
///
/// # Errors
/// 503 when no place comes free in time or the database fails, 400 when the store refuses the
/// question, 500 when the read panics.
pub(super) async fn read<T, F>(context: &ApiContext, question: F) -> Result<T, ProblemResponse>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> Result<T, ReadError> + Send + 'static,
{
    let places = Arc::clone(&context.shared.store_reads);
    let place = tokio::time::timeout(TURN_WAIT, places.acquire_owned())
        .await
        .map_err(|_| ProblemResponse::busy("too many questions about history at once", TURN_WAIT))?
        .map_err(|_| ProblemResponse::internal("the store is closed"))?;
    let store = context.shared.store.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let answer = question(&store);
        drop(place);
        answer
    });
    match answer.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(ReadError::Refused(reason))) => Err(ProblemResponse::bad_request(reason)),
        Ok(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "a read from the store failed");
            Err(ProblemResponse::store_failed(&error))
        }
        Err(error) => {
            tracing::error!(%error, "a read from the store did not end");
            Err(ProblemResponse::internal("a read from the store failed unexpectedly"))
        }
    }
}

/// An error with its causes, on one line.
struct Chain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
