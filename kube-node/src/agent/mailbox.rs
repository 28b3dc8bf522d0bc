//! What a node has not read yet. Of each pod only the newest version is kept, so it never holds more than the node has pods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::{Event, ObjectKey, ObjectRef, Status};
use tokio::sync::{Notify, oneshot};

use crate::runtime::{ContainerId, SandboxId};

/// A node's unread letters.
#[derive(Default)]
pub(super) struct Mailbox {
    letters: Mutex<Letters>,
    bell: Notify,
}

/// All that came since the node last looked.
#[derive(Default)]
pub(super) struct Letters {
    /// Pods that changed, by their newest event.
    pub(super) pods: BTreeMap<ObjectKey, Arc<Event>>,
    /// ConfigMaps and Secrets that changed.
    pub(super) sources: BTreeSet<ObjectRef>,
    /// Questions for the names of containers and sandboxes.
    pub(super) questions: Vec<Question>,
    /// Letters were lost: look at the world.
    pub(super) resync: bool,
}

/// A question about a pod.
pub(crate) struct Question {
    /// The pod's uid.
    pub(crate) uid: String,
    /// What is wanted.
    pub(crate) wanted: Wanted,
}

/// What is wanted of a pod.
pub(crate) enum Wanted {
    /// For one run of a container.
    Run {
        /// The container's name.
        container: String,
        /// Whether the run before the newest is meant.
        previous: bool,
        /// Whether it must be running.
        running: bool,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<ContainerId, Status>>,
    },
    /// For its sandbox, if it has one. Holds where the answer goes.
    Sandbox(oneshot::Sender<Option<SandboxId>>),
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.sources.is_empty() && self.questions.is_empty() && !self.resync
    }
}

impl Mailbox {
    /// Puts something in and rings.
    pub(super) fn post(&self, write: impl FnOnce(&mut Letters)) {
        write(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
    }

    /// Waits for letters and takes them all.
    pub(super) async fn take(&self) -> Letters {
        loop {
            let letters = std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner));
            if !letters.is_empty() {
                return letters;
            }
            self.bell.notified().await;
        }
    }
}
