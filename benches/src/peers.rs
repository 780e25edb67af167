//! Peers, where they are installed.

use std::path::Path;

use crate::process::Measured;

/// What a row says where netdata is not installed.
pub const ABSENT_NETDATA: &str = "netdata is not installed";

/// netdata with its defaults (1 s), in the foreground, serving on no port of ours.
pub fn netdata() -> Option<Measured> {
    let program =
        ["/usr/sbin/netdata", "/usr/bin/netdata"].into_iter().find(|p| Path::new(p).exists())?;
    Measured::start(program, &["-D", "-i", "127.0.0.1", "-p", "19997"]).ok()
}

/// node_exporter on a loopback address.
pub fn node_exporter(addr: &str) -> Option<Measured> {
    let program = "/usr/bin/prometheus-node-exporter";
    Path::new(program)
        .exists()
        .then(|| Measured::start(program, &[&format!("--web.listen-address={addr}")]).ok())
        .flatten()
}
