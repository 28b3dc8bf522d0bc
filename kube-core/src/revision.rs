//! A point in the history of a cluster.

use std::fmt;
use std::str::FromStr;

/// A point in the history of a cluster: every change takes a greater one than all changes before it.
///
/// Clients see it, as a growing decimal number, as `metadata.resourceVersion`. Default [`Revision::ZERO`].
/// Source: apimachinery ObjectMeta.resourceVersion, ListMeta.resourceVersion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Before every change.
    pub const ZERO: Self = Self(0);

    /// The revision right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Revision {
    type Err = ParseRevisionError;

    /// Decimal digits only: no sign, no space, not empty.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| ParseRevisionError { text: text.to_owned() })
    }
}

/// Not a revision: the client made it up, ask it for one that a response carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a revision: expected a decimal number up to {}", u64::MAX)]
pub struct ParseRevisionError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(text.parse().ok(), expected.map(Revision), "{text:?}");
    }

    #[test]
    fn parses_what_it_prints_and_nothing_else() {
        check("0", Some(0));
        check("42", Some(42));
        check("007", Some(7));
        check(&Revision(u64::MAX).to_string(), Some(u64::MAX));
        for wrong in ["", " ", "+5", "-1", "1.0", "4 ", "abc", "18446744073709551616"] {
            check(wrong, None);
        }
    }

    #[test]
    fn grows() {
        assert!(Revision::ZERO < Revision::ZERO.next());
        assert_eq!(Revision::default(), Revision::ZERO);
        assert_eq!(Revision(u64::MAX).next(), Revision(u64::MAX));
    }
}
