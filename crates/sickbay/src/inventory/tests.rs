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
    check(INI, None, &expect![[r#""#]]);
    check(INI, Some("cpu"), &expect![[r#""#]]);
    check(INI, Some("gpus"), &expect![[r#""#]]);
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
    check(text, None, &expect![[r#""#]]);
    check(text, Some("train"), &expect![[r#""#]]);
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
        ("all: [1, 2]\nb:\n", None, "not a section"),
        ("---\n- a\n", None, "not an inventory"),
        ("all:\n  hosts:\n   - a\n", None, "`hosts`"),
        ("all:\n  hots: {}\n", None, "hots"),
        ("---\nall: {hosts: [\n", Some(3), "not valid YAML"),
        ("{\"_meta\": {}, \"gpu\": {}}\n", None, "-y"),
        (&format!("---\n{}", "a: {children: {".repeat(200)), None, ""),
    ] {
        let error = ansible(text, None, None).expect_err(text);
        assert!(error.problem.contains(said), "{text:?}: {error:?}");
        assert!(line.is_none() || error.line == line, "{text:?}: {error:?}");
    }
}

#[test]
fn rings_of_groups_and_odd_hosts_do_no_harm() {
    let text = "[a:children]\nb\n[b:children]\na\n[b]\nx\n-oProxyCommand=evil\n'h h'\n";
    check(text, None, &expect![[r#""#]]);
    check("", None, &expect![[r#""#]]);
    let noise: String =
        (0..20_000u32).map(|n| char::from_u32(n * 7 % 0xd000).unwrap_or('x')).collect();
    for yaml in [true, false] {
        // Whatever it is, it is an answer.
        let _ = ansible(&noise, Some(yaml), None);
    }
}
