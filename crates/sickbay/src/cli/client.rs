//! Asking a hub over HTTP.
//!
//! What must hold: the token goes to the configured address only (redirects are not followed), a
//! hub on loopback is never asked through a proxy, and an answer has a largest size.

use std::path::Path;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sickbay_hub::{Secret, TlsSettings};
use sickbay_wire::problem::Problem;
use sickbay_wire::v1::Page;

use super::{Context, Failure, exit_code, safe};
use crate::config::{Settings, read_secret_file};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Items of one page of a list, and the most pages that are read.
const PAGE_ITEMS: usize = 1000;
const MAX_PAGES: usize = 1000;
/// How often a hub that is asked too often is asked again, and after what time.
const MAX_BUSY_TRIES: u32 = 60;
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// A hub that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret>,
    named: bool,
}

/// Why a hub has no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// Nothing listens there.
    NoHub {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// It answered with a problem.
    Problem(Problem),
    /// It answered something else than a hub would.
    Strange(String),
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NoHub { address, reason } => Self::new(
                exit_code::UNAVAILABLE,
                format!("no hub answers at {address}: {reason}"),
            )
            .hint("start one with `sickbay up` (or `sickbay daemon start`), or name another with --server URL"),
            AskError::Problem(problem) => {
                let (code, hint) = match problem.status {
                    401 | 403 => (
                        exit_code::DENIED,
                        Some("put the hub's token into SICKBAY_TOKEN or name its file in SICKBAY_TOKEN_FILE"),
                    ),
                    404 => (exit_code::NOT_FOUND, Some("`sickbay health` lists what is watched")),
                    400..=499 => (exit_code::USAGE, None),
                    _ => (exit_code::UNAVAILABLE, None),
                };
                let failure = Self::new(code, problem.detail);
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            AskError::Strange(what) => Self::new(exit_code::UNAVAILABLE, what),
        }
    }
}

impl Client {
    /// The hub that this command should ask: `--server`, `SICKBAY_SERVER`, else the configured one.
    pub(crate) fn new(context: &Context, settings: &Settings) -> Result<Self, Failure> {
        let named = context.server_flag.clone();
        let named = named.or_else(|| context.environment.get("SICKBAY_SERVER").map(str::to_owned));
        let base = match &named {
            Some(text) => parse_address(text)?,
            None => configured_address(settings)?,
        };
        // The config's token is the local hub's; another hub gets only what was given for it.
        let token = match named.is_some() && !is_loopback(&base) {
            true => given_token(context)?,
            false => settings.hub.listen.token.clone(),
        };
        // One TLS provider for the whole program; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sickbay/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            builder = builder.no_proxy();
            if base.scheme() == "http" {
                // Nothing is asked by TLS then. A machine without CA certificates must not fail.
                builder = builder.tls_certs_only([]);
            }
        }
        if base.scheme() == "https"
            && let Some(certificate) = own_certificate(context, settings, &base)?
        {
            builder = builder.add_root_certificate(certificate);
        }
        let http = builder
            .build()
            .map_err(|error| Failure::internal(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self { http, base, token, named: named.is_some() })
    }

    /// Whether somebody named this hub, rather than the configuration.
    pub(crate) fn is_named(&self) -> bool {
        self.named
    }

