//! Events: what happened is counted, limited and stored, without ever holding up the one who tells it.
//!
//! Source: client-go `tools/record`: the same happening again raises a count; one object may cause a burst of 25 Events and
//! then one each five minutes; when too many wait, the rest is dropped.

mod recent;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use coracle_core::{Gateway, Happening, Request, Status, Target};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use self::recent::Recent;

/// Happenings that may wait to be stored.
pub const WAITING_MAX: usize = 4_096;
/// Happenings that are remembered, to be counted when they happen again.
const REMEMBERED_MAX: usize = 4_096;
/// Happenings that are stored together.
const BATCH_MAX: usize = 256;
/// Events that one object may cause at once.
const BURST: f64 = 25.0;
/// Seconds until an object may cause one more.
const REFILL_SECONDS: f64 = 300.0;

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
            let requests = batch.into_iter().filter_map(|happening| correlator.request(happening, gateway)).collect();
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

/// What is known of Events already stored.
struct Correlator {
    known: Recent<Subject, String>,
    budgets: Recent<(Arc<str>, &'static str), Budget>,
}

/// What makes two happenings the same.
type Subject = (Arc<str>, String, &'static str, String, &'static str);

struct Budget {
    tokens: f64,
    at: Timestamp,
}

impl Default for Correlator {
    fn default() -> Self {
        Self { known: Recent::new(REMEMBERED_MAX), budgets: Recent::new(REMEMBERED_MAX) }
    }
}

impl Correlator {
    fn request(&mut self, happening: Happening, gateway: &dyn Gateway) -> Option<Request> {
        let now = gateway.clock().now();
        let uid: Arc<str> = happening.regarding.uid.as_deref().unwrap_or("").into();
        if !self.affords((uid.clone(), happening.reporter), now) {
            return None;
        }
        let field = happening.regarding.field_path.clone().unwrap_or_default();
        let subject = (uid, field, happening.reason, happening.note.clone(), happening.reporter);
        let namespace = namespace_of(&happening).to_owned();
        let known = self.known.take(&subject);
        let stored = known.filter(|name| gateway.feed().world().get::<Event>(&namespace, name).is_some());
        let (name, request) = match stored {
            Some(name) => {
                let request = again(&namespace, &name, now);
                (name, request)
            }
            None => {
                let event = event(happening, &namespace, now, gateway);
                (event.metadata.name.clone().unwrap_or_default(), Request::create(event))
            }
        };
        self.known.put(subject, name);
        Some(request)
    }

    fn affords(&mut self, who: (Arc<str>, &'static str), now: Timestamp) -> bool {
        let budget = self.budgets.take(&who);
        let tokens = budget.map_or(BURST, |budget| budget.refilled(now));
        let affords = tokens >= 1.0;
        self.budgets.put(who, Budget { tokens: if affords { tokens - 1.0 } else { tokens }, at: now });
        affords
    }
}

impl Budget {
    fn refilled(&self, now: Timestamp) -> f64 {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        (self.tokens + seconds / REFILL_SECONDS).min(BURST)
    }
}

fn namespace_of(happening: &Happening) -> &str {
    happening.regarding.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

fn event(happening: Happening, namespace: &str, now: Timestamp, gateway: &dyn Gateway) -> Event {
    let name = happening.regarding.name.as_deref().unwrap_or("");
    let host = (!happening.host.is_empty()).then(|| happening.host.to_string());
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", gateway.entropy().next() >> 4)),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: Arc::unwrap_or_clone(happening.regarding),
        reason: Some(happening.reason.to_owned()),
        message: Some(happening.note),
        source: Some(EventSource { component: Some(happening.reporter.to_owned()), host: host.clone() }),
        first_timestamp: Some(coracle_core::time::whole_seconds(now)),
        last_timestamp: Some(coracle_core::time::whole_seconds(now)),
        count: Some(1),
        type_: Some(happening.severity.as_str().to_owned()),
        reporting_component: Some(happening.reporter.to_owned()),
        reporting_instance: host,
        ..Event::default()
    }
}

fn again(namespace: &str, name: &str, now: Timestamp) -> Request {
    Request::edit(Target::named::<Event>(namespace, name), move |event: &mut Event| {
        event.count = Some(event.count.unwrap_or(1) + 1);
        event.last_timestamp = Some(coracle_core::time::whole_seconds(now));
        Ok::<(), Status>(())
    })
}
