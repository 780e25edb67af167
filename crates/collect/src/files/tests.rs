use super::*;

#[test]
fn copies_are_read_as_the_files_were() {
    let mut fetched = Fetched::new();
    fetched.put(b"/proc/uptime", b"1.00 2.00\n");
    let files = Files::Fetched(Arc::new(fetched));
    let mut buffer = Vec::new();
    let got = files.read_start(Path::new("/proc/uptime"), &mut buffer, 4).unwrap();
    assert_eq!(got, b"1.00");
}
