//! One request.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Response, Url};
use sickbay_runtime::Clock;
use tokio::time::{Instant, timeout_at};

use super::answer::judge;
use super::{Call, MAX_ANSWER, Outcome, SenderError, TIMEOUT};
use crate::address::{CheckedResolver, Forbidden};
use crate::endpoint::EndpointError;
use crate::payload::Part;
use crate::receiver::Method;

/// How one request ended.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    /// This one is not to be sent again; the others may be better.
    PartRefused(String),
    /// The others would fare no better now.
    Failed(Outcome),
}

/// Two clients, because connections are kept: one that was opened for a receiver that may call this
/// machine is never another's.
#[derive(Debug)]
pub(super) struct Clients {
    checked: Client,
    local: Client,
}

impl Clients {
    pub(super) fn new(roots: &[Vec<u8>]) -> Result<Self, SenderError> {
        // One TLS provider for the whole program; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut certificates = Vec::new();
        for pem in roots {
            let more = Certificate::from_pem_bundle(pem);
            certificates.extend(more.map_err(|error| SenderError::Certificate(error.to_string()))?);
        }
        let checked = || builder().dns_resolver(CheckedResolver);
        Ok(Self {
            checked: client(checked, &certificates)?,
            local: client(builder, &certificates)?,
        })
    }

    /// Sends one request and says how it ended.
    pub(super) async fn send(&self, call: &Call<'_>, part: &Part, clock: &Clock) -> Answer {
        let url = match call.endpoint.url(&part.path).await {
            Ok(url) => url,
            Err(EndpointError::Secret(error)) => return Answer::Failed(error.into()),
            Err(error) => return Answer::Failed(Outcome::refused(error.to_string())),
        };
        let deadline = Instant::now() + TIMEOUT;
        let answer = match timeout_at(deadline, self.request(call, part, url.clone())).await {
            Err(_) => Answer::Failed(late()),
            Ok(Err(error)) => Answer::Failed(failure(error)),
            Ok(Ok(mut response)) => {
                // The status says it all; what comes too late of the rest is left.
                let mut said = Vec::new();
                let _ = timeout_at(deadline, read(&mut response, &mut said)).await;
                let said = String::from_utf8_lossy(&said);
                judge(response.status(), response.headers(), &said, clock.now_ms())
            }
        };
        answer.without(&secrets(call, &url))
    }

    async fn request(&self, call: &Call<'_>, part: &Part, url: Url) -> reqwest::Result<Response> {
        let client = if call.endpoint.allow_local() { &self.local } else { &self.checked };
        let request = match call.method {
            Method::Post => client.post(url),
            Method::Put => client.put(url),
        };
        let request = request.headers(call.headers.clone());
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static(part.content_type));
        request.body(part.body.clone()).send().await
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("sickbay/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // A proxy from the environment would resolve names itself, past the check of addresses.
        .no_proxy()
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(30))
}

/// A client; one that trusts nobody where the system has no certificates: plain HTTP must not fail for that.
fn client(
    builder: impl Fn() -> ClientBuilder,
    certificates: &[Certificate],
) -> Result<Client, SenderError> {
    let certificates = || certificates.iter().cloned();
    let with_system = builder().tls_certs_merge(certificates()).build();
    with_system
        .or_else(|_| builder().tls_certs_only(certificates()).build())
        .map_err(|error| SenderError::Client(innermost(&error)))
}

/// Reads the beginning of an answer.
async fn read(response: &mut Response, said: &mut Vec<u8>) {
    while said.len() < MAX_ANSWER {
        let Ok(Some(chunk)) = response.chunk().await else { return };
        let room = MAX_ANSWER - said.len();
        said.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
}

fn late() -> Outcome {
    Outcome::retry(format!("no answer within {} s", TIMEOUT.as_secs()))
}

/// What a request that got no answer means.
fn failure(error: reqwest::Error) -> Outcome {
    // Its address is as good as a password with many services.
    let error = error.without_url();
    if let Some(forbidden) = find::<Forbidden>(&error) {
        return Outcome::refused(forbidden.to_string());
    }
    if let Some(tls) = find::<rustls::Error>(&error) {
        return Outcome::retry(tls_text(tls));
    }
    if error.is_timeout() {
        return late();
    }
    let reason = innermost(&error);
    match () {
        () if error.is_builder() => {
            Outcome::refused(format!("the request cannot be made: {reason}"))
        }
        () if error.is_dns() => Outcome::retry(format!("its name cannot be resolved: {reason}")),
        () if error.is_connect() => Outcome::retry(format!("it cannot be reached: {reason}")),
        () => Outcome::retry(format!("the connection failed: {reason}")),
    }
}

fn tls_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            format!("its certificate is not trusted: {reason}")
        }
        other => format!("no secure connection: {other}"),
    }
}

/// The error of a type among an error's reasons.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    // What an I/O error carries is not among its reasons.
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let carried = carried.and_then(|inner| find::<T>(inner));
    carried.or_else(|| error.source().and_then(find::<T>))
}

/// "Connection refused" rather than "error sending request".
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let text = reason.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// The shortest words that are worth hiding, in bytes: shorter ones are in every text.
const MIN_HIDDEN: usize = 8;

/// What must not be told: keys, and what of the address is one with many services.
fn secrets(call: &Call<'_>, url: &Url) -> Vec<String> {
    // With `Bearer KEY` the key alone.
    let keys = call.secrets.iter().flat_map(|secret| secret.split_whitespace());
    let mut all: Vec<String> = keys.map(str::to_owned).collect();
    all.extend(url.password().map(str::to_owned));
    all.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
    all.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    // The words of an API, which tell nothing, stay.
    let known =
        ["alerts", "integration", "enqueue", "services", "webhooks", "sendMessage", "alias"];
    all.retain(|text| text.len() >= MIN_HIDDEN && !known.contains(&text.as_str()));
    all
}

impl Answer {
    /// Without secrets that an answer repeated.
    fn without(self, secrets: &[String]) -> Self {
        let hide = |why: String| secrets.iter().fold(why, |why, secret| why.replace(secret, "***"));
        match self {
            Self::Done => Self::Done,
            Self::PartRefused(why) => Self::PartRefused(hide(why)),
            Self::Failed(Outcome::Retry { after, why }) => {
                Self::Failed(Outcome::Retry { after, why: hide(why) })
            }
            Self::Failed(Outcome::Refused { why }) => {
                Self::Failed(Outcome::Refused { why: hide(why) })
            }
            Self::Failed(Outcome::Done) => Self::Failed(Outcome::Done),
        }
    }
}
