//! Which nodes are watched: as the hub tells, or without one as config and database have it.

use std::time::Duration;

use sickbay_collect::NodeSource as _;
use sickbay_model::{NodeOrigin, ResourceId};
use sickbay_store::admin;
use sickbay_wire::v1::{NodeSpec, NodeView};

use super::client::{AskError, Client};
use super::{Context, Failure, db, live, safe};
use crate::config::Settings;

/// How long a hub may take to say which nodes it watches before the files are read instead.
const HUB_PATIENCE: Duration = Duration::from_secs(5);

/// The nodes' list in the API.
pub(crate) const NODES: &str = "/api/v1/nodes";

/// The word for the hub's own machine where others say who defined them.
pub(crate) const LOCAL: &str = "local";

/// What is watched, and who said so.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The nodes, this machine included.
    pub(crate) nodes: Vec<NodeView>,
    /// Whether a hub said so.
    pub(crate) by_hub: bool,
}

impl Watched {
    /// The node of a name.
    pub(crate) fn find(&self, name: &str) -> Option<&NodeView> {
        self.nodes.iter().find(|node| name_of(node) == name)
    }
}

/// A node's name without its kind.
pub(crate) fn name_of(node: &NodeView) -> &str {
    node.id.split_once('/').map_or(node.id.as_str(), |(_, name)| name)
}

/// The nodes that are watched. A hub that was named must answer; without one, config and database
/// are read.
pub(crate) async fn watched(context: &Context, settings: &Settings) -> Result<Watched, Failure> {
    let client = Client::new(context, settings)?;
    let asked = tokio::time::timeout(HUB_PATIENCE, client.get_all(NODES, &[])).await;
    let reason = match asked {
        Ok(Ok(nodes)) => return Ok(Watched { nodes, by_hub: true }),
        Ok(Err(AskError::NoHub { .. })) if !client.is_named() => {
            return Ok(Watched { nodes: on_disk(settings)?, by_hub: false });
        }
        Ok(Err(AskError::Strange(reason))) if !client.is_named() => reason,
        Ok(Err(error)) => return Err(error.into()),
        Err(_) if client.is_named() => {
            let message = format!("the hub at {} does not answer", safe(client.address()));
            return Err(Failure::new(super::exit_code::UNAVAILABLE, message));
        }
        Err(_) => format!("the hub at {} does not answer", client.address()),
    };
    context.terminal.remark(&format!("{}: reading the nodes from the files", safe(&reason)));
    Ok(Watched { nodes: on_disk(settings)?, by_hub: false })
}

/// The nodes of the config and those that were added, this machine first.
pub(crate) fn on_disk(settings: &Settings) -> Result<Vec<NodeView>, Failure> {
    let here = live::this_machine(settings)?.resource().id.clone();
    let mut nodes = vec![NodeView {
        id: here.to_string(),
        spec: None,
        origin: LOCAL.to_owned(),
        breaker: None,
    }];
    let mut names = std::collections::HashSet::from([here.name().to_owned()]);
    let stored = admin::nodes(&settings.hub.data_dir).map_err(db::failure)?;
    let added = stored.iter().filter_map(|stored| sickbay_hub::read_stored_node(stored).ok());
    for definition in settings.hub.nodes.iter().cloned().chain(added) {
        // Of the same name the earlier counts, as in the hub.
        if !names.insert(definition.name.clone()) {
            continue;
        }
        let Ok(id) = ResourceId::node(&definition.name) else { continue };
        let origin = match definition.origin {
            NodeOrigin::Config => "config",
            NodeOrigin::Added => "added",
        };
        nodes.push(NodeView {
            id: id.to_string(),
            spec: Some(NodeSpec::of(&definition)),
            origin: origin.to_owned(),
            breaker: None,
        });
    }
    Ok(nodes)
}
