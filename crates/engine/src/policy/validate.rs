//! What makes a policy usable. All mistakes are reported, not only the first.

use std::time::Duration;

use super::{Direction, Policy, PolicyMistake, Threshold};
use crate::checks;
use crate::state::RESULTS_REMEMBERED;
use crate::window::MinuteMarks;

/// How far a sum of weights may be from 100, in points: rounding of decimal input, no more.
const WEIGHT_TOLERANCE: f64 = 1e-6;

struct Mistakes(Vec<PolicyMistake>);

impl Mistakes {
    fn check(&mut self, good: bool, path: &str, problem: impl FnOnce() -> String) {
        if !good {
            self.0.push(PolicyMistake { path: path.to_owned(), problem: problem() });
        }
    }

    fn weights(&mut self, path: &str, weights: &[(&str, f64)]) {
        for (name, weight) in weights {
            self.check((0.0..=100.0).contains(weight), &format!("{path}.{name}"), || {
                format!("{weight} must lie between 0 and 100")
            });
        }
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        self.check((sum - 100.0).abs() <= WEIGHT_TOLERANCE, path, || {
            format!("the weights sum to {sum}; they must sum to 100")
        });
    }

    fn threshold(&mut self, path: &str, threshold: &Threshold) {
        for (name, line) in [("warning", threshold.warning), ("critical", threshold.critical)] {
            self.check(line.is_none_or(f64::is_finite), &format!("{path}.{name}"), || {
                "must be a number".to_owned()
            });
        }
        let (Some(warning), Some(critical)) = (threshold.warning, threshold.critical) else {
            return;
        };
        let (ordered, word) = match threshold.direction {
            Direction::Above => (warning < critical, "below"),
            Direction::Below => (warning > critical, "above"),
        };
        self.check(ordered, path, || {
            format!("warning ({warning}) must lie {word} critical ({critical})")
        });
    }

    fn percent(&mut self, path: &str, value: f64) {
        self.check((0.0..=100.0).contains(&value), path, || {
            format!("{value} must lie between 0 and 100")
        });
    }

    fn positive(&mut self, path: &str, duration: Duration) {
        self.check(!duration.is_zero(), path, || "must be longer than 0 s".to_owned());
    }

    fn count(&mut self, path: &str, count: u32, most: u32) {
        self.check((1..=most).contains(&count), path, || {
            format!("{count} must lie between 1 and {most}")
        });
    }
}

pub(super) fn mistakes(policy: &Policy) -> Vec<PolicyMistake> {
    let mut found = Mistakes(Vec::new());
    let weights = &policy.weights;
    found.weights(
        "weights",
        &[
            ("gpu", weights.gpu),
            ("system", weights.system),
            ("network", weights.network),
            ("process", weights.process),
        ],
    );
    let weights = &policy.system_weights;
    found.weights(
        "system_weights",
        &[
            ("node_availability", weights.node_availability),
            ("circuit_health", weights.circuit_health),
            ("error_rate", weights.error_rate),
            ("recovery", weights.recovery),
        ],
    );
    thresholds(policy, &mut found);
    overrides(policy, &mut found);
    state(policy, &mut found);
    readiness(policy, &mut found);
    schedule(policy, &mut found);
    breaker(policy, &mut found);
    doubt(policy, &mut found);
    outlier(policy, &mut found);
    hardware(policy, &mut found);
    found.0
}

fn thresholds(policy: &Policy, found: &mut Mistakes) {
    let thresholds = &policy.thresholds;
    for (name, threshold) in thresholds.all() {
        found.threshold(&format!("thresholds.{name}"), &threshold);
    }
    let rate = &thresholds.error_rate;
    for (name, line) in [("warning", rate.warning), ("critical", rate.critical)] {
        let good = line.is_none_or(|line| (0.0..=1.0).contains(&line));
        found.check(good, &format!("thresholds.error_rate.{name}"), || {
            "a rate must lie between 0 and 1".to_owned()
        });
    }
    found.positive("thresholds.mean_window_seconds", thresholds.mean_window);
    found.positive("thresholds.oom_recent_seconds", thresholds.oom_recent);
    found.positive("thresholds.gpu_hang_after_seconds", thresholds.gpu_hang_after);
    found.percent("thresholds.gpu_hang_power_percent", thresholds.gpu_hang_power_percent);
    found.percent(
        "thresholds.gpu_hang_utilization_percent",
        thresholds.gpu_hang_utilization_percent,
    );
    found.count("thresholds.blocked_scans", thresholds.blocked_scans, 1000);
    found.count("thresholds.blocked_driver_scans", thresholds.blocked_driver_scans, 1000);
    found.percent("hysteresis.margin_percent", policy.hysteresis.margin_percent);
    found.positive("hysteresis.hold_seconds", policy.hysteresis.hold);
}

