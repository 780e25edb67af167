//! Configured patterns over command lines.

use crate::ProcessPattern;

/// A pattern, ready to match.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) expected: bool,
    text: Vec<u8>,
    is_glob: bool,
}

impl Pattern {
    /// From the configuration.
    pub(super) fn new(configured: &ProcessPattern) -> Self {
        let text = configured.pattern.as_bytes().to_vec();
        let is_glob = text.iter().any(|byte| matches!(byte, b'*' | b'?'));
        Self { name: configured.name.clone(), expected: configured.expected, text, is_glob }
    }

    /// Whether a command line (arguments parted by blanks) contains the text, or as a whole fits
    /// the glob. An empty pattern matches nothing.
    pub(super) fn matches(&self, command: &[u8]) -> bool {
        match self.text.as_slice() {
            [] => false,
            glob if self.is_glob => fits(glob, command),
            text => command.windows(text.len()).any(|part| part == text),
        }
    }
}

/// Whether the whole text fits: `*` stands for any bytes, `?` for one. Never worse than the product
/// of both lengths.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    let (mut at_glob, mut at_text) = (0, 0);
    // Where to go on when a fit fails: behind the last star, one byte further.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(at_text) {
        match glob.get(at_glob) {
            Some(b'*') => {
                at_glob += 1;
                retry = Some((at_glob, at_text));
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at_glob += 1;
                at_text += 1;
            }
            _ => match retry {
                Some((behind_star, from)) => {
                    retry = Some((behind_star, from + 1));
                    (at_glob, at_text) = (behind_star, from + 1);
                }
                None => return false,
            },
        }
    }
    glob.get(at_glob..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_contained_and_a_glob_fits_the_whole() {
        for (pattern, command, expected) in [
            ("train.py", "python /x/train.py --lr 1", true),
            ("train.py", "python serve.py", false),
            ("train.py", "py", false),
            ("", "anything", false),
            ("python*train*", "python3 -m train", true),
            ("python*train*", "/usr/bin/python3 -m train", false),
            ("*train", "python train", true),
            ("*train", "python train --x", false),
            ("tr?in", "train", true),
            ("tr?in", "trin", false),
            ("*", "", true),
            ("?", "", false),
            ("*a*a*a*b", &"a".repeat(2000), false),
        ] {
            let pattern = Pattern::new(&ProcessPattern {
                name: String::new(),
                pattern: pattern.to_owned(),
                expected: false,
            });
            assert_eq!(pattern.matches(command.as_bytes()), expected, "{pattern:?} {command}");
        }
    }
}
