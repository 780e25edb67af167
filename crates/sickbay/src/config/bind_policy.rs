//! Ties the numbers by which the engine judges; see [`super::bind`].

use std::borrow::Cow;
use std::path::PathBuf;

use sickbay_engine::policy::{Override, Threshold, Thresholds};
use sickbay_engine::{Policy, ReadinessPolicy, StatePolicy};

use super::bind::{Direction, Written, section, tie};
use super::raw::{RawConfig, RawOverride, RawReadiness, RawState, RawThreshold, RawThresholds};
use super::raw_outlier::tie_outlier;
use super::units::{PathText, SizeText};

/// Ties every field of the policy.
pub(super) fn tie_policy(way: Direction, raw: &mut RawConfig, policy: &mut Policy) {
    section(way, &mut raw.schedule, |raw| {
        tie(way, &mut raw.active_interval, &mut policy.schedule.active_interval);
        tie(way, &mut raw.idle_interval, &mut policy.schedule.idle_interval);
        tie(way, &mut raw.idle_growth, &mut policy.schedule.idle_growth);
        tie(way, &mut raw.jitter_percent, &mut policy.schedule.jitter_percent);
    });
    section(way, &mut raw.weights, |raw| {
        tie(way, &mut raw.gpu, &mut policy.weights.gpu);
        tie(way, &mut raw.system, &mut policy.weights.system);
        tie(way, &mut raw.network, &mut policy.weights.network);
        tie(way, &mut raw.process, &mut policy.weights.process);
    });
    section(way, &mut raw.system_weights, |raw| {
        let weights = &mut policy.system_weights;
        tie(way, &mut raw.node_availability, &mut weights.node_availability);
        tie(way, &mut raw.circuit_health, &mut weights.circuit_health);
        tie(way, &mut raw.error_rate, &mut weights.error_rate);
        tie(way, &mut raw.recovery, &mut weights.recovery);
    });
    section(way, &mut raw.thresholds, |raw| tie_thresholds(way, raw, &mut policy.thresholds));
    tie(way, &mut raw.overrides, &mut policy.overrides);
    section(way, &mut raw.hysteresis, |raw| {
        tie(way, &mut raw.margin_percent, &mut policy.hysteresis.margin_percent);
        tie(way, &mut raw.hold, &mut policy.hysteresis.hold);
    });
    section(way, &mut raw.state, |raw| tie_state(way, raw, &mut policy.state));
    tie_outlier(way, raw, policy);
    section(way, &mut raw.readiness, |raw| tie_readiness(way, raw, &mut policy.readiness));
}

fn tie_thresholds(way: Direction, raw: &mut RawThresholds, lines: &mut Thresholds) {
    for (raw, line) in [
        (&mut raw.cpu_used, &mut lines.cpu_used),
        (&mut raw.memory_used, &mut lines.memory_used),
        (&mut raw.swap_used, &mut lines.swap_used),
        (&mut raw.pressure_cpu, &mut lines.pressure_cpu),
        (&mut raw.pressure_memory, &mut lines.pressure_memory),
        (&mut raw.pressure_io, &mut lines.pressure_io),
        (&mut raw.filesystem_space, &mut lines.filesystem_space),
        (&mut raw.filesystem_inodes, &mut lines.filesystem_inodes),
        (&mut raw.file_handles, &mut lines.file_handles),
        (&mut raw.sensor_headroom, &mut lines.sensor_headroom),
        (&mut raw.latency, &mut lines.latency),
        (&mut raw.latency_loss, &mut lines.latency_loss),
        (&mut raw.interface_errors, &mut lines.interface_errors),
        (&mut raw.interface_drops, &mut lines.interface_drops),
        (&mut raw.zombies, &mut lines.zombies),
        (&mut raw.gpu_temperature, &mut lines.gpu_temperature),
        (&mut raw.gpu_memory_used, &mut lines.gpu_memory_used),
        (&mut raw.error_rate, &mut lines.error_rate),
    ] {
        tie_threshold(way, raw, line);
    }
    tie(way, &mut raw.mean_window, &mut lines.mean_window);
    tie(way, &mut raw.oom_recent, &mut lines.oom_recent);
    tie(way, &mut raw.gpu_hang_power_percent, &mut lines.gpu_hang_power_percent);
    tie(way, &mut raw.gpu_hang_utilization_percent, &mut lines.gpu_hang_utilization_percent);
    tie(way, &mut raw.gpu_hang_after, &mut lines.gpu_hang_after);
    tie(way, &mut raw.blocked_scans, &mut lines.blocked_scans);
    tie(way, &mut raw.blocked_driver_scans, &mut lines.blocked_driver_scans);
}

fn tie_threshold(way: Direction, raw: &mut Option<RawThreshold>, line: &mut Threshold) {
    section(way, raw, |raw| {
        tie(way, &mut raw.warning, &mut line.warning);
        tie(way, &mut raw.critical, &mut line.critical);
    });
}

fn tie_state(way: Direction, raw: &mut RawState, state: &mut StatePolicy) {
    tie(way, &mut raw.confirm, &mut state.confirm);
    tie(way, &mut raw.recover, &mut state.recover);
    tie(way, &mut raw.flap_on_percent, &mut state.flap_on_percent);
    tie(way, &mut raw.flap_off_percent, &mut state.flap_off_percent);
    tie(way, &mut raw.flap_weight_oldest, &mut state.flap_weight_oldest);
    tie(way, &mut raw.flap_weight_newest, &mut state.flap_weight_newest);
    tie(way, &mut raw.stale_after, &mut state.stale_after);
    tie(way, &mut raw.torch_stale_after, &mut state.torch_stale_after);
    tie(way, &mut raw.forget_after_assessments, &mut state.forget_after_assessments);
}

fn tie_readiness(way: Direction, raw: &mut RawReadiness, readiness: &mut ReadinessPolicy) {
    tie(way, &mut raw.required_percent, &mut readiness.required_percent);
    tie(way, &mut raw.disk_free, &mut readiness.disk_free_bytes);
    tie(way, &mut raw.latency_ms, &mut readiness.latency_ms);
    tie(way, &mut raw.watched_paths, &mut readiness.watched_paths);
    tie(way, &mut raw.expected_gpus, &mut readiness.expected_gpus);
}

/// The engine keeps sizes as numbers like any other reading.
impl Written<f64> for SizeText {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    fn show(value: &f64) -> Option<Self> {
        Some(Self(*value as u64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a threshold needs no more than 53 bits")]
    fn read(&self) -> Option<f64> {
        Some(self.0 as f64)
    }
}

impl Written<String> for PathText {
    fn show(value: &String) -> Option<Self> {
        Some(Self(PathBuf::from(value)))
    }

    fn read(&self) -> Option<String> {
        Some(self.0.display().to_string())
    }
}

impl Written<Override> for RawOverride {
    fn show(value: &Override) -> Option<Self> {
        let Override { check, instance, warning, critical } = value.clone();
        Some(Self { check: check.into_owned(), instance, warning, critical })
    }

    fn read(&self) -> Option<Override> {
        let Self { check, instance, warning, critical } = self.clone();
        Some(Override { check: Cow::Owned(check), instance, warning, critical })
    }
}
