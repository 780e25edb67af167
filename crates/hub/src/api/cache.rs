//! Answers kept as bytes while nothing changed, so that a hundred clients cost one serialisation.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::accept::JSON;
use super::problem::ProblemResponse;

/// How many answers are kept; when it is met, those of older revisions go, then all.
const MAX_ANSWERS: usize = 512;
/// Bytes of answers that are kept in all; a larger answer is given but not kept.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// An answer's bytes with their ETag. Cheap to clone.
#[derive(Clone)]
pub(super) struct Answer {
    bytes: Bytes,
    etag: HeaderValue,
}

/// Until when a kept answer is good: the fleet's revision, and a clock tick where the answer tells
/// of something that has no revision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) revision: u64,
    pub(super) tick: u64,
}

/// Answers by their address.
#[derive(Clone, Default)]
pub(super) struct AnswerCache(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    answers: HashMap<String, (Stamp, Answer)>,
    bytes: usize,
}

impl AnswerCache {
    /// The kept answer, or a new one.
    ///
    /// # Errors
    /// Whatever `make` fails with; failures are not kept.
    pub(super) fn get_or_make(
        &self,
        key: &str,
        stamp: Stamp,
        make: impl FnOnce() -> Result<Vec<u8>, ProblemResponse>,
    ) -> Result<Answer, ProblemResponse> {
        if let Some(answer) = self.kept(key, stamp) {
            return Ok(answer);
        }
        // Two clients at once may both make it: cheaper than making one wait for the other.
        let answer = Answer::new(make()?);
        self.keep(key, stamp, &answer);
        Ok(answer)
    }

    /// [`Self::get_or_make`] of an answer that is known by this tag, not by its bytes: hashing
    /// megabytes takes longer than making them.
    ///
    /// # Errors
    /// Whatever `make` fails with; failures are not kept.
    pub(super) fn get_or_make_tagged(
        &self,
        key: &str,
        stamp: Stamp,
        etag: HeaderValue,
        make: impl FnOnce() -> Result<Vec<u8>, ProblemResponse>,
    ) -> Result<Answer, ProblemResponse> {
        if let Some(answer) = self.kept(key, stamp) {
            return Ok(answer);
        }
        let answer = Answer::tagged(make()?, etag);
        self.keep(key, stamp, &answer);
        Ok(answer)
    }

    fn kept(&self, key: &str, stamp: Stamp) -> Option<Answer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.answers.get(key).filter(|(made, _)| *made == stamp).map(|(_, answer)| answer.clone())
    }

    fn keep(&self, key: &str, stamp: Stamp, answer: &Answer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = answer.bytes.len() + key.len();
        if size > MAX_BYTES {
            return;
        }
        let full = |kept: &Kept| {
            kept.answers.len() >= MAX_ANSWERS || kept.bytes.saturating_add(size) > MAX_BYTES
        };
        if full(&kept) {
            kept.answers.retain(|_, (made, _)| made.revision == stamp.revision);
            kept.bytes = kept.answers.iter().map(|(k, (_, a))| k.len() + a.bytes.len()).sum();
        }
        if full(&kept) {
            kept.answers.clear();
            kept.bytes = 0;
        }
        kept.bytes += size;
        if let Some((_, old)) = kept.answers.insert(key.to_owned(), (stamp, answer.clone())) {
            kept.bytes = kept.bytes.saturating_sub(old.bytes.len() + key.len());
        }
    }
}

impl Answer {
    /// An answer of these bytes.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let etag = HeaderValue::from_str(&format!("\"{:016x}\"", hash(&bytes)))
            .unwrap_or(HeaderValue::from_static("\"\""));
        Self::tagged(bytes, etag)
    }

    /// An answer of these bytes, known by this tag.
    pub(super) fn tagged(bytes: Vec<u8>, etag: HeaderValue) -> Self {
        Self { bytes: bytes.into(), etag }
    }

    /// The answer to a request: 304 when the client has it already.
    pub(super) fn respond(self, request: &HeaderMap, content_type: &'static str) -> Response {
        let unchanged = matches_etag(request, &self.etag);
        let mut response = if unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Body::from(self.bytes).into_response()
        };
        let headers = response.headers_mut();
        if !unchanged {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(header::ETAG, self.etag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }

    /// [`Self::respond`] as JSON.
    pub(super) fn json(self, request: &HeaderMap) -> Response {
        self.respond(request, JSON)
    }
}

/// A hash that tells answers apart; no secret, no proof.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Whether `If-None-Match` names this ETag.
pub(crate) fn matches_etag(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let ours = etag.to_str().unwrap_or("");
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == ours)
}

/// JSON bytes of a value.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, ProblemResponse> {
    serde_json::to_vec(value)
        .map_err(|error| ProblemResponse::internal(format!("cannot write the answer: {error}")))
}

/// A JSON answer that is not kept.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub(super) fn fresh_json(value: &impl serde::Serialize) -> Result<Response, ProblemResponse> {
    Ok(([(header::CONTENT_TYPE, JSON)], to_json(value)?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(revision: u64) -> Stamp {
        Stamp { revision, tick: 0 }
    }

    #[test]
    fn an_answer_is_made_once_per_revision() {
        let cache = AnswerCache::default();
        let mut made = 0;
        for revision in [1, 1, 1, 2, 2] {
            let answer = cache.get_or_make("/status", stamp(revision), || {
                made += 1;
                Ok(vec![b'x'])
            });
            assert!(answer.is_ok());
        }
        assert_eq!(made, 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let cache = AnswerCache::default();
        for at in 0..3 * MAX_ANSWERS {
            let made = cache.get_or_make(&at.to_string(), stamp(1), || Ok(vec![0; 64 * 1024]));
            assert!(made.is_ok());
            let kept = cache.0.lock().expect("no panic");
            assert!(kept.answers.len() <= MAX_ANSWERS && kept.bytes <= MAX_BYTES);
        }
        let huge = cache.get_or_make("huge", stamp(1), || Ok(vec![0; MAX_BYTES + 1]));
        assert!(huge.is_ok() && !cache.0.lock().expect("no panic").answers.contains_key("huge"));
    }
}
