//! Makes copies of a node's files of what its program sent.
//!
//! What must hold: whatever stands in a section, it is content, an error or left out; what a process
//! writes into its own command line may at worst pass for the command lines of processes right behind
//! it in the table (any of them may be called what it likes), and for no other file.

use std::collections::HashSet;

use super::reader::{Section, Sections, find_byte};
use crate::{Fetched, Space};

/// Linux's error numbers that are told apart, by the words of glibc and of musl for them.
const ERRORS: [(&[u8], i32); 17] = [
    (b"Operation not permitted", 1),
    (b"No such file or directory", 2),
    (b"No such process", 3),
    (b"Input/output error", EIO),
    (b"I/O error", EIO),
    (b"No such device or address", 6),
    (b"Resource temporarily unavailable", 11),
    (b"Permission denied", 13),
    (b"Device or resource busy", 16),
    (b"Resource busy", 16),
    (b"No such device", 19),
    (b"Is a directory", 21),
    (b"Invalid argument", 22),
    (b"No data available", 61),
    (b"Operation not supported", 95),
    (b"Transport endpoint is not connected", 107),
    (b"Stale file handle", 116),
];

/// What an error is taken for that has none of those words.
const EIO: i32 = 5;
const EACCES: i32 = 13;
const EISDIR: i32 = 21;

/// What the host lane's answer holds beside files.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    /// Groups that were late on the node.
    pub(super) late: Vec<&'a [u8]>,
    /// Groups that were not asked because another was late.
    pub(super) skipped: Vec<&'a [u8]>,
    /// The system, where it is not Linux.
    pub(super) system: Option<&'a [u8]>,
    /// Whether the hardware was looked at.
    pub(super) hardware: bool,
    /// Mount points, as the kernel escapes them, that did not answer in time.
    pub(super) late_mounts: Vec<&'a [u8]>,
}

/// Puts the files of all sections into the copies.
pub(super) fn load<'a>(sections: Sections<'a>, files: &mut Fetched) -> Told<'a> {
    let mut told = Told::default();
    for section in sections {
        let Section { name, content } = section;
        let blank = find_byte(name, b' ').unwrap_or(name.len());
        let (kind, rest) = name.split_at(blank);
        let rest = rest.get(1..).unwrap_or_default();
        match kind {
            b"files" => load_files(content, files),
            b"table" => load_table(content, rest, files),
            b"content" => files.put(&below_root(rest), content),
            b"values" => {
                told.hardware = true;
                load_values(content, files);
            }
            b"links" => load_links(content, files),
            b"directory" => files.put_error(&below_root(rest), EISDIR),
            b"denied" => {
                for path in rest.split(|&byte| byte == b' ').filter(|path| !path.is_empty()) {
                    files.put_error(&below_root(path), EACCES);
                }
            }
            b"space" => load_space(content, files, &mut told),
            b"late" => told.late.push(rest),
            b"skipped" => told.skipped.push(rest),
            b"system" => told.system = Some(content.trim_ascii()),
            _ => {}
        }
    }
    if let Some(bytes) = files_page_bytes(files) {
        files.set_page_bytes(bytes);
    }
    told
}

/// The program works below the root and names files without the first slash.
fn below_root(path: &[u8]) -> Vec<u8> {
    let mut absolute = Vec::with_capacity(path.len() + 1);
    if !path.starts_with(b"/") {
        absolute.push(b'/');
    }
    absolute.extend_from_slice(path);
    absolute
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

/// What `head` wrote of several files.
struct Heads<'a> {
    content: &'a [u8],
    at: usize,
}

enum Head<'a> {
    /// `==> PATH <==`, and where its line begins and the content behind it.
    Path { path: &'a [u8], begins: usize, content: usize },
    /// A line of an error, and where it begins.
    Error { line: &'a [u8], begins: usize },
}

impl<'a> Iterator for Heads<'a> {
    type Item = Head<'a>;

    fn next(&mut self) -> Option<Head<'a>> {
        loop {
            let begins = self.at;
            let rest = self.content.get(begins..).filter(|rest| !rest.is_empty())?;
            let length = find_byte(rest, b'\n').unwrap_or(rest.len());
            let line = rest.get(..length)?;
            let next = (begins + length + 1).min(self.content.len());
            self.at = next;
            let path = || line.strip_prefix(b"==> ")?.strip_suffix(b" <==");
            if let Some(path) = path() {
                return Some(Head::Path { path, begins, content: next });
            }
            if line.starts_with(b"head: ") {
                return Some(Head::Error { line, begins });
            }
        }
    }
}

