//! A store that keeps some of its values encrypted, whatever store lies behind.
//!
//! Values are sealed with AES-256-GCM, bound to their key, in the form that upstream's `aesgcm` provider writes:
//! `k8s:enc:aesgcm:v1:NAME:` then 12 bytes of nonce, the sealed text and 16 bytes of tag. Source: apiserver
//! `storage/value/encrypt/aes`, `EncryptionConfiguration`.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    At, Batch, Change, ChangeSource, Changes, Conflict, Error, Expect, Item, Key, KeyRange, Outcome, Page, Result,
    Revision, Store, Version, Write,
};

/// What every sealed value begins with; the name of its key and a colon follow.
const HEADER: &[u8] = b"k8s:enc:aesgcm:v1:";

/// How many values [`Encrypted::reseal`] reads at once.
const RESEAL_PAGE: usize = 500;

/// A key, and the name by which sealed values say which key opens them. Its secret is never shown.
pub struct SealingKey {
    header: Vec<u8>,
    key: LessSafeKey,
}

impl SealingKey {
    /// A key of 32 secret bytes. The name must be new for each key, and hold no colon.
    ///
    /// # Errors
    /// If the name is empty or holds a colon.
    pub fn new(name: &str, secret: &[u8; 32]) -> Result<Self> {
        if name.is_empty() || name.contains(':') {
            return Err(Error::broken(format!("{name:?} names no key: it is empty or holds a colon")));
        }
        let key = UnboundKey::new(&AES_256_GCM, secret).map_err(|_| Error::broken("a key has 32 bytes"))?;
        Ok(Self { header: [HEADER, name.as_bytes(), b":"].concat(), key: LessSafeKey::new(key) })
    }

    /// The nonce is the system's, not the cluster's: a cluster that is run again from its seed must not use one twice. Nobody
    /// sees it but the store behind.
    fn seal(&self, key: &Key, plain: &[u8]) -> Result<Bytes> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Error::broken("the system gives no random bytes"))?;
        let mut text = plain.to_vec();
        let sealed = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(key), &mut text);
        sealed.map_err(|_| Error::broken(format!("the value of {key} is too long to be sealed")))?;
        Ok([&self.header, nonce.as_slice(), &text].concat().into())
    }

    /// `None` if this is not the key that sealed the value, or the value was changed or moved since.
    fn open(&self, key: &Key, sealed: &[u8]) -> Option<Bytes> {
        let (nonce, text) = sealed.strip_prefix(&*self.header)?.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, aad(key), &mut text).ok()?.len();
        text.truncate(length);
        Some(text.into())
    }
}

fn aad(key: &Key) -> Aad<&[u8]> {
    Aad::from(key.as_bytes())
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SealingKey").field("header", &self.header.escape_ascii().to_string()).finish()
    }
}

/// A store that seals the values of some keys before another store keeps them. Keys, revisions and sizes stay visible.
///
/// Values that were there before, unsealed, are read as they are, as upstream's `identity` provider does; [`Self::reseal`] seals
/// them. A value that no key opens fails the read: it is never taken for absent.
pub struct Encrypted<S> {
    inner: S,
    cipher: Arc<Cipher>,
}

struct Cipher {
    ranges: Vec<KeyRange>,
    /// The first seals; all open.
    keys: Vec<SealingKey>,
}

impl<S: Store> Encrypted<S> {
    /// Seals the values of `ranges` with `key`.
    pub fn new(inner: S, ranges: Vec<KeyRange>, key: SealingKey) -> Self {
        Self::rotated(inner, ranges, key, Vec::new())
    }

    /// Seals with `key`, and still opens what `older` keys sealed. To rotate: start with the new key and the old ones, call
    /// [`Self::reseal`], then leave the old ones out.
    pub fn rotated(inner: S, ranges: Vec<KeyRange>, key: SealingKey, older: Vec<SealingKey>) -> Self {
        let keys = std::iter::once(key).chain(older).collect();
        Self { inner, cipher: Arc::new(Cipher { ranges, keys }) }
    }

