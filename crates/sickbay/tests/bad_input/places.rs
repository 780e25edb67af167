//! Ports and directories that cannot be had.

use std::net::TcpListener;

use crate::support::{Place, errors};
use crate::world::{Hub, place};

#[test]
fn a_port_that_another_program_has_is_said_with_its_owner() {
    let place = Place::new();
    let _other = TcpListener::bind(&place.address).unwrap();
    let output = place.run(&["up"]);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains(&place.address) && said.contains("in use"), "what, on what: {said}");
    assert!(said.contains("--listen") && said.contains("ss -ltnp"), "what to do: {said}");
    assert!(said.contains(&format!("process {} ", std::process::id())), "who: {said}");
    // The data directory is free again at once.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = place.command(&["up"]);
    command.env("SICKBAY_LISTEN", free);
    Hub::start_by(&place, command).stop();
}

#[test]
fn a_data_directory_in_use_is_said_with_its_owner_and_not_disturbed() {
    let place = place("");
    let hub = Hub::start(&place);
    let second = place.run(&["up"]);
    let said = errors(&second);
    assert_eq!(second.status.code(), Some(75), "{said}");
    for word in [&hub.pid().to_string(), &hub.address, "in use", "--data-dir"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    hub.await_look();
    assert_eq!(hub.json("/api/v1/hub")["store"]["status"], "healthy");
    hub.stop();
}

#[test]
fn a_data_directory_that_is_none_is_said_and_the_hub_goes_on_without() {
    for name in ["file", "file/below"] {
        let place = place("");
        let file = place.dir.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        let mut command = place.command(&["up"]);
        command.env("SICKBAY_DATA_DIR", place.dir.path().join(name));
        let hub = Hub::start_by(&place, command);
        let event = hub.await_event("COORDINATOR_UNHEALTHY", "Nothing is kept on disk");
        let message = event["message"].as_str().unwrap();
        assert!(message.contains(&file.display().to_string()), "{name}: {message}");
        assert_ne!(hub.json("/api/v1/hub")["store"]["status"], "healthy", "{name}");
        hub.await_look();
        hub.stop();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious", "{name}");
    }
}

#[test]
fn a_data_directory_is_made_with_its_parents() {
    let place = place("");
    let deep = place.dir.path().join("not/there/yet");
    let mut command = place.command(&["up"]);
    command.env("SICKBAY_DATA_DIR", &deep);
    Hub::start_by(&place, command).stop();
    assert!(deep.join("sickbay.db").is_file());
}
