//! Parts that ask for the same again and again: in virtual time they would go on for ever, so the run ends and says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coracle_core::{ObjectKey, ObjectRef, Request};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A span of virtual time...
const SPAN: Duration = Duration::from_secs(60);
/// ...in which one part asks for the same object at most so often: half as often as its queue would let it...
const SAME_MAX: u32 = 1_500;
/// ...and for anything at most so often.
const ALL_MAX: u32 = 100_000;

/// How often one part has asked for what in this span.
#[derive(Default)]
pub(super) struct Pace {
    from: Option<Instant>,
    all: u32,
    /// Never iterated, so that the seed decides everything.
    same: HashMap<ObjectRef, u32>,
}

impl Pace {
    /// Counts one request; what is wrong if it is one too many.
    pub(super) fn count(&mut self, request: &Request, now: Instant) -> Result<(), String> {
        if self.from.is_none_or(|from| now >= from + SPAN) {
            *self = Self { from: Some(now), ..Self::default() };
        }
        let target = &request.target;
        let object =
            ObjectRef { resource: target.resource.clone(), key: ObjectKey::new(&target.namespace, &target.name) };
        self.all += 1;
        if self.all > ALL_MAX {
            return Err(format!("a part asks more than {ALL_MAX} times a minute, now for {object}"));
        }
        // Names are made for what has none: those are many objects.
        if target.name.is_empty() {
            return Ok(());
        }
        let same = self.same.entry(object.clone()).or_default();
        *same += 1;
        match *same > SAME_MAX {
            true => Err(format!("a part asks for {object} more than {SAME_MAX} times a minute")),
            false => Ok(()),
        }
    }
}

/// Where parts that find no rest are told of.
#[derive(Clone, Default)]
pub(super) struct Restless(Arc<(Mutex<Option<String>>, Notify)>);

impl Restless {
    pub(super) fn tell(&self, what: String) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
        self.0.1.notify_one();
    }

    /// Waits for the first that is told of.
    pub(super) async fn first(&self) -> String {
        loop {
            if let Some(what) = self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                return what;
            }
            self.0.1.notified().await;
        }
    }
}
