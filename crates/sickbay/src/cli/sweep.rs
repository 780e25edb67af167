//! Looking at many machines now: this one and others over SSH, many at a time, each with a limit.
//!
//! What must hold: a machine that does not answer costs the others nothing but its place among
//! those under way; every machine asked for has an answer in the end, if only that it gave none.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sickbay_collect::NodeSource as _;
use sickbay_hub::view;
use sickbay_model::{ExpectedHardware, Level, Resource, ResourceId, SshTarget, sanitize_name};
use sickbay_ssh::Ssh;
use sickbay_wire::v1::{FleetNode, NodeSpec, ResourceDetail};
use tokio_util::sync::CancellationToken;

use super::live::{self, BETWEEN_LOOKS, Found, Look};
use super::sweep_progress::Progress;
use super::{Context, Failure};
use crate::config::Settings;

/// How long a machine that was told to end may take to say what it knows.
const END_GRACE: Duration = Duration::from_millis(500);

/// How long a session may take to end.
const GOODBYE: Duration = Duration::from_millis(500);

/// Between two looks at how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// A machine to look at.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What it is in Sickbay.
    pub(crate) resource: Resource,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Here,
    Ssh(SshTarget, ExpectedHardware),
}

impl Target {
    /// This machine.
    pub(crate) fn here(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self { resource: live::this_machine(settings)?.resource().clone(), how: How::Here })
    }

    /// A machine over SSH.
    pub(crate) fn over_ssh(spec: &NodeSpec) -> Result<Self, Failure> {
        let definition = spec.clone().into_definition(sickbay_model::NodeOrigin::Added);
        let resource = definition.resource().map_err(Failure::internal)?;
        Ok(Self { resource, how: How::Ssh(definition.target, definition.expected) })
    }

    /// Where it is, over SSH; none for this machine.
    pub(crate) fn ssh(&self) -> Option<&SshTarget> {
        match &self.how {
            How::Here => None,
            How::Ssh(target, _) => Some(target),
        }
    }

    /// A machine that nobody defined: what `ssh` would make of a word.
    pub(crate) fn by_word(word: &str) -> Result<Self, Failure> {
        let (user, host) = super::node_arguments::split_user(word);
        let name = sanitize_name(host.as_bytes());
        let id = ResourceId::node(&name).map_err(Failure::internal)?;
        let target = SshTarget {
            host: host.to_owned(),
            user: user.map(str::to_owned),
            ..SshTarget::default()
        };
        let resource =
            Resource { id, display_name: name, labels: Default::default(), parent: None };
        Ok(Self { resource, how: How::Ssh(target, ExpectedHardware::default()) })
    }
}

/// What came of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The node and its GPUs; the node comes first. Never empty.
    pub(crate) details: Vec<ResourceDetail>,
    /// Why there is no answer, if so, and what to do.
    pub(crate) unreached: Option<Unreached>,
    /// How long it took; none if it was not asked.
    pub(crate) took: Option<Duration>,
}

/// Why a machine did not answer.
#[derive(Clone, Debug)]
pub(crate) struct Unreached {
    /// What failed, and why.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl Answer {
    /// The node in one line.
    pub(crate) fn row(&self) -> Option<FleetNode> {
        let node = self.details.first()?;
        // Nobody's breaker is behind a look of our own.
        Some(view::fleet_node(&node.summary.id.parse().ok()?, Some(node.into()), None))
    }
}

/// How a sweep is done.
pub(crate) struct Sweep {
    settings: Settings,
    ssh: Ssh,
    look: Look,
    concurrency: usize,
    limit: Duration,
}

