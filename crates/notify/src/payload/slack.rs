//! A message of Slack, for an incoming webhook.
//!
//! Limits: 50 blocks; 3000 characters in a section, 150 in a header; about 9000 characters together.
//! Source: <https://docs.slack.dev/reference/block-kit/blocks/>.

use serde_json::{Value, json};
use sickbay_alert::{Notice, Severity};

use super::words::{Entry, Words, cut, fit};
use super::{Origin, Part};

const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
/// All sections together: leaves room for the title, which is there twice, and the end.
const MAX_SECTIONS: usize = 8000;
/// Leaves room for the header and the end.
const MAX_ENTRIES: usize = 47;

/// The message.
#[must_use]
pub fn part(origin: &Origin, notice: &Notice) -> Part {
    let words = Words::new(origin, notice);
    let entries = words.entries.iter().map(|entry| cut(&section(entry), MAX_SECTION)).collect();
    let (kept, left_out) = fit(entries, MAX_SECTIONS, 0, MAX_ENTRIES);
    let title = cut(&words.title, MAX_HEADER);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": title, "emoji": false },
    })];
    blocks.extend(kept.iter().map(|text| {
        json!({ "type": "section", "expand": true, "text": { "type": "mrkdwn", "text": text } })
    }));
    let url = words.url.map(|url| format!("<{}|Open in Sickbay>", escape(&url)));
    let end: Vec<String> = left_out.into_iter().chain(words.more).chain(url).collect();
    if !end.is_empty() {
        blocks.push(context(&end.join("\n")));
    }
    // What a phone shows before the message is opened.
    Part::json(&json!({ "text": escape(&title), "blocks": blocks }))
}

fn context(text: &str) -> Value {
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": cut(text, 500) }] })
}

fn section(entry: &Entry) -> String {
    let sign = match entry.severity {
        None => ":white_check_mark:",
        Some(Severity::Info) => ":information_source:",
        Some(Severity::Warning) => ":large_yellow_circle:",
        Some(Severity::Critical) => ":red_circle:",
    };
    let mut text = format!("{sign} *{}*", escape(&entry.head));
    for line in &entry.lines {
        text.push('\n');
        text.push_str(&escape(line));
    }
    text
}

/// What Slack would take for its own: <https://docs.slack.dev/messaging/formatting-message-text/#escaping>.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn a_message() {
        let part = part(&sample::origin(), &sample::notice());
        let body: Value = serde_json::from_str(&part.body).expect("JSON");
        expect![[r#"
            {
              "blocks": [
                {
                  "text": {
                    "emoji": false,
                    "text": "CRITICAL: 2 alerts fire, 1 is over: rule gpu_ecc",
                    "type": "plain_text"
                  },
                  "type": "header"
                },
                {
                  "expand": true,
                  "text": {
                    "text": ":red_circle: *CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors*\nSince 2026-11-21 09:18:00 UTC (12 min)\nWhy: ecc_uncorrected is 2, at most 0 is well\nWhy: XID 48 &amp; &lt;63&gt;\nWhat to do: Drain the node and reset the GPU.",
                    "type": "mrkdwn"
                  },
                  "type": "section"
                },
                {
                  "expand": true,
                  "text": {
                    "text": ":large_yellow_circle: *WARNING node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors*\nStill so, since 2026-11-21 09:18:00 UTC (12 min); it comes and goes\nWhy: ecc_uncorrected is 2, at most 0 is well\nWhy: XID 48 &amp; &lt;63&gt;\nWhat to do: Drain the node and reset the GPU.",
                    "type": "mrkdwn"
                  },
                  "type": "section"
                },
                {
                  "expand": true,
                  "text": {
                    "text": ":white_check_mark: *RESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors*\nOver at 2026-11-21 09:28:00 UTC after 10 min\nEnded because: the node was removed",
                    "type": "mrkdwn"
                  },
                  "type": "section"
                },
                {
                  "elements": [
                    {
                      "text": "3 more of the same fire and were told before.\n<https://sickbay.example.org|Open in Sickbay>",
                      "type": "mrkdwn"
                    }
                  ],
                  "type": "context"
                }
              ],
              "text": "CRITICAL: 2 alerts fire, 1 is over: rule gpu_ecc"
            }"#]].assert_eq(&format!("{body:#}"));
    }

    #[test]
    fn its_limits_are_kept() {
        let mut many = sample::huge();
        for item in &mut many.firing {
            (item.summary, item.explanation, item.advice) = ("x".into(), vec![], None);
        }
        for notice in [sample::huge(), many] {
            let part = part(&sample::origin(), &notice);
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            let blocks = body["blocks"].as_array().expect("blocks");
            let texts = blocks.iter().map(|it| it["text"]["text"].as_str().unwrap_or_default());
            assert!(blocks.len() <= 50 && blocks.len() > 2, "{}", blocks.len());
            assert!(texts.clone().all(|text| text.chars().count() <= MAX_SECTION));
            assert!(texts.map(|text| text.chars().count()).sum::<usize>() <= 9000);
            assert!(part.body.contains("for which there is no room"));
        }
    }
}
