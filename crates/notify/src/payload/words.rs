//! A notice as people read it.

use std::fmt::Write as _;
use std::time::Duration;

use sickbay_alert::{Item, Key, Notice, Severity};
use sickbay_model::Timestamp;

use super::{Origin, items};

/// The longest line, in bytes.
const MAX_LINE: usize = 1000;
/// The most reasons that are told of one alert.
pub(crate) const MAX_REASONS: usize = 8;

/// A notice in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// One line: what is wrong, on what.
    pub title: String,
    /// One for each alert, the worst first.
    pub entries: Vec<Entry>,
    /// How many more there are.
    pub more: Option<String>,
    /// Where to look.
    pub url: Option<String>,
}

/// One alert in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How bad; none if it is over.
    pub severity: Option<Severity>,
    /// What is wrong, on what.
    pub head: String,
    /// Since when, why, what to do.
    pub lines: Vec<String>,
}

impl Words {
    /// A notice in words.
    #[must_use]
    pub fn new(origin: &Origin, notice: &Notice) -> Self {
        let items = items(notice);
        let more = match notice.still_firing {
            0 => None,
            1 => Some("1 more of the same fires and was told before.".to_owned()),
            many => Some(format!("{many} more of the same fire and were told before.")),
        };
        let url = match items.as_slice() {
            [one] => origin.alert_url(&one.alert),
            _ => origin.url.as_deref().map(str::to_owned),
        };
        Self {
            title: title(notice, &items),
            entries: items.iter().map(|item| Entry::new(item, notice.at)).collect(),
            more,
            url,
        }
    }

    /// One alert of a notice in words.
    #[must_use]
    pub fn of_one(origin: &Origin, notice: &Notice, item: &Item) -> Self {
        Self {
            title: title(notice, &[item]),
            entries: vec![Entry::new(item, notice.at)],
            more: None,
            url: origin.alert_url(&item.alert),
        }
    }

    /// The same with all that comes from machines passed through this.
    #[must_use]
    pub fn escaped(mut self, escape: impl Fn(&str) -> String) -> Self {
        self.title = escape(&self.title);
        for entry in &mut self.entries {
            entry.head = escape(&entry.head);
            for line in &mut entry.lines {
                *line = escape(line);
            }
        }
        self
    }

    /// All of it without the title, within a number of bytes.
    #[must_use]
    pub fn text(&self, limit: usize) -> String {
        let entries: Vec<String> = self.entries.iter().map(Entry::text).collect();
        let ends: Vec<&str> =
            [&self.more, &self.url].into_iter().flatten().map(|it| &**it).collect();
        let end = ends.join("\n");
        let (mut kept, left_out) = fit(entries, limit.saturating_sub(end.len() + 2), 2, usize::MAX);
        kept.extend(left_out);
        if !end.is_empty() {
            kept.push(end);
        }
        cut(&kept.join("\n\n"), limit)
    }
}

impl Entry {
    fn new(item: &Item, at: Timestamp) -> Self {
        let head = format!("{}: {}", thing(&item.key), line(&item.summary));
        match item.ended {
            Some(ended) => {
                let lasted = span(ended.since(item.opened));
                let mut lines = vec![format!("Over at {} after {lasted}", time(ended))];
                lines
                    .extend(item.why.as_deref().map(|why| format!("Ended because: {}", line(why))));
                Self { severity: None, head: format!("RESOLVED {head}"), lines }
            }
            None => Self {
                severity: Some(item.severity),
                head: format!("{} {head}", shout(item.severity)),
                lines: firing_lines(item, at),
            },
        }
    }

    /// All its lines.
    #[must_use]
    pub fn text(&self) -> String {
        let lines = std::iter::once(&self.head).chain(&self.lines);
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn firing_lines(item: &Item, at: Timestamp) -> Vec<String> {
    let still = if item.again { "Still so, since" } else { "Since" };
    let mut since = format!("{still} {} ({})", time(item.opened), span(at.since(item.opened)));
    if item.flapping {
        since.push_str("; it comes and goes");
    }
    let mut lines = vec![since];
    let reasons = item.explanation.iter().take(MAX_REASONS);
    lines.extend(reasons.map(|reason| format!("Why: {}", line(reason))));
    let more = item.explanation.len().saturating_sub(MAX_REASONS);
    if more > 0 {
        lines.push(format!("… and {more} more reasons"));
    }
    lines.extend(item.advice.as_deref().map(|advice| format!("What to do: {}", line(advice))));
    lines
}

fn title(notice: &Notice, items: &[&Item]) -> String {
    if let [one] = items {
        let state = if one.ended.is_some() { "RESOLVED" } else { shout(one.severity) };
        return format!("{state}: {}: {}", thing(&one.key), line(&one.summary));
    }
    let mut title = match worst(notice) {
        Some(severity) => format!("{}: ", shout(severity)),
        None => "RESOLVED: ".to_owned(),
    };
    title.push_str(&counts(notice));
    let labels = notice.labels.iter().filter(|(_, value)| !value.is_empty());
    let labels: Vec<String> =
        labels.map(|(name, value)| format!("{name} {}", line(value))).collect();
    if !labels.is_empty() {
        let _ = write!(title, ": {}", labels.join(", "));
    }
    title
}

fn counts(notice: &Notice) -> String {
    let fire = match notice.firing.len() {
        0 => None,
        1 => Some("1 alert fires".to_owned()),
        many => Some(format!("{many} alerts fire")),
    };
    let over = match (notice.resolved.len(), &fire) {
        (0, _) => None,
        (1, Some(_)) => Some("1 is over".to_owned()),
        (many, Some(_)) => Some(format!("{many} are over")),
        (many, None) => Some(format!("{many} alerts are over")),
    };
    fire.into_iter().chain(over).collect::<Vec<_>>().join(", ")
}

/// The worst severity of what fires.
pub(crate) fn worst(notice: &Notice) -> Option<Severity> {
    notice.firing.iter().map(|item| item.severity).max()
}

/// What an alert is about.
pub(crate) fn thing(key: &Key) -> String {
    match &*key.instance {
        "" => key.resource.as_str().to_owned(),
        instance => format!("{} ({})", key.resource.as_str(), line(instance)),
    }
}

const fn shout(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFO",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    }
}

/// `2026-11-21 09:30:00 UTC`.
pub(crate) fn time(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_unix_ms()) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => at.to_string(),
    }
}

