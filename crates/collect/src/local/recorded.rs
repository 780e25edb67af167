//! Every collector over every recorded tree, twice: what they say is written beside the tree. And
//! again over copies of its files, as they are made of another machine's.
//!
//! `fixtures/host/README.md` says where the trees come from. `UPDATE_EXPECT=1` writes anew.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect_file;

use super::LocalCollector;
use super::filesystem::Filesystems;
use super::registry;
use crate::{Fetched, Files, ProcessPattern, Roots, Sample, Space};

const TREES: [&str; 5] = ["virtual-machine", "gpu-server", "kernel-3.10", "arm64", "container"];

/// Recorded mounts are not there to be asked: each has the same space, and one is broken.
fn ask_recorded(_roots: &Roots, path: &Path) -> io::Result<Space> {
    if path == Path::new("/boot/efi") {
        return Err(io::Error::from_raw_os_error(5));
    }
    Ok(Space {
        block_bytes: 4096,
        blocks: 1000,
        free_blocks: 400,
        available_blocks: 350,
        inodes: 100,
        free_inodes: 75,
        read_only: false,
    })
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/host")
}

fn patterns() -> [ProcessPattern; 4] {
    let pattern = |name: &str, pattern: &str, expected| ProcessPattern {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        expected,
    };
    [
        pattern("training", "train.py", true),
        pattern("distributed", "*torch.distributed*", true),
        pattern("absent", "no-such-program", true),
        pattern("dead", "defunct", true),
    ]
}

fn collectors() -> Vec<Box<dyn LocalCollector>> {
    let mut all: Vec<_> =
        registry::all(&patterns()).into_iter().map(|entry| entry.collector).collect();
    for collector in &mut all {
        if collector.probe() == sickbay_model::probe::FILESYSTEM {
            *collector = Box::new(Filesystems::asking(ask_recorded));
        }
    }
    all
}

/// Copies a tree over another; files that are there are written in place, as the kernel does.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if entry.file_name() == "later" {
        } else if kind.is_symlink() {
            let _ = std::os::unix::fs::symlink(std::fs::read_link(&source).unwrap(), &target);
        } else if kind.is_dir() {
            copy(&source, &target);
        } else {
            std::fs::write(&target, std::fs::read(&source).unwrap()).unwrap();
        }
    }
}

fn told(collector: &mut dyn LocalCollector, roots: &Roots, at: u64) -> String {
    let mut sample = Sample::default();
    let mut text = format!("== {} at {at} s\n", collector.probe());
    let outcome = collector.collect(roots, Duration::from_secs(at), &mut sample);
    if let Err(error) = outcome {
        writeln!(text, "failed ({}): {}", error.kind.as_str(), error.message).unwrap();
        return text;
    }
    if let Some(reason) = &sample.not_applicable {
        writeln!(text, "not applicable: {reason}").unwrap();
    }
    for reading in &sample.readings {
        let def = sickbay_model::catalogue::find(reading.metric).unwrap();
        assert!(def.accepts(reading.value), "{reading:?}");
        writeln!(text, "{}[{}] {}", def.name, reading.instance, reading.value).unwrap();
    }
    let facts = serde_json::to_value(&sample.facts).unwrap();
    for (part, value) in facts.as_object().unwrap() {
        match value {
            serde_json::Value::Array(all) => {
                for one in all {
                    writeln!(text, "{part}: {one}").unwrap();
                }
            }
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    if !matches!(value.to_string().as_str(), "\"\"" | "0" | "null" | "[]") {
                        writeln!(text, "{part}.{name}: {value}").unwrap();
                    }
                }
            }
            _ => {}
        }
    }
    text
}

/// Puts a tree's files among the copies, at the paths that they would be read by.
fn fetch(tree: &Path, at: &Path, to: &mut Fetched) {
    for entry in std::fs::read_dir(tree).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), at.join(entry.file_name()));
        let path = target.as_os_str().as_bytes();
        let kind = entry.file_type().unwrap();
        if entry.file_name() == "later" {
        } else if kind.is_symlink() {
            to.put_link(path, std::fs::read_link(&source).unwrap().as_os_str().as_bytes());
        } else if kind.is_dir() {
            fetch(&source, &target, to);
        } else {
            to.put(path, &std::fs::read(&source).unwrap());
        }
    }
}

#[test]
fn what_is_told_of_recorded_machines() {
    for tree in TREES {
        let recorded = fixtures().join(tree);
        let root = tempfile::tempdir().unwrap();
        copy(&recorded, root.path());
        let roots = Roots::under(root.path());
        let mut collectors = collectors();
        let mut text = String::new();
        for collector in &mut collectors {
            text += &told(collector.as_mut(), &roots, 100);
        }
        copy(&recorded.join("later"), root.path());
        for collector in &mut collectors {
            text += &told(collector.as_mut(), &roots, 105);
        }
        let text = text.replace(&root.path().display().to_string(), "ROOT");
        expect_file![recorded.join("expected.txt")].assert_eq(&text);
    }
}

#[test]
fn the_same_is_told_of_copies() {
    for tree in TREES {
        let recorded = fixtures().join(tree);
        let root = Path::new("/ROOT");
        let mut fetched = Fetched::new();
        fetch(&recorded, root, &mut fetched);
        // What is not read from a file here is asked for on another machine.
        let architecture = root.join("proc/sys/kernel/arch");
        let mut roots = Roots { files: Files::Fetched(Arc::new(fetched)), ..Roots::under(root) };
        let fetched = roots.files.fetched_mut().unwrap();
        if fetched.content(&architecture).is_err() {
            fetched.put(architecture.as_os_str().as_bytes(), std::env::consts::ARCH.as_bytes());
        }
        fetched.set_page_bytes(rustix::param::page_size() as u64);
        let mounts = fetched.content(&root.join("proc/self/mountinfo")).unwrap().to_vec();
        for mount in crate::parse::mountinfo::parse(&mounts).unwrap() {
            let point = Path::new(OsStr::from_bytes(&mount.mount_point));
            let space = ask_recorded(&Roots::default(), point);
            fetched.put_space(
                &mount.mount_point,
                space.map_err(|error| error.raw_os_error().unwrap()),
            );
        }

        let mut collectors: Vec<_> =
            registry::all(&patterns()).into_iter().map(|entry| entry.collector).collect();
        let mut text = String::new();
        for collector in &mut collectors {
            text += &told(collector.as_mut(), &roots, 100);
        }
        let fetched = roots.files.fetched_mut().unwrap();
        fetch(&recorded.join("later"), root, fetched);
        for collector in &mut collectors {
            text += &told(collector.as_mut(), &roots, 105);
        }
        let expected = std::fs::read_to_string(recorded.join("expected.txt")).unwrap();
        assert_eq!(text.replace("/ROOT", "ROOT"), expected, "{tree}");
    }
}
