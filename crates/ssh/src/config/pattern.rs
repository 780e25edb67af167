//! Patterns with `*` and `?`, and lists of them with `!`.

/// Whether a pattern fits the whole text. `*` stands for any run, `?` for one character; case
/// matters (names of hosts are given in lower case).
///
/// Steps are at most the product of the lengths: no pattern is slow.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a run of `*` has to be longer by one.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                retry = Some((p, t));
            }
            (Some(b'?'), Some(_)) => (p, t) = (p + 1, t + 1),
            (Some(a), Some(b)) if a == b => (p, t) = (p + 1, t + 1),
            (None, None) => return true,
            _ => match retry {
                Some((after, from)) if from < text.len() => {
                    (p, t) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            },
        }
    }
}

/// Whether a list of patterns fits: at least one does, and none that is negated.
pub(crate) fn list_fits<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if fits(negated, text) => return false,
            Some(_) => {}
            None => found |= fits(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            ("?", "", false),
            ("?", "a", true),
            ("n??", "n01", true),
            ("n??", "n012", false),
            ("192.168.0.?", "192.168.0.7", true),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "example.org", false),
            ("**", "ab", true),
            ("*?", "", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern:?} {text:?}");
        }
        // A pattern that would take for ever if every run were tried with every other.
        assert!(!fits(&format!("{}c", "a*".repeat(60)), &"a".repeat(5_000)));
    }

    #[test]
    fn a_negated_pattern_that_fits_refuses() {
        for (list, text, expected) in [
            (&["a", "b"][..], "b", true),
            (&["*", "!b"], "b", false),
            (&["!b", "*"], "b", false),
            (&["!b", "*"], "a", true),
            (&["!b"], "a", false),
            (&[], "a", false),
        ] {
            assert_eq!(list_fits(list.iter().copied(), text), expected, "{list:?} {text:?}");
        }
    }
}
