//! One observation in, one verdict out.

use sickbay_model::Observation;

use crate::{Assessment, NodeMemory, Policy, unknown_assessment};

/// Judges one observation.
pub fn assess(policy: &Policy, memory: &mut NodeMemory, observation: &Observation) -> Assessment {
    memory.assessments += 1;
    unknown_assessment(policy, &observation.resource, observation.at, "not judged yet")
}
