//! What is told of a request beside its answer: warnings for the client, and notes for those who keep records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where remarks about one request go. Cloning shares them. By default nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Option<Arc<Mutex<Told>>>);

/// Remarks, as far as there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// For the client, though its request was refused. What was done is answered with its warnings.
    pub warnings: Vec<String>,
    /// For records: the first value for each key.
    pub annotations: BTreeMap<String, Annotation>,
}

/// A remark for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What is told.
    pub value: String,
    /// Whether it tells of the request's body, and belongs only where that is recorded.
    pub shows_body: bool,
}

impl Remarks {
    /// Somebody listens.
    #[must_use]
    pub fn heard() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether somebody listens.
    #[must_use]
    pub fn are_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Adds remarks to those that were made.
    pub fn add(&self, told: Told) {
        if let Some(mut known) = self.lock() {
            known.warnings.extend(told.warnings);
            for (key, annotation) in told.annotations {
                known.annotations.entry(key).or_insert(annotation);
            }
        }
    }

    /// All remarks since this was last asked.
    #[must_use]
    pub fn take(&self) -> Told {
        self.lock().map(|mut told| std::mem::take(&mut *told)).unwrap_or_default()
    }

    fn lock(&self) -> Option<MutexGuard<'_, Told>> {
        self.0.as_ref().map(|told| told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Requests are the same whoever listens.
impl PartialEq for Remarks {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Remarks {}
