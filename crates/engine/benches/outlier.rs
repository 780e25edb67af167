//! How long it takes to compare a whole fleet. The goal is a second for 1000 nodes with 8 GPUs over
//! 15 minutes, and 50 ms for what is done in one turn.

#[path = "../tests/engine/peers.rs"]
#[expect(clippy::expect_used, reason = "made for the tests, which use more of it")]
mod peers;

use std::collections::BTreeMap;

use divan::Bencher;
use sickbay_engine::outlier::{GroupSearch, PeerMetric, PeerWindow, Scratch, groups};
use sickbay_model::Timestamp;

use peers::{Dice, Job, Moment, search, usual};

fn main() {
    divan::main();
}

/// All differ a little; one GPU of each `ill` is slow.
fn fleet(nodes: u64, ill: u64) -> (Job, BTreeMap<u64, PeerWindow>, Timestamp) {
    let job = Job::new(nodes, 8);
    let (windows, now) = job.windows(|at: Moment, metric| {
        let seed = u64::from(at.minute) << 40 | at.node << 16 | u64::from(at.gpu) << 8;
        let well = usual(metric) * (1.0 + 0.02 * Dice::new(seed | metric as u64).normal().min(1.0));
        let place = at.node * 8 + u64::from(at.gpu);
        if place.is_multiple_of(ill) && metric == PeerMetric::Clock { well / 2.0 } else { well }
    });
    (job, windows, now)
}

/// One job on 1000 nodes, everything at once.
#[divan::bench(args = [8000, 4], sample_count = 20)]
fn one_job_on_1000_nodes_with_one_ill_of(bencher: Bencher<'_, '_>, ill: u64) {
    let (job, windows, now) = fleet(1000, ill);
    bencher.bench_local(|| search(&job.policy, &windows, now));
}

/// The longest step of that: one metric of 8000 GPUs.
#[divan::bench(sample_count = 20)]
fn one_step_of_8000_gpus(bencher: Bencher<'_, '_>) {
    let (job, windows, now) = fleet(1000, 8000);
    let group = groups(&job.policy, windows.iter().map(|it| (*it.0, it.1))).swap_remove(0);
    let mut scratch = Scratch::default();
    bencher
        .with_inputs(|| GroupSearch::new(group.clone(), now))
        .bench_local_refs(|it| it.step(&job.policy, |node| windows.get(&node), &mut scratch));
}

/// Who does the same work, of 1000 nodes.
#[divan::bench(sample_count = 20)]
fn grouping_1000_nodes(bencher: Bencher<'_, '_>) {
    let (job, windows, _) = fleet(1000, 8000);
    bencher.bench_local(|| groups(&job.policy, windows.iter().map(|it| (*it.0, it.1))));
}

/// What remembering one look at a node with 8 GPUs costs.
#[divan::bench]
fn remembering_one_look(bencher: Bencher<'_, '_>) {
    let job = Job { minutes: 1, ..Job::new(1, 8) };
    let looks = job.looks(|_, metric| usual(metric));
    let mut window = PeerWindow::default();
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % looks.len();
        window.observe(&job.policy, &job.labels, &looks[turn], None);
    });
}
