//! One channel: the program that was sent, played.

use std::time::Duration;

use crate::behaviour::Behaviour;
use crate::host::Host;

/// The most bytes of a line: the program has some ten thousand.
const MAX_LINE_BYTES: usize = 1 << 20;

/// What is to be done with what came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send this.
    Answer(Vec<u8>),
    /// Send this and end the channel.
    Last(Vec<u8>),
    /// End the connection.
    HangUp,
}

/// What is known of one channel.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    line: Vec<u8>,
    /// The first line is the program; it is not looked at.
    has_program: bool,
    told_lasting: bool,
}

impl Shell {
    /// Takes in what the client wrote; gives a reply for each whole question.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        host: &Host,
        behaviour: Behaviour,
        elapsed: Duration,
    ) -> Vec<Reply> {
        let mut replies = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > MAX_LINE_BYTES {
                return vec![Reply::HangUp];
            }
            if self.line.last() != Some(&b'\n') {
                break;
            }
            let line = std::mem::take(&mut self.line);
            if !std::mem::replace(&mut self.has_program, true) {
                continue;
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            replies.extend(self.answer(line.trim_end(), host, behaviour, elapsed));
        }
        replies
    }

    fn answer(
        &mut self,
        question: &str,
        host: &Host,
        behaviour: Behaviour,
        elapsed: Duration,
    ) -> Option<Reply> {
        let mut words = question.split(' ');
        let (number, lane) = (words.next()?, words.next()?);
        let _seconds = words.next()?;
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        match (behaviour, lane) {
            (Behaviour::Silent, _) | (Behaviour::GpuHangs, "nvidia") => return None,
            (Behaviour::Gone, _) => return Some(Reply::HangUp),
            _ => {}
        }
        let mut answer = Answer { mark: format!("\u{1e}{number} "), bytes: Vec::new() };
        match lane {
            "host" => self.host(&words, host, behaviour, elapsed, &mut answer),
            "nvidia" => nvidia(&words, host, behaviour, elapsed, &mut answer),
            "mounts" => {
                answer.files(|into| host.mountinfo(into));
                answer.section("space");
            }
            "torch" => {
                answer.section("interpreter /usr/bin/python3");
                answer.section("torch");
                answer.bytes.extend_from_slice(
                    b"\nsickbay-torch:{\"version\": \"2.5.1\", \"cuda_available\": true, \
                      \"gpu_count\": 8}\n",
                );
                answer.section("status torch 0");
            }
            _ => {}
        }
        answer.section("end");
        if behaviour == Behaviour::Cut {
            answer.bytes.truncate(answer.bytes.len() / 2);
            return Some(Reply::Last(answer.bytes));
        }
        let last = lane == "torch";
        Some(if last { Reply::Last(answer.bytes) } else { Reply::Answer(answer.bytes) })
    }

    fn host(
        &mut self,
        words: &[&str],
        host: &Host,
        behaviour: Behaviour,
        elapsed: Duration,
        answer: &mut Answer,
    ) {
        if !std::mem::replace(&mut self.told_lasting, true) {
            answer.files(|into| host.lasting(into));
            answer.section("values");
            host.hardware(&mut answer.bytes);
        }
        for word in words {
            match *word {
                "fast" => {
                    answer.section("directory sys/block");
                    answer.files(|into| host.fast(elapsed, into));
                }
                "space" => {
                    answer.files(|into| host.mountinfo(into));
                    answer.section("space");
                    host.space(behaviour == Behaviour::DiskFull, &mut answer.bytes);
                }
                "links" => {
                    answer.section("directory sys/class/net");
                    answer.section("values");
                    answer.bytes.extend_from_slice(b"sys/class/net/eno1/device there\n");
                    answer.files(|into| host.links(into));
                }
                "sensors" => answer.files(|into| host.sensors(elapsed, into)),
                "processes" => {
                    for what in ["stat", "cmdline"] {
                        answer.section(&format!("table {what}"));
                        answer.bytes.extend_from_slice(b"==> /dev/null <==\n");
                        let idle = behaviour == Behaviour::Idle;
                        host.processes(what, idle, elapsed, &mut answer.bytes);
                    }
                }
                "amd" => {
                    answer.section("values");
                    host.hardware(&mut answer.bytes);
                }
                _ => {}
            }
        }
    }
}

fn nvidia(
    words: &[&str],
    host: &Host,
    behaviour: Behaviour,
    elapsed: Duration,
    answer: &mut Answer,
) {
    answer.section("values");
    host.hardware(&mut answer.bytes);
    match words {
        ["help", ..] => {
            answer.section("help");
            host.gpu_help(&mut answer.bytes);
            answer.section("status help 0");
        }
        [fields, ..] => {
            answer.section("query");
            if behaviour == Behaviour::GpuLost {
                answer.bytes.extend_from_slice(
                    b"Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  \
                      Reboot the system to recover this GPU\n",
                );
                answer.section("status query 15");
                return;
            }
            let idle = behaviour == Behaviour::Idle;
            host.gpu_query(fields, idle, elapsed, &mut answer.bytes);
            answer.section("status query 0");
            answer.section("apps");
            if !idle {
                host.gpu_apps(&mut answer.bytes);
            }
            answer.section("status apps 0");
        }
        [] => {}
    }
}

