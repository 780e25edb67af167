//! Mistakes between the nodes of a config, and within one: names, labels, parents.

use std::collections::{HashMap, HashSet};

use sickbay_model::NodeMistake;

use super::bind::Written as _;
use super::mistake::Mistake;
use super::raw::RawNode;
use super::tree::{Origin, Tree, Value};

/// The longest way along parents that is told in full.
const MAX_WAY_SHOWN: usize = 8;

/// Every mistake in the nodes, each at its place.
pub(super) fn check(nodes: &[RawNode], tree: &Tree) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (place, node) in nodes.iter().enumerate() {
        let Some(definition) = node.read() else {
            let problem = format!("`nodes.{place}` has neither `name` nor `host`");
            let origin = origin(tree, place, "");
            mistakes.push(
                Mistake::new(origin, format!("nodes.{place}"), problem)
                    .allowing("`name: gpu-07`, or `host: 10.0.0.7`, or both"),
            );
            continue;
        };
        for mistake in definition.mistakes() {
            mistakes.push(at_its_place(&mistake, &definition.name, place, tree));
        }
        if let Some(earlier) = first.get(&definition.name) {
            let field = if node.name.is_some() { "name" } else { "host" };
            let at = match origin(tree, *earlier, field) {
                Origin::File { line, .. } => format!(" (line {line})"),
                _ => String::new(),
            };
            let problem = format!(
                "`nodes.{place}.{field}`: there is a node {:?} already{at}",
                definition.name
            );
            let path = format!("nodes.{place}.{field}");
            mistakes.push(
                Mistake::new(origin(tree, place, field), path, problem)
                    .allowing("a `name` of its own for each node"),
            );
        } else {
            first.insert(definition.name, place);
        }
    }
    mistakes.extend(check_parents(nodes, &first, tree));
    mistakes
}

fn at_its_place(mistake: &NodeMistake, name: &str, place: usize, tree: &Tree) -> Mistake {
    let NodeMistake { field, problem, allowed } = mistake;
    let path = format!("nodes.{place}.{field}");
    let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    let problem = format!("`{path}` (node {shown}) {problem}");
    Mistake::new(origin(tree, place, field), path, problem).allowing(allowed)
}

fn check_parents(nodes: &[RawNode], places: &HashMap<String, usize>, tree: &Tree) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    // Nodes of which is known that no way along parents leads from them back to them.
    let mut clear: HashSet<usize> = HashSet::new();
    for (place, node) in nodes.iter().enumerate() {
        let Some(parent) = &node.parent else { continue };
        let path = format!("nodes.{place}.parent");
        let here = origin(tree, place, "parent");
        if !places.contains_key(parent) {
            // What is no name at all was reported as such.
            if sickbay_model::name_problem(parent).is_none() {
                let problem = format!("`{path}` is {parent:?}, but there is no such node");
                mistakes.push(
                    Mistake::new(here, path, problem)
                        .near(parent, places.keys().map(String::as_str))
                        .allowing("the name of another node in `nodes`"),
                );
            }
            continue;
        }
        if let Some(way) = way_back(nodes, places, place, &mut clear) {
            let problem = format!("`{path}`: the way along parents leads back: {way}");
            mistakes.push(
                Mistake::new(here, path, problem).allowing("parents that lead to no node twice"),
            );
        }
    }
    mistakes
}

/// The way along parents from a node back to it, if there is one; told at the first of its nodes
/// only.
fn way_back(
    nodes: &[RawNode],
    places: &HashMap<String, usize>,
    start: usize,
    clear: &mut HashSet<usize>,
) -> Option<String> {
    let mut way = vec![start];
    let mut seen = HashSet::from([start]);
    let mut at = start;
    loop {
        let parent = nodes.get(at)?.parent.as_ref();
        let next = parent.and_then(|parent| places.get(parent)).copied();
        let Some(next) = next.filter(|next| !clear.contains(next)) else {
            clear.extend(way);
            return None;
        };
        if next == start {
            clear.extend(way.iter().copied());
            // A node that is its own parent was reported as such.
            return (way.len() > 1).then(|| shown(nodes, &way, start));
        }
        if !seen.insert(next) {
            // A ring that this node only leads to.
            return None;
        }
        way.push(next);
        at = next;
    }
}

fn shown(nodes: &[RawNode], way: &[usize], start: usize) -> String {
    let name = |place: usize| nodes.get(place).and_then(RawNode::shown_name).unwrap_or_default();
    let mut names: Vec<String> = way.iter().take(MAX_WAY_SHOWN).map(|&place| name(place)).collect();
    if way.len() > MAX_WAY_SHOWN {
        names.push(format!("… {} more", way.len() - MAX_WAY_SHOWN));
    }
    names.push(name(start));
    names.join(" → ")
}

/// Where a field of a node was written, or the nearest thing around it.
fn origin(tree: &Tree, place: usize, field: &str) -> Origin {
    let item = format!("nodes.{place}");
    // A label's key may hold dots.
    if let Some(key) = field.strip_prefix("labels.")
        && let Some(Value::Map(entries)) =
            tree.get(&format!("{item}.labels")).map(|labels| &labels.value)
        && let Some(entry) = entries.iter().find(|entry| entry.key == key)
    {
        return entry.key_origin.clone();
    }
    let mut path = if field.is_empty() { item } else { format!("{item}.{field}") };
    loop {
        if let Some(tree) = tree.get(&path) {
            return tree.origin.clone();
        }
        match path.rsplit_once('.') {
            Some((parent, _)) => path.truncate(parent.len()),
            None => return Origin::Default,
        }
    }
}
