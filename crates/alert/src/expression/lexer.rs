//! Text into tokens.

use std::ops::Range;

use super::{Mistake, cut};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    Number(f64),
    Text(String),
    /// A name or a keyword.
    Word(&'t str),
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// A piece of the text, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) at: Range<usize>,
}

/// Longer ones first.
const SIGNS: [&str; 22] = [
    "&&", "||", "==", "!=", "<=", ">=", "!", "<", ">", "+", "-", "*", "/", "%", "?", ":", "(", ")",
    "[", "]", ",", ".",
];

/// Signs of other languages, and what is written here.
const FOREIGN: [(&str, &str); 5] = [
    ("=~", "`=~` is no operator: write x.matches(\"pattern\")"),
    ("=", "`=` is no operator: to compare, write =="),
    ("&", "`&` is no operator: write &&"),
    ("|", "`|` is no operator: write ||"),
    ("{", "`{` has no meaning here: a label is written labels.rack == \"r1\""),
];

/// All tokens of a text; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Mistake> {
    let mut all = Vec::new();
    let mut lexer = Lexer { text, at: 0 };
    loop {
        let token = lexer.next()?;
        let is_last = token.kind == Kind::End;
        all.push(token);
        if is_last {
            return Ok(all);
        }
    }
}

pub(super) fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(starts_name) && text.bytes().all(continues_name)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn continues_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next bytes for which this holds. They are ASCII.
    fn take(&mut self, is_one: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !is_one(byte)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            self.take(|byte| byte.is_ascii_whitespace());
            if !self.rest().starts_with("//") {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Token<'t>, Mistake> {
        self.skip_blanks();
        let start = self.at;
        let kind = self.kind()?;
        Ok(Token { kind, at: start..self.at })
    }

    fn kind(&mut self) -> Result<Kind<'t>, Mistake> {
        let rest = self.rest();
        let mut bytes = rest.bytes();
        let (Some(first), second) = (bytes.next(), bytes.next()) else { return Ok(Kind::End) };
        let has_digit = second.is_some_and(|byte| byte.is_ascii_digit());
        match first {
            b'"' | b'\'' => self.string(false),
            b'r' | b'R' if matches!(second, Some(b'"' | b'\'')) => {
                self.at += 1;
                self.string(true)
            }
            _ if first.is_ascii_digit() || (first == b'.' && has_digit) => self.number(),
            _ if starts_name(first) => Ok(Kind::Word(self.take(continues_name))),
            _ => self.sign(),
        }
    }

    fn sign(&mut self) -> Result<Kind<'t>, Mistake> {
        let rest = self.rest();
        let start = self.at;
        // `==` is an operator, `=~` and `=` are not.
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok(Kind::Sign(sign));
        }
        if let Some((sign, message)) = FOREIGN.iter().find(|it| rest.starts_with(it.0)) {
            return Err(Mistake::new(start..start + sign.len(), *message));
        }
        let first = rest.chars().next().unwrap_or_default();
        let shown = first.escape_debug();
        Err(Mistake::new(start..start + first.len_utf8(), format!("`{shown}` has no meaning here")))
    }

    fn number(&mut self) -> Result<Kind<'t>, Mistake> {
        let start = self.at;
        self.take(|byte| byte.is_ascii_digit());
        if self.rest().strip_prefix('.').is_some_and(starts_digit) {
            self.at += 1;
            self.take(|byte| byte.is_ascii_digit());
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if starts_digit(digits) {
                self.at += 1 + (exponent.len() - digits.len());
                self.take(|byte| byte.is_ascii_digit());
            }
        }
        let end = self.at;
        let written = self.text.get(start..end).unwrap_or_default();
        let unit = self.take(continues_name);
        if !unit.is_empty() {
            let message = format!(
                "`{}` is no number: write it without a unit, in the metric's own",
                cut(&format!("{written}{unit}"))
            );
            return Err(Mistake::new(start..self.at, message));
        }
        let number = written.parse::<f64>().ok().filter(|number| number.is_finite());
        let too_large =
            || Mistake::new(start..end, format!("`{}` is too large a number", cut(written)));
        number.map(Kind::Number).ok_or_else(too_large)
    }

    /// A quoted string; in a raw one a backslash is itself.
    fn string(&mut self, raw: bool) -> Result<Kind<'t>, Mistake> {
        let start = self.at;
        let mut all = self.rest().char_indices();
        let quote = all.next().map(|it| it.1);
        let mut text = String::new();
        while let Some((at, next)) = all.next() {
            match next {
                _ if Some(next) == quote => {
                    self.at = start + at + next.len_utf8();
                    return Ok(Kind::Text(text));
                }
                '\n' | '\r' => break,
                '\\' if !raw => {
                    let escaped = escape(&mut all);
                    text.push(escaped.ok_or_else(|| bad_escape(start + at, self.text))?);
                }
                other => text.push(other),
            }
        }
        Err(Mistake::new(
            start..start + 1,
            "this string does not end: its closing quote is missing",
        ))
    }
}

fn starts_digit(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// What follows a backslash, as CEL has it; without its rarer forms.
fn escape(all: &mut std::str::CharIndices<'_>) -> Option<char> {
    Some(match all.next()?.1 {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        same @ ('"' | '\'' | '\\' | '`' | '?') => same,
        'u' => {
            let mut code = 0;
            for _ in 0..4 {
                code = code * 16 + all.next()?.1.to_digit(16)?;
            }
            char::from_u32(code)?
        }
        _ => return None,
    })
}

fn bad_escape(at: usize, text: &str) -> Mistake {
    let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
    let end = at + 1 + next.map_or(0, char::len_utf8);
    let message = "this escape does not exist: there are \\\\ \\\" \\' \\n \\r \\t and \\u0041; in \
                   r\"…\" a backslash is itself";
    Mistake::new(at..end, message)
}
