//! What plugins tell beside their decision, and remember while a request is on its way.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coracle_core::remarks::{Annotation, Told};

use super::reinvocation::Reinvocation;

/// Something that is kept until the change is in the world, or was refused; then it is dropped.
pub(crate) type Hold = Box<dyn Any + Send>;

/// One request's notes. Making one costs nothing.
#[derive(Debug, Default)]
pub struct Notes {
    inner: Mutex<Inner>,
    /// What the mutating webhooks remember of the first round.
    pub(super) webhooks: Reinvocation,
    /// What the mutating policies remember of the first round.
    pub(super) policies: Reinvocation,
}

#[derive(Debug, Default)]
struct Inner {
    told: Told,
    holds: Vec<Hold>,
    again: bool,
}

impl Notes {
    /// Tells the client something.
    pub fn warn(&self, warning: impl Into<String>) {
        self.lock().told.warnings.push(warning.into());
    }

    /// Keeps a value until the change is in the world, or was refused.
    pub fn hold(&self, guard: impl Any + Send) {
        self.lock().holds.push(Box::new(guard));
    }

    /// Tells something to those who look into what happened: audit records have it. The first value of a key stays.
    pub fn annotate(&self, key: &str, value: impl Into<String>) {
        self.add(key, Annotation { value: value.into(), shows_body: false });
    }

    /// As [`Notes::annotate`], for what shows of the body of the request, where records have that too.
    pub fn annotate_body(&self, key: &str, value: impl Into<String>) {
        self.add(key, Annotation { value: value.into(), shows_body: true });
    }

    fn add(&self, key: &str, annotation: Annotation) {
        self.lock().told.annotations.entry(key.to_owned()).or_insert(annotation);
    }

    /// Asks for another round of [`admit`](super::Admission::admit) of all plugins when this one is over. There are at most
    /// two rounds.
    pub fn ask_again(&self) {
        self.lock().again = true;
    }

    /// Whether another round was asked for since the last time this was asked.
    pub(crate) fn take_again(&self) -> bool {
        std::mem::take(&mut self.lock().again)
    }

    /// The warnings since the last time this was asked.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().told.warnings)
    }

    /// What was told since the last time this was asked.
    pub(crate) fn take_told(&self) -> Told {
        std::mem::take(&mut self.lock().told)
    }

    /// What is held since the last time this was asked.
    pub(crate) fn take_holds(&self) -> Vec<Hold> {
        std::mem::take(&mut self.lock().holds)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
