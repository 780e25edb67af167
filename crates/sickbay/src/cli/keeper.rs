//! Who writes down that a node is added or removed: the hub, or without one the database itself.

use std::sync::Arc;

use reqwest::Method;
use sickbay_model::{NodeDefinition, NodeOrigin, Timestamp};
use sickbay_store::{OpenError, Store, StoredNode, WallClock, WriteBatch};
use sickbay_wire::v1::NodeSpec;

use super::client::{AskError, Client};
use super::watched::{LOCAL, NODES, Watched, name_of, watched};
use super::{Context, Failure, db, exit_code, safe};
use crate::config::{Settings, nearest};

/// Writes down changes to what is watched.
pub(crate) struct Keeper<'a> {
    context: &'a Context,
    settings: &'a Settings,
    /// What was watched when it began, and what it added since.
    pub(crate) watched: Watched,
}

impl<'a> Keeper<'a> {
    /// Finds out who keeps the nodes.
    pub(crate) async fn find(
        context: &'a Context,
        settings: &'a Settings,
    ) -> Result<Self, Failure> {
        let watched = watched(context, settings).await?;
        Ok(Self { context, settings, watched })
    }

    /// Refuses what can be seen to be wrong before anything is asked.
    pub(crate) fn check(&self, spec: &NodeSpec) -> Result<NodeDefinition, Failure> {
        let definition = spec.clone().into_definition(NodeOrigin::Added);
        let refuse = |message: String| Failure::new(exit_code::USAGE, message);
        if let Some(mistake) = definition.mistakes().into_iter().next() {
            let name: String = safe(&spec.name).chars().take(80).collect();
            let message =
                format!("{name} cannot be added: its {} {}", mistake.field, mistake.problem);
            return Err(refuse(message).hint(format!("allowed: {}", mistake.allowed)));
        }
        if let Some(node) = self.watched.find(&spec.name) {
            let message = match node.origin.as_str() {
                LOCAL => {
                    format!("{} is this machine, which is watched without being added", spec.name)
                }
                "config" => format!("{} is watched already: the config names it", spec.name),
                _ => format!("{} is watched already", spec.name),
            };
            return Err(refuse(message).hint(
                "give it another name with --host, or remove the old one: `sickbay remove node`",
            ));
        }
        if let Some(parent) = &spec.parent
            && self.watched.find(parent).is_none()
        {
            let names = self.watched.nodes.iter().map(name_of);
            let hint = match nearest(parent, names) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    "add the parent first; `sickbay list nodes` shows what is watched".to_owned()
                }
            };
            return Err(refuse(format!("the parent {parent} is not watched")).hint(hint));
        }
        Ok(definition)
    }

    /// Adds nodes that were checked. Ends at the first that is refused; those before it are added.
    /// Returns how many were added.
    pub(crate) async fn add(
        &self,
        definitions: &[NodeDefinition],
        mut each: impl FnMut(usize),
    ) -> (usize, Result<(), Failure>) {
        if !self.watched.by_hub {
            let at = self.context.now();
            let written: Result<Vec<StoredNode>, _> = definitions
                .iter()
                .map(|definition| sickbay_hub::stored_node(definition, at))
                .collect();
            let outcome = written.map_err(Failure::internal).and_then(|nodes_put| {
                self.write(WriteBatch { nodes_put, ..WriteBatch::default() })
            });
            let added = if outcome.is_ok() { definitions.len() } else { 0 };
            each(added);
            return (added, outcome);
        }
        let client = match Client::new(self.context, self.settings) {
            Ok(client) => client,
            Err(failure) => return (0, Err(failure)),
        };
        for (place, definition) in definitions.iter().enumerate() {
            let spec = NodeSpec::of(definition);
            if let Err(error) = client.change(Method::POST, NODES, Some(&spec)).await {
                return (place, Err(error.into()));
            }
            each(place + 1);
        }
        (definitions.len(), Ok(()))
    }

    /// Removes a node that was added.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Failure> {
        let Some(node) = self.watched.find(name) else {
            let names = self.watched.nodes.iter().map(name_of);
            let hint = match nearest(name, names) {
                Some(near) => format!("did you mean {near}?"),
                None => "`sickbay list nodes` shows what is watched".to_owned(),
            };
            let message = format!("{} is not watched", safe(name));
            return Err(Failure::new(exit_code::NOT_FOUND, message).hint(hint));
        };
        match node.origin.as_str() {
            LOCAL => {
                let message = format!("{name} is the hub's own machine, which is always watched");
                return Err(Failure::new(exit_code::USAGE, message));
            }
            "config" => {
                let message = format!("{name} is named by the config");
                return Err(Failure::new(exit_code::USAGE, message)
                    .hint("take it out of `nodes` there; a running hub takes the change over"));
            }
            _ => {}
        }
        if !self.watched.by_hub {
            let nodes_removed = vec![name.to_owned()];
            return self.write(WriteBatch { nodes_removed, ..WriteBatch::default() });
        }
        let client = Client::new(self.context, self.settings)?;
        let path = format!("{NODES}/{name}");
        client.change(Method::DELETE, &path, None::<&()>).await.map_err(Failure::from)?;
        Ok(())
    }

    /// Writes to the database of a hub that does not run.
    fn write(&self, batch: WriteBatch) -> Result<(), Failure> {
        let clock = self.context.clock.clone();
        let wall: WallClock = Arc::new(move || Timestamp::from_unix_ms(clock.now_ms()));
        let options = self.settings.hub.store.clone();
        let place = options.path.display().to_string();
        let (store, report) = sickbay_store::open(options, wall).map_err(|error| match error {
            OpenError::HeldBy { .. } => Failure::new(exit_code::HELD, error.to_string())
                .hint("a hub runs, but not at the configured address: name it with --server URL"),
            error => db::failure(error.into()),
        })?;
        let kept = match report.memory_only {
            Some(why) => Err(why),
            None => keep(&store, batch),
        };
        store.close();
        kept.map_err(|why| {
            Failure::new(
                exit_code::FILE,
                format!("cannot write to {}: {}", safe(&place), safe(&why)),
            )
        })
    }

    /// What to say about when a change takes effect.
    pub(crate) fn when(&self) -> &'static str {
        match self.watched.by_hub {
            true => "the hub watches it from now on",
            false => "no hub runs here, so the next one watches it (`sickbay up`)",
        }
    }
}

fn keep(store: &Store, batch: WriteBatch) -> Result<(), String> {
    store.submit(batch).map_err(|dropped| dropped.to_string())?;
    if store.flush() { Ok(()) } else { Err(store.health().message) }
}

/// What a hub says that does not know of nodes.
impl AskError {
    /// Whether the hub has no such path: it is of an older version.
    pub(crate) fn is_missing_route(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 404)
    }
}
