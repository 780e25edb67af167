//! Life in the background, where systemd does not run.

use crate::support::{Place, errors, json, text};

/// Stops what a failed test left running.
struct Cleanup<'a>(&'a Place);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["daemon", "stop"]);
    }
}

#[test]
fn start_status_restart_stop() {
    let place = Place::new();
    let _cleanup = Cleanup(&place);
    let started = place.run(&["daemon", "start", "--background"]);
    assert!(started.status.success(), "{}", errors(&started));
    assert!(text(&started).contains(&place.address), "{}", text(&started));
    let pid = |place: &Place| {
        let status: serde_json::Value = json(&place.run(&["daemon", "status", "--json"]));
        assert_eq!(status["running"], true, "{status}");
        status["hub"]["pid"].as_u64()
    };
    let first = pid(&place).expect("a pid");
    let again = place.run(&["daemon", "start", "--background"]);
    assert_eq!(again.status.code(), Some(75), "{}", errors(&again));
    let shown = text(&place.run(&["daemon", "status"]));
    for word in ["uptime", "version", "data", "in the background"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let restarted = place.run(&["daemon", "restart"]);
    assert!(restarted.status.success(), "{}", errors(&restarted));
    assert_ne!(pid(&place), Some(first));
    assert!(place.run(&["daemon", "stop"]).status.success());
    assert_eq!(place.run(&["daemon", "status"]).status.code(), Some(3));
    assert!(!place.data_dir().join("sickbay.pid").exists());
    assert!(place.run(&["daemon", "stop"]).status.success(), "stopping twice is no failure");
}

#[test]
fn a_start_that_fails_says_why() {
    let place = Place::new();
    let _other = std::net::TcpListener::bind(&place.address).unwrap();
    let started = place.run(&["daemon", "start", "--background"]);
    let said = errors(&started);
    assert_eq!(started.status.code(), Some(75), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert!(!place.data_dir().join("sickbay.pid").exists());
}
