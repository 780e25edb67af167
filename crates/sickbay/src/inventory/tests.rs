//! Inventories as tables of cases: what is written, and which nodes come of it.

use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, group: Option<&str>, expected: &Expect) {
    let shown = match ansible(text, None, group) {
        Ok(Imported { nodes, remarks }) => {
            let mut shown = String::new();
            for node in nodes {
                let labels: Vec<_> =
                    node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let key = node.identity_file.map(|file| format!(" key {file}")).unwrap_or_default();
                let jump = node.proxy_jump.map(|jump| format!(" over {jump}")).unwrap_or_default();
                shown.push_str(&format!(
                    "{} = {}@{}:{}{key}{jump} [{}]\n",
                    node.name,
                    node.user.as_deref().unwrap_or("-"),
                    node.host.as_deref().unwrap_or("-"),
                    node.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
                    labels.join(" ")
                ));
            }
            for remark in remarks {
                shown.push_str(&format!("! {remark}\n"));
            }
            shown
        }
        Err(error) => format!("refused: {error:?}\n"),
    };
    expected.assert_eq(&shown);
}

const INI: &str = "\
# The fleet
bastion ansible_host=203.0.113.5 ansible_user=ops

[gpu]
gpu-[01:03].example rack=a   # three of them
gpu-04.example:2222 ansible_host=10.0.0.4 ansible_user='ada lovelace'

[cpu]
cpu-[a:b] ansible_port=22
gpu-01.example

[train:children]
gpu
cpu

[train:vars]
ansible_user = trainer
ansible_ssh_common_args = '-o ForwardAgent=no -o ProxyJump=bastion'

[gpu:vars]
ansible_ssh_private_key_file=/keys/gpu
ansible_become_password=hunter2

[all:vars]
ansible_port=22022
ansible_user=nobody
";

