//! `/etc/os-release`: the distribution's name.

use super::scan::{lines, printable, trim};
use super::{ParseError, bounded};

const FILE: &str = "/etc/os-release";

/// The longest name that is kept, in characters.
pub const MAX_NAME_CHARACTERS: usize = 128;

/// Parses `/etc/os-release`: the name for people (`PRETTY_NAME`, else `NAME` and `VERSION`), made
/// printable.
///
/// # Errors
/// When it has no name.
pub fn parse(bytes: &[u8]) -> Result<String, ParseError> {
    let (mut pretty, mut name, mut version) = (None, None, None);
    for (_, line) in lines(bounded(FILE, bytes)?) {
        let line = trim(line);
        let Some(equals) = line.iter().position(|&byte| byte == b'=') else { continue };
        let (key, value) = line.split_at(equals);
        let target = match key {
            b"PRETTY_NAME" => &mut pretty,
            b"NAME" => &mut name,
            b"VERSION" => &mut version,
            _ => continue,
        };
        let value = unquote(value.get(1..).unwrap_or_default());
        *target = Some(value).filter(|value| !value.is_empty());
    }
    let full = match (pretty, name, version) {
        (Some(pretty), ..) => pretty,
        (None, Some(name), Some(version)) => [&name[..], b" ", &version[..]].concat(),
        (None, Some(name), None) => name,
        (None, None, _) => {
            return Err(ParseError::whole(FILE, "neither PRETTY_NAME nor NAME is set"));
        }
    };
    Ok(printable(&full, MAX_NAME_CHARACTERS))
}

/// A shell word: bare, in single quotes, or in double quotes with backslashes.
fn unquote(value: &[u8]) -> Vec<u8> {
    // No more than can be kept, whatever the line's length.
    let value = value.get(..MAX_NAME_CHARACTERS * 8).unwrap_or(value);
    match value.split_first() {
        Some((b'\'', rest)) => {
            rest.split(|&byte| byte == b'\'').next().unwrap_or_default().to_vec()
        }
        Some((b'"', rest)) => {
            let mut out = Vec::with_capacity(rest.len());
            let mut bytes = rest.iter();
            while let Some(&byte) = bytes.next() {
                match byte {
                    b'"' => break,
                    b'\\' => out.extend(bytes.next()),
                    _ => out.push(byte),
                }
            }
            out
        }
        _ => value.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_people() {
        for (input, expected) in [
            (
                &b"NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"[..],
                "Debian GNU/Linux 12 (bookworm)",
            ),
            (b"PRETTY_NAME='It is'\n", "It is"),
            (b"PRETTY_NAME=\"a \\\"b\\\" \\\\c", "a \"b\" \\c"),
            (b"PRETTY_NAME=\"\"\nNAME=Alpine\nVERSION=3", "Alpine 3"),
            (b"NAME=bare", "bare"),
            (b"NAME=\xff\x07", "??"),
        ] {
            assert_eq!(parse(input).unwrap(), expected);
        }
        assert_eq!(
            parse(b"ID=x\n=").unwrap_err().to_string(),
            "/etc/os-release: neither PRETTY_NAME nor NAME is set"
        );
    }
}
