//! Go's quoted strings, which upstream's messages are full of.

use std::fmt::Write;

/// `text` as Go's `%q` and `strconv.Quote` print it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    text.chars().for_each(|letter| push(&mut quoted, letter, '"'));
    quoted.push('"');
    quoted
}

/// A byte as Go's JSON scanner prints it: `'x'`, with the byte taken for a Latin-1 character.
pub(super) fn quote_byte(byte: u8) -> String {
    let mut quoted = String::from("'");
    push(&mut quoted, char::from(byte), '\'');
    quoted.push('\'');
    quoted
}

fn push(quoted: &mut String, letter: char, mark: char) {
    // Writing to a string cannot fail.
    let _ = match letter {
        '\\' => write!(quoted, "\\\\"),
        letter if letter == mark => write!(quoted, "\\{mark}"),
        '\n' => write!(quoted, "\\n"),
        '\r' => write!(quoted, "\\r"),
        '\t' => write!(quoted, "\\t"),
        '\x07' => write!(quoted, "\\a"),
        '\x08' => write!(quoted, "\\b"),
        '\x0b' => write!(quoted, "\\v"),
        '\x0c' => write!(quoted, "\\f"),
        '\0'..='\x1f' | '\x7f' => write!(quoted, "\\x{:02x}", u32::from(letter)),
        '\u{80}'..='\u{a0}' | '\u{ad}' => write!(quoted, "\\u{:04x}", u32::from(letter)),
        letter => write!(quoted, "{letter}"),
    };
}
