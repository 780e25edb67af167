use super::*;

const NOW: i64 = 1_800_000_000_000;

/// A node as the API tells it, with one finding.
fn node(level: &str, ready: Option<bool>, findings: &[(&str, &str)]) -> ResourceDetail {
    let checks: Vec<_> = findings
        .iter()
        .map(|(check, message)| {
            serde_json::json!({
                "check": check, "instance": "", "component": "gpu", "status": "degraded",
                "points": 50.0, "message": message, "evidence": [], "advice": null,
                "since": "2027-01-15T08:00:00Z", "at": "2027-01-15T08:00:00Z", "took_ms": 1.0,
                "hard": true,
            })
        })
        .collect();
    serde_json::from_value(serde_json::json!({
        "id": "node/gpu-07", "kind": "node", "display_name": "gpu-07", "parent": null,
        "labels": {}, "level": level, "since": "2027-01-15T08:00:00Z",
        "score": (level != "unknown").then_some(72.0), "ready": ready,
        "finding_count": findings.len(), "headline": "", "last_check": "2027-01-15T08:00:00Z",
        "stale": null,
        "score_card": {
            "score": 72.0, "level": level, "uncapped": 72.0, "contributions": [], "caps": [],
            "unknown_reason": null,
        },
        "readiness": {
            "ready": ready.unwrap_or(false), "pass_rate_percent": 80.0, "required_percent": 90.0,
            "checks": [
                {"check": "reachable", "outcome": "passed", "message": "it answers"},
                {"check": "disk_ready", "outcome": "failed", "message": "/scratch is full"},
            ],
        },
        "checks": checks, "readings": [], "inventory": null, "processes": null, "probes": [],
        "children": [], "interval_seconds": 5.0, "active": false,
    }))
    .unwrap()
}

#[test]
fn what_is_ready_and_not_worse_than_degraded_passes() {
    for (level, ready, decision) in [
        ("healthy", Some(true), Decision::Pass),
        ("degraded", Some(true), Decision::Pass),
        ("unhealthy", Some(true), Decision::Refuse),
        ("critical", Some(true), Decision::Refuse),
        ("healthy", Some(false), Decision::Refuse),
        ("degraded", None, Decision::Unknown),
        ("unknown", Some(false), Decision::Unknown),
    ] {
        assert_eq!(judge(&node(level, ready, &[])).0, decision, "{level} {ready:?}");
    }
}

#[test]
fn the_reason_is_the_worst_finding_or_what_is_not_ready() {
    let findings = [("gpu_missing", "GPU 3 is gone"), ("cpu", "CPU is busy")];
    let (_, reason) = judge(&node("critical", Some(false), &findings));
    assert_eq!(reason, "critical, score 72.0, gpu_missing: GPU 3 is gone (and 1 more)");
    let (_, reason) = judge(&node("healthy", Some(false), &[]));
    assert_eq!(reason, "healthy, score 72.0, not ready: disk_ready: /scratch is full");
}

#[test]
fn only_a_fresh_verdict_counts() {
    let at = |seconds: i64| Timestamp::from_unix_ms(NOW + seconds * 1000);
    let mut node = node("healthy", Some(true), &[]);
    node.summary.last_check = Some(at(0));
    assert_eq!(freshness(&node, at(4), MAX_AGE).unwrap(), "the hub saw it 4 s ago");
    assert!(freshness(&node, at(149), MAX_AGE).is_ok());
    assert!(freshness(&node, at(151), MAX_AGE).unwrap_err().contains("too long ago"));
    let just_now = freshness(&node, at(0), Duration::from_millis(1));
    assert!(just_now.unwrap_err().contains("too long ago"), "a millisecond is never met");
    assert!(freshness(&node, at(-30), MAX_AGE).is_ok(), "the hub's clock may be ahead");
    node.summary.stale = Some("restored after a restart".to_owned());
    assert!(freshness(&node, at(4), MAX_AGE).unwrap_err().contains("restored after a restart"));
    node.summary.stale = None;
    node.summary.last_check = None;
    assert!(freshness(&node, at(4), MAX_AGE).unwrap_err().contains("not seen"));
}
