//! The body that a person wrote for a service that is not known here.
//!
//! Text with `{{name}}` in it, and nothing else: no conditions, no loops. What needs these is better
//! served by the webhook and a program of one's own.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What can be put into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// One line: what is wrong, on what.
    Title,
    /// All of it, in lines.
    Text,
    /// `firing` or `resolved`.
    Status,
    /// The worst severity.
    Severity,
    /// How many alerts the notice is of.
    Count,
    /// The receiver's name.
    Receiver,
    /// Where the hub is found, if that is known.
    Url,
    /// The notice's own id, the same at each try.
    Id,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Title,
        Self::Text,
        Self::Status,
        Self::Severity,
        Self::Count,
        Self::Receiver,
        Self::Url,
        Self::Id,
    ];

    /// As it is written between the braces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Text => "text",
            Self::Status => "status",
            Self::Severity => "severity",
            Self::Count => "count",
            Self::Receiver => "receiver",
            Self::Url => "url",
            Self::Id => "id",
        }
    }
}

/// A body with places in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Template {
    #[serde(rename = "template")]
    source: String,
    #[serde(skip)]
    pieces: Vec<Piece>,
    json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateMistake {
    /// A place that does not end.
    #[error("`{{{{` without `}}}}`")]
    Open,
    /// Nothing is called so.
    #[error("there is no `{0}`; there are {known}", known = known())]
    Unknown(String),
    /// Longer than [`Template::MAX_BYTES`].
    #[error("it is longer than {} bytes", Template::MAX_BYTES)]
    TooLong,
    /// It says that it is JSON and is not, whatever is put into it.
    #[error("it is no JSON once it is filled in (places belong within quotes): {0}")]
    Json(String),
}

fn known() -> String {
    Field::ALL.map(Field::as_str).join(", ")
}

impl Template {
    /// The longest template, in bytes.
    pub const MAX_BYTES: usize = 64 << 10;

    /// Text with places. In JSON, what is put in is escaped for the inside of a string.
    ///
    /// # Errors
    /// If a place does not end or has no known name, or the whole is no JSON although it should be.
    pub fn new(text: &str, json: bool) -> Result<Self, TemplateMistake> {
        if text.len() > Self::MAX_BYTES {
            return Err(TemplateMistake::TooLong);
        }
        let template = Self { source: text.to_owned(), pieces: pieces(text)?, json };
        if json {
            let sample = template.fill(|_| "0\"\n".to_owned());
            serde_json::from_str::<serde::de::IgnoredAny>(&sample)
                .map_err(|error| TemplateMistake::Json(error.to_string()))?;
        }
        Ok(template)
    }

    /// Whether what comes out is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The body with its places filled.
    #[must_use]
    pub fn fill(&self, value: impl Fn(Field) -> String) -> String {
        let mut body = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => body.push_str(text),
                Piece::Field(field) if self.json => body.push_str(&escaped(&value(*field))),
                Piece::Field(field) => body.push_str(&value(*field)),
            }
        }
        body
    }
}

/// As within the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn pieces(mut text: &str) -> Result<Vec<Piece>, TemplateMistake> {
    let mut pieces = Vec::new();
    while let Some((before, after)) = text.split_once("{{") {
        let (name, rest) = after.split_once("}}").ok_or(TemplateMistake::Open)?;
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Field(name.trim().parse()?));
        text = rest;
    }
    pieces.push(Piece::Text(text.to_owned()));
    Ok(pieces)
}

impl FromStr for Field {
    type Err = TemplateMistake;

    fn from_str(name: &str) -> Result<Self, TemplateMistake> {
        let found = Self::ALL.into_iter().find(|field| field.as_str() == name);
        found.ok_or_else(|| TemplateMistake::Unknown(name.to_owned()))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let template = Template::new("{{title}} to {{ receiver }}!", false).expect("template");
        assert_eq!(template.fill(|field| format!("<{field}>")), "<title> to <receiver>!");
        let json = Template::new(r#"{"says": "{{text}}", "n": 1}"#, true).expect("template");
        assert_eq!(json.fill(|_| "a \"b\"\n".into()), r#"{"says": "a \"b\"\n", "n": 1}"#);
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        for (text, json, message) in [
            ("{{title", false, "`{{` without `}}`"),
            (
                "{{titel}}",
                false,
                "there is no `titel`; there are title, text, status, severity, count, receiver, url, id",
            ),
            (
                "{\"says\": {{text}}}",
                true,
                "it is no JSON once it is filled in (places belong within quotes): control character (\\u0000-\\u001F) found while parsing a string at line 1 column 12",
            ),
        ] {
            let mistake = Template::new(text, json).expect_err(text).to_string();
            let same = mistake == message || (json && mistake.starts_with("it is no JSON once"));
            assert!(same, "{mistake}");
        }
    }
}
