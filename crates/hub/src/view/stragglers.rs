//! Who departs from those that do the same work, as a client sees it.

use sickbay_engine::outlier::{
    Departure, GroupOutcome, GroupVerdict, GroupedBy, Outlier, PeerGroup, PeerId,
};
use sickbay_engine::{OutlierPolicy, sentence};
use sickbay_model::{ResourceId, Timestamp};
use sickbay_wire::v1;

/// The most groups that are listed.
const MAX_GROUPS: usize = 256;
/// The most stragglers that are listed, in all groups.
const MAX_STRAGGLERS: usize = 1024;

/// A group and what comparing its members found.
pub(crate) struct Compared {
    pub(crate) group: PeerGroup,
    pub(crate) verdict: GroupVerdict,
    /// A node's own GPUs, compared because those of all nodes could not be.
    pub(crate) within_node: bool,
}

/// What is shown before anybody was compared.
pub(crate) fn not_compared_yet() -> v1::StragglersView {
    v1::StragglersView {
        note: Some("Nobody was compared yet: the hub has just started.".to_owned()),
        ..v1::StragglersView::default()
    }
}

/// How the members of each job compare. `name` is what a member's node is.
pub(crate) fn stragglers<'n>(
    policy: &OutlierPolicy,
    at: Timestamp,
    all: &[Compared],
    name: impl Fn(u64) -> Option<&'n ResourceId>,
) -> v1::StragglersView {
    let listed = |it: &&Compared| !it.within_node || !it.verdict.outliers.is_empty();
    let mut shown: Vec<&Compared> = all.iter().filter(listed).collect();
    shown.sort_by_key(|it| {
        let departing = it.verdict.outliers.len().min(1);
        (std::cmp::Reverse(departing), std::cmp::Reverse(it.group.members.len()))
    });
    let comparable = all.iter().any(|it| it.verdict.outcome == GroupOutcome::Compared);
    let note = if !policy.enabled {
        Some("Nobody is compared: `outlier.enabled` is off in the configuration.".to_owned())
    } else if all.is_empty() {
        Some("No group to compare: no training process is known on any node.".to_owned())
    } else if !comparable {
        Some("No group to compare now; each says why.".to_owned())
    } else {
        None
    };
    let mut room = MAX_STRAGGLERS;
    v1::StragglersView {
        at: Some(at),
        window_minutes: short(policy.window_minutes()),
        held_minutes: short(policy.held_minutes()),
        group_count: short(shown.len()),
        straggler_count: short(all.iter().map(|it| it.verdict.outliers.len()).sum()),
        groups: shown
            .iter()
            .take(MAX_GROUPS)
            .map(|it| group(policy, it, &name, &mut room))
            .collect(),
        note,
    }
}

fn group<'n>(
    policy: &OutlierPolicy,
    compared: &Compared,
    name: &impl Fn(u64) -> Option<&'n ResourceId>,
    room: &mut usize,
) -> v1::StragglerGroup {
    let Compared { group, verdict, .. } = compared;
    let outcome = match &verdict.outcome {
        GroupOutcome::Compared => "compared",
        GroupOutcome::TooFew => "too_few",
        GroupOutcome::TooNew => "too_new",
        GroupOutcome::Mixed { .. } => "mixed",
    };
    let views = verdict.outliers.iter().filter_map(|it| straggler(it, name(it.member.node)?));
    let stragglers: Vec<_> = views.take(*room).collect();
    *room -= stragglers.len();
    v1::StragglerGroup {
        job: group.job.to_string(),
        known_by: match group.by {
            GroupedBy::Label => "label".to_owned(),
            GroupedBy::Command => "command".to_owned(),
        },
        compares: if group.model.is_some() { "gpus" } else { "nodes" }.to_owned(),
        model: group.model.as_ref().map(ToString::to_string),
        members: short(group.members.len()),
        compared: short(verdict.compared.len()),
        nodes: group.nodes,
        since: group.started.start(),
        outcome: outcome.to_owned(),
        note: note(policy, group, verdict),
        uneven: verdict.uneven.iter().map(|it| it.as_str().to_owned()).collect(),
        stragglers,
        straggler_count: short(verdict.outliers.len()),
    }
}

fn note(policy: &OutlierPolicy, group: &PeerGroup, verdict: &GroupVerdict) -> String {
    let what = if group.model.is_some() { "GPU" } else { "node" };
    let count = |count: usize| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match &verdict.outcome {
        GroupOutcome::Compared if verdict.outliers.is_empty() => {
            format!("{} compared: all keep up.", count(verdict.compared.len()))
        }
        GroupOutcome::Compared => format!(
            "{} compared: {} not keep up.",
            count(verdict.compared.len()),
            match verdict.outliers.len() {
                1 => "1 does".to_owned(),
                more => format!("{more} do"),
            }
        ),
        GroupOutcome::TooFew if group.members.len() > policy.least_peers as usize => {
            format!("Too few of {} tell anything.", count(group.members.len()))
        }
        GroupOutcome::TooFew => format!(
            "{} is too few to compare: each must have {} peers.",
            count(group.members.len()),
            policy.least_peers
        ),
        GroupOutcome::TooNew => {
            format!("Not at work for {} minutes yet.", policy.held_minutes())
        }
        GroupOutcome::Mixed { metric, departing, members } => format!(
            "{departing} of {members} depart in {}: they do not do the same work, or share a cause. \
             Nobody is named.",
            metric.words()
        ),
    }
}

fn straggler(outlier: &Outlier, node: &ResourceId) -> Option<v1::StragglerView> {
    let since = outlier.departures.iter().map(|it| it.since).min()?;
    Some(v1::StragglerView {
        resource: member(outlier.member, node).to_string(),
        cause: outlier.cause.as_str().to_owned(),
        message: sentence(&outlier.message(&match outlier.member.gpu {
            Some(gpu) => format!("GPU {gpu} of {}", node.name()),
            None => node.name().to_owned(),
        })),
        advice: sentence(outlier.cause.advice()),
        since,
        throttled_percent: one_decimal(outlier.throttled_percent),
        departures: outlier.departures.iter().map(departure).collect(),
    })
}

fn member(id: PeerId, node: &ResourceId) -> ResourceId {
    id.gpu.map_or_else(|| node.clone(), |gpu| ResourceId::gpu(node, u32::from(gpu)))
}

fn departure(it: &Departure) -> v1::StragglerDeparture {
    v1::StragglerDeparture {
        metric: it.metric.as_str().to_owned(),
        unit: it.metric.unit().symbol().to_owned(),
        value: one_decimal(it.value),
        median: one_decimal(it.median),
        low: one_decimal(it.low),
        high: one_decimal(it.high),
        peers: it.peers,
        minutes: it.minutes,
        score: one_decimal(it.score),
    }
}

/// No more is known than that; the step time of a fast job keeps its milliseconds.
fn one_decimal(value: f64) -> f64 {
    let digits = if value.abs() < 10.0 { 1000.0 } else { 10.0 };
    (value * digits).round() / digits
}

fn short(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
