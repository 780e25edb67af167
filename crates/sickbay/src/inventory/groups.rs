//! Groups, hosts and their variables, and the nodes that they mean.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sickbay_model::{MAX_LABELS, MAX_NODES, NodeOrigin, label_value_problem, sanitize_name};
use sickbay_wire::v1::NodeSpec;

use super::{Imported, InventoryError, MAX_REMARKS};

/// How deep groups may lie within groups.
const MAX_DEPTH: usize = 32;

/// Groups that say nothing about their members.
const EVERYONE: [&str; 2] = ["all", "ungrouped"];

/// The label with the group that a host is listed in first, and the beginning of those for each
/// group that it is in.
const GROUP_LABEL: &str = "ansible_group";

/// Variables by name. Of those, what is not a plain value is left out.
pub(super) type Variables = BTreeMap<String, String>;

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Variables of its members.
    pub(super) variables: Variables,
    /// Groups within it.
    pub(super) children: BTreeSet<String>,
}

/// A host.
#[derive(Debug, Default)]
struct Host {
    variables: Variables,
    /// Groups that list it, in their order.
    groups: Vec<String>,
}

/// An inventory as it was read.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    groups: BTreeMap<String, Group>,
    hosts: HashMap<String, Host>,
    order: Vec<String>,
}

impl Inventory {
    /// A group, made if it was not known.
    pub(super) fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.to_owned()).or_default()
    }

    /// A host listed in a group.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn host(
        &mut self,
        name: &str,
        group: &str,
        variables: &Variables,
    ) -> Result<(), String> {
        if !self.hosts.contains_key(name) {
            if self.order.len() >= MAX_NODES {
                return Err(format!("there are more than {MAX_NODES} hosts"));
            }
            self.order.push(name.to_owned());
        }
        let host = self.hosts.entry(name.to_owned()).or_default();
        if !host.groups.iter().any(|listed| listed == group) {
            host.groups.push(group.to_owned());
        }
        host.variables.extend(variables.clone());
        self.groups.entry(group.to_owned()).or_default();
        Ok(())
    }

    /// The nodes that it means.
    pub(super) fn nodes(&self, only: Option<&str>) -> Result<Imported, InventoryError> {
        if let Some(only) = only
            && !EVERYONE.contains(&only)
            && !self.groups.contains_key(only)
        {
            let names: Vec<_> =
                self.groups.keys().map(String::as_str).filter(|n| !EVERYONE.contains(n)).collect();
            let near = crate::config::nearest(only, names.iter().copied());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(InventoryError::whole(format!("there is no group {only:?}{hint}")));
        }
        let above = self.above();
        let mut imported = Imported::default();
        let mut unsaid = 0;
        for name in &self.order {
            let Some(host) = self.hosts.get(name) else { continue };
            let memberships = memberships(host, &above);
            if only.is_some_and(|only| only != "all" && !memberships.contains_key(only)) {
                continue;
            }
            let mut remarks = Vec::new();
            let node = self.node(name, host, &memberships, &mut remarks);
            imported.nodes.extend(node);
            for remark in remarks {
                if imported.remarks.len() < MAX_REMARKS {
                    imported.remarks.push(remark);
                } else {
                    unsaid += 1;
                }
            }
        }
        if unsaid > 0 {
            imported.remarks.push(format!("and {unsaid} more remarks"));
        }
        Ok(imported)
    }

    /// The groups that each group lies in, directly.
    fn above(&self) -> HashMap<&str, Vec<&str>> {
        let mut above: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, group) in &self.groups {
            for child in &group.children {
                above.entry(child).or_default().push(name);
            }
        }
        above
    }

    fn node(
        &self,
        name: &str,
        host: &Host,
        memberships: &BTreeMap<&str, usize>,
        remarks: &mut Vec<String>,
    ) -> Option<NodeSpec> {
        let (templates, variables): (Variables, Variables) =
            self.variables(host, memberships).into_iter().partition(|(_, v)| v.contains("{{"));
        for (key, value) in &templates {
            if key.starts_with("ansible_") {
                let remark = format!("{name}: {key} is a template ({value}), which is not taken");
                remarks.push(remark);
            }
        }
        let of = |names: &[&str]| names.iter().find_map(|name| variables.get(*name)).cloned();
        if of(&["ansible_connection"]).is_some_and(|how| {
            !["ssh", "smart", "paramiko", "paramiko_ssh"].contains(&how.as_str())
        }) {
            remarks.push(format!("{name} is not reached over SSH (ansible_connection): left out"));
            return None;
        }
        let address = of(&["ansible_host", "ansible_ssh_host"]);
        let user = of(&["ansible_user", "ansible_ssh_user"]);
        let port = of(&["ansible_port", "ansible_ssh_port"]);
        let identity_file = of(&["ansible_ssh_private_key_file", "ansible_private_key_file"]);
        let mut jump = None;
        for options in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
            let Some(options) = of(&[options]) else { continue };
            jump = jump.or_else(|| jump_of(&options));
            if jump.is_none() && options.contains("ProxyCommand") {
                remarks.push(format!(
                    "{name}: ProxyCommand is not run; name the jump host: `-J HOST`"
                ));
            }
        }
        if variables.keys().any(|key| key.ends_with("password") || key.ends_with("_pass")) {
            remarks.push(format!("{name}: a password is never taken; Sickbay signs in with keys"));
        }
        let port = port.and_then(|text| match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => {
                remarks.push(format!("{name}: {text:?} is not a port, which is not taken"));
                None
            }
        });
        let spec = NodeSpec {
            name: sanitize_name(name.as_bytes()),
            host: Some(address.unwrap_or_else(|| name.to_owned())),
            port,
            user,
            identity_file: identity_file.filter(|file| !file.is_empty()),
            proxy_jump: jump,
            labels: labels(host, memberships),
            ..NodeSpec::default()
        };
        let mistakes = spec.clone().into_definition(NodeOrigin::Added).mistakes();
        match mistakes.first() {
            None => Some(spec),
            Some(mistake) => {
                remarks.push(format!("{name:?} is left out: {mistake}"));
                None
            }
        }
    }

    /// A host's variables: its own count most, then those of the innermost groups.
    fn variables(&self, host: &Host, memberships: &BTreeMap<&str, usize>) -> Variables {
        let mut outer_first: Vec<_> =
            memberships.iter().map(|(name, distance)| (*distance, *name)).collect();
        outer_first.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut variables = Variables::new();
        let all = self.groups.get("all");
        variables.extend(all.into_iter().flat_map(|group| group.variables.clone()));
        for (_, name) in outer_first {
            let group = self.groups.get(name).filter(|_| name != "all");
            variables.extend(group.into_iter().flat_map(|group| group.variables.clone()));
        }
        variables.extend(host.variables.clone());
        variables
    }
}

