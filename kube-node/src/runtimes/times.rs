//! The clock that a runtime was given, by whoever made it or by its node.

use std::sync::{Arc, OnceLock};

use coracle_core::Clock;
use jiff::Timestamp;

/// The first clock given stays; until one is, the system's serves.
#[derive(Clone, Default)]
pub(super) struct Times(Arc<OnceLock<Arc<dyn Clock>>>);

impl Times {
    pub(super) fn give(&self, clock: &Arc<dyn Clock>) {
        let _kept_if_there_was_one = self.0.set(Arc::clone(clock));
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.get().map_or_else(system_time, |clock| clock.now())
    }
}

/// A runtime that nobody gave a clock is used on its own, outside of a cluster.
#[allow(clippy::disallowed_methods)]
fn system_time() -> Timestamp {
    Timestamp::now()
}
