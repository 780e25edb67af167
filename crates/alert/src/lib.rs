//! Alerts: from what is wrong to who is told, and that it is over.
//!
//! Pure and synchronous: the time is part of the input, and what is to be kept and sent is part of the
//! output, so that a crash at any point can be tested by serialising what was kept. No I/O, no clock,
//! no randomness.

mod alert;
mod book;
pub mod calendar;
mod expression;
mod labels;
pub mod on_call;
mod routing;
pub mod silence;

pub use alert::{
    Acknowledgement, Alert, AlertId, Answer, Hush, Key, Problem, Severity, State, Told,
};
pub use book::{
    AlertEvent, AlertEventKind, Book, BookPolicy, Changes, Delivery, Group, Head, Item, Kept,
    Notice, NoticeId, Part, Population, Purse, Quiet, Rules,
};
pub use calendar::{Calendar, CalendarMistake, Stretch, Zone};
pub use expression::{
    CheckName, CheckState, Checks, Expression, Missing, Mistake, Now, Outcome, Scope,
};
pub use labels::{LabelMistake, Labels, Matcher, Matchers};
pub use on_call::Schedule;
pub use routing::{Budget, Route, Step};
pub use silence::{Silence, SilenceId, SilenceMistake, SilenceState, Silences};
