//! The tree of what is written, and its canonical text.

use std::fmt::{self, Write};
use std::ops::Range;

use super::lexer::is_name;

/// A part of the text as it was understood.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it is written, with the parentheses around it.
    pub(super) at: Range<usize>,
    /// How many levels it has.
    pub(super) depth: usize,
    pub(super) syntax: Syntax,
}

/// What a part of the text is.
#[derive(Clone, Debug)]
pub(super) enum Syntax {
    Number(f64),
    Text(String),
    Bool(bool),
    List(Vec<Node>),
    Name(String),
    /// `owner.name`
    Field(Box<Node>, String),
    /// `owner[key]`
    Index(Box<[Node; 2]>),
    Call(String, Vec<Node>),
    /// `receiver.name(…)`, the receiver first.
    Method(Word, Vec<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    /// Two or more.
    All(Vec<Node>),
    /// Two or more.
    Any(Vec<Node>),
    Binary(Binary, Box<[Node; 2]>),
    /// `condition ? one : other`
    Choice(Box<[Node; 3]>),
}

/// A word and where it is.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// Operators between two operands that are not `&&` or `||`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Plus,
    Minus,
    Times,
    Over,
    Remainder,
}

impl Binary {
    pub(super) const ALL: [Self; 12] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::In,
        Self::Plus,
        Self::Minus,
        Self::Times,
        Self::Over,
        Self::Remainder,
    ];

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Over => "/",
            Self::Remainder => "%",
        }
    }

    /// How tightly it binds.
    pub(super) const fn power(self) -> u8 {
        match self {
            Self::Plus | Self::Minus => power::SUM,
            Self::Times | Self::Over | Self::Remainder => power::PRODUCT,
            _ => power::RELATION,
        }
    }
}

/// How tightly things bind, as in CEL.
pub(super) mod power {
    pub(in super::super) const CHOICE: u8 = 1;
    pub(in super::super) const ANY: u8 = 2;
    pub(in super::super) const ALL: u8 = 3;
    pub(in super::super) const RELATION: u8 = 4;
    pub(in super::super) const SUM: u8 = 5;
    pub(in super::super) const PRODUCT: u8 = 6;
    pub(in super::super) const UNARY: u8 = 7;
    pub(in super::super) const OWNER: u8 = 8;
}

/// Words that are no names.
pub(super) const KEYWORDS: [&str; 3] = ["in", "true", "false"];

impl Node {
    pub(super) fn new(at: Range<usize>, syntax: Syntax) -> Self {
        let depth = syntax.parts().iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        Self { at, depth, syntax }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, least: u8) -> fmt::Result {
        let parentheses = self.syntax.power() < least;
        if parentheses {
            f.write_str("(")?;
        }
        self.syntax.write(f)?;
        if parentheses { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, power::CHOICE)
    }
}

impl Syntax {
    fn parts(&self) -> &[Node] {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Bool(_) | Self::Name(_) => &[],
            Self::List(parts)
            | Self::Call(_, parts)
            | Self::Method(_, parts)
            | Self::All(parts)
            | Self::Any(parts) => parts,
            Self::Field(part, _) | Self::Not(part) | Self::Negative(part) => {
                std::slice::from_ref(part)
            }
            Self::Index(parts) | Self::Binary(_, parts) => &parts[..],
            Self::Choice(parts) => &parts[..],
        }
    }

    fn power(&self) -> u8 {
        match self {
            Self::Choice(_) => power::CHOICE,
            Self::Any(_) => power::ANY,
            Self::All(_) => power::ALL,
            Self::Binary(operator, _) => operator.power(),
            Self::Not(_) | Self::Negative(_) => power::UNARY,
            _ => power::OWNER,
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write_number(f, *number),
            Self::Text(text) => write_text(f, text),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Name(name) => f.write_str(name),
            Self::List(parts) => write_all(f, "[", parts, ", ", power::CHOICE, "]"),
            Self::Field(owner, name) => {
                owner.write(f, power::OWNER)?;
                write_key(f, name)
            }
            Self::Index(parts) => {
                let [owner, key] = &**parts;
                owner.write(f, power::OWNER)?;
                match &key.syntax {
                    Self::Text(name) => write_key(f, name),
                    _ => write!(f, "[{key}]"),
                }
            }
            Self::Call(name, parts) => {
                f.write_str(name)?;
                write_all(f, "(", parts, ", ", power::CHOICE, ")")
            }
            Self::Method(name, parts) => {
                if let Some((receiver, rest)) = parts.split_first() {
                    receiver.write(f, power::OWNER)?;
                    write!(f, ".{}", name.text)?;
                    write_all(f, "(", rest, ", ", power::CHOICE, ")")?;
                }
                Ok(())
            }
            Self::Not(part) => write_unary(f, "!", part),
            Self::Negative(part) => write_unary(f, "-", part),
            Self::All(parts) => write_all(f, "", parts, " && ", power::ALL + 1, ""),
            Self::Any(parts) => write_all(f, "", parts, " || ", power::ANY + 1, ""),
            Self::Binary(operator, parts) => {
                let [left, right] = &**parts;
                // Comparisons are not chained.
                let is_relation = operator.power() == power::RELATION;
                left.write(f, operator.power() + u8::from(is_relation))?;
                write!(f, " {} ", operator.sign())?;
                right.write(f, operator.power() + 1)
            }
            Self::Choice(parts) => {
                let [condition, one, other] = &**parts;
                condition.write(f, power::CHOICE + 1)?;
                f.write_str(" ? ")?;
                one.write(f, power::CHOICE + 1)?;
                f.write_str(" : ")?;
                other.write(f, power::CHOICE)
            }
        }
    }
}

fn write_unary(f: &mut fmt::Formatter<'_>, sign: &str, part: &Node) -> fmt::Result {
    f.write_str(sign)?;
    part.write(f, power::UNARY)
}

fn write_all(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    parts: &[Node],
    between: &str,
    least: u8,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (place, part) in parts.iter().enumerate() {
        f.write_str(if place > 0 { between } else { "" })?;
        part.write(f, least)?;
    }
    f.write_str(close)
}

/// `.name`, or `["name"]` where it is no name.
fn write_key(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_name(name) && !KEYWORDS.contains(&name) {
        return write!(f, ".{name}");
    }
    f.write_str("[")?;
    write_text(f, name)?;
    f.write_str("]")
}

/// Shortest form that reads the same.
fn write_number(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    if number == 0.0 || (1e-5..1e15).contains(&number) {
        write!(f, "{number}")
    } else {
        write!(f, "{number:e}")
    }
}

pub(super) fn write_text(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for next in text.chars() {
        match next {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            next if next.is_control() => write!(f, "\\u{:04x}", u32::from(next))?,
            next => f.write_char(next)?,
        }
    }
    f.write_char('"')
}
