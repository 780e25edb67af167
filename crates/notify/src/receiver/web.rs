//! Receivers over plain HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

use super::ReceiverMistake;
use crate::{Endpoint, Secret, SecretError, Template};

/// A program that takes webhooks, signed as Standard Webhooks says if there is a secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Webhook {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// What its notices are signed with: the new one first, then such that are on their way out.
    pub secrets: Vec<SigningSecret>,
    /// What is sent.
    pub format: WebhookFormat,
    /// Sent along.
    pub headers: Vec<Header>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookFormat {
    /// As Alertmanager does: its body of version 4.
    #[default]
    Alertmanager,
    /// The same body as the data of a CloudEvent 1.0, in structured mode.
    CloudEvents,
}

/// What webhooks are signed with: `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks says, or
/// any other words as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SigningSecret(Secret);

impl SigningSecret {
    /// Checks what is known of it.
    ///
    /// # Errors
    /// If what follows `whsec_` is no key.
    pub fn new(secret: Secret) -> Result<Self, ReceiverMistake> {
        if let Some(text) = secret.known() {
            key(text).ok_or(ReceiverMistake::SigningSecret)?;
        }
        Ok(Self(secret))
    }

    /// The key. None if it is read from a file and is none.
    pub(crate) async fn key(&self) -> Result<Option<Vec<u8>>, SecretError> {
        Ok(key(&self.0.reveal().await?))
    }
}

fn key(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("whsec_") {
        Some(coded) => STANDARD.decode(coded).ok().filter(|key| (24..=64).contains(&key.len())),
        None => Some(text.as_bytes().to_vec()),
    }
}

/// A header that is sent along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header {
    #[serde(serialize_with = "name_text")]
    name: HeaderName,
    value: Secret,
}

fn name_text<S: Serializer>(name: &HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

impl Header {
    const RESERVED: [&str; 10] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "user-agent",
        "te",
        "upgrade",
        "trailer",
        "expect",
    ];

    /// A header; its value is a secret, because it mostly is.
    ///
    /// # Errors
    /// If it cannot be sent or is not the caller's to set.
    pub fn new(name: &str, value: Secret) -> Result<Self, ReceiverMistake> {
        let bad = || ReceiverMistake::HeaderName(name.to_owned());
        let parsed: HeaderName = name.parse().map_err(|_| bad())?;
        if Self::RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("webhook-") {
            return Err(ReceiverMistake::HeaderReserved(parsed.to_string()));
        }
        if value.known().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            return Err(bad());
        }
        Ok(Self { name: parsed, value })
    }

    /// Name and value, if it can be sent.
    pub(crate) async fn reveal(&self) -> Result<(HeaderName, Option<HeaderValue>), SecretError> {
        let text: Arc<str> = self.value.reveal().await?;
        let value = HeaderValue::from_str(&text).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Ok((self.name.clone(), value))
    }
}

/// How a body is handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
}

/// Some service over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Http {
    /// How.
    pub method: Method,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Sent along.
    pub headers: Vec<Header>,
    /// What is sent.
    pub preset: Preset,
}

/// What a service over HTTP is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Discord; the address is that of a channel's webhook.
    Discord,
    /// Telegram; the address is `https://api.telegram.org/bot<token>/sendMessage`.
    Telegram {
        /// To which chat: its number or `@name`.
        chat_id: String,
    },
    /// ntfy; the address is the server's, without the topic.
    Ntfy {
        /// To which topic.
        topic: String,
    },
    /// Microsoft Teams; the address is that of a workflow "when a Teams webhook request is received".
    Teams,
    /// A body of one's own; its content type is `application/json` or `text/plain`.
    Custom(Template),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::literal(text).expect("secret")
    }

    #[tokio::test]
    async fn signing_secrets() {
        let coded = SigningSecret::new(secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        let key = coded.expect("secret").key().await.expect("read").expect("key");
        assert_eq!(key.len(), 24);
        let plain = SigningSecret::new(secret("just words")).expect("secret");
        assert_eq!(plain.key().await.expect("read").as_deref(), Some(&b"just words"[..]));
        for bad in ["whsec_", "whsec_AAAA", "whsec_not base64!"] {
            let refused = SigningSecret::new(secret(bad));
            assert_eq!(refused, Err(ReceiverMistake::SigningSecret), "{bad}");
        }
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        assert!(Header::new("Authorization", secret("Bearer abc")).is_ok());
        for (name, value) in [
            ("a b", "x"),
            ("", "x"),
            ("x", "a\nb"),
            ("Host", "x"),
            ("Content-Length", "1"),
            ("webhook-signature", "x"),
        ] {
            assert!(Header::new(name, secret(value)).is_err(), "{name}");
        }
    }
}
