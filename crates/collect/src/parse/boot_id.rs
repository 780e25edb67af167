//! `/proc/sys/kernel/random/boot_id`: a random id that changes at every boot.

use super::scan::trim;
use super::{ParseError, bounded};

const FILE: &str = "/proc/sys/kernel/random/boot_id";

/// Parses the boot id.
///
/// # Errors
/// When it is no UUID.
pub fn parse(bytes: &[u8]) -> Result<&str, ParseError> {
    let id = trim(bounded(FILE, bytes)?);
    let is_uuid = id.len() == 36
        && id.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    match std::str::from_utf8(id) {
        Ok(text) if is_uuid => Ok(text),
        _ => Err(ParseError::whole(FILE, "the content is no UUID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_a_boot_id() {
        let id = "131c2a3c-8076-4c22-9bb5-0a560cd6a793";
        assert_eq!(parse(format!("{id}\n").as_bytes()).unwrap(), id);
        for input in
            [&b""[..], b"131c2a3c", b"131c2a3c-8076-4c22-9bb5-0a560cd6a79\xff", &[b'-'; 36]]
        {
            assert!(parse(input).unwrap_err().to_string().starts_with(FILE), "{input:?}");
        }
    }
}
