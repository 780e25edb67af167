//! The only reader of clocks.
//!
//! Everything else is given a [`Clock`], so that tests advance time by hand and any verdict can be
//! replayed.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Tells the time of day and the time since the process began. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        process_start();
        Self(Source::System)
    }

    /// A clock that stands still until its handle moves it.
    #[must_use]
    pub fn manual(start_ms: i64) -> (Self, ManualClock) {
        let hands = Hands { wall_ms: start_ms, monotonic: Duration::ZERO };
        let handle = ManualClock(Arc::new(Mutex::new(hands)));
        (Self(Source::Manual(handle.clone())), handle)
    }

    /// Wall clock: milliseconds since the Unix epoch. May jump, both ways; measure spans with
    /// [`Clock::monotonic`].
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::Manual(handle) => handle.read(|hands| hands.wall_ms),
            Source::System => match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => {
                    i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms)
                }
            },
        }
    }

    /// Time since the process began (for a manual clock: since it was made). Never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::Manual(handle) => handle.read(|hands| hands.monotonic),
            Source::System => process_start().elapsed(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Source::System => "system",
            Source::Manual(_) => "manual",
        };
        write!(f, "Clock({kind})")
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads clocks")]
fn process_start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Moves a manual clock. Cheap to clone.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

struct Hands {
    wall_ms: i64,
    monotonic: Duration,
}

impl ManualClock {
    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.change(|hands| {
            let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            hands.wall_ms = hands.wall_ms.saturating_add(ms);
            hands.monotonic = hands.monotonic.saturating_add(by);
        });
    }

    /// Sets the wall clock, as a person or NTP would; the monotonic clock does not notice.
    pub fn set_wall(&self, ms: i64) {
        self.change(|hands| hands.wall_ms = ms);
    }

    fn read<T>(&self, read: impl FnOnce(&Hands) -> T) -> T {
        read(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Hands)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let (clock, hand) = Clock::manual(1_000);
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_000, Duration::ZERO));
        hand.advance(Duration::from_millis(2_500));
        assert_eq!((clock.now_ms(), clock.monotonic()), (3_500, Duration::from_millis(2_500)));
    }

    #[test]
    fn a_jump_of_the_wall_clock_leaves_the_monotonic_clock() {
        let (clock, hand) = Clock::manual(1_000);
        for wall in [-5_000, 0, i64::MAX, i64::MIN] {
            hand.set_wall(wall);
            assert_eq!((clock.now_ms(), clock.monotonic()), (wall, Duration::ZERO));
        }
        hand.set_wall(i64::MAX);
        hand.advance(Duration::MAX);
        assert_eq!((clock.now_ms(), clock.monotonic()), (i64::MAX, Duration::MAX));
    }

    #[test]
    fn the_system_clock_goes_on() {
        let clock = Clock::system();
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
        // 2020-01-01 and 2100-01-01: the machine's clock is set at all.
        assert!((1_577_836_800_000..4_102_444_800_000).contains(&clock.now_ms()));
    }
}
