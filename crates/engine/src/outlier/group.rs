//! Who does the same work: the parts of one job, on GPUs of one model, that began together.

use std::sync::Arc;

use super::OutlierPolicy;
use super::job::{GroupedBy, JobPart};
use super::minutes::{Minute, PeerWindow};

/// A member: a GPU of a node, or a node itself. `node` is whatever number the caller gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    /// The node's number.
    pub node: u64,
    /// The driver's index; none for the node itself.
    pub gpu: Option<u16>,
}

/// Members that do the same work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerGroup {
    /// The job.
    pub job: Arc<str>,
    /// How it is known that it is one.
    pub by: GroupedBy,
    /// The GPUs' model; none where nodes are compared.
    pub model: Option<Arc<str>>,
    /// The minute in which the first of them began.
    pub started: Minute,
    /// GPUs or nodes, ascending.
    pub members: Vec<PeerId>,
    /// How many nodes they are on.
    pub nodes: u32,
}

impl PeerGroup {
    /// The members on each node that has at least so many, as groups of their own.
    #[must_use]
    pub fn by_node(&self, least: usize) -> Vec<Self> {
        let same_node = |a: &PeerId, b: &PeerId| a.node == b.node;
        self.members
            .chunk_by(same_node)
            .filter(|members| members.len() >= least)
            .map(|members| Self { members: members.to_vec(), nodes: 1, ..self.clone() })
            .collect()
    }
}

/// One part with where it is.
#[derive(Clone, Copy)]
struct Placed<'a> {
    node: u64,
    part: &'a JobPart,
}

/// Groups the parts of jobs on these nodes, each with a number of its own: GPUs by job and model, and
/// the nodes of a job. A job that is known by its command alone is another one when it starts more
/// than [`OutlierPolicy::started_within`] after the one before. In a fixed order, whatever the
/// order of the nodes.
pub fn groups<'a>(
    policy: &OutlierPolicy,
    nodes: impl IntoIterator<Item = (u64, &'a PeerWindow)>,
) -> Vec<PeerGroup> {
    let mut placed: Vec<Placed<'_>> = nodes
        .into_iter()
        .flat_map(|(node, window)| window.parts().iter().map(move |part| Placed { node, part }))
        .collect();
    placed.sort_by(|a, b| {
        let key = |it: &Placed<'_>| (it.part.started, it.node);
        (a.part.by, &a.part.job).cmp(&(b.part.by, &b.part.job)).then(key(a).cmp(&key(b)))
    });
    let gap = i64::try_from(policy.started_within.as_secs() / 60).unwrap_or(i64::MAX);
    let together = |a: &Placed<'_>, b: &Placed<'_>| {
        let same = a.part.by == b.part.by && a.part.job == b.part.job;
        let passed = b.part.started.0.saturating_sub(a.part.started.0);
        same && (a.part.by == GroupedBy::Label || passed <= gap)
    };
    let mut all = Vec::new();
    for job in placed.chunk_by(together) {
        by_model(job, &mut all);
        of_nodes(job, &mut all);
    }
    all
}

/// The GPUs of a job, a group a model.
fn by_model(job: &[Placed<'_>], all: &mut Vec<PeerGroup>) {
    let mut parts: Vec<_> = job.iter().filter(|it| !it.part.gpus.is_empty()).copied().collect();
    parts.sort_by(|a, b| (&a.part.model, a.node).cmp(&(&b.part.model, b.node)));
    for same in parts.chunk_by(|a, b| a.part.model == b.part.model) {
        let gpus = |it: &Placed<'_>| {
            let node = it.node;
            it.part.gpus.clone().into_iter().map(move |gpu| PeerId { node, gpu: Some(gpu) })
        };
        let model = same.first().map(|it| Arc::clone(&it.part.model));
        all.extend(group(same, model, same.iter().flat_map(gpus).collect()));
    }
}

/// The nodes of a job that is on more than one.
fn of_nodes(job: &[Placed<'_>], all: &mut Vec<PeerGroup>) {
    let nodes: Vec<_> = job.iter().map(|it| PeerId { node: it.node, gpu: None }).collect();
    all.extend(group(job, None, nodes).filter(|group| group.nodes > 1));
}

fn group(
    parts: &[Placed<'_>],
    model: Option<Arc<str>>,
    mut members: Vec<PeerId>,
) -> Option<PeerGroup> {
    let first = parts.iter().min_by_key(|it| it.part.started)?;
    members.sort_unstable();
    members.dedup();
    let nodes = members.chunk_by(|a, b| a.node == b.node).count();
    Some(PeerGroup {
        job: Arc::clone(&first.part.job),
        by: first.part.by,
        model,
        started: first.part.started,
        members,
        nodes: u32::try_from(nodes).unwrap_or(u32::MAX),
    })
}
