//! The body that Alertmanager's webhooks have, version 4; also as the data of a CloudEvent.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>. Programs and files on
//! this machine get the same.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use sickbay_alert::{Item, Notice};
use sickbay_model::Timestamp;

use super::words::{cut, thing};
use super::{Origin, Part, items};

/// The largest body, in bytes, but for one alert that is larger alone.
const MAX_BYTES: usize = 1 << 20;
/// Reasons of one alert together, in bytes.
const MAX_DESCRIPTION: usize = 16 << 10;

type Pairs = BTreeMap<String, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    status: &'static str,
    pub(super) labels: Pairs,
    pub(super) annotations: Pairs,
    starts_at: Timestamp,
    #[serde(serialize_with = "end")]
    ends_at: Option<Timestamp>,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// Go's zero time stands for no end.
fn end<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => at.serialize(serializer),
        None => serializer.serialize_str("0001-01-01T00:00:00Z"),
    }
}

/// The body of version 4. What finds no place in 1 MiB is counted in `truncatedAlerts`.
#[must_use]
pub fn body(origin: &Origin, notice: &Notice) -> Value {
    let (mut alerts, mut used) = (Vec::new(), 0);
    let items = items(notice);
    for item in &items {
        let alert = json!(alert(origin, item));
        used += alert.to_string().len();
        if used > MAX_BYTES && !alerts.is_empty() {
            break;
        }
        alerts.push(alert);
    }
    json!({
        "version": "4",
        "groupKey": group_key(notice),
        "truncatedAlerts": items.len() - alerts.len(),
        "status": if notice.firing.is_empty() { "resolved" } else { "firing" },
        "receiver": &*notice.receiver,
        "groupLabels": notice.labels,
        "commonLabels": common(items.iter().map(|item| labels(item))),
        "commonAnnotations": common(items.iter().map(|item| annotations(item))),
        "externalURL": origin.url.as_deref().unwrap_or_default(),
        "alerts": alerts,
    })
}

/// The body of version 4 as one request.
#[must_use]
pub fn part(origin: &Origin, notice: &Notice) -> Part {
    Part::json(&body(origin, notice))
}

/// The same as a CloudEvent 1.0.
#[must_use]
pub fn cloud_event(origin: &Origin, notice: &Notice) -> Part {
    let event = json!({
        "specversion": "1.0",
        "id": origin.message_id(notice),
        "source": origin.url.as_deref().map_or_else(|| "urn:sickbay:hub".to_owned(), str::to_owned),
        "type": "sickbay.notice.v4",
        "time": notice.at,
        "subject": group_key(notice),
        "datacontenttype": Part::JSON,
        "data": body(origin, notice),
    });
    Part { content_type: "application/cloudevents+json", ..Part::json(&event) }
}

fn group_key(notice: &Notice) -> String {
    match notice.groups.as_slice() {
        [one] => one.clone(),
        _ => format!("digest/{}/{}", notice.receiver, notice.id.0),
    }
}

pub(super) fn alert(origin: &Origin, item: &Item) -> Alert {
    Alert {
        status: if item.ended.is_some() { "resolved" } else { "firing" },
        labels: labels(item),
        annotations: annotations(item),
        starts_at: item.opened,
        ends_at: item.ended,
        generator_url: origin.alert_url(&item.alert).unwrap_or_default(),
        fingerprint: item.key.fingerprint(),
    }
}

