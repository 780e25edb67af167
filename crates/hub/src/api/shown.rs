//! A resource's detail as it is sent: with what is known of its node apart from health.

use serde::Serialize;
use sickbay_model::ResourceId;
use sickbay_wire::v1::{BreakerView, ResourceDetail};

use crate::fleet::FleetSnapshot;
use crate::view;

/// A detail and its breaker. Details are large and shared: this borrows instead of copying.
#[derive(Serialize)]
pub(super) struct Shown<'d> {
    #[serde(flatten)]
    detail: &'d ResourceDetail,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<BreakerView>,
}

impl<'d> Shown<'d> {
    /// A resource's detail, with its breaker as a snapshot has it.
    pub(super) fn new(
        id: &ResourceId,
        detail: &'d ResourceDetail,
        snapshot: &FleetSnapshot,
    ) -> Self {
        let entry = snapshot.nodes.get(id);
        let breaker = entry.and_then(|entry| entry.breaker.as_ref()).map(view::breaker);
        Self { detail, breaker }
    }
}
