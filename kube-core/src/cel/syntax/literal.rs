//! What the text of a literal means. Source: cel-go `parser/unescape.go`.

use super::Literal;
use super::lexer::Token;

/// The value of a literal, or why it has none. `is_negative` if a minus stands right before a number.
pub(super) fn value(token: Token, text: &str, is_negative: bool) -> Result<Literal, &'static str> {
    match token {
        Token::Int => int(text, is_negative).map(Literal::Int).ok_or("invalid int literal"),
        Token::Uint => {
            let (digits, radix) = digits(text.trim_end_matches(['u', 'U']));
            u64::from_str_radix(digits, radix).map(Literal::Uint).map_err(|_| "invalid uint literal")
        }
        Token::Float => {
            let value = text.parse::<f64>().map_err(|_| "invalid double literal")?;
            Ok(Literal::Double(if is_negative { -value } else { value }))
        }
        Token::String => {
            let bytes = unescape(text, false)?;
            String::from_utf8(bytes).map(|text| Literal::String(text.into())).map_err(|_| "invalid unicode code point")
        }
        Token::Bytes => unescape(text, true).map(|bytes| Literal::Bytes(bytes.into())),
        Token::Symbol("true") => Ok(Literal::Bool(true)),
        Token::Symbol("false") => Ok(Literal::Bool(false)),
        _ => Ok(Literal::Null),
    }
}

fn digits(text: &str) -> (&str, u32) {
    text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16))
}

fn int(text: &str, is_negative: bool) -> Option<i64> {
    let (digits, radix) = digits(text);
    let value = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if is_negative { -value } else { value }).ok()
}

fn unescape(text: &str, is_bytes: bool) -> Result<Vec<u8>, &'static str> {
    let quote_at = text.find(['"', '\'']).unwrap_or(0);
    let (prefix, body) = text.split_at(quote_at);
    let is_raw = prefix.contains(['r', 'R']);
    let is_long = body.len() >= 6 && (body.starts_with("\"\"\"") || body.starts_with("'''"));
    let width = if is_long { 3 } else { 1 };
    let inside = body.get(width..body.len().saturating_sub(width)).unwrap_or("");
    let inside = inside.replace("\r\n", "\n").replace('\r', "\n");
    if is_raw {
        return Ok(inside.into_bytes());
    }
    let (mut out, mut letters) = (Vec::with_capacity(inside.len()), inside.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => escape(&mut letters, is_bytes, &mut out)?,
            other => push(other, &mut out),
        }
    }
    Ok(out)
}

fn push(letter: char, out: &mut Vec<u8>) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(letters: &mut std::str::Chars<'_>, is_bytes: bool, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const BAD: &str = "unable to unescape string";
    let letter = letters.next().ok_or(BAD)?;
    let (width, radix, first) = match letter {
        'a' => return plain(7, out),
        'b' => return plain(8, out),
        'f' => return plain(12, out),
        'n' => return plain(b'\n', out),
        'r' => return plain(b'\r', out),
        't' => return plain(b'\t', out),
        'v' => return plain(11, out),
        '\\' | '\'' | '"' | '`' | '?' => return plain(letter as u8, out),
        'x' | 'X' => (2, 16, 0),
        'u' if !is_bytes => (4, 16, 0),
        'U' if !is_bytes => (8, 16, 0),
        '0'..='3' => (2, 8, letter.to_digit(8).unwrap_or(0)),
        _ => return Err(BAD),
    };
    let mut code = first;
    for _ in 0..width {
        let digit = letters.next().and_then(|letter| letter.to_digit(radix)).ok_or(BAD)?;
        code = code.checked_mul(radix).and_then(|code| code.checked_add(digit)).ok_or(BAD)?;
    }
    if is_bytes {
        return plain(u8::try_from(code).map_err(|_| BAD)?, out);
    }
    push(char::from_u32(code).ok_or("invalid unicode code point")?, out);
    Ok(())
}

fn plain(byte: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
    out.push(byte);
    Ok(())
}
