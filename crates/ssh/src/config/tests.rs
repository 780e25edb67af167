use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{Asked, Config, ConfigError, ConfigFiles, HostConfig};

type Tree = BTreeMap<PathBuf, Vec<u8>>;

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
}

fn parse(tree: &Tree) -> Result<Config, ConfigError> {
    let home = Path::new("/home/me");
    let read = |path: &Path| Ok(tree.get(path).cloned());
    let list = |directory: &Path| {
        let names = tree.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let mut names: Vec<OsString> =
            names.filter_map(|path| Some(path.iter().next()?.to_owned())).collect();
        names.dedup();
        names
    };
    let files = ConfigFiles { read: &read, list: &list, home: Some(home) };
    Config::parse(&["/home/me/.ssh/config".into(), "/etc/ssh/ssh_config".into()], &files)
}

fn ask(config: &Config, host: &str) -> Result<HostConfig, ConfigError> {
    let (user, host) = match host.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, host),
    };
    let home = Some(Path::new("/home/me"));
    config.host(&Asked { host, user, port: None, local_user: "me", home })
}

/// What is set, a word each, without what is not.
fn show(found: &HostConfig) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, " {name}={value}");
        }
    };
    let paths = |paths: &[PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
    };
    put("host", found.hostname.clone());
    put("user", found.user.clone());
    put("port", found.port.map(|port| port.to_string()));
    put("keys", (!found.identity_files.is_empty()).then(|| paths(&found.identity_files)));
    put("no-keys", found.no_identity_files.then(String::new));
    put("only", found.identities_only.map(|only| only.to_string()));
    put("agent", found.identity_agent.clone());
    put("jump", found.proxy_jump.clone());
    put("command", found.proxy_command.as_ref().map(ToString::to_string));
    put("known", found.user_known_hosts.as_deref().map(paths));
    put("global", found.global_known_hosts.as_deref().map(paths));
    put("alias", found.host_key_alias.clone());
    put("strict", found.strict.map(|strict| format!("{strict:?}")));
    put("hash", found.hash_known_hosts.map(|hash| hash.to_string()));
    text
}

fn check(files: &[(&str, &str)], hosts: &[&str], expected: Expect) {
    let mut text = String::new();
    match parse(&tree(files)) {
        Err(error) => {
            let _ = writeln!(text, "{error}");
        }
        Ok(config) => {
            for notice in &config.notices {
                let _ = writeln!(text, "notice: {notice}");
            }
            for host in hosts {
                let found = match ask(&config, host) {
                    Ok(found) => show(&found),
                    Err(error) => format!(" error: {error}"),
                };
                let _ = writeln!(text, "{host}:{found}");
            }
        }
    }
    expected.assert_eq(&text);
}

const USER: &str = "/home/me/.ssh/config";
const SYSTEM: &str = "/etc/ssh/ssh_config";

