//! Ways in for the fuzz targets to what a client may send, and to what the store hands back.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use sickbay_model::{NodeOrigin, Timestamp};
use sickbay_wire::v1::{NodeSpec, SessionRequest};

use super::accept::{JSON, json, names, negotiate};
use super::query::Query;
use super::resources::{Filter, parse_id};
use super::{change, events, fleet, matches_etag, stream, time};
use crate::server::{Sessions, check_origin};
use crate::settings::Secret;
use crate::stored_state::StoredState;

/// The parameters of all routes.
const PARAMETERS: &[&str] = &[
    "after",
    "before",
    "breaker",
    "cursor",
    "fleet",
    "format",
    "from",
    "instance",
    "kind",
    "label",
    "last_event_id",
    "level",
    "limit",
    "max_points",
    "metric",
    "order",
    "parent",
    "ready",
    "resource",
    "search",
    "sort",
    "step",
    "to",
];

/// The headers that are read; each stands on a line of its own after the query.
const HEADERS: [HeaderName; 7] = [
    header::ACCEPT,
    header::HOST,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::COOKIE,
    header::IF_NONE_MATCH,
    HeaderName::from_static("last-event-id"),
];

/// A name by which the hub is known, beside those of this machine.
const HOST_NAME: &str = "hub.example";
const TOKEN: &str = "open sesame";
/// Some time in 2026.
const NOW: Timestamp = Timestamp::from_unix_ms(1_795_253_400_123);

/// A request: its query on the first line, then its headers, one a line; or all of it as the body
/// that signs in.
pub fn request(bytes: &[u8]) {
    let _ = serde_json::from_slice::<SessionRequest>(bytes);
    check_definition(bytes);
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let query = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let mut headers = HeaderMap::new();
    for (name, line) in HEADERS.into_iter().zip(lines) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    check_negotiation(&headers);
    check_admission(&headers);
    let _ = matches_etag(&headers, &HeaderValue::from_static("\"0123456789abcdef\""));
    if let Ok(parsed) = Query::parse(query, PARAMETERS) {
        check_parameters(&parsed);
        let _ = stream::last_event_id(&headers, &parsed);
    }
    if let Some(text) = query {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let parsed = Query::parse(Some(&format!("label={encoded}")), PARAMETERS);
        assert!(parsed.is_ok_and(|parsed| parsed.all("label").eq([text])), "{text:?}");
    }
}

/// What the store hands back of a node: refused, or kept as it is.
pub fn stored_state(bytes: &[u8]) {
    if let Ok(state) = StoredState::decode(bytes) {
        let again = state.encode().ok().and_then(|bytes| StoredState::decode(&bytes).ok());
        assert_eq!(format!("{:?}", Some(state)), format!("{again:?}"));
    }
}

/// What is taken as a node has no mistake, and is the same after it was shown.
fn check_definition(bytes: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<NodeSpec>(bytes) else { return };
    let definition = spec.into_definition(NodeOrigin::Added);
    if definition.mistakes().is_empty() {
        assert!(definition.resource().is_ok(), "{definition:?}");
        assert_eq!(NodeSpec::of(&definition).into_definition(NodeOrigin::Added), definition);
    }
}

fn check_negotiation(headers: &HeaderMap) {
    let offered = [JSON, "text/csv", "text/plain; version=0.0.4"];
    let best = negotiate(headers, &offered);
    assert!(best.as_ref().is_ok_and(|&best| best < offered.len()) || best.is_err());
    // What is acceptable alone is not refused among others.
    assert!(best.is_ok() || json(headers).is_err());
    let _ = names(headers, JSON);
    let _ = change::check_site(headers);
}

fn check_admission(headers: &HeaderMap) {
    let names = [HOST_NAME.to_owned()];
    let asked = Uri::from_static("/status");
    let admitted = check_origin(headers, &asked, true, &names).is_ok();
    if let (true, Some(host)) = (admitted, headers.get(header::HOST)) {
        let host = host.to_str().map(str::to_ascii_lowercase).unwrap_or_default();
        // An address has no letter beyond f: what has one must be a name of ours.
        let rest = ["localhost", HOST_NAME].iter().find_map(|name| host.strip_prefix(name));
        assert!(!rest.unwrap_or(&host).contains(|c| ('g'..='z').contains(&c)), "{host:?}");
    }
    let sessions = Sessions::new(Some(Secret::new(TOKEN.to_owned())));
    if sessions.allows(headers, Duration::ZERO) {
        let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
        assert!(shown.is_some_and(|shown| shown.trim().ends_with(TOKEN)), "{shown:?}");
    }
}

fn check_parameters(query: &Query) {
    for &name in PARAMETERS {
        assert!(query.has(name) || query.all(name).next().is_none());
        assert!(query.list(name).all(|item| !item.is_empty()));
        let _ = query.required(name, "x");
        let _ = query.event_id(name);
        if let Ok(count) = query.count(name, 100, 1_000) {
            assert!((1..=1_000).contains(&count));
        }
        if let Ok(Some(step)) = time::duration(query, name) {
            assert!(!step.is_zero() && step <= Duration::from_secs(100 * 366 * 86_400));
        }
        if let Ok(Some(at)) = time::instant(query, name, NOW) {
            assert_eq!(at.to_string().parse().ok(), Some(at), "what is shown can be asked for");
        }
        if let Some(Ok(id)) = query.all(name).next().map(|text| parse_id(name, text)) {
            assert_eq!(id.to_string().parse().ok(), Some(id));
        }
        for word in query.list(name) {
            let _ = events::parse_kind(word);
        }
    }
    let _ = Filter::parse(query);
    let _ = stream::Scope::parse(query);
    if let (Ok(wanted), Ok(order), Ok(cursor)) =
        (fleet::Wanted::parse(query), fleet::Order::parse(query), query.one("cursor"))
    {
        assert!(
            fleet::page(&[], &wanted, order, cursor, 1).is_ok_and(|page| page.0.is_empty())
                || cursor.is_some()
        );
    }
}

#[cfg(test)]
mod tests {
    /// The fuzz target's seeds are of the form that it takes.
    #[test]
    fn a_request_is_understood() {
        let seed = include_bytes!("../../../../fuzz/seeds/requests/history");
        super::request(seed);
        super::request(b"label=%\n\xff");
        super::stored_state(include_bytes!("../../../../fuzz/seeds/states/fresh"));
    }
}
