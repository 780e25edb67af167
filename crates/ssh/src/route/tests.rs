use std::path::{Path, PathBuf};

use sickbay_model::SshTarget;

use super::{Route, resolve};
use crate::SshSettings;
use crate::config::{Config, ConfigFiles};

fn settings() -> SshSettings {
    SshSettings {
        home: Some("/home/me".into()),
        user: "me".to_owned(),
        agent_socket: Some("/agent".into()),
        known_hosts: vec!["/known".into()],
        ..SshSettings::default()
    }
}

fn way(config: &str, target: &SshTarget) -> Result<Route, String> {
    let read = |_: &Path| Ok(Some(config.as_bytes().to_vec()));
    let list = |_: &Path| Vec::new();
    let files = ConfigFiles { read: &read, list: &list, home: Some(Path::new("/home/me")) };
    let config = Config::parse(&[PathBuf::from("/config")], &files).expect("parses");
    resolve(target, &config, &settings()).map_err(|error| error.message)
}

fn to(host: &str) -> SshTarget {
    SshTarget { host: host.to_owned(), ..SshTarget::default() }
}

#[test]
fn ways_go_over_the_hosts_that_are_written() {
    let config = "Host a\n ProxyJump gate\nHost gate\n HostName 10.0.0.1\n User jumper\n ProxyJump outer:2222\n\
        Host many\n ProxyJump one,you@two:7,[::1]:8\nHost plain\n ProxyJump none\n\
        Host command\n ProxyCommand nc %h %p\nHost both\n ProxyCommand nc\n ProxyJump gate2\n\
        Host circle\n ProxyJump circle\nHost odd\n ProxyJump a@:x\nHost uri\n ProxyJump ssh://u@h:9\n\
        Host wrong\n Port x\nHost tokens\n User x\n HostName %n.lan\n ProxyJump %r@gate-%n:2%p\n\
        Host zone\n ProxyJump fe80::1%eth0\n";
    for (host, expected) in [
        ("a", "me@outer:2222 > jumper@10.0.0.1:22 > me@a:22"),
        ("many", "me@one:22 > you@two:7 > me@[::1]:8 > me@many:22"),
        ("plain", "me@plain:22"),
        ("both", "me@gate2:22 > me@both:22"),
        ("uri", "u@h:9 > me@uri:22"),
        ("command", "/config:12 sets a ProxyCommand for command, which is not executed"),
        (
            "circle",
            "more than 8 hosts to jump over on the way to circle: does ProxyJump go in a circle?",
        ),
        ("odd", "\"a@:x\" is no host to jump over (ProxyJump of odd)"),
        (
            "wrong",
            "the SSH config has a mistake: /config:23: Port \"x\" is no number from 1 to 65535",
        ),
        ("tokens", "x@gate-tokens:222 > x@tokens.lan:22"),
        (
            "zone",
            "the SSH config has a mistake: /config:29: %e in \"fe80::1%eth0\" stands for nothing here",
        ),
        ("", "the node has no host to connect to"),
    ] {
        let found = way(config, &to(host)).map_or_else(
            |error| error,
            |way| {
                let hops = way.jumps.iter().chain([&way.target]);
                hops.map(super::Hop::address).collect::<Vec<_>>().join(" > ")
            },
        );
        assert_eq!(found, expected, "{host}");
    }
}

#[test]
fn the_target_comes_before_the_config() {
    let config = "Host a\n User c\n Port 7\n ProxyJump gate\n IdentityFile /k1\n";
    let target = SshTarget {
        host: "a".to_owned(),
        port: Some(8),
        user: Some("t".to_owned()),
        identity_file: Some("~/k0".to_owned()),
        proxy_jump: Some("none".to_owned()),
    };
    let way = way(config, &target).expect("resolves");
    assert!(way.jumps.is_empty());
    assert_eq!(way.target.address(), "t@a:8");
    assert_eq!(way.target.keys.files, [Path::new("/home/me/k0"), Path::new("/k1")]);
}

#[test]
fn keys_and_known_hosts_have_defaults() {
    let way_to = |config: &str| way(config, &to("Host.Example")).expect("resolves").target;
    let plain = way_to("");
    assert_eq!(plain.keys.files.len(), 3);
    assert!(!plain.keys.named && !plain.keys.only);
    assert_eq!(plain.keys.agent.as_deref(), Some(Path::new("/agent")));
    assert_eq!(plain.trust.name, "host.example");
    assert_eq!(plain.trust.files, [Path::new("/known")]);
    assert!(!plain.trust.accept_new);

    let set = way_to(
        "IdentityFile none\nIdentityAgent none\nPort 7\nUserKnownHostsFile /a /b\n\
         GlobalKnownHostsFile /c /known\nStrictHostKeyChecking no\n",
    );
    assert!(set.keys.files.is_empty() && set.keys.agent.is_none());
    assert_eq!(set.trust.name, "[host.example]:7");
    assert_eq!(set.trust.name_without_port.as_deref(), Some("host.example"));
    assert_eq!(set.trust.files, ["/a", "/b", "/c", "/known"].map(PathBuf::from));
    assert_eq!(set.trust.writable.as_deref(), Some(Path::new("/a")));
    assert!(set.trust.accept_new);

    let alias = way_to("HostKeyAlias Cluster\nPort 7\nIdentityAgent SSH_AUTH_SOCK\n");
    assert_eq!(alias.trust.name, "cluster");
    assert_eq!(alias.keys.agent.as_deref(), Some(Path::new("/agent")));
}
