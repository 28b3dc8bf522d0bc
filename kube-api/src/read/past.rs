//! A collection as it stood at an older revision.
//!
//! Mostly the past is near: a client reads the pages of one list within a second or two. Then the journal still has every
//! change since, and the present with those changes undone is the past, without decoding anything. Only older states are
//! read from the store.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use coracle_core::{Object, ObjectKey, Revision, Status, World};
use coracle_store::{At, Key, KeyRange};

use super::selection::{Selection, compare_key};
use super::{Reader, store_status};
use crate::pipeline::collection_prefix;

/// The prefix under which the store keeps the objects that may be meant.
pub(super) fn prefix(selection: &Selection) -> String {
    let prefix = collection_prefix(&selection.kind().storage);
    if selection.namespace().is_empty() { prefix } else { format!("{prefix}{}/", selection.namespace()) }
}

impl Reader {
    /// Whether the store still knows a revision; its refusal otherwise.
    pub(super) async fn check_readable(&self, revision: Revision) -> Result<(), coracle_store::Error> {
        let nothing = KeyRange::single("/");
        self.store.range(nothing, At::Revision(revision), 0).await.map(drop)
    }

    /// The world at a revision, if the journal still has every change since.
    pub(super) fn recent_past(&self, selection: &Selection, at: Revision) -> Option<RecentPast> {
        let feed = self.gateway.feed();
        let world = feed.world();
        let mut undone = BTreeMap::new();
        if world.revision() != at {
            let mut since = feed.subscribe(Some(&selection.kind().storage), at).ok()?;
            let events = since.ready(usize::MAX).ok()?;
            // The world was taken before the journal, so the journal may be ahead of it.
            for event in events.iter().filter(|event| event.revision <= world.revision()) {
                undone.entry(event.object.key()).or_insert_with(|| event.previous.clone());
            }
        }
        Some(RecentPast { world, undone })
    }

    /// One page of objects that are meant, as they stood at a revision, from the store, and how many more there are
    /// (before narrowing).
    pub(super) async fn stored_past(
        &self,
        selection: &Selection,
        at: Revision,
        start: &str,
        limit: usize,
    ) -> Result<(Vec<Arc<Object>>, u64), coracle_store::Error> {
        let mut range = KeyRange::prefix(prefix(selection));
        if let Some(last) = start.strip_suffix('\0') {
            let collection = collection_prefix(&selection.kind().storage);
            range = range.after(&Key::from(format!("{collection}{last}")));
        }
        let mut found = Vec::new();
        loop {
            let wanted = limit.saturating_sub(found.len()).clamp(1, PAGE_ITEMS_MAX);
            let page = self.store.range(range.clone(), At::Revision(at), wanted).await?;
            for item in &page.items {
                let object = self.decode(selection, &item.value, item.revision)?;
                found.extend(Some(object).filter(|object| selection.matches(object)));
            }
            match page.items.last() {
                Some(last) if page.remaining > 0 && found.len() < limit => range = range.after(&last.key),
                _ => return Ok((found, page.remaining)),
            }
        }
    }

    pub(super) fn decode(
        &self,
        selection: &Selection,
        value: &bytes::Bytes,
        revision: Revision,
    ) -> Result<Arc<Object>, coracle_store::Error> {
        let world = self.gateway.feed().world();
        let row = world.kinds().storage(&selection.kind().storage).unwrap_or(selection.kind()).clone();
        let object = Object::decode(row, value.clone(), revision);
        object.map(Arc::new).map_err(coracle_store::Error::broken)
    }
}

/// Items read from the store at a time.
const PAGE_ITEMS_MAX: usize = 1_000;

/// A near past: the present, and what stood where it has changed since.
pub(super) struct RecentPast {
    world: Arc<World>,
    undone: BTreeMap<ObjectKey, Option<Arc<Object>>>,
}

impl RecentPast {
    /// The objects that may be meant, in key order, from the first that is not before `start`.
    pub(super) fn candidates<'a>(
        &'a self,
        selection: &'a Selection,
        start: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        let is_same = |object: &&Arc<Object>| self.undone.is_empty() || !self.undone.contains_key(&object.key());
        let mut present = selection.candidates(&self.world, start).filter(is_same).peekable();
        let undone = self.undone.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        let mut undone = undone.filter_map(|(key, object)| Some((key, object.as_ref()?))).peekable();
        std::iter::from_fn(move || match (present.peek(), undone.peek()) {
            (Some(object), Some((key, _))) if compare_key(object, key.as_str()) == Ordering::Less => present.next(),
            (_, Some(_)) => undone.next().map(|(_, object)| object),
            (_, None) => present.next(),
        })
    }
}

/// What the store's refusal of an older page means to the client who asked to continue from `start`.
pub(super) fn continue_refused(error: coracle_store::Error, start: &str) -> Status {
    const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can \
        start a new list without the continue parameter, or use the continue token in this response to retrieve the \
        remainder of the results. Continuing with the provided token results in an inconsistent list - objects that \
        were created, modified, or deleted between the time the first chunk was returned and now may show up in the \
        list.";
    let coracle_store::Error::Compacted { .. } = error else { return store_status(error) };
    let mut status = Status::expired(TOO_OLD).as_api().clone();
    let token = super::token::Token { revision: None, start: start.to_owned(), left: None };
    status.metadata.continue_ = Some(token.encode());
    status.into()
}
