//! Which machines the loop holds: at the start, after a reload, and when somebody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sickbay_collect::NodeSource as _;
use sickbay_model::{EventKind, NodeDefinition, Resource, ResourceId, SshTarget, Timestamp};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Monitor, Target, places};
use crate::hub_status::ConfigState;
use crate::run::SettingsUpdate;
use crate::source::Source;
use crate::targets::TargetIndex;
use crate::watch;

/// How soon a node is collected when someone starts to look, unless it was just collected: who comes
/// and goes must not drive the schedule.
const VIEWER_HURRY: Duration = Duration::from_millis(100);
const VIEWER_HURRY_INTERVAL: Duration = Duration::from_secs(5);

/// In a fleet of at most so many nodes (what one page shows in full) everybody who looks makes all of
/// them fast. In a larger one that would be a load for the sake of rows that nobody reads: there, only
/// nodes that someone has opened are, and the others keep their own pace.
const LOOKED_AT_TOGETHER: usize = 64;

impl Monitor {
    /// Begins to watch this machine, the config's nodes and the added ones, with what was known of
    /// them.
    pub(super) fn watch_all(&mut self, states: Vec<(ResourceId, Timestamp, Vec<u8>)>) {
        let local = self.sources.local();
        let here = local.resource().clone();
        let wanted = watch::wanted(&here.id, &self.settings.nodes, &self.added);
        let all: BTreeSet<_> = wanted.keys().cloned().chain([here.id.clone()]).collect();
        self.judge.restore(states, &all);
        self.local = self.add(here, None, local);
        self.change_nodes(wanted, false);
        self.judge.publish();
    }

    fn add(
        &mut self,
        resource: Resource,
        definition: Option<Arc<NodeDefinition>>,
        source: Source,
    ) -> TargetIndex {
        let now = self.clock.monotonic();
        let group = watch::group_of(definition.as_deref());
        let index = self.agenda.add(&group, source.opens(), now);
        self.first_sweep.expect(index, definition.is_none());
        self.judge.watch(&resource.id, definition.clone(), Vec::new());
        self.by_id.insert(resource.id.clone(), index);
        let target = Target {
            resource,
            definition,
            parents: Vec::new(),
            source: Some(source),
            replacement: None,
            cancel: CancellationToken::new(),
            ended: None,
            leaving: false,
        };
        self.targets.insert(index, target);
        index
    }

    pub(super) fn remove(&mut self, id: &ResourceId) {
        let Some(index) = self.by_id.remove(id) else { return };
        self.first_sweep.tried(index);
        self.agenda.remove(index);
        self.judge.unwatch(id);
        let Some(target) = self.targets.get_mut(&index) else { return };
        target.leaving = true;
        target.cancel.cancel();
        if target.source.is_some() {
            self.let_go(index);
        }
    }

    /// Ends the source of a target that is not watched any more, beside the loop.
    pub(super) fn let_go(&mut self, index: TargetIndex) {
        let Some(target) = self.targets.remove(&index) else { return };
        for mut source in target.source.into_iter().chain(target.replacement) {
            self.closing.spawn(async move { source.shutdown().await });
        }
    }

    /// Makes the nodes over SSH those that are wanted. Whoever is as before keeps session and state;
    /// `anew`: the settings that all share changed, so that every session is. The nodes that came and
    /// those that went.
    fn change_nodes(
        &mut self,
        wanted: BTreeMap<ResourceId, Arc<NodeDefinition>>,
        anew: bool,
    ) -> (Vec<ResourceId>, Vec<ResourceId>) {
        let gone: Vec<_> = self
            .by_id
            .keys()
            .filter(|id| !wanted.contains_key(*id) && self.by_id.get(*id) != Some(&self.local))
            .cloned()
            .collect();
        for id in &gone {
            self.remove(id);
        }
        let mut came = Vec::new();
        for (id, definition) in wanted {
            match self.by_id.get(&id) {
                Some(index) => self.redefine(*index, definition, anew),
                None => came.extend(self.add_node(definition)),
            }
        }
        self.find_parents();
        self.count_targets();
        (came, gone)
    }

    fn add_node(&mut self, definition: Arc<NodeDefinition>) -> Option<ResourceId> {
        let resource = match definition.resource() {
            Ok(resource) => resource,
            Err(error) => {
                tracing::error!(%error, "this node cannot be watched");
                return None;
            }
        };
        let id = resource.id.clone();
        let source = self.sources.node(resource.clone(), &definition);
        self.add(resource, Some(definition), source);
        Some(id)
    }

    fn redefine(&mut self, index: TargetIndex, definition: Arc<NodeDefinition>, anew: bool) {
        let Some(target) = self.targets.get_mut(&index) else { return };
        let same = target.definition.as_ref() == Some(&definition);
        if same && !anew {
            return;
        }
        let Ok(resource) = definition.resource() else { return };
        let source = self.sources.node(resource.clone(), &definition);
        self.agenda.set_group(index, &watch::group_of(Some(&definition)));
        (target.resource, target.definition) = (resource, Some(Arc::clone(&definition)));
        target.replacement = Some(source);
        let parents = target.parents.clone();
        self.judge.watch(&target.resource.id, Some(definition), parents);
        self.agenda.hurry(index, self.clock.monotonic());
    }

