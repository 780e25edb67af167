//! Ties the nodes and how they are reached; see [`super::bind`].

use std::sync::Arc;

use sickbay_engine::{BreakerPolicy, DoubtPolicy, Policy};
use sickbay_hub::HubSettings;
use sickbay_model::{ExpectedHardware, NodeDefinition, NodeOrigin, SshTarget, sanitize_name};
use sickbay_ssh::SshSettings;

use super::bind::{Direction, Written, section, tie};
use super::raw::{RawConfig, RawExpected, RawNode, RawSsh};
use super::units::{PathText, SizeText};

/// Ties the numbers by which silence is judged.
pub(super) fn tie_silence(way: Direction, raw: &mut RawConfig, policy: &mut Policy) {
    section(way, &mut raw.breaker, |raw| {
        let BreakerPolicy { failures, open_for, growth, longest, jitter_percent } =
            &mut policy.breaker;
        tie(way, &mut raw.failures, failures);
        tie(way, &mut raw.open_for, open_for);
        tie(way, &mut raw.growth, growth);
        tie(way, &mut raw.longest, longest);
        tie(way, &mut raw.jitter_percent, jitter_percent);
    });
    section(way, &mut raw.doubt, |raw| {
        let DoubtPolicy { failed_percent, least_nodes, window, lag, longest_stretch } =
            &mut policy.doubt;
        tie(way, &mut raw.failed_percent, failed_percent);
        tie(way, &mut raw.least_nodes, least_nodes);
        tie(way, &mut raw.window, window);
        tie(way, &mut raw.lag, lag);
        tie(way, &mut raw.longest_stretch, longest_stretch);
    });
}

/// Ties the nodes, the SSH client and what is asked of nodes.
pub(super) fn tie_fleet(way: Direction, raw: &mut RawConfig, hub: &mut HubSettings) {
    tie(way, &mut raw.nodes, &mut hub.nodes);
    section(way, &mut raw.ssh, |raw| tie_ssh(way, raw, &mut hub.ssh));
    if way == Direction::Apply {
        // What is asked of this machine is asked of every machine.
        let remote = Arc::make_mut(&mut hub.ssh.remote);
        remote.probe_timeout = hub.local.probe_timeout;
        remote.process_patterns.clone_from(&hub.local.process_patterns);
        remote.torch.clone_from(&hub.local.torch);
    }
}

fn tie_ssh(way: Direction, raw: &mut RawSsh, ssh: &mut SshSettings) {
    tie(way, &mut raw.config_files, &mut ssh.config_files);
    tie(way, &mut raw.known_hosts, &mut ssh.known_hosts);
    tie(way, &mut raw.accept_new, &mut ssh.accept_new);
    tie(way, &mut raw.agent_socket, &mut ssh.agent_socket);
    tie(way, &mut raw.user, &mut ssh.user);
    // Nobody's name is no name.
    raw.user = raw.user.take().filter(|user| !user.is_empty());
    tie(way, &mut raw.connect_timeout, &mut ssh.connect_timeout);
    tie(way, &mut raw.keepalive_interval, &mut ssh.keepalive_interval);
    tie(way, &mut raw.opening_at_once, &mut ssh.opening_at_once);
    let remote = Arc::make_mut(&mut ssh.remote);
    tie(way, &mut raw.gpu_interval, &mut remote.gpu_interval);
    tie(way, &mut raw.process_interval, &mut remote.process_scan_interval);
    tie(way, &mut raw.filesystem_interval, &mut remote.filesystem_interval);
    tie(way, &mut raw.sensor_interval, &mut remote.sensor_interval);
}

impl RawNode {
    /// Its name, given or by its host.
    pub(super) fn shown_name(&self) -> Option<String> {
        let by_host = || self.host.as_ref().map(|host| sanitize_name(host.as_bytes()));
        self.name.clone().or_else(by_host)
    }
}

impl Written<NodeDefinition> for RawNode {
    fn show(node: &NodeDefinition) -> Option<Self> {
        let NodeDefinition { name, target, labels, parent, expected, origin: _ } = node.clone();
        let SshTarget { host, port, user, identity_file, proxy_jump } = target;
        let ExpectedHardware { gpus, gpu_model, memory_bytes } = expected;
        let expected = RawExpected { gpus, gpu_model, memory: memory_bytes.map(SizeText) };
        Some(Self {
            host: Some(host).filter(|host| *host != name),
            name: Some(name),
            user,
            port,
            identity_file: identity_file.map(|file| PathText(file.into())),
            proxy_jump,
            labels: Some(labels).filter(|labels| !labels.is_empty()),
            parent,
            expected: Some(expected).filter(|expected| *expected != RawExpected::default()),
        })
    }

    fn read(&self) -> Option<NodeDefinition> {
        let name = self.shown_name()?;
        let raw = self.clone();
        let expected = raw.expected.unwrap_or_default();
        Some(NodeDefinition {
            target: SshTarget {
                host: raw.host.unwrap_or_else(|| name.clone()),
                port: raw.port,
                user: raw.user,
                identity_file: raw.identity_file.map(|file| file.to_string()),
                proxy_jump: raw.proxy_jump,
            },
            name,
            labels: raw.labels.unwrap_or_default(),
            parent: raw.parent,
            expected: ExpectedHardware {
                gpus: expected.gpus,
                gpu_model: expected.gpu_model,
                memory_bytes: expected.memory.map(|size| size.0),
            },
            origin: NodeOrigin::Config,
        })
    }
}

impl Written<usize> for u32 {
    fn show(value: &usize) -> Option<Self> {
        Some(Self::try_from(*value).unwrap_or(Self::MAX))
    }

    fn read(&self) -> Option<usize> {
        usize::try_from(*self).ok()
    }
}
