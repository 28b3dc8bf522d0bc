//! What the memory store promises beyond the contract.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use futures::executor::block_on;

use super::*;
use crate::Error;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn put(store: &Memory, key: &str) -> Revision {
    block_on(store.commit(vec![Write::put(key, "1")])).unwrap().remove(0).unwrap()
}

fn delete(store: &Memory, key: &str) -> Revision {
    block_on(store.commit(vec![Write::delete(key)])).unwrap().remove(0).unwrap()
}

fn small(changes_max: u64) -> Memory {
    Memory::with_history(History { changes_max, ..History::default() })
}

fn keys(changes: &mut Changes) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(batch) = changes.try_next().unwrap() {
        keys.extend(batch.iter().map(|change| change.key.to_string()));
    }
    keys
}

#[test]
fn history_is_bounded_by_count() {
    let store = small(3);
    for _ in 0..10 {
        put(&store, "a");
    }
    let at = |revision| block_on(store.range(KeyRange::all(), At::Revision(Revision(revision)), 1));
    assert!(matches!(at(6), Err(Error::Compacted { asked: Revision(6), oldest: Revision(7) })));
    assert_eq!(at(7).unwrap().items[0].revision, Revision(7));
}

#[test]
fn history_is_bounded_by_bytes() {
    let store = Memory::with_history(History { bytes_max: 2 * (192 + 1 + 1000), ..History::default() });
    (0..5).for_each(|_| drop(block_on(store.commit(vec![Write::put("a", vec![0; 1000])]))));
    assert_eq!(store.shared.lock().state.log.oldest(), Revision(3));
}

#[test]
fn deleted_keys_go_with_their_history() {
    let store = Memory::default();
    put(&store, "a");
    put(&store, "b");
    delete(&store, "a");
    put(&store, "a");
    let last = delete(&store, "a");
    block_on(store.compact(Revision(3))).unwrap();
    assert_eq!(store.shared.lock().state.keys(), 2, "a can be read at 4");
    block_on(store.compact(last)).unwrap();
    assert_eq!(store.shared.lock().state.keys(), 1);
}

#[test]
fn a_fork_goes_its_own_way() {
    let store = Memory::default();
    put(&store, "a");
    let mut changes = store.changes(KeyRange::all(), Revision::ZERO).unwrap();
    let fork = store.fork();
    put(&store, "b");
    put(&fork, "c");
    assert_eq!(keys(&mut changes), ["a", "b"]);
    assert_eq!(keys(&mut fork.changes(KeyRange::all(), Revision::ZERO).unwrap()), ["a", "c"]);
}

#[test]
fn only_readers_of_the_key_are_woken_and_once() {
    let store = Memory::default();
    let ranges = [
        KeyRange::all(),
        KeyRange::prefix("/pods/"),
        KeyRange::single("/pods/a"),
        KeyRange::single("/pods/"),
        KeyRange::prefix("/nodes/"),
        KeyRange::prefix("/pods/").after(&"/pods/a".into()),
    ];
    let mut readers: Vec<_> =
        ranges.map(|range| (store.changes(range, Revision::ZERO).unwrap(), Arc::new(Wakes::default()))).into();
    for (changes, wakes) in &mut readers {
        assert!(changes.poll_next(&mut Context::from_waker(&Arc::clone(wakes).into())).is_pending());
    }
    for key in ["/pods/b", "/pods/a", "/pods/a", "/podsx", "/pod"] {
        put(&store, key);
    }
    assert_eq!(readers.iter().map(|(_, wakes)| wakes.count()).collect::<Vec<_>>(), [1, 1, 1, 0, 0, 1]);
    let seen: Vec<_> = readers.iter_mut().map(|(changes, _)| keys(changes).len()).collect();
    assert_eq!(seen, [5, 3, 2, 0, 0, 1]);
    assert_eq!(store.shared.lock().readers.len(), 6);
    drop(readers);
    assert_eq!(store.shared.lock().readers.len(), 0);
}

