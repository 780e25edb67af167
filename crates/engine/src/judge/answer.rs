//! What a check says of now.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sickbay_model::{Advice, Evidence, Level, Status};

/// What a check says of now.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// How well, 0 to 100.
    pub(crate) points: f64,
    pub(crate) message: Cow<'static, str>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) advice: Option<Advice>,
    /// Proof and not a sample: confirmed at once.
    pub(crate) proof: bool,
    /// Follows from something that is told already (a probe that failed): shown, but no event.
    pub(crate) follows: bool,
    /// Shown, but it lowers no score and no level, and has no event as a check: what an application
    /// did on a machine that is well.
    pub(crate) advisory: bool,
}

impl Answer {
    pub(crate) const fn healthy(message: &'static str) -> Self {
        Self {
            status: Status::Healthy,
            points: 100.0,
            message: Cow::Borrowed(message),
            evidence: Vec::new(),
            advice: None,
            proof: false,
            follows: false,
            advisory: false,
        }
    }

    /// A finding without a scale: the points are the most that its status may have.
    pub(crate) fn finding(status: Status, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            points: if status == Status::Unknown { 0.0 } else { most_points(status) },
            message: message.into(),
            evidence: Vec::new(),
            advice: None,
            proof: false,
            follows: false,
            advisory: false,
        }
    }

    pub(crate) fn unknown(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::finding(Status::Unknown, reason)
    }

    /// Nothing works at all: no points.
    pub(crate) fn points(mut self, points: f64) -> Self {
        self.points = points;
        self
    }

    pub(crate) fn proof(mut self) -> Self {
        self.proof = true;
        self
    }

    pub(crate) fn advisory(mut self, is_so: bool) -> Self {
        self.advisory = is_so;
        if is_so {
            self.points = 100.0;
        }
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(Advice(advice.into()));
        self
    }

    pub(crate) fn evidence(
        mut self,
        what: impl Into<Cow<'static, str>>,
        value: String,
        threshold: Option<String>,
    ) -> Self {
        self.evidence.push(Evidence { what: what.into(), value, threshold });
        self
    }
}

/// The last answer of a check that was not healthy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    status: Status,
    points: f64,
    message: Cow<'static, str>,
    #[serde(default)]
    evidence: Vec<Evidence>,
    #[serde(default)]
    advice: Option<Advice>,
    #[serde(default)]
    advisory: bool,
}

impl Standing {
    /// What stands of an answer; nothing of a healthy one.
    pub(super) fn of(answer: &Answer) -> Option<Box<Self>> {
        (answer.status != Status::Healthy).then(|| {
            Box::new(Self {
                status: answer.status,
                points: answer.points,
                message: answer.message.clone(),
                evidence: answer.evidence.clone(),
                advice: answer.advice.clone(),
                advisory: answer.advisory,
            })
        })
    }

    /// The same answer again.
    pub(super) fn again(&self) -> Answer {
        Answer {
            status: self.status,
            points: self.points,
            message: self.message.clone(),
            evidence: self.evidence.clone(),
            advice: self.advice.clone(),
            proof: false,
            follows: false,
            advisory: self.advisory,
        }
    }
}

/// The most points that a check may have with this status: the top of the level.
pub(crate) fn most_points(status: Status) -> f64 {
    Level::cap(status).unwrap_or(100.0)
}
