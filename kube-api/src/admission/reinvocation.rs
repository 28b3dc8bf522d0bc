//! What is remembered between the two rounds of those that change objects, webhooks and policies alike. Source:
//! `mutating/reinvocationcontext.go`.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use coracle_core::Status;
use serde_json::Value;

/// The memory of one request.
#[derive(Debug, Default)]
pub(super) struct Reinvocation(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    is_second_round: bool,
    /// Those that were called, and may be again.
    called: BTreeSet<String>,
    /// Those to call again, because the object has changed since.
    again: BTreeSet<String>,
    /// The object after the first round.
    output: Option<Value>,
}

impl Reinvocation {
    /// Begins a round. In the second, everyone is called again if others have changed the object meanwhile.
    pub(super) fn begin(&self, object: impl FnOnce() -> Result<Value, Status>) -> Result<(), Status> {
        if self.is_second_round() {
            let now = object()?;
            if self.lock().output.as_ref().is_some_and(|output| *output != now) {
                self.changed();
            }
        }
        Ok(())
    }

    /// Whether this is the second round.
    pub(super) fn is_second_round(&self) -> bool {
        self.lock().is_second_round
    }

    /// Whether somebody is to be called in this round.
    pub(super) fn may_call(&self, uid: &str) -> bool {
        let mut memory = self.lock();
        !memory.is_second_round || memory.again.remove(uid)
    }

    /// The object has changed: those called before are to be called again.
    pub(super) fn changed(&self) {
        let memory = &mut *self.lock();
        memory.again.append(&mut memory.called);
    }

    /// Somebody was called who wants to know of later changes.
    pub(super) fn called(&self, uid: String) {
        self.lock().called.insert(uid);
    }

    /// Ends a round.
    pub(super) fn end(&self, object: impl FnOnce() -> Result<Value, Status>) -> Result<(), Status> {
        let may_be_called_again = {
            let mut memory = self.lock();
            memory.is_second_round = true;
            !memory.called.is_empty()
        };
        if may_be_called_again {
            let output = object()?;
            self.lock().output = Some(output);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
