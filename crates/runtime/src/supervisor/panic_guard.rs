//! Panics of supervised work become errors that are told once, with the place.
//!
//! The process's panic hook stays as it is for everything else: only while supervised work is
//! polled on a thread is the message kept instead of printed.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

use super::TaskError;

thread_local! {
    static SUPERVISED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Teaches the process's panic hook to stay silent about supervised work.
pub(super) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if SUPERVISED.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                previous(info);
            }
        }));
    });
}

/// Runs a future; a panic in any of its polls is its error.
pub(super) async fn catch_panics<Run>(run: Run) -> Result<(), TaskError>
where
    Run: Future<Output = Result<(), TaskError>>,
{
    let mut run = pin!(run);
    poll_fn(|context| match catch_panic(|| run.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(ended)) => Poll::Ready(ended),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// Runs work; a panic is its error. What it touched is not used afterwards.
pub(super) fn catch_panic<Output>(work: impl FnOnce() -> Output) -> Result<Output, TaskError> {
    let before = SUPERVISED.replace(true);
    let ended = catch_unwind(AssertUnwindSafe(work));
    SUPERVISED.set(before);
    ended.map_err(|payload| {
        let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
        format!("it panicked at {place}: {}", message(&*payload)).into()
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "no message",
    }
}
