//! Content lines: unfolded, and split into name, parameters and value (RFC 5545, 3.1).

/// One content line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Of its first part, from 1.
    pub number: usize,
    /// In capitals.
    pub name: String,
    /// Names in capitals; values without quotes.
    pub parameters: Vec<(String, String)>,
    /// As it is written.
    pub value: String,
}

impl Line {
    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a parameter has this value, in any case.
    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        self.parameter(name).is_some_and(|it| it.eq_ignore_ascii_case(value))
    }

    /// The value as text: `\,`, `\;`, `\\` and `\n` read.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut all = self.value.chars();
        while let Some(next) = all.next() {
            match next {
                '\\' => match all.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => {}
                },
                other => text.push(other),
            }
        }
        text
    }

    fn parse(number: usize, text: &str) -> Option<Self> {
        let name_end = text.find([';', ':'])?;
        let (name, mut rest) = text.split_at(name_end);
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let (parameter, after) = parameter(after)?;
            parameters.push(parameter);
            rest = after;
        }
        let value = rest.strip_prefix(':')?.to_owned();
        Some(Self { number, name: name.trim().to_ascii_uppercase(), parameters, value })
    }
}

/// A parameter, and what follows it.
fn parameter(text: &str) -> Option<((String, String), &str)> {
    let (name, rest) = text.split_once('=')?;
    let mut quoted = false;
    let is_end = |next: char| {
        quoted ^= next == '"';
        !quoted && matches!(next, ';' | ':')
    };
    let (value, rest) = rest.split_at(rest.find(is_end)?);
    Some(((name.trim().to_ascii_uppercase(), value.replace('"', "")), rest))
}

/// The lines of a text. What is no content line is left out.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut whole: Vec<(usize, String)> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let folded = line.strip_prefix([' ', '\t']);
        match (folded, whole.last_mut()) {
            (Some(more), Some((_, last))) => last.push_str(more),
            _ => whole.push((place + 1, line.to_owned())),
        }
    }
    whole.iter().filter_map(|(number, line)| Line::parse(*number, line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_unfolded_and_split() {
        let text = "BEGIN:VEVENT\r\nattendee;CN=\"Doe; Jane: x\";PARTSTAT=ACCEPTED:mail\r\n to:jane@exam\r\n\tple.com\r\nno line\r\nSUMMARY:a\\, b\\nc\\\\\r\n";
        let all = lines(text);
        let names: Vec<(usize, &str)> =
            all.iter().map(|it| (it.number, it.name.as_str())).collect();
        assert_eq!(names, [(1, "BEGIN"), (2, "ATTENDEE"), (6, "SUMMARY")]);
        assert_eq!(all[1].parameter("CN"), Some("Doe; Jane: x"));
        assert!(all[1].says("PARTSTAT", "accepted"));
        assert_eq!(all[1].value, "mailto:jane@example.com");
        assert_eq!(all[2].text(), "a, b\nc\\");
    }
}
