//! Alerts for Jira Service Management's operations and for Opsgenie, which speak the same language.
//!
//! An alert's alias is its id: creating it again adds to the one that is there, and it is closed by it.
//! Limits: `message` 130, `alias` 512 (250 with Jira), `description` 15 000, `entity` 512, `details` 8000
//! characters together; 20 tags of 50. Source: <https://docs.opsgenie.com/docs/alert-api> and
//! <https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events/>.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sickbay_alert::{Item, Notice, Severity};

use super::words::{Words, cut, line, thing};
use super::{Origin, Part, items};

const MAX_MESSAGE: usize = 130;
const MAX_ALIAS: usize = 250;
const MAX_DESCRIPTION: usize = 15_000;
const MAX_ENTITY: usize = 512;
const MAX_DETAILS: usize = 8000;
const MAX_TAG: usize = 50;

/// The requests: an alert to be created, or one to be closed, each.
#[must_use]
pub fn parts(origin: &Origin, notice: &Notice) -> Vec<Part> {
    items(notice).into_iter().map(|item| part(origin, notice, item)).collect()
}

fn part(origin: &Origin, notice: &Notice, item: &Item) -> Part {
    let alias = cut(&item.alert.0, MAX_ALIAS);
    if item.ended.is_some() {
        let note = item.why.as_deref().map_or_else(|| "It is well again.".to_owned(), line);
        let close = json!({ "source": &*origin.hub, "note": note });
        // An id of an alert is hexadecimal digits and a dash: nothing to be escaped in a path.
        let path = format!("/{alias}/close?identifierType=alias");
        return Part { path, ..Part::json(&close) };
    }
    Part::json(&json!({
        "message": cut(&format!("{}: {}", thing(&item.key), line(&item.summary)), MAX_MESSAGE),
        "alias": alias,
        "description": Words::of_one(origin, notice, item).text(MAX_DESCRIPTION),
        "priority": priority(item.severity),
        "source": cut(&origin.hub, 100),
        "entity": cut(item.key.resource.as_str(), MAX_ENTITY),
        "tags": [cut(&item.key.rule, MAX_TAG), item.severity.as_str()],
        "details": details(item),
    }))
}

const fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::Warning => "P3",
        Severity::Info => "P5",
    }
}

/// The labels that find a place.
fn details(item: &Item) -> Value {
    let mut used = 0;
    let labels = item.labels.iter().take_while(|(name, value)| {
        used += name.len() + value.len();
        used <= MAX_DETAILS
    });
    json!(labels.collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn an_alert_is_created_and_closed() {
        let parts = parts(&sample::origin(), &sample::notice());
        let shown = parts.iter().map(|part| {
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            format!("{} {body:#}", part.path)
        });
        let shown: Vec<String> = shown.collect();
        assert_eq!(shown.len(), 3);
        expect![[r#"
             {
              "alias": "3513e5c7e15751e2-1a1fd65f540",
              "description": "CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nSince 2026-11-21 09:18:00 UTC (12 min)\nWhy: ecc_uncorrected is 2, at most 0 is well\nWhy: XID 48 & <63>\nWhat to do: Drain the node and reset the GPU.\n\nhttps://sickbay.example.org/#/alerts/3513e5c7e15751e2-1a1fd65f540",
              "details": {
                "node": "gpu-07",
                "rack": "r7",
                "rule": "gpu_ecc",
                "severity": "critical"
              },
              "entity": "node/gpu-07",
              "message": "node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors",
              "priority": "P1",
              "source": "hub-1",
              "tags": [
                "gpu_ecc",
                "critical"
              ]
            }
            /bf5d267f65c7bc9c-1a1fd65f540/close?identifierType=alias {
              "note": "the node was removed",
              "source": "hub-1"
            }"#]].assert_eq(&format!("{}\n{}", shown[0], shown[2]));
    }

    #[test]
    fn its_limits_are_kept() {
        for part in parts(&sample::origin(), &sample::huge()).iter().filter(|it| it.path.is_empty())
        {
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            let length = |name: &str| body[name].as_str().expect(name).len();
            assert!(length("message") <= MAX_MESSAGE && length("description") <= MAX_DESCRIPTION);
            assert!(length("alias") <= MAX_ALIAS && body["details"].to_string().len() < 16_000);
        }
    }
}