/// The content between two places; `head` puts a newline before the line of the next file.
fn between(content: &[u8], from: usize, to: usize, separated: bool) -> &[u8] {
    let bytes = content.get(from..to).unwrap_or_default();
    if separated { bytes.strip_suffix(b"\n").unwrap_or(bytes) } else { bytes }
}

fn load_files(content: &[u8], files: &mut Fetched) {
    let mut current: Option<(&[u8], usize)> = None;
    let mut put = |current: &mut Option<(&[u8], usize)>, to: usize, separated: bool| {
        if let Some((path, from)) = current.take().filter(|(path, _)| *path != b"/dev/null") {
            files.put(&below_root(path), between(content, from, to, separated));
        }
    };
    let mut failed = Vec::new();
    for head in (Heads { content, at: 0 }) {
        match head {
            Head::Path { path, begins, content } => {
                put(&mut current, begins, true);
                current = Some((path, content));
            }
            Head::Error { line, begins } => {
                put(&mut current, begins, false);
                failed.extend(failure(line));
            }
        }
    }
    put(&mut current, content.len(), false);
    // An error while reading stands behind what was read until then.
    for (path, number) in failed {
        files.put_error(&below_root(path), number);
    }
}

/// Which file an error of `head` or `stat` is about, and which error it is.
fn failure(line: &[u8]) -> Option<(&[u8], i32)> {
    let rest = line.strip_prefix(b"head: ").or_else(|| line.strip_prefix(b"stat: "))?;
    let colon = rest.windows(2).rposition(|two| two == b": ")?;
    let number = errno(rest.get(colon + 2..)?);
    let before = rest.get(..colon)?;
    // Not the one in "can't".
    let first = before.windows(2).position(|two| two == b" '").map(|blank| blank + 1);
    let path = match (first, before.iter().rposition(|&byte| byte == b'\'')) {
        (Some(first), Some(last)) if first < last => before.get(first + 1..last)?,
        _ => before,
    };
    Some((path, number))
}

fn errno(words: &[u8]) -> i32 {
    let known = ERRORS.iter().find(|(text, _)| words.trim_ascii_end() == *text);
    known.map_or(EIO, |(_, number)| *number)
}

/// One file of every process. `head` reads them in the order of their names, so a line that names a
/// process which was already told stands in the command line of another.
fn load_table(content: &[u8], file: &[u8], files: &mut Fetched) {
    let mut seen: HashSet<&[u8]> = HashSet::new();
    let mut current: Option<(&[u8], usize)> = None;
    let mut previous: &[u8] = b"";
    for head in (Heads { content, at: 0 }) {
        // Errors are not sent here: such a line is some process's.
        let Head::Path { path, begins, content: from } = head else { continue };
        if path == b"/dev/null" {
            put_process(content, current.take(), begins, files);
            continue;
        }
        let of_process = pid_of(path, file).is_some();
        if !of_process || (path < previous && seen.contains(path)) {
            continue;
        }
        put_process(content, current.replace((path, from)), begins, files);
        seen.insert(path);
        previous = path;
    }
    put_process(content, current, content.len() + 1, files);
}

fn put_process(content: &[u8], current: Option<(&[u8], usize)>, to: usize, files: &mut Fetched) {
    if let Some((path, from)) = current {
        let separated = to <= content.len();
        let bytes = between(content, from, to.min(content.len()), separated);
        files.put(&below_root(path), bytes);
    }
}

/// The process of `proc/PID/FILE`.
fn pid_of<'a>(path: &'a [u8], file: &[u8]) -> Option<&'a [u8]> {
    let pid = path.strip_prefix(b"proc/")?.strip_suffix(file)?.strip_suffix(b"/")?;
    (!pid.is_empty() && pid.iter().all(u8::is_ascii_digit)).then_some(pid)
}

/// `PATH CONTENT`, `PATH there`, `PATH -> TARGET`.
fn load_values(content: &[u8], files: &mut Fetched) {
    for line in lines(content) {
        let Some(blank) = line.iter().position(|&byte| byte == b' ') else { continue };
        let (path, value) = (&line[..blank], &line[blank + 1..]);
        match value.strip_prefix(b"-> ") {
            Some(target) => files.put_link(&below_root(path), target),
            None => files.put(&below_root(path), value),
        }
    }
}

