//! Messages for services that take a notice as plain words.

use serde_json::{Value, json};
use sickbay_alert::{Notice, Severity};

use super::words::{Words, cut, worst};
use super::{Origin, Part};
use crate::receiver::Preset;
use crate::template::{Field, Template};

/// The message.
#[must_use]
pub fn part(origin: &Origin, notice: &Notice, preset: &Preset) -> Part {
    let words = Words::new(origin, notice);
    match preset {
        Preset::Discord => Part::json(&discord(notice, &words.escaped(discord_text))),
        Preset::Telegram { chat_id } => Part::json(&telegram(&words, chat_id)),
        Preset::Ntfy { topic } => Part::json(&ntfy(notice, &words, topic)),
        Preset::Teams => Part::json(&teams(&words.escaped(teams_text))),
        Preset::Custom(template) => custom(origin, notice, &words, template),
    }
}

/// Limits: title 256, description 4096 characters.
/// Source: <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>.
fn discord(notice: &Notice, words: &Words) -> Value {
    let color = match worst(notice) {
        None => 0x2e_a0_43,
        Some(Severity::Info) => 0x1f_6f_eb,
        Some(Severity::Warning) => 0xd2_99_22,
        Some(Severity::Critical) => 0xda_36_33,
    };
    json!({
        "username": "Sickbay",
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": cut(&words.title, 256),
            "description": words.text(4096),
            "url": words.url,
            "color": color,
            "timestamp": notice.at,
        }],
    })
}

