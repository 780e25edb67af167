use std::os::unix::ffi::OsStrExt;

use super::*;

fn io_kind<T>(result: io::Result<T>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap_or(0))
}

/// The same small tree twice: as files, and as copies at the same paths.
fn both() -> (tempfile::TempDir, Files) {
    let tree = tempfile::tempdir().unwrap();
    let mut fetched = Fetched::new();
    let root = tree.path();
    for (path, content) in [
        ("a/file", "content\n"),
        ("a/file-beside", "x"),
        ("a/file.d/one", "1"),
        ("a/file.d/two", "2"),
        ("a/file0", "y"),
        ("empty", ""),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        fetched.put(path.as_os_str().as_bytes(), content.as_bytes());
    }
    let link = root.join("a/link");
    std::os::unix::fs::symlink("file.d", &link).unwrap();
    fetched.put_link(link.as_os_str().as_bytes(), b"file.d");
    // What was read through the link.
    fetched.put(link.join("one").as_os_str().as_bytes(), b"1");
    let hollow = root.join("hollow");
    std::fs::create_dir(&hollow).unwrap();
    fetched.put_error(hollow.as_os_str().as_bytes(), 21);
    (tree, Files::Fetched(Arc::new(fetched)))
}

#[test]
fn copies_answer_as_the_files_do() {
    let (tree, copies) = both();
    for path in [
        "a",
        "a/",
        "a/file",
        "a/file.d",
        "a/file.d/one",
        "a/fil",
        "a/file.d/three",
        "a/link",
        "a/link/one",
        "empty",
        "hollow",
        "none",
        "none/at/all",
    ] {
        let path = tree.path().join(path);
        let told = |files: &Files| {
            let mut buffer = Vec::new();
            let read = files.read_start(&path, &mut buffer, 5).map(<[u8]>::to_vec);
            let mut names = files.list(&path);
            if let Ok(names) = &mut names {
                names.sort();
            }
            (
                (files.exists(&path), files.is_dir(&path)),
                (files.link(&path).ok(), io_kind(files.link(&path))),
                (read.as_ref().ok().cloned(), io_kind(read)),
                names.as_ref().map_or(0, Vec::len),
                files.read_small(&path, 3),
            )
        };
        // Through the link one of two was read.
        if !path.ends_with("a/link") {
            assert_eq!(told(&copies), told(&Files::Here), "{}", path.display());
        }
        assert_eq!(copies.link(&path).ok(), Files::Here.link(&path).ok());
    }
    let names = |files: &Files| {
        let mut names = files.list(&tree.path().join("a")).unwrap();
        names.sort();
        names
    };
    assert_eq!(names(&copies), names(&Files::Here));
    assert_eq!(names(&copies).len(), 5);
}

#[test]
fn errors_and_spaces_are_told_as_they_were() {
    let mut fetched = Fetched::new();
    fetched.put_error(b"/sys/a/bad", 5);
    fetched.put_error(b"/sys/closed", 13);
    fetched.put(b"/sys/closed/known", b"1");
    let space = Space {
        block_bytes: 1,
        blocks: 2,
        free_blocks: 1,
        available_blocks: 1,
        inodes: 0,
        free_inodes: 0,
        read_only: false,
    };
    fetched.put_space(b"/", Ok(space));
    fetched.put_space(b"/broken", Err(5));
    let files = Files::Fetched(Arc::new(fetched));
    let mut buffer = Vec::new();
    assert_eq!(io_kind(files.read_start(Path::new("/sys/a/bad"), &mut buffer, 9)), Some(5));
    assert!(files.exists(Path::new("/sys/a/bad")));
    assert_eq!(io_kind(files.list(Path::new("/sys/closed"))), Some(13));
    assert_eq!(files.space(Path::new("/")).unwrap(), space);
    assert_eq!(io_kind(files.space(Path::new("/broken"))), Some(5));
    assert_eq!(io_kind(files.space(Path::new("/none"))), Some(2));
    assert_eq!((files.page_bytes(), files.architecture()), (4096, ""));
}

#[test]
fn what_is_removed_is_gone_and_its_memory_too() {
    let mut fetched = Fetched::new();
    for path in ["/proc/1/stat", "/proc/12/stat", "/proc/stat", "/proc/1"] {
        fetched.put(path.as_bytes(), b"12345678");
    }
    fetched.put_space(b"/proc/1/x", Err(5));
    let all = fetched.bytes();
    fetched.remove_below(b"/proc/1");
    assert!(fetched.content(Path::new("/proc/12/stat")).is_ok());
    assert!(fetched.content(Path::new("/proc/stat")).is_ok());
    assert!(fetched.content(Path::new("/proc/1/stat")).is_err());
    assert!(fetched.content(Path::new("/proc/1")).is_err());
    assert!(fetched.bytes() < all / 2, "{} of {all}", fetched.bytes());
    fetched.put(b"/proc/12/stat", b"1");
    fetched.put(b"/proc/12/stat", b"123456789");
    assert_eq!(fetched.content(Path::new("/proc/12/stat")).unwrap(), b"123456789");
    fetched.remove_below(b"/proc/");
    assert_eq!(fetched.bytes(), 0);
    fetched.put(b"/a", b"b");
    fetched.clear();
    assert_eq!(fetched.bytes(), 0);
}

#[test]
fn what_is_too_much_is_refused_and_not_taken_for_absent() {
    let mut fetched = Fetched::new();
    let large = vec![b'x'; 9 * 1024 * 1024];
    for name in [b"/1", b"/2", b"/3", b"/4", b"/5"] {
        fetched.put(name, &large);
    }
    assert_eq!(fetched.refused(), 2);
    assert!(fetched.bytes() <= 32 * 1024 * 1024);
    let error = fetched.content(Path::new("/4")).unwrap_err();
    assert_eq!(error.to_string(), "more than 32 MiB of files came; the rest was left out");
    // What outgrows its place is not kept as it was.
    fetched.put(b"/small", b"old");
    fetched.put(b"/small", &large);
    assert!(fetched.content(Path::new("/small")).is_err());
    fetched.remove_below(b"/1");
    assert_eq!(fetched.refused(), 0);
    fetched.put(b"/4", &large);
    assert!(fetched.content(Path::new("/4")).is_ok());
}

#[test]
fn only_the_start_of_a_large_file_is_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("cpuinfo");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let mut buffer = Vec::new();
    assert_eq!(Files::Here.read_start(&path, &mut buffer, 100).unwrap().len(), 100);
    std::fs::write(&path, b"ab").unwrap();
    assert_eq!(Files::Here.read_start(&path, &mut buffer, 100).unwrap(), b"ab");
}

#[test]
fn copies_that_are_held_elsewhere_are_not_changed_under_the_holder() {
    let mut files = Files::Fetched(Arc::new(Fetched::new()));
    let held = files.clone();
    assert_eq!(held, files);
    files.fetched_mut().unwrap().put(b"/a", b"b");
    assert_ne!(held, files);
    assert!(!held.exists(Path::new("/a")) && files.exists(Path::new("/a")));
    assert!(Files::Here.fetched_mut().is_none());
}