/// `ls -ld`: columns, then `PATH -> TARGET`.
fn load_links(content: &[u8], files: &mut Fetched) {
    for line in lines(content) {
        let Some(arrow) = line.windows(4).position(|four| four == b" -> ") else { continue };
        let (before, target) = (&line[..arrow], &line[arrow + 4..]);
        let Some(path) = before.rsplit(|&byte| byte == b' ').next() else { continue };
        if path.starts_with(b"sys/") {
            files.put_link(&below_root(path), target);
        }
    }
}

/// `SIZE BLOCKS FREE AVAILABLE INODES FREE_INODES PATH`, errors, and `late PATH`.
fn load_space<'a>(content: &'a [u8], files: &mut Fetched, told: &mut Told<'a>) {
    for line in lines(content) {
        if let Some((path, number)) = line.starts_with(b"stat: ").then(|| failure(line)).flatten() {
            files.put_space(path, Err(number));
        } else if let Some(path) = line.strip_prefix(b"late ") {
            told.late_mounts.push(path);
        } else if let Some((space, path)) = space(line) {
            files.put_space(path, Ok(space));
        }
    }
}

fn space(line: &[u8]) -> Option<(Space, &[u8])> {
    let mut words = line.splitn(7, |&byte| byte == b' ');
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<u64>().ok();
    let space = Space {
        block_bytes: number()?,
        blocks: number()?,
        free_blocks: number()?,
        available_blocks: number()?,
        inodes: number()?,
        free_inodes: number()?,
        // Of local ones mountinfo says it; of others too, as far as can be known from outside.
        read_only: false,
    };
    let path = words.next().filter(|path| path.starts_with(b"/"))?;
    Some((space, path))
}

/// What the program loader says of a page's size (`AT_PAGESZ`), in the words of either width.
fn files_page_bytes(files: &Fetched) -> Option<u64> {
    /// The entry of the auxiliary vector.
    const PAGE_SIZE: u64 = 6;
    let vector = files.content(std::path::Path::new("/proc/self/auxv")).ok()?;
    let wide = vector.chunks_exact(16).filter_map(|entry| {
        let (key, value) = entry.split_at(8);
        Some((number(key)?, number(value)?))
    });
    let narrow = vector.chunks_exact(8).filter_map(|entry| {
        let (key, value) = entry.split_at(4);
        Some((number(key)?, number(value)?))
    });
    let plausible = |&(key, bytes): &(u64, u64)| {
        key == PAGE_SIZE && bytes.is_power_of_two() && (1 << 12..=1 << 20).contains(&bytes)
    };
    wide.chain(narrow).find(plausible).map(|(_, bytes)| bytes)
}

