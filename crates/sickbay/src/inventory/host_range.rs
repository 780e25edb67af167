//! Ansible's host patterns: `web[01:10]`, `db-[a:f].example`, `gpu[00:30:10]`.

use sickbay_model::MAX_NODES;

/// Every host that a pattern stands for, at most [`MAX_NODES`].
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut hosts = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('[') {
        let (before, after) = rest.split_at(open);
        let Some((inside, tail)) = after.get(1..).and_then(|after| after.split_once(']')) else {
            return Err(format!("{pattern:?} has a `[` without its `]`"));
        };
        // [2001:db8::1] is an address, not a range.
        if before.is_empty() && inside.parse::<std::net::Ipv6Addr>().is_ok() {
            hosts = vec![inside.to_owned()];
            rest = tail;
            continue;
        }
        let items = items(inside)
            .ok_or_else(|| format!("{pattern:?}: write a range as [01:10], [a:f] or [0:100:10]"))?;
        if hosts.len().saturating_mul(items.len()) > MAX_NODES {
            return Err(format!("{pattern:?} stands for more than {MAX_NODES} hosts"));
        }
        hosts = hosts
            .iter()
            .flat_map(|head| items.iter().map(move |item| format!("{head}{before}{item}")))
            .collect();
        rest = tail;
    }
    for host in &mut hosts {
        host.push_str(rest);
    }
    Ok(hosts)
}

fn items(inside: &str) -> Option<Vec<String>> {
    let parts: Vec<&str> = inside.split(':').collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, 1),
        [first, last, step] => (first, last, step.parse::<usize>().ok().filter(|step| *step > 0)?),
        _ => return None,
    };
    let letter = |text: &str| {
        let mut chars = text.chars();
        chars.next().filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
    };
    if let (Some(first), Some(last)) = (letter(first), letter(last)) {
        let items: Vec<_> = (first..=last).step_by(step).map(String::from).collect();
        return (!items.is_empty()).then_some(items);
    }
    let number = |text: &str| -> Option<u32> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    };
    let start = if first.is_empty() { 0 } else { number(first)? };
    let end = number(last)?;
    if end < start || (end - start) as usize / step >= MAX_NODES {
        return None;
    }
    // `[01:10]`: as wide as it was written.
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    Some((start..=end).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, hosts) in [
            ("web", vec!["web"]),
            ("web[1:3]", vec!["web1", "web2", "web3"]),
            ("web[08:10].example", vec!["web08.example", "web09.example", "web10.example"]),
            ("db-[a:c]", vec!["db-a", "db-b", "db-c"]),
            ("g[0:4:2]", vec!["g0", "g2", "g4"]),
            ("r[1:2]-n[1:2]", vec!["r1-n1", "r1-n2", "r2-n1", "r2-n2"]),
            ("[2001:db8::1]", vec!["2001:db8::1"]),
            ("w[:2]", vec!["w0", "w1", "w2"]),
        ] {
            assert_eq!(
                expand(pattern).as_deref(),
                Ok(&hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()[..]),
                "{pattern}"
            );
        }
        for pattern in [
            "web[",
            "web[1:",
            "web[3:1]",
            "web[a:1]",
            "web[1:2:0]",
            "web[]",
            "w[1:4294967295]",
            "w[1:2:3:4]",
            "a[1:1000]b[1:1000]",
        ] {
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }
}