    /// Where it asks.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Asks for a value.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, AskError> {
        let body = self.get_bytes(path, query).await?;
        serde_json::from_slice(&body).map_err(|error| {
            AskError::Strange(format!(
                "{} answered something that is not Sickbay's API ({error}); is it another version, \
                 or another program?",
                self.address()
            ))
        })
    }

    /// Asks for a value as it is sent.
    pub(crate) async fn get_bytes(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<u8>, AskError> {
        let work = async {
            let response = self.send(path, query, "application/json").await?;
            self.read(response).await
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, work).await {
            Ok(answer) => answer,
            Err(_) => Err(self.too_late()),
        }
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(
        &self,
        path: &str,
        last_event_id: Option<u64>,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, AskError>> + use<>, AskError> {
        let query: Vec<_> =
            last_event_id.map(|id| ("last_event_id", id.to_string())).into_iter().collect();
        let response = self.send(path, &query, "text/event-stream").await?;
        if !response.status().is_success() {
            return Err(self.problem(response).await);
        }
        let address = self.address().to_owned();
        Ok(response.bytes_stream().map(move |chunk| {
            let lost = |error: reqwest::Error| AskError::NoHub {
                address: address.clone(),
                reason: reason(&error),
            };
            chunk.map(|bytes| bytes.to_vec()).map_err(lost)
        }))
    }

    /// Asks for every item of a list, page by page.
    pub(crate) async fn get_all<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<T>, AskError> {
        let mut items = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let mut query = query.to_vec();
            query.push(("limit", PAGE_ITEMS.to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(items);
            }
        }
        Err(AskError::Strange(format!("the list at {path} of {} has no end", self.address())))
    }

    /// Changes something: sends a request and reads whatever is answered. A hub that is asked too
    /// often is given the time that it wants.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Vec<u8>, AskError> {
        self.change_by(method, path, &[], body).await
    }

    /// Like [`Self::change`], with a query.
    pub(crate) async fn change_by(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
    ) -> Result<Vec<u8>, AskError> {
        let json = |error: serde_json::Error| AskError::Strange(error.to_string());
        let body = body.map(serde_json::to_vec).transpose().map_err(json)?;
        let mut tries = 0;
        loop {
            let mut request = self.request(method.clone(), path, query, "application/json");
            if let Some(body) = &body {
                request = request.header("content-type", "application/json").body(body.clone());
            }
            let work = async { self.read(self.dispatch(request).await?).await };
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, work).await;
            match answer.unwrap_or_else(|_| Err(self.too_late())) {
                Err(AskError::Problem(problem))
                    if problem.status == StatusCode::TOO_MANY_REQUESTS.as_u16()
                        && tries < MAX_BUSY_TRIES =>
                {
                    tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    fn too_late(&self) -> AskError {
        AskError::Strange(format!(
            "the hub at {} did not answer within {} s",
            self.address(),
            ANSWER_TIMEOUT.as_secs()
        ))
    }

    async fn send(
        &self,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> Result<Response, AskError> {
        self.dispatch(self.request(Method::GET, path, query, accept)).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        accept: &str,
    ) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url).header("accept", accept);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn dispatch(&self, request: reqwest::RequestBuilder) -> Result<Response, AskError> {
        request.send().await.map_err(|error| AskError::NoHub {
            address: self.address().to_owned(),
            reason: reason(&error),
        })
    }

    async fn read(&self, response: Response) -> Result<Vec<u8>, AskError> {
        if !response.status().is_success() {
            return Err(self.problem(response).await);
        }
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                AskError::Strange(format!("the answer broke off: {}", reason(&error)))
            })?;
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(AskError::Strange(format!(
                    "the hub's answer is larger than {MAX_ANSWER_BYTES} bytes; ask for less"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn problem(&self, response: Response) -> AskError {
        let status = response.status();
        if status.is_redirection() {
            return AskError::Strange(format!(
                "{} answers with a redirect, which is not followed",
                self.address()
            ));
        }
        let body = response.bytes().await.unwrap_or_default();
        serde_json::from_slice(&body)
            .map_or_else(|_| AskError::Strange(strange(self.address(), status)), AskError::Problem)
    }
}

fn strange(address: &str, status: StatusCode) -> String {
    format!("{address} answers {status}, but not as a hub would; is it another program?")
}

/// The innermost reason of a failure: "Connection refused (os error 111)" rather than "error
/// sending request".
fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let text = reason.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn parse_address(text: &str) -> Result<Url, Failure> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Url::parse(&full)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            Failure::new(exit_code::USAGE, format!("{} is not the address of a hub", safe(text)))
                .hint("write http://HOST:PORT or https://HOST:PORT")
        })
}

/// Where a hub with these settings is found from this machine.
pub(crate) fn configured_address(settings: &Settings) -> Result<Url, Failure> {
    let listen = &settings.hub.listen;
    let mut addr = listen.addr;
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    parse_address(&format!("{scheme}://{addr}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

fn given_token(context: &Context) -> Result<Option<Secret>, Failure> {
    if let Some(token) = context.environment.get("SICKBAY_TOKEN") {
        return Ok(Some(Secret::new(token.to_owned())));
    }
    let Some(file) = context.environment.path("SICKBAY_TOKEN_FILE") else { return Ok(None) };
    let token = read_secret_file(&file).map_err(|why| {
        Failure::new(exit_code::FILE, format!("the token file {} {why}", file.display()))
    })?;
    Ok(Some(Secret::new(token)))
}

/// The certificate to trust beyond the system's: one named by `SICKBAY_CA_FILE`, or the one that a
/// hub on this machine made for itself.
fn own_certificate(
    context: &Context,
    settings: &Settings,
    base: &Url,
) -> Result<Option<reqwest::Certificate>, Failure> {
    let own = settings.hub.listen.tls == Some(TlsSettings::SelfSigned) && is_loopback(base);
    let made = own.then(|| settings.hub.data_dir.join("tls-certificate.pem"));
    let Some(file) = context.environment.path("SICKBAY_CA_FILE").or(made) else { return Ok(None) };
    read_certificate(&file).map(Some)
}

fn read_certificate(file: &Path) -> Result<reqwest::Certificate, Failure> {
    let failed = |why: String| {
        Failure::new(
            exit_code::FILE,
            format!("the certificate {} cannot be used: {why}", file.display()),
        )
    };
    let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    reqwest::Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, address, loopback) in [
            ("127.0.0.1:8790", "http://127.0.0.1:8790/", true),
            ("https://hub.example:8790", "https://hub.example:8790/", false),
            ("localhost:1", "http://localhost:1/", true),
            ("http://[::1]:8790", "http://[::1]:8790/", true),
        ] {
            let url = parse_address(text).expect(text);
            assert_eq!((url.as_str(), is_loopback(&url)), (address, loopback));
        }
        for text in ["", "ftp://x", "http://", "a b"] {
            assert!(parse_address(text).is_err(), "{text:?}");
        }
    }
}
