//! Events for PagerDuty's Events API v2: one for each alert.
//!
//! An event's `dedup_key` is the alert's id, so that sending it again adds to the incident that is there
//! and makes no second one, and the end finds it. Limits: 512 KB, `summary` 1024, `dedup_key` 255
//! characters. Source: <https://developer.pagerduty.com/docs/events-api-v2-overview>.

use serde_json::{Value, json};
use sickbay_alert::{Item, Notice};

use super::words::{cut, line, span, thing, time};
use super::{Origin, Part, items};

const MAX_SUMMARY: usize = 1024;
const MAX_KEY: usize = 255;
/// Reasons together, in bytes; with 64 labels of 1 KiB an event stays far below 512 KB.
const MAX_REASONS: usize = 32 << 10;

/// The events, the worst first.
#[must_use]
pub fn parts(origin: &Origin, notice: &Notice, routing_key: &str) -> Vec<Part> {
    let event = |item| Part::json(&event(origin, notice, item, routing_key));
    items(notice).into_iter().map(event).collect()
}

fn event(origin: &Origin, notice: &Notice, item: &Item, routing_key: &str) -> Value {
    let key = cut(&item.alert.0, MAX_KEY);
    if item.ended.is_some() {
        return json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": key });
    }
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "payload": payload(notice, item),
        "client": "Sickbay",
    });
    if let Some(url) = origin.alert_url(&item.alert) {
        event["client_url"] = url.clone().into();
        event["links"] = json!([{ "href": url, "text": "The alert in Sickbay" }]);
    }
    event
}

fn payload(notice: &Notice, item: &Item) -> Value {
    let summary = format!("{}: {}", thing(&item.key), line(&item.summary));
    json!({
        "summary": cut(&summary, MAX_SUMMARY),
        "source": item.key.resource.as_str(),
        "severity": item.severity.as_str(),
        "timestamp": item.opened,
        "component": &*item.key.instance,
        "group": notice.groups.first(),
        "class": &*item.key.rule,
        "custom_details": {
            "why": cut(&item.explanation.join("\n"), MAX_REASONS),
            "what_to_do": item.advice.as_deref().map(|advice| cut(advice, MAX_REASONS)),
            "since": format!("{} ({})", time(item.opened), span(notice.at.since(item.opened))),
            "comes_and_goes": item.flapping,
            "labels": item.labels,
        },
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn an_event_for_each_alert() {
        let parts = parts(&sample::origin(), &sample::notice(), "R0");
        let bodies = parts.iter().map(|part| serde_json::from_str(&part.body).expect("JSON"));
        let bodies: Vec<Value> = bodies.collect();
        assert_eq!(bodies.len(), 3);
        expect![[r#"
            {
              "client": "Sickbay",
              "client_url": "https://sickbay.example.org/#/alerts/3513e5c7e15751e2-1a1fd65f540",
              "dedup_key": "3513e5c7e15751e2-1a1fd65f540",
              "event_action": "trigger",
              "links": [
                {
                  "href": "https://sickbay.example.org/#/alerts/3513e5c7e15751e2-1a1fd65f540",
                  "text": "The alert in Sickbay"
                }
              ],
              "payload": {
                "class": "gpu_ecc",
                "component": "GPU 3",
                "custom_details": {
                  "comes_and_goes": false,
                  "labels": {
                    "node": "gpu-07",
                    "rack": "r7",
                    "rule": "gpu_ecc",
                    "severity": "critical"
                  },
                  "since": "2026-11-21 09:18:00 UTC (12 min)",
                  "what_to_do": "Drain the node and reset the GPU.",
                  "why": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>"
                },
                "group": "default/on-call/{rule=\"gpu_ecc\"}",
                "severity": "critical",
                "source": "node/gpu-07",
                "summary": "node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors",
                "timestamp": "2026-11-21T09:18:00.000Z"
              },
              "routing_key": "R0"
            }
            {
              "dedup_key": "bf5d267f65c7bc9c-1a1fd65f540",
              "event_action": "resolve",
              "routing_key": "R0"
            }"#]]
        .assert_eq(&format!("{:#}\n{:#}", bodies[0], bodies[2]));
    }

    #[test]
    fn its_limits_are_kept() {
        for part in parts(&sample::origin(), &sample::huge(), "R0") {
            assert!(part.body.len() < 512_000, "{}", part.body.len());
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            let summary = body["payload"]["summary"].as_str().unwrap_or_default();
            assert!(summary.len() <= MAX_SUMMARY);
        }
    }
}
