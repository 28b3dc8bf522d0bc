//! What the API's own documentation says of each type and field, for `kubectl explain` and the OpenAPI documents.
//!
//! Unpacked at first use (about 1 MB) and kept.

use std::collections::HashMap;
use std::io::Read;
use std::sync::OnceLock;

static PACKED: &[u8] = include_bytes!("../../data/docs.tsv.zz");

type Texts = HashMap<String, HashMap<String, String>>;

/// What the definition `io.k8s.api...` is for; `None` if its documentation is empty.
pub fn definition(name: &str) -> Option<&'static str> {
    field(name, "")
}

/// What a field of the definition `io.k8s.api...` is for; `None` if its documentation is empty.
pub fn field(definition: &str, field: &str) -> Option<&'static str> {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(|| unpack(PACKED)).get(definition)?.get(field).map(String::as_str)
}

fn unpack(packed: &[u8]) -> Texts {
    let mut text = String::new();
    if flate2::read::ZlibDecoder::new(packed).read_to_string(&mut text).is_err() {
        return Texts::new();
    }
    let mut texts = Texts::new();
    for line in text.lines() {
        let mut columns = line.splitn(3, '\t').map(str::to_string);
        let (Some(name), Some(field), Some(text)) = (columns.next(), columns.next(), columns.next()) else { continue };
        texts.entry(name).or_default().insert(field, unescape(&text));
    }
    texts
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let escaped = if letter == '\\' { letters.next() } else { None };
        plain.push(match escaped {
            Some('n') => '\n',
            Some('t') => '\t',
            Some(other) => other,
            None => letter,
        });
    }
    plain
}
