//! Ways in for the fuzz targets to what reads files of a user.

/// A config of OpenSSH's client.
pub fn config(bytes: &[u8]) {
    crate::config::any_bytes(bytes);
}

/// A file of known hosts.
pub fn known_hosts(bytes: &[u8]) {
    crate::known_hosts::any_bytes(bytes);
}
