//! The path of a field below a rule: `.spec.ports` or `.labels['a.b']`. Source: apiextensions `cel.ValidFieldPath`.

use super::structural::{Additional, Structural};

/// The path as errors print it, without the dot at the start; empty for none.
///
/// # Errors
///
/// Why it does not lead to a field of the schema.
pub(super) fn normalize(text: &str, schema: &Structural) -> Result<String, String> {
    let (mut rest, mut schema, mut path) = (text, schema, String::new());
    while !rest.is_empty() {
        let (name, after) = step(rest)?;
        let invalid = || "does not refer to a valid field".to_owned();
        if schema.properties.is_empty() {
            let Additional::Schema(values) = &schema.additional else { return Err(invalid()) };
            path.push_str(&format!("[{name}]"));
            schema = values;
        } else {
            schema = schema.properties.get(&name).ok_or_else(invalid)?;
            let dot = if path.is_empty() { "" } else { "." };
            path.push_str(&format!("{dot}{name}"));
        }
        rest = after;
    }
    Ok(path)
}

/// The next name, and what follows it.
fn step(text: &str) -> Result<(String, &str), String> {
    let end = || "unexpected end of JSON path".to_owned();
    if let Some(after) = text.strip_prefix('.') {
        let length = after.find(['.', '[', ']']).unwrap_or(after.len());
        let (name, after) = after.split_at(length);
        return if name.is_empty() { Err(end()) } else { Ok((name.to_owned(), after)) };
    }
    let token = || text.split(['.', '[', ']']).next().unwrap_or("").to_owned();
    let Some(after) = text.strip_prefix('[') else { return Err(format!("expected [ or . but got: {}", token())) };
    let Some(after) = after.strip_prefix('\'') else {
        let found = after.split(['.', '[', ']']).next().unwrap_or("");
        return Err(format!("expected single quoted string but got {found}"));
    };
    let mut name = String::new();
    let mut letters = after.chars();
    loop {
        match letters.next().ok_or_else(end)? {
            '\'' => break,
            '\\' => name.push(match letters.next().ok_or_else(end)? {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                same @ ('\'' | '\\') => same,
                other => return Err(format!("invalid string literal: invalid escape char \\{other}")),
            }),
            other => name.push(other),
        }
    }
    let after = letters.as_str();
    let next = after.split(['.', '[']).next().unwrap_or("");
    let after = after
        .strip_prefix(']')
        .ok_or_else(|| if after.is_empty() { end() } else { format!("expected ] but got {next}") })?;
    Ok((name, after))
}
