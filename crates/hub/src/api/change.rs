//! What every request must be that changes something, besides passing the guard.
//!
//! A page elsewhere can make a browser send requests, without a token also to a hub that wants none.
//! The guard refuses a foreign `Origin`; here, what a form could send without one is refused too: a
//! body that is not JSON, and what the browser itself marks as coming from another site.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};

use super::accept::JSON;
use super::problem::ProblemResponse;

/// The header by which browsers say where a request comes from.
const FETCH_SITE: &str = "sec-fetch-site";
/// What it says of the hub's own page, and of an address that someone typed.
const OWN_SITE: [&str; 2] = ["same-origin", "none"];

/// Bodies that say nothing.
const EMPTY: [&[u8]; 3] = [b"", b"{}", b"null"];
/// The longest of them, with some space around.
const EMPTY_BYTES: usize = 16;

/// Checks where a change comes from.
///
/// # Errors
/// 403 when the browser says that another site asks.
pub(super) fn check_site(headers: &HeaderMap) -> Result<(), ProblemResponse> {
    let foreign = headers
        .get_all(FETCH_SITE)
        .iter()
        .any(|site| site.to_str().map_or(true, |site| !OWN_SITE.contains(&site.trim())));
    if foreign {
        return Err(ProblemResponse::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Asked by another site",
            "only this hub's own page and programs may change something",
        ));
    }
    Ok(())
}

/// Reads the JSON body of a change.
///
/// # Errors
/// 403 when another site asks, 413 when the body is too large, 415 when it is not JSON.
pub(super) async fn body(
    headers: &HeaderMap,
    body: Body,
    most_bytes: usize,
) -> Result<Bytes, ProblemResponse> {
    check_site(headers)?;
    if !is_json(headers) {
        return Err(ProblemResponse::unsupported_media_type(JSON));
    }
    to_bytes(body, most_bytes).await.map_err(|_| ProblemResponse::too_large(most_bytes))
}

/// Checks a change that has nothing more to say: no body, or an empty one in JSON.
///
/// # Errors
/// 400 when there is something in the body, and as [`body`].
pub(super) async fn no_body(headers: &HeaderMap, body: Body) -> Result<(), ProblemResponse> {
    check_site(headers)?;
    // A form always names a type.
    if headers.contains_key(header::CONTENT_TYPE) && !is_json(headers) {
        return Err(ProblemResponse::unsupported_media_type(JSON));
    }
    let refused = || ProblemResponse::bad_request("this takes no body; leave it empty");
    let bytes = to_bytes(body, EMPTY_BYTES).await.map_err(|_| refused())?;
    if EMPTY.contains(&bytes.trim_ascii()) { Ok(()) } else { Err(refused()) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let is_json = kinds
        .next()
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(JSON));
    is_json && kinds.next().is_none()
}
