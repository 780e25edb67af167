//! Ansible's INI inventories.

use super::groups::{Inventory, Variables};
use super::{InventoryError, host_range};

/// What a section holds.
enum Section {
    Hosts(String),
    Children(String),
    Variables(String),
}

pub(super) fn read(text: &str) -> Result<Inventory, InventoryError> {
    let mut inventory = Inventory::default();
    let mut section = Section::Hosts("ungrouped".to_owned());
    for (place, line) in text.lines().enumerate() {
        let number = place + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with(';') {
            continue;
        }
        let fail = |problem: String| InventoryError::at(number, problem);
        if let Some(title) = title(line) {
            section = begin(title).map_err(fail)?;
            let (Section::Hosts(name) | Section::Children(name) | Section::Variables(name)) =
                &section;
            inventory.group(name);
            continue;
        }
        match &section {
            Section::Hosts(group) => hosts(&mut inventory, group, line).map_err(fail)?,
            Section::Children(group) => {
                let child = words(line).map_err(fail)?.into_iter().next().unwrap_or_default();
                inventory.group(&child);
                inventory.group(group).children.insert(child);
            }
            Section::Variables(group) => {
                let (key, value) = line
                    .split_once('=')
                    .ok_or_else(|| fail(format!("{} has no `=`: write KEY=VALUE", shown(line))))?;
                let value = unquoted(value.trim());
                inventory.group(group).variables.insert(key.trim().to_owned(), value);
            }
        }
    }
    Ok(inventory)
}

/// `[title]` on a line of its own. A host pattern may begin with `[` too, but goes on after it.
fn title(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('[')?;
    let (title, after) = rest.split_once(']')?;
    let after = after.trim_start();
    (after.is_empty() || after.starts_with('#') || after.starts_with(';')).then_some(title.trim())
}

fn begin(title: &str) -> Result<Section, String> {
    let (name, kind) = match title.rsplit_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (title, None),
    };
    if name.is_empty() {
        return Err("a group has no name".to_owned());
    }
    let name = name.to_owned();
    match kind {
        None | Some("hosts") => Ok(Section::Hosts(name)),
        Some("children") => Ok(Section::Children(name)),
        Some("vars") => Ok(Section::Variables(name)),
        Some(other) => Err(format!(
            "{other:?} is no kind of section: write [{name}], [{name}:children] or [{name}:vars]"
        )),
    }
}

fn hosts(inventory: &mut Inventory, group: &str, line: &str) -> Result<(), String> {
    let mut words = words(line)?.into_iter();
    let Some(pattern) = words.next() else { return Ok(()) };
    let mut variables = Variables::new();
    for word in words {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| format!("{} has no `=`: write HOST KEY=VALUE …", shown(&word)))?;
        variables.insert(key.to_owned(), value.to_owned());
    }
    let (pattern, port) = split_port(&pattern);
    if let Some(port) = port {
        variables.entry("ansible_port".to_owned()).or_insert_with(|| port.to_owned());
    }
    for host in host_range::expand(pattern)? {
        inventory.host(&host, group, &variables)?;
    }
    Ok(())
}

/// Splits `HOST:PORT`; colons within `[…]` are a range's, and an address of IPv6 has several.
fn split_port(pattern: &str) -> (&str, Option<&str>) {
    let tail = pattern.rsplit_once(']').map_or(pattern, |(_, tail)| tail);
    match tail.rsplit_once(':') {
        Some((head, port))
            if !head.contains(':')
                && !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit()) =>
        {
            let host = pattern.len() - port.len() - 1;
            (pattern.get(..host).unwrap_or(pattern), Some(port))
        }
        _ => (pattern, None),
    }
}

/// The words of a line as a shell would split them; a comment ends it.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("{} has a quote without its end", shown(line)));
    }
    words.extend(word);
    Ok(words)
}

fn unquoted(text: &str) -> String {
    let quoted =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    quoted.unwrap_or(text).to_owned()
}

/// A piece of the file for a message.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}