    /// Finds out anew who is behind whom.
    pub(super) fn find_parents(&mut self) {
        let Some(here) = self.targets.get(&self.local) else { return };
        let nodes: BTreeMap<_, _> = self
            .by_id
            .iter()
            .filter_map(|(id, index)| {
                let definition = self.targets.get(index)?.definition.clone()?;
                Some((id.clone(), definition))
            })
            .collect();
        let mut unknown = Vec::new();
        let jumps = |definition: &NodeDefinition| {
            let known = self.jumps.get(&definition.target);
            if known.is_none() {
                unknown.push(definition.target.clone());
            }
            known.cloned().unwrap_or_default()
        };
        let mut parents = watch::parents(&here.resource.id, &nodes, jumps);
        let used: BTreeSet<&SshTarget> = nodes.values().map(|node| &node.target).collect();
        self.jumps.retain(|target, _| used.contains(target));
        if !unknown.is_empty() && self.looking.is_empty() {
            // The SSH client's config may lie on a slow disk.
            let find = self.sources.jump_finder();
            self.looking.spawn_blocking(move || {
                let found = unknown.into_iter().map(|target| {
                    let jumps = find(&target);
                    (target, jumps)
                });
                found.collect()
            });
        }
        for target in self.targets.values_mut().filter(|target| !target.leaving) {
            let behind = parents.remove(&target.resource.id).unwrap_or_default();
            if behind != target.parents {
                target.parents.clone_from(&behind);
                self.judge.watch(&target.resource.id, target.definition.clone(), behind);
            }
        }
    }

    pub(super) fn note_jumps(&mut self, found: Result<Vec<(SshTarget, Vec<String>)>, JoinError>) {
        match found {
            Ok(found) => {
                self.jumps.extend(found);
                self.find_parents();
            }
            Err(error) => tracing::error!(%error, "finding out who is behind whom failed"),
        }
    }

    pub(super) fn watch_added(&mut self, definition: Arc<NodeDefinition>) {
        self.add_node(definition);
        self.find_parents();
        self.count_targets();
    }

    pub(super) fn count_targets(&self) {
        self.status.schedule().targets.store(self.by_id.len() as u64, Ordering::Relaxed);
    }

    pub(super) fn apply_settings(&mut self, update: SettingsUpdate) {
        match update {
            SettingsUpdate::Reloaded { settings, changed, needs_restart } => {
                self.status
                    .set_config(ConfigState { file: settings.config_file.clone(), error: None });
                self.judge.set_policy(settings.policy.clone());
                self.settings = *settings;
                self.replace_sources();
                let mut message = match changed.as_slice() {
                    [] => "The configuration was read again; nothing changed.".to_owned(),
                    names => {
                        format!("The configuration was reloaded: {} changed.", names.join(", "))
                    }
                };
                if !needs_restart.is_empty() {
                    message += &format!(" A restart is needed for {}.", needs_restart.join(", "));
                }
                self.record(EventKind::ConfigReloaded, None, message);
                self.agenda.hurry_all(self.clock.monotonic());
            }
            SettingsUpdate::Rejected { error } => {
                let file = self.status.config().file.clone();
                self.status.set_config(ConfigState { file, error: Some(error.clone()) });
                self.record(
                    EventKind::ConfigRejected,
                    None,
                    format!(
                        "The changed configuration was refused; the old one stays in force. {error}"
                    ),
                );
            }
        }
        self.upkeep();
    }

    fn replace_sources(&mut self) {
        self.agenda.set_places(places(&self.settings));
        let anew = self.sources.reload(&self.settings);
        // The SSH client's own config may have changed as well.
        self.jumps.clear();
        self.looking = JoinSet::new();
        let local = self.sources.local();
        let here = local.resource().clone();
        match self.targets.get_mut(&self.local) {
            Some(target) if target.resource.id == here.id => target.replacement = Some(local),
            // The machine was renamed.
            before => {
                if let Some(before) = before.map(|target| target.resource.id.clone()) {
                    self.remove(&before);
                }
                // A node of that name gives way.
                self.remove(&here.id);
                self.local = self.add(here.clone(), None, local);
            }
        }
        let wanted = watch::wanted(&here.id, &self.settings.nodes, &self.added);
        let (came, gone) = self.change_nodes(wanted, anew);
        for id in came {
            let message = format!("{} is watched from now on, by the config.", id.name());
            self.record(EventKind::NodeAdded, Some(id), message);
        }
        for id in gone {
            let message = format!("{} is not in the config any more and not watched.", id.name());
            self.record(EventKind::NodeRemoved, Some(id), message);
        }
    }

    pub(super) fn is_looked_at(&self, target: &Target) -> bool {
        if self.fleet.viewers() == 0 {
            return false;
        }
        self.by_id.len() <= LOOKED_AT_TOGETHER
            || target.definition.is_none()
            || self.fleet.is_looked_at(&target.resource.id)
    }

    pub(super) fn hurry_for_viewers(&mut self) {
        let soon = self.clock.monotonic() + VIEWER_HURRY;
        for (index, target) in &self.targets {
            if !target.leaving && self.is_looked_at(target) {
                let rested = target.ended.map(|ended| ended + VIEWER_HURRY_INTERVAL);
                self.agenda.hurry(*index, rested.map_or(soon, |rested| rested.max(soon)));
            }
        }
    }
}
