//! Diagnostics on demand: what is asked of a machine once, thoroughly, when something is wrong with
//! it, what the answers say, and the bundle that somebody else can look through.
//!
//! No I/O: [`line()`] is a program for a POSIX shell, [`Transcript`] takes in what it writes,
//! [`outcomes`] reads the answers of the tools that test hardware, and [`Bundle`] packs everything.
//!
//! **Must hold**: what is executed is a constant of this crate; level 1 changes nothing on the
//! machine and loads it with nothing; a question that hangs ends by its limit, and its kind is not
//! asked further; whatever leaves in a bundle has its secrets removed.

mod bundle;
mod outcome;
mod program;
mod question;
mod secrets;
mod transcript;

pub use bundle::{Bundle, BundleError, Manifest, Packed};
pub use outcome::{Outcome, Test, outcomes};
pub use program::line;
pub use question::{Group, Level, QUESTIONS, Question, longest};
pub use transcript::{End, Part, Transcript};

#[cfg(test)]
mod tests;
