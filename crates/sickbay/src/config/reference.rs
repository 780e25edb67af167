//! Texts made from the schema and the defaults: the commented file and the list of variables.

#[cfg(test)]
use serde_json::Value as Json;

use super::check::allowed;
use super::environment_overlay::{OTHER_VARIABLES, VARIABLES};
use super::raw::RawConfig;
#[cfg(test)]
use super::schema::Shape;
use super::schema::{Rule, schema};
use super::settings::Settings;

/// Comments are wrapped at this column.
const COMMENT_WIDTH: usize = 88;

/// A config as YAML, each field under its meaning and its range.
///
/// # Errors
/// When it cannot be written as YAML, which none of our types causes.
pub fn commented(raw: &RawConfig) -> Result<String, String> {
    let yaml = plain(raw)?;
    let schema = schema();
    let Some(root) = Rule::of(&schema) else { return Ok(yaml) };
    let mut text = String::new();
    let mut stack: Vec<(usize, String)> = Vec::new();
    for line in yaml.lines() {
        let indent = line.len() - line.trim_start().len();
        let key = line.trim_start().split_once(':').map(|(key, _)| key);
        while stack.last().is_some_and(|(depth, _)| *depth >= indent) {
            stack.pop();
        }
        let path = |key: &str| {
            let parents = stack.iter().map(|(_, key)| key.as_str());
            parents.chain([key]).collect::<Vec<_>>().join(".")
        };
        let rule = key.filter(|key| !key.starts_with('-')).and_then(|key| root.at(&path(key)));
        if let (Some(key), Some(rule)) = (key, rule) {
            if indent == 0 && !text.is_empty() {
                text.push('\n');
            }
            push_comment(&mut text, indent, rule);
            stack.push((indent, key.to_owned()));
        }
        text.push_str(line);
        text.push('\n');
    }
    Ok(text)
}

/// A config as YAML.
///
/// # Errors
/// When it cannot be written as YAML, which none of our types causes.
fn plain(raw: &RawConfig) -> Result<String, String> {
    serde_saphyr::to_string(raw).map_err(|error| error.to_string())
}

fn push_comment(text: &mut String, indent: usize, rule: Rule<'_>) {
    let mut comment = rule.description().to_owned();
    let range = rule.range() != (None, None) || rule.text_range() != (None, None);
    if range || (!rule.words().is_empty() && !mentions_all(&comment, &rule.words())) {
        comment.push_str(&format!(" Allowed: {}.", allowed(rule)));
    }
    let margin = " ".repeat(indent);
    for line in crate::cli::wrap(&comment, COMMENT_WIDTH - indent) {
        text.push_str(&format!("{margin}# {line}\n"));
    }
}

fn mentions_all(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| text.contains(&format!("`{word}`")))
}

/// The file that `config init` writes: every field with its default, commented out, so that a later
/// version's better default takes effect.
///
/// # Errors
/// When it cannot be written as YAML, which none of our types causes.
pub fn starter_file(defaults: &Settings) -> Result<String, String> {
    let mut text = String::from(
        "# Sickbay's configuration. Every field is optional; what is commented out shows its default.\n\
         # `sickbay config check` looks for mistakes; a running hub takes over changes by itself.\n\n",
    );
    let mut raw = super::show(defaults);
    // Where data lies depends on who runs it.
    raw.data_dir = None;
    for line in commented(&raw)?.lines() {
        let written = match line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            true => line.to_owned(),
            false => format!("#{line}"),
        };
        text.push_str(written.trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// Every environment variable with its field and meaning, aligned.
#[must_use]
pub fn variables_reference() -> String {
    let schema = schema();
    let mut text = String::new();
    for variable in VARIABLES {
        let (path, port) = match variable.path.split_once(':') {
            Some((path, _)) => (path, true),
            None => (variable.path, false),
        };
        let meaning = Rule::of(&schema).and_then(|root| root.at(path)).map(Rule::description);
        let part = if port { " (the port alone)" } else { "" };
        text.push_str(&format!("{}\n    {path}{part}: {}\n", variable.name, meaning.unwrap_or("")));
    }
    for name in OTHER_VARIABLES {
        text.push_str(&format!("{name}\n    read by the command line, not a field of the file\n"));
    }
    text
}

/// Every field of the schema with its rule, in order; used to see that each is documented.
#[cfg(test)]
pub(super) fn fields(schema: &Json) -> Vec<(String, String)> {
    fn walk(rule: Rule<'_>, path: &str, fields: &mut Vec<(String, String)>) {
        for key in rule.keys() {
            let Some(child) = rule.property(key) else { continue };
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            fields.push((path.clone(), child.description().to_owned()));
            match child.shape() {
                Shape::Section => walk(child, &path, fields),
                Shape::List => {
                    if let Some(items) = child.items() {
                        walk(items, &format!("{path}.0"), fields);
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    if let Some(root) = Rule::of(schema) {
        walk(root, "", &mut found);
    }
    found
}
