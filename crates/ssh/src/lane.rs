//! One question over one channel.
//!
//! **Must hold**: a question ends by its limit; a channel that did not answer properly is closed
//! and never used again; a program is renewed before it ends by itself.

use std::sync::Arc;
use std::time::Duration;

use russh::ChannelOpenFailure;
use sickbay_collect::remote::{BOOTSTRAP, Lane, Progress, Question, Reader};
use sickbay_model::ProbeError;
use tokio::time::Instant;

use crate::inbox::{End, MAX_WAITING_BYTES};
use crate::session::{Opened, Session};
use crate::trouble;

/// How old a program on the node may be when it is asked: it ends by itself after 15 minutes.
const RENEW_AFTER: Duration = Duration::from_secs(13 * 60);

/// A channel with a program that waits for questions.
pub(crate) struct LaneChannel {
    opened: Opened,
    since: Instant,
}

impl LaneChannel {
    fn is_good(&self) -> bool {
        self.since.elapsed() < RENEW_AFTER && self.opened.inbox.end().is_none()
    }
}

/// How a question ended.
pub(crate) struct Ended {
    pub(crate) lane: Lane,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
    /// Time to the first byte, or to the channel's confirmation where it was opened for this.
    pub(crate) round_trip: Option<Duration>,
}

pub(crate) enum Outcome {
    /// There is an answer, and the channel is free again if it is there still.
    Answer(Reader, Option<LaneChannel>),
    /// There is none.
    Failed(ProbeError),
    /// Not one byte came in time.
    Silent(ProbeError),
    /// The other side has no shell for us.
    NoShell(ProbeError),
    /// It opens no further channel: the question is given back.
    NoChannel(Question),
    /// The session is gone.
    Lost,
}

/// Asks a question, over the channel given or a new one.
pub(crate) async fn ask(
    session: Arc<Session>,
    channel: Option<LaneChannel>,
    question: Question,
    who: Arc<str>,
) -> Ended {
    let start = Instant::now();
    let Question { lane, program, text, limit, awaited, mut reader } = question;
    let mut held = None;
    let mut round_trip = None;
    let asking = exchange(
        &session,
        channel,
        (&program, &text),
        &mut reader,
        &mut held,
        &mut round_trip,
        &who,
    );
    let result = tokio::time::timeout(limit, asking).await;
    let outcome = match (result, held) {
        // Its program ends behind this answer: it is asked rarely, and holds no process meanwhile.
        (Ok(Ok(())), Some(channel)) if lane == Lane::Torch => {
            channel.opened.close().await;
            Outcome::Answer(reader, None)
        }
        (Ok(Ok(())), held) => Outcome::Answer(reader, held),
        (Ok(Err(Failure::NoChannel)), _) => {
            Outcome::NoChannel(Question { lane, program, text, limit, awaited, reader })
        }
        (ended, held) => {
            if let Some(channel) = held {
                channel.opened.close().await;
            }
            match ended {
                Ok(Err(Failure::Error(error))) => Outcome::Failed(error),
                Ok(Err(Failure::NoShell(error))) => Outcome::NoShell(error),
                Ok(_) => Outcome::Lost,
                Err(_) => {
                    let error = trouble::late(format!(
                        "{who} did not answer within {}",
                        trouble::spoken(limit)
                    ));
                    match round_trip {
                        Some(_) => Outcome::Failed(error),
                        None => Outcome::Silent(error),
                    }
                }
            }
        }
    };
    Ended { lane, took: start.elapsed(), outcome, round_trip }
}

enum Failure {
    Error(ProbeError),
    NoShell(ProbeError),
    NoChannel,
    Lost,
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::ChannelOpenFailure(
                ChannelOpenFailure::AdministrativelyProhibited
                | ChannelOpenFailure::ConnectFailed
                | ChannelOpenFailure::ResourceShortage,
            ) => Self::NoChannel,
            russh::Error::ChannelOpenFailure(why) => {
                Self::Error(trouble::failed(format!("no channel can be opened: {why:?}")))
            }
            _ => Self::Lost,
        }
    }
}

async fn exchange(
    session: &Session,
    channel: Option<LaneChannel>,
    (program, text): (&[u8], &[u8]),
    reader: &mut Reader,
    held: &mut Option<LaneChannel>,
    round_trip: &mut Option<Duration>,
    who: &str,
) -> Result<(), Failure> {
    let mut message = Vec::new();
    let mut opening = None;
    let channel = match channel {
        Some(channel) if channel.is_good() => held.insert(channel),
        old => {
            if let Some(old) = old {
                old.opened.close().await;
            }
            let opened = session.execute(BOOTSTRAP).await?;
            opening = Some(opened.round_trip);
            message.extend_from_slice(program);
            held.insert(LaneChannel { opened, since: Instant::now() })
        }
    };
    message.extend_from_slice(text);
    if !message.ends_with(b"\n") {
        message.push(b'\n');
    }
    let sent = Instant::now();
    channel.opened.send(&message).await?;
    // Some answers take minutes.
    drop(message);
    loop {
        match channel.opened.inbox.next().await {
            Ok(bytes) => {
                if round_trip.is_none() {
                    // A shell that starts takes its time; the channel's opening tells more.
                    *round_trip = Some(opening.unwrap_or_else(|| sent.elapsed()));
                }
                match reader.feed(&bytes) {
                    Progress::More => {}
                    Progress::Complete => return Ok(()),
                    Progress::Refused(error) => return Err(Failure::Error(error)),
                }
            }
            Err(End::Lost) => return Err(Failure::Lost),
            Err(End::Flooded) => {
                let message = format!("{who} sent more than {MAX_WAITING_BYTES} bytes at once");
                return Err(Failure::Error(trouble::malformed(message)));
            }
            Err(end @ (End::Closed | End::Refused)) => {
                let fresh = opening.is_some();
                return Err(no_shell(channel, reader, end, fresh, who));
            }
        }
    }
}

fn no_shell(channel: &LaneChannel, reader: &Reader, end: End, fresh: bool, who: &str) -> Failure {
    let (errors, status) = channel.opened.inbox.last_words();
    let words = [reader.noise(), trouble::printable(&errors)];
    let words: Vec<&str> =
        words.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let said = match words.as_slice() {
        [] => String::new(),
        words => format!("; it said {:?}", words.join(" / ")),
    };
    let status = status.map_or_else(String::new, |status| format!(" (exit status {status})"));
    if end == End::Refused {
        let message = format!("{who} does not let us execute commands{said}");
        return Failure::NoShell(trouble::denied(message));
    }
    if !fresh {
        let message = format!("the shell on {who} ended{status}{said}");
        return Failure::Error(trouble::failed(message));
    }
    let message = format!("the login on {who} works, but its shell ended at once{status}{said}");
    Failure::NoShell(trouble::advise(
        trouble::denied(message),
        "give that user a login shell and /bin/sh, and no ForceCommand that ignores the command",
    ))
}
