//! What commits promise.

use bytes::Bytes;
use futures::FutureExt;

use super::{commit, commit_all, content, succeed};
use crate::{At, Expect, Item, Key, KeyRange, Result, Revision, Store, Version, Write};

/// Every write takes a revision greater than all before, within a batch and across; the store's own revision follows.
pub async fn revisions_grow(store: &dyn Store) -> Result<()> {
    let mut last = store.revision().await?;
    for _ in 0..3 {
        let writes = vec![Write::put("a", "1"), Write::put("b", "2"), Write::put("a", "1"), Write::delete("b")];
        for revision in commit_all(store, writes).await? {
            assert!(revision > last, "{revision} comes after {last}");
            last = revision;
        }
        assert_eq!(store.revision().await?, last, "the store is at its last write");
    }
    Ok(())
}

/// Each expectation against keys that are absent, present, deleted and created anew, for puts and deletes.
pub async fn expectations(store: &dyn Store) -> Result<()> {
    for expect in [Expect::Anything, Expect::Absent, Expect::Present, Expect::Revision(Revision::ZERO)] {
        for delete in [false, true] {
            for history in ["", "p", "pp", "pd", "pdp"] {
                expectation(store, expect, delete, history).await?;
            }
        }
    }
    Ok(())
}

/// One write after a key's history of puts and deletes. `Expect::Revision` stands for the key's last write, also a delete.
async fn expectation(store: &dyn Store, expect: Expect, delete: bool, history: &str) -> Result<()> {
    let key = Key::from(format!("{expect:?}/{delete}/{history}"));
    let mut last = store.revision().await?;
    let mut actual = None;
    for step in history.chars() {
        let write = if step == 'p' { Write::put(key.clone(), "old") } else { Write::delete(key.clone()) };
        last = succeed(store, write).await?;
        actual = (step == 'p').then(|| Version { value: "old".into(), revision: last });
    }
    let expect = if matches!(expect, Expect::Revision(_)) { Expect::Revision(last) } else { expect };
    let value = (!delete).then(|| Bytes::from("new"));
    let write = Write { key: key.clone(), value, expect };
    let before = store.revision().await?;
    let may = write.may_replace(actual.as_ref().map(|version| version.revision));
    match commit(store, write).await? {
        Ok(revision) => assert!(may && revision > before, "{key} must conflict"),
        Err(conflict) => {
            assert!(!may, "{key} must not conflict: {conflict}");
            assert_eq!((&conflict.key, conflict.expected, &conflict.actual), (&key, expect, &actual), "{key}");
            assert_eq!(store.revision().await?, before, "a conflict changes nothing");
        }
    }
    let page = store.range(KeyRange::single(key.clone()), At::Latest, 1).await?;
    let held = page.items.first().map(|item| item.value.as_ref());
    let (old, new): (Option<&[u8]>, Option<&[u8]>) = (actual.as_ref().map(|_| b"old".as_slice()), Some(b"new"));
    let expected = if may { new.filter(|_| !delete) } else { old };
    assert_eq!(held, expected, "{key}");
    Ok(())
}

/// In one batch, writes to one key see each other in order, and one that fails neither stops nor undoes another.
pub async fn outcomes_stand_alone(store: &dyn Store) -> Result<()> {
    let first = succeed(store, Write::put("a", "0")).await?;
    let outcomes = store
        .commit(vec![
            Write::put("b", "1").expecting(Expect::Absent),
            Write::put("b", "2").expecting(Expect::Absent),
            Write::put("a", "3").expecting(Expect::Revision(first)),
            Write::put("a", "4").expecting(Expect::Revision(first)),
            Write::delete("c"),
            Write::delete("b"),
            Write::put("b", "5").expecting(Expect::Absent),
        ])
        .await?;
    let succeeded: Vec<bool> = outcomes.iter().map(|outcome| outcome.is_ok()).collect();
    assert_eq!(succeeded, [true, false, true, false, false, true, true]);
    let revisions: Vec<Revision> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "in order: {revisions:?}");
    let held = content(store, KeyRange::all(), At::Latest).await?;
    assert_eq!(held, [("a".into(), "3".into()), ("b".into(), "5".into())]);
    Ok(())
}

/// No writes, no outcomes, no revision.
pub async fn empty_batch(store: &dyn Store) -> Result<()> {
    let before = store.revision().await?;
    assert_eq!(store.commit(Vec::new()).await?, []);
    assert_eq!(store.revision().await?, before);
    Ok(())
}

/// A deleted key is gone, and one created anew is as good as the first.
pub async fn deletes_and_creations(store: &dyn Store) -> Result<()> {
    for round in 0..3 {
        let value = round.to_string();
        let created = succeed(store, Write::put("a", value.clone()).expecting(Expect::Absent)).await?;
        let item = Item { key: "a".into(), value: value.into(), revision: created };
        assert_eq!(store.range(KeyRange::single("a"), At::Latest, 1).await?.items, [item]);
        let deleted = succeed(store, Write::delete("a").expecting(Expect::Revision(created))).await?;
        let page = store.range(KeyRange::single("a"), At::Latest, 1).await?;
        assert_eq!((page.items.len(), page.revision), (0, deleted));
    }
    Ok(())
}

/// Keys are bytes in byte order: empty, with zeros, not UTF-8, one the start of another, long.
pub async fn odd_keys(store: &dyn Store) -> Result<()> {
    let long = vec![b'k'; 1024];
    let keys: [&[u8]; 9] = [b"\0", b"\0\0", b" ", b"/", b"/a", b"/a\0", b"/a/", &long, b"\xc3\x28\xff\xff"];
    commit_all(store, keys.iter().rev().map(|key| Write::put(*key, key.to_vec())).collect()).await?;
    let page = store.range(KeyRange::all(), At::Latest, usize::MAX).await?;
    let found: Vec<&[u8]> = page.items.iter().map(|item| item.key.as_bytes()).collect();
    assert_eq!(found, keys, "in byte order");
    for key in keys {
        let page = store.range(KeyRange::single(key), At::Latest, 2).await?;
        assert_eq!(page.items.iter().map(|item| item.value.as_ref()).collect::<Vec<_>>(), [key]);
    }
    Ok(())
}

/// Values come back as they were: empty, binary, and 1 MiB long (etcd's own limit is 1.5 MiB for a request).
pub async fn large_values(store: &dyn Store) -> Result<()> {
    let values = [Vec::new(), vec![0], (0..=255).collect(), vec![7; 1 << 20]];
    for value in values {
        let revision = succeed(store, Write::put("a", value.clone())).await?;
        let page = store.range(KeyRange::single("a"), At::Latest, 1).await?;
        assert_eq!(page.items, [Item { key: "a".into(), value: value.into(), revision }]);
    }
    Ok(())
}

/// A commit whose caller leaves has happened as a whole or not at all, before the next commit answers.
pub async fn dropped_commits(store: &dyn Store) -> Result<()> {
    for polls in 0..3 {
        let keys = ["a", "b", "c"].map(|key| format!("{polls}/{key}"));
        let mut dropped = store.commit(keys.iter().map(|key| Write::put(key.as_str(), "1")).collect());
        for _ in 0..polls {
            if (&mut dropped).now_or_never().is_some() {
                break;
            }
        }
        drop(dropped);
        succeed(store, Write::put("next", "1")).await?;
        let held = content(store, KeyRange::prefix(format!("{polls}/")), At::Latest).await?;
        assert!(held.is_empty() || held.len() == keys.len(), "whole or nothing: {held:?}");
    }
    Ok(())
}