#[test]
fn an_ini_inventory() {
    check(
        INI,
        None,
        &expect![[r#"
        bastion = ops@203.0.113.5:22022 []
        gpu-01.example = trainer@gpu-01.example:22022 key /keys/gpu over bastion [ansible_group=gpu ansible_group.cpu=yes ansible_group.gpu=yes ansible_group.train=yes]
        gpu-02.example = trainer@gpu-02.example:22022 key /keys/gpu over bastion [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        gpu-03.example = trainer@gpu-03.example:22022 key /keys/gpu over bastion [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        cpu-a = trainer@cpu-a:22 over bastion [ansible_group=cpu ansible_group.cpu=yes ansible_group.train=yes]
        cpu-b = trainer@cpu-b:22 over bastion [ansible_group=cpu ansible_group.cpu=yes ansible_group.train=yes]
        ! gpu-01.example: a password is never taken; Sickbay signs in with keys
        ! gpu-02.example: a password is never taken; Sickbay signs in with keys
        ! gpu-03.example: a password is never taken; Sickbay signs in with keys
        ! gpu-04.example: a password is never taken; Sickbay signs in with keys
        ! "gpu-04.example" is left out: user is "ada lovelace"; allowed: a word without spaces that does not begin with '-'
    "#]],
    );
    check(
        INI,
        Some("cpu"),
        &expect![[r#"
        gpu-01.example = trainer@gpu-01.example:22022 key /keys/gpu over bastion [ansible_group=gpu ansible_group.cpu=yes ansible_group.gpu=yes ansible_group.train=yes]
        cpu-a = trainer@cpu-a:22 over bastion [ansible_group=cpu ansible_group.cpu=yes ansible_group.train=yes]
        cpu-b = trainer@cpu-b:22 over bastion [ansible_group=cpu ansible_group.cpu=yes ansible_group.train=yes]
        ! gpu-01.example: a password is never taken; Sickbay signs in with keys
    "#]],
    );
    check(
        INI,
        Some("gpus"),
        &expect![[r#"
        refused: InventoryError { line: None, problem: "there is no group \"gpus\"; did you mean gpu?" }
    "#]],
    );
}

#[test]
fn a_yaml_inventory() {
    let text = "\
---
all:
  hosts:
    bastion: {ansible_host: 203.0.113.5}
  vars: {ansible_user: ops}
  children:
    train:
      children:
        gpu:
          hosts:
            gpu-[1:2]:
            gpu-3: {ansible_port: 2222, ansible_user: '{{ someone }}'}
          vars: {ansible_ssh_private_key_file: /keys/gpu}
    here:
      hosts:
        localhost: {ansible_connection: local}
";
    check(
        text,
        None,
        &expect![[r#"
        bastion = ops@203.0.113.5:- []
        gpu-3 = -@gpu-3:2222 key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        gpu-1 = ops@gpu-1:- key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        gpu-2 = ops@gpu-2:- key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        ! localhost is not reached over SSH (ansible_connection): left out
        ! gpu-3: ansible_user is a template ({{ someone }}), which is not taken
    "#]],
    );
    check(
        text,
        Some("train"),
        &expect![[r#"
        gpu-3 = -@gpu-3:2222 key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        gpu-1 = ops@gpu-1:- key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        gpu-2 = ops@gpu-2:- key /keys/gpu [ansible_group=gpu ansible_group.gpu=yes ansible_group.train=yes]
        ! gpu-3: ansible_user is a template ({{ someone }}), which is not taken
    "#]],
    );
}

/// A few lines of aliases that stand for millions of values.
fn bomb() -> String {
    (1..9).fold("---\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let below = format!("*a{},", level - 1).repeat(9);
        format!("{text}a{level}: &a{level} [{below}]\n")
    })
}

#[test]
fn what_cannot_be_read_says_where_and_what_would_be_right() {
    for (text, line, said) in [
        ("#!/usr/bin/env python3\n", None, "ansible-inventory"),
        ("[gpu]\na b\n", Some(2), "has no `=`"),
        ("[gpu:kids]\n", Some(1), "children"),
        ("[]\n", Some(1), "no name"),
        ("a x='y\n", Some(1), "quote"),
        ("ok\nw[1:\n", Some(2), "`]`"),
        ("w[1:99999]\n", Some(1), "range"),
        ("[g:vars]\nx\n", Some(2), "has no `=`"),
        ("---\nall: [1, 2]\n", None, "not a section"),
        ("---\n- a\n", None, "not an inventory"),
        ("all:\n  hosts:\n   - a\n", None, "`hosts`"),
        ("all:\n  hots: {}\n", None, "hots"),
        ("---\nall: {hosts: [\n", Some(2), "not valid YAML"),
        ("{\"_meta\": {}, \"gpu\": {}}\n", None, "-y"),
        (&format!("---\n{}", "a: {children: {".repeat(200)), None, ""),
        (&bomb(), None, "not valid YAML"),
    ] {
        let error = ansible(text, None, None).expect_err(text);
        assert!(error.problem.contains(said), "{text:?}: {error:?}");
        assert!(line.is_none() || error.line == line, "{text:?}: {error:?}");
    }
}

#[test]
fn rings_of_groups_and_odd_hosts_do_no_harm() {
    let text = "[a:children]\nb\n[b:children]\na\n[b]\nx\n-oProxyCommand=evil\n'h h'\n";
    check(
        text,
        None,
        &expect![[r#"
        x = -@x:- [ansible_group=b ansible_group.a=yes ansible_group.b=yes]
        ! "-oProxyCommand=evil" is left out: host is -oProxyCommand=evil; allowed: a word without spaces that does not begin with '-'
        ! "h h" is left out: host is "h h"; allowed: a word without spaces that does not begin with '-'
    "#]],
    );
    check("", None, &expect![[r#""#]]);
    let noise: String =
        (0..20_000u32).map(|n| char::from_u32(n * 7 % 0xd000).unwrap_or('x')).collect();
    for yaml in [true, false] {
        // Whatever it is, it is an answer.
        let _ = ansible(&noise, Some(yaml), None);
    }
}