/// Every group that a host is in, with how many steps up it is. Rings of groups do no harm.
fn memberships<'a>(
    host: &'a Host,
    above: &HashMap<&'a str, Vec<&'a str>>,
) -> BTreeMap<&'a str, usize> {
    let mut found = BTreeMap::new();
    let mut level: Vec<&str> = host.groups.iter().map(String::as_str).collect();
    for distance in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for group in level {
            if found.insert(group, distance).is_none() {
                next.extend(above.get(group).into_iter().flatten().copied());
            }
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    found
}

fn labels(host: &Host, memberships: &BTreeMap<&str, usize>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let named = |group: &&str| !EVERYONE.contains(group);
    let first = host.groups.iter().map(String::as_str).find(named);
    if let Some(first) = first.filter(|first| label_value_problem(first).is_none()) {
        labels.insert(GROUP_LABEL.to_owned(), first.to_owned());
    }
    // The nearest first, should there be more than a node may have.
    let mut nearest: Vec<_> =
        memberships.iter().map(|(group, distance)| (*distance, *group)).collect();
    nearest.sort_unstable();
    for group in nearest.into_iter().map(|(_, group)| group).filter(|group| named(group)) {
        let key: String = group
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' })
            .take(63 - GROUP_LABEL.len() - 1)
            .collect();
        if labels.len() < MAX_LABELS {
            labels.insert(format!("{GROUP_LABEL}.{key}"), "yes".to_owned());
        }
    }
    labels
}

/// The jump hosts of `-J HOST` or `-o ProxyJump=HOST` among options of `ssh`.
fn jump_of(options: &str) -> Option<String> {
    let options = options.replace(['"', '\''], "");
    let mut words = options.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if word == "-J" {
            return words.next().map(str::to_owned);
        }
        if let Some(jump) = word.strip_prefix("-J") {
            return Some(jump.to_owned());
        }
        let option = match word.strip_prefix("-o") {
            Some("") => words.peek().copied().unwrap_or(""),
            Some(option) => option,
            None => continue,
        };
        if let Some((key, jump)) = option.split_once('=')
            && key.eq_ignore_ascii_case("ProxyJump")
        {
            return Some(jump.to_owned());
        }
    }
    None
}
