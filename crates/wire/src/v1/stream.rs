//! The live stream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fleet::{FleetNode, FleetView};
use super::history::EventView;
use super::hub::HubStatus;
use super::resources::ResourceDetail;

/// What the stream at `/api/v1/stream` sends. The SSE `event` field is the variant's name in
/// snake case (`resource`, `fleet_node`, `fleet`, `removed`, `event`, `hub`), `data` is the value as JSON, and
/// `id` is set on `event` messages alone, so that `Last-Event-ID` resumes the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamMessage {
    /// A resource was judged anew.
    Resource(Box<ResourceDetail>),
    /// With `fleet`: a node is as it is now, in one line. What changes faster than it is sent is sent
    /// as it is newest.
    FleetNode(Box<FleetNode>),
    /// With `fleet`: the totals; `nodes` is empty here.
    Fleet(Box<FleetView>),
    /// A resource is no longer watched; its id.
    Removed(String),
    /// Something happened.
    Event(EventView),
    /// The hub's own status, about every 10 s.
    Hub(Box<HubStatus>),
}
