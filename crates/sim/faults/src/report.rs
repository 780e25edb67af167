//! What is printed, and `docs/accuracy.md`.

use std::fmt::Write as _;

use crate::replay::{Outcome, Verdict};
use crate::tally::{LEAST_OF_CLASS, LEAST_OVERALL, Tallies, Tally};

/// The table of all classes.
#[must_use]
pub fn table(tallies: &Tallies) -> String {
    let mut text = "| | faulty | healthy | problems | found | false alarms | precision | recall | found after (median / 95 %) | false alarms per node-day |\n|---|---|---|---|---|---|---|---|---|---|\n".to_owned();
    for (name, tally) in &tallies.classes {
        text += &row(name, tally);
    }
    for (form, tally) in &tallies.forms {
        text += &row(&format!("all, {}", form.as_str()), tally);
    }
    text += &row("**all**", &tallies.overall);
    text
}

fn row(name: &str, tally: &Tally) -> String {
    let time = |percent| {
        tally.time_to_detect(percent).map_or("–".to_owned(), |seconds| format!("{seconds} s"))
    };
    format!(
        "| {name} | {} | {} | {} | {} | {} | {:.3} | {:.3} | {} / {} | {:.2} |\n",
        tally.faulty(),
        tally.healthy(),
        tally.problems,
        tally.found,
        tally.false_alarms,
        tally.precision(),
        tally.recall(),
        time(50),
        time(95),
        tally.false_alarms_per_node_day(),
    )
}

/// Each miss and each false alarm, with what was found instead.
#[must_use]
pub fn mistakes(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let name = format!("{} ({})", outcome.scenario, outcome.form.as_str());
        let mut missed = false;
        for (problem, device, verdict) in &outcome.verdicts {
            let how = match verdict {
                Verdict::Found(_) => continue,
                Verdict::Late(after) => format!("found late, after {after} s"),
                Verdict::Missed => "missed".to_owned(),
            };
            missed = true;
            let of = if device.is_empty() { String::new() } else { format!(" of {device}") };
            let _ = writeln!(text, "- {name}: {problem:?}{of}: {how}");
        }
        if missed {
            for seen in outcome.seen.iter().filter(|seen| !seen.contains("] unknown at ")) {
                let _ = writeln!(text, "  - found instead: {seen}");
            }
        }
        for alarm in &outcome.false_alarms {
            let _ = writeln!(
                text,
                "- {name}: false alarm at {} s: {} {}",
                alarm.at, alarm.what, alarm.message
            );
        }
    }
    text
}

/// `docs/accuracy.md`.
#[must_use]
pub fn document(tallies: &Tallies, outcomes: &[Outcome]) -> String {
    let all = &tallies.overall;
    let mistakes = mistakes(outcomes);
    let mistakes = if mistakes.is_empty() { "None.\n".to_owned() } else { mistakes };
    format!(
        "# How well Sickbay finds what is wrong\n\n\
         Written by `cargo xtask faults --write`; do not edit.\n\n\
         These are the numbers **on our corpus** (`fixtures/faults/`): {faulty} stories of machines with a fault and\n\
         {healthy} of machines that only look like it, each told at the machine itself and over SSH. They say how the\n\
         product does on faults that are publicly documented. They are no promise about a fleet: real faults come in\n\
         mixtures that nobody wrote down.\n\n\
         A story's kernel lines, counters, files and answers of the GPU driver go through the real parsers, collectors\n\
         and engine with the default policy; time is given. A problem counts as *found* when a confirmed finding names\n\
         it, of the right device, bad enough, and in the time that the story allows; found too late is not found. A\n\
         confirmed finding of what is not so is a *false alarm*; one told as a consequence of a true incident is none\n\
         ({explained} of those). *Unknown* is no alarm. Precision is found / (found + false alarms), recall found /\n\
         problems. Machines are asked every 10 s unless the story says otherwise, for {days:.1} node-days altogether.\n\
         Where GPUs are NVIDIA's, the local form asks the fake NVML library by its C interface, and the SSH form reads\n\
         what `nvidia-smi` would print.\n\n\
         The goal is {LEAST_OVERALL} overall and {LEAST_OF_CLASS} in each class, in precision and recall; `cargo xtask faults` \
         and CI fail below it, and where less is reached than was reached before.\n\n\
         {table}\n\
         ## To stand beside\n\n\
         | | what was measured | numbers |\n|---|---|---|\n\
         | Minder (ByteDance) | faulty machines in production training | precision 0.904, F1 0.893, 3.6 s to react |\n\
         | a study of 504 B200 GPUs | Xid failures of a cluster | 10 of 10 seen, about 0.84 false alarms a day |\n\
         | Lifeguard (HashiCorp) | false positives of membership | more than 50 times fewer than plain SWIM |\n\n\
         Those are measured in production and ours are not; they give the size of what is usual.\n\n\
         ## What was missed, and what was said that was not so\n\n\
         {mistakes}",
        faulty = all.faulty(),
        healthy = all.healthy(),
        explained = all.explained,
        days = all.node_days(),
        table = table(tallies),
    )
}
