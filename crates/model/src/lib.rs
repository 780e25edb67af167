//! The nouns of Sickbay: what is watched, what was measured, what was found.
//!
//! This crate is the vocabulary that every other crate shares. It holds no I/O, no clock, no
//! randomness and no policy: numbers that *judge* (thresholds, weights) live in `sickbay-engine`;
//! what is sent over HTTP or stored has its own versioned types in `sickbay-wire` and
//! `sickbay-store`.
//!
//! Reading order: [`Timestamp`] → [`ResourceId`] → [`MetricDef`] and the [`catalogue`] →
//! [`Frame`] → [`Observation`] → [`CheckResult`] → [`Level`] → [`Event`].

mod time;
pub use time::Timestamp;

mod resource;
pub use resource::{InvalidResourceId, Kind, Resource, ResourceId, sanitize_name};

mod metric;
pub use metric::{InstanceKind, MetricDef, MetricId, MetricKind, Unit};

pub mod catalogue;

mod frame;
pub use frame::{Frame, FrameBuilder, Layout, Reading, Series, SeriesSlot, same_instance};

mod layouts;
pub use layouts::SharedLayouts;

mod inventory;
pub use inventory::{
    BlockDevice, Filesystem, GpuCondition, GpuDevice, GpuVendor, HostFacts, Inventory,
    NetworkInterface,
};

mod node;
pub use node::{
    ExpectedHardware, MAX_EXPECTED_GPUS, MAX_LABELS, MAX_NODES, NodeDefinition, NodeMistake,
    NodeOrigin, SshTarget, label_key_problem, label_value_problem, name_problem,
};

mod observation;
pub use observation::{
    Advice, Observation, ProbeError, ProbeErrorKind, ProbeId, ProbeOutcome, ProbeReport,
    ProcessInfo, ProcessSummary, TorchReport, probe,
};

mod fault;
pub use fault::{FaultCode, FaultSighting, KernelLog, LogPosition};

mod fault_catalogue;
pub use fault_catalogue::{
    CatalogueMistake, Clears, FaultCatalogue, FaultClass, FaultEntry, FaultFamily, Repeated,
    Source, Variant,
};

mod check;
pub use check::{CheckId, CheckResult, Component, Evidence, Status, check_id};

mod level;
pub use level::{Level, ParseLevelError};

mod event;
pub use event::{Event, EventId, EventKind};
