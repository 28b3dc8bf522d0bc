//! Events: what happened is counted, limited and stored, without ever holding up the one who tells it.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the queue: who tells never waits; when too many wait, the rest is dropped |
//! | `correlator.rs` | which happenings are one Event |
//! | `recent.rs` | a bounded memory |

mod correlator;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use coracle_core::{Gateway, Happening};
use k8s_openapi::api::core::v1::Event;

use self::correlator::Correlator;

/// Happenings that may wait to be stored.
pub const WAITING_MAX: usize = 4_096;
/// Happenings that are stored together.
const BATCH_MAX: usize = 256;

/// Takes happenings from anyone and stores them as Events.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    happenings: VecDeque<Happening>,
    dropped: u64,
    waker: Option<Waker>,
}

impl Recorder {
    /// Notes a happening. Never waits; drops it if too many wait already.
    pub fn record(&self, happening: Happening) {
        let mut waiting = self.lock();
        if waiting.happenings.len() >= WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.happenings.push_back(happening);
        if let Some(waker) = waiting.waker.take() {
            drop(waiting);
            waker.wake();
        }
    }

    /// How many happenings were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Stores happenings as they come. One task runs this as long as the cluster lives.
    pub async fn run(&self, gateway: &dyn Gateway) {
        let mut correlator = Correlator::default();
        loop {
            let batch = self.next_batch().await;
            let (now, entropy, world) = (gateway.clock().now(), gateway.entropy(), gateway.feed().world());
            let is_stored = |namespace: &str, name: &str| world.get::<Event>(namespace, name).is_some();
            let request = |happening| correlator.request(happening, now, || entropy.next(), is_stored);
            let requests = batch.into_iter().filter_map(request).collect();
            for answer in gateway.execute_all(requests).await {
                // An Event in a namespace that is going away, or expired meanwhile, is nobody's loss.
                if let Err(status) = answer {
                    tracing::debug!(%status, "an event was not stored");
                }
            }
        }
    }

    async fn next_batch(&self) -> Vec<Happening> {
        poll_fn(|context| {
            let mut waiting = self.lock();
            if waiting.happenings.is_empty() {
                waiting.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            let count = waiting.happenings.len().min(BATCH_MAX);
            Poll::Ready(waiting.happenings.drain(..count).collect())
        })
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
