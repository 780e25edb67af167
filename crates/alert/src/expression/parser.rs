//! Tokens into a tree: precedence climbing with CEL's precedences.

use std::ops::Range;

use super::lexer::{Kind, Token, tokens};
use super::syntax::{Binary, KEYWORDS, Node, Syntax, Word, power};
use super::{Expression, Mistake, cut};

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, level: 0 };
    let node = parser.choice()?;
    match parser.peek() {
        Kind::End => Ok(node),
        _ => Err(parser.no_operator()),
    }
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
    level: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> &Kind<'t> {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    /// Where the next token is.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0..0, |token| token.at.clone())
    }

    /// Where the last token that was taken ends.
    fn end(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |token| token.at.end)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str, why: &str) -> Result<(), Mistake> {
        if self.takes(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`{why}"))) }
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = match self.peek() {
            Kind::End => "the end".to_owned(),
            Kind::Text(_) => "a string".to_owned(),
            Kind::Number(number) => format!("`{number}`"),
            Kind::Word(word) => format!("`{}`", cut(word)),
            Kind::Sign(sign) => format!("`{sign}`"),
        };
        Mistake::new(self.here(), format!("expected {what}, found {found}"))
    }

    /// What is wrong when something follows a complete expression.
    fn no_operator(&self) -> Mistake {
        let Kind::Word(word) = self.peek() else {
            return self.expected("an operator or the end");
        };
        let instead = match word.to_ascii_lowercase().as_str() {
            "and" => "write &&",
            "or" => "write ||",
            "by" | "without" | "unless" => "this is no PromQL",
            _ => return self.expected("an operator or the end"),
        };
        Mistake::new(self.here(), format!("`{word}` is no operator: {instead}"))
    }

    fn node(&self, at: Range<usize>, syntax: Syntax) -> Result<Node, Mistake> {
        let node = Node::new(at, syntax);
        if node.depth > Expression::MAX_DEPTH { Err(too_deep(node.at)) } else { Ok(node) }
    }

    /// Runs a part that may contain itself.
    fn nested(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Node, Mistake>,
    ) -> Result<Node, Mistake> {
        if self.level >= Expression::MAX_DEPTH {
            return Err(too_deep(self.here()));
        }
        self.level += 1;
        let node = part(self);
        self.level -= 1;
        node
    }

    fn choice(&mut self) -> Result<Node, Mistake> {
        self.nested(|parser| {
            let condition = parser.binary(power::ANY)?;
            if !parser.takes("?") {
                return Ok(condition);
            }
            let one = parser.binary(power::ANY)?;
            parser.expect(":", " and what holds otherwise")?;
            let other = parser.choice()?;
            let at = condition.at.start..other.at.end;
            parser.node(at, Syntax::Choice(Box::new([condition, one, other])))
        })
    }

    fn binary(&mut self, least: u8) -> Result<Node, Mistake> {
        let mut left = self.unary()?;
        loop {
            left = if least <= power::ALL && self.peek() == &Kind::Sign("&&") {
                self.junction(left, "&&", power::ALL)?
            } else if least <= power::ANY && self.peek() == &Kind::Sign("||") {
                self.junction(left, "||", power::ANY)?
            } else {
                let Some(operator) = self.operator().filter(|it| it.power() >= least) else {
                    return Ok(left);
                };
                self.at += 1;
                let right = self.binary(operator.power() + 1)?;
                if operator.power() == power::RELATION && self.follows_relation() {
                    let message = "comparisons cannot be chained: join them with &&";
                    return Err(Mistake::new(self.here(), message));
                }
                let at = left.at.start..right.at.end;
                self.node(at, Syntax::Binary(operator, Box::new([left, right])))?
            };
        }
    }

    fn follows_relation(&self) -> bool {
        self.operator().is_some_and(|operator| operator.power() == power::RELATION)
    }

    fn operator(&self) -> Option<Binary> {
        let (Kind::Sign(sign) | Kind::Word(sign)) = self.peek() else { return None };
        Binary::ALL.into_iter().find(|operator| operator.sign() == *sign)
    }

    /// All operands of a row of `&&` or of `||`.
    fn junction(&mut self, first: Node, sign: &str, power: u8) -> Result<Node, Mistake> {
        let start = first.at.start;
        let is_all = power == power::ALL;
        let mut parts = Vec::new();
        let mut add = |node: Node| match node.syntax {
            Syntax::All(more) if is_all => parts.extend(more),
            Syntax::Any(more) if !is_all => parts.extend(more),
            _ => parts.push(node),
        };
        add(first);
        while self.takes(sign) {
            add(self.binary(power + 1)?);
        }
        let syntax = if is_all { Syntax::All(parts) } else { Syntax::Any(parts) };
        self.node(start..self.end(), syntax)
    }

    fn unary(&mut self) -> Result<Node, Mistake> {
        let start = self.here().start;
        let syntax: fn(Box<Node>) -> Syntax = if self.takes("!") {
            Syntax::Not
        } else if self.takes("-") {
            Syntax::Negative
        } else {
            return self.member();
        };
        let part = self.nested(Self::unary)?;
        self.node(start..part.at.end, syntax(Box::new(part)))
    }

    /// Something with its fields, keys and methods.
    fn member(&mut self) -> Result<Node, Mistake> {
        let mut node = self.primary()?;
        loop {
            let start = node.at.start;
            let syntax = if self.takes(".") {
                let name = self.name("a name after the dot")?;
                if self.takes("(") {
                    let mut parts = vec![node];
                    self.list(")", &mut parts)?;
                    Syntax::Method(name, parts)
                } else {
                    Syntax::Field(Box::new(node), name.text)
                }
            } else if self.takes("[") {
                let key = self.choice()?;
                self.expect("]", "")?;
                Syntax::Index(Box::new([node, key]))
            } else {
                return Ok(node);
            };
            node = self.node(start..self.end(), syntax)?;
        }
    }

    fn name(&mut self, what: &str) -> Result<Word, Mistake> {
        match self.peek() {
            Kind::Word(word) if !KEYWORDS.contains(word) => {
                let word = Word { text: (*word).to_owned(), at: self.here() };
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn primary(&mut self) -> Result<Node, Mistake> {
        let at = self.here();
        let syntax = match self.peek() {
            Kind::Number(number) => Syntax::Number(*number),
            Kind::Text(text) => Syntax::Text(text.clone()),
            Kind::Word("true") => Syntax::Bool(true),
            Kind::Word("false") => Syntax::Bool(false),
            Kind::Sign("(") => return self.parenthesis(),
            Kind::Sign("[") => {
                self.at += 1;
                let mut parts = Vec::new();
                self.list("]", &mut parts)?;
                return self.node(at.start..self.end(), Syntax::List(parts));
            }
            _ => {
                let name = self.name("a value")?;
                if self.takes("(") {
                    let mut parts = Vec::new();
                    self.list(")", &mut parts)?;
                    return self.node(at.start..self.end(), Syntax::Call(name.text, parts));
                }
                return self.node(at, Syntax::Name(name.text));
            }
        };
        self.at += 1;
        self.node(at, syntax)
    }

    fn parenthesis(&mut self) -> Result<Node, Mistake> {
        let start = self.here().start;
        self.at += 1;
        let mut node = self.choice()?;
        self.expect(")", "")?;
        node.at = start..self.end();
        Ok(node)
    }

    /// Values with commas between them and after the last, and what closes them.
    fn list(&mut self, close: &str, parts: &mut Vec<Node>) -> Result<(), Mistake> {
        while !self.takes(close) {
            parts.push(self.choice()?);
            if !self.takes(",") {
                return self.expect(close, "");
            }
        }
        Ok(())
    }
}

fn too_deep(at: Range<usize>) -> Mistake {
    let message = format!("this is nested more than {} levels deep", Expression::MAX_DEPTH);
    Mistake::new(at, message)
}
