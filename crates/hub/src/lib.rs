//! The monitor: schedules collections, judges what they bring, remembers, tells and serves.
//!
//! Data walks one line, once: a [`NodeSource`](sickbay_collect::NodeSource) collects → the
//! [`monitor`] loop hands the observation to the judge → the engine's verdict becomes a new
//! [`FleetSnapshot`], events and writes → the [`api`] reads snapshots and the store.
//!
//! What must hold: live state has one writer (the monitor loop); readers take immutable snapshots;
//! every queue has a limit in [`settings::Limits`]; nothing here decides what is healthy.
//!
//! What it does not do: parse configuration or know of the command line (the binary does), decide
//! thresholds (the engine's [`Policy`](sickbay_engine::Policy) does).

pub mod settings;
pub use settings::{HubSettings, Limits, ListenSettings, Secret, TlsSettings};

mod fleet;
pub use fleet::{Change, Fleet, FleetPublisher, FleetSnapshot, NodeEntry, ViewerGuard};

mod known;
pub use known::KnownResource;

mod hub_status;
pub use hub_status::{ConfigState, HubStatusSource, ScheduleCounters};

pub mod view;

mod command;
pub use command::{COMMAND_QUEUE, Command, CommandError, Commands, WhatToForget};

mod judge;
mod monitor;
mod source;
mod stored_state;
mod targets;

mod watch;
pub use watch::{read_stored_node, stored_node};

pub mod api;
pub mod dashboard;
pub mod exposition;
pub mod server;

mod run;
pub use run::{HubEnvironment, HubError, Listening, SettingsUpdate, check_listen, run};
