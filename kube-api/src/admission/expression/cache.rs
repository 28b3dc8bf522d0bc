//! What was compiled from objects, by their versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::{Object, Revision};

/// When there are more, all are forgotten: those in use are soon back.
const ENTRIES_MAX: usize = 4096;

/// The newest that was made of each object. Each plugin has its own.
#[derive(Debug)]
pub(in super::super) struct Cache<T>(Mutex<BTreeMap<String, (Revision, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cache<T> {
    /// What was made of this version of an object, or is made now.
    pub(in super::super) fn get(&self, object: &Object, make: impl FnOnce() -> T) -> Arc<T> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(revision, made): &(Revision, Arc<T>)| (*revision == object.revision()).then(|| made.clone());
        if let Some(made) = known().get(object.uid()).and_then(same) {
            return made;
        }
        let made = Arc::new(make());
        let mut known = known();
        if known.len() >= ENTRIES_MAX {
            known.clear();
        }
        known.insert(object.uid().to_owned(), (object.revision(), made.clone()));
        made
    }
}
