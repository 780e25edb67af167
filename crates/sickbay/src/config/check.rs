//! Holds a tree against the schema and reports everything that is wrong, not just the first thing.
//!
//! What is wrong is also taken out of the tree, so that what remains can be built and checked for
//! mistakes between fields in the same run.

use super::mistake::Mistake;
use super::schema::{Rule, Shape};
use super::tree::{Entry, Origin, Tree, Value};
use super::units::{DURATION_FORM, DurationText, SIZE_FORM, SizeText, TargetText, UrlText};

/// The shortest token that is accepted.
pub(super) const MIN_SECRET_BYTES: usize = 8;

/// Checks a tree; returns the mistakes and leaves what is right.
pub(super) fn check(tree: &mut Tree, rule: Rule<'_>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    check_value(tree, rule, "", &mut mistakes);
    mistakes
}

/// Takes out what stands where a section should be.
pub(super) fn check_sections(tree: &mut Tree, rule: Rule<'_>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    check_shape(tree, rule, "", &mut mistakes);
    mistakes
}

fn check_shape(tree: &mut Tree, rule: Rule<'_>, path: &str, mistakes: &mut Vec<Mistake>) {
    if rule.shape() != Shape::Section {
        return;
    }
    let Value::Map(entries) = &mut tree.value else {
        check_value(tree, rule, path, mistakes);
        tree.value = Value::Null;
        return;
    };
    for entry in entries {
        if let Some(rule) = rule.property(&entry.key) {
            let path =
                if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            check_shape(&mut entry.value, rule, &path, mistakes);
        }
    }
}

/// Checks one value; returns whether it may stay.
fn check_value(tree: &mut Tree, rule: Rule<'_>, path: &str, mistakes: &mut Vec<Mistake>) -> bool {
    if tree.value == Value::Null {
        return true;
    }
    let rule = match tree.value {
        Value::Map(_) => rule.or_section().unwrap_or(rule),
        _ => rule,
    };
    let before = mistakes.len();
    match (rule.shape(), &mut tree.value) {
        (Shape::Section, Value::Map(entries)) => {
            check_section(entries, &tree.origin, rule, path, mistakes);
            // Bad keys were taken out; the section itself stays, unless it is an item of a list
            // that lacks something.
            return !mistakes.iter().skip(before).any(|mistake| mistake.path == path);
        }
        (Shape::List, Value::List(items)) => {
            check_list(items, &tree.origin, rule, path, mistakes);
            return true;
        }
        (Shape::Text, Value::Text(text)) => {
            let problem = check_text(text, rule);
            mistakes.extend(problem.map(|problem| problem.at(&tree.origin, path)));
        }
        (Shape::Switch, Value::Bool(_)) => {}
        (Shape::Integer, Value::Integer(number)) => {
            #[expect(clippy::cast_precision_loss, reason = "compared with small bounds")]
            let number = *number as f64;
            let problem = check_range(number, rule);
            mistakes.extend(problem.map(|problem| problem.at(&tree.origin, path)));
        }
        (Shape::Number, Value::Integer(_) | Value::Number(_)) => {
            #[expect(clippy::cast_precision_loss, reason = "compared with small bounds")]
            let number = match tree.value {
                Value::Integer(number) => number as f64,
                Value::Number(number) => number,
                _ => f64::NAN,
            };
            let problem = check_range(number, rule);
            mistakes.extend(problem.map(|problem| problem.at(&tree.origin, path)));
        }
        (_, value) => {
            let secret = rule.format() == "secret";
            let found = if secret { "not a text".to_owned() } else { value.describe() };
            let mistake = Mistake::new(
                tree.origin.clone(),
                path,
                format!("{} is {found}, which is not {}", name(path), article(rule)),
            );
            let scalar = matches!(value, Value::Integer(_) | Value::Number(_) | Value::Bool(_));
            let quoted = scalar && rule.shape() == Shape::Text && rule.format().is_empty();
            mistakes.push(match quoted && rule.words().is_empty() {
                true => mistake.allowing(format!("a text; in quotes it is one: \"{found}\"")),
                false => mistake.allowing(allowed(rule)),
            });
        }
    }
    mistakes.len() == before
}

