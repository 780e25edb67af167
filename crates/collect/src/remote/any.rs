//! Any bytes as a node's answers, for fuzzing: nothing breaks, and every promise of the front door
//! holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sickbay_model::{Resource, ResourceId, Timestamp, catalogue};

use super::{Conversation, Progress, Reached, Reader, RemoteSettings};

/// How often the conversation goes on.
const ROUNDS: u64 = 2;

/// Feeds the bytes to every question. `\x1e` stands for the mark with the question's number, which
/// only the node that is asked knows; what is between two marks begins with a section's name.
pub(crate) fn any_answer(bytes: &[u8]) {
    let Some(id) = ResourceId::node("any").ok() else { return };
    let resource =
        Resource { id, display_name: String::new(), labels: BTreeMap::new(), parent: None };
    let mut conversation = Conversation::new(resource, Arc::new(RemoteSettings::default()));
    let step = usize::from(bytes.first().copied().unwrap_or(1)).max(1);
    for round in 0..ROUNDS {
        let now = Duration::from_secs(1 + 900 * round);
        let at = Timestamp::from_unix_ms(1_795_253_400_000 + 900_000 * round as i64);
        // At most one question a lane, and as many rounds as lanes can open one another.
        for _ in 0..super::Lane::ALL.len() {
            let questions = conversation.questions(now);
            for question in questions {
                let number = question.text.split(|&byte| byte == b' ').next().unwrap_or_default();
                let answer = answered(bytes, number);
                let ended = read(question.reader, &answer, step);
                conversation.take(question.lane, ended, Duration::from_millis(1), now, at);
            }
        }
        let reached = Reached { round_trip: Some(Duration::from_millis(1)), opened_in: None };
        let observation = conversation.observe(Ok(reached), at, Duration::ZERO);
        for (series, value) in observation.frame.iter() {
            let def = catalogue::find(series.metric);
            assert!(def.is_some_and(|def| def.accepts(value)), "{series:?} {value}");
            assert!(!series.instance.chars().any(char::is_control), "{series:?}");
        }
        let said = observation.probes.iter().map(|report| format!("{:?}", report.outcome));
        assert!(said.map(|said| said.len()).max().unwrap_or(0) < 1 << 16, "bounded messages");
    }
}

/// The bytes with the question's number behind every mark, and an end.
fn answered(bytes: &[u8], number: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        answer.push(byte);
        if byte == 0x1e {
            answer.extend_from_slice(number);
            answer.push(b' ');
        }
    }
    answer.push(0x1e);
    answer.extend_from_slice(number);
    answer.extend_from_slice(b" end\n");
    answer
}

fn read(
    mut reader: Reader,
    answer: &[u8],
    step: usize,
) -> Result<Reader, sickbay_model::ProbeError> {
    for piece in answer.chunks(step) {
        match reader.feed(piece) {
            Progress::More => {}
            Progress::Complete => break,
            Progress::Refused(error) => return Err(error),
        }
        assert!(reader.noise().chars().count() <= 1000, "bounded noise");
    }
    Ok(reader)
}
