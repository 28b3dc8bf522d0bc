//! The grammar, by precedence climbing.

use super::lexer::{Lexeme, Token, tokens};
use super::{Access, CODE_POINTS_MAX, Expr, HEIGHT_MAX, Kind, Mistake, literal, macros, too_high};

const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, \
                       IDENTIFIER}";
/// Words of the grammar.
const WORDS: [&str; 4] = ["true", "false", "null", "in"];
/// Words that are kept for the language to grow.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Whether the language keeps a name for itself, so that no identifier can have it.
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    WORDS.contains(&name) || RESERVED.contains(&name)
}

/// Binary operators from loose to tight; those of one row are left associative.
const LEVELS: [&[(&str, &str)]; 5] = [
    &[("||", "_||_")],
    &[("&&", "_&&_")],
    &[("<", "_<_"), ("<=", "_<=_"), (">=", "_>=_"), (">", "_>_"), ("==", "_==_"), ("!=", "_!=_"), ("in", "@in")],
    &[("+", "_+_"), ("-", "_-_")],
    &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")],
];

/// The tree of an expression, or everything that is wrong with its text.
pub(in crate::cel) fn parse(source: &str) -> Result<Expr, Vec<Mistake>> {
    let size = source.chars().count();
    if size > CODE_POINTS_MAX {
        let message = format!("expression code point size exceeds limit: size: {size}, limit {CODE_POINTS_MAX}");
        return Err(vec![Mistake { at: None, message }]);
    }
    let (tokens, mut mistakes) = tokens(source);
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0 };
    match parser.whole() {
        Ok(expr) if mistakes.is_empty() => Ok(expr),
        Ok(_) => Err(mistakes),
        Err(mistake) => {
            mistakes.push(mistake);
            Err(mistakes)
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Lexeme<'a>],
    next: usize,
    depth: usize,
}

type Parsed = Result<Expr, Mistake>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Lexeme<'a> {
        let last = Lexeme { at: 0, token: Token::End, text: "<EOF>" };
        self.tokens.get(self.next).or(self.tokens.last()).copied().unwrap_or(last)
    }

    fn take(&mut self) -> Lexeme<'a> {
        let lexeme = self.peek();
        self.next += 1;
        lexeme
    }

    /// Takes a symbol if it comes next; its place.
    fn accept(&mut self, symbol: &'static str) -> Option<usize> {
        let found = self.peek();
        (found.token == Token::Symbol(symbol)).then(|| self.take().at)
    }

    fn expect(&mut self, symbol: &'static str) -> Result<usize, Mistake> {
        self.accept(symbol).ok_or_else(|| self.unexpected("mismatched", &format!("'{symbol}'")))
    }

    fn unexpected(&self, how: &str, expected: &str) -> Mistake {
        let found = self.peek();
        Mistake::new(found.at, format!("Syntax error: {how} input '{}' expecting {expected}", found.text))
    }

    fn whole(&mut self) -> Parsed {
        let expr = self.expr()?;
        match self.peek().token {
            Token::End => Ok(expr),
            _ => {
                let is_last = self.tokens.get(self.next + 1).is_some_and(|after| after.token == Token::End);
                Err(self.unexpected(if is_last { "extraneous" } else { "mismatched" }, "<EOF>"))
            }
        }
    }

    /// A condition or anything tighter.
    fn expr(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > HEIGHT_MAX {
            return Err(too_high());
        }
        let mut expr = self.binary(0)?;
        if let Some(at) = self.accept("?") {
            let yes = self.binary(0)?;
            self.expect(":")?;
            let no = self.expr()?;
            expr = Expr::new(at, Kind::Call { function: "_?_:_".to_owned(), target: None, args: vec![expr, yes, no] })?;
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let first = self.binary(level + 1)?;
        let (mut terms, mut joints) = (vec![first], Vec::new());
        while let Token::Symbol(symbol) = self.peek().token {
            let Some((_, function)) = operators.iter().find(|(text, _)| *text == symbol) else { break };
            joints.push((self.take().at, *function));
            terms.push(self.binary(level + 1)?);
        }
        // Logic is associative: a balanced tree keeps long chains flat.
        if level < 2 { balanced(&mut terms.into_iter(), &joints) } else { left_leaning(terms, joints) }
    }

    fn unary(&mut self) -> Parsed {
        let first = self.peek();
        for (symbol, function) in [("!", "!_"), ("-", "-_")] {
            let mut count = 0;
            while self.accept(symbol).is_some() {
                count += 1;
            }
            if count == 0 {
                continue;
            }
            if symbol == "-" && count % 2 == 1 && matches!(self.peek().token, Token::Int | Token::Float) {
                let number = self.literal(true)?;
                return self.postfix(number);
            }
            let operand = self.member()?;
            if count % 2 == 0 {
                return Ok(operand);
            }
            return call(first.at, function, vec![operand]);
        }
        self.member()
    }

    fn member(&mut self) -> Parsed {
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn postfix(&mut self, mut expr: Expr) -> Parsed {
        loop {
            if let Some(at) = self.accept(".") {
                expr = self.field(at, expr)?;
            } else if let Some(at) = self.accept("[") {
                let function = if self.accept("?").is_some() { "_[?_]" } else { "_[_]" };
                let index = self.expr()?;
                self.expect("]")?;
                expr = call(at, function, vec![expr, index])?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn field(&mut self, at: usize, operand: Expr) -> Parsed {
        let access = if self.accept("?").is_some() { Access::Optional } else { Access::Must };
        let name = self.peek();
        let field = match name.token {
            Token::Ident => self.take().text.to_owned(),
            Token::Quoted => self.take().text.trim_matches('`').to_owned(),
            _ => {
                return Err(Mistake::new(
                    name.at,
                    format!("Syntax error: no viable alternative at input '.{}'", name.text),
                ));
            }
        };
        if name.token == Token::Ident
            && access == Access::Must
            && let Some(open) = self.accept("(")
        {
            let args = self.args()?;
            return macros::call(open, field, Some(operand), args);
        }
        Expr::new(at, Kind::Select { operand: Box::new(operand), field, access })
    }

    /// Arguments up to the closing parenthesis.
    fn args(&mut self) -> Result<Vec<Expr>, Mistake> {
        let mut args = Vec::new();
        if self.accept(")").is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.accept(",").is_none() {
                self.expect(")")?;
                return Ok(args);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let first = self.peek();
        match first.token {
            Token::Symbol("(") => {
                self.take();
                let inside = self.expr()?;
                self.expect(")")?;
                Ok(inside)
            }
            Token::Symbol("[") => self.list(),
            Token::Symbol("{") => self.map(),
            Token::Symbol(".") | Token::Ident => self.name(),
            Token::Symbol("true" | "false" | "null") => self.literal(false),
            Token::Int | Token::Uint | Token::Float | Token::String | Token::Bytes => self.literal(false),
            _ => Err(self.unexpected("mismatched", OPERAND)),
        }
    }

    fn literal(&mut self, is_negative: bool) -> Parsed {
        let lexeme = self.take();
        let value = literal::value(lexeme.token, lexeme.text, is_negative);
        Expr::new(lexeme.at, Kind::Literal(value.map_err(|why| Mistake::new(lexeme.at, why))?))
    }

    /// An identifier, a global call, or a message.
    fn name(&mut self) -> Parsed {
        let dot = self.accept(".");
        let name = self.peek();
        if name.token != Token::Ident {
            return Err(self.unexpected("mismatched", "IDENTIFIER"));
        }
        self.take();
        if RESERVED.contains(&name.text) {
            return Err(Mistake::new(name.at, format!("reserved identifier: {}", name.text)));
        }
        if let Some(open) = self.accept("(") {
            let args = self.args()?;
            return macros::call(open, name.text.to_owned(), None, args);
        }
        if let Some((length, text)) = self.message_name(name.text) {
            self.next += length;
            return self.message(text);
        }
        let text = if dot.is_some() { format!(".{}", name.text) } else { name.text.to_owned() };
        Expr::new(name.at, Kind::Ident(text))
    }

    /// The rest of `a.b.C{`: how many tokens it takes before the brace, and the whole name.
    fn message_name(&self, first: &str) -> Option<(usize, String)> {
        let (mut length, mut text) = (0, first.to_owned());
        loop {
            let token = |offset: usize| self.tokens.get(self.next + length + offset);
            match (token(0)?.token, token(1).map(|lexeme| (lexeme.token, lexeme.text))) {
                (Token::Symbol("{"), _) => return Some((length, text)),
                (Token::Symbol("."), Some((Token::Ident, name))) => {
                    text.push('.');
                    text.push_str(name);
                    length += 2;
                }
                _ => return None,
            }
        }
    }

    fn message(&mut self, name: String) -> Parsed {
        let open = self.expect("{")?;
        let mut fields = Vec::new();
        while self.accept("}").is_none() {
            let is_optional = self.accept("?").is_some();
            let field = self.take();
            if !matches!(field.token, Token::Ident | Token::Quoted) {
                return Err(Mistake::new(
                    field.at,
                    format!("Syntax error: extraneous input '{}' expecting IDENTIFIER", field.text),
                ));
            }
            self.expect(":")?;
            fields.push((field.text.trim_matches('`').to_owned(), self.expr()?, is_optional));
            self.separator("}")?;
        }
        Expr::new(open, Kind::Message(name, fields))
    }

    fn list(&mut self) -> Parsed {
        let open = self.expect("[")?;
        let mut items = Vec::new();
        while self.accept("]").is_none() {
            let is_optional = self.accept("?").is_some();
            items.push((self.expr()?, is_optional));
            self.separator("]")?;
        }
        Expr::new(open, Kind::List(items))
    }

    fn map(&mut self) -> Parsed {
        let open = self.expect("{")?;
        let mut entries = Vec::new();
        while self.accept("}").is_none() {
            let is_optional = self.accept("?").is_some();
            let key = self.expr()?;
            self.expect(":")?;
            entries.push((key, self.expr()?, is_optional));
            self.separator("}")?;
        }
        Expr::new(open, Kind::Map(entries))
    }

    /// A comma, which may be left out before the end.
    fn separator(&mut self, end: &'static str) -> Result<(), Mistake> {
        if self.peek().token == Token::Symbol(end) {
            return Ok(());
        }
        self.expect(",").map(|_| ())
    }
}

fn call(at: usize, function: &str, args: Vec<Expr>) -> Parsed {
    Expr::new(at, Kind::Call { function: function.to_owned(), target: None, args })
}

fn left_leaning(terms: Vec<Expr>, joints: Vec<(usize, &str)>) -> Parsed {
    let mut terms = terms.into_iter();
    let first = terms.next().ok_or_else(too_high)?;
    terms.zip(joints).try_fold(first, |left, (right, (at, function))| call(at, function, vec![left, right]))
}

fn balanced(terms: &mut impl Iterator<Item = Expr>, joints: &[(usize, &str)]) -> Parsed {
    if joints.is_empty() {
        return terms.next().ok_or_else(too_high);
    }
    let (before, rest) = joints.split_at(joints.len() / 2);
    let Some(((at, function), after)) = rest.split_first() else { return Err(too_high()) };
    let left = balanced(terms, before)?;
    let right = balanced(terms, after)?;
    call(*at, function, vec![left, right])
}
