//! The level that a score means.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::Status;

/// How well a resource is: what its score means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Score ≥ 80.
    Healthy,
    /// Score ≥ 60.
    Degraded,
    /// Score ≥ 40.
    Unhealthy,
    /// Score < 40.
    Critical,
    /// Cannot be judged; has no score.
    Unknown,
}

impl Level {
    /// All levels, best first, unknown last.
    pub const ALL: [Self; 5] =
        [Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Critical, Self::Unknown];

    /// The level of a score (seed 3's names, the health model's lines: 80, 60, 40).
    #[must_use]
    pub fn of_score(score: f64) -> Self {
        if score >= 80.0 {
            Self::Healthy
        } else if score >= 60.0 {
            Self::Degraded
        } else if score >= 40.0 {
            Self::Unhealthy
        } else {
            Self::Critical
        }
    }

    /// The most that a score may be while the worst finding has this status.
    #[must_use]
    pub const fn cap(status: Status) -> Option<f64> {
        match status {
            Status::Healthy => None,
            // What cannot be judged must not look healthy.
            Status::Degraded | Status::Unknown => Some(79.0),
            Status::Unhealthy => Some(59.0),
            Status::Critical => Some(39.0),
        }
    }

    /// The word used everywhere.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Exit code by the Nagios plugin convention: 0 well, 1 warning, 2 critical, 3 unknown.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::Unhealthy | Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a level; use healthy, degraded, unhealthy, critical or unknown")]
pub struct ParseLevelError(pub String);

impl std::str::FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| ParseLevelError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_between_levels() {
        for (score, level) in [
            (100.0, Level::Healthy),
            (80.0, Level::Healthy),
            (79.9, Level::Degraded),
            (60.0, Level::Degraded),
            (59.9, Level::Unhealthy),
            (40.0, Level::Unhealthy),
            (39.9, Level::Critical),
            (0.0, Level::Critical),
        ] {
            assert_eq!(Level::of_score(score), level, "{score}");
        }
    }

    #[test]
    fn a_cap_puts_the_score_in_the_findings_level() {
        for (status, level) in [
            (Status::Degraded, Level::Degraded),
            (Status::Unhealthy, Level::Unhealthy),
            (Status::Critical, Level::Critical),
            (Status::Unknown, Level::Degraded),
        ] {
            assert_eq!(Level::cap(status).map(Level::of_score), Some(level), "{status}");
        }
    }
}