/// Nothing in it is markup, a mention or a link of another name.
fn discord_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\*_~`|<>[]#".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// No link of another name.
fn teams_text(text: &str) -> String {
    text.replace("](", "] (")
}

/// Limit: 4096 characters. Without `parse_mode` nothing in it is markup.
/// Source: <https://core.telegram.org/bots/api#sendmessage>.
fn telegram(words: &Words, chat_id: &str) -> Value {
    let title = cut(&words.title, 512);
    let text = format!("{title}\n\n{}", words.text(4096 - title.len() - 2));
    json!({ "chat_id": chat_id, "text": text, "link_preview_options": { "is_disabled": true } })
}

/// Limit: 4096 bytes; a longer message becomes an attachment.
/// Source: <https://docs.ntfy.sh/publish/#publish-as-json>.
fn ntfy(notice: &Notice, words: &Words, topic: &str) -> Value {
    let (priority, tag) = match worst(notice) {
        None => (2, "white_check_mark"),
        Some(Severity::Info) => (3, "information_source"),
        Some(Severity::Warning) => (4, "warning"),
        Some(Severity::Critical) => (5, "rotating_light"),
    };
    let mut message = json!({
        "topic": topic,
        "title": cut(&words.title, 250),
        "message": words.text(4000),
        "priority": priority,
        "tags": [tag],
    });
    if let Some(url) = &words.url {
        message["click"] = url.clone().into();
    }
    message
}

/// A card for a workflow. Limit: 28 KB.
/// Source: <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>.
fn teams(words: &Words) -> Value {
    let title = cut(&words.title, 500);
    // A line break of Markdown is two.
    let text = words.text(16_000).replace("\n\n", "\n").replace('\n', "\n\n");
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": { "width": "Full" },
        "body": [
            { "type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": true },
            { "type": "TextBlock", "text": text, "wrap": true },
        ],
    });
    let kind = "application/vnd.microsoft.card.adaptive";
    json!({ "type": "message", "attachments": [{ "contentType": kind, "content": card }] })
}

/// The most of a notice's text in a body of one's own, in bytes.
const MAX_TEXT: usize = 16_000;

fn custom(origin: &Origin, notice: &Notice, words: &Words, template: &Template) -> Part {
    let body = template.fill(|field| match field {
        Field::Title => words.title.clone(),
        Field::Text => words.text(MAX_TEXT),
        Field::Status => if notice.firing.is_empty() { "resolved" } else { "firing" }.to_owned(),
        Field::Severity => {
            let all = notice.firing.iter().chain(&notice.resolved).map(|item| item.severity);
            all.max().unwrap_or_default().to_string()
        }
        Field::Count => (notice.firing.len() + notice.resolved.len()).to_string(),
        Field::Receiver => notice.receiver.to_string(),
        Field::Url => words.url.clone().unwrap_or_default(),
        Field::Id => origin.message_id(notice),
    });
    let content_type = if template.is_json() { Part::JSON } else { "text/plain; charset=utf-8" };
    Part { path: String::new(), content_type, body }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    fn presets() -> Vec<Preset> {
        let template = r#"{"t": "{{title}}", "s": "{{status}} {{severity}} {{count}} {{receiver}} {{url}} {{id}}"}"#;
        vec![
            Preset::Discord,
            Preset::Telegram { chat_id: "-100".to_owned() },
            Preset::Ntfy { topic: "gpus".to_owned() },
            Preset::Teams,
            Preset::Custom(Template::new(template, true).expect("template")),
        ]
    }

    #[test]
    fn messages() {
        let mut notice = sample::notice();
        notice.firing.remove(0);
        let shown = presets().into_iter().map(|preset| {
            let part = part(&sample::origin(), &notice, &preset);
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            format!("{body:#}\n")
        });
        expect![[r#"
            {
              "allowed_mentions": {
                "parse": []
              },
              "embeds": [
                {
                  "color": 14300723,
                  "description": "CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nSince 2026-11-21 09:18:00 UTC (12 min)\nWhy: ecc\\_uncorrected is 2, at most 0 is well\nWhy: XID 48 & \\<63\\>\nWhat to do: Drain the node and reset the GPU.\n\nRESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nOver at 2026-11-21 09:28:00 UTC after 10 min\nEnded because: the node was removed\n\n3 more of the same fire and were told before.\nhttps://sickbay.example.org",
                  "timestamp": "2026-11-21T09:30:00.000Z",
                  "title": "CRITICAL: 1 alert fires, 1 is over: rule gpu\\_ecc",
                  "url": "https://sickbay.example.org"
                }
              ],
              "username": "Sickbay"
            }
            {
              "chat_id": "-100",
              "link_preview_options": {
                "is_disabled": true
              },
              "text": "CRITICAL: 1 alert fires, 1 is over: rule gpu_ecc\n\nCRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nSince 2026-11-21 09:18:00 UTC (12 min)\nWhy: ecc_uncorrected is 2, at most 0 is well\nWhy: XID 48 & <63>\nWhat to do: Drain the node and reset the GPU.\n\nRESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nOver at 2026-11-21 09:28:00 UTC after 10 min\nEnded because: the node was removed\n\n3 more of the same fire and were told before.\nhttps://sickbay.example.org"
            }
            {
              "click": "https://sickbay.example.org",
              "message": "CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nSince 2026-11-21 09:18:00 UTC (12 min)\nWhy: ecc_uncorrected is 2, at most 0 is well\nWhy: XID 48 & <63>\nWhat to do: Drain the node and reset the GPU.\n\nRESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors\nOver at 2026-11-21 09:28:00 UTC after 10 min\nEnded because: the node was removed\n\n3 more of the same fire and were told before.\nhttps://sickbay.example.org",
              "priority": 5,
              "tags": [
                "rotating_light"
              ],
              "title": "CRITICAL: 1 alert fires, 1 is over: rule gpu_ecc",
              "topic": "gpus"
            }
            {
              "attachments": [
                {
                  "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "body": [
                      {
                        "size": "Medium",
                        "text": "CRITICAL: 1 alert fires, 1 is over: rule gpu_ecc",
                        "type": "TextBlock",
                        "weight": "Bolder",
                        "wrap": true
                      },
                      {
                        "text": "CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors\n\nSince 2026-11-21 09:18:00 UTC (12 min)\n\nWhy: ecc_uncorrected is 2, at most 0 is well\n\nWhy: XID 48 & <63>\n\nWhat to do: Drain the node and reset the GPU.\n\nRESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors\n\nOver at 2026-11-21 09:28:00 UTC after 10 min\n\nEnded because: the node was removed\n\n3 more of the same fire and were told before.\n\nhttps://sickbay.example.org",
                        "type": "TextBlock",
                        "wrap": true
                      }
                    ],
                    "msteams": {
                      "width": "Full"
                    },
                    "type": "AdaptiveCard",
                    "version": "1.4"
                  },
                  "contentType": "application/vnd.microsoft.card.adaptive"
                }
              ],
              "type": "message"
            }
            {
              "s": "firing critical 2 on-call https://sickbay.example.org msg_ea355f9bddbe88b1fe843fec0e967078",
              "t": "CRITICAL: 1 alert fires, 1 is over: rule gpu_ecc"
            }
        "#]].assert_eq(&shown.collect::<String>());
    }

    #[test]
    fn what_machines_say_is_no_markup() {
        let text = "[here](http://evil) @everyone <@1> **x** a_b";
        assert_eq!(discord_text(text), r"\[here\](http://evil) @everyone \<@1\> \*\*x\*\* a\_b");
        assert_eq!(teams_text(text), "[here] (http://evil) @everyone <@1> **x** a_b");
    }

    #[test]
    fn limits_are_kept() {
        for preset in presets() {
            let part = part(&sample::origin(), &sample::huge(), &preset);
            let body: Value = serde_json::from_str(&part.body).expect("JSON");
            let length = |text: &Value| text.as_str().map(str::len).expect("text");
            match preset {
                Preset::Discord => {
                    assert!(length(&body["embeds"][0]["title"]) <= 256);
                    assert!(length(&body["embeds"][0]["description"]) <= 4096);
                }
                Preset::Telegram { .. } => assert!(length(&body["text"]) <= 4096),
                Preset::Ntfy { .. } => assert!(length(&body["message"]) <= 4096),
                Preset::Teams => assert!(part.body.len() < 28_000, "{}", part.body.len()),
                Preset::Custom(_) => {}
            }
        }
    }
}
