//! Field selectors: exact conditions on the few fields a kind offers for selection.

use std::borrow::Cow;
use std::fmt;

/// Why a text is no field selector, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldSelectorError {
    /// A term has no operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term {
        /// The whole text.
        selector: String,
        /// The term in it.
        term: String,
    },
    /// A backslash is followed by something other than a backslash, comma or equals sign.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// An equals sign in a value needs a backslash. Holds its code point, as upstream prints it.
    #[error("invalid field selector: unescaped character in value: {0}")]
    Unescaped(u32),
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldRequirement {
    /// The field: `metadata.name`. Which ones a kind offers is that kind's business.
    pub path: String,
    /// Whether the field must have the value, or must not.
    pub equal: bool,
    /// The value, without escapes.
    pub value: String,
}

/// Which objects are meant, by a few of their fields: those that meet every requirement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector(Vec<FieldRequirement>);

impl FieldSelector {
    /// Every object. The default.
    pub const fn everything() -> Self {
        FieldSelector(Vec::new())
    }

    /// The objects that meet all of `requirements`.
    pub const fn new(requirements: Vec<FieldRequirement>) -> Self {
        FieldSelector(requirements)
    }

    /// Reads the wire's syntax: `metadata.name=x,spec.nodeName!=y`; the empty text means everything.
    pub fn parse(text: &str) -> Result<Self, FieldSelectorError> {
        let mut terms = split_terms(text);
        terms.sort_unstable();
        let requirements = terms.into_iter().filter(|term| !term.is_empty()).map(|term| parse_term(text, term));
        requirements.collect::<Result<_, _>>().map(FieldSelector)
    }

    /// Whether it means every object.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// The conditions, sorted as text.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.0
    }

    /// The value that field `path` must have: lets a reader go straight to one name, or one node's index.
    pub fn require(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.path == path).map(|term| term.value.as_str())
    }

    /// Whether an object is meant whose fields read as `field` says; an absent field reads as the empty string.
    pub fn matches<'a>(&self, field: &dyn Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.0.iter().all(|term| (field(&term.path).as_deref().unwrap_or("") == term.value) == term.equal)
    }
}

/// The terms between commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|character| {
        let splits = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        splits
    })
    .collect()
}

fn parse_term(selector: &str, term: &str) -> Result<FieldRequirement, FieldSelectorError> {
    let split = term.char_indices().find_map(|(position, _)| {
        let (path, rest) = term.split_at(position);
        let operators = [("!=", false), ("==", true), ("=", true)];
        operators.into_iter().find_map(|(operator, equal)| Some((path, equal, rest.strip_prefix(operator)?)))
    });
    let Some((path, equal, value)) = split else {
        return Err(FieldSelectorError::Term { selector: selector.to_owned(), term: term.to_owned() });
    };
    Ok(FieldRequirement { path: path.to_owned(), equal, value: unescape(value)? })
}

fn unescape(value: &str) -> Result<String, FieldSelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => return Err(FieldSelectorError::Escape(['\\'].into_iter().chain(other).collect())),
            },
            ',' | '=' => return Err(FieldSelectorError::Unescaped(character.into())),
            _ => plain.push(character),
        }
    }
    Ok(plain)
}

/// Puts a backslash before what would otherwise end a value.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if matches!(character, '\\' | ',' | '=') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

impl std::str::FromStr for FieldSelector {
    type Err = FieldSelectorError;
    fn from_str(text: &str) -> Result<Self, FieldSelectorError> {
        FieldSelector::parse(text)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, FieldRequirement { path, equal, value }) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let operator = if *equal { "=" } else { "!=" };
            write!(out, "{comma}{path}{operator}{}", escape(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> FieldSelector {
        FieldSelector::parse(text).unwrap()
    }

    #[test]
    fn parses_prints_and_requires() {
        for (text, printed) in [
            ("", ""),
            ("metadata.name=x,spec.nodeName!=y", "metadata.name=x,spec.nodeName!=y"),
            ("b==2,,a=1", "a=1,b=2"),
            (r"a=b\,c\=d\\", r"a=b\,c\=d\\"),
            ("spec.nodeName=", "spec.nodeName="),
        ] {
            assert_eq!(parse(text).to_string(), printed);
        }
        let selector = parse("metadata.name=x,spec.nodeName!=y");
        assert_eq!(selector.require("metadata.name"), Some("x"));
        assert_eq!(selector.require("spec.nodeName"), None);
        assert_eq!(parse(r"a=b\,c").require("a"), Some("b,c"));
    }

    #[test]
    fn matches_fields() {
        let field = |path: &str| (path == "metadata.name").then_some(Cow::Borrowed("x"));
        assert!(parse("metadata.name=x,spec.nodeName!=y").matches(&field));
        assert!(parse("spec.nodeName=").matches(&field));
        assert!(!parse("metadata.name!=x").matches(&field));
        assert!(FieldSelector::everything().matches(&field));
    }

    #[test]
    fn errors_are_upstreams() {
        for (text, message) in [
            ("a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"),
            (r"a=\x", r"invalid field selector: invalid escape sequence: \x"),
            (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ] {
            assert_eq!(FieldSelector::parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn any_value_survives(value in "[a\\\\,=b]{0,8}", equal: bool) {
            let selector = FieldSelector::new(vec![FieldRequirement { path: "p".into(), equal, value }]);
            prop_assert_eq!(parse(&selector.to_string()), selector);
        }
    }
}
