//! How a wrong value is shown in an error.

use serde::Serialize;
use std::fmt::Write;

/// A value that an error can show: numbers plainly, strings quoted, anything else (wrapped in [`Json`]) as JSON.
pub trait BadValue {
    /// The text that follows `Invalid value: `.
    fn show(&self) -> String;
}

/// Shows a value as JSON, as upstream shows structs, lists and maps.
pub struct Json<'a, T: Serialize + ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> BadValue for Json<'_, T> {
    fn show(&self) -> String {
        serde_json::to_string(self.0).unwrap_or_else(|_| "null".into())
    }
}

impl BadValue for str {
    fn show(&self) -> String {
        quote(self)
    }
}

impl BadValue for String {
    fn show(&self) -> String {
        quote(self)
    }
}

impl<T: BadValue + ?Sized> BadValue for &T {
    fn show(&self) -> String {
        (**self).show()
    }
}

/// Upstream shows an absent pointer as JSON's null.
impl<T: BadValue> BadValue for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "null".into(), BadValue::show)
    }
}

macro_rules! shown_plainly {
    ($($number:ty)*) => {$(
        impl BadValue for $number {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
shown_plainly!(i32 i64 u64 usize f64 bool);

/// A string in double quotes with Go's escapes, as `strconv.Quote` writes it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            // Writing to a String cannot fail.
            control if control.is_ascii_control() => drop(write!(quoted, "\\x{:02x}", control as u32)),
            control if control.is_control() => drop(write!(quoted, "\\u{:04x}", control as u32)),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
