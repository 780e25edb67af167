//! Lines into a keyword and its arguments.

/// A line's keyword, in lower case, and its arguments; `None` for an empty line or a comment.
///
/// Arguments may stand in single or double quotes; a backslash takes a quote, a backslash or (out
/// of quotes) a blank as it is; `#` at the beginning of an argument starts a comment.
pub(super) fn line(text: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let text = text.trim_matches(is_blank);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let end = text.find(|c: char| is_blank(c) || c == '=').unwrap_or(text.len());
    let (keyword, rest) = text.split_at(end);
    let keyword = keyword.trim_matches('"').to_ascii_lowercase();
    let rest = rest.trim_start_matches(is_blank);
    // At most one `=`, which blanks may surround.
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some((keyword, arguments(rest)?)))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\x0c' | '\u{feff}')
}

fn arguments(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|&c| is_blank(c)).is_some() {}
        match rest.peek() {
            None | Some('#') => return Ok(found),
            Some(_) => found.push(argument(&mut rest)?),
        }
    }
}

fn argument(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(c) = rest.next_if(|&c| quote.is_some() || !is_blank(c)) {
        match (c, quote) {
            ('\\', _) => match rest.peek() {
                Some(&next @ ('"' | '\'' | '\\')) => {
                    rest.next();
                    word.push(next);
                }
                Some(' ') if quote.is_none() => {
                    rest.next();
                    word.push(' ');
                }
                _ => word.push('\\'),
            },
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, _) => word.push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("a {open} is not closed")),
        None => Ok(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_openssh_does() {
        for (text, expected) in [
            ("", "None"),
            ("   # a comment", "None"),
            ("\u{feff}Host a", r#"host ["a"]"#),
            ("Host a b\tc\r", r#"host ["a", "b", "c"]"#),
            ("Port=22", r#"port ["22"]"#),
            ("Port = 22", r#"port ["22"]"#),
            ("  PORT =22 # why", r#"port ["22"]"#),
            ("IdentityFile \"~/my keys/a\"", r#"identityfile ["~/my keys/a"]"#),
            ("IdentityFile '~/my keys/a' b", r#"identityfile ["~/my keys/a", "b"]"#),
            (r"IdentityFile ~/my\ keys/a", r#"identityfile ["~/my keys/a"]"#),
            (r#"User "a\"b\\c""#, r#"user ["a\"b\\c"]"#),
            (r"User DOMAIN\name", r#"user ["DOMAIN\\name"]"#),
            ("User a#b", r##"user ["a#b"]"##),
            ("User ==a", r#"user ["=a"]"#),
            ("Host", "host []"),
            ("User \"a", "error: a \" is not closed"),
            ("User 'a", "error: a ' is not closed"),
            ("User \"\"", r#"user [""]"#),
        ] {
            let found = match line(text) {
                Ok(None) => "None".to_owned(),
                Ok(Some((keyword, arguments))) => format!("{keyword} {arguments:?}"),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
