//! Host keys that are not known, or not what they were: two errors, each with what to do.

use crate::site::Site;
use crate::support::{errors, text};
use crate::watch::{is_fresh, rows, wait_row};
use crate::world::Hub;

#[test]
fn unknown_and_changed_keys_are_told_apart_and_never_accepted_in_silence() {
    let site = Site::new("torch: {mode: never}\n");
    let mut server = site.lab.sshd("");
    site.names("fresh", "127.0.0.1", server.port, "");
    let known = site.file("known_hosts");
    let hub = Hub::start(&site.place);
    let refused = hub.ask(&site.place, &["add", "node", "fresh"]);
    let said = errors(&refused);
    assert_eq!(refused.status.code(), Some(69), "{said}");
    for word in ["is not known", "SHA256:", "--accept-new", "ssh fresh"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!rows(&hub).contains_key("fresh") && !known.exists(), "nothing is done in silence");

    let added = hub.ask(&site.place, &["add", "node", "fresh", "--accept-new"]);
    assert!(added.status.success(), "{} {}", text(&added), errors(&added));
    let written = std::fs::read_to_string(&known).unwrap();
    assert_eq!(written.matches("ssh-ed25519").count(), 1, "{written}");
    wait_row(&hub, "fresh", "the hub trusts it too", is_fresh);

    // The machine was installed anew, or is another one.
    server.kill();
    for half in ["host", "host.pub"] {
        std::fs::remove_file(site.lab.path(half)).unwrap();
    }
    site.lab.key("host", "ed25519", "");
    server.start();
    let row = wait_row(&hub, "fresh", "the change is seen", |row| {
        row["headline"].as_str().is_some_and(|text| text.contains("has changed"))
    });
    let told = row["headline"].as_str().unwrap();
    assert!(told.contains("known_hosts:1") && told.contains("SHA256:"), "{told}");
    wait_row(&hub, "fresh", "it is not asked any more", |row| row["breaker"] == "open");
    let live = text(&site.place.run(&["check", "fresh", "127.0.0.1"]));
    assert!(live.contains("has changed"), "{live}");
    let forced = hub.ask(&site.place, &["add", "node", "again", "--host", "fresh", "--accept-new"]);
    assert!(!forced.status.success(), "a changed key is never accepted: {}", text(&forced));
    assert_eq!(std::fs::read_to_string(&known).unwrap(), written);
    hub.stop();
}
