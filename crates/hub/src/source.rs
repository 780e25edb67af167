//! What is asked for observations: this machine, or one over SSH.
//!
//! An enum and not a trait object: [`NodeSource`] returns its future by type, and there are exactly
//! two kinds. A test's scripted node is a third that does not exist outside tests, so that the loop
//! is tested as it is.

use sickbay_collect::{CollectContext, LocalNode, NodeSource};
use sickbay_model::{NodeDefinition, Observation, Resource, SshTarget};
use sickbay_ssh::{Ssh, SshNode};

use crate::settings::HubSettings;

#[cfg(test)]
pub(crate) mod scripted;

/// One watched machine.
pub(crate) enum Source {
    /// The hub's own.
    Local(Box<LocalNode>),
    /// One over SSH.
    Ssh(Box<SshNode>),
    #[cfg(test)]
    Scripted(Box<scripted::ScriptedNode>),
}

impl Source {
    /// Its children that live now, for counting what the monitor costs; none for machines whose
    /// costs fall elsewhere.
    pub(crate) fn pids(&self) -> Option<Vec<u32>> {
        match self {
            Self::Local(node) => Some(node.pids()),
            Self::Ssh(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Whether asking it means to open a session first.
    pub(crate) fn opens(&self) -> bool {
        match self {
            Self::Local(_) => false,
            Self::Ssh(node) => !node.is_connected(),
            #[cfg(test)]
            Self::Scripted(node) => !node.is_connected(),
        }
    }

    /// Lets go of whatever it holds. A later collection would start it again.
    pub(crate) async fn shutdown(&mut self) {
        match self {
            Self::Local(node) => node.shutdown().await,
            Self::Ssh(node) => node.shutdown().await,
            #[cfg(test)]
            Self::Scripted(node) => node.shutdown().await,
        }
    }
}

impl NodeSource for Source {
    fn resource(&self) -> &Resource {
        match self {
            Self::Local(node) => node.resource(),
            Self::Ssh(node) => node.resource(),
            #[cfg(test)]
            Self::Scripted(node) => node.resource(),
        }
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        match self {
            Self::Local(node) => node.collect(context).await,
            Self::Ssh(node) => node.collect(context).await,
            #[cfg(test)]
            Self::Scripted(node) => node.collect(context).await,
        }
    }
}

/// Makes sources by the settings in force.
pub(crate) struct Sources {
    local: sickbay_collect::LocalSettings,
    ssh: Ssh,
    #[cfg(test)]
    pub(crate) stage: Option<scripted::Stage>,
}

impl Sources {
    pub(crate) fn new(settings: &HubSettings) -> Self {
        Self {
            local: settings.local.clone(),
            ssh: Ssh::new(settings.ssh.clone()),
            #[cfg(test)]
            stage: None,
        }
    }

    /// Makes sources by other settings from now on. Whether nodes over SSH have to be made anew: their
    /// sessions are kept while what all share is as it was.
    pub(crate) fn reload(&mut self, settings: &HubSettings) -> bool {
        self.local = settings.local.clone();
        let changed = *self.ssh.settings() != settings.ssh;
        if changed {
            self.ssh = Ssh::new(settings.ssh.clone());
        }
        changed
    }

    /// The hub's own machine.
    pub(crate) fn local(&self) -> Source {
        #[cfg(test)]
        if let Some(stage) = &self.stage {
            return Source::Scripted(Box::new(stage.local()));
        }
        Source::Local(Box::new(LocalNode::new(self.local.clone())))
    }

    /// A machine over SSH. `resource` is what the definition says it is.
    pub(crate) fn node(&self, resource: Resource, definition: &NodeDefinition) -> Source {
        #[cfg(test)]
        if let Some(stage) = &self.stage {
            return Source::Scripted(Box::new(stage.node(resource)));
        }
        Source::Ssh(Box::new(self.ssh.node(resource, definition.target.clone())))
    }

    /// Finds the hosts over which machines are reached. Reads the SSH client's config, so it is for a
    /// thread that may block.
    pub(crate) fn jump_finder(&self) -> impl Fn(&SshTarget) -> Vec<String> + Send + 'static {
        let ssh = self.ssh.clone();
        #[cfg(test)]
        let staged = self.stage.is_some();
        move |target| {
            #[cfg(test)]
            if staged {
                return target.proxy_jump.iter().cloned().collect();
            }
            ssh.jumps_of(target)
        }
    }
}
