//! Whom a request says it is for and from: the defence against DNS rebinding and foreign pages.
//!
//! A web page elsewhere can make a browser ask `127.0.0.1`, and by rebinding its own host name it
//! could read the answer. The browser still sends that name as `Host`, so on a loopback address
//! only names that mean this machine (or are configured) are served. And whatever the address, a
//! request that names another page as its `Origin` is refused.

use axum::http::{HeaderMap, Uri, header};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The `Host` header names something else than this hub.
    Host(String),
    /// The request was made by a page of another origin.
    Origin(String),
}

/// Checks `Host` (on loopback addresses) and `Origin`.
pub(crate) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    on_loopback: bool,
    host_names: &[String],
) -> Result<(), Refusal> {
    let authority = requested_authority(headers, uri);
    // Only programs leave `Host` out (HTTP/1.0 checks); browsers never do.
    if on_loopback
        && let Some(authority) = authority
        && !means_this_machine(host_of(authority), host_names)
    {
        return Err(Refusal::Host(shortened(authority)));
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().unwrap_or("");
    let same = origin.split_once("://").is_some_and(|(_, from)| {
        authority.is_some_and(|to| from.eq_ignore_ascii_case(to))
            || is_named(host_of(from), host_names)
    });
    if same { Ok(()) } else { Err(Refusal::Origin(shortened(origin))) }
}

fn requested_authority<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Option<&'r str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"))
}

/// The host of `host:port`, `[v6]:port` or `host`; nothing of what is none of these.
fn host_of(authority: &str) -> &str {
    let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, ""),
        Some(Some((host, port))) => (host, port.strip_prefix(':').unwrap_or("none")),
        Some(None) => return "",
        None => authority.rsplit_once(':').unwrap_or((authority, "")),
    };
    if port.bytes().all(|digit| digit.is_ascii_digit()) { host } else { "" }
}

fn means_this_machine(host: &str, host_names: &[String]) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        || is_named(host, host_names)
}

fn is_named(host: &str, host_names: &[String]) -> bool {
    host_names.iter().any(|name| name.eq_ignore_ascii_case(host.trim_end_matches('.')))
}

/// What is repeated to the client of its own input.
fn shortened(text: &str) -> String {
    text.chars().take(100).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: Option<&str>, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().expect("a header"));
            }
        }
        headers
    }

    #[test]
    fn who_may_ask() {
        let names = vec!["gpu-box.example".to_owned()];
        for (host, origin, on_loopback, allowed) in [
            (Some("127.0.0.1:8790"), None, true, true),
            (Some("localhost:8790"), None, true, true),
            (Some("LOCALHOST."), None, true, true),
            (Some("[::1]:8790"), None, true, true),
            (Some("127.8.8.8"), None, true, true),
            (Some("gpu-box.example:8790"), None, true, true),
            (None, None, true, true),
            (Some("evil.example"), None, true, false),
            (Some("evil.example:8790"), None, true, false),
            (Some("localhost.evil.example"), None, true, false),
            (Some("10.0.0.1"), None, true, false),
            (Some(""), None, true, false),
            (Some("[::1"), None, true, false),
            (Some("[::1]"), None, true, true),
            (Some("[::1]evil.example"), None, true, false),
            (Some("[::1].evil.example:8790"), None, true, false),
            (Some("localhost:evil.example"), None, true, false),
            (Some("localhost:"), None, true, true),
            (Some("evil.example"), None, false, true),
            (Some("127.0.0.1:8790"), Some("http://127.0.0.1:8790"), true, true),
            (Some("127.0.0.1:8790"), Some("http://localhost:8790"), true, false),
            (Some("127.0.0.1:8790"), Some("https://evil.example"), true, false),
            (Some("hub.example"), Some("https://evil.example"), false, false),
            (Some("hub.example"), Some("https://hub.example"), false, true),
            (Some("10.1.1.1"), Some("https://gpu-box.example"), false, true),
            (Some("127.0.0.1:8790"), Some("null"), true, false),
            (None, Some("http://127.0.0.1"), true, false),
        ] {
            let answer =
                check(&headers(host, origin), &Uri::from_static("/status"), on_loopback, &names);
            assert_eq!(answer.is_ok(), allowed, "{host:?} {origin:?} {on_loopback}: {answer:?}");
        }
    }
}