/// A span of time in its two largest units.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => format!("{minutes} min"),
        () if days == 0 => format!("{hours} h {} min", minutes % 60),
        () => format!("{days} d {} h", hours % 24),
    }
}

/// Words on one line, without control characters, and not too long.
pub(crate) fn line(text: &str) -> String {
    // So that a long text costs no more than a long line.
    let end = text.floor_char_boundary(2 * MAX_LINE);
    let text = text.get(..end).unwrap_or_default();
    let words = text.split(|it: char| it.is_control() || it.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    cut(&words.join(" "), MAX_LINE)
}

/// The beginning of a text, in at most so many bytes; what was cut ends in `…`.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Room for the words that say how many were left out.
const LEFT_OUT: usize = 64;

/// The first of these texts that fit into so many bytes and places, `between` bytes apart, and how many
/// do not, in words. The first is always among them, cut if it must be.
pub(crate) fn fit(
    mut texts: Vec<String>,
    limit: usize,
    between: usize,
    places: usize,
) -> (Vec<String>, Option<String>) {
    let room = limit.saturating_sub(LEFT_OUT);
    if let Some(first) = texts.first_mut() {
        *first = cut(first, room);
    }
    let (mut used, mut count) = (0, 0);
    for text in texts.iter().take(places) {
        used += text.len() + between;
        if used > room + between {
            break;
        }
        count += 1;
    }
    let left_out = texts.len() - count;
    texts.truncate(count);
    let words = match left_out {
        0 => None,
        1 => Some("… and 1 more alert for which there is no room here".to_owned()),
        many => Some(format!("… and {many} more alerts for which there is no room here")),
    };
    (texts, words)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn a_notice_in_words() {
        let words = Words::new(&sample::origin(), &sample::notice());
        let text = format!("{}\n---\n{}", words.title, words.text(4000));
        expect![[r#"
            CRITICAL: 2 alerts fire, 1 is over: rule gpu_ecc
            ---
            CRITICAL node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors
            Since 2026-11-21 09:18:00 UTC (12 min)
            Why: ecc_uncorrected is 2, at most 0 is well
            Why: XID 48 & <63>
            What to do: Drain the node and reset the GPU.

            WARNING node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors
            Still so, since 2026-11-21 09:18:00 UTC (12 min); it comes and goes
            Why: ecc_uncorrected is 2, at most 0 is well
            Why: XID 48 & <63>
            What to do: Drain the node and reset the GPU.

            RESOLVED node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors
            Over at 2026-11-21 09:28:00 UTC after 10 min
            Ended because: the node was removed

            3 more of the same fire and were told before.
            https://sickbay.example.org"#]]
        .assert_eq(&text);
    }

    #[test]
    fn one_alert_is_told_in_the_title() {
        let mut notice = sample::notice();
        notice.resolved.clear();
        notice.firing.truncate(1);
        notice.still_firing = 0;
        let words = Words::new(&sample::origin(), &notice);
        expect!["WARNING: node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors"]
            .assert_eq(&words.title);
        expect!["https://sickbay.example.org/#/alerts/d3f7150b36d0857d-1a1fd65f540"]
            .assert_eq(words.url.as_deref().unwrap_or_default());
        let mut notice = sample::notice();
        notice.firing.clear();
        expect!["RESOLVED: node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors"]
            .assert_eq(&Words::new(&sample::origin(), &notice).title);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let words = Words::new(&sample::origin(), &sample::huge());
        for limit in [300, 2000, 9000] {
            let text = words.text(limit);
            assert!(text.len() <= limit && text.contains(" more alerts for which"), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_cut_fits(text in "\\PC{0,80}|(🔥|ä|x|\n){0,80}", limit in 3_usize..100) {
            proptest::prop_assert!(cut(&text, limit).len() <= limit);
            proptest::prop_assert!(!line(&text).contains(char::is_control));
            let (kept, left_out) = fit(vec![text; 9], LEFT_OUT + limit, 2, 5);
            let used: usize = kept.iter().map(|it| it.len() + 2).sum();
            proptest::prop_assert!(used <= limit + 2 && left_out.is_some() && !kept.is_empty());
        }
    }

    #[test]
    fn spans_and_lines() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3_700, "1 h 1 min"), (180_000, "2 d 2 h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(line("a\r\n\tb\u{7}c  d"), "a b c d");
        assert_eq!(cut("äöü", 5), "ä…");
        assert_eq!(cut("äöü", 6), "äöü");
    }
}