    /// Seals every value of the ranges that is not yet sealed with the newest key; says how many. Each is a change like any
    /// other. Values that someone else writes meanwhile are sealed by that write.
    ///
    /// # Errors
    /// As the store behind fails, or if a value cannot be opened.
    pub async fn reseal(&self) -> Result<usize> {
        let mut count = 0;
        for range in &self.cipher.ranges {
            let mut rest = range.clone();
            loop {
                let page = self.inner.range(rest.clone(), At::Latest, RESEAL_PAGE).await?;
                let Some(last) = page.items.last() else { break };
                rest = rest.after(&last.key);
                let old = page.items.into_iter().filter(|item| !self.cipher.is_newest(&item.value));
                let writes = old.map(|item| {
                    let write =
                        Write { key: item.key, value: Some(item.value), expect: Expect::Revision(item.revision) };
                    self.cipher.open_write(write)
                });
                let outcomes = self.commit(writes.collect::<Result<_>>()?).await?;
                count += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            }
        }
        Ok(count)
    }

    /// The store behind, with values as they are kept.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl Cipher {
    fn covers(&self, key: &Key) -> bool {
        self.ranges.iter().any(|range| range.contains(key))
    }

    fn is_newest(&self, value: &[u8]) -> bool {
        self.keys.first().is_some_and(|key| value.starts_with(&key.header))
    }

    fn seal(&self, key: &Key, value: Bytes) -> Result<Bytes> {
        match self.keys.first() {
            Some(sealing) if self.covers(key) => sealing.seal(key, &value),
            _ => Ok(value),
        }
    }

    fn open(&self, key: &Key, value: Bytes) -> Result<Bytes> {
        if !self.covers(key) || !value.starts_with(HEADER) {
            return Ok(value);
        }
        let opened = self.keys.iter().find_map(|sealing| sealing.open(key, &value));
        opened.ok_or_else(|| Error::broken(format!("no key opens the value of {key}")))
    }

    fn open_version(&self, key: &Key, version: Version) -> Result<Version> {
        Ok(Version { value: self.open(key, version.value)?, ..version })
    }

    fn open_item(&self, item: Item) -> Result<Item> {
        Ok(Item { value: self.open(&item.key, item.value)?, ..item })
    }

    fn open_write(&self, write: Write) -> Result<Write> {
        Ok(Write { value: write.value.map(|value| self.open(&write.key, value)).transpose()?, ..write })
    }

    fn open_conflict(&self, conflict: Conflict) -> Result<Conflict> {
        let actual = conflict.actual.map(|version| self.open_version(&conflict.key, version)).transpose()?;
        Ok(Conflict { actual, ..conflict })
    }

    fn open_change(&self, change: Arc<Change>) -> Result<Arc<Change>> {
        if !self.covers(&change.key) {
            return Ok(change);
        }
        let Change { key, value, previous, revision } = Arc::unwrap_or_clone(change);
        let value = value.map(|value| self.open(&key, value)).transpose()?;
        let previous = previous.map(|version| self.open_version(&key, version)).transpose()?;
        Ok(Arc::new(Change { key, value, previous, revision }))
    }
}

#[async_trait]
impl<S: Store> Store for Encrypted<S> {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page> {
        let page = self.inner.range(range, at, limit).await?;
        let items = page.items.into_iter().map(|item| self.cipher.open_item(item)).collect::<Result<_>>()?;
        Ok(Page { items, ..page })
    }

    async fn commit(&self, mut writes: Vec<Write>) -> Result<Vec<Outcome>> {
        for write in &mut writes {
            write.value = write.value.take().map(|value| self.cipher.seal(&write.key, value)).transpose()?;
        }
        let open = |outcome: Outcome| match outcome {
            Ok(revision) => Ok(Ok(revision)),
            Err(conflict) => self.cipher.open_conflict(conflict).map(Err),
        };
        self.inner.commit(writes).await?.into_iter().map(open).collect()
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes> {
        let inner = self.inner.changes(range, after)?;
        Ok(Changes::new(EncryptedReader { inner, cipher: Arc::clone(&self.cipher) }))
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.inner.compact(before).await
    }

    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }
}

struct EncryptedReader {
    inner: Changes,
    cipher: Arc<Cipher>,
}

