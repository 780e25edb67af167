//! The engine as its users see it: observations in, verdicts out.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod chains;
mod expected;
mod forget;
mod hardware;
mod incidents;
mod kernel_faults;
mod lossy;
mod node;
mod outlier_properties;
mod outliers;
mod peers;
mod properties;
mod reach;
mod rules;
mod scenarios;
mod stragglers;
mod verdicts;
