//! What receivers are sent: pure functions from a notice to bodies, each within its service's limits.
//!
//! Limits of length are kept in bytes of UTF-8: never less than what the services count (characters or
//! UTF-16 units). What finds no place is counted in the text, never left out silently. Whatever comes from
//! machines is data: control characters go, and what a service would take for markup or a mention is
//! escaped.

pub mod words;

pub mod webhook;

pub mod alertmanager;

pub mod slack;

pub mod pagerduty;

pub mod opsgenie;

pub mod preset;

pub mod email;

pub mod syslog;

#[cfg(test)]
mod sample;

use std::sync::Arc;

use ring::digest;
use serde_json::Value;
use sickbay_alert::{AlertId, Item, Notice};

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The hub's name, unique among those that a receiver hears of.
    pub hub: Arc<str>,
    /// Where people find the hub, without a slash at the end.
    pub url: Option<Arc<str>>,
}

impl Origin {
    /// Where people find an alert.
    #[must_use]
    pub fn alert_url(&self, id: &AlertId) -> Option<String> {
        self.url.as_ref().map(|url| format!("{url}/#/alerts/{id}"))
    }

    /// The name of a notice to one receiver, the same at each try, and at no other hub.
    #[must_use]
    pub fn message_id(&self, notice: &Notice) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        // Lengths first, so that parts cannot run into each other. The time, because a hub that lost
        // its memory counts from one again.
        for part in [&*self.hub, &*notice.receiver] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(&notice.id.0.to_be_bytes());
        hash.update(&notice.at.as_unix_ms().to_be_bytes());
        let digits = hash.finish().as_ref().iter().take(16).map(|it| format!("{it:02x}")).collect();
        ["msg_".to_owned(), digits].concat()
    }
}

/// One request's worth. It may hold secrets and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// What is added to the endpoint's path.
    pub path: String,
    /// Of what kind the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Part {
    pub(crate) const JSON: &str = "application/json";

    fn json(body: &Value) -> Self {
        Self { path: String::new(), content_type: Self::JSON, body: body.to_string() }
    }
}

/// All of a notice: what fires, the worst first, then what is over.
fn items(notice: &Notice) -> Vec<&Item> {
    let mut all: Vec<&Item> = notice.firing.iter().collect();
    all.sort_by_key(|item| std::cmp::Reverse(item.severity));
    all.extend(&notice.resolved);
    all
}
