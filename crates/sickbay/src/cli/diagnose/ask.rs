//! Carries the questions to a machine: here to a shell of our own, elsewhere over SSH.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::ControlFlow;
use std::process::Stdio;
use std::time::Duration;

use sickbay_collect::remote::BOOTSTRAP;
use sickbay_diagnose::{Level as Depth, Part, QUESTIONS, Transcript, line};
use sickbay_ssh::Ssh;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::cli::sweep::Target;
use crate::cli::sweep_progress::bar;
use crate::cli::{Context, Failure, exit_code, format, safe};
use crate::config::Settings;

/// In pieces of how many bytes is read.
const PIECE_BYTES: usize = 64 << 10;

/// The answers, and why there are no more of them if something ended it early.
pub(super) async fn questions(
    context: &Context,
    settings: &Settings,
    target: &Target,
    depth: Depth,
    limit: Duration,
    stop: &CancellationToken,
) -> Result<(Vec<Part>, Option<String>), Failure> {
    let nonce = nonce();
    let program = line(depth, &nonce);
    let mut transcript = Transcript::new(&nonce);
    let asked = QUESTIONS.iter().filter(|question| question.level <= depth).count();
    let bar = bar(context, asked, "{bar:30} {pos}/{len} questions  {wide_msg}");
    let take = |bytes: &[u8]| {
        let flow = transcript.feed(bytes);
        bar.set_position(transcript.ended() as u64);
        bar.set_message(transcript.under_way().map_or("", |question| question.id));
        flow
    };
    let asking = async {
        match target.ssh() {
            None => here(&program, take).await,
            Some(ssh) => {
                let shared = Ssh::new(settings.hub.ssh.clone());
                match shared.run_program(ssh, &program, take).await {
                    Ok(errors) if !errors.is_empty() => Err(errors),
                    Ok(_) => Ok(()),
                    Err(error) => Err(error.message),
                }
            }
        }
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(limit, asking) => match ended {
            Ok(ended) => ended.err(),
            Err(_) => Some(format!("it had not answered everything within {}", format::duration(limit))),
        },
        () = stop.cancelled() => Some("it was stopped".to_owned()),
    };
    bar.finish_and_clear();
    if transcript.is_complete() {
        return Ok((transcript.finish(), None));
    }
    let noise = transcript.noise();
    let parts = transcript.finish();
    let why = ended.unwrap_or_else(|| match noise.is_empty() {
        true => "its shell ended".to_owned(),
        false => format!("its shell ended; it said {noise:?}"),
    });
    if parts.is_empty() {
        let message = format!("{} answers no question: {}", target.resource.id.name(), safe(&why));
        return Err(Failure::new(exit_code::UNAVAILABLE, message));
    }
    Ok((parts, Some(why)))
}

/// What marks the program's own lines: nobody on the machine can guess it.
fn nonce() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// This machine: a shell in a group of its own, so that Ctrl-C reaches us and not it. When we drop
/// its input it ends all that it started.
async fn here(
    program: &[u8],
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("/bin/sh cannot be run here: {error}");
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", BOOTSTRAP])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("its shell has no input or output".to_owned());
    };
    input.write_all(program).await.map_err(failed)?;
    input.flush().await.map_err(failed)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = output.read(&mut piece).await.map_err(failed)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if read == 0 || take(bytes).is_break() {
            break;
        }
    }
    drop(input);
    let _ = child.wait().await;
    Ok(())
}