/// Little endian: every processor that drives GPUs.
fn number(bytes: &[u8]) -> Option<u64> {
    let wide = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    let narrow = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes).map(u64::from);
    wide(bytes).or_else(|| narrow(bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Roots;
    use crate::remote::reader::Reader;

    /// What is kept of an answer; `@` stands for the mark.
    fn loaded(answer: &[u8]) -> (Fetched, Reader) {
        let marked: Vec<u8> = answer
            .iter()
            .flat_map(|&byte| if byte == b'@' { b"\x1eN ".to_vec() } else { vec![byte] })
            .collect();
        let mut reader = Reader::new("N", 1 << 20);
        let _ = reader.feed(&[&marked, &b"\x1eN end\n"[..]].concat());
        let mut files = Fetched::new();
        load(reader.sections(), &mut files);
        (files, reader)
    }

    fn told(files: &Fetched, path: &str) -> String {
        match files.content(Path::new(path)) {
            Ok(content) => String::from_utf8_lossy(content).into_owned(),
            Err(error) => format!("error {}", error.raw_os_error().unwrap_or(0)),
        }
    }

    #[test]
    fn files_and_errors_of_every_head() {
        let gnu = b"@files\n==> /dev/null <==\n\n==> proc/a <==\nx\n\n==> proc/b <==\n\n==> sys/c <==\n\
            head: error reading 'sys/c': Input/output error\n\n==> proc/d <==\nno newline\n\
            ==> proc/e <==\nend\nhead: cannot open 'sys/f' for reading: Permission denied\n@denied  sys/g sys/h\n";
        let busybox =
            b"@files\n==> /dev/null <==\n\n==> proc/a <==\nx\n\n==> proc/b <==\n\n==> sys/c <==\n\
            head: sys/c: I/O error\n\n==> proc/d <==\nno newline\n==> proc/e <==\nend\n\
            head: sys/f: Permission denied\n@denied  sys/g sys/h\n";
        for answer in [&gnu[..], busybox] {
            let (files, _) = loaded(answer);
            for (path, expected) in [
                ("/proc/a", "x\n"),
                ("/proc/b", ""),
                ("/sys/c", "error 5"),
                ("/proc/d", "no newline"),
                ("/proc/e", "end\n"),
                ("/sys/f", "error 13"),
                ("/sys/g", "error 13"),
                ("/sys/h", "error 13"),
                ("/sys/i", "error 2"),
                ("/dev/null", "error 2"),
            ] {
                assert_eq!(told(&files, path), expected, "{path}");
            }
        }
    }

    #[test]
    fn a_command_line_cannot_pass_for_anothers() {
        // Processes 20 and 30 write our separators into their command lines.
        let (files, _) = loaded(
            b"@table cmdline\n==> /dev/null <==\n\n==> proc/1/cmdline <==\ninit\n\
              ==> proc/20/cmdline <==\nevil\n==> proc/1/cmdline <==\nnot init\n\
              ==> proc/30/cmdline <==\nforged\nhead: cannot open 'proc/1/cmdline' for reading: I/O error\n\n\
              ==> proc/3/cmdline <==\nthree\n==> proc/30/cmdline <==\ntrue\n\
              ==> etc/passwd <==\nroot\n==> proc/9/stat <==\n9\n",
        );
        assert_eq!(told(&files, "/proc/1/cmdline"), "init");
        assert!(told(&files, "/proc/20/cmdline").starts_with("evil\n==> proc/1"));
        assert_eq!(told(&files, "/proc/3/cmdline"), "three");
        assert!(told(&files, "/proc/30/cmdline").starts_with("true"));
        assert_eq!(told(&files, "/etc/passwd"), "error 2");
        assert_eq!(told(&files, "/proc/9/stat"), "error 2");
    }

    #[test]
    fn links_values_space_and_pages() {
        let auxv = [6_u64, 65536, 0, 0].map(u64::to_le_bytes).concat();
        let narrow = [3_u32, 1, 6, 8192, 0, 0].map(u32::to_le_bytes).concat();
        for (vector, bytes) in [(&auxv, 65536), (&narrow, 8192), (&vec![255; 40], 4096)] {
            let file =
                [b"@files\n==> /dev/null <==\n\n==> proc/self/auxv <==\n", &vector[..]].concat();
            let files = Roots::fetched(loaded(&file).0).files;
            assert_eq!(files.page_bytes(), bytes);
        }
        let (files, _) = loaded(
            b"@values\ndev/nvidiactl there\nsys/bus/x/driver -> vfio-pci\nnonsense\n@links\n\
              lrwxrwxrwx 1 root root 0 Jan  1 00:00 sys/class/drm/card0/device -> ../../../0000:03:00.0\n\
              -rw-r--r-- 1 root root 0 Jan  1 00:00 sys/plain\n@space\n4096 10 5 4 100 50 /a b\n1 2 3 /short\n\
              x 10 5 4 100 50 /no\nstat: can't read file system information for '/c': I/O error\n@content proc/x\ny\n@directory sys/empty\n",
        );
        let files = Roots::fetched(files).files;
        assert!(files.exists(Path::new("/dev/nvidiactl")) && files.is_dir(Path::new("/sys/empty")));
        let target = |path: &str| files.link(Path::new(path)).unwrap().display().to_string();
        assert_eq!(target("/sys/bus/x/driver"), "vfio-pci");
        assert_eq!(target("/sys/class/drm/card0/device"), "../../../0000:03:00.0");
        assert!(files.link(Path::new("/sys/plain")).is_err());
        assert_eq!(files.space(Path::new("/a b")).unwrap().available_blocks, 4);
        let code = |path: &str| files.space(Path::new(path)).unwrap_err().raw_os_error();
        assert_eq!((code("/c"), code("/no")), (Some(5), Some(2)));
        assert_eq!(files.read_small(Path::new("/proc/x"), 9), b"y\n");
    }
}
