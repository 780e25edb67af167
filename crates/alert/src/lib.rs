//! Alerts: from what is wrong to who is told, and that it is over.
//!
//! Pure and synchronous: the time is part of the input, and what is to be kept and sent is part of the
//! output, so that a crash at any point can be tested by serialising what was kept. No I/O, no clock,
//! no randomness.

pub mod calendar;
mod labels;
pub mod on_call;
pub mod silence;

pub use calendar::{Calendar, CalendarMistake, Stretch, Zone};
pub use labels::{LabelMistake, Labels, Matcher, Matchers};
pub use on_call::Schedule;
pub use silence::{Silence, SilenceId, SilenceMistake, SilenceState, Silences};