/// Its own, and those that every alert of Alertmanager's world has.
fn labels(item: &Item) -> Pairs {
    let given = [
        ("alertname", &*item.key.rule),
        ("severity", item.severity.as_str()),
        ("resource", item.key.resource.as_str()),
        ("instance", &*item.key.instance),
    ];
    let all = given.into_iter().chain(item.labels.iter());
    let all = all.filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn annotations(item: &Item) -> Pairs {
    let description = cut(&item.explanation.join("\n"), MAX_DESCRIPTION);
    let said = [
        ("summary", Some(cut(&item.summary, MAX_DESCRIPTION))),
        ("title", Some(format!("{}: {}", thing(&item.key), item.key.rule))),
        ("description", Some(description).filter(|it| !it.is_empty())),
        ("advice", item.advice.as_deref().map(|it| cut(it, MAX_DESCRIPTION))),
        ("ended", item.why.as_deref().map(|it| cut(it, MAX_DESCRIPTION))),
    ];
    said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
}

fn common(mut all: impl Iterator<Item = Pairs>) -> Pairs {
    let mut common = all.next().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn version_4() {
        let body = body(&sample::origin(), &sample::notice());
        expect![[r#"
            {
              "alerts": [
                {
                  "annotations": {
                    "advice": "Drain the node and reset the GPU.",
                    "description": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>",
                    "summary": "GPU 3 has 2 uncorrectable memory errors",
                    "title": "node/gpu-07 (GPU 3): gpu_ecc"
                  },
                  "endsAt": "0001-01-01T00:00:00Z",
                  "fingerprint": "3513e5c7e15751e2",
                  "generatorURL": "https://sickbay.example.org/#/alerts/3513e5c7e15751e2-1a1fd65f540",
                  "labels": {
                    "alertname": "gpu_ecc",
                    "instance": "GPU 3",
                    "node": "gpu-07",
                    "rack": "r7",
                    "resource": "node/gpu-07",
                    "rule": "gpu_ecc",
                    "severity": "critical"
                  },
                  "startsAt": "2026-11-21T09:18:00.000Z",
                  "status": "firing"
                },
                {
                  "annotations": {
                    "advice": "Drain the node and reset the GPU.",
                    "description": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>",
                    "summary": "GPU 3 has 2 uncorrectable memory errors",
                    "title": "node/gpu-08 (GPU 3): gpu_ecc"
                  },
                  "endsAt": "0001-01-01T00:00:00Z",
                  "fingerprint": "d3f7150b36d0857d",
                  "generatorURL": "https://sickbay.example.org/#/alerts/d3f7150b36d0857d-1a1fd65f540",
                  "labels": {
                    "alertname": "gpu_ecc",
                    "instance": "GPU 3",
                    "node": "gpu-08",
                    "rack": "r7",
                    "resource": "node/gpu-08",
                    "rule": "gpu_ecc",
                    "severity": "warning"
                  },
                  "startsAt": "2026-11-21T09:18:00.000Z",
                  "status": "firing"
                },
                {
                  "annotations": {
                    "advice": "Drain the node and reset the GPU.",
                    "description": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>",
                    "ended": "the node was removed",
                    "summary": "GPU 3 has 2 uncorrectable memory errors",
                    "title": "node/gpu-09 (GPU 3): gpu_ecc"
                  },
                  "endsAt": "2026-11-21T09:28:00.000Z",
                  "fingerprint": "bf5d267f65c7bc9c",
                  "generatorURL": "https://sickbay.example.org/#/alerts/bf5d267f65c7bc9c-1a1fd65f540",
                  "labels": {
                    "alertname": "gpu_ecc",
                    "instance": "GPU 3",
                    "node": "gpu-09",
                    "rack": "r7",
                    "resource": "node/gpu-09",
                    "rule": "gpu_ecc",
                    "severity": "critical"
                  },
                  "startsAt": "2026-11-21T09:18:00.000Z",
                  "status": "resolved"
                }
              ],
              "commonAnnotations": {
                "advice": "Drain the node and reset the GPU.",
                "description": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>",
                "summary": "GPU 3 has 2 uncorrectable memory errors"
              },
              "commonLabels": {
                "alertname": "gpu_ecc",
                "instance": "GPU 3",
                "rack": "r7",
                "rule": "gpu_ecc"
              },
              "externalURL": "https://sickbay.example.org",
              "groupKey": "default/on-call/{rule=\"gpu_ecc\"}",
              "groupLabels": {
                "rule": "gpu_ecc"
              },
              "receiver": "on-call",
              "status": "firing",
              "truncatedAlerts": 0,
              "version": "4"
            }"#]]
        .assert_eq(&format!("{body:#}"));
    }

    #[test]
    fn as_a_cloud_event() {
        let part = cloud_event(&sample::origin(), &sample::notice());
        let mut event: Value = serde_json::from_str(&part.body).expect("JSON");
        assert_eq!(event["data"].take()["version"], "4");
        expect![[r#"
            {
              "data": null,
              "datacontenttype": "application/json",
              "id": "msg_ea355f9bddbe88b1fe843fec0e967078",
              "source": "https://sickbay.example.org",
              "specversion": "1.0",
              "subject": "default/on-call/{rule=\"gpu_ecc\"}",
              "time": "2026-11-21T09:30:00.000Z",
              "type": "sickbay.notice.v4"
            }"#]]
        .assert_eq(&format!("{event:#}"));
    }

    #[test]
    fn what_finds_no_place_is_counted() {
        let body = body(&sample::origin(), &sample::huge());
        let kept = body["alerts"].as_array().expect("alerts").len();
        assert_eq!(body["truncatedAlerts"], 300 - kept);
        assert!(kept > 1 && body.to_string().len() < MAX_BYTES + (256 << 10), "{kept}");
    }
}
