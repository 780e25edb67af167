//! Where a service listens.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use serde::{Serialize, Serializer};

use crate::{Secret, SecretError};

/// The address of a service over HTTP. Of an address only the scheme and the host are ever shown:
/// with many services the rest is a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Secret,
    allow_local: bool,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointMistake {
    /// It is no URL.
    #[error("it is no URL: {0}")]
    Shape(String),
    /// Not of HTTP.
    #[error("`{0}:` is not spoken here; write http:// or https://")]
    Scheme(String),
    /// Nobody to be asked.
    #[error("it names no host")]
    NoHost,
    /// What leads into the machine itself.
    #[error(transparent)]
    Local(#[from] crate::address::Forbidden),
}

/// Why a request to an endpoint cannot even be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the address cannot be used: {0}")]
    Mistake(#[from] EndpointMistake),
}

impl Endpoint {
    /// An address; what is known of it is checked. `allow_local`: whether it may lead to this machine
    /// or its link.
    ///
    /// # Errors
    /// If it is no address of HTTP, or one that must not be called.
    pub fn new(url: Secret, allow_local: bool) -> Result<Self, EndpointMistake> {
        if let Some(text) = url.known() {
            parse(text, allow_local)?;
        }
        Ok(Self { url, allow_local })
    }

    /// A public address that is written in the program.
    pub(crate) fn public(url: &str) -> Result<Self, EndpointMistake> {
        let url = Secret::literal(url).map_err(|it| EndpointMistake::Shape(it.to_string()))?;
        Self::new(url, false)
    }

    /// Whether it may lead to this machine.
    #[must_use]
    pub fn allow_local(&self) -> bool {
        self.allow_local
    }

    /// The address itself, with `path` added to its path.
    pub(crate) async fn url(&self, path: &str) -> Result<Url, EndpointError> {
        let text: Arc<str> = self.url.reveal().await?;
        let mut url = parse(&text, self.allow_local)?;
        if !path.is_empty() {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let whole = format!("{}{path}", url.path().trim_end_matches('/'));
            url.set_path(&whole);
            url.set_query(Some(query).filter(|query| !query.is_empty()));
        }
        Ok(url)
    }
}

fn parse(text: &str, allow_local: bool) -> Result<Url, EndpointMistake> {
    let url = Url::parse(text).map_err(|error| EndpointMistake::Shape(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointMistake::Scheme(url.scheme().to_owned()));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EndpointMistake::NoHost)?;
    // A name is checked when it is resolved; an address never is resolved.
    if let Ok(address) = host.trim_matches(['[', ']']).parse()
        && !allow_local
    {
        crate::address::check(address)?;
    }
    Ok(url)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.url.known().and_then(|text| Url::parse(text).ok()) {
            Some(url) => write!(f, "{}://{}/…", url.scheme(), url.host_str().unwrap_or_default()),
            None => fmt::Display::fmt(&self.url, f),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, allow_local: bool) -> Result<Endpoint, EndpointMistake> {
        Endpoint::new(Secret::literal(url).expect("secret"), allow_local)
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (url, message) in [
            ("hooks.example.org/x", "it is no URL: relative URL without a base"),
            ("ftp://example.org", "`ftp:` is not spoken here; write http:// or https://"),
            ("file:///etc/passwd", "`file:` is not spoken here; write http:// or https://"),
            ("https://", "it is no URL: empty host"),
            (
                "http://127.0.0.1:9/",
                "127.0.0.1 is this machine itself; say `allow_local: true` if that is meant",
            ),
            (
                "http://[::ffff:7f00:1]/",
                "::ffff:127.0.0.1 is this machine itself; say `allow_local: true` if that is meant",
            ),
            (
                "http://2130706433/",
                "127.0.0.1 is this machine itself; say `allow_local: true` if that is meant",
            ),
            (
                "http://169.254.169.254/latest",
                "169.254.169.254 is on this machine's own link; say `allow_local: true` if that is meant",
            ),
        ] {
            assert_eq!(endpoint(url, false).expect_err(url).to_string(), message);
        }
        for (url, allow_local) in [("http://127.0.0.1:9/", true), ("http://10.1.2.3/hook", false)] {
            assert!(endpoint(url, allow_local).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn the_path_is_not_shown_and_can_be_added_to() {
        let slack = endpoint("https://user:pass@hooks.slack.com/services/T0/B0/XXX", false);
        let slack = slack.expect("endpoint");
        assert_eq!(
            format!("{slack} {slack:?}"),
            "https://hooks.slack.com/… Endpoint(https://hooks.slack.com/…)"
        );
        let api = endpoint("https://api.example.org/v2/alerts/", false).expect("endpoint");
        let url = api.url("/a-1/close?identifierType=alias").await.expect("URL");
        assert_eq!(
            url.as_str(),
            "https://api.example.org/v2/alerts/a-1/close?identifierType=alias"
        );
    }
}