fn overrides(policy: &Policy, found: &mut Mistakes) {
    for (place, entry) in policy.overrides.iter().enumerate() {
        let path = format!("overrides[{place}]");
        match checks::threshold_direction(&entry.check) {
            Some(direction) => {
                let (warning, critical) = (entry.warning, entry.critical);
                found.threshold(&path, &Threshold { warning, critical, direction });
            }
            None => found.check(false, &format!("{path}.check"), || {
                format!("{:?} is no check with a threshold", entry.check)
            }),
        }
    }
}

fn state(policy: &Policy, found: &mut Mistakes) {
    let state = &policy.state;
    found.count("state.confirm", state.confirm, RESULTS_REMEMBERED);
    found.count("state.recover", state.recover, RESULTS_REMEMBERED);
    found.percent("state.flap_on_percent", state.flap_on_percent);
    found.percent("state.flap_off_percent", state.flap_off_percent);
    found.check(state.flap_off_percent < state.flap_on_percent, "state.flap_off_percent", || {
        "must lie below flap_on_percent".to_owned()
    });
    for (path, weight) in [
        ("state.flap_weight_oldest", state.flap_weight_oldest),
        ("state.flap_weight_newest", state.flap_weight_newest),
    ] {
        found.check(weight > 0.0 && weight.is_finite(), path, || "must be above 0".to_owned());
    }
    found.positive("state.stale_after_seconds", state.stale_after);
    found.positive("state.torch_stale_after_seconds", state.torch_stale_after);
    found.count("state.forget_after_assessments", state.forget_after_assessments, u32::MAX);
}

fn readiness(policy: &Policy, found: &mut Mistakes) {
    let readiness = &policy.readiness;
    found.percent("readiness.required_percent", readiness.required_percent);
    for (path, value) in [
        ("readiness.disk_free_bytes", readiness.disk_free_bytes),
        ("readiness.latency_ms", readiness.latency_ms),
    ] {
        found.check(value >= 0.0 && value.is_finite(), path, || "must not be negative".to_owned());
    }
    for (place, watched) in readiness.watched_paths.iter().enumerate() {
        found.check(watched.starts_with('/'), &format!("readiness.watched_paths[{place}]"), || {
            format!("{watched:?} must be an absolute path")
        });
    }
}

fn schedule(policy: &Policy, found: &mut Mistakes) {
    let schedule = &policy.schedule;
    found.positive("schedule.active_interval_seconds", schedule.active_interval);
    found.positive("schedule.idle_interval_seconds", schedule.idle_interval);
    found.check(
        schedule.active_interval <= schedule.idle_interval,
        "schedule.idle_interval_seconds",
        || "must not be shorter than active_interval_seconds".to_owned(),
    );
    let growth = schedule.idle_growth;
    found.check(growth > 1.0 && growth.is_finite(), "schedule.idle_growth", || {
        format!("{growth} must be above 1, or an idle node is never asked less often")
    });
    found.percent("schedule.jitter_percent", schedule.jitter_percent);
}

fn breaker(policy: &Policy, found: &mut Mistakes) {
    let breaker = &policy.breaker;
    found.count("breaker.failures", breaker.failures, 1000);
    found.positive("breaker.open_for_seconds", breaker.open_for);
    found.check(breaker.longest >= breaker.open_for, "breaker.longest_seconds", || {
        "must not be shorter than open_for_seconds".to_owned()
    });
    let growth = breaker.growth;
    found.check(growth >= 1.0 && growth.is_finite(), "breaker.growth", || {
        format!("{growth} must be at least 1")
    });
    let jitter = breaker.jitter_percent;
    found.check((0.0..=50.0).contains(&jitter), "breaker.jitter_percent", || {
        format!("{jitter} must lie between 0 and 50")
    });
}

