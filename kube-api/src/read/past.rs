//! A collection as it stood at an older revision.
//!
//! Mostly the past is near: a client reads the pages of one list within a second or two. Then the journal still has every
//! change since, and the present with those changes undone is the past, without decoding anything. Only older states are
//! read from the store.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{Object, ObjectKey, Revision, Status};
use coracle_store::{At, Key, KeyRange};

use super::selection::Selection;
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

    /// The objects that may be meant, as they stood at a revision, if the journal still has every change since.
    pub(super) fn recent_past(&self, selection: &Selection, at: Revision, start: &str) -> Option<Vec<Arc<Object>>> {
        let feed = self.gateway.feed();
        let world = feed.world();
        if world.revision() == at {
            return Some(selection.candidates(&world, start));
        }
        let mut since = feed.subscribe(Some(&selection.kind().storage), at).ok()?;
        let events = since.ready(usize::MAX).ok()?;
        // The world was taken before the journal, so the journal may be ahead of it.
        let mut undone: BTreeMap<ObjectKey, Option<Arc<Object>>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.revision <= world.revision()) {
            undone.entry(event.object.key()).or_insert_with(|| event.previous.clone());
        }
        let present = selection.candidates(&world, start);
        Some(if undone.is_empty() { present } else { undo(present, undone, start) })
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

/// The present with changes undone, in key order.
fn undo(
    present: Vec<Arc<Object>>,
    mut undone: BTreeMap<ObjectKey, Option<Arc<Object>>>,
    start: &str,
) -> Vec<Arc<Object>> {
    let mut past: Vec<_> = present.into_iter().filter(|object| !undone.contains_key(&object.key())).collect();
    undone.retain(|key, _| key.as_str().cmp(start) != Ordering::Less);
    past.extend(undone.into_values().flatten());
    past.sort_by_cached_key(|object| object.key());
    past
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
    let token = super::token::Token { revision: None, start: start.to_owned() };
    status.metadata.continue_ = Some(token.encode());
    status.into()
}
