//! Ansible's YAML inventories, and what `ansible-inventory --list -y` prints.

use serde_json::{Map, Value};

use super::groups::{Inventory, Variables};
use super::{InventoryError, host_range};

/// How deep groups may lie within groups.
const MAX_DEPTH: usize = 12;

/// How deep the YAML may be nested: two levels a group, and what variables hold.
const MAX_YAML_DEPTH: usize = 32;

pub(super) fn read(text: &str) -> Result<Inventory, InventoryError> {
    let values = crate::config::most_values(text);
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_YAML_DEPTH,
            max_nodes: values,
            max_events: 2 * values,
        },
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(|at| at.line());
        let message = error.without_snippet().to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        InventoryError { line, problem: format!("this is not valid YAML: {message}") }
    })?;
    let Value::Object(groups) = value else {
        return Err(InventoryError::whole(
            "this is not an inventory: write `all:` with `hosts:` or `children:`",
        ));
    };
    if groups.contains_key("_meta") {
        return Err(InventoryError::whole(
            "this is what `ansible-inventory --list` prints; add `-y`, and import that",
        ));
    }
    let mut inventory = Inventory::default();
    for (name, group) in &groups {
        read_group(&mut inventory, name, group, 0)?;
    }
    Ok(inventory)
}

fn read_group(
    inventory: &mut Inventory,
    name: &str,
    value: &Value,
    depth: usize,
) -> Result<(), InventoryError> {
    let fail = |what: &str| InventoryError::whole(format!("the group {name:?} {what}"));
    if depth > MAX_DEPTH {
        return Err(fail("lies too deep within others"));
    }
    inventory.group(name);
    let Some(parts) = section(value).map_err(fail)? else { return Ok(()) };
    if let Some(unknown) =
        parts.keys().find(|key| !["hosts", "children", "vars"].contains(&key.as_str()))
    {
        return Err(fail(&format!(
            "has {unknown:?}; only `hosts`, `children` and `vars` are known"
        )));
    }
    let part = |key: &str| {
        let value = parts.get(key).unwrap_or(&Value::Null);
        section(value).map_err(|what| fail(&format!("has `{key}`, which {what}")))
    };
    if let Some(variables) = part("vars")? {
        inventory.group(name).variables.extend(plain(variables));
    }
    for (pattern, variables) in part("hosts")?.into_iter().flatten() {
        let variables = match section(variables) {
            Ok(variables) => variables.map(plain).unwrap_or_default(),
            Err(what) => return Err(fail(&format!("has the host {pattern:?}, which {what}"))),
        };
        let hosts = host_range::expand(pattern).map_err(InventoryError::whole)?;
        for host in hosts {
            inventory.host(&host, name, &variables).map_err(InventoryError::whole)?;
        }
    }
    for (child, value) in part("children")?.into_iter().flatten() {
        inventory.group(name).children.insert(child.clone());
        read_group(inventory, child, value, depth + 1)?;
    }
    Ok(())
}

/// A section with keys; none where nothing was written.
fn section(value: &Value) -> Result<Option<&Map<String, Value>>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        _ => Err("is not a section with keys"),
    }
}

/// The variables with plain values; lists and sections are none of ours.
fn plain(map: &Map<String, Value>) -> Variables {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    };
    map.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}