fn doubt(policy: &Policy, found: &mut Mistakes) {
    let doubt = &policy.doubt;
    let percent = doubt.failed_percent;
    found.check(percent > 0.0 && percent <= 100.0, "doubt.failed_percent", || {
        format!("{percent} must lie above 0 and be at most 100")
    });
    found.count("doubt.least_nodes", doubt.least_nodes, 1_000_000);
    found.positive("doubt.window_seconds", doubt.window);
    found.positive("doubt.lag_seconds", doubt.lag);
    let stretch = doubt.longest_stretch;
    found.check((1.0..=100.0).contains(&stretch), "doubt.longest_stretch", || {
        format!("{stretch} must lie between 1 and 100")
    });
}

fn hardware(policy: &Policy, found: &mut Mistakes) {
    let hardware = &policy.hardware;
    for (path, duration) in [
        ("hardware.port_down_seconds", hardware.port_down),
        ("hardware.port_flap_window_seconds", hardware.port_flap_window),
        ("hardware.error_window_seconds", hardware.error_window),
        ("hardware.reboot_loop_window_seconds", hardware.reboot_loop_window),
    ] {
        found.positive(path, duration);
    }
    found.count("hardware.port_flaps", hardware.port_flaps, 32);
    found.count("hardware.error_steps", hardware.error_steps, 20);
    found.count("hardware.reboot_loop", hardware.reboot_loop, 16);
    found.count("hardware.throttle_of_minutes", hardware.throttle_of_minutes, MinuteMarks::MOST);
    found.count(
        "hardware.throttle_minutes",
        hardware.throttle_minutes,
        hardware.throttle_of_minutes,
    );
    found.percent("hardware.pcie_load_percent", hardware.pcie_load_percent);
    found.percent("hardware.memory_lost_percent", hardware.memory_lost_percent);
    for (path, value) in [
        ("hardware.error_growth", hardware.error_growth),
        ("hardware.pcie_replay_share", hardware.pcie_replay_share),
    ] {
        found.check(value > 0.0 && value.is_finite(), path, || format!("{value} must be above 0"));
    }
}

fn outlier(policy: &Policy, found: &mut Mistakes) {
    let outlier = &policy.outlier;
    let longest = Duration::from_secs(60 * crate::outlier::MINUTES_KEPT as u64);
    let window = outlier.window;
    found.check(
        window >= Duration::from_secs(60) && window <= longest,
        "outlier.window_seconds",
        || format!("must lie between 60 s and {} s", longest.as_secs()),
    );
    found.check((2..=100_000).contains(&outlier.least_peers), "outlier.least_peers", || {
        format!("{} must lie between 2 and 100000", outlier.least_peers)
    });
    let score = outlier.score;
    found.check(score >= 1.0 && score.is_finite(), "outlier.score", || {
        format!("{score} must be at least 1")
    });
    for (path, percent) in [
        ("outlier.held_percent", outlier.held_percent),
        ("outlier.split_percent", outlier.split_percent),
    ] {
        found.check(percent > 0.0 && percent <= 100.0, path, || {
            format!("{percent} must lie above 0 and be at most 100")
        });
    }
    for (path, line) in [
        ("outlier.clock_percent", outlier.clock_percent),
        ("outlier.power_percent", outlier.power_percent),
        ("outlier.temperature_celsius", outlier.temperature_celsius),
        ("outlier.utilization_points", outlier.utilization_points),
        ("outlier.throughput_percent", outlier.throughput_percent),
        ("outlier.step_time_percent", outlier.step_time_percent),
    ] {
        found.check(line > 0.0 && line.is_finite(), path, || format!("{line} must be above 0"));
    }
    let least = outlier.throughput_least_bytes_per_second;
    found.check(
        least >= 0.0 && least.is_finite(),
        "outlier.throughput_least_bytes_per_second",
        || "must not be negative".to_owned(),
    );
    for (place, label) in outlier.group_by.iter().enumerate() {
        let problem = sickbay_model::label_key_problem(label);
        if let Some(problem) = problem {
            found.check(false, &format!("outlier.group_by[{place}]"), || {
                format!("{label:?} {problem}")
            });
        }
    }
}
