//! The engine as its users see it: observations in, verdicts out.

mod node;
mod properties;
mod scenarios;
mod verdicts;
