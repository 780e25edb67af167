//! Who may ask when a token is set: programs show it on each request, the page trades it once for
//! a session cookie that scripts cannot read and other sites cannot send.
//!
//! Sessions live in memory: after a restart of the hub one signs in again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::settings::Secret;

/// The name of the session cookie.
const COOKIE: &str = "sickbay_session";
/// How long a session lasts.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many sessions are remembered; the oldest makes room.
const MAX_SESSIONS: usize = 256;
/// Length of a session's random name.
const NAME_BYTES: usize = 32;

/// The token and the open sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    token: Option<Secret>,
    open: Mutex<HashMap<String, Duration>>,
}

impl Sessions {
    pub(crate) fn new(token: Option<Secret>) -> Self {
        Self { token, open: Mutex::default() }
    }

    /// Whether a token is asked for at all.
    pub(crate) fn token_required(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this is the token.
    pub(crate) fn is_token(&self, shown: &str) -> bool {
        self.token
            .as_ref()
            .is_some_and(|token| same_bytes(token.expose().as_bytes(), shown.as_bytes()))
    }

    /// Whether a request may be answered: no token is set, or it shows the token or a session.
    pub(crate) fn allows(&self, headers: &HeaderMap, now: Duration) -> bool {
        !self.token_required()
            || bearer(headers).is_some_and(|shown| self.is_token(shown))
            || cookies(headers).any(|name| self.is_open(name, now))
    }

    fn is_open(&self, name: &str, now: Duration) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(name).is_some_and(|&until| now < until)
    }

    /// Opens a session; the answer is the cookie to set.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn open(&self, now: Duration, encrypted: bool) -> Result<HeaderValue, String> {
        let mut bytes = [0_u8; NAME_BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| format!("cannot make a session: no random bytes: {error}"))?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, until| now < *until);
        if open.len() >= MAX_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, until)| **until).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                tracing::info!(limit = MAX_SESSIONS, "too many sessions; closing the oldest");
                open.remove(&oldest);
            }
        }
        open.insert(name.clone(), now + LIFETIME);
        cookie(&name, LIFETIME, encrypted)
    }

    /// Closes the sessions that a request shows; the answer is the cookie to set.
    ///
    /// # Errors
    /// Never in practice: the cookie's text is fixed.
    pub(crate) fn close(
        &self,
        headers: &HeaderMap,
        encrypted: bool,
    ) -> Result<HeaderValue, String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for name in cookies(headers) {
            open.remove(name);
        }
        cookie("", Duration::ZERO, encrypted)
    }
}

fn cookie(name: &str, lifetime: Duration, encrypted: bool) -> Result<HeaderValue, String> {
    let secure = if encrypted { "; Secure" } else { "" };
    let text = format!(
        "{COOKIE}={name}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        lifetime.as_secs()
    );
    text.parse().map_err(|_| "cannot write the session cookie".to_owned())
}

/// The token of an `Authorization: Bearer …` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The values of our cookie in a request.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// Compares in a time that depends on the lengths alone.
fn same_bytes(secret: &[u8], shown: &[u8]) -> bool {
    let mut difference = u8::from(secret.len() != shown.len());
    for (at, byte) in shown.iter().enumerate() {
        let expected = secret.get(at % secret.len().max(1)).copied().unwrap_or(0);
        difference = std::hint::black_box(difference | (expected ^ byte));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a header"))])
    }

    #[test]
    fn only_the_token_opens() {
        let sessions = Sessions::new(Some(Secret::new("s3cret".to_owned())));
        for (shown, allowed) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("Bearer s3cre", false),
            ("Bearer s3crets3cret", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            ("s3cret", false),
        ] {
            let headers = with(header::AUTHORIZATION, shown);
            assert_eq!(sessions.allows(&headers, Duration::ZERO), allowed, "{shown}");
        }
        assert!(!sessions.allows(&HeaderMap::new(), Duration::ZERO));
        assert!(Sessions::new(None).allows(&HeaderMap::new(), Duration::ZERO));
    }

    #[test]
    fn a_session_ends_by_time_and_by_hand() {
        let sessions = Sessions::new(Some(Secret::new("s3cret".to_owned())));
        let set = sessions.open(Duration::ZERO, true).expect("random bytes");
        let set = set.to_str().expect("text").to_owned();
        assert!(set.contains("HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().expect("a pair");
        let headers = with(header::COOKIE, &format!("theme=dark; {pair}"));
        assert!(sessions.allows(&headers, Duration::from_secs(60)));
        assert!(!sessions.allows(&headers, LIFETIME));
        sessions.close(&headers, true).expect("a cookie");
        assert!(!sessions.allows(&headers, Duration::from_secs(60)));
    }

    #[test]
    fn the_oldest_session_makes_room() {
        let sessions = Sessions::new(Some(Secret::new("s3cret".to_owned())));
        for at in 0..=MAX_SESSIONS as u64 {
            sessions.open(Duration::from_secs(at), false).expect("random bytes");
        }
        let open = sessions.open.lock().expect("no panic");
        assert_eq!(open.len(), MAX_SESSIONS);
        assert!(open.values().all(|until| *until > LIFETIME), "the first one is gone");
    }
}
