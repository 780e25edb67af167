//! A program whose file is replaced or taken away still starts children, of the program it was.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const HELPER: &str = env!("CARGO_BIN_EXE_sickbay-worker-test");

#[test]
fn a_program_that_was_upgraded_or_removed_still_starts_children() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("replaced", |program| {
            let new = program.with_extension("new");
            std::fs::write(&new, "#!/bin/sh\nexit 7\n").expect("written");
            std::fs::rename(new, program).expect("replaced");
        }),
        ("moved", |program| {
            std::fs::rename(program, program.with_extension("old")).expect("moved");
        }),
        ("removed", |program| std::fs::remove_file(program).expect("removed")),
        ("left alone", |_| ()),
    ];
    for (what, change) in changes {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("sickbay");
        std::fs::copy(HELPER, &program).expect("copied");
        let mut parent = Command::new(&program)
            .args(["parent", "upgraded"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        change(&program);
        let mut stdin = parent.stdin.take().expect("its stdin");
        stdin.write_all(b"go\n").expect("told");
        let mut line = String::new();
        let stdout = parent.stdout.take().expect("its stdout");
        BufReader::new(stdout).read_line(&mut line).expect("its line");
        let child: u32 = line.trim().parse().unwrap_or_else(|_| panic!("{what}: {line:?}"));

        // The list of processes names it as its parent is named.
        let shown = |file: &str| {
            let path = format!("/proc/{child}/{file}");
            let text = std::fs::read_to_string(path).expect("the child lives");
            text.split('\0').next().unwrap_or_default().trim().to_owned()
        };
        assert_eq!(shown("cmdline"), program.display().to_string(), "{what}");
        assert_eq!(shown("comm"), "sickbay-child", "{what}");
        parent.kill().expect("kills");
        parent.wait().expect("is gone");
    }
}
