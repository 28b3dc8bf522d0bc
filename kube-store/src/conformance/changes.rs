//! What readers of changes are promised.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{join, join_all, poll_fn, try_join, try_join_all};

use super::{commit_all, content, read_to, succeed};
use crate::{At, Change, Changes, Error, Key, KeyRange, Result, Revision, Store, Version, Write};

/// A change tells the key, what it holds now and what it held before; conflicts are no changes.
pub async fn changes_tell_all(store: &dyn Store) -> Result<()> {
    let mut changes = store.changes(KeyRange::all(), store.revision().await?)?;
    succeed(store, Write::put("a", "1")).await?;
    succeed(store, Write::put("a", "2")).await?;
    assert!(super::commit(store, Write::delete("b")).await?.is_err());
    succeed(store, Write::delete("a")).await?;
    let last = succeed(store, Write::put("a", "2")).await?;
    let read = read_to(&mut changes, last).await?;

    let mut held: Option<Version> = None;
    let expected = [Some("1"), Some("2"), None, Some("2")];
    assert_eq!(read.len(), expected.len(), "one change per write that succeeded");
    for (change, value) in read.iter().zip(expected) {
        assert_eq!(change.key, "a".into());
        assert_eq!(change.value.as_deref(), value.map(str::as_bytes));
        assert_eq!(change.previous, held, "at {}", change.revision);
        assert_eq!((change.created(), change.deleted()), (held.is_none(), value.is_none()));
        held = change.value.clone().map(|value| Version { value, revision: change.revision });
    }
    Ok(())
}

/// From every revision that is kept, in every range, exactly the later changes come.
pub async fn changes_from_any_revision(store: &dyn Store) -> Result<()> {
    let mut starts = vec![store.revision().await?];
    let keys = ["/a/1", "/a/2", "/b/1", "/a", "/a0"];
    for round in 0..4 {
        starts.extend(commit_all(store, keys.iter().map(|key| Write::put(*key, round.to_string())).collect()).await?);
    }
    let last = succeed(store, Write::put("/a/1", "last")).await?;
    let all = read_to(&mut store.changes(KeyRange::all(), *starts.first().unwrap_or(&last))?, last).await?;
    for start in starts {
        for range in [KeyRange::all(), KeyRange::prefix("/a/"), KeyRange::single("/a/1")] {
            let read = read_to(&mut store.changes(range.clone(), start)?, last).await?;
            let expected = all.iter().filter(|change| change.revision > start && range.contains(&change.key));
            assert!(read.iter().eq(expected), "{range:?} after {start}");
        }
    }
    Ok(())
}

/// A reader without changes waits, is woken by one in its range, and then gets it; one that is new as one that is not.
pub async fn readers_wait(store: &dyn Store) -> Result<()> {
    let mut old = store.changes(KeyRange::prefix("/a/"), store.revision().await?)?;
    for _ in 0..10 {
        assert_eq!(old.try_next()?, None, "nothing is ready");
        reader_waits(store, &mut old).await?;
        let rest = KeyRange::prefix("/a/").after(&"/a/1/x".into());
        let mut new = store.changes(rest, store.revision().await?)?;
        let last = reader_waits(store, &mut new).await?;
        assert_eq!(read_to(&mut old, last).await?.len(), 1);
    }
    Ok(())
}

/// Nobody but the reader waits, so nothing but its own wake-up helps it.
async fn reader_waits(store: &dyn Store, changes: &mut Changes) -> Result<Revision> {
    let write = async {
        succeed(store, Write::put("/b/1", "elsewhere")).await?;
        succeed(store, Write::put("/a/2", "here")).await
    };
    let (batch, revision) = join(changes.next(), write).await;
    let revision = revision?;
    assert_eq!(batch?.iter().map(|change| change.revision).collect::<Vec<_>>(), [revision]);
    Ok(revision)
}

/// Leaving off waiting loses nothing.
pub async fn dropped_waits(store: &dyn Store) -> Result<()> {
    let mut changes = store.changes(KeyRange::all(), store.revision().await?)?;
    let (mut read, mut committed) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        read.extend(changes.next().now_or_never().transpose()?.into_iter().flatten());
        committed.push(succeed(store, Write::put("a", "1")).await?);
        drop(changes.next());
    }
    let missing =
        committed.last().filter(|last| read.last().is_none_or(|change: &Arc<Change>| change.revision < **last));
    if let Some(last) = missing {
        read.extend(read_to(&mut changes, *last).await?);
    }
    assert_eq!(read.iter().map(|change| change.revision).collect::<Vec<_>>(), committed);
    Ok(())
}

