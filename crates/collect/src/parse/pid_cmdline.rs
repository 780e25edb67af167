//! `/proc/PID/cmdline`: a command line, made fit to be shown: printable, cut, and without what
//! looks like a secret.
//!
//! Any user may read a command line, so a secret on it is already in the open; still Sickbay does
//! not carry it into its own page, API and history.

use super::scan::printable;
use super::{ParseError, bounded};

const FILE: &str = "/proc/PID/cmdline";

/// The longest command line that is kept, in characters.
pub const MAX_COMMAND_CHARACTERS: usize = 256;

/// What stands in the place of a secret.
const HIDDEN: &[u8] = b"***";

/// An option or variable whose name holds one of these has a secret as its value.
const SECRET_WORDS: [&[u8]; 10] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"token",
    b"api-key",
    b"api_key",
    b"apikey",
    b"credential",
    b"private-key",
];

/// Parses `/proc/PID/cmdline`; empty for kernel threads and zombies.
///
/// # Errors
/// When the input is larger than any parser takes.
pub fn parse(bytes: &[u8]) -> Result<String, ParseError> {
    let bytes = bounded(FILE, bytes)?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let mut line = Vec::with_capacity(bytes.len().min(MAX_COMMAND_CHARACTERS * 4));
    let mut hide_next = false;
    for argument in bytes.split(|&byte| byte == 0) {
        // Four bytes is the longest character.
        if line.len() > MAX_COMMAND_CHARACTERS * 4 {
            break;
        }
        if !line.is_empty() {
            line.push(b' ');
        }
        let hide_this = std::mem::take(&mut hide_next) && !argument.starts_with(b"-");
        match argument.iter().position(|&byte| byte == b'=') {
            _ if hide_this => line.extend_from_slice(HIDDEN),
            Some(equals) if names_a_secret(argument.get(..equals).unwrap_or_default()) => {
                line.extend_from_slice(argument.get(..=equals).unwrap_or_default());
                line.extend_from_slice(HIDDEN);
            }
            _ => {
                hide_next = argument.starts_with(b"-") && names_a_secret(argument);
                push_without_password(&mut line, argument);
            }
        }
    }
    Ok(printable(&line, MAX_COMMAND_CHARACTERS))
}

fn names_a_secret(name: &[u8]) -> bool {
    SECRET_WORDS
        .iter()
        .any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// Hides what stands before the `@` of `scheme://user:password@host`.
fn push_without_password(line: &mut Vec<u8>, argument: &[u8]) {
    let hidden = argument.windows(3).position(|part| part == b"://").and_then(|scheme| {
        let authority = argument.get(scheme + 3..)?;
        let end = authority.iter().position(|&byte| byte == b'/').unwrap_or(authority.len());
        let at = authority.get(..end)?.iter().rposition(|&byte| byte == b'@')?;
        Some((argument.get(..scheme + 3)?, authority.get(at..)?))
    });
    match hidden {
        Some((before, after)) => {
            line.extend_from_slice(before);
            line.extend_from_slice(HIDDEN);
            line.extend_from_slice(after);
        }
        None => line.extend_from_slice(argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_joined_and_secrets_hidden() {
        for (input, expected) in [
            (&b"python\0train.py\0--lr\x003e-4\0"[..], "python train.py --lr 3e-4"),
            (b"sshd: user [priv]\0\0\0", "sshd: user [priv]  "),
            (b"", ""),
            (b"x\0--api-key=abc\0--Token\0abc\0y", "x --api-key=*** --Token *** y"),
            (b"x\0--token\0--other\0y", "x --token --other y"),
            (b"env\0HF_TOKEN=abc\0run", "env HF_TOKEN=*** run"),
            (b"git\0clone\0https://me:pw@host/path@x", "git clone https://***@host/path@x"),
            (b"curl\0https://host/a@b", "curl https://host/a@b"),
            (b"tokenizer\0--tokenizer=x", "tokenizer --tokenizer=***"),
            (b"\x1b[31m\xff\0a", "?[31m? a"),
        ] {
            assert_eq!(parse(input).unwrap(), expected);
        }
        let long = parse(&[b'x'; 100_000]).unwrap();
        assert_eq!(long.chars().count(), MAX_COMMAND_CHARACTERS);
        assert!(long.ends_with('…'));
    }
}
