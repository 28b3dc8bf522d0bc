//! The memory store against a model that keeps every state whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;

use coracle_store::memory::History;
use coracle_store::{At, Change, Error, Expect, Key, KeyRange, Memory, Page, Revision, Store, Version, Write};
use futures::executor::block_on;
use proptest::prelude::*;

type State = BTreeMap<Key, Version>;

/// Every state there ever was, by revision, and what led to it.
struct Model {
    states: Vec<State>,
    changes: Vec<Change>,
    oldest: u64,
}

impl Model {
    fn newest(&self) -> u64 {
        self.changes.len() as u64
    }

    fn write(&mut self, write: &Write) -> bool {
        let mut state = self.states.last().unwrap().clone();
        let previous = state.get(&write.key).cloned();
        if !write.may_replace(previous.as_ref().map(|version| version.revision)) {
            return false;
        }
        let revision = Revision(self.newest() + 1);
        match write.value.clone() {
            Some(value) => drop(state.insert(write.key.clone(), Version { value, revision })),
            None => drop(state.remove(&write.key)),
        }
        self.states.push(state);
        self.changes.push(Change { key: write.key.clone(), value: write.value.clone(), previous, revision });
        true
    }
}

#[derive(Debug, Clone)]
enum Op {
    Commit(Vec<(Write, bool)>),
    Range { range: KeyRange, back: u64, limit: usize },
    Compact { back: u64 },
    Fork,
    Follow { range: KeyRange, back: u64 },
    Pump,
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof!["[ab]{0,2}", "[ab]/[cd]"].prop_map(Key::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    let after = (key(), key()).prop_map(|(prefix, key)| KeyRange::prefix(prefix).after(&key));
    prop_oneof![Just(KeyRange::all()), key().prop_map(KeyRange::prefix), key().prop_map(KeyRange::single), after]
}

/// A write; the flag asks for the key's true revision as its expectation.
fn write() -> impl Strategy<Value = (Write, bool)> {
    let expect = prop_oneof![Just(Expect::Anything), Just(Expect::Absent), Just(Expect::Present)];
    (key(), prop::option::weighted(0.7, "[0-9]"), expect, any::<bool>())
        .prop_map(|(key, value, expect, exact)| (Write { key, value: value.map(Into::into), expect }, exact))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => prop::collection::vec(write(), 0..6).prop_map(Op::Commit),
        3 => (range(), 0..40_u64, 0..8_usize).prop_map(|(range, back, limit)| Op::Range { range, back, limit }),
        1 => (0..40_u64).prop_map(|back| Op::Compact { back }),
        1 => Just(Op::Fork),
        1 => (range(), 0..40_u64).prop_map(|(range, back)| Op::Follow { range, back }),
        2 => Just(Op::Pump),
    ]
}

/// The store and the model, side by side.
struct Pair {
    store: Memory,
    model: Model,
    history: u64,
    readers: Vec<(coracle_store::Changes, KeyRange, u64)>,
}

impl Pair {
    fn run(&mut self, op: Op) {
        match op {
            Op::Commit(writes) => self.commit(writes),
            Op::Range { range, back, limit } => self.range(&range, back, limit),
            Op::Compact { back } => {
                let before = self.model.newest().saturating_sub(back);
                block_on(self.store.compact(Revision(before))).unwrap();
                self.model.oldest = self.model.oldest.max(before);
            }
            Op::Fork => {
                // The copy takes over; what happens to the original must not show.
                let original = std::mem::take(&mut self.store);
                self.store = original.fork();
                block_on(original.commit(vec![Write::put("a", "x"), Write::delete("a")])).unwrap();
                self.readers.clear();
            }
            Op::Follow { range, back } => {
                let after = self.model.newest().saturating_sub(back);
                match self.store.changes(range.clone(), Revision(after)) {
                    Ok(changes) => self.readers.push((changes, range, after)),
                    Err(error) => self.assert_compacted(&error, after),
                }
            }
            Op::Pump => self.pump(),
        }
    }

    fn commit(&mut self, writes: Vec<(Write, bool)>) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for (mut write, exact) in writes {
            let held = self.model.states.last().unwrap().get(&write.key);
            if let Some(version) = held.filter(|_| exact) {
                write.expect = Expect::Revision(version.revision);
            }
            expected.push(self.model.write(&write).then(|| Revision(self.model.newest())));
            batch.push(write);
        }
        let outcomes = block_on(self.store.commit(batch)).unwrap();
        assert_eq!(outcomes.into_iter().map(Result::ok).collect::<Vec<_>>(), expected);
        self.model.oldest = self.model.oldest.max(self.model.newest().saturating_sub(self.history));
    }

    fn range(&self, range: &KeyRange, back: u64, limit: usize) {
        let revision = self.model.newest().saturating_sub(back);
        let at = if back == 0 { At::Latest } else { At::Revision(Revision(revision)) };
        match block_on(self.store.range(range.clone(), at, limit)) {
            Ok(page) => self.assert_page(&page, range, revision, limit),
            Err(error) => self.assert_compacted(&error, revision),
        }
    }

    fn assert_page(&self, page: &Page, range: &KeyRange, revision: u64, limit: usize) {
        assert!(revision >= self.model.oldest);
        let state = &self.model.states[revision as usize];
        let inside: Vec<_> = state.iter().filter(|(key, _)| range.contains(key)).collect();
        assert_eq!((page.revision, page.remaining), (Revision(revision), inside.len().saturating_sub(limit) as u64));
        assert_eq!(page.items.len(), inside.len().min(limit));
        for (item, (key, version)) in page.items.iter().zip(inside) {
            assert_eq!((&item.key, &item.value, item.revision), (key, &version.value, version.revision));
        }
    }

    fn assert_compacted(&self, error: &Error, revision: u64) {
        assert!(matches!(error, Error::Compacted { oldest, .. } if oldest.0 == self.model.oldest), "{error}");
        assert!(revision < self.model.oldest);
    }

    /// Every reader has read what the model says, or is behind.
    fn pump(&mut self) {
        let mut readers = std::mem::take(&mut self.readers);
        readers.retain_mut(|(changes, range, after)| {
            let later = self.model.changes.iter().skip(*after as usize);
            let expected: Vec<&Change> = later.filter(|change| range.contains(&change.key)).collect();
            match changes.try_next() {
                Ok(batch) => {
                    let batch = batch.unwrap_or_default();
                    assert!(batch.iter().map(AsRef::as_ref).eq(expected));
                    *after = self.model.newest();
                    true
                }
                Err(error) => {
                    self.assert_compacted(&error, *after);
                    false
                }
            }
        });
        self.readers = readers;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_its_model(ops in prop::collection::vec(op(), 1..60), history in prop_oneof![0..8_u64, Just(1000)]) {
        let limits = History { changes_max: history, ..History::default() };
        let model = Model { states: vec![State::new()], changes: Vec::new(), oldest: 0 };
        let mut pair = Pair { store: Memory::with_history(limits), model, history, readers: Vec::new() };
        for op in ops {
            pair.run(op);
        }
        pair.pump();
        for back in 0..=pair.model.newest() {
            pair.range(&KeyRange::all(), back, usize::MAX);
        }
    }
}
