//! What Alertmanager's `POST /api/v2/alerts` takes.
//!
//! Sent again it is the same alert: its labels are its name. So a retry, or a second hub, does no harm.

use std::time::Duration;

use serde_json::{Value, json};
use sickbay_alert::Notice;

use super::webhook::alert;
use super::{Origin, Part, items};

/// Alerts in one request: far below Alertmanager's limit of a body.
const BATCH: usize = 64;

/// Its alerts. What fires holds for `holds_for` from the notice's time.
#[must_use]
pub fn parts(origin: &Origin, notice: &Notice, holds_for: Duration) -> Vec<Part> {
    let alerts: Vec<Value> = items(notice)
        .into_iter()
        .map(|item| {
            let alert = alert(origin, item);
            // It refuses an end before the beginning.
            let end = item.ended.unwrap_or_else(|| notice.at.plus(holds_for)).max(item.opened);
            json!({
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": item.opened,
                "endsAt": end,
                "generatorURL": origin.alert_url(&item.alert).unwrap_or_default(),
            })
        })
        .collect();
    let part = |batch: &[Value]| Part { path: PATH.to_owned(), ..Part::json(&json!(batch)) };
    alerts.chunks(BATCH).map(part).collect()
}

const PATH: &str = "/api/v2/alerts";

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn alerts_as_alertmanager_takes_them() {
        let mut notice = sample::notice();
        notice.firing.truncate(1);
        let parts = parts(&sample::origin(), &notice, Duration::from_secs(3600));
        let [part] = parts.as_slice() else { panic!("{} parts", parts.len()) };
        let body: Value = serde_json::from_str(&part.body).expect("JSON");
        expect![[r#"
            /api/v2/alerts [
              {
                "annotations": {
                  "advice": "Drain the node and reset the GPU.",
                  "description": "ecc_uncorrected is 2, at most 0 is well\nXID 48 & <63>",
                  "summary": "GPU 3 has 2 uncorrectable memory errors",
                  "title": "node/gpu-08 (GPU 3): gpu_ecc"
                },
                "endsAt": "2026-11-21T10:30:00.000Z",
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
                "startsAt": "2026-11-21T09:18:00.000Z"
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
                "startsAt": "2026-11-21T09:18:00.000Z"
              }
            ]"#]]
        .assert_eq(&format!("{} {body:#}", part.path));
        assert_eq!(super::parts(&sample::origin(), &sample::huge(), Duration::ZERO).len(), 5);
    }
}