fn check_section(
    entries: &mut Vec<Entry>,
    origin: &Origin,
    rule: Rule<'_>,
    path: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let mut seen: Vec<String> = Vec::new();
    entries.retain_mut(|entry| {
        let child =
            if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        let Some(child_rule) = rule.property(&entry.key) else {
            mistakes.push(unknown_key(entry, rule, path, &child));
            return false;
        };
        if seen.contains(&entry.key) {
            let problem = format!("`{child}` stands here a second time; keep one of the two");
            mistakes.push(Mistake::new(entry.key_origin.clone(), child, problem));
            return false;
        }
        seen.push(entry.key.clone());
        check_value(&mut entry.value, child_rule, &child, mistakes)
    });
    for key in rule.required().filter(|key| !seen.iter().any(|seen| seen == key)) {
        let problem = format!("`{key}` is missing in {}", name(path));
        mistakes.push(Mistake::new(origin.clone(), path, problem));
    }
}

fn unknown_key(entry: &Entry, rule: Rule<'_>, path: &str, child: &str) -> Mistake {
    let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    let keys: Vec<_> = rule.keys().collect();
    let mistake = Mistake::new(
        entry.key_origin.clone(),
        child,
        format!("`{}` is not a field{place}", printable(&entry.key)),
    )
    .near(&entry.key, keys.iter().copied());
    // With a good guess the list of all names is noise.
    if mistake.nearest.is_some() { mistake } else { mistake.allowing(keys.join(", ")) }
}

