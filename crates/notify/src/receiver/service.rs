//! Services that have a way of their own to be told of alerts.

use std::time::Duration;

use serde::Serialize;

use super::{Header, ReceiverMistake};
use crate::{Endpoint, Secret};

/// A service of PagerDuty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PagerDuty {
    /// The integration key: which service it is, and the right to tell it.
    pub routing_key: Secret,
    /// Where it listens.
    pub endpoint: Endpoint,
}

impl PagerDuty {
    /// Where PagerDuty listens. In its European region: `https://events.eu.pagerduty.com/v2/enqueue`.
    pub const URL: &str = "https://events.pagerduty.com/v2/enqueue";

    /// A service at PagerDuty's usual address.
    ///
    /// # Errors
    /// Never: the address is good.
    pub fn new(routing_key: Secret) -> Result<Self, ReceiverMistake> {
        Ok(Self { routing_key, endpoint: Endpoint::public(Self::URL)? })
    }
}

/// An Alertmanager. It forgets what it is not told again, so that its route's `repeat` must be shorter
/// than `holds_for`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alertmanager {
    /// Where it listens, without `/api/v2/alerts`.
    pub endpoint: Endpoint,
    /// For how long it is to believe that an alert fires without hearing of it again.
    pub holds_for: Duration,
    /// Sent along.
    pub headers: Vec<Header>,
}

impl Alertmanager {
    /// Three times as long as a route waits by default before it tells again.
    pub const HOLDS_FOR: Duration = Duration::from_secs(12 * 3600);

    /// One without headers that believes for as long as usual.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, holds_for: Self::HOLDS_FOR, headers: Vec::new() }
    }
}

/// Which of the services that speak Opsgenie's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpsgenieService {
    /// Jira Service Management's operations.
    Jsm,
    /// Opsgenie, which ends in April 2027.
    Legacy,
    /// Opsgenie in Europe, which ends in April 2027.
    LegacyEurope,
}

impl OpsgenieService {
    /// Where it listens.
    #[must_use]
    pub const fn url(self) -> &'static str {
        match self {
            Self::Jsm => "https://api.atlassian.com/jsm/ops/integration/v2/alerts",
            Self::Legacy => "https://api.opsgenie.com/v2/alerts",
            Self::LegacyEurope => "https://api.eu.opsgenie.com/v2/alerts",
        }
    }
}

/// A team that is told through Jira Service Management or Opsgenie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opsgenie {
    /// The key of an API integration.
    pub key: Secret,
    /// Where alerts are created.
    pub endpoint: Endpoint,
}

impl Opsgenie {
    /// A team at a service's usual address.
    ///
    /// # Errors
    /// Never: the addresses are good.
    pub fn new(key: Secret, service: OpsgenieService) -> Result<Self, ReceiverMistake> {
        Ok(Self { key, endpoint: Endpoint::public(service.url())? })
    }
}
