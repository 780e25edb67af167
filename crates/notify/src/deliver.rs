//! The sending of a notice to a receiver.
//!
//! What must hold: a delivery ends, however the other side behaves; what is read of an answer has a limit;
//! no redirect is followed; no secret is in what is said of a failure. The future may be dropped at any
//! point: what was sent until then is in the [`Progress`].
//!
//! A notice that arrived is sent again if that was not heard of (the answer was lost, the hub was killed).
//! So every name in it is the same at each try: a webhook's id, the `dedup_key` of PagerDuty, the alias of
//! Opsgenie, the labels of Alertmanager, an email's `Message-ID`. Slack and its like show it twice.

mod http;

mod answer;

mod mail;

mod local;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sickbay_alert::Notice;
use sickbay_runtime::{Clock, OneShot};

use crate::payload::{self, Part};
use crate::receiver::{Exec, Header, Kind, Method, Receiver, Webhook, WebhookFormat};
use crate::sign::signature;
use crate::{Endpoint, Origin, SecretError};

/// How long one request may take, from the resolving of the name to the end of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(15);
/// How much is read of an answer, in bytes.
pub const MAX_ANSWER: usize = 64 << 10;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Done,
    /// It did not, and may do so later.
    Retry {
        /// How long the receiver asks to wait.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// It never will.
    Refused {
        /// Why.
        why: String,
    },
}

impl Outcome {
    fn retry(why: impl Into<String>) -> Self {
        Self::Retry { after: None, why: why.into() }
    }

    fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

impl From<SecretError> for Outcome {
    /// A file can be put right.
    fn from(error: SecretError) -> Self {
        Self::retry(error.to_string())
    }
}

/// How far the delivery of one notice to one receiver is: some take an alert a request. Worth nothing
/// for another receiver, and so to be forgotten when the receiver becomes another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The requests that arrived, by their place.
    done: BTreeSet<usize>,
    /// Those that were refused, and why.
    refused: BTreeMap<usize, String>,
}

impl Progress {
    fn is_settled(&self, place: usize) -> bool {
        self.done.contains(&place) || self.refused.contains_key(&place)
    }

    /// How all of them ended.
    fn outcome(&self) -> Outcome {
        let Some(why) = self.refused.values().next() else { return Outcome::Done };
        match (self.refused.len(), self.done.len()) {
            (1, 0) => Outcome::refused(why.clone()),
            (bad, good) => Outcome::refused(format!("{bad} of {} requests: {why}", bad + good)),
        }
    }
}

/// Sends notices. One for the whole program: it keeps connections.
#[derive(Debug)]
pub struct Sender {
    origin: Origin,
    clock: Clock,
    http: http::Clients,
    /// Certificates in PEM that are trusted beside the system's.
    roots: Vec<Vec<u8>>,
    /// Programs that hang in the kernel, so that they are not started once more.
    stuck: Mutex<HashMap<Exec, OneShot>>,
}

/// Why there can be no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// A certificate to be trusted is none.
    #[error("a certificate to be trusted cannot be used: {0}")]
    Certificate(String),
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// What all requests of one delivery have in common.
struct Call<'a> {
    method: Method,
    endpoint: &'a Endpoint,
    headers: HeaderMap,
    parts: Vec<Part>,
    /// What must not be in what is said of a failure.
    secrets: Vec<Arc<str>>,
}

impl<'a> Call<'a> {
    fn new(endpoint: &'a Endpoint, parts: Vec<Part>) -> Self {
        let (headers, secrets) = (HeaderMap::new(), Vec::new());
        Self { method: Method::Post, endpoint, headers, parts, secrets }
    }

    async fn with(mut self, headers: &[Header]) -> Result<Self, Outcome> {
        for header in headers {
            let (name, value) = header.reveal().await?;
            let value = value.ok_or_else(|| {
                Outcome::refused(format!("the value of the header `{name}` cannot be sent"))
            })?;
            self.secrets.extend(value.to_str().ok().map(Arc::from));
            self.headers.insert(name, value);
        }
        Ok(self)
    }
}

impl Sender {
    /// A sender. `roots`: certificates in PEM that are trusted beside the system's.
    ///
    /// # Errors
    /// If a certificate is none, or the system cannot give what a client needs.
    pub fn new(origin: Origin, clock: Clock, roots: &[Vec<u8>]) -> Result<Self, SenderError> {
        let http = http::Clients::new(roots)?;
        Ok(Self { origin, clock, http, roots: roots.to_vec(), stuck: Mutex::default() })
    }

