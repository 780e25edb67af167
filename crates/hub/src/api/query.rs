//! The query part of an address: strict, and clear about mistakes.
//!
//! A parameter that the route does not know, a value given twice where one is meant, and broken
//! percent-encoding are all refused by name: a filter that is silently ignored shows the wrong rows.

use super::problem::ProblemResponse;

/// How many parameters one request may have.
const MAX_PARAMETERS: usize = 64;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    /// Parses a raw query against the names that the route knows.
    ///
    /// # Errors
    /// 400, naming the parameter that is unknown or unreadable.
    pub(super) fn parse(
        raw: Option<&str>,
        known: &[&'static str],
    ) -> Result<Self, ProblemResponse> {
        let mut pairs = Vec::new();
        for pair in raw.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() >= MAX_PARAMETERS {
                return Err(ProblemResponse::bad_request(format!(
                    "the address has more than {MAX_PARAMETERS} parameters"
                )));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).unwrap_or_else(|| name.to_owned());
            let Some(name) = known.iter().copied().find(|known| *known == name) else {
                return Err(unknown(&name, known));
            };
            let value = decode(value).ok_or_else(|| {
                ProblemResponse::bad_parameter(
                    name,
                    "its percent-encoding is broken or not UTF-8",
                    "a%20space",
                )
            })?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter that may be given once; an empty value counts as not given.
    ///
    /// # Errors
    /// 400 when it is given more than once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, ProblemResponse> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(ProblemResponse::bad_request(format!(
                "parameter `{name}` is given more than once; give it once"
            )));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// Whether a parameter is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// All values of a parameter that may be given more than once.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may be given more than once or with commas between.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim).filter(|v| !v.is_empty())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// 400 when it is not.
    pub(super) fn required(&self, name: &str, example: &str) -> Result<&str, ProblemResponse> {
        self.one(name)?
            .ok_or_else(|| ProblemResponse::bad_parameter(name, "it is missing", example))
    }

    /// A whole number between 1 and `most`.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub(super) fn count(
        &self,
        name: &str,
        default: usize,
        most: usize,
    ) -> Result<usize, ProblemResponse> {
        match self.one(name)? {
            None => Ok(default.min(most)),
            Some(text) => {
                text.parse().ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
                    wrong(name, text, &format!("a whole number from 1 to {most}"), "100")
                })
            }
        }
    }

    /// A place in the event log.
    ///
    /// # Errors
    /// 400 when it is no whole number.
    pub(super) fn event_id(&self, name: &str) -> Result<Option<u64>, ProblemResponse> {
        self.one(name)?
            .map(|text| text.parse().map_err(|_| wrong(name, text, "an event's id", "1024")))
            .transpose()
    }
}

/// 400: a value is not what the parameter takes.
pub(super) fn wrong(name: &str, value: &str, wanted: &str, example: &str) -> ProblemResponse {
    let shown: String = value.chars().take(100).collect();
    ProblemResponse::bad_parameter(name, &format!("{shown:?} is not {wanted}"), example)
}

fn unknown(name: &str, known: &[&str]) -> ProblemResponse {
    let shown: String = name.chars().take(100).collect();
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    ProblemResponse::bad_request(format!(
        "there is no parameter {shown:?} here; the parameters are: {known}"
    ))
}

/// Undoes percent-encoding, and `+` for a space as forms write it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["kind", "label", "limit"];

    #[test]
    fn values_are_decoded() {
        let query = Query::parse(Some("kind=node%2Cgpu&label=a+b&label=%C3%A9&&limit="), KNOWN)
            .expect("ok");
        assert_eq!(query.list("kind").collect::<Vec<_>>(), ["node", "gpu"]);
        assert_eq!(query.all("label").collect::<Vec<_>>(), ["a b", "é"]);
        assert_eq!(query.count("limit", 7, 10).expect("empty is not given"), 7);
    }

    #[test]
    fn mistakes_are_refused() {
        for raw in ["colour=red", "kind=%", "kind=%2", "kind=%zz", "kind=%ff", "%6", "kind=%+1"] {
            assert!(Query::parse(Some(raw), KNOWN).is_err(), "{raw}");
        }
        assert!(Query::parse(Some(&"kind=a&".repeat(MAX_PARAMETERS)), KNOWN).is_ok());
        assert!(Query::parse(Some(&"kind=a&".repeat(MAX_PARAMETERS + 1)), KNOWN).is_err());
        let query = Query::parse(Some("kind=a&kind=b&limit=0"), KNOWN).expect("ok");
        assert!(query.one("kind").is_err());
        assert!(query.count("limit", 1, 10).is_err());
        assert!(query.required("label", "x").is_err());
    }
}