/// What came of a sweep.
pub(crate) struct Swept {
    /// One for each machine, in the order in which they ended; those not asked come last.
    pub(crate) answers: Vec<Answer>,
    /// Whether somebody ended it early.
    pub(crate) interrupted: bool,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Sweep {
    /// With these settings; slow probes get `patience` to answer.
    pub(crate) fn new(context: &Context, settings: &Settings, patience: Duration) -> Self {
        let ssh = &settings.hub.ssh;
        let probes = settings.hub.collect_deadline();
        let look = Look {
            deadline: ssh.connect_timeout + probes,
            ..Look::new(context, settings, patience)
        };
        Self {
            ssh: Ssh::new(ssh.clone()),
            settings: settings.clone(),
            look,
            concurrency: settings.hub.concurrent_collections.max(1),
            limit: ssh.connect_timeout + probes + BETWEEN_LOOKS + probes.max(patience),
        }
    }

    /// How many machines are asked at once, if told.
    pub(crate) fn concurrency(mut self, told: Option<usize>) -> Self {
        self.concurrency = told.unwrap_or(self.concurrency).max(1);
        self
    }

    /// How long one machine may take, if told.
    pub(crate) fn limit(mut self, told: Option<Duration>) -> Self {
        self.limit = told.unwrap_or(self.limit);
        self
    }

    /// Looks at all of them. `stop` ends it early, with what is known by then.
    pub(crate) async fn run(
        &self,
        targets: Vec<Target>,
        progress: &mut Progress,
        stop: &CancellationToken,
    ) -> Swept {
        let began = self.look.clock.monotonic();
        let mut answers = Vec::with_capacity(targets.len());
        let mut rest = targets.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut waiting: std::collections::BTreeMap<ResourceId, Target> = Default::default();
        let mut tick = tokio::time::interval(PROGRESS_PERIOD);
        let mut interrupted = false;
        loop {
            while under_way.len() < self.concurrency
                && let Some(target) = rest.next()
            {
                waiting.insert(target.resource.id.clone(), target.clone());
                under_way
                    .push(async move { (target.resource.id.clone(), self.one(&target).await) });
            }
            tokio::select! {
                ended = under_way.next() => match ended {
                    Some((id, answer)) => {
                        waiting.remove(&id);
                        answers.push(answer);
                        progress.show(answers.len(), waiting.keys());
                    }
                    None => break,
                },
                _ = tick.tick() => progress.show(answers.len(), waiting.keys()),
                () = stop.cancelled() => {
                    interrupted = true;
                    break;
                }
            }
        }
        progress.end();
        drop(under_way);
        let unanswered = waiting.into_values().map(|target| (target, "it had not answered yet"));
        let unasked = rest.map(|target| (target, "it had not been asked yet"));
        answers.extend(unanswered.chain(unasked).map(|(target, state)| {
            self.silent(&target, &format!("the check was stopped when {state}"), None)
        }));
        let took = self.look.clock.monotonic().saturating_sub(began);
        Swept { answers, interrupted, took }
    }

    async fn one(&self, target: &Target) -> Answer {
        let clock = &self.look.clock;
        let began = clock.monotonic();
        let cancel = CancellationToken::new();
        let work = self.look_at(target, cancel.clone());
        tokio::pin!(work);
        let found = match tokio::time::timeout(self.limit, &mut work).await {
            Ok(found) => Some(found),
            Err(_) => {
                cancel.cancel();
                tokio::time::timeout(END_GRACE, &mut work).await.ok()
            }
        };
        let took = Some(clock.monotonic().saturating_sub(began));
        match found {
            Some(Ok(Found { details, unreached })) if !details.is_empty() => {
                let unreached = unreached.map(|error| Unreached {
                    reason: error.message,
                    advice: error.advice.map(|advice| advice.0.into_owned()),
                });
                Answer { details, unreached, took }
            }
            Some(Err(failure)) => self.silent(target, &failure.message, took),
            Some(Ok(_)) | None => {
                let limit = super::format::duration(self.limit);
                self.silent(target, &format!("it did not answer within {limit}"), took)
            }
        }
    }

    async fn look_at(&self, target: &Target, cancel: CancellationToken) -> Result<Found, Failure> {
        match &target.how {
            How::Here => {
                let deadline = self.settings.hub.collect_deadline();
                let look = Look { cancel, deadline, ..self.look.clone() };
                let mut node = live::this_machine(&self.settings)?;
                let found = look.at(&mut node).await;
                node.shutdown().await;
                Ok(found)
            }
            How::Ssh(ssh, expected) => {
                let look = Look { cancel, expected: expected.clone(), ..self.look.clone() };
                let mut node = self.ssh.node(target.resource.clone(), ssh.clone());
                let found = look.at(&mut node).await;
                // What it found counts, whether or not the other end says goodbye.
                let _ = tokio::time::timeout(GOODBYE, node.shutdown()).await;
                Ok(found)
            }
        }
    }

    /// The answer of a machine that gave none.
    fn silent(&self, target: &Target, reason: &str, took: Option<Duration>) -> Answer {
        let at = sickbay_model::Timestamp::from_unix_ms(self.look.clock.now_ms());
        let mut detail = view::never_collected(&self.look.policy, &target.resource.id, at, reason);
        detail.summary.display_name.clone_from(&target.resource.display_name);
        detail.summary.labels = std::sync::Arc::new(target.resource.labels.clone());
        detail.summary.parent = target.resource.parent.as_ref().map(ToString::to_string);
        let unreached = Some(Unreached { reason: reason.to_owned(), advice: None });
        Answer { details: vec![detail], unreached, took }
    }
}

/// Runs a sweep's work: sessions are opened by several threads, where there are several CPUs.
pub(crate) fn block_on_all<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    const MOST_THREADS: usize = 4;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.min(MOST_THREADS))
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(work);
    // A session that does not end must not hold up the exit.
    runtime.shutdown_background();
    ended
}

/// The worst of several levels; a fleet that nobody is in cannot be judged.
pub(crate) fn worst(rows: &[FleetNode]) -> Level {
    super::health::worst(rows.iter().map(|row| row.level)).unwrap_or(Level::Unknown)
}

/// A token that Ctrl-C and SIGTERM cancel, the first time; a second one ends the program.
pub(crate) async fn until_interrupted(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    std::process::exit(130);
}
