//! A mail: plain text, as people in the middle of the night read it.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use sickbay_alert::Notice;

use super::Origin;
use super::words::{Words, cut};

const MAX_SUBJECT: usize = 250;
const MAX_TEXT: usize = 128 << 10;

/// The mail to one of those who are told.
///
/// # Errors
/// If it is none after all.
pub(crate) fn message(
    origin: &Origin,
    notice: &Notice,
    from: Mailbox,
    to: Mailbox,
) -> Result<Message, lettre::error::Error> {
    let words = Words::new(origin, notice);
    let seconds = u64::try_from(notice.at.as_unix_ms().div_euclid(1000)).unwrap_or(0);
    let domain = from.email.domain().to_owned();
    let mut message = Message::builder()
        .from(from)
        .to(to)
        .subject(cut(&words.title, MAX_SUBJECT))
        // The same at each try, so that a mailbox can tell.
        .message_id(Some(format!("<{}@{domain}>", origin.message_id(notice))))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .header(ContentType::TEXT_PLAIN);
    // So that nobody's absence answers it (RFC 3834).
    for (name, value) in [("Auto-Submitted", "auto-generated"), ("X-Sickbay-Hub", &*origin.hub)] {
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            message = message.raw_header(HeaderValue::new(name, super::words::line(value)));
        }
    }
    message.body(words.text(MAX_TEXT))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn a_mail() {
        let mut notice = sample::notice();
        notice.firing.truncate(1);
        notice.resolved.clear();
        let mailbox = |text: &str| text.parse().expect("mailbox");
        let (from, to) = (mailbox("Sickbay <sickbay@example.org>"), mailbox("ops@example.org"));
        let mail = message(&sample::origin(), &notice, from, to).expect("mail");
        let text = String::from_utf8(mail.formatted()).expect("text").replace('\r', "");
        expect![[r#"
            From: Sickbay <sickbay@example.org>
            To: ops@example.org
            Subject: WARNING: node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory
             errors
            Message-ID: <msg_ea355f9bddbe88b1fe843fec0e967078@example.org>
            Date: Sat, 21 Nov 2026 09:30:00 +0000
            Content-Type: text/plain; charset=utf-8
            Auto-Submitted: auto-generated
            X-Sickbay-Hub: hub-1
            Content-Transfer-Encoding: 7bit

            WARNING node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors
            Still so, since 2026-11-21 09:18:00 UTC (12 min); it comes and goes
            Why: ecc_uncorrected is 2, at most 0 is well
            Why: XID 48 & <63>
            What to do: Drain the node and reset the GPU.

            3 more of the same fire and were told before.
            https://sickbay.example.org/#/alerts/d3f7150b36d0857d-1a1fd65f540"#]]
        .assert_eq(&text);
    }

    #[test]
    fn no_line_of_a_machine_becomes_a_header() {
        let mut notice = sample::notice();
        notice.resolved.clear();
        notice.firing.truncate(1);
        notice.firing[0].summary = "full\r\nBcc: evil@example.org\r\n\r\n🔥".to_owned();
        let mailbox: Mailbox = "ops@example.org".parse().expect("mailbox");
        let mail = message(&sample::origin(), &notice, mailbox.clone(), mailbox).expect("mail");
        let text = String::from_utf8(mail.formatted()).expect("text");
        assert!(!text.contains("\nBcc"), "{text}");
        let huge = sample::huge();
        let mailbox: Mailbox = "ops@example.org".parse().expect("mailbox");
        let mail = message(&sample::origin(), &huge, mailbox.clone(), mailbox).expect("mail");
        assert!(mail.formatted().len() < 1 << 20);
    }
}
