//! What the memory store costs: `cargo bench -p coracle-store`.

use std::hint::black_box;

use coracle_store::{At, Changes, Key, KeyRange, Memory, Revision, Store, Write};
use divan::Bencher;
use divan::counter::ItemsCount;
use futures::executor::block_on;

fn main() {
    divan::main();
}

const KEYS: usize = 10_000;

fn keys() -> Vec<Key> {
    // Visited in a scattered order, as names with random suffixes are.
    (0..KEYS).map(|i| Key::from(format!("/registry/pods/default/web-{:05}", i * 7919 % KEYS))).collect()
}

/// A store that holds 10,000 pods of 1 kB.
fn filled() -> Memory {
    let store = Memory::default();
    let value = bytes::Bytes::from(vec![b'x'; 1000]);
    drop(block_on(store.commit(keys().into_iter().map(|key| Write::put(key, value.clone())).collect())));
    store
}

#[divan::bench(args = [1, 64])]
fn commit(bencher: Bencher, batch: usize) {
    let (store, keys, value) = (filled(), keys(), bytes::Bytes::from(vec![b'y'; 1000]));
    let mut next = keys.iter().cycle();
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| next.by_ref().take(batch).map(|key| Write::put(key.clone(), value.clone())).collect())
        .bench_local_values(|writes: Vec<Write>| block_on(store.commit(writes)));
}

#[divan::bench(args = [500, KEYS])]
fn range(bencher: Bencher, limit: usize) {
    let store = filled();
    bencher
        .counter(ItemsCount::new(limit))
        .bench(|| block_on(store.range(KeyRange::prefix("/registry/pods/"), At::Latest, limit)));
}

#[divan::bench]
fn range_before_100_000_changes(bencher: Bencher) {
    let (store, keys) = (filled(), keys());
    for _ in 0..9 {
        drop(block_on(store.commit(keys.iter().map(|key| Write::put(key.clone(), "y")).collect())));
    }
    let at = At::Revision(Revision(KEYS as u64));
    bencher.counter(ItemsCount::new(KEYS)).bench(|| block_on(store.range(KeyRange::all(), at, KEYS)));
}

#[divan::bench]
fn fork(bencher: Bencher) {
    let store = filled();
    bencher.bench(|| store.fork());
}

fn readers(store: &Memory, count: usize, range: impl Fn(usize) -> KeyRange) -> Vec<Changes> {
    let after = block_on(store.revision()).unwrap_or_default();
    (0..count).filter_map(|reader| store.changes(range(reader), after).ok()).collect()
}

fn pump(readers: &mut [Changes]) {
    for changes in readers {
        while let Ok(Some(batch)) = changes.try_next() {
            black_box(batch);
        }
    }
}

/// One commit, and every reader gets its change.
#[divan::bench(args = [1, 100, 10_000])]
fn fan_out(bencher: Bencher, count: usize) {
    let store = filled();
    let mut readers = readers(&store, count, |_| KeyRange::prefix("/registry/pods/"));
    pump(&mut readers);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        drop(block_on(store.commit(vec![Write::put("/registry/pods/default/web-1", "1")])));
        pump(&mut readers);
    });
}

/// One commit beside readers of other keys, who are not woken.
#[divan::bench(args = [1, 100, 10_000])]
fn commit_beside_readers(bencher: Bencher, count: usize) {
    let store = filled();
    let mut readers =
        readers(&store, count, |reader| KeyRange::single(format!("/registry/pods/default/other-{reader}")));
    pump(&mut readers);
    bencher.bench_local(|| block_on(store.commit(vec![Write::put("/registry/pods/default/web-1", "1")])));
}
