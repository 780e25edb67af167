//! What an answer of HTTP means for a delivery.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::Outcome;
use super::http::Answer;
use crate::payload::words::line;

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How much of an answer is told, in characters.
const MAX_TOLD: usize = 200;

/// What a status means. `said` is the beginning of the answer's body.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, said: &str, now_ms: i64) -> Answer {
    if status.is_success() {
        return Answer::Done;
    }
    let why = why(status, said);
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => {
            let after = retry_after(headers, now_ms).or_else(|| retry_after_in_body(said));
            Answer::Failed(Outcome::Retry { after, why })
        }
        // The body's fault, not the address's or the key's.
        400 | 413 | 422 => Answer::PartRefused(why),
        _ => Answer::Failed(Outcome::Refused { why }),
    }
}

fn why(status: StatusCode, said: &str) -> String {
    let mut why = format!("it answers {status}");
    if status.is_redirection() {
        why.push_str("; a redirect is not followed: write the address that it leads to");
    }
    if status == StatusCode::GONE {
        why.push_str(" (it wants no more of this)");
    }
    let said: String = line(said).chars().take(MAX_TOLD).collect();
    if said.is_empty() { why } else { format!("{why}: {said}") }
}

/// `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3); at most an hour.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            let ms = at.as_millisecond().saturating_sub(now_ms);
            Duration::from_millis(u64::try_from(ms).unwrap_or(0))
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Telegram says it only in its answer: `{"parameters": {"retry_after": 5}}`.
fn retry_after_in_body(said: &str) -> Option<Duration> {
    let answer: serde_json::Value = serde_json::from_str(said).ok()?;
    let seconds = answer.pointer("/parameters/retry_after")?.as_u64()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait() {
        // 2026-11-21 09:30:00 UTC.
        let now = 1_795_253_400_000;
        for (text, seconds) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("999999", Some(3600)),
            ("99999999999999999999999", None),
            ("Sat, 21 Nov 2026 09:31:30 GMT", Some(90)),
            ("Sat, 21 Nov 2026 08:00:00 GMT", Some(0)),
            ("Sun, 21 Nov 2027 08:00:00 GMT", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect(text));
            assert_eq!(retry_after(&headers, now).map(|it| it.as_secs()), seconds, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        for (said, seconds) in [
            (r#"{"ok": false, "parameters": {"retry_after": 35}}"#, Some(35)),
            (r#"{"parameters": {"retry_after": 99999}}"#, Some(3600)),
            (r#"{"parameters": {"retry_after": "x"}}"#, None),
            ("later", None),
        ] {
            assert_eq!(retry_after_in_body(said).map(|it| it.as_secs()), seconds, "{said}");
        }
    }

    #[test]
    fn what_statuses_mean() {
        let judged = |status: u16| {
            let status = StatusCode::from_u16(status).expect("status");
            judge(status, &HeaderMap::new(), "no\nway", 0)
        };
        for status in [200, 201, 202, 204] {
            assert!(matches!(judged(status), Answer::Done), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            let retried = matches!(judged(status), Answer::Failed(Outcome::Retry { .. }));
            assert!(retried, "{status}");
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 410, 418] {
            let refused = matches!(judged(status), Answer::Failed(Outcome::Refused { .. }));
            assert!(refused, "{status}");
        }
        for status in [400, 413, 422] {
            assert!(matches!(judged(status), Answer::PartRefused(_)), "{status}");
        }
        let long = why(StatusCode::BAD_REQUEST, &"é".repeat(500));
        assert_eq!(long, format!("it answers 400 Bad Request: {}", "é".repeat(200)));
    }
}
