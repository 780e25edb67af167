//! Alerts: from what is wrong to who is told, and that it is over.
//!
//! Pure and synchronous: the time is part of the input, and what is to be kept and sent is part of the
//! output, so that a crash at any point can be tested by serialising what was kept. No I/O, no clock,
//! no randomness.

mod expression;
mod labels;

pub use expression::{
    CheckName, CheckState, Checks, Expression, Missing, Mistake, Now, Outcome, Scope,
};
pub use labels::{LabelMistake, Labels, Matcher, Matchers};
