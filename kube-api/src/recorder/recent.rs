//! A map that remembers what was used lately: bounded, and cheap to keep so.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for since is forgotten.
/// Never iterated, so its order decides nothing.
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// Remembers at least half of `entries_max` entries, and never more than all.
    pub(super) fn new(entries_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation_max: (entries_max / 2).max(1) }
    }

    /// The entry of a key, if it is remembered; it then counts as used.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Remembers an entry.
    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(8);
        for number in 0..100 {
            recent.put(number, number);
            let first = recent.take(&0);
            assert_eq!(first, Some(0));
            recent.put(0, 0);
        }
        assert_eq!(recent.take(&50), None);
        assert_eq!(recent.take(&99), Some(99));
    }
}