/// An answer in the making.
struct Answer {
    mark: String,
    bytes: Vec<u8>,
}

impl Answer {
    fn section(&mut self, name: &str) {
        self.bytes.extend_from_slice(self.mark.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'\n');
    }

    /// Files as `head` writes them; it begins with one that is empty.
    fn files(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.section("files");
        self.bytes.extend_from_slice(b"==> /dev/null <==\n");
        write(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use sickbay_collect::remote::{Conversation, Progress, Reached};
    use sickbay_model::{
        Observation, ProbeError, ProbeErrorKind, ProbeOutcome, Resource, ResourceId, Timestamp,
        catalogue, probe,
    };

    use super::*;

    /// Two collections, 10 s apart, of a host that behaves in some way.
    fn observed(behaviour: Behaviour) -> Observation {
        let resource = Resource {
            id: ResourceId::node("sim").expect("valid"),
            display_name: "sim".to_owned(),
            labels: BTreeMap::new(),
            parent: None,
        };
        let (host, mut shells) = (Host::new(3), BTreeMap::new());
        let mut conversation = Conversation::new(resource, Arc::default());
        let mut last = None;
        for seconds in [100, 110] {
            let (now, at) =
                (Duration::from_secs(seconds), Timestamp::from_unix_ms(1000 * seconds as i64));
            loop {
                let questions = conversation.questions(now);
                if questions.is_empty() {
                    break;
                }
                for mut question in questions {
                    let shell = shells.entry(question.lane).or_insert_with(Shell::default);
                    let mut sent = question.text.clone();
                    if !shell.has_program {
                        sent = [&question.program, question.text.as_slice()].concat();
                    }
                    let mut complete = false;
                    for reply in shell.take(&sent, &host, behaviour, now) {
                        let (Reply::Answer(bytes) | Reply::Last(bytes)) = reply else { continue };
                        complete = question.reader.feed(&bytes) == Progress::Complete;
                    }
                    let late = ProbeError {
                        kind: ProbeErrorKind::Late,
                        message: "late".to_owned(),
                        advice: None,
                    };
                    let ended = if complete { Ok(question.reader) } else { Err(late) };
                    conversation.take(question.lane, ended, Duration::ZERO, now, at);
                }
            }
            let reached = Reached { round_trip: Some(Duration::from_millis(1)), opened_in: None };
            last = Some(conversation.observe(Ok(reached), at, Duration::ZERO));
        }
        last.expect("observed")
    }

    #[test]
    fn a_host_answers_as_the_program_would() {
        let observation = observed(Behaviour::Well);
        for report in &observation.probes {
            let well =
                matches!(report.outcome, ProbeOutcome::Answered | ProbeOutcome::NotApplicable(_));
            assert!(well, "{report:?}");
        }
        assert_eq!(observation.inventory.gpus.len(), 8);
        assert_eq!(observation.inventory.filesystems.len(), 2);
        assert_eq!(observation.processes.training.len(), 8);
        assert_eq!(observation.torch.as_ref().map(|torch| torch.gpu_count), Some(8));
        assert_eq!(observation.refused_readings, 0, "{:?}", observation.refused);
        let used = observation.frame.get(catalogue::CPU_USED).expect("a rate");
        assert!((30.0..40.0).contains(&used), "{used}");
        assert!(observation.frame.get_instance(catalogue::GPU_POWER, "7").is_some());
    }

    #[test]
    fn what_is_wrong_with_a_host_shows() {
        let outcome = |behaviour, wanted: &sickbay_model::ProbeId| {
            let observation = observed(behaviour);
            observation.probe(wanted).map(|report| report.outcome.clone())
        };
        let failed =
            |outcome: Option<ProbeOutcome>| matches!(outcome, Some(ProbeOutcome::Failed(_)));
        assert!(failed(outcome(Behaviour::GpuHangs, &probe::NVIDIA)));
        assert!(failed(outcome(Behaviour::Cut, &probe::CPU)));
        assert!(!failed(outcome(Behaviour::GpuHangs, &probe::CPU)));
        let idle = observed(Behaviour::Idle);
        assert_eq!((idle.inventory.gpus.len(), idle.processes.training.len()), (8, 0));
        let full = observed(Behaviour::DiskFull);
        assert_eq!(full.frame.get_instance(catalogue::FILESYSTEM_FREE, "/"), Some(0.0));
        let lost = observed(Behaviour::GpuLost);
        let told = format!("{:?}", lost.probe(&probe::NVIDIA));
        assert!(told.contains("lost"), "{told}");
    }
}
