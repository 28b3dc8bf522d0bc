//! Keys and ranges of keys.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a value: any bytes, in byte order. Cloning shares them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<[u8]>);

impl Key {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if the bytes are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The first key after this one.
    fn successor(&self) -> Self {
        Self(self.0.iter().copied().chain([0]).collect())
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// ASCII as it is, other bytes escaped.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The keys from `start` on and before `end`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Key,
    end: Option<Key>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self::prefix([].as_slice())
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Key>) -> Self {
        let start = prefix.into();
        let end = end_of_prefix(start.as_bytes());
        Self { start, end }
    }

    /// This key alone.
    pub fn single(key: impl Into<Key>) -> Self {
        let start = key.into();
        let end = Some(start.successor());
        Self { start, end }
    }

    /// The rest of this range after `key`: where the next page begins.
    #[must_use]
    pub fn after(&self, key: &Key) -> Self {
        Self { start: key.successor().max(self.start.clone()), end: self.end.clone() }
    }

    /// The first key that may be in the range.
    pub fn start(&self) -> &Key {
        &self.start
    }

    /// The first key beyond the range; `None` if no key is.
    pub fn end(&self) -> Option<&Key> {
        self.end.as_ref()
    }

    /// Whether no key is in the range.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether `key` is in the range.
    pub fn contains(&self, key: &Key) -> bool {
        self.start <= *key && self.end.as_ref().is_none_or(|end| key < end)
    }

    /// The longest prefix that all keys of the range share.
    pub(crate) fn common_prefix(&self) -> Key {
        let mut prefix = self.start.as_bytes();
        // Beyond the last key with this prefix nothing of the range may be left.
        while end_of_prefix(prefix).is_some_and(|after| self.end.as_ref().is_none_or(|end| after < *end)) {
            prefix = prefix.split_last().map_or(prefix, |(_, shorter)| shorter);
        }
        prefix.into()
    }
}

/// The first key after all those that begin with `prefix`: its last byte below 0xff counts one up. `None` if there is none.
fn end_of_prefix(prefix: &[u8]) -> Option<Key> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &KeyRange, inside: &[&[u8]], outside: &[&[u8]]) {
        for key in inside {
            assert!(range.contains(&Key::from(*key)), "{range:?} holds {key:?}");
            assert!(key.starts_with(range.common_prefix().as_bytes()), "{range:?} shares the prefix of {key:?}");
        }
        for key in outside {
            assert!(!range.contains(&Key::from(*key)), "{range:?} does not hold {key:?}");
        }
    }

    #[test]
    fn ranges() {
        check(&KeyRange::all(), &[b"", b"a", b"\xff\xff"], &[]);
        check(&KeyRange::prefix("a/"), &[b"a/", b"a/b", b"a/\xff\xff"], &[b"", b"a", b"a0", b"b"]);
        check(&KeyRange::prefix(b"a\xff".as_slice()), &[b"a\xff", b"a\xff\xff\xff"], &[b"a", b"a\xfe", b"b"]);
        check(&KeyRange::prefix(b"\xff".as_slice()), &[b"\xff", b"\xff\xff"], &[b"", b"\xfe\xff"]);
        check(&KeyRange::single("a"), &[b"a"], &[b"", b"a\0", b"b"]);
        check(&KeyRange::single(""), &[b""], &[b"\0"]);
        check(&KeyRange::prefix("a/").after(&"a/b".into()), &[b"a/b\0", b"a/bb", b"a/c"], &[b"a/b", b"a/a", b"a0"]);
        check(&KeyRange::prefix("a/").after(&"A".into()), &[b"a/", b"a/b"], &[b"A", b"A\0", b"a0"]);
    }

    #[test]
    fn nothing_is_left_after_the_end() {
        assert!(KeyRange::single("a").after(&"a".into()).is_empty());
        assert!(KeyRange::prefix("a").after(&"b".into()).is_empty());
        assert!(!KeyRange::all().after(&"z".into()).is_empty());
    }

    #[test]
    fn common_prefix_is_the_longest() {
        assert_eq!(KeyRange::prefix("/pods/").common_prefix(), "/pods/".into());
        assert_eq!(KeyRange::single("/pods/a").common_prefix(), "/pods/a".into());
        assert_eq!(KeyRange::prefix("/pods/").after(&"/pods/a/b".into()).common_prefix(), "/pods/".into());
        assert_eq!(KeyRange::all().common_prefix(), "".into());
        assert_eq!(KeyRange::all().after(&"z".into()).common_prefix(), "".into());
        assert_eq!(KeyRange::all().after(&b"\xff".as_slice().into()).common_prefix(), b"\xff\0".as_slice()[..1].into());
    }

    #[test]
    fn prints_odd_bytes() {
        assert_eq!(Key::from(b"/a\n\xff".as_slice()).to_string(), "/a\\n\\xff");
        assert_eq!(Key::from("/a").as_str(), Some("/a"));
        assert_eq!(Key::from(vec![0xff]).as_str(), None);
    }
}
