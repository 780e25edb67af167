//! One machine over SSH.

use std::time::Duration;

use sickbay_collect::remote::Conversation;
use sickbay_collect::{CollectContext, NodeSource};
use sickbay_model::{Observation, ProbeError, ProbeErrorKind, Resource, SshTarget, Timestamp};

use crate::Ssh;

/// A machine that is watched over SSH.
#[derive(Debug)]
pub struct SshNode {
    target: SshTarget,
    conversation: Conversation,
    #[expect(dead_code, reason = "in the making")]
    ssh: Ssh,
}

impl SshNode {
    pub(crate) fn new(ssh: Ssh, resource: Resource, target: SshTarget) -> Self {
        let conversation = Conversation::new(resource, ssh.settings().remote.clone());
        Self { target, conversation, ssh }
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &SshTarget {
        &self.target
    }

    /// Whether a session is open now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        false
    }

    /// Ends the session. A later collection would open one again.
    pub async fn shutdown(&mut self) {
        self.conversation.session_lost();
    }
}

impl NodeSource for SshNode {
    fn resource(&self) -> &Resource {
        self.conversation.resource()
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        let at = Timestamp::from_unix_ms(context.clock.now_ms());
        let error = ProbeError {
            kind: ProbeErrorKind::Unreachable,
            message: "SSH is in the making".to_owned(),
            advice: None,
        };
        self.conversation.observe(Err(error), at, Duration::ZERO)
    }
}
