//! Nodes of a play: what each does is told beforehand and may be changed while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sickbay_collect::{CollectContext, NodeSource};
use sickbay_model::catalogue as metric;
use sickbay_model::{
    FrameBuilder, Observation, ProbeError, ProbeErrorKind, ProbeOutcome, ProbeReport, Resource,
    ResourceId, Timestamp, probe,
};

use crate::view;

/// What a node does when it is asked.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It answers after a while.
    Answers(Duration),
    /// It is not reached, which shows after a while.
    Fails(Duration),
    /// The collection hangs until its deadline.
    Hangs,
    /// The collector has a defect.
    Panics,
}

#[derive(Default)]
struct Script {
    acts: BTreeMap<String, Act>,
    /// When each was asked.
    asked: BTreeMap<String, Vec<i64>>,
    connected: BTreeSet<String>,
    shut_down: BTreeMap<String, u32>,
}

/// What all nodes of a play share.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    script: Arc<Mutex<Script>>,
    running: Arc<AtomicUsize>,
    most_running: Arc<AtomicUsize>,
    opening: Arc<AtomicUsize>,
    most_opening: Arc<AtomicUsize>,
}

impl Stage {
    fn with<T>(&self, read: impl FnOnce(&mut Script) -> T) -> T {
        read(&mut self.script.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// From now on this node does this; nodes of which nothing was said answer after 20 ms.
    pub(crate) fn set(&self, name: &str, act: Act) {
        self.with(|script| script.acts.insert(name.to_owned(), act));
    }

    /// When a node was asked, by the wall clock.
    pub(crate) fn asked(&self, name: &str) -> Vec<i64> {
        self.with(|script| script.asked.get(name).cloned().unwrap_or_default())
    }

    /// How many of a node's sessions were ended.
    pub(crate) fn ended(&self, name: &str) -> u32 {
        self.with(|script| script.shut_down.get(name).copied().unwrap_or(0))
    }

    /// How many nodes were ever asked.
    pub(crate) fn asked_nodes(&self) -> usize {
        self.with(|script| script.asked.len())
    }

    /// The most collections that were ever under way at once, and of these such that open.
    pub(crate) fn most(&self) -> (usize, usize) {
        (self.most_running.load(Ordering::SeqCst), self.most_opening.load(Ordering::SeqCst))
    }

    pub(crate) fn node(&self, resource: Resource) -> ScriptedNode {
        ScriptedNode { resource, stage: self.clone() }
    }

    pub(crate) fn local(&self) -> ScriptedNode {
        let id = ResourceId::node("here").expect("an id");
        let resource =
            Resource { id, display_name: "here".to_owned(), labels: BTreeMap::new(), parent: None };
        self.with(|script| script.connected.insert("here".to_owned()));
        self.node(resource)
    }
}

/// One node of a play.
pub(crate) struct ScriptedNode {
    resource: Resource,
    stage: Stage,
}

/// Counts who is within.
struct Within<'a>(&'a AtomicUsize);

impl<'a> Within<'a> {
    fn enter(count: &'a AtomicUsize, most: &AtomicUsize) -> Self {
        most.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ScriptedNode {
    pub(crate) fn is_connected(&self) -> bool {
        self.stage.with(|script| script.connected.contains(self.resource.id.name()))
    }

    pub(crate) async fn shutdown(&mut self) {
        let name = self.resource.id.name();
        self.stage.with(|script| {
            if script.connected.remove(name) {
                *script.shut_down.entry(name.to_owned()).or_default() += 1;
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// What a well node brings, or one that was not reached.
    fn observation(&self, at: Timestamp, failure: Option<ProbeError>) -> Observation {
        let report = |probe, outcome| ProbeReport { probe, outcome, at, took: Duration::ZERO };
        let empty = view::empty_observation(&self.resource.id, at);
        if let Some(error) = failure {
            let reports = vec![report(probe::REACHABLE, ProbeOutcome::Failed(error))];
            return Observation { probes: reports, ..empty };
        }
        let mut frame = FrameBuilder::new();
        frame.put(metric::CPU_USED, "", 12.0);
        frame.put(metric::MEMORY_USED, "", 40.0);
        let answers = [probe::REACHABLE, probe::CPU, probe::MEMORY];
        let absent = probe::ALL.into_iter().filter(|probe| !answers.contains(probe));
        let none = || ProbeOutcome::NotApplicable("none here".into());
        let absent: Vec<_> = absent.map(|probe| report(probe, none())).collect();
        let answers = answers.into_iter().map(|probe| report(probe, ProbeOutcome::Answered));
        Observation { frame: frame.finish(at).0, probes: answers.chain(absent).collect(), ..empty }
    }
}

impl NodeSource for ScriptedNode {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    async fn collect(&mut self, context: &CollectContext) -> Observation {
        let name = self.resource.id.name().to_owned();
        let stage = self.stage.clone();
        let _running = Within::enter(&stage.running, &stage.most_running);
        let opens = !self.is_connected();
        let _opening = opens.then(|| Within::enter(&stage.opening, &stage.most_opening));
        let now = context.clock.now_ms();
        let act = stage.with(|script| {
            script.asked.entry(name.clone()).or_default().push(now);
            script.acts.get(&name).cloned().unwrap_or(Act::Answers(Duration::from_millis(20)))
        });
        let (takes, reached) = match act {
            Act::Answers(takes) => (takes, true),
            Act::Fails(takes) => (takes, false),
            Act::Hangs => (context.deadline, false),
            Act::Panics => panic!("the script says so"),
        };
        tokio::select! {
            () = tokio::time::sleep(takes.min(context.deadline)) => {}
            () = context.cancel.cancelled() => {}
        }
        let reached = reached && takes <= context.deadline;
        stage.with(|script| match reached {
            true => script.connected.insert(name.clone()),
            false => script.connected.remove(&name),
        });
        let failure = ProbeError {
            kind: ProbeErrorKind::Unreachable,
            message: "connection timed out".to_owned(),
            advice: None,
        };
        let at = Timestamp::from_unix_ms(context.clock.now_ms());
        self.observation(at, (!reached).then_some(failure))
    }
}
