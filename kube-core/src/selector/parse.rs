//! The wire's syntax of label selectors.
//!
//! ```text
//! selector    = [ requirement { "," requirement } ]
//! requirement = [ "!" ] key | key ( "=" | "==" | "!=" | ">" | "<" ) value | key ( "in" | "notin" ) "(" values ")"
//! ```
//!
//! Values may be empty, also inside parentheses. White space separates and is otherwise ignored.

use super::label::{Operator, Requirement, SelectorError};
use crate::field::{Errors, Path, format};

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::End => return Ok(requirements),
            Token::Word(_) | Token::Symbol("!") => {
                requirements.push(parser.requirement().map_err(|error| SelectorError::Requirement(Box::new(error)))?)
            }
            other => return Err(unexpected(other, ", expected: !, identifier, or 'end of string'")),
        }
        match parser.next() {
            Token::End => return Ok(requirements),
            Token::Symbol(",") => match parser.peek() {
                Token::Word(_) | Token::Symbol("!") => {}
                other => return Err(unexpected(other, ", expected: identifier after ','")),
            },
            other => return Err(unexpected(other, ", expected: ',' or 'end of string'")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    End,
    Word(&'a str),
    Symbol(&'a str),
}

fn unexpected(token: Token, expected: &str) -> SelectorError {
    let found = match token {
        Token::End => "",
        Token::Word(text) | Token::Symbol(text) => text,
    };
    SelectorError::Syntax(format!("found '{found}'{expected}"))
}

const SYMBOLS: [char; 7] = ['=', '!', '(', ')', ',', '>', '<'];
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// The next token and what follows it.
    fn lex(&self) -> (Token<'a>, &'a str) {
        let rest = self.rest.trim_start_matches(WHITE);
        if rest.is_empty() {
            return (Token::End, rest);
        }
        for symbol in ["==", "!=", "=", "!", "(", ")", ",", ">", "<"] {
            if let Some(after) = rest.strip_prefix(symbol) {
                return (Token::Symbol(symbol), after);
            }
        }
        let end = rest.find(|character| SYMBOLS.contains(&character) || WHITE.contains(&character));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        (Token::Word(word), after)
    }

    fn peek(&self) -> Token<'a> {
        self.lex().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, rest) = self.lex();
        self.rest = rest;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let negated = self.peek() == Token::Symbol("!");
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => checked_key(key)?,
            other => return Err(unexpected(other, ", expected: identifier")),
        };
        if matches!(self.peek(), Token::End | Token::Symbol(",")) || negated {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Requirement::new(key, operator, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.next() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Symbol("=") => Operator::Equals,
            Token::Symbol("==") => Operator::DoubleEquals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            other => return Err(unexpected(other, ", expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            _ => match self.next() {
                Token::Word(value) => Ok(value.to_owned()),
                other => Err(unexpected(other, ", expected: identifier")),
            },
        }
    }

    /// `(a,b)`, where values may be empty: `(,a)` holds two, `()` one.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return Err(unexpected(other, " expected: '('")),
        }
        if !matches!(self.peek(), Token::Word(_) | Token::Symbol("," | ")")) {
            return Err(unexpected(self.peek(), ", expected: ',', ')' or identifier"));
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                Token::Word(value) => {
                    self.next();
                    value
                }
                Token::Symbol("," | ")") => "",
                other => return Err(unexpected(other, ", expected: ',', or identifier")),
            };
            values.push(value.to_owned());
            match self.next() {
                Token::Symbol(",") => {}
                Token::Symbol(")") => return Ok(values),
                other => return Err(unexpected(other, ", expected: ',' or ')'")),
            }
        }
    }
}

fn checked_key(key: &str) -> Result<&str, SelectorError> {
    let mut errors = Errors::new();
    errors.invalid_joined(&Path::ROOT, key, format::label_key(key));
    if errors.is_empty() { Ok(key) } else { Err(SelectorError::Field(errors)) }
}
