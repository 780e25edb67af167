//! Who listens on a port of this machine, as far as `/proc` tells.

use std::fs;
use std::net::SocketAddr;

/// Listening, in the kernel's table.
const STATE_LISTEN: &str = "0A";

/// How many processes are looked through.
const MAX_PROCESSES: usize = 100_000;

/// `NAME (PID)` of the process that listens on the address's port; none if it is not ours to see.
pub(crate) fn find(addr: SocketAddr) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening_inodes(&table, addr.port()))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.take(MAX_PROCESSES).flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find_map(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let holds = files.flatten().any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
        });
        holds.then(|| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("{} ({})", pid, name.trim())
        })
    })
}

/// The sockets that listen on a port, by a table of `/proc/net`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    let row = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode: u64 = fields.nth(5)?.parse().ok()?;
        let (_, hex_port) = local.rsplit_once(':')?;
        let same = u16::from_str_radix(hex_port, 16).ok()? == port;
        (same && state == STATE_LISTEN).then_some(inode)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2256 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n\
            1: 0100007F:2256 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0\n\
            2: nonsense\n";
        assert_eq!(listening_inodes(table, 8790), [4242]);
        assert_eq!(listening_inodes(table, 80), Vec::<u64>::new());
        assert_eq!(listening_inodes("", 80), Vec::<u64>::new());
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = find(listener.local_addr().unwrap()).unwrap();
        assert!(owner.starts_with(&format!("{} (", std::process::id())), "{owner}");
    }
}