    /// Sends a notice, or what of it was not sent yet.
    pub async fn deliver(
        &self,
        receiver: &Receiver,
        notice: &Notice,
        progress: &mut Progress,
    ) -> Outcome {
        let Some(notice) = wanted(receiver, notice) else { return Outcome::Done };
        match &receiver.kind {
            Kind::Email(email) => self.mail(email, &notice, progress).await,
            Kind::Exec(exec) => self.run(exec, &notice).await,
            Kind::File(file) => self.append(file, &notice).await,
            Kind::Syslog(syslog) => self.log(syslog, &notice).await,
            kind => match self.call(kind, &notice).await {
                Ok(call) => self.send_all(&call, progress).await,
                Err(outcome) => outcome,
            },
        }
    }

    async fn call<'a>(&self, kind: &'a Kind, notice: &Notice) -> Result<Call<'a>, Outcome> {
        let origin = &self.origin;
        Ok(match kind {
            Kind::Webhook(webhook) => self.webhook(webhook, notice).await?,
            Kind::Slack(endpoint) => {
                Call::new(endpoint, vec![payload::slack::part(origin, notice)])
            }
            Kind::PagerDuty(it) => {
                let key = it.routing_key.reveal().await?;
                let parts = payload::pagerduty::parts(origin, notice, &key);
                Call { secrets: vec![key], ..Call::new(&it.endpoint, parts) }
            }
            Kind::Alertmanager(it) => {
                let parts = payload::alertmanager::parts(origin, notice, it.holds_for);
                Call::new(&it.endpoint, parts).with(&it.headers).await?
            }
            Kind::Opsgenie(it) => {
                let key = it.key.reveal().await?;
                let mut call = Call::new(&it.endpoint, payload::opsgenie::parts(origin, notice));
                call.headers.insert(AUTHORIZATION, value(&format!("GenieKey {key}"))?);
                call.secrets.push(key);
                call
            }
            Kind::Http(it) => {
                let parts = vec![payload::preset::part(origin, notice, &it.preset)];
                let call = Call { method: it.method, ..Call::new(&it.endpoint, parts) };
                call.with(&it.headers).await?
            }
            Kind::Email(_) | Kind::Exec(_) | Kind::File(_) | Kind::Syslog(_) => {
                return Err(Outcome::refused("this is not sent over HTTP"));
            }
        })
    }

    async fn webhook<'a>(
        &self,
        webhook: &'a Webhook,
        notice: &Notice,
    ) -> Result<Call<'a>, Outcome> {
        let part = match webhook.format {
            WebhookFormat::Alertmanager => payload::webhook::part(&self.origin, notice),
            WebhookFormat::CloudEvents => payload::webhook::cloud_event(&self.origin, notice),
        };
        let mut keys = Vec::new();
        for secret in &webhook.secrets {
            let none = || Outcome::retry("the signing secret in a file is none");
            keys.push(secret.key().await?.ok_or_else(none)?);
        }
        let (id, now) = (self.origin.message_id(notice), self.clock.now_ms().div_euclid(1000));
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("webhook-id"), value(&id)?);
        headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(now));
        if !keys.is_empty() {
            let signature = value(&signature(&id, now, &part.body, &keys))?;
            headers.insert(HeaderName::from_static("webhook-signature"), signature);
        }
        Call { headers, ..Call::new(&webhook.endpoint, vec![part]) }.with(&webhook.headers).await
    }

    /// Sends the requests in their order. What is wrong with one only does not keep the others back.
    async fn send_all(&self, call: &Call<'_>, progress: &mut Progress) -> Outcome {
        for (place, part) in call.parts.iter().enumerate() {
            if progress.is_settled(place) {
                continue;
            }
            match self.http.send(call, part, &self.clock).await {
                http::Answer::Done => drop(progress.done.insert(place)),
                http::Answer::PartRefused(why) => drop(progress.refused.insert(place, why)),
                http::Answer::Failed(outcome) => return outcome,
            }
        }
        progress.outcome()
    }
}

fn value(text: &str) -> Result<HeaderValue, Outcome> {
    let bad = |_| Outcome::refused("a secret holds what cannot be sent in a header");
    let mut value = HeaderValue::from_str(text).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

/// What of a notice a receiver wants to hear; none if that is nothing.
fn wanted<'a>(receiver: &Receiver, notice: &'a Notice) -> Option<Cow<'a, Notice>> {
    if receiver.send_resolved || notice.resolved.is_empty() {
        return Some(Cow::Borrowed(notice));
    }
    let only = Notice { resolved: Vec::new(), ..notice.clone() };
    (!only.firing.is_empty()).then_some(Cow::Owned(only))
}
