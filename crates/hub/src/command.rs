//! What may be asked of the monitor loop from outside: a bounded queue of commands, each answered.

use sickbay_engine::Forgotten;
use sickbay_model::{NodeDefinition, ResourceId};
use tokio::sync::{mpsc, oneshot};

/// Commands that wait; more are refused.
pub const COMMAND_QUEUE: usize = 64;

/// What the loop is to do.
#[derive(Debug)]
pub enum Command {
    /// Watch a node from now on. Answered once it is written down.
    AddNode(Box<NodeDefinition>, oneshot::Sender<Result<(), CommandError>>),
    /// Stop watching a node that was added at run time. Answered once it is written down.
    RemoveNode(ResourceId, oneshot::Sender<Result<(), CommandError>>),
    /// Close a node's breaker and ask it at once.
    ResetBreaker(ResourceId, oneshot::Sender<Result<(), CommandError>>),
    /// Forget what a node had, and ask it at once.
    Forget(ResourceId, WhatToForget, oneshot::Sender<Result<Vec<Forgotten>, CommandError>>),
}

/// What is to be forgotten of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatToForget {
    /// All that is known of this check; none: all that the node had and misses.
    pub check: Option<String>,
    /// Only of this instance.
    pub instance: Option<String>,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is a node of this name already.
    #[error("{0} is watched already")]
    Exists(ResourceId),
    /// There is no such node.
    #[error("{0} is not watched")]
    Unknown(ResourceId),
    /// It cannot be done to this node: why, and what to do instead.
    #[error("{0}")]
    Refused(String),
    /// It could not be written down, and was not done.
    #[error("{0}")]
    NotKept(String),
    /// Too many commands wait, or the hub is stopping.
    #[error("the hub is too busy or is stopping; try again")]
    Busy,
}

/// The sending end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Commands(mpsc::Sender<Command>);

impl Commands {
    /// A queue.
    #[must_use]
    pub fn queue() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(COMMAND_QUEUE);
        (Self(sender), receiver)
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// What the loop answers; [`CommandError::Busy`] when there is no room.
    pub async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Command,
    ) -> Result<T, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(command(answer)).map_err(|_| CommandError::Busy)?;
        answered.await.unwrap_or(Err(CommandError::Busy))
    }
}