/// Writers, a compactor and readers at the same time: each reader sees all changes, in one order, none twice.
pub async fn concurrent_writers(store: &dyn Store) -> Result<()> {
    const WRITERS: usize = 5;
    let start = store.revision().await?;
    let mut readers = (0..3).map(|_| store.changes(KeyRange::prefix("/w/"), start)).collect::<Result<Vec<_>>>()?;
    let writers = (0..WRITERS).map(|writer| async move {
        let mut revisions = Vec::new();
        for round in 0..30 {
            let key = format!("/w/{}", (writer + round) % 4);
            revisions
                .extend(commit_all(store, vec![Write::put(key, "1"), Write::put(format!("/w/{writer}+"), "1")]).await?);
            pause().await;
        }
        Ok::<_, Error>(revisions)
    });
    // Ends with the changes that the readers wait for, so it must come after all writers.
    let write = async {
        let (written, _) = try_join(try_join_all(writers), compact_behind(store)).await?;
        let mut revisions = written.concat();
        revisions.sort();
        revisions.push(succeed(store, Write::put("/w/last", "1")).await?);
        Ok::<_, Error>(revisions)
    };
    let read = join_all(readers.iter_mut().map(follow));
    let (written, read) = join(write, read).await;
    let written = written?;
    for (revisions, error) in read {
        // A reader may fall behind compaction; what it read until then has no hole.
        let complete = error.is_none() && revisions == written;
        let behind = matches!(error, Some(Error::Compacted { .. })) && written.starts_with(&revisions);
        assert!(complete || behind, "read {revisions:?} of {written:?}, then {error:?}");
    }
    Ok(())
}

/// Compacts a little behind the newest revision, again and again.
async fn compact_behind(store: &dyn Store) -> Result<()> {
    for _ in 0..30 {
        let newest = store.revision().await?;
        store.compact(Revision(newest.0.saturating_sub(20))).await?;
        pause().await;
    }
    Ok(())
}

/// The revisions read up to the key that ends in "last", or up to an error.
async fn follow(changes: &mut Changes) -> (Vec<Revision>, Option<Error>) {
    let mut revisions = Vec::new();
    loop {
        match changes.next().await {
            Ok(batch) => {
                revisions.extend(batch.iter().map(|change| change.revision));
                if batch.iter().any(|change| change.key.as_bytes().ends_with(b"last")) {
                    return (revisions, None);
                }
            }
            Err(error) => return (revisions, Some(error)),
        }
    }
}

/// Lets the others go on.
async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if paused {
            return std::task::Poll::Ready(());
        }
        paused = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// A reader that compaction overtook fails with `Compacted`, and for good; it never skips a change. Others go on.
pub async fn slow_readers(store: &dyn Store) -> Result<()> {
    let start = store.revision().await?;
    let mut slow = store.changes(KeyRange::all(), start)?;
    let mut quick = store.changes(KeyRange::all(), start)?;
    let mut written = Vec::new();
    for round in 0..50 {
        written.push(succeed(store, Write::put(format!("{}", round % 7), "1")).await?);
        read_to(&mut quick, *written.last().unwrap_or(&start)).await?;
    }
    let newest = *written.last().unwrap_or(&start);
    store.compact(newest).await?;
    written.push(succeed(store, Write::put("last", "1")).await?);
    assert_eq!(read_to(&mut quick, newest.next().max(store.revision().await?)).await?.len(), 1);

    // A store may have fetched changes ahead for the slow reader: those it may still hand out.
    let (revisions, error) = follow(&mut slow).await;
    assert!(written.starts_with(&revisions), "a hole in {revisions:?}");
    if revisions.len() < written.len() {
        assert!(matches!(error, Some(Error::Compacted { .. })), "{error:?}");
        assert!(matches!(slow.next().await, Err(Error::Compacted { .. })), "the first error is final");
    }
    // The way back: read, then follow.
    let page = store.range(KeyRange::all(), At::Latest, usize::MAX).await?;
    let mut again = store.changes(KeyRange::all(), page.revision)?;
    let last = succeed(store, Write::put("again", "1")).await?;
    assert_eq!(read_to(&mut again, last).await?.len(), 1);
    Ok(())
}

/// A thousand readers, of all keys, of one key each, and of keys that never change: everybody gets theirs.
pub async fn many_readers(store: &dyn Store) -> Result<()> {
    let start = store.revision().await?;
    let range = |reader: usize| match reader % 3 {
        0 => KeyRange::prefix("/m/"),
        1 => KeyRange::single(format!("/m/{reader:04}")),
        _ => KeyRange::prefix(format!("/quiet/{reader}")),
    };
    let mut readers = (0..1000).map(|reader| store.changes(range(reader), start)).collect::<Result<Vec<_>>>()?;
    for round in ["1", "2"] {
        commit_all(store, (0..1000).map(|key| Write::put(format!("/m/{key:04}"), round)).collect()).await?;
    }
    let newest = store.revision().await?;
    for (reader, mut changes) in readers.drain(..).enumerate() {
        match reader % 3 {
            0 => assert_eq!(read_to(&mut changes, newest).await?.len(), 2000),
            1 => {
                let (mut read, key) = (Vec::new(), Key::from(format!("/m/{reader:04}")));
                while read.len() < 2 {
                    read.extend(changes.next().await?);
                }
                assert!(read.len() == 2 && read.iter().all(|change| change.key == key));
            }
            _ => assert_eq!(changes.try_next()?, None),
        }
    }
    replays_to_content(store, start).await
}

/// All changes after `start`, an empty store, applied in order, are what the store holds.
async fn replays_to_content(store: &dyn Store, start: Revision) -> Result<()> {
    let newest = store.revision().await?;
    let mut state = BTreeMap::new();
    for change in read_to(&mut store.changes(KeyRange::all(), start)?, newest).await? {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match &change.value {
            Some(value) => state.insert(text(change.key.as_bytes()), text(value)),
            None => state.remove(&text(change.key.as_bytes())),
        };
    }
    assert_eq!(content(store, KeyRange::all(), At::Latest).await?, state.into_iter().collect::<Vec<_>>());
    Ok(())
}
