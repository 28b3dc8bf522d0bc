//! What ranges and compaction promise.

use super::{commit_all, content, succeed};
use crate::{At, Error, KeyRange, Result, Revision, Store, Write};

/// Ranges hold their keys in order, limits cut them, and what remains is counted.
pub async fn ranges(store: &dyn Store) -> Result<()> {
    let keys = ["/a/1", "/a/2", "/a/3", "/a0", "/b/1", "/b/2"];
    commit_all(store, keys.iter().map(|key| Write::put(*key, *key)).collect()).await?;
    let check = async |range: KeyRange, limit: usize, expected: &[&str], remaining: u64| {
        let page = store.range(range.clone(), At::Latest, limit).await?;
        let found: Vec<_> = page.items.iter().filter_map(|item| item.key.as_str()).collect();
        assert_eq!((found.as_slice(), page.remaining), (expected, remaining), "{range:?}, limit {limit}");
        Ok::<(), Error>(())
    };
    let a = KeyRange::prefix("/a/");
    check(KeyRange::all(), usize::MAX, &keys, 0).await?;
    check(KeyRange::all(), 0, &[], 6).await?;
    check(a.clone(), 2, &["/a/1", "/a/2"], 1).await?;
    check(a.clone(), 3, &["/a/1", "/a/2", "/a/3"], 0).await?;
    check(a.after(&"/a/1".into()), 1, &["/a/2"], 1).await?;
    check(a.after(&"/a/3".into()), 1, &[], 0).await?;
    check(a.after(&"/b".into()), 1, &[], 0).await?;
    check(KeyRange::single("/a/2"), 9, &["/a/2"], 0).await?;
    check(KeyRange::single("/a/"), 9, &[], 0).await?;
    check(KeyRange::prefix("/c/"), 9, &[], 0).await
}

/// Pages read at the first one's revision show one state, whatever is written in between.
pub async fn pages_at_one_revision(store: &dyn Store) -> Result<()> {
    let key = |number: u64| format!("/p/{number:03}");
    commit_all(store, (0..50).map(|number| Write::put(key(number), "old")).collect()).await?;
    let all = KeyRange::prefix("/p/");
    let expected = content(store, all.clone(), At::Latest).await?;

    let (mut range, mut at, mut found) = (all, At::Latest, Vec::new());
    for round in 0.. {
        let page = store.range(range.clone(), at, 7).await?;
        assert!(at == At::Latest || at == At::Revision(page.revision), "a page tells the revision asked for");
        found.extend(
            page.items.iter().map(|item| (item.key.to_string(), String::from_utf8_lossy(&item.value).into_owned())),
        );
        assert_eq!(found.len() as u64 + page.remaining, 50, "each page counts what remains");
        let Some(last) = page.items.last().filter(|_| page.remaining > 0) else { break };
        (range, at) = (range.after(&last.key), At::Revision(page.revision));
        let (changed, new) = ((round * 13) % 50, format!("/p/{:03}+", round * 7));
        commit_all(store, vec![Write::delete(key(changed)), Write::put(key(changed), "new"), Write::put(new, "new")])
            .await?;
    }
    assert_eq!(found, expected);
    Ok(())
}

/// Every state since compaction can be read as it was.
pub async fn old_revisions(store: &dyn Store) -> Result<()> {
    let mut states = vec![(store.revision().await?, Vec::new())];
    for step in 0..40 {
        let key = format!("{}", step * 7 % 5);
        let present = states.last().is_some_and(|(_, state)| state.iter().any(|(held, _)| *held == key));
        let write = if present && step % 3 == 0 { Write::delete(key) } else { Write::put(key, step.to_string()) };
        let revision = succeed(store, write).await?;
        states.push((revision, content(store, KeyRange::all(), At::Latest).await?));
    }
    for (revision, state) in states {
        assert_eq!(content(store, KeyRange::all(), At::Revision(revision)).await?, state, "at {revision}");
    }
    Ok(())
}

/// Compaction forgets what is older and nothing else, and does no harm when repeated.
pub async fn compaction(store: &dyn Store) -> Result<()> {
    let writes =
        vec![Write::put("a", "1"), Write::put("b", "1"), Write::delete("a"), Write::put("a", "2"), Write::delete("a")];
    let revisions = commit_all(store, writes).await?;
    let mut states = Vec::new();
    for revision in &revisions {
        states.push((*revision, content(store, KeyRange::all(), At::Revision(*revision)).await?));
    }
    for (index, before) in revisions.iter().enumerate() {
        store.compact(*before).await?;
        store.compact(*before).await?;
        store.compact(Revision::ZERO).await?;
        for (revision, _) in states.iter().take(index) {
            let answer = store.range(KeyRange::all(), At::Revision(*revision), 1).await;
            assert_compacted(answer, *revision, *before);
            assert_compacted(store.changes(KeyRange::all(), *revision), *revision, *before);
        }
        for (revision, state) in states.iter().skip(index) {
            assert_eq!(content(store, KeyRange::all(), At::Revision(*revision)).await?, *state, "at {revision}");
        }
    }
    assert_eq!(content(store, KeyRange::all(), At::Latest).await?, [("b".into(), "1".into())]);
    Ok(())
}

fn assert_compacted<T>(answer: Result<T>, revision: Revision, before: Revision) {
    let refused = matches!(answer, Err(Error::Compacted { asked, oldest }) if asked == revision && oldest == before);
    assert!(refused, "{revision} is compacted at {before}");
}

/// What has not happened can be neither read, nor followed, nor forgotten; also on an empty store.
pub async fn unreachable_revisions(store: &dyn Store) -> Result<()> {
    for _ in 0..2 {
        let newest = store.revision().await?;
        let ahead = newest.next();
        let range = store.range(KeyRange::single("x"), At::Revision(ahead), 1).await.map(drop);
        let changes = store.changes(KeyRange::all(), ahead).map(drop);
        let compact = store.compact(ahead).await;
        for answer in [range, changes, compact] {
            let refused =
                matches!(answer, Err(Error::Ahead { asked, newest: told }) if asked == ahead && told == newest);
            assert!(refused, "{ahead} is ahead of {newest}: {answer:?}");
        }
        succeed(store, Write::put("a", "1")).await?;
    }
    Ok(())
}
