//! Lines of a log: one for each alert.

use sickbay_alert::{Item, Notice, Severity};

use super::words::{MAX_REASONS, cut, line, span, thing};
use super::{Origin, items};

/// What every receiver should take (RFC 5424, section 6.1), in bytes.
const MAX_LINE: usize = 2048;

/// For another machine, as RFC 5424 says.
#[must_use]
pub fn lines(origin: &Origin, notice: &Notice, facility: u8) -> Vec<String> {
    let host: String = origin.hub.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let all = items(notice).into_iter().map(|item| {
        let priority = priority(facility, item);
        // The mark at the beginning says that UTF-8 follows (section 6.4).
        let head = format!("<{priority}>1 {} {host} sickbay - {} - \u{feff}", notice.at, id(item));
        cut(&format!("{head}{}", says(item)), MAX_LINE)
    });
    all.collect()
}

/// For this machine's log, which knows the time and the host.
#[must_use]
pub fn local_lines(notice: &Notice, facility: u8) -> Vec<String> {
    let all = items(notice).into_iter();
    let line = |item| format!("<{}>sickbay: {}", priority(facility, item), says(item));
    all.map(|item| cut(&line(item), MAX_LINE)).collect()
}

/// At most 32 characters, which an id of an alert has not more than.
fn id(item: &Item) -> String {
    item.alert.0.chars().filter(char::is_ascii_graphic).take(32).collect()
}

fn priority(facility: u8, item: &Item) -> u16 {
    let severity = match (item.ended, item.severity) {
        (Some(_), _) => 5,
        (None, Severity::Critical) => 2,
        (None, Severity::Warning) => 4,
        (None, Severity::Info) => 6,
    };
    u16::from(facility) * 8 + severity
}

fn says(item: &Item) -> String {
    let about = format!("{}: {}", thing(&item.key), line(&item.summary));
    let Some(ended) = item.ended else {
        let why: Vec<String> =
            item.explanation.iter().take(MAX_REASONS).map(|it| line(it)).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        return format!("{} {about}{why}", item.severity);
    };
    let why = item.why.as_deref().map(|why| format!(" ({})", line(why))).unwrap_or_default();
    format!("resolved after {} {about}{why}", span(ended.since(item.opened)))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::sample;
    use super::*;

    #[test]
    fn a_line_for_each_alert() {
        let notice = sample::notice();
        let mut all = lines(&sample::origin(), &notice, 3);
        all.extend(local_lines(&notice, 3));
        expect![[r#"
            <26>1 2026-11-21T09:30:00.000Z hub-1 sickbay - 3513e5c7e15751e2-1a1fd65f540 - [BOM]critical node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors (ecc_uncorrected is 2, at most 0 is well; XID 48 & <63>)
            <28>1 2026-11-21T09:30:00.000Z hub-1 sickbay - d3f7150b36d0857d-1a1fd65f540 - [BOM]warning node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors (ecc_uncorrected is 2, at most 0 is well; XID 48 & <63>)
            <29>1 2026-11-21T09:30:00.000Z hub-1 sickbay - bf5d267f65c7bc9c-1a1fd65f540 - [BOM]resolved after 10 min node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors (the node was removed)
            <26>sickbay: critical node/gpu-07 (GPU 3): GPU 3 has 2 uncorrectable memory errors (ecc_uncorrected is 2, at most 0 is well; XID 48 & <63>)
            <28>sickbay: warning node/gpu-08 (GPU 3): GPU 3 has 2 uncorrectable memory errors (ecc_uncorrected is 2, at most 0 is well; XID 48 & <63>)
            <29>sickbay: resolved after 10 min node/gpu-09 (GPU 3): GPU 3 has 2 uncorrectable memory errors (the node was removed)"#]].assert_eq(&all.join("\n").replace('\u{feff}', "[BOM]"));
        let huge = sample::huge();
        let mut lines = lines(&sample::origin(), &huge, 23);
        lines.extend(local_lines(&huge, 23));
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE && !line.contains('\n')));
    }
}
