//! Who can be told, and how: definitions that are valid by construction.
//!
//! A new kind of receiver is a variant of [`Kind`] here, a body in `payload`, and an arm in `deliver`.

mod service;
pub use service::{Alertmanager, Opsgenie, OpsgenieService, PagerDuty};

mod web;
pub use web::{Header, Http, Method, Preset, SigningSecret, Webhook, WebhookFormat};

mod mail;
pub use mail::{Email, Login, Security};

mod local;
pub use local::{Exec, File, Syslog, SyslogTarget};

use std::sync::Arc;

use serde::Serialize;

use crate::{Endpoint, EndpointMistake, SecretMistake, TemplateMistake};

/// One that notices are sent to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Receiver {
    /// Its name, as routes say it.
    pub name: Arc<str>,
    /// How it is reached.
    pub kind: Kind,
    /// Whether it is told the end of what it was told.
    pub send_resolved: bool,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A program that takes webhooks.
    Webhook(Webhook),
    /// A channel of Slack, by an incoming webhook.
    Slack(Endpoint),
    /// PagerDuty's Events API v2.
    PagerDuty(PagerDuty),
    /// Prometheus's Alertmanager, API v2.
    Alertmanager(Alertmanager),
    /// Jira Service Management's operations, or Opsgenie.
    Opsgenie(Opsgenie),
    /// Some other service over HTTP.
    Http(Http),
    /// People, by email.
    Email(Email),
    /// A program on this machine.
    Exec(Exec),
    /// A file on this machine, a line a notice.
    File(File),
    /// The system's log, or another machine's.
    Syslog(Syslog),
}

/// What is wrong with the definition of a receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiverMistake {
    /// Its secret.
    #[error("the secret: {0}")]
    Secret(#[from] SecretMistake),
    /// Its address.
    #[error("the address: {0}")]
    Endpoint(#[from] EndpointMistake),
    /// Its template.
    #[error("the template: {0}")]
    Template(#[from] TemplateMistake),
    /// Its signing secret.
    #[error(
        "the signing secret: what follows `whsec_` is no base64, or shorter than 24 bytes or longer than 64"
    )]
    SigningSecret,
    /// A header that cannot be sent.
    #[error("the header `{0}` cannot be sent")]
    HeaderName(String),
    /// A header that is set by the sending itself.
    #[error("the header `{0}` is set by the sending itself")]
    HeaderReserved(String),
    /// A path that means another file to each process.
    #[error("{0} is not an absolute path")]
    Relative(String),
    /// More than any program takes.
    #[error("more than {} arguments", Exec::MAX_ARGS)]
    TooManyArgs,
    /// No address of a mailbox.
    #[error("`{0}` is no mailbox: write NAME@HOST or \"Name <NAME@HOST>\"")]
    Mailbox(String),
    /// Nobody, or too many to be told.
    #[error("an email goes to 1 to {} mailboxes", Email::MAX_TO)]
    Recipients,
    /// A password that everybody on the way could read.
    #[error("a password is only sent over a secure connection: `tls` or `starttls`")]
    PlainPassword,
    /// There is no such facility.
    #[error("{0} is no facility of syslog: 0 to 23")]
    Facility(u8),
    /// No host and port.
    #[error("`{0}` is not HOST:PORT")]
    HostPort(String),
    /// An address that must not be called.
    #[error(transparent)]
    Local(#[from] crate::address::Forbidden),
}
