//! Tokens.

use super::Mistake;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    Ident,
    /// `` `a-b` ``
    Quoted,
    Int,
    Uint,
    Float,
    String,
    Bytes,
    /// An operator, a bracket, `in`, `true`, `false` or `null`.
    Symbol(&'static str),
    End,
}

/// A token and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) at: usize,
    pub(super) token: Token,
    pub(super) text: &'a str,
}

const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];
const WORDS: [&str; 4] = ["in", "true", "false", "null"];

/// All tokens, the end included, and the places where none begins.
pub(super) fn tokens(source: &str) -> (Vec<Lexeme<'_>>, Vec<Mistake>) {
    let (mut found, mut mistakes, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = blank(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        match next(rest) {
            Ok((token, length)) => {
                found.push(Lexeme { at, token, text: rest.get(..length).unwrap_or(rest) });
                at += length;
            }
            Err(length) => {
                let text = rest.get(..length).unwrap_or(rest).replace('\n', "\\n").replace('\t', "\\t");
                mistakes.push(Mistake::new(at, format!("Syntax error: token recognition error at: '{text}'")));
                at += length;
            }
        }
    }
    found.push(Lexeme { at: source.len(), token: Token::End, text: "<EOF>" });
    (found, mistakes)
}

/// How many bytes of white space and comment come first.
fn blank(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).len()
}

/// The next token and its length, or the length of what is none.
fn next(rest: &str) -> Result<(Token, usize), usize> {
    let first = rest.chars().next().unwrap_or(' ');
    if let Some((token, quote)) = opening(rest) {
        return string(rest, quote).map(|length| (token, length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
        let word = WORDS.into_iter().find(|word| rest.get(..length) == Some(word));
        return Ok((word.map_or(Token::Ident, Token::Symbol), length));
    }
    let has_digit_after_dot = first == '.' && rest.chars().nth(1).is_some_and(|it| it.is_ascii_digit());
    if first.is_ascii_digit() || has_digit_after_dot {
        return Ok(number(rest));
    }
    if first == '`' {
        let inside = rest.get(1..).unwrap_or("");
        let is_name = |it: char| it.is_ascii_alphanumeric() || "_.-/ ".contains(it);
        let length = inside.find(|it| !is_name(it)).unwrap_or(inside.len());
        let is_closed = length > 0 && inside.get(length..).is_some_and(|rest| rest.starts_with('`'));
        return if is_closed { Ok((Token::Quoted, length + 2)) } else { Err(1 + length) };
    }
    let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
    symbol.map(|symbol| (Token::Symbol(symbol), symbol.len())).ok_or(first.len_utf8())
}

/// The kind of string that begins here, and where its quotes stand.
fn opening(rest: &str) -> Option<(Token, usize)> {
    let is_quote = |at: usize| matches!(rest.as_bytes().get(at), Some(b'"' | b'\''));
    let prefix = (0..3).find(|at| is_quote(*at))?;
    match rest.get(..prefix)?.to_ascii_lowercase().as_str() {
        "" | "r" => Some((Token::String, prefix)),
        "b" | "br" => Some((Token::Bytes, prefix)),
        _ => None,
    }
}

/// The length of a string with its quotes; without an end, what ANTLR would skip.
fn string(rest: &str, quote_at: usize) -> Result<usize, usize> {
    let (prefix, body) = rest.split_at(quote_at);
    let is_raw = prefix.contains(['r', 'R']);
    let quote = body.get(..1).unwrap_or("\"");
    let triple = quote.repeat(3);
    let is_long = body.starts_with(&triple);
    let end = if is_long { triple.as_str() } else { quote };
    let mut at = quote_at + end.len();
    while let Some(letter) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        if rest.get(at..).is_some_and(|rest| rest.starts_with(end)) {
            return Ok(at + end.len());
        }
        if !is_long && matches!(letter, '\n' | '\r') {
            return Err(at);
        }
        at += letter.len_utf8();
        if letter == '\\' && !is_raw {
            at += rest.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        }
    }
    Err(rest.len())
}

fn number(rest: &str) -> (Token, usize) {
    let digits = |from: usize, is_digit: fn(&char) -> bool| {
        rest.get(from..).unwrap_or("").chars().take_while(is_digit).count() + from
    };
    let has = |at: usize, any: &[char]| rest.get(at..).is_some_and(|rest| rest.starts_with(any));
    let is_hexadecimal = rest.starts_with("0x") && digits(2, char::is_ascii_hexdigit) > 2;
    let mut end = if is_hexadecimal { digits(2, char::is_ascii_hexdigit) } else { digits(0, char::is_ascii_digit) };
    let mut is_float = false;
    if !is_hexadecimal {
        if has(end, &['.']) && digits(end + 1, char::is_ascii_digit) > end + 1 {
            end = digits(end + 1, char::is_ascii_digit);
            is_float = true;
        }
        if has(end, &['e', 'E']) {
            let exponent = end + 1 + usize::from(has(end + 1, &['+', '-']));
            if digits(exponent, char::is_ascii_digit) > exponent {
                end = digits(exponent, char::is_ascii_digit);
                is_float = true;
            }
        }
    }
    match (is_float, has(end, &['u', 'U'])) {
        (true, _) => (Token::Float, end),
        (false, true) => (Token::Uint, end + 1),
        (false, false) => (Token::Int, end),
    }
}
