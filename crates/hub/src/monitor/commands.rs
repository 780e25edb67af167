//! What someone wants done: each command is answered, and what it changes is on disk before that.

use std::sync::Arc;

use sickbay_engine::Forgotten;
use sickbay_model::{EventKind, MAX_NODES, NodeDefinition, NodeOrigin, ResourceId, Timestamp};
use sickbay_store::WriteBatch;
use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::Monitor;
use crate::command::{Command, CommandError, WhatToForget};
use crate::watch::Added;

/// Commands that are being written down at once; more are told to try again.
const MAX_KEEPING: usize = 32;

type Answer = oneshot::Sender<Result<(), CommandError>>;

/// A command that was to be written down.
pub(super) struct Kept {
    order: Order,
    answer: Answer,
    /// Whether it is on disk.
    done: bool,
}

enum Order {
    Add(Added),
    Remove(ResourceId, Added),
}

impl Order {
    fn name(&self) -> &str {
        let (Self::Add(node) | Self::Remove(_, node)) = self;
        &node.definition.name
    }
}

impl Monitor {
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::AddNode(definition, answer) => {
                let order = self.plan_to_add(*definition);
                self.keep(order, answer);
            }
            Command::RemoveNode(id, answer) => {
                let order = self.plan_to_remove(&id);
                self.keep(order, answer);
            }
            Command::ResetBreaker(id, answer) => {
                // Who asked may have gone.
                let _ = answer.send(self.reset_breaker(&id));
            }
            Command::Forget(id, what, answer) => {
                let _ = answer.send(self.forget(&id, &what));
            }
        }
    }

    fn plan_to_add(&self, mut definition: NodeDefinition) -> Result<Order, CommandError> {
        definition.origin = NodeOrigin::Added;
        let mistakes: Vec<_> = definition.mistakes().iter().map(ToString::to_string).collect();
        if !mistakes.is_empty() {
            return Err(CommandError::Refused(mistakes.join("; ")));
        }
        let id = ResourceId::node(&definition.name)
            .map_err(|error| CommandError::Refused(error.to_string()))?;
        if self.by_id.contains_key(&id) {
            return Err(CommandError::Exists(id));
        }
        if self.by_id.len() + self.kept_names.len() > MAX_NODES {
            let why = format!("{MAX_NODES} nodes are watched, which is the most that one hub does");
            return Err(CommandError::Refused(why));
        }
        if let Some(parent) = &definition.parent {
            let known = ResourceId::node(parent).is_ok_and(|id| self.by_id.contains_key(&id));
            if !known {
                let why = format!("its parent {parent} is not watched; add that one first");
                return Err(CommandError::Refused(why));
            }
        }
        let added_at = Timestamp::from_unix_ms(self.clock.now_ms());
        Ok(Order::Add(Added { definition: Arc::new(definition), added_at }))
    }

    fn plan_to_remove(&self, id: &ResourceId) -> Result<Order, CommandError> {
        let unknown = || CommandError::Unknown(id.clone());
        let index = self.by_id.get(id).ok_or_else(unknown)?;
        let target = self.targets.get(index).ok_or_else(unknown)?;
        match &target.definition {
            None => Err(CommandError::Refused(format!(
                "{} is the hub's own machine, which is always watched",
                id.name()
            ))),
            Some(definition) if definition.origin == NodeOrigin::Config => {
                let file = self.settings.config_file.as_ref();
                let file = file.map_or_else(
                    || "the config file".to_owned(),
                    |file| file.display().to_string(),
                );
                Err(CommandError::Refused(format!(
                    "{} is defined in the config; take it out of `nodes` in {file}, which is read \
                     again when it changes",
                    id.name()
                )))
            }
            Some(_) => {
                let added = self.added.get(id.name()).cloned().ok_or_else(unknown)?;
                Ok(Order::Remove(id.clone(), added))
            }
        }
    }

    /// Has an order written down, beside the loop: the disk may be slow.
    fn keep(&mut self, order: Result<Order, CommandError>, answer: Answer) {
        let batch = order.and_then(|order| {
            if self.keeping.len() >= MAX_KEEPING || self.kept_names.contains(order.name()) {
                return Err(CommandError::Busy);
            }
            let health = self.store.health();
            if health.memory_only {
                return Err(CommandError::NotKept(format!(
                    "it would be forgotten at the next start: {}",
                    health.message
                )));
            }
            let batch = order.batch()?;
            Ok((order, batch))
        });
        let (order, batch) = match batch {
            Ok(planned) => planned,
            Err(error) => {
                // Who asked may have gone.
                let _ = answer.send(Err(error));
                return;
            }
        };
        self.kept_names.insert(order.name().to_owned());
        // What is dropped for lack of room are readings and events, which is counted.
        let _ = self.store.submit(batch);
        let store = self.store.clone();
        self.keeping.spawn_blocking(move || Kept { done: store.flush(), order, answer });
    }

    pub(super) fn finish_command(&mut self, kept: Result<Kept, JoinError>) {
        let Kept { order, answer, done } = match kept {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(%error, "writing a command down failed");
                self.kept_names.clear();
                return;
            }
        };
        self.kept_names.remove(order.name());
        let result = if done { Ok(()) } else { Err(self.take_back(&order)) };
        if done {
            self.fulfil(order);
        }
        // Who asked may have gone.
        let _ = answer.send(result);
    }

    fn fulfil(&mut self, order: Order) {
        match order {
            Order::Add(added) => {
                let definition = Arc::clone(&added.definition);
                self.added.insert(definition.name.clone(), added);
                let id = ResourceId::node(&definition.name).ok();
                // The config may have named it meanwhile, which holds.
                if id.as_ref().is_some_and(|id| !self.by_id.contains_key(id)) {
                    let message =
                        format!("{} is watched from now on; it was added.", definition.name);
                    self.watch_added(definition);
                    self.record(EventKind::NodeAdded, id, message);
                }
            }
            Order::Remove(id, _) => {
                self.added.remove(id.name());
                let index = self.by_id.get(&id).and_then(|index| self.targets.get(index));
                let definition = index.and_then(|target| target.definition.as_ref());
                if definition.is_some_and(|it| it.origin == NodeOrigin::Added) {
                    self.remove(&id);
                    self.find_parents();
                    self.count_targets();
                    let message = format!("{} is not watched any more; it was removed.", id.name());
                    self.record(EventKind::NodeRemoved, Some(id), message);
                }
            }
        }
    }

    /// What could not be written down must not appear on disk later either.
    fn take_back(&self, order: &Order) -> CommandError {
        let mut batch = WriteBatch::default();
        match order {
            Order::Add(node) => batch.nodes_removed.push(node.definition.name.clone()),
            Order::Remove(_, node) => batch.nodes_put.extend(node.store().ok()),
        }
        let _ = self.store.submit(batch);
        CommandError::NotKept(format!(
            "it could not be written down, and was not done: {}",
            self.store.health().message
        ))
    }

    /// Hands every added node to the store once more.
    pub(super) fn keep_added(&self) {
        let nodes_put: Vec<_> = self.added.values().filter_map(|node| node.store().ok()).collect();
        if !nodes_put.is_empty() {
            let _ = self.store.submit(WriteBatch { nodes_put, ..WriteBatch::default() });
        }
    }

    fn reset_breaker(&mut self, id: &ResourceId) -> Result<(), CommandError> {
        let index = *self.by_id.get(id).ok_or_else(|| CommandError::Unknown(id.clone()))?;
        self.judge.reset_breaker(id).ok_or_else(|| {
            let why = format!("{} is the hub's own machine, which is behind no breaker", id.name());
            CommandError::Refused(why)
        })?;
        self.judge.publish();
        self.agenda.hurry(index, self.clock.monotonic());
        Ok(())
    }

    fn forget(
        &mut self,
        id: &ResourceId,
        what: &WhatToForget,
    ) -> Result<Vec<Forgotten>, CommandError> {
        let unknown = || CommandError::Unknown(id.clone());
        let index = *self.by_id.get(id).ok_or_else(unknown)?;
        let forgotten = self.judge.forget(id, what).ok_or_else(unknown)?;
        self.judge.publish();
        self.agenda.hurry(index, self.clock.monotonic());
        Ok(forgotten)
    }
}

impl Order {
    fn batch(&self) -> Result<WriteBatch, CommandError> {
        let mut batch = WriteBatch::default();
        match self {
            Self::Add(node) => {
                let stored = node.store().map_err(|error| {
                    CommandError::NotKept(format!("its definition cannot be written: {error}"))
                })?;
                batch.nodes_put.push(stored);
            }
            Self::Remove(id, _) => batch.nodes_removed.push(id.name().to_owned()),
        }
        Ok(batch)
    }
}