#[test]
fn pumping_leaves_the_waiter_in_place() {
    let store = Memory::default();
    let mut changes = store.changes(KeyRange::all(), Revision::ZERO).unwrap();
    let wakes = Arc::new(Wakes::default());
    assert!(changes.poll_next(&mut Context::from_waker(&Arc::clone(&wakes).into())).is_pending());
    assert_eq!(keys(&mut changes), [""; 0]);
    put(&store, "a");
    assert_eq!(wakes.count(), 1);
    assert_eq!(keys(&mut changes), ["a"]);
}

#[test]
fn a_reader_of_quiet_keys_is_never_behind() {
    let store = small(3);
    let mut quiet = store.changes(KeyRange::prefix("/quiet/"), Revision::ZERO).unwrap();
    let mut slow = store.changes(KeyRange::prefix("/busy/"), Revision::ZERO).unwrap();
    assert_eq!(keys(&mut quiet), [""; 0]);
    assert_eq!(keys(&mut slow), [""; 0]);
    for _ in 0..10 {
        put(&store, "/busy/a");
    }
    assert_eq!(keys(&mut quiet), [""; 0]);
    put(&store, "/quiet/a");
    assert_eq!(keys(&mut quiet), ["/quiet/a"]);
    for _ in 0..2 {
        assert!(matches!(slow.try_next(), Err(Error::Compacted { asked: Revision(0), oldest: Revision(8) })));
    }
}

#[test]
fn a_long_way_is_read_in_batches() {
    let store = Memory::default();
    let writes = (0..10_000).map(|i| Write::put(if i % 5000 == 4999 { "/rare" } else { "/often" }, "1")).collect();
    block_on(store.commit(writes)).unwrap();
    let mut rare = store.changes(KeyRange::single("/rare"), Revision::ZERO).unwrap();
    assert_eq!(keys(&mut rare).len(), 2);
    let mut often = store.changes(KeyRange::single("/often"), Revision::ZERO).unwrap();
    assert_eq!(often.try_next().unwrap().map(|batch| batch.len()), Some(1024));
    assert_eq!(keys(&mut often).len(), 9_998 - 1024);
}

#[test]
fn dropping_the_store_closes_its_readers() {
    let store = Memory::default();
    let mut changes = store.changes(KeyRange::single("a"), Revision::ZERO).unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Arc::clone(&wakes).into();
    assert!(changes.poll_next(&mut Context::from_waker(&waker)).is_pending());
    drop(store);
    assert_eq!(wakes.count(), 1);
    assert!(matches!(changes.poll_next(&mut Context::from_waker(&waker)), Poll::Ready(Err(Error::Closed))));
}

/// Real threads: writers, and readers that start over when they fall behind.
#[test]
fn threads_see_one_history() {
    const WRITES: u64 = 5_000;
    let store = small(500);
    let write = |writer: u64, number: u64| Write::put(format!("/{writer}/{}", number % 7), number.to_string());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let store = &store;
            scope
                .spawn(move || (0..WRITES).for_each(|i| drop(block_on(store.commit(vec![write(thread, i)])).unwrap())));
            scope.spawn(move || block_on(follow(store, KeyRange::prefix(format!("/{thread}/")), WRITES - 1)));
        }
    });
}

/// Follows one writer to its last number: the numbers come one by one, but where the reader fell behind.
async fn follow(store: &Memory, range: KeyRange, last: u64) {
    let number = |value: &[u8]| std::str::from_utf8(value).unwrap().parse::<u64>().unwrap();
    let mut seen = None;
    while seen != Some(last) {
        let page = store.range(range.clone(), At::Latest, usize::MAX).await.unwrap();
        seen = page.items.iter().map(|item| number(&item.value)).max();
        let Ok(mut changes) = store.changes(range.clone(), page.revision) else { continue };
        while seen != Some(last) {
            let Ok(batch) = changes.next().await else { break };
            for change in batch {
                let next = number(change.value.as_ref().unwrap());
                assert_eq!(next, seen.map_or(0, |seen| seen + 1));
                seen = Some(next);
            }
        }
    }
}
