//! Content negotiation: which of the media types on offer a client wants (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, header};

use super::problem::ProblemResponse;

/// JSON, for most answers.
pub(super) const JSON: &str = "application/json";
/// How many ranges of an Accept header are looked at.
const MAX_RANGES: usize = 32;

/// The index of the offered type that the client likes best; the first offer wins a draw, and is
/// the answer when the client does not say.
///
/// # Errors
/// 406 when none is acceptable.
pub(super) fn negotiate(headers: &HeaderMap, offered: &[&str]) -> Result<usize, ProblemResponse> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(0);
    }
    let mut best: Option<(usize, u32)> = None;
    for (at, offer) in offered.iter().enumerate() {
        let quality = quality(headers, offer);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((at, quality));
        }
    }
    best.map(|(at, _)| at).ok_or_else(|| ProblemResponse::not_acceptable(offered))
}

/// Checks that JSON is acceptable.
///
/// # Errors
/// 406 when it is not.
pub(super) fn json(headers: &HeaderMap) -> Result<(), ProblemResponse> {
    negotiate(headers, &[JSON]).map(|_| ())
}

/// Whether a type is named in the Accept header, not just covered by `*/*`.
pub(super) fn names(headers: &HeaderMap, wanted: &str) -> bool {
    ranges(headers).any(|range| {
        let kind = range.split(';').next().unwrap_or("").trim();
        kind.eq_ignore_ascii_case(wanted)
    })
}

/// How much a type is wanted, in thousandths: the quality of the most specific range.
fn quality(headers: &HeaderMap, offer: &str) -> u32 {
    let (offer_kind, offer_parameters) = split(offer);
    let mut best = (0, 0);
    for range in ranges(headers) {
        let (kind, parameters) = split(range);
        let specificity = if kind.eq_ignore_ascii_case(offer_kind) {
            let ours = |name: &str| {
                parameters_of(offer_parameters).find(|(n, _)| n.eq_ignore_ascii_case(name))
            };
            let mut stated = 0;
            let fits = parameters_of(parameters)
                .take_while(|(name, _)| !name.eq_ignore_ascii_case("q"))
                .inspect(|_| stated += 1)
                .all(|(name, value)| {
                    // A charset is always met: everything here is UTF-8.
                    name.eq_ignore_ascii_case("charset")
                        || name.eq_ignore_ascii_case("escaping")
                        || ours(name).is_some_and(|(_, our)| our.eq_ignore_ascii_case(value))
                });
            if !fits {
                continue;
            }
            3 + stated
        } else if kind
            .strip_suffix("/*")
            .is_some_and(|group| offer_kind.split('/').next() == Some(group))
        {
            2
        } else if kind == "*/*" {
            1
        } else {
            continue;
        };
        if specificity > best.0 {
            best = (specificity, thousandths(parameters));
        }
    }
    best.1
}

fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .take(MAX_RANGES)
}

fn split(range: &str) -> (&str, &str) {
    let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
    (kind.trim(), parameters)
}

fn parameters_of(parameters: &str) -> impl Iterator<Item = (&str, &str)> {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
}

fn thousandths(parameters: &str) -> u32 {
    let stated = parameters_of(parameters)
        .find(|(name, _)| name.eq_ignore_ascii_case("q"))
        .and_then(|(_, value)| value.parse::<f64>().ok())
        .filter(|quality| quality.is_finite());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0 to 1000"
    )]
    let quality = (stated.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0).round() as u32;
    quality
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_get() {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
        const PLAIN: &str = "text/plain; version=0.0.4";
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                          text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, offered, expected) in [
            (None, &[PLAIN, OPEN_METRICS][..], Some(0)),
            (Some("*/*"), &[PLAIN, OPEN_METRICS], Some(0)),
            (Some(prometheus), &[PLAIN, OPEN_METRICS], Some(1)),
            (Some("text/plain;version=0.0.4;q=0.9,*/*;q=0.1"), &[PLAIN, OPEN_METRICS], Some(0)),
            (Some("application/openmetrics-text"), &[PLAIN, OPEN_METRICS], Some(1)),
            (Some("application/openmetrics-text; version=9"), &[PLAIN, OPEN_METRICS], None),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), &[JSON], Some(0)),
            (Some("application/*"), &[JSON], Some(0)),
            (Some("application/json; charset=utf-8"), &[JSON], Some(0)),
            (Some("text/html"), &[JSON], None),
            (Some("application/json;q=0, */*"), &[JSON], None),
            (Some("application/json;q=nonsense"), &[JSON], Some(0)),
            (Some("text/csv, application/json;q=0.5"), &[JSON, "text/csv"], Some(1)),
            (Some(",,;;,"), &[JSON], None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, accept.parse().expect("a header"));
            }
            assert_eq!(negotiate(&headers, offered).ok(), expected, "{accept:?}");
        }
    }
}
