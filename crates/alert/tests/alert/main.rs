//! The book of alerts, by what those who are told see of it.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod crash;
mod life;
mod story;
mod telling;
mod wide;