impl ChangeSource for EncryptedReader {
    fn poll(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>> {
        let batch = match waker {
            Some(waker) => self.inner.poll_next(&mut Context::from_waker(waker)),
            None => self.inner.try_next().transpose().map_or(Poll::Pending, Poll::Ready),
        };
        batch.map(|batch| batch?.into_iter().map(|change| self.cipher.open_change(change)).collect())
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::{Memory, conformance};

    const PLAIN: &[u8] = b"the cat sat on the mat";

    fn key(name: &str, byte: u8) -> SealingKey {
        SealingKey::new(name, &[byte; 32]).unwrap()
    }

    fn secrets() -> Vec<KeyRange> {
        vec![KeyRange::prefix("/secrets/")]
    }

    fn read(store: &dyn Store, key: &str) -> Result<Option<Bytes>> {
        let page = block_on(store.range(KeyRange::single(key), At::Latest, 1))?;
        Ok(page.items.into_iter().next().map(|item| item.value))
    }

    fn put(store: &dyn Store, key: &str, value: impl Into<Bytes>) {
        block_on(store.commit(vec![Write::put(key, value)])).unwrap()[0].as_ref().unwrap();
    }

    #[test]
    fn is_a_store_like_any_other() {
        let sealed = || Arc::new(Encrypted::new(Memory::default(), vec![KeyRange::all()], key("a", 1)));
        let fresh = async || sealed() as Arc<dyn Store>;
        block_on(conformance::run(fresh)).unwrap();
    }

    #[test]
    fn only_the_covered_is_sealed_and_nobody_reads_it_behind() {
        let store = Encrypted::new(Memory::default(), secrets(), key("a", 1));
        let mut changes = store.changes(KeyRange::all(), Revision(0)).unwrap();
        for place in ["/secrets/x", "/configmaps/x"] {
            put(&store, place, PLAIN);
            assert_eq!(read(&store, place).unwrap().as_deref(), Some(PLAIN));
        }
        assert_eq!(read(store.inner(), "/configmaps/x").unwrap().as_deref(), Some(PLAIN));
        let kept = read(store.inner(), "/secrets/x").unwrap().unwrap();
        assert!(kept.starts_with(b"k8s:enc:aesgcm:v1:a:") && !kept.windows(3).any(|part| part == b"cat"));
        put(&store, "/secrets/y", PLAIN);
        assert_ne!(read(store.inner(), "/secrets/y").unwrap().unwrap(), kept, "every value has a nonce of its own");
        let seen = std::iter::from_fn(|| changes.try_next().unwrap()).flatten();
        assert!(seen.map(|change| change.value.clone().unwrap()).all(|value| value == PLAIN));
    }

    #[test]
    fn a_moved_changed_or_foreign_value_fails_the_read() {
        let store = Encrypted::new(Memory::default(), secrets(), key("a", 1));
        put(&store, "/secrets/x", PLAIN);
        let sealed = read(store.inner(), "/secrets/x").unwrap().unwrap();
        let mut bent = sealed.to_vec();
        *bent.last_mut().unwrap() ^= 1;
        let cut = sealed.slice(..30);
        let foreign = key("b", 2).seal(&"/secrets/x".into(), PLAIN).unwrap();
        for bad in [bent.into(), cut, foreign] {
            put(store.inner(), "/secrets/x", bad);
            let message = format!("{:?}", read(&store, "/secrets/x").unwrap_err());
            assert!(message.contains("no key opens the value of /secrets/x") && !message.contains("cat"), "{message}");
        }
        put(store.inner(), "/secrets/moved", sealed);
        assert!(read(&store, "/secrets/moved").is_err());
    }

    #[test]
    fn keys_rotate() {
        let store = Arc::new(Memory::default());
        put(&store, "/secrets/before", PLAIN);
        let first = Encrypted::new(Arc::clone(&store), secrets(), key("a", 1));
        put(&first, "/secrets/first", PLAIN);
        let second = Encrypted::rotated(Arc::clone(&store), secrets(), key("b", 2), vec![key("a", 1)]);
        put(&second, "/secrets/second", PLAIN);
        assert_eq!(block_on(second.reseal()).unwrap(), 2);
        assert_eq!(block_on(second.reseal()).unwrap(), 0);
        let alone = Encrypted::new(store, secrets(), key("b", 2));
        for place in ["/secrets/before", "/secrets/first", "/secrets/second"] {
            assert_eq!(read(&alone, place).unwrap().as_deref(), Some(PLAIN), "{place}");
        }
        assert!(SealingKey::new("a:b", &[0; 32]).is_err());
        assert!(!format!("{:?}", key("a", 77)).contains("77"));
    }
}
