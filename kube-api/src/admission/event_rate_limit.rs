//! Nobody floods the cluster with Events. Off unless added.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use coracle_core::{AnyResource, Clock, Reason, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use super::{Admission, Attributes, Operation};

/// Whose Events are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventScope {
    /// All of them.
    Server,
    /// Those in one namespace.
    Namespace,
    /// Those of one user.
    User,
    /// Those of one source about one object.
    SourceAndObject,
}

/// One limit.
#[derive(Clone, Copy, Debug)]
pub struct EventLimit {
    /// Whose Events are counted together.
    pub scope: EventScope,
    /// How many Events there may be in the long run.
    pub events_per_second: f64,
    /// How many there may be at once.
    pub burst: u32,
    /// How many namespaces, users or objects are remembered; who has been silent the longest is forgotten first.
    pub buckets_max: usize,
}

/// Source: `plugin/pkg/admission/eventratelimit`.
pub struct EventRateLimit {
    clock: Arc<dyn Clock>,
    limits: Vec<(EventLimit, Mutex<HashMap<String, Bucket>>)>,
}

/// Tokens for Events, filled up with time.
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl EventRateLimit {
    /// Enforces these limits, by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: impl IntoIterator<Item = EventLimit>) -> Self {
        Self { clock, limits: limits.into_iter().map(|limit| (limit, Mutex::default())).collect() }
    }
}

impl std::fmt::Debug for EventRateLimit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.limits.iter().map(|(limit, _)| limit)).finish()
    }
}

#[async_trait]
impl Admission for EventRateLimit {
    fn name(&self) -> &'static str {
        "EventRateLimit"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        let written = matches!(attributes.operation, Operation::Create | Operation::Update);
        written && attributes.kind.storage.resource == "events" && !attributes.options.dry_run
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let event = object.and_then(|object| object.as_any().downcast_ref::<Event>());
        let now = self.clock.now();
        let mut refused = None;
        for (limit, buckets) in &self.limits {
            let key = key(limit.scope, attributes, event);
            // Buckets are whole at every point.
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            if !take(&mut buckets, limit, &key, now) {
                refused = Some(format!("Too many requests: limit reached on type {:?} for key {key}", limit.scope));
            }
        }
        refused.map_or(Ok(()), |why| Err(Status::new(Reason::TooManyRequests, why)))
    }
}

fn key(scope: EventScope, attributes: &Attributes<'_>, event: Option<&Event>) -> String {
    match (scope, event) {
        (EventScope::Server, _) => String::new(),
        (EventScope::Namespace, _) => attributes.target.namespace.clone().into_owned(),
        (EventScope::User, _) => attributes.user.name.clone(),
        (EventScope::SourceAndObject, None) => String::new(),
        (EventScope::SourceAndObject, Some(event)) => {
            let (source, about) = (event.source.as_ref(), &event.involved_object);
            let parts = [
                source.and_then(|source| source.component.as_deref()),
                source.and_then(|source| source.host.as_deref()),
                about.kind.as_deref(),
                about.namespace.as_deref(),
                about.name.as_deref(),
                about.uid.as_deref(),
                about.api_version.as_deref(),
            ];
            parts.into_iter().flatten().collect()
        }
    }
}

/// Takes a token, if there is one.
fn take(buckets: &mut HashMap<String, Bucket>, limit: &EventLimit, key: &str, now: Timestamp) -> bool {
    if !buckets.contains_key(key) && buckets.len() >= limit.buckets_max.max(1) {
        let silent = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| key.clone());
        silent.and_then(|key| buckets.remove(&key));
    }
    let burst = f64::from(limit.burst);
    let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { tokens: burst, at: now });
    let seconds = now.duration_since(bucket.at).as_secs_f64().max(0.0);
    bucket.tokens = (bucket.tokens + seconds * limit.events_per_second).min(burst);
    bucket.at = now;
    let has = bucket.tokens >= 1.0;
    if has {
        bucket.tokens -= 1.0;
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fill_up_with_time_and_the_longest_silent_is_forgotten() {
        let limit = EventLimit { scope: EventScope::User, events_per_second: 1.0, burst: 2, buckets_max: 2 };
        let mut buckets = HashMap::new();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut take = |key: &str, second: i64| take(&mut buckets, &limit, key, at(second));
        assert_eq!([take("a", 0), take("a", 0), take("a", 0)], [true, true, false]);
        assert_eq!([take("a", 1), take("a", 1), take("b", 2)], [true, false, true]);
        assert_eq!([take("c", 3), take("a", 3), take("a", 3), take("a", 3)], [true, true, true, false]);
    }
}
