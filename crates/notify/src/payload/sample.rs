//! Notices for tests.

use std::sync::Arc;

use sickbay_alert::{AlertId, Item, Key, Notice, NoticeId, Severity};
use sickbay_model::{ResourceId, Timestamp};

use super::Origin;

/// 2026-11-21 09:30:00 UTC.
pub(crate) const AT: Timestamp = Timestamp::from_unix_ms(1_795_253_400_000);

pub(crate) fn origin() -> Origin {
    Origin { hub: "hub-1".into(), url: Some("https://sickbay.example.org".into()) }
}

fn minutes_ago(minutes: i64) -> Timestamp {
    Timestamp::from_unix_ms(AT.as_unix_ms() - minutes * 60_000)
}

pub(crate) fn item(node: &str, severity: Severity) -> Item {
    let resource = ResourceId::node(node).expect("id");
    let key = Key { rule: "gpu_ecc".into(), resource, instance: "GPU 3".into() };
    let opened = minutes_ago(12);
    Item {
        alert: AlertId::new(&key, opened),
        key,
        severity,
        labels: [
            ("rule", "gpu_ecc"),
            ("severity", severity.as_str()),
            ("node", node),
            ("rack", "r7"),
        ]
        .into_iter()
        .collect(),
        summary: "GPU 3 has 2 uncorrectable memory errors".to_owned(),
        explanation: vec![
            "ecc_uncorrected is 2, at most 0 is well".to_owned(),
            "XID 48 & <63>".to_owned(),
        ],
        advice: Some("Drain the node and reset the GPU.".to_owned()),
        opened,
        ended: None,
        why: None,
        again: false,
        flapping: false,
    }
}

pub(crate) fn notice() -> Notice {
    let warning = Item { again: true, flapping: true, ..item("gpu-08", Severity::Warning) };
    let over = Item {
        ended: Some(minutes_ago(2)),
        why: Some("the node was removed".to_owned()),
        ..item("gpu-09", Severity::Critical)
    };
    Notice {
        id: NoticeId(7),
        receiver: Arc::from("on-call"),
        groups: vec!["default/on-call/{rule=\"gpu_ecc\"}".to_owned()],
        labels: [("rule", "gpu_ecc")].into_iter().collect(),
        at: AT,
        firing: vec![warning, item("gpu-07", Severity::Critical)],
        resolved: vec![over],
        still_firing: 3,
        digest: false,
    }
}

/// As large as a notice can become.
pub(crate) fn huge() -> Notice {
    let wide = "🔥<&>\"".repeat(300);
    let items = |range: std::ops::Range<usize>| {
        range.map(|place| {
            let mut item = item(&format!("gpu-{place:04}"), Severity::Critical);
            for label in 0..if place < 20 { 60 } else { 0 } {
                item.labels.insert(&format!("label_{label}"), &wide);
            }
            item.summary = wide.repeat(3);
            item.explanation = vec![wide.repeat(2); 12];
            item.advice = Some(wide.repeat(3));
            item
        })
    };
    let over =
        items(250..300).map(|item| Item { ended: Some(AT), why: Some(wide.clone()), ..item });
    Notice { firing: items(0..250).collect(), resolved: over.collect(), ..notice() }
}
