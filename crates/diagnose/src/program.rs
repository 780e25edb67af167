//! The program that asks the questions of a level.

use sickbay_collect::remote::{LIMITED, packed_line, quoted};

use crate::question::{Level, QUESTIONS};

const SOURCE: &str = include_str!("program.sh");

/// The program in one line, with the line's end: what `IFS= read -r p && eval "$p"` reads from its
/// input. `nonce` marks its own lines among those of the commands: letters and digits.
#[must_use]
pub fn line(level: Level, nonce: &str) -> Vec<u8> {
    let mut questions = String::new();
    for question in QUESTIONS.iter().filter(|question| question.level <= level) {
        let words = [
            question.id,
            question.group.as_str(),
            question.needs,
            &question.seconds.to_string(),
            question.command,
        ];
        questions.push_str("ask");
        for word in words {
            questions.push(' ');
            questions.push_str(&quoted(word));
        }
        questions.push('\n');
    }
    asking(&questions, nonce)
}

/// The program that runs these lines of its own.
pub(crate) fn asking(questions: &str, nonce: &str) -> Vec<u8> {
    let nonce: String = nonce.chars().filter(char::is_ascii_alphanumeric).collect();
    let source = SOURCE.replace("@NONCE@", &nonce).replace("@LIMITED@", LIMITED);
    packed_line(&source.replace("@QUESTIONS@", questions))
}
