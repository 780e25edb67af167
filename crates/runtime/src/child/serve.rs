//! The child's side: a blocking loop from stdin to stdout. No threads, no async runtime.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;

/// The longest request, in bytes.
const MAX_REQUEST_BYTES: u64 = 1 << 20;

/// Answers every line of stdin with one line on stdout until stdin ends, then returns success.
///
/// The process is killed when its parent dies (on Linux), also in the midst of an answer.
pub fn serve_worker(handler: impl FnMut(&[u8]) -> Vec<u8>) -> ExitCode {
    die_with_parent();
    be_named();
    // The raw file, not `Stdin`: its buffer would double every line.
    match serve(&mut BufReader::new(std::io::stdin()), &mut std::io::stdout().lock(), handler) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody is left to be told: the pipe to the parent is what failed.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(
    input: &mut impl BufRead,
    output: &mut impl Write,
    mut handler: impl FnMut(&[u8]) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        input.by_ref().take(MAX_REQUEST_BYTES).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            // The end, or a request that is cut or longer than any request.
            return Ok(());
        }
        let mut answer = handler(&line);
        answer.retain(|&byte| byte != b'\n');
        answer.push(b'\n');
        output.write_all(&answer)?;
        output.flush()?;
    }
}

#[cfg(target_os = "linux")]
fn die_with_parent() {
    // Where it is refused (a sandbox), the end of stdin still ends the process.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}

/// What the process is called: it is started through a link whose name says nothing.
#[cfg(target_os = "linux")]
fn be_named() {
    // A name is a help for people; nothing depends on it.
    let _ = rustix::thread::set_name(c"sickbay-child");
}

#[cfg(not(target_os = "linux"))]
fn be_named() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_is_one_line_out() {
        let long = "x".repeat(MAX_REQUEST_BYTES as usize + 1);
        for (input, output) in [
            ("", ""),
            ("a\nb\n", "<a>\n<b>\n"),
            ("a\ncut", "<a>\n"),
            ("\n", "<>\n"),
            (&format!("a\n{long}\n"), "<a>\n"),
        ] {
            let mut out = Vec::new();
            serve(&mut input.as_bytes(), &mut out, |line| [b"<\n", line, b">\n"].concat())
                .expect("memory does not fail");
            assert_eq!(String::from_utf8_lossy(&out), output);
        }
    }
}