#[test]
fn the_first_value_holds_and_blocks_are_for_their_hosts() {
    check(
        &[
            (
                USER,
                "User early\nHost gpu-* !gpu-9\n  User late\n  Port 2222\n  HostName %h.example.org\n\
                 Host gpu-1 other\n  Port 22\n  HostName 10.0.0.1\nHost *\n Port 4444\n",
            ),
            (SYSTEM, "Port 1\nHost other\n  HostKeyAlias Same\n"),
        ],
        &["gpu-1", "GPU-2", "gpu-9", "other", "root@other"],
        expect![[r#"
            gpu-1: host=gpu-1.example.org user=early port=2222
            GPU-2: host=GPU-2.example.org user=early port=2222
            gpu-9: user=early port=4444
            other: host=10.0.0.1 user=early port=22 alias=same
            root@other: host=10.0.0.1 user=root port=22 alias=same
        "#]],
    );
}

#[test]
fn paths_and_tokens_are_replaced() {
    check(
        &[(
            USER,
            "Host a\n HostName real\n User you\n Port 7\n IdentityFile ~/.ssh/%r@%h:%p-%n-%u\n\
             IdentityFile \"%d/my key\"\n IdentityFile ~/.ssh/%r@%h:%p-%n-%u\n IdentityFile /k%%\n\
             UserKnownHostsFile ~/.ssh/k1 ~/.ssh/k2\n GlobalKnownHostsFile none\n\
             IdentityAgent ~/agent\n IdentitiesOnly yes\nHost b\n IdentityFile none\n\
             IdentityAgent none\n IdentityFile relative\nHost c\n IdentityFile ~/%q\n\
             Host d\n IdentityAgent SSH_AUTH_SOCK\n HostName %h%\n",
        )],
        &["a", "b", "c", "d"],
        expect![[r#"
            a: host=real user=you port=7 keys=/home/me/.ssh/you@real:7-a-me,/home/me/my key,/k% only=true agent=/home/me/agent known=/home/me/.ssh/k1,/home/me/.ssh/k2 global=
            b: keys=/home/me/relative no-keys= agent=none
            c: error: /home/me/.ssh/config:18: %q in "~/%q" stands for nothing here
            d: error: /home/me/.ssh/config:21: "%h%" ends with a single %
        "#]],
    );
}

#[test]
fn jumps_and_commands() {
    check(
        &[(
            USER,
            "Host a\n ProxyJump you@gate:2222,[::1]:7\nHost b\n ProxyJump none\nHost c\n\
             ProxyCommand nc %h %p\nHost d\n ProxyCommand none\nHost *\n ProxyJump last\n",
        )],
        &["a", "b", "c", "d"],
        expect![[r#"
            a: jump=you@gate:2222,[::1]:7
            b: jump=none
            c: jump=last command=/home/me/.ssh/config:6
            d: jump=last
        "#]],
    );
}

#[test]
fn match_knows_hosts_and_users_and_executes_nothing() {
    check(
        &[(
            USER,
            "Host alias\n HostName real.example.org\nMatch host *.example.org,!x.example.org\n\
             Port 1\nMatch originalhost alias user root\n Port 2\n IdentityAgent /root\n\
             Match !user root\n IdentityAgent /others\nMatch exec \"touch /tmp/x\"\n Port 3\n\
             User evil\nMatch localuser me host=plain\n Port 4\nMatch final\n User last\n\
             Match tagged x\n User tagged\nMatch all\n HashKnownHosts yes\n",
        )],
        &["alias", "root@alias", "plain", "x.example.org"],
        expect![[r#"
            notice: /home/me/.ssh/config:10: the block of `Match exec` is skipped: nothing is executed
            notice: /home/me/.ssh/config:15: the block of `Match final` is skipped: only one pass is made
            notice: /home/me/.ssh/config:17: the block of `Match tagged` is skipped: not known here
            alias: host=real.example.org port=1 agent=/others hash=true
            root@alias: host=real.example.org user=root port=1 agent=/root hash=true
            plain: port=4 agent=/others hash=true
            x.example.org: agent=/others hash=true
        "#]],
    );
}

#[test]
fn other_files_are_included_in_place() {
    check(
        &[
            (
                USER,
                "Include conf.d/*.conf ~/more missing\nHost b\n Include inner\nPort 5\n\
                 Host *\n User last\n",
            ),
            ("/home/me/.ssh/conf.d/20.conf", "Host a\n Port 20\n"),
            ("/home/me/.ssh/conf.d/10.conf", "Host a\n Port 10\n"),
            ("/home/me/.ssh/conf.d/.hidden.conf", "Port 99\n"),
            ("/home/me/.ssh/conf.d/30.txt", "Port 30\n"),
            ("/home/me/more", "Host more\n Port 6\n"),
            ("/home/me/.ssh/inner", "HostName inner\nHost a\n HostName never\n"),
            (SYSTEM, "Include ssh_config.d/*.conf\n"),
            ("/etc/ssh/ssh_config.d/x.conf", "IdentitiesOnly yes\n"),
        ],
        &["a", "b", "more"],
        expect![[r#"
            a: user=last port=10 only=true
            b: host=inner user=last port=5 only=true
            more: user=last port=6 only=true
        "#]],
    );
}

#[test]
fn files_that_include_themselves_end() {
    let deep = "/home/me/.ssh/config:1: files include each other more than 16 deep";
    for text in ["Include config\n", "Include config\nInclude config\n"] {
        let error = parse(&tree(&[(USER, text)])).expect_err(text).to_string();
        assert_eq!(error, deep, "{text}");
    }
    let many: Vec<(String, String)> =
        (0..400).map(|i| (format!("/home/me/.ssh/d/{i}"), "Port 2\n".to_owned())).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    files.push((USER, "Include d/*\n"));
    let error = parse(&tree(&files)).expect_err("too many").to_string();
    assert!(error.contains("more than 256 config files"), "{error}");
}

#[test]
fn mistakes_are_told_with_their_place_to_those_they_concern() {
    check(
        &[(
            USER,
            "Host a\n Port 99999\nHost b\n Port\nHost c\n User \"open\nHost d\n \
             StrictHostKeyChecking perhaps\nHost e\n IdentitiesOnly 1\nHost f\n Compression maybe\n\
             NoSuchKeyword x\n",
        )],
        &["a", "b", "c", "d", "e", "f"],
        expect![[r#"
            a: error: /home/me/.ssh/config:2: Port "99999" is no number from 1 to 65535
            b: error: /home/me/.ssh/config:4: port without a value
            c: error: /home/me/.ssh/config:6: a " is not closed
            d: error: /home/me/.ssh/config:8: StrictHostKeyChecking "perhaps" is none of yes, ask, accept-new, no
            e: error: /home/me/.ssh/config:10: IdentitiesOnly "1" is neither yes nor no
            f:
        "#]],
    );
    for (text, expected) in [
        ("Host\n", "/home/me/.ssh/config:1: Host without a name"),
        ("\nMatch\n", "/home/me/.ssh/config:2: Match without a criterion"),
        ("Match host\n", "/home/me/.ssh/config:1: Match host without a value"),
        ("Host \"a\n", "/home/me/.ssh/config:1: a \" is not closed"),
    ] {
        assert_eq!(parse(&tree(&[(USER, text)])).expect_err(text).to_string(), expected);
    }
    let long = "#".repeat(super::MAX_FILE_BYTES + 1);
    let error = parse(&tree(&[(USER, &long)])).expect_err("too long").to_string();
    assert_eq!(error, "/home/me/.ssh/config is longer than 1048576 bytes");
}

#[test]
fn no_never_means_blindly() {
    check(
        &[(
            USER,
            "Host a\n StrictHostKeyChecking no\nHost b\n StrictHostKeyChecking accept-new\nHost c\n\
             StrictHostKeyChecking yes\nHost d\n StrictHostKeyChecking ask\n",
        )],
        &["a", "b", "c", "d"],
        expect![[r#"
            a: strict=AcceptNew
            b: strict=AcceptNew
            c: strict=Yes
            d: strict=Ask
        "#]],
    );
}

#[test]
fn named_hosts_are_those_without_patterns() {
    let config = parse(&tree(&[
        (USER, "Include more\nHost a b* !c d\nInclude more\nHost a\nMatch host m\n"),
        ("/home/me/.ssh/more", "Host e ?\n"),
    ]));
    assert_eq!(config.expect("parses").named_hosts(), ["e", "a", "d"]);
}

proptest! {
    #[test]
    fn no_bytes_break_a_promise(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        super::any_bytes(&bytes);
    }

    #[test]
    fn no_words_break_a_promise(words in proptest::collection::vec(
        prop_oneof![
            Just("Host"), Just("Match"), Just("Include config"), Just("Port"), Just("all"),
            Just("host"), Just("exec"), Just("!"), Just("*"), Just("\n"), Just("="), Just("\""),
            Just("%h"), Just("ProxyJump"), Just("IdentityFile"), Just("~/"), Just("#"), Just("\\"),
        ], 0..60)
    ) {
        super::any_bytes(words.join(" ").as_bytes());
    }
}
