use super::*;

fn status(letter: char) -> Status {
    match letter {
        'h' => Status::Healthy,
        'd' => Status::Degraded,
        '?' => Status::Unknown,
        'u' => Status::Unhealthy,
        _ => Status::Critical,
    }
}

fn letter(status: Status) -> char {
    match status {
        Status::Healthy => 'h',
        Status::Degraded => 'd',
        Status::Unknown => '?',
        Status::Unhealthy => 'u',
        Status::Critical => 'c',
    }
}

fn hard_after(results: &str, evidence: bool) -> String {
    let policy = StatePolicy::default();
    let mut memory = StateMemory::default();
    results
        .chars()
        .map(|result| {
            memory.push(&policy, status(result), evidence && result == 'c');
            letter(memory.hard())
        })
        .collect()
}

#[test]
fn every_severity_is_its_own_status_again() {
    for letter in "hd?uc".chars() {
        assert_eq!(status_of(status(letter).severity()), status(letter));
    }
    assert_eq!(status_of(7), Status::Unknown);
}

#[test]
fn findings_are_confirmed_and_cleared() {
    for (results, hard) in [
        ("hcchccc", "hhhhhhc"),
        // Three bad ones of different badness: hard at the mildest.
        ("cdc", "hhd"),
        ("dddc", "hhdd"),
        ("dddccc", "hhdddc"),
        // Recovery takes two.
        ("ccchchh", "hhcccch"),
        // A step down is confirmed too.
        ("cccddd", "hhccdd"),
        // Unknown after critical stays as bad as it was.
        ("ccc???", "hhcccc"),
        // Unknown from the start, and back.
        ("???h", "hh?h"),
        ("h???dd", "hhh?dd"),
        // Critical once, then silence: confirmed, as nothing says otherwise.
        ("c??", "hhc"),
    ] {
        assert_eq!(hard_after(results, false), hard, "{results}");
    }
    assert_eq!(hard_after("hchh", true), "hcch");
}

#[test]
fn a_way_that_loses_results_is_believed_later() {
    let policy = StatePolicy::default();
    for (results, hard) in [
        // A clean past: after three.
        ("hhccc", "hhhhc"),
        // One lost result before: after four. Two: after five.
        ("hchcccc", "hhhhhhc"),
        ("hchchccccc", "hhhhhhhhhc"),
        // Never after more than six.
        ("chchchchchcccccc", "hhhhhhhhhhhhhhhc"),
        // Recovery takes two.
        ("cccchch", "hhccccc"),
        ("ccchh", "hhcch"),
    ] {
        let mut memory = StateMemory::default();
        let got: String = results
            .chars()
            .map(|result| {
                memory.push_doubted(&policy, status(result));
                letter(memory.hard())
            })
            .collect();
        assert_eq!(got, hard, "{results}");
    }
    let single = StatePolicy { confirm: 1, ..StatePolicy::default() };
    let mut memory = StateMemory::default();
    memory.push_doubted(&single, Status::Critical);
    assert_eq!(memory.hard(), Status::Critical);
}

#[test]
fn lost_results_do_not_flap_and_outages_do() {
    let policy = StatePolicy::default();
    for (pattern, flaps) in [
        // One in six, one in three: a lossy way.
        ("chhhhh", false),
        ("chh", false),
        // Every other one is more than that.
        ("ch", true),
        ("cch", true),
        ("cchh", true),
        // Short outages.
        ("ccchh", true),
        ("cccchh", true),
        ("cccccchhhhhh", false),
        // Down is down.
        ("c", false),
    ] {
        let mut memory = StateMemory::default();
        let mut flapped = false;
        for result in pattern.chars().cycle().take(120) {
            memory.push_doubted(&policy, status(result));
            memory.update_flapping_doubted(&policy);
            flapped |= memory.is_flapping();
        }
        assert_eq!(flapped, flaps, "{pattern}");
        for _ in 0..20 {
            memory.push_doubted(&policy, Status::Healthy);
            memory.update_flapping_doubted(&policy);
        }
        assert!(!memory.is_flapping() && memory.hard() == Status::Healthy, "{pattern}");
    }
}

#[test]
fn what_is_forgiven_was_never_there() {
    let policy = StatePolicy::default();
    for (results, after) in [("hhcc", "hcc"), ("hchcc", "hcc"), ("cc", "hcc")] {
        let mut memory = StateMemory::default();
        for result in results.chars() {
            memory.push(&policy, status(result), false);
        }
        memory.forgive();
        for result in after.chars() {
            memory.push(&policy, status(result), false);
        }
        assert_eq!(memory.hard(), Status::Healthy, "{results} then {after}");
    }
    let mut memory = StateMemory::default();
    (0..3).for_each(|_| memory.push(&policy, Status::Critical, false));
    memory.forgive();
    assert_eq!(memory.hard(), Status::Critical, "what is confirmed stays");
}

#[test]
fn flapping_starts_above_30_and_ends_below_25_percent() {
    let policy = StatePolicy::default();
    let mut memory = StateMemory::default();
    let mut flapping_at = None;
    for step in 0..20 {
        let result = if step % 2 == 0 { Status::Critical } else { Status::Healthy };
        memory.push(&policy, result, false);
        memory.update_flapping(&policy);
        if memory.is_flapping() && flapping_at.is_none() {
            flapping_at = Some(step);
        }
    }
    assert_eq!(flapping_at, Some(5), "six changes of 19");
    assert_eq!(memory.hard(), Status::Healthy, "never three in a row");
    assert_eq!(memory.confirmed(), Status::Degraded);
    let mut quiet = 0;
    while memory.is_flapping() {
        memory.push(&policy, Status::Healthy, false);
        memory.update_flapping(&policy);
        quiet += 1;
    }
    assert!((12..=16).contains(&quiet), "{quiet} quiet results");
    assert_eq!(memory.confirmed(), Status::Healthy);
}

#[test]
fn all_changes_weigh_about_one() {
    let policy = StatePolicy::default();
    let mut memory = StateMemory::default();
    for step in 0..40 {
        memory.push(&policy, if step % 2 == 0 { Status::Degraded } else { Status::Healthy }, false);
    }
    assert!((memory.changed_percent(&policy) - 97.5).abs() < 1e-9);
}
