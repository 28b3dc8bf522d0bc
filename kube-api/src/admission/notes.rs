//! What plugins leave beside their verdicts.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// Something that is kept until the change is in the world, or was refused; then it is dropped.
pub(crate) type Hold = Box<dyn Any + Send>;

/// The warnings and holds of one change.
#[derive(Debug, Default)]
pub struct Notes(Mutex<(Vec<String>, Vec<Hold>)>);

impl Notes {
    /// Tells the client something, if the change is made.
    pub fn warn(&self, text: impl Into<String>) {
        self.lock().0.push(text.into());
    }

    /// Keeps a value until the change is in the world, or was refused.
    pub fn hold(&self, guard: impl Any + Send) {
        self.lock().1.push(Box::new(guard));
    }

    pub(crate) fn take(&self) -> (Vec<String>, Vec<Hold>) {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Vec<String>, Vec<Hold>)> {
        // Two vectors are whole at every point.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