fn check_list(
    items: &mut Vec<Tree>,
    origin: &Origin,
    rule: Rule<'_>,
    path: &str,
    mistakes: &mut Vec<Mistake>,
) {
    if let Some(limit) = rule.max_items()
        && items.len() as u64 > limit
    {
        let problem =
            format!("{} has {} items; at most {limit} are allowed", name(path), items.len());
        mistakes.push(Mistake::new(origin.clone(), path, problem));
        items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    let Some(item_rule) = rule.items() else { return };
    let mut place = 0;
    items.retain_mut(|item| {
        let child = format!("{path}.{place}");
        place += 1;
        check_value(item, item_rule, &child, mistakes)
    });
}

/// A mistake without a place.
struct Problem {
    /// `{}` stands for the field.
    text: String,
    allowed: Option<String>,
    nearest: Option<String>,
}

impl Problem {
    fn at(self, origin: &Origin, path: &str) -> Mistake {
        Mistake {
            origin: origin.clone(),
            path: path.to_owned(),
            problem: format!("{} {}", name(path), self.text),
            allowed: self.allowed,
            nearest: self.nearest,
        }
    }
}

fn check_text(text: &str, rule: Rule<'_>) -> Option<Problem> {
    let shown = Value::Text(text.to_owned()).describe();
    let words = rule.words();
    if !words.is_empty() && !words.contains(&text) {
        let nearest = super::mistake::nearest(text, words.iter().copied()).map(str::to_owned);
        let text = format!("is {shown}");
        return Some(Problem { text, allowed: Some(allowed(rule)), nearest });
    }
    let outcome = match rule.format() {
        "duration" => check_quantity::<DurationText>(text, rule),
        "size" => check_quantity::<SizeText>(text, rule),
        "socket-address" => text.parse::<std::net::SocketAddr>().map(drop).map_err(|_| Vec::new()),
        "latency-target" => text.parse::<TargetText>().map(drop).map_err(|_| Vec::new()),
        "url" => text.parse::<UrlText>().map(drop).map_err(|_| Vec::new()),
        // The text itself must not be repeated in a message.
        "secret" if text.len() < MIN_SECRET_BYTES => {
            return Some(Problem {
                text: "is too short to protect anything".to_owned(),
                allowed: Some(format!("at least {MIN_SECRET_BYTES} characters")),
                nearest: None,
            });
        }
        _ if text.is_empty() => Err(Vec::new()),
        _ => Ok(()),
    };
    outcome.err().map(|bounds: Vec<String>| Problem {
        text: match bounds.is_empty() {
            true => format!("is {shown}, which is not {}", article(rule)),
            false => format!("is {shown}, which is out of range"),
        },
        allowed: Some(allowed(rule)),
        nearest: None,
    })
}

/// Parses a quantity and holds it against the rule's bounds. The error lists the bounds broken;
/// empty when it did not parse.
fn check_quantity<T: std::str::FromStr + PartialOrd>(
    text: &str,
    rule: Rule<'_>,
) -> Result<(), Vec<String>> {
    let value: T = text.parse().map_err(|_| Vec::new())?;
    let (low, high) = rule.text_range();
    let bound = |text: Option<&str>| text.and_then(|text| text.parse::<T>().ok());
    let broken: Vec<String> = [
        low.filter(|_| bound(low).is_some_and(|low| value < low)).map(str::to_owned),
        high.filter(|_| bound(high).is_some_and(|high| value > high)).map(str::to_owned),
    ]
    .into_iter()
    .flatten()
    .collect();
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

fn check_range(number: f64, rule: Rule<'_>) -> Option<Problem> {
    let (low, high) = rule.range();
    let within = low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high);
    (!within || !number.is_finite()).then(|| Problem {
        text: format!("is {number}, which is out of range"),
        allowed: Some(allowed(rule)),
        nearest: None,
    })
}

fn name(path: &str) -> String {
    if path.is_empty() { "the config".to_owned() } else { format!("`{}`", printable(path)) }
}

fn printable(text: &str) -> String {
    text.chars().take(80).flat_map(|c| c.escape_debug()).collect()
}

fn article(rule: Rule<'_>) -> &'static str {
    match (rule.shape(), rule.format()) {
        (Shape::Section, _) => "a section",
        (Shape::List, _) => "a list",
        (Shape::Number, _) => "a number",
        (Shape::Integer, _) => "a whole number",
        (Shape::Switch, _) => "a switch",
        (Shape::Text, "duration") => "a duration",
        (Shape::Text, "size") => "a size",
        (Shape::Text, "socket-address") => "an address",
        (Shape::Text, "latency-target") => "a target",
        (Shape::Text, "url") => "a web address",
        (Shape::Text, _) => "a text",
    }
}

/// What a field may be, in words; also used by the reference.
#[must_use]
pub(super) fn allowed(rule: Rule<'_>) -> String {
    let words = rule.words();
    if !words.is_empty() {
        let section = rule.or_section().map(|section| format!(", or {}", allowed(section)));
        return words.join(", ") + &section.unwrap_or_default();
    }
    let span = |low: Option<String>, high: Option<String>| match (low, high) {
        (Some(low), Some(high)) => format!(", from {low} to {high}"),
        (Some(low), None) => format!(", at least {low}"),
        (None, Some(high)) => format!(", at most {high}"),
        (None, None) => String::new(),
    };
    let numbers = span(
        rule.range().0.map(|bound| bound.to_string()),
        rule.range().1.map(|bound| bound.to_string()),
    );
    let texts =
        span(rule.text_range().0.map(str::to_owned), rule.text_range().1.map(str::to_owned));
    match (rule.shape(), rule.format()) {
        (Shape::Section, _) if rule.free_keys().is_some() => {
            "keys of your own, each with a text; a number goes in quotes".to_owned()
        }
        (Shape::Section, _) => format!("keys: {}", rule.keys().collect::<Vec<_>>().join(", ")),
        (Shape::List, _) => match rule.items() {
            Some(items) => format!("a list; each item: {}", allowed(items)),
            None => "a list".to_owned(),
        },
        (Shape::Number, _) => format!("a number{numbers}"),
        (Shape::Integer, _) => format!("a whole number{numbers}"),
        (Shape::Switch, _) => "true, false".to_owned(),
        (Shape::Text, "duration") if texts.is_empty() => DURATION_FORM.to_owned(),
        (Shape::Text, "size") if texts.is_empty() => SIZE_FORM.to_owned(),
        (Shape::Text, "duration") => format!("a duration such as 15s, 5m, 1h or 7d{texts}"),
        (Shape::Text, "size") => format!("a size such as 512MiB or 10GB{texts}"),
        (Shape::Text, "socket-address") => {
            "ADDRESS:PORT, such as 127.0.0.1:8790, 0.0.0.0:8790 or [::1]:8790".to_owned()
        }
        (Shape::Text, "latency-target") => "HOST, HOST:PORT, icmp:HOST or tcp:HOST:PORT".to_owned(),
        (Shape::Text, "url") => "an address that begins with http:// or https://".to_owned(),
        (Shape::Text, _) => "a text".to_owned(),
    }
}
